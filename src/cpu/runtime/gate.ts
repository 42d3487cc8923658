// Events through the IDT, in protected mode (Intel SDM volume 3, 6.12, and INT n in volume 2) and in long mode (6.14).
// Nothing has changed when a function here gives false: another fault is recorded then.

import * as L from '../layout'
import { readSystem } from './access'
import {
  AR_P,
  accessRightsOf,
  dplOf,
  gateIsWide,
  gateOffset,
  gateSelector,
  SYSTEM_INTERRUPT_GATE,
  SYSTEM_INTERRUPT_GATE_16,
  SYSTEM_TASK_GATE,
  SYSTEM_TRAP_GATE,
  SYSTEM_TRAP_GATE_16,
  TYPE_WIDE,
} from './descriptor'
import { readRflags, writeRflags } from './flags'
import { commitFrame, frameFits, onLongStack, onNewStack, onPresentStack, push, takeFrame } from './frame'
import {
  checkRip,
  enterCode,
  gateCode,
  innerDescriptor,
  innerLevel,
  innerPointer,
  innerSelector,
  readInnerStack,
  readInterruptStack,
  readLevelStack,
  touch,
} from './level'
import { readSelector, writeFromDescriptor, writeNull } from './segment'
import {
  cpl,
  fault,
  faulted,
  longMode,
  RFLAGS_IF,
  RFLAGS_NT,
  RFLAGS_RF,
  RFLAGS_TF,
  RFLAGS_VM,
  segmentSelector,
  VECTOR_GP,
  VECTOR_NP,
  virtual8086,
} from './state'
import { switchTask, TASK_CALL, taskGateTarget } from './task'

// Bit 1 of an error code: the index is one of the IDT.
const ERROR_IDT: u32 = 2

// The event that is being delivered. Bit 0 of error codes on the way (EXT) says that no instruction asked for it.
let external: u32 = 0
let hasError = false
let errorCode: u32 = 0
let returnRip: u64 = 0
let flags: u32 = 0

// A gate's lower half is in gateLow, the upper one in gateHigh (long mode).
let gateLow: u64 = 0
let gateHigh: u64 = 0

// Reads the gate of a vector; false when it lies beyond the limit of the IDT, or reading it faulted.
export function readGate(vector: u32): bool {
  const size: u32 = longMode() ? 16 : 8
  if (vector * size + size - 1 > load<u32>(L.IDTR + L.SEG_LIMIT)) return false
  const address = load<u64>(L.IDTR + L.SEG_BASE) + ((vector * size) as u64)
  gateLow = readSystem(address, 8)
  if (!faulted() && longMode()) gateHigh = readSystem(address + 8, 8)
  return !faulted()
}

// Whether the gate that was read lets INT n through.
export function gateOpen(): bool {
  return dplOf(accessRightsOf(gateLow)) >= cpl()
}

function isGate(type: u32): bool {
  if (type == SYSTEM_INTERRUPT_GATE || type == SYSTEM_TRAP_GATE) return true
  if (longMode()) return false
  return type == SYSTEM_INTERRUPT_GATE_16 || type == SYSTEM_TRAP_GATE_16 || type == SYSTEM_TASK_GATE
}

// Delivers an event. `resume` sets RF in the saved flags, so that a fault is resumed past instruction breakpoints.
export function deliverThroughGate(
  vector: u32,
  withError: bool,
  error: u32,
  software: bool,
  rip: u64,
  resume: bool,
): bool {
  external = software ? 0 : 1
  hasError = withError
  errorCode = error
  returnRip = rip
  flags = (readRflags() as u32) | (resume ? RFLAGS_RF : 0)
  const gateError = (vector << 3) | ERROR_IDT | external
  if (!readGate(vector)) {
    if (!faulted()) fault(VECTOR_GP, gateError)
    return false
  }
  const ar = accessRightsOf(gateLow)
  if (!isGate(ar & 31) || (software && !gateOpen())) {
    fault(VECTOR_GP, gateError)
    return false
  }
  if ((ar & AR_P) == 0) {
    fault(VECTOR_NP, gateError)
    return false
  }
  return (ar & 31) == SYSTEM_TASK_GATE ? enterTask() : enterHandler(ar)
}

// The code segment of the handler.
let selector: u32 = 0
let descriptor: u64 = 0

function selectorFault(vector: u32): void {
  fault(vector, (selector & 0xfffc) | external)
}

function readHandler(): bool {
  selector = gateSelector(gateLow)
  descriptor = gateCode(selector, external)
  if (faulted()) return false
  const ar = accessRightsOf(descriptor)
  // Out of virtual-8086 mode only ring 0 is reached.
  if (virtual8086() && innerLevel(ar, cpl()) != 0) selectorFault(VECTOR_GP)
  else if ((ar & AR_P) == 0) selectorFault(VECTOR_NP)
  return !faulted()
}

function enterHandler(gate: u32): bool {
  if (!readHandler()) return false
  const offset = gateOffset(gateLow)
  const bytes: u32 = gateIsWide(gateLow) ? 4 : 2
  const level = innerLevel(accessRightsOf(descriptor), cpl())
  const entered = longMode()
    ? enterLong(offset | (gateHigh << 32), level)
    : level == cpl()
      ? enterSameLevel(offset, bytes)
      : enterInnerLevel(offset, bytes, level)
  if (!entered) return false
  // An interrupt gate, unlike a trap gate, clears IF.
  const cleared = RFLAGS_TF | RFLAGS_NT | RFLAGS_RF | ((gate & 1) == 0 ? RFLAGS_IF : 0)
  writeRflags(((readRflags() as u32) & ~cleared) as u64)
  return true
}

function pushReturn(bytes: u32): void {
  push(flags as u64, bytes)
  push(segmentSelector(L.CS) as u64, bytes)
  push(returnRip, bytes)
  if (hasError) push(errorCode as u64, bytes)
}

function pushOldStack(bytes: u32): void {
  push(segmentSelector(L.SS) as u64, bytes)
  push(load<u64>(L.RSP), bytes)
}

// Long mode: SS:RSP are pushed always, on a stack that begins at a multiple of 16, and a new level has a null SS.
function enterLong(rip: u64, level: u32): bool {
  if (!checkRip(descriptor, rip, external)) return false
  const ist = ((gateLow >> 32) as u32) & 7
  let rsp = load<u64>(L.RSP)
  if (ist != 0 || level != cpl()) {
    rsp = ist != 0 ? readInterruptStack(ist, external) : readLevelStack(level, external)
    if (faulted()) return false
  }
  onLongStack(rsp & ~(15 as u64), level)
  pushOldStack(8)
  pushReturn(8)
  if (!touch(selector) || !commitFrame(8, external)) return false
  if (level != cpl()) writeNull(L.SS, level, level)
  takeFrame()
  enterCode(selector, descriptor, rip, level)
  return true
}

function enterSameLevel(rip: u64, bytes: u32): bool {
  onPresentStack()
  pushReturn(bytes)
  if (!frameFits(bytes, external) || !checkRip(descriptor, rip, external)) return false
  if (!touch(selector) || !commitFrame(bytes, external)) return false
  takeFrame()
  enterCode(selector, descriptor, rip, cpl())
  return true
}

// The stack of the inner level is in the TSS. Out of virtual-8086 mode the data segments are saved, too, and emptied.
function enterInnerLevel(rip: u64, bytes: u32, level: u32): bool {
  if (!readInnerStack(level, external)) return false
  const virtual = virtual8086()
  const stackError = (innerSelector & 0xfffc) | external
  onNewStack(innerDescriptor, innerPointer, level)
  if (virtual) pushDataSegments(bytes)
  pushOldStack(bytes)
  pushReturn(bytes)
  if (!frameFits(bytes, stackError) || !checkRip(descriptor, rip, external)) return false
  if (!touch(selector) || !commitFrame(bytes, stackError)) return false
  if (virtual) leaveVirtual8086()
  writeFromDescriptor(L.SS, innerSelector, innerDescriptor)
  takeFrame()
  enterCode(selector, descriptor, rip, level)
  return true
}

// GS, FS, DS, ES
function pushDataSegments(bytes: u32): void {
  for (let number: u32 = 5; number >= 3; number--) push(readSelector(number) as u64, bytes)
  push(readSelector(0) as u64, bytes)
}

function leaveVirtual8086(): void {
  store<u32>(L.RFLAGS, load<u32>(L.RFLAGS) & ~RFLAGS_VM)
  writeNull(L.GS, 0, 0)
  writeNull(L.FS, 0, 0)
  writeNull(L.DS, 0, 0)
  writeNull(L.ES, 0, 0)
}

// The handler is a task of its own: the state saved is in the old one, the error code goes to the new one's stack.
function enterTask(): bool {
  if (!taskGateTarget(gateLow, external)) return false
  if (!switchTask(TASK_CALL, returnRip, external, flags & RFLAGS_RF)) return false
  if (!hasError) return true
  onPresentStack()
  const bytes: u32 = taskIsWide() ? 4 : 2
  push(errorCode as u64, bytes)
  if (!commitFrame(bytes, external)) return false
  takeFrame()
  return true
}

function taskIsWide(): bool {
  return (load<u32>(L.TR + L.SEG_AR) & TYPE_WIDE) != 0
}
