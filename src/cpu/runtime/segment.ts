// Segment descriptors: reading them, loading segment registers (Intel SDM volume 3, 3.4 and 5).

import * as L from '../layout'
import { readSystem, writeSystem } from './access'
import {
  AR_DB,
  AR_G,
  AR_P,
  AR_REAL,
  AR_UNUSABLE,
  AR_VIRTUAL_8086,
  accessRightsOf,
  baseOf,
  dplOf,
  isConforming,
  isNull,
  isReadable,
  isWritableData,
  limitOf,
  TYPE_ACCESSED,
} from './descriptor'
import { dataSegmentChanged, updateMode } from './mode'
import {
  attend,
  CR4_FSGSBASE,
  complete,
  cpl,
  cr4,
  fault,
  faulted,
  faultPlain,
  gp0,
  in64,
  isCanonical,
  realAddressing,
  segmentSelector,
  systemAddress,
  VECTOR_GP,
  VECTOR_NP,
  VECTOR_SS,
  VECTOR_UD,
  virtual8086,
} from './state'

// Address of a selector's descriptor of `size` bytes, or 0 when it lies outside its table (a table may start at 0, so the
// result is offset by one).
export function descriptorAddress(selector: u32, size: u32): u64 {
  const index = selector & 0xfff8
  const local = (selector & 4) != 0
  if (local && (load<u32>(L.LDTR + L.SEG_AR) & AR_UNUSABLE) != 0) return 0
  const table: u32 = local ? L.LDTR : L.GDTR
  if (index + size - 1 > load<u32>(table + L.SEG_LIMIT)) return 0
  return systemAddress(load<u64>(table + L.SEG_BASE) + (index as u64)) + 1
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

export function clearDescriptorType(selector: u32, bits: u32): void {
  const address = descriptorAddress(selector, 8) - 1 + 5
  writeSystem(address, ((readSystem(address, 1) as u32) & ~bits) as u64, 1)
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

// A segment register in real mode, where limit and size stay what they were ("unreal mode"), while the segment can be read and
// written whatever it was before, or in virtual-8086 mode, where all is fixed.
export function writeReal(segment: u32, selector: u32): void {
  store<u64>(segment + L.SEG_BASE, (selector << 4) as u64)
  store<u32>(segment + L.SEG_SELECTOR, selector)
  if (virtual8086()) {
    store<u32>(segment + L.SEG_LIMIT, 0xffff)
    store<u32>(segment + L.SEG_AR, AR_VIRTUAL_8086)
  } else store<u32>(segment + L.SEG_AR, (load<u32>(segment + L.SEG_AR) & (AR_DB | AR_G)) | AR_REAL)
}

export function readSelector(number: u32): u32 {
  return segmentSelector(L.SEGMENTS + number * L.SEGMENT_SIZE)
}

// MOV, POP, LSS.. to DS ES FS GS SS; false when it faulted.
export function loadSegment(number: u32, selector: u32): bool {
  const segment: u32 = L.SEGMENTS + number * L.SEGMENT_SIZE
  if (realAddressing()) writeReal(segment, selector)
  else if (!(segment == L.SS ? loadStackSegment(selector) : loadDataSegment(segment, selector))) return false
  if (number < 4) dataSegmentChanged()
  return true
}

// The stack segment for a privilege level, 0 when it faulted: with `vector` for what is wrong with the selector, the type or
// the level, with #SS for a segment that is not present.
export function stackDescriptor(selector: u32, level: u32, vector: u32, external: u32): u64 {
  const descriptor = readDescriptor(selector, vector, external)
  if (faulted()) return 0
  const ar = accessRightsOf(descriptor)
  if ((selector & 3) != level || !isWritableData(ar) || dplOf(ar) != level) {
    fault(vector, (selector & 0xfffc) | external)
  } else if ((ar & AR_P) == 0) fault(VECTOR_SS, (selector & 0xfffc) | external)
  return faulted() ? 0 : descriptor
}

function loadStackSegment(selector: u32): bool {
  if (isNull(selector)) {
    // Allowed in 64-bit mode outside of ring 3.
    if (!in64() || cpl() == 3 || (selector & 3) != cpl()) {
      gp0()
      return false
    }
    writeNull(L.SS, selector, cpl())
    return true
  }
  const descriptor = stackDescriptor(selector, cpl(), VECTOR_GP, 0)
  if (faulted()) return false
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
  const descriptor = dataDescriptor(selector, VECTOR_GP, 0)
  if (faulted()) return false
  setDescriptorType(selector, TYPE_ACCESSED)
  if (faulted()) return false
  writeFromDescriptor(segment, selector, descriptor)
  return true
}

// A segment for DS, ES, FS or GS at the present privilege level, 0 when it faulted: with `vector`, or #NP.
export function dataDescriptor(selector: u32, vector: u32, external: u32): u64 {
  const descriptor = readDescriptor(selector, vector, external)
  if (faulted()) return 0
  const ar = accessRightsOf(descriptor)
  const inReach = isConforming(ar) || ((selector & 3) <= dplOf(ar) && cpl() <= dplOf(ar))
  if (!isReadable(ar) || !inReach) fault(vector, (selector & 0xfffc) | external)
  else if ((ar & AR_P) == 0) fault(VECTOR_NP, (selector & 0xfffc) | external)
  return faulted() ? 0 : descriptor
}

export function moveToSegment(number: u32, selector: u32): void {
  if (!loadSegment(number, selector)) return
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
  if ((cr4() & CR4_FSGSBASE) != 0) return true
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
  store<u32>(L.CPL, level)
  updateMode()
}
