// Far RET and IRET (Intel SDM volume 3, 5.8.6 and 6.12.1): to the same or an outer level, to virtual-8086 mode, and to the task
// that called this one. All is popped and checked first; registers change only when nothing can fault any more.

import * as L from '../layout'
import { AR_L, accessRightsOf, dplOf, isCode, isConforming, isNull } from './descriptor'
import { loadFlags, virtualTrap, writeRflags } from './flags'
import { checkCode, checkRip, dropPrivilegedSegments, enterCode, returnStack, touch, writeStackSegment } from './level'
import { updateMode } from './mode'
import { farReturnReal, interruptReturnReal } from './real'
import { readDescriptor, writeReal } from './segment'
import { movePointer, pointerAt, readStack, stackMask, writeStackRegister } from './stack'
import {
  complete,
  cpl,
  fault,
  faulted,
  gp0,
  in64,
  longMode,
  RFLAGS_NT,
  RFLAGS_RF,
  RFLAGS_VIF,
  RFLAGS_VIP,
  RFLAGS_VM,
  realAddressing,
  systemFlags,
  VECTOR_GP,
} from './state'
import { returnToTask } from './task'

// What a return pops.
let poppedRip: u64 = 0
let poppedCs: u32 = 0
let poppedFlags: u64 = 0
let poppedRsp: u64 = 0
let poppedSs: u32 = 0
// The descriptors of CS and SS.
let code: u64 = 0
let stack: u64 = 0

// The slot so many slots and bytes above the top of the stack.
function pop(index: u32, bytes: u32, extra: u32): u64 {
  return readStack(pointerAt((index * bytes + extra) as i64), bytes)
}

function popSelector(index: u32, bytes: u32, extra: u32): u32 {
  return (pop(index, bytes, extra) as u32) & 0xffff
}

// The pops leave on the first fault.
function popTarget(bytes: u32): bool {
  poppedRip = pop(0, bytes, 0)
  if (faulted()) return false
  poppedCs = popSelector(1, bytes, 0)
  return !faulted()
}

function popStack(index: u32, bytes: u32, extra: u32): bool {
  poppedRsp = pop(index, bytes, extra)
  if (faulted()) return false
  poppedSs = popSelector(index + 1, bytes, extra)
  return !faulted()
}

// The code segment to return to: its level may be the same or an outer one. False when it faulted.
function checkReturnCode(): bool {
  if (isNull(poppedCs)) {
    gp0()
    return false
  }
  code = readDescriptor(poppedCs, VECTOR_GP, 0)
  if (faulted()) return false
  const ar = accessRightsOf(code)
  const rpl = poppedCs & 3
  const levelFits = isConforming(ar) ? dplOf(ar) <= rpl : dplOf(ar) == rpl
  if (!isCode(ar) || rpl < cpl() || !levelFits) {
    fault(VECTOR_GP, poppedCs & 0xfffc)
    return false
  }
  return checkCode(poppedCs, code, 0)
}

function checkReturnStack(): bool {
  stack = returnStack(poppedSs, poppedCs & 3, (accessRightsOf(code) & AR_L) != 0)
  return !faulted()
}

function readyToEnter(): bool {
  return checkRip(code, poppedRip, 0) && touch(poppedCs)
}

// To the level of CS, with its stack. What the stack pointer does not have of RSP stays.
function enterWithStack(extra: u32): void {
  const level = poppedCs & 3
  writeStackSegment(poppedSs, stack, level)
  if (level != cpl()) dropPrivilegedSegments(level)
  enterCode(poppedCs, code, poppedRip, level)
  writeStackRegister(L.RSP, poppedRsp + (extra as u64), stackMask())
}

export function farReturn(size: u32, extra: u32): void {
  const bytes = size / 8
  if (realAddressing()) {
    farReturnReal(bytes, extra)
    return
  }
  if (!popTarget(bytes) || !checkReturnCode()) return
  if ((poppedCs & 3) == cpl()) {
    if (!readyToEnter()) return
    movePointer((2 * bytes + extra) as i64)
    enterCode(poppedCs, code, poppedRip, cpl())
    return
  }
  if (popStack(2, bytes, extra) && checkReturnStack() && readyToEnter()) enterWithStack(extra)
}

export function interruptReturn(size: u32): void {
  if (realAddressing()) interruptReturnReal(size)
  else if ((systemFlags() & RFLAGS_NT) == 0) returnFromHandler(size)
  else if (longMode()) gp0()
  else returnToTask()
}

function returnFromHandler(size: u32): void {
  const bytes = size / 8
  if (!popTarget(bytes)) return
  poppedFlags = pop(2, bytes, 0)
  if (faulted()) return
  const toVirtual = size == 32 && (poppedFlags & (RFLAGS_VM as u64)) != 0
  if (toVirtual && cpl() == 0 && !longMode()) {
    returnToVirtual8086()
    return
  }
  // 64-bit code pops SS:RSP whatever the level.
  const withStack = in64()
  if (withStack && !popStack(3, bytes, 0)) return
  if (!checkReturnCode()) return
  const level = cpl()
  if (!withStack && (poppedCs & 3) == level) {
    if (!readyToEnter()) return
    movePointer((3 * bytes) as i64)
    enterCode(poppedCs, code, poppedRip, level)
  } else {
    if (!withStack && !popStack(3, bytes, 0)) return
    if (!checkReturnStack() || !readyToEnter()) return
    enterWithStack(0)
  }
  loadFlags(poppedFlags, size, level, level == 0 ? RFLAGS_RF | RFLAGS_VIF | RFLAGS_VIP : RFLAGS_RF)
}

// EIP, CS and EFLAGS are popped already; ESP, SS, ES, DS, FS and GS follow.
function returnToVirtual8086(): void {
  for (let index: u32 = 3; index < 9; index++) {
    store<u32>(L.SCRATCH + (index << 2), pop(index, 4, 0) as u32)
    if (faulted()) return
  }
  if (poppedRip > 0xffff) {
    gp0()
    return
  }
  writeRflags(poppedFlags)
  writeReal(L.CS, poppedCs)
  writeReal(L.SS, load<u16>(L.SCRATCH + 16))
  writeReal(L.ES, load<u16>(L.SCRATCH + 20))
  writeReal(L.DS, load<u16>(L.SCRATCH + 24))
  writeReal(L.FS, load<u16>(L.SCRATCH + 28))
  writeReal(L.GS, load<u16>(L.SCRATCH + 32))
  store<u64>(L.RSP, load<u32>(L.SCRATCH + 12) as u64)
  store<u64>(L.RIP, poppedRip)
  store<u32>(L.CPL, 3)
  updateMode()
}

// POPF; RF is cleared when all of EFLAGS is written.
export function popFlags(size: u32): void {
  if (virtualTrap()) {
    gp0()
    return
  }
  const image = readStack(pointerAt(0), size / 8)
  if (faulted()) return
  loadFlags(image & ~(RFLAGS_RF as u64), size, cpl(), RFLAGS_RF)
  movePointer((size / 8) as i64)
  complete()
}
