// Control registers, the interrupt flag, and the instructions that a monitor completes (they leave with a VMX exit reason once
// privilege checks have passed).

import * as L from '../layout'
import { readData } from './access'
import { contextChanged } from './context'
import { AR_L } from './descriptor'
import { ioPrivilege, privileged, setAccessCheck } from './flags'
import { floatModeChanged } from './float'
import { updateMode } from './mode'
import { loadPointers } from './paging'
import {
  attend,
  CR0_CD,
  CR0_ET,
  CR0_NW,
  CR0_PE,
  CR0_PG,
  CR0_TS,
  CR0_WP,
  CR4_OSXSAVE,
  CR4_PAE,
  CR4_PCE,
  CR4_PGE,
  CR4_PSE,
  CR4_SMAP,
  CR4_SMEP,
  CR4_TSD,
  complete,
  cpl,
  cr0,
  cr4,
  EFER_LMA,
  EFER_LME,
  efer,
  exit,
  faulted,
  faultPlain,
  gp0,
  gpr,
  in64,
  longMode,
  RFLAGS_IF,
  setGpr,
  systemFlags,
  VECTOR_UD,
} from './state'
import { flushTlb, flushTlbPage } from './tlb'

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
  if (cpl() <= ioPrivilege()) return true
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

// Loads CR3 as far as the processor has physical addresses; false, and nothing loaded, when a PDPTE has reserved bits set.
export function loadCr3(value: u64): bool {
  if (paePaging(cr0(), cr4()) && !loadPointers(value)) return false
  store<u64>(L.CR3, value)
  flushTlb(true)
  return true
}

function writeCr3(value: u64): bool {
  if (value >> (load<u32>(L.PHYSICAL_BITS) as u64) == 0 && loadCr3(value)) return true
  if (!faulted()) gp0()
  return false
}

export function moveFromControl(register: u32, number: u32): void {
  if (!privileged()) return
  if (number == 8) {
    exitControl(number, register, 0)
    return
  }
  // CR1 does not exist and has no place.
  const value = load<u64>(number == 0 ? L.CR0 : L.CR0 + ((number - 1) << 3))
  setGpr(register, value & load<u64>(L.RIP_MASK))
  complete()
}

// Whether these values of CR0 and CR4, without EFER.LME, mean PAE paging.
function paePaging(cr0: u64, cr4: u64): bool {
  return (cr0 & CR0_PG) != 0 && (cr4 & CR4_PAE) != 0 && (efer() & EFER_LME) == 0
}

// The three write functions give 0, or 1 for a value that raises #GP(0) (Intel SDM volume 3, 2.5 and 2.2.1).

export function writeCr0(value: u64): u32 {
  const old = cr0()
  const next = (value | CR0_ET) & 0xe005003f
  const paging = (next & CR0_PG) != 0
  if (value >> 32 != 0 || (paging && (next & CR0_PE) == 0) || ((next & CR0_NW) != 0 && (next & CR0_CD) == 0)) return 1
  if (!paging && in64()) return 1
  const long = paging && (efer() & EFER_LME) != 0
  if (long && (old & CR0_PG) == 0) {
    if ((cr4() & CR4_PAE) == 0 || (load<u32>(L.CS + L.SEG_AR) & AR_L) != 0) return 1
  }
  const reload = ((old ^ next) & (CR0_PG | CR0_CD | CR0_NW)) != 0
  if (reload && paePaging(next, cr4()) && !loadPointers(load<u64>(L.CR3))) return 1
  store<u64>(L.EFER, long ? efer() | EFER_LMA : efer() & ~EFER_LMA)
  store<u64>(L.CR0, next)
  updateMode()
  // PG, WP and PE change what translations are worth.
  if (((old ^ next) & (CR0_PG | CR0_WP | CR0_PE)) != 0) flushTlb(false)
  return 0
}

export function writeCr4(value: u64): u32 {
  const old = cr4()
  if ((value & ~load<u64>(L.CR4_ALLOWED)) != 0) return 1
  if (longMode() && (value & CR4_PAE) == 0) return 1
  const changed = old ^ value
  if ((changed & (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP)) != 0 && paePaging(cr0(), value)) {
    if (!loadPointers(load<u64>(L.CR3))) return 1
  }
  store<u64>(L.CR4, value)
  contextChanged()
  floatModeChanged()
  if ((changed & (CR4_PSE | CR4_PAE | CR4_PGE | CR4_SMEP | CR4_SMAP)) != 0) flushTlb(false)
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
