// Segment descriptors: reading them, loading segment registers, LAR/LSL/VERR/VERW (Intel SDM volume 3, 3.4 and 5).
//
// An access-rights word has the VMX layout: bits 40-47 and 52-55 of the descriptor in bits 0-7 and 12-15, bit 16 for a
// register that holds no segment.

import * as L from '../layout'
import { readSystem, writeSystem } from './access'
import { contextChanged, setCpl } from './context'
import { setZero } from './flags'
import { floatModeChanged, mxcsrChanged } from './float'
import {
  attend,
  complete,
  cpl,
  EFER_LMA,
  efer,
  fault,
  faulted,
  faultPlain,
  gp0,
  isCanonical,
  segmentSelector,
  VECTOR_GP,
  VECTOR_NP,
  VECTOR_SS,
  VECTOR_UD,
} from './state'
import { flushTargets, flushTlb } from './tlb'

export const AR_TYPE: u32 = 15
export const AR_S: u32 = 0x10
export const AR_P: u32 = 0x80
export const AR_L: u32 = 0x2000
export const AR_DB: u32 = 0x4000
export const AR_G: u32 = 0x8000
export const AR_UNUSABLE: u32 = 0x10000
export const TYPE_ACCESSED: u32 = 1
export const TYPE_WRITABLE: u32 = 2
export const TYPE_READABLE: u32 = 2
export const TYPE_CONFORMING: u32 = 4
export const TYPE_CODE: u32 = 8
export const SYSTEM_LDT: u32 = 2
export const SYSTEM_TSS: u32 = 9
export const SYSTEM_BUSY_TSS: u32 = 11
export const SYSTEM_CALL_GATE: u32 = 12

export function accessRightsOf(descriptor: u64): u32 {
  return ((descriptor >> 40) as u32) & 0xf0ff
}

export function dplOf(ar: u32): u32 {
  return (ar >> 5) & 3
}

export function baseOf(descriptor: u64): u64 {
  return ((descriptor >> 16) & 0xffffff) | ((descriptor >> 32) & 0xff000000)
}

// The limit in bytes.
export function limitOf(descriptor: u64): u32 {
  const raw = ((descriptor as u32) & 0xffff) | (((descriptor >> 32) as u32) & 0xf0000)
  return (accessRightsOf(descriptor) & AR_G) != 0 ? (raw << 12) | 0xfff : raw
}

// Address of a selector's descriptor of `size` bytes, or 0 when it lies outside its table (a table may start at 0, so the
// result is offset by one).
function descriptorAddress(selector: u32, size: u32): u64 {
  const index = selector & 0xfff8
  const local = (selector & 4) != 0
  if (local && (load<u32>(L.LDTR + L.SEG_AR) & AR_UNUSABLE) != 0) return 0
  const table: u32 = local ? L.LDTR : L.GDTR
  if (index + size - 1 > load<u32>(table + L.SEG_LIMIT)) return 0
  return load<u64>(table + L.SEG_BASE) + (index as u64) + 1
}

export function isNull(selector: u32): bool {
  return (selector & 0xfffc) == 0
}

// The descriptor; a selector outside its table faults with `vector` and the selector as error code.
export function readDescriptor(selector: u32, vector: u32, external: u32): u64 {
  const address = descriptorAddress(selector, 8)
  if (address == 0) {
    fault(vector, (selector & 0xfffc) | external)
    return 0
  }
  return readSystem(address - 1, 8)
}

// Upper half of a 16-byte system descriptor.
export function readDescriptorHigh(selector: u32, vector: u32): u64 {
  const address = descriptorAddress(selector, 16)
  if (address == 0) {
    fault(vector, selector & 0xfffc)
    return 0
  }
  return readSystem(address - 1 + 8, 8)
}

// Sets bits of the descriptor's type byte (accessed, busy) in memory.
export function setDescriptorType(selector: u32, bits: u32): void {
  const address = descriptorAddress(selector, 8) - 1 + 5
  const type = readSystem(address, 1) as u32
  if ((type & bits) != bits) writeSystem(address, (type | bits) as u64, 1)
}

export function writeSegment(segment: u32, selector: u32, base: u64, limit: u32, ar: u32): void {
  store<u64>(segment + L.SEG_BASE, base)
  store<u32>(segment + L.SEG_LIMIT, limit)
  store<u32>(segment + L.SEG_SELECTOR, selector)
  store<u32>(segment + L.SEG_AR, ar)
}

// Loads a register from a descriptor that has passed all checks, setting its accessed bit.
export function writeFromDescriptor(segment: u32, selector: u32, descriptor: u64): void {
  writeSegment(segment, selector, baseOf(descriptor), limitOf(descriptor), accessRightsOf(descriptor) | TYPE_ACCESSED)
}

// A null selector: the register is unusable, and its base 0 (older AMD processors kept it; CPUID 80000021 EAX bit 6).
export function writeNull(segment: u32, selector: u32, dpl: u32): void {
  store<u64>(segment + L.SEG_BASE, 0)
  store<u32>(segment + L.SEG_SELECTOR, selector)
  store<u32>(segment + L.SEG_AR, AR_UNUSABLE | (dpl << 5))
}

export function readSelector(number: u32): u32 {
  return segmentSelector(L.SEGMENTS + number * L.SEGMENT_SIZE)
}

// MOV, POP, LSS.. to DS ES FS GS SS; false when it faulted.
export function loadSegment(number: u32, selector: u32): bool {
  const segment: u32 = L.SEGMENTS + number * L.SEGMENT_SIZE
  return segment == L.SS ? loadStackSegment(selector) : loadDataSegment(segment, selector)
}

function loadStackSegment(selector: u32): bool {
  const rpl = selector & 3
  if (isNull(selector)) {
    // Allowed in 64-bit mode outside of ring 3.
    if (cpl() == 3 || rpl != cpl()) {
      gp0()
      return false
    }
    writeNull(L.SS, selector, cpl())
    return true
  }
  const descriptor = readDescriptor(selector, VECTOR_GP, 0)
  if (faulted()) return false
  const ar = accessRightsOf(descriptor)
  const writableData = (ar & (AR_S | TYPE_CODE | TYPE_WRITABLE)) == (AR_S | TYPE_WRITABLE)
  if (rpl != cpl() || !writableData || dplOf(ar) != cpl()) {
    fault(VECTOR_GP, selector & 0xfffc)
    return false
  }
  if ((ar & AR_P) == 0) {
    fault(VECTOR_SS, selector & 0xfffc)
    return false
  }
  setDescriptorType(selector, TYPE_ACCESSED)
  if (faulted()) return false
  writeFromDescriptor(L.SS, selector, descriptor)
  return true
}

function loadDataSegment(segment: u32, selector: u32): bool {
  if (isNull(selector)) {
    writeNull(segment, selector, 0)
    return true
  }
  const descriptor = readDescriptor(selector, VECTOR_GP, 0)
  if (faulted()) return false
  const ar = accessRightsOf(descriptor)
  const code = (ar & TYPE_CODE) != 0
  const readable = (ar & AR_S) != 0 && (!code || (ar & TYPE_READABLE) != 0)
  const conforming = code && (ar & TYPE_CONFORMING) != 0
  if (!readable || (!conforming && ((selector & 3) > dplOf(ar) || cpl() > dplOf(ar)))) {
    fault(VECTOR_GP, selector & 0xfffc)
    return false
  }
  if ((ar & AR_P) == 0) {
    fault(VECTOR_NP, selector & 0xfffc)
    return false
  }
  setDescriptorType(selector, TYPE_ACCESSED)
  if (faulted()) return false
  writeFromDescriptor(segment, selector, descriptor)
  return true
}

export function moveToSegment(number: u32, selector: u32): void {
  if (!loadSegment(number, selector)) return
  complete()
  if (number == 2) attend(L.ATTENTION_SS_SHADOW)
}

export function popSegment(number: u32, selector: u32, bytes: u32): void {
  if (!loadSegment(number, selector)) return
  store<u64>(L.RSP, load<u64>(L.RSP) + (bytes as u64))
  complete()
  if (number == 2) attend(L.ATTENTION_SS_SHADOW)
}

export function writeSegmentBase(segment: u32, base: u64): void {
  if (!baseInstructionsAllowed()) return
  if (!isCanonical(base)) {
    gp0()
    return
  }
  store<u64>(segment + L.SEG_BASE, base)
  complete()
}

function baseInstructionsAllowed(): bool {
  if ((load<u64>(L.CR4) & 0x10000) != 0) return true
  faultPlain(VECTOR_UD)
  return false
}

// RDFSBASE and RDGSBASE: CR4.FSGSBASE must be set.
export function checkBaseInstructions(): u32 {
  return baseInstructionsAllowed() ? 0 : 1
}

// CS from a descriptor that has passed its checks; mode and privilege follow.
export function writeCodeSegment(selector: u32, descriptor: u64, level: u32): void {
  writeFromDescriptor(L.CS, (selector & ~3) | level, descriptor)
  updateMode()
  setCpl(level)
}

// MODE from CS and EFER.LMA.
export function updateMode(): void {
  const ar = load<u32>(L.CS + L.SEG_AR)
  const long = (efer() & EFER_LMA) != 0 && (ar & AR_L) != 0
  const mode: u32 = long ? L.MODE_64 : (ar & AR_DB) != 0 ? L.MODE_32 : L.MODE_16
  if (mode != load<u32>(L.MODE)) flushTargets()
  store<u32>(L.MODE, mode)
}

// Registers were written from outside: everything derived from them is derived anew.
export function refresh(): void {
  store<u32>(L.CPL, dplOf(load<u32>(L.SS + L.SEG_AR)))
  updateMode()
  floatModeChanged()
  mxcsrChanged()
  contextChanged()
  flushTlb(false)
  updateBreakpoints()
}

export function updateBreakpoints(): void {
  if ((load<u32>(L.DR7) & 0xff) != 0) attend(L.ATTENTION_BREAKPOINTS)
  else store<u32>(L.ATTENTION, load<u32>(L.ATTENTION) & ~L.ATTENTION_BREAKPOINTS)
}

// The descriptor for LAR, LSL, VERR, VERW: these never fault over the selector. -1 in `visible` when out of reach.
let inspected: u64 = 0

function inspect(selector: u32): bool {
  if (isNull(selector)) return false
  const address = descriptorAddress(selector, 8)
  if (address == 0) return false
  inspected = readSystem(address - 1, 8)
  return !faulted()
}

function withinReach(selector: u32, ar: u32): bool {
  const conforming = (ar & (AR_S | TYPE_CODE | TYPE_CONFORMING)) == (AR_S | TYPE_CODE | TYPE_CONFORMING)
  return conforming || (cpl() <= dplOf(ar) && (selector & 3) <= dplOf(ar))
}

function systemTypeVisible(ar: u32, forLimit: bool): bool {
  const type = ar & AR_TYPE
  if (type == SYSTEM_LDT || type == SYSTEM_TSS || type == SYSTEM_BUSY_TSS) return true
  return type == SYSTEM_CALL_GATE && !forLimit
}

function visible(selector: u32, forLimit: bool): bool {
  if (!inspect(selector)) return false
  const ar = accessRightsOf(inspected)
  if ((ar & AR_S) == 0 && !systemTypeVisible(ar, forLimit)) return false
  return withinReach(selector, ar)
}

// LAR: bits 8-23 of the descriptor's upper half, or -1.
export function accessRights(selector: u32): u64 {
  const ok = visible(selector, false)
  if (faulted()) return 0
  setZero(ok)
  return ok ? (inspected >> 32) & 0xffff00 : 0xffffffffffffffff
}

// LSL: the limit in bytes, or -1.
export function segmentLimit(selector: u32): u64 {
  const ok = visible(selector, true)
  if (faulted()) return 0
  setZero(ok)
  return ok ? (limitOf(inspected) as u64) : 0xffffffffffffffff
}

function verify(selector: u32, write: bool): void {
  let ok = false
  if (inspect(selector)) {
    const ar = accessRightsOf(inspected)
    const code = (ar & TYPE_CODE) != 0
    const type = write ? !code && (ar & TYPE_WRITABLE) != 0 : !code || (ar & TYPE_READABLE) != 0
    ok = (ar & AR_S) != 0 && type && withinReach(selector, ar)
  }
  if (faulted()) return
  setZero(ok)
  complete()
}

export function verifyRead(selector: u32): void {
  verify(selector, false)
}

export function verifyWrite(selector: u32): void {
  verify(selector, true)
}
