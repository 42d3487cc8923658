// Control and debug registers, descriptor-table registers, the interrupt flag, and the instructions that a monitor
// completes (they leave with a VMX exit reason once privilege checks have passed).

import * as L from '../layout'
import { probeWrite, readData, writeData } from './access'
import { contextChanged } from './context'
import { AR_L, AR_P, accessRightsOf, baseOf, isNull, limitOf, SYSTEM_LDT, SYSTEM_TSS, TYPE_BUSY } from './descriptor'
import { raiseDebug } from './event'
import { privileged, setAccessCheck } from './flags'
import { floatModeChanged } from './float'
import { updateMode } from './mode'
import { readDescriptor, readDescriptorHigh, setDescriptorType, writeNull, writeSegment } from './segment'
import {
  attend,
  CR0_CD,
  CR0_ET,
  CR0_NW,
  CR0_PE,
  CR0_PG,
  CR0_TS,
  CR4_DE,
  CR4_OSXSAVE,
  CR4_PAE,
  CR4_PCE,
  CR4_TSD,
  CR4_UMIP,
  complete,
  cpl,
  cr0,
  cr4,
  EFER_LMA,
  EFER_LME,
  efer,
  exit,
  fault,
  faulted,
  faultPlain,
  gp0,
  gpr,
  isCanonical,
  RFLAGS_IF,
  RFLAGS_IOPL,
  setGpr,
  systemFlags,
  VECTOR_GP,
  VECTOR_NP,
  VECTOR_UD,
} from './state'
import { flushTlb, flushTlbPage } from './tlb'
import { updateBreakpoints } from './watch'

const REASON_CPUID: u32 = 10
const REASON_HLT: u32 = 12
const REASON_INVD: u32 = 13
const REASON_RDPMC: u32 = 15
const REASON_RDTSC: u32 = 16
const REASON_CR_ACCESS: u32 = 28
const REASON_RDMSR: u32 = 31
const REASON_WRMSR: u32 = 32
const REASON_RDTSCP: u32 = 51
const REASON_XSETBV: u32 = 55
const REASON_RDRAND: u32 = 57
const REASON_RDSEED: u32 = 61

function exitInstruction(reason: u32): void {
  store<u32>(L.EXIT_LENGTH, (load<u64>(L.NEXT_RIP) - load<u64>(L.RIP)) as u32)
  exit(reason)
}

export function undefinedOpcode(_size: u32): void {
  faultPlain(VECTOR_UD)
}

// Instructions that a monitor completes

export function identify(_size: u32): void {
  exitInstruction(REASON_CPUID)
}

export function halt(_size: u32): void {
  if (privileged()) exitInstruction(REASON_HLT)
}

export function readMsr(_size: u32): void {
  if (privileged()) exitInstruction(REASON_RDMSR)
}

export function writeMsr(_size: u32): void {
  if (privileged()) exitInstruction(REASON_WRMSR)
}

function timeStampAllowed(): bool {
  if (cpl() == 0 || (cr4() & CR4_TSD) == 0) return true
  gp0()
  return false
}

export function readTimeStamp(_size: u32): void {
  if (timeStampAllowed()) exitInstruction(REASON_RDTSC)
}

export function readTimeStampAndId(_size: u32): void {
  if (timeStampAllowed()) exitInstruction(REASON_RDTSCP)
}

export function readPerformanceCounter(_size: u32): void {
  if (cpl() != 0 && (cr4() & CR4_PCE) == 0) gp0()
  else exitInstruction(REASON_RDPMC)
}

export function readRandom(register: u32, size: u32): void {
  store<u64>(L.EXIT_VALUE, (register | (size << 8)) as u64)
  exitInstruction(REASON_RDRAND)
}

export function readSeed(register: u32, size: u32): void {
  store<u64>(L.EXIT_VALUE, (register | (size << 8)) as u64)
  exitInstruction(REASON_RDSEED)
}

export function invalidateCaches(_size: u32): void {
  if (privileged()) exitInstruction(REASON_INVD)
}

export function writeBackCaches(_size: u32): void {
  if (privileged()) complete()
}

function extendedStateEnabled(): bool {
  if ((cr4() & CR4_OSXSAVE) != 0) return true
  faultPlain(VECTOR_UD)
  return false
}

export function readExtendedControl(_size: u32): void {
  if (!extendedStateEnabled()) return
  if (load<u32>(L.RCX) != 0) {
    gp0()
    return
  }
  store<u64>(L.RAX, load<u64>(L.XCR0) & 0xffffffff)
  store<u64>(L.RDX, load<u64>(L.XCR0) >> 32)
  complete()
}

export function writeExtendedControl(_size: u32): void {
  if (extendedStateEnabled() && privileged()) exitInstruction(REASON_XSETBV)
}

// The interrupt flag

function mayChangeInterruptFlag(): bool {
  if (cpl() <= (systemFlags() & RFLAGS_IOPL) >> 12) return true
  gp0()
  return false
}

export function clearInterruptFlag(_size: u32): void {
  if (!mayChangeInterruptFlag()) return
  store<u64>(L.RFLAGS, (systemFlags() & ~RFLAGS_IF) as u64)
  complete()
}

export function setInterruptFlag(_size: u32): void {
  if (!mayChangeInterruptFlag()) return
  const was = systemFlags() & RFLAGS_IF
  store<u64>(L.RFLAGS, (systemFlags() | RFLAGS_IF) as u64)
  complete()
  if (was == 0) attend(L.ATTENTION_STI_SHADOW)
}

function accessCheckAllowed(): bool {
  if (cpl() == 0) return true
  faultPlain(VECTOR_UD)
  return false
}

export function clearAlignmentCheck(_size: u32): void {
  if (!accessCheckAllowed()) return
  setAccessCheck(false)
  complete()
}

export function setAlignmentCheck(_size: u32): void {
  if (!accessCheckAllowed()) return
  setAccessCheck(true)
  complete()
}

// Control registers. CR0, CR4 and CR8 go through the monitor, which calls writeCr0 and writeCr4.

function exitControl(number: u32, register: u32, write: u32): void {
  store<u32>(L.CR_NUMBER, number)
  store<u32>(L.CR_WRITE, write)
  store<u32>(L.CR_GPR, register)
  store<u64>(L.EXIT_VALUE, write != 0 ? gpr(register) : 0)
  exitInstruction(REASON_CR_ACCESS)
}

export function moveToControl(number: u32, register: u32): void {
  if (!privileged()) return
  if (number == 0 || number == 4 || number == 8) {
    exitControl(number, register, 1)
    return
  }
  if (number == 2) store<u64>(L.CR2, gpr(register))
  else if (!writeCr3(gpr(register))) return
  complete()
}

function writeCr3(value: u64): bool {
  if (value >> (load<u32>(L.PHYSICAL_BITS) as u64) != 0) {
    gp0()
    return false
  }
  store<u64>(L.CR3, value)
  flushTlb(true)
  return true
}

export function moveFromControl(register: u32, number: u32): void {
  if (!privileged()) return
  if (number == 8) {
    exitControl(number, register, 0)
    return
  }
  // CR1 does not exist and has no place.
  setGpr(register, load<u64>(number == 0 ? L.CR0 : L.CR0 + ((number - 1) << 3)))
  complete()
}

// The three write functions give 0, or 1 for a value that raises #GP(0) (Intel SDM volume 3, 2.5 and 2.2.1).

export function writeCr0(value: u64): u32 {
  const old = cr0()
  const next = (value | CR0_ET) & 0xe005003f
  const paging = (next & CR0_PG) != 0
  if (value >> 32 != 0 || (paging && (next & CR0_PE) == 0) || ((next & CR0_NW) != 0 && (next & CR0_CD) == 0)) return 1
  const long = (efer() & EFER_LMA) != 0
  if (!paging && long && load<u32>(L.MODE) == L.MODE_64) return 1
  if (paging && (old & CR0_PG) == 0 && (efer() & EFER_LME) != 0) {
    if ((cr4() & CR4_PAE) == 0 || (load<u32>(L.CS + L.SEG_AR) & AR_L) != 0) return 1
    store<u64>(L.EFER, efer() | EFER_LMA)
  }
  if (!paging && long) store<u64>(L.EFER, efer() & ~EFER_LMA)
  store<u64>(L.CR0, next)
  updateMode()
  floatModeChanged()
  contextChanged()
  // PG, WP and PE change what translations are worth.
  if (((old ^ next) & 0x80010001) != 0) flushTlb(false)
  return 0
}

export function writeCr4(value: u64): u32 {
  const old = cr4()
  if ((value & ~load<u64>(L.CR4_ALLOWED)) != 0) return 1
  if ((efer() & EFER_LMA) != 0 && (value & CR4_PAE) == 0) return 1
  store<u64>(L.CR4, value)
  contextChanged()
  floatModeChanged()
  // PSE, PAE, PGE, SMEP, SMAP.
  if (((old ^ value) & 0x3000b0) != 0) flushTlb(false)
  return 0
}

export function writeEfer(value: u64): u32 {
  const old = efer()
  if ((value & ~load<u64>(L.EFER_ALLOWED) & ~EFER_LMA) != 0) return 1
  if (((old ^ value) & EFER_LME) != 0 && (cr0() & CR0_PG) != 0) return 1
  store<u64>(L.EFER, (value & ~EFER_LMA) | (old & EFER_LMA))
  if (old != value) flushTlb(false)
  return 0
}

export function writeXcr0(value: u64): u32 {
  const sseWithoutX87 = (value & 1) == 0
  const avxWithoutSse = (value & 6) == 4
  if ((value & ~load<u64>(L.XCR0_ALLOWED)) != 0 || sseWithoutX87 || avxWithoutSse) return 1
  store<u64>(L.XCR0, value)
  floatModeChanged()
  return 0
}

export function clearTaskSwitched(_size: u32): void {
  if (!privileged()) return
  store<u64>(L.CR0, cr0() & ~CR0_TS)
  floatModeChanged()
  complete()
}

// LMSW writes PE MP EM TS and can not clear PE.
export function loadMachineStatus(value: u32): void {
  if (!privileged()) return
  const low = (value & 15) as u64
  const wanted = (cr0() & ~(14 as u64)) | low
  if (writeCr0(wanted) != 0) gp0()
  else complete()
}

// Debug registers

function debugAllowed(number: u32): bool {
  if (!privileged()) return false
  if ((number == 4 || number == 5) && (cr4() & CR4_DE) != 0) {
    faultPlain(VECTOR_UD)
    return false
  }
  if ((load<u32>(L.DR7) & 0x2000) != 0) {
    // General detect: the access itself is trapped, and the trap's handler may use the registers.
    store<u64>(L.DR7, load<u64>(L.DR7) & ~(0x2000 as u64))
    raiseDebug(0x2000)
    return false
  }
  return true
}

function debugRegister(number: u32): u32 {
  if (number < 4) return L.DR0 + (number << 3)
  return number == 4 || number == 6 ? L.DR6 : L.DR7
}

export function moveFromDebug(register: u32, number: u32): void {
  if (!debugAllowed(number)) return
  setGpr(register, load<u64>(debugRegister(number)))
  complete()
}

export function moveToDebug(number: u32, register: u32): void {
  if (!debugAllowed(number)) return
  const value = gpr(register)
  const place = debugRegister(number)
  if (number >= 4 && value >> 32 != 0) {
    gp0()
    return
  }
  if (place == L.DR6) store<u64>(L.DR6, (value & 0xe00f) | 0xffff0ff0)
  else if (place == L.DR7) store<u64>(L.DR7, (value & 0xffff2fff) | 0x400)
  else store<u64>(place, value)
  if (place != L.DR6) {
    // Watched pages have no data tags.
    flushTlb(false)
    updateBreakpoints()
  }
  complete()
}

// Descriptor tables

// SGDT, SIDT, SLDT, STR, SMSW outside of ring 0 when CR4.UMIP is set: #GP.
export function checkUserModePrevention(): u32 {
  if (cpl() == 0 || (cr4() & CR4_UMIP) == 0) return 0
  gp0()
  return 1
}

function loadTable(table: u32, address: u64, flags: u32): void {
  if (!privileged()) return
  const limit = readData(address, 2, flags) as u32
  if (faulted()) return
  const base = readData(address + 2, 8, flags)
  if (faulted()) return
  if (!isCanonical(base)) {
    gp0()
    return
  }
  store<u64>(table + L.SEG_BASE, base)
  store<u32>(table + L.SEG_LIMIT, limit)
  complete()
}

export function loadGlobalTable(address: u64, flags: u32): void {
  loadTable(L.GDTR, address, flags)
}

export function loadInterruptTable(address: u64, flags: u32): void {
  loadTable(L.IDTR, address, flags)
}

function storeTable(table: u32, address: u64, flags: u32): void {
  if (checkUserModePrevention() != 0 || !probeWrite(address, 10, flags)) return
  writeData(address, load<u32>(table + L.SEG_LIMIT) as u64, 2, flags)
  if (faulted()) return
  writeData(address + 2, load<u64>(table + L.SEG_BASE), 8, flags)
  if (!faulted()) complete()
}

export function storeGlobalTable(address: u64, flags: u32): void {
  storeTable(L.GDTR, address, flags)
}

export function storeInterruptTable(address: u64, flags: u32): void {
  storeTable(L.IDTR, address, flags)
}

// A system descriptor of 16 bytes for LLDT and LTR; its upper half is in the base afterwards. False when it faulted.
let systemLow: u64 = 0
let systemBase: u64 = 0

function readSystemDescriptor(selector: u32, type: u32): bool {
  if ((selector & 4) != 0) {
    fault(VECTOR_GP, selector & 0xfffc)
    return false
  }
  systemLow = readDescriptor(selector, VECTOR_GP, 0)
  if (faulted()) return false
  const high = readDescriptorHigh(selector, VECTOR_GP)
  if (faulted()) return false
  const ar = accessRightsOf(systemLow)
  if ((ar & 31) != type) {
    fault(VECTOR_GP, selector & 0xfffc)
    return false
  }
  if ((ar & AR_P) == 0) {
    fault(VECTOR_NP, selector & 0xfffc)
    return false
  }
  systemBase = baseOf(systemLow) | (high << 32)
  if (isCanonical(systemBase)) return true
  fault(VECTOR_GP, selector & 0xfffc)
  return false
}

export function loadLocalTable(selector: u32): void {
  if (!privileged()) return
  if (isNull(selector)) {
    writeNull(L.LDTR, selector, 0)
    complete()
    return
  }
  if (!readSystemDescriptor(selector, SYSTEM_LDT)) return
  writeSegment(L.LDTR, selector, systemBase, limitOf(systemLow), accessRightsOf(systemLow))
  complete()
}

export function loadTask(selector: u32): void {
  if (!privileged()) return
  if (isNull(selector)) {
    gp0()
    return
  }
  if (!readSystemDescriptor(selector, SYSTEM_TSS)) return
  setDescriptorType(selector, SYSTEM_TSS | TYPE_BUSY)
  if (faulted()) return
  writeSegment(L.TR, selector, systemBase, limitOf(systemLow), accessRightsOf(systemLow) | SYSTEM_TSS | TYPE_BUSY)
  complete()
}

export function invalidatePage(address: u64, _flags: u32): void {
  if (!privileged()) return
  flushTlbPage(address)
  complete()
}

// CLFLUSH and CLWB touch their operand like a load; there is no cache to flush.
export function flushLine(address: u64, flags: u32): void {
  readData(address, 1, flags)
  if (!faulted()) complete()
}
