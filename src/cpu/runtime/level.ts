// Changes of the privilege level: the inner stack from the TSS, code segments as targets, and what an outer level may keep
// (Intel SDM volume 3, 5.8).

import * as L from '../layout'
import { readSystem } from './access'
import {
  AR_DB,
  AR_L,
  AR_P,
  AR_UNUSABLE,
  accessRightsOf,
  dplOf,
  isCode,
  isConforming,
  isNull,
  limitOf,
  TYPE_ACCESSED,
  TYPE_WIDE,
} from './descriptor'
import {
  readDescriptor,
  setDescriptorType,
  stackDescriptor,
  writeCodeSegment,
  writeFromDescriptor,
  writeNull,
} from './segment'
import {
  cpl,
  fault,
  faulted,
  gp0,
  isCanonical,
  longMode,
  segmentSelector,
  VECTOR_GP,
  VECTOR_NP,
  VECTOR_SS,
  VECTOR_TS,
} from './state'

// The stack of an inner level, outside long mode: selector, pointer and descriptor.
export let innerSelector: u32 = 0
export let innerPointer: u64 = 0
export let innerDescriptor: u64 = 0

function taskStateFault(external: u32): void {
  fault(VECTOR_TS, (segmentSelector(L.TR) & 0xfffc) | external)
}

// Reads the stack of a level from the TSS and checks it; false when it faulted.
export function readInnerStack(level: u32, external: u32): bool {
  const wide = (load<u32>(L.TR + L.SEG_AR) & TYPE_WIDE) != 0
  const offset: u32 = wide ? 4 + (level << 3) : 2 + (level << 2)
  const pointerBytes: u32 = wide ? 4 : 2
  if (offset + pointerBytes + 1 > load<u32>(L.TR + L.SEG_LIMIT)) {
    taskStateFault(external)
    return false
  }
  const address = load<u64>(L.TR + L.SEG_BASE) + (offset as u64)
  innerPointer = readSystem(address, pointerBytes)
  if (faulted()) return false
  innerSelector = readSystem(address + (pointerBytes as u64), 2) as u32
  if (faulted()) return false
  if (isNull(innerSelector)) {
    fault(VECTOR_TS, external)
    return false
  }
  innerDescriptor = stackDescriptor(innerSelector, level, VECTOR_TS, external)
  return !faulted() && touch(innerSelector)
}

// A stack pointer from a 64-bit TSS; the caller looks at faulted().
function readLongStack(offset: u32, external: u32): u64 {
  if (offset + 7 > load<u32>(L.TR + L.SEG_LIMIT)) {
    taskStateFault(external)
    return 0
  }
  const rsp = readSystem(load<u64>(L.TR + L.SEG_BASE) + (offset as u64), 8)
  if (!faulted() && !isCanonical(rsp)) fault(VECTOR_SS, external)
  return rsp
}

const TSS_RSP0: u32 = 4
const TSS_IST1: u32 = 36

// The stack of a level, in long mode; the caller looks at faulted().
export function readLevelStack(level: u32, external: u32): u64 {
  return readLongStack(TSS_RSP0 + (level << 3), external)
}

// A stack of the interrupt stack table, 1 to 7; the caller looks at faulted().
export function readInterruptStack(number: u32, external: u32): u64 {
  return readLongStack(TSS_IST1 + ((number - 1) << 3), external)
}

// The code segment that a gate leads to, if the running level may enter it: its descriptor, or 0 when it faulted.
export function gateCode(selector: u32, external: u32): u64 {
  if (isNull(selector)) {
    fault(VECTOR_GP, external)
    return 0
  }
  const descriptor = readDescriptor(selector, VECTOR_GP, external)
  if (faulted()) return 0
  const ar = accessRightsOf(descriptor)
  const wrongMode = longMode() && (ar & (AR_L | AR_DB)) != AR_L
  if (!isCode(ar) || dplOf(ar) > cpl() || wrongMode) fault(VECTOR_GP, (selector & 0xfffc) | external)
  return faulted() ? 0 : descriptor
}

// Sets the accessed bit of a segment that will be loaded; false when it faulted.
export function touch(selector: u32): bool {
  setDescriptorType(selector, TYPE_ACCESSED)
  return !faulted()
}

// The code segment is present, and does not want to be 16-, 32- and 64-bit code at once. False when it faulted.
export function checkCode(selector: u32, descriptor: u64, external: u32): bool {
  const ar = accessRightsOf(descriptor)
  if ((ar & (AR_L | AR_DB)) == (AR_L | AR_DB)) fault(VECTOR_GP, (selector & 0xfffc) | external)
  else if ((ar & AR_P) == 0) fault(VECTOR_NP, (selector & 0xfffc) | external)
  return !faulted()
}

// RIP is one that the code segment can run; false with #GP.
export function checkRip(descriptor: u64, rip: u64, external: u32): bool {
  const is64 = (accessRightsOf(descriptor) & AR_L) != 0
  const fits = is64 ? isCanonical(rip) : rip <= (limitOf(descriptor) as u64)
  if (!fits) fault(VECTOR_GP, external)
  return fits
}

// The level that code runs at when it is entered from a less privileged one.
export function innerLevel(ar: u32, present: u32): u32 {
  return isConforming(ar) ? present : dplOf(ar)
}

// Goes to code that has passed all checks. The mode is derived here, when the other segments have their new values: nothing
// is cached for a mode in between.
export function enterCode(selector: u32, descriptor: u64, rip: u64, level: u32): void {
  writeCodeSegment(selector, descriptor, level)
  store<u64>(L.RIP, rip)
}

// The stack segment to return to, which may be null for 64-bit code outside of ring 3: its descriptor, or 0; the caller
// looks at faulted().
export function returnStack(selector: u32, level: u32, to64: bool): u64 {
  if (isNull(selector)) {
    if (!to64 || level == 3 || (selector & 3) != level) gp0()
    return 0
  }
  const descriptor = stackDescriptor(selector, level, VECTOR_GP, 0)
  return !faulted() && touch(selector) ? descriptor : 0
}

// SS for a level; a null one goes without descriptor.
export function writeStackSegment(selector: u32, descriptor: u64, level: u32): void {
  if (isNull(selector)) writeNull(L.SS, selector, level)
  else writeFromDescriptor(L.SS, selector, descriptor)
}

// Data segments that the outer level may not use are emptied, and null selectors lose their RPL. (FS and GS bases in use
// by 64-bit code belong to null selectors and stay.)
export function dropPrivilegedSegments(level: u32): void {
  for (let number: u32 = 0; number < 6; number++) {
    if (number == 1 || number == 2) continue
    const segment: u32 = L.SEGMENTS + number * L.SEGMENT_SIZE
    const ar = load<u32>(segment + L.SEG_AR)
    if ((ar & AR_UNUSABLE) != 0) store<u32>(segment + L.SEG_SELECTOR, 0)
    else if (!isConforming(ar) && dplOf(ar) < level) writeNull(segment, 0, 0)
  }
}
