// Far CALL and JMP: straight to a code segment, through a call gate, or to a task (Intel SDM volume 3, 5.8, and the
// instructions' own pages). All is checked first; registers change only when nothing can fault any more.

import * as L from '../layout'
import { readData } from './access'
import {
  AR_P,
  accessRightsOf,
  dplOf,
  gateIsWide,
  gateOffset,
  gateSelector,
  isCode,
  isConforming,
  isNull,
  SYSTEM_CALL_GATE,
  SYSTEM_CALL_GATE_16,
  SYSTEM_TASK_GATE,
  SYSTEM_TSS,
  SYSTEM_TSS_16,
} from './descriptor'
import { commitFrame, onLongStack, onNewStack, onPresentStack, push, takeFrame } from './frame'
import {
  checkCode,
  checkRip,
  enterCode,
  gateCode,
  innerDescriptor,
  innerLevel,
  innerPointer,
  innerSelector,
  readInnerStack,
  readLevelStack,
  touch,
} from './level'
import { farCallReal, farJumpReal } from './real'
import { loadSegment, readDescriptor, readDescriptorHigh, writeFromDescriptor, writeNull } from './segment'
import { pointerAt, readStack } from './stack'
import {
  complete,
  cpl,
  fault,
  faulted,
  gp0,
  longMode,
  realAddressing,
  segmentSelector,
  setGpr,
  VECTOR_GP,
  VECTOR_NP,
} from './state'
import { switchTask, TASK_CALL, TASK_JUMP, taskGateTarget, taskTarget } from './task'

// Where a far transfer leads, read before anything changes.
let targetRip: u64 = 0
let targetSelector: u32 = 0
let targetDescriptor: u64 = 0

// Offset and selector from memory. AMD processors ignore REX.W here: the offset has 32 bits then. False when it faulted.
function readPointer(address: u64, size: u32, flags: u32): bool {
  const bytes: u32 = size == 16 ? 2 : 4
  targetRip = readData(address, bytes, flags)
  if (faulted()) return false
  targetSelector = readData(address + (bytes as u64), 2, flags) as u32
  return !faulted()
}

// JMP and CALL through memory, and with a pointer in the instruction.

export function farJump(address: u64, size: u32, flags: u32): void {
  if (readPointer(address, size, flags)) jump()
}

export function farCall(address: u64, size: u32, flags: u32): void {
  if (readPointer(address, size, flags)) call(size)
}

export function farJumpDirect(selector: u32, offset: u32): void {
  targetSelector = selector
  targetRip = offset as u64
  jump()
}

export function farCallDirect(selector: u32, offset: u32, size: u32): void {
  targetSelector = selector
  targetRip = offset as u64
  call(size)
}

// The target's descriptor; false when it faulted.
function readTarget(): bool {
  if (isNull(targetSelector)) {
    gp0()
    return false
  }
  targetDescriptor = readDescriptor(targetSelector, VECTOR_GP, 0)
  return !faulted()
}

function jump(): void {
  if (realAddressing()) farJumpReal(targetSelector, targetRip)
  else if (!readTarget()) return
  else if (isCode(accessRightsOf(targetDescriptor))) jumpDirect()
  else jumpThroughSystem()
}

function call(size: u32): void {
  if (realAddressing()) farCallReal(targetSelector, targetRip, size / 8)
  else if (!readTarget()) return
  else if (isCode(accessRightsOf(targetDescriptor))) callDirect(size / 8)
  else callThroughSystem()
}

// The target is a code segment that may be entered without a change of level; false when it faulted.
function checkDirect(): bool {
  const ar = accessRightsOf(targetDescriptor)
  const inReach = isConforming(ar) ? dplOf(ar) <= cpl() : (targetSelector & 3) <= cpl() && dplOf(ar) == cpl()
  if (!inReach) {
    fault(VECTOR_GP, targetSelector & 0xfffc)
    return false
  }
  return checkCode(targetSelector, targetDescriptor, 0)
}

function ripAllowed(): bool {
  return checkRip(targetDescriptor, targetRip, 0)
}

function jumpDirect(): void {
  if (checkDirect() && ripAllowed() && touch(targetSelector))
    enterCode(targetSelector, targetDescriptor, targetRip, cpl())
}

function callDirect(bytes: u32): void {
  if (checkDirect()) callSameLevel(bytes)
}

// The return address goes to the present stack, even if the target turns out to lie beyond the limit (as the vectors, captured
// on Zen 5, have it).
function callSameLevel(bytes: u32): void {
  onPresentStack()
  pushReturn(bytes)
  if (!touch(targetSelector) || !commitFrame(bytes, 0) || !ripAllowed()) return
  takeFrame()
  enterCode(targetSelector, targetDescriptor, targetRip, cpl())
}

function pushReturn(bytes: u32): void {
  push(segmentSelector(L.CS) as u64, bytes)
  push(load<u64>(L.NEXT_RIP), bytes)
}

// Gates and tasks. Long mode has call gates of 64 bits only.

function jumpThroughSystem(): void {
  const type = accessRightsOf(targetDescriptor) & 31
  if (isCallGate(type)) jumpThroughGate()
  else enterTask(type, TASK_JUMP)
}

function callThroughSystem(): void {
  const type = accessRightsOf(targetDescriptor) & 31
  if (isCallGate(type)) callThroughGate()
  else enterTask(type, TASK_CALL)
}

function isCallGate(type: u32): bool {
  return type == SYSTEM_CALL_GATE || (!longMode() && type == SYSTEM_CALL_GATE_16)
}

// What the selector names is for the running level to use, and present. False when it faulted.
function systemAllowed(): bool {
  const ar = accessRightsOf(targetDescriptor)
  if (dplOf(ar) < cpl() || dplOf(ar) < (targetSelector & 3)) fault(VECTOR_GP, targetSelector & 0xfffc)
  else if ((ar & AR_P) == 0) fault(VECTOR_NP, targetSelector & 0xfffc)
  return !faulted()
}

function enterTask(type: u32, kind: u32): void {
  const gate = type == SYSTEM_TASK_GATE
  if (longMode() || (!gate && type != SYSTEM_TSS && type != SYSTEM_TSS_16)) {
    fault(VECTOR_GP, targetSelector & 0xfffc)
    return
  }
  if (!systemAllowed()) return
  const found = gate ? taskGateTarget(targetDescriptor, 0) : taskTarget(targetSelector, 0)
  if (found) switchTask(kind, load<u64>(L.NEXT_RIP), 0, 0)
}

// The code segment and offset behind a call gate take the place of the target; false when it faulted.
function openGate(): bool {
  if (!systemAllowed()) return false
  const gate = targetDescriptor
  const selector = targetSelector
  targetSelector = gateSelector(gate)
  targetDescriptor = gateCode(targetSelector, 0)
  if (faulted()) return false
  targetRip = longMode() ? longGateOffset(selector, gate) : gateOffset(gate)
  return !faulted() && checkCode(targetSelector, targetDescriptor, 0)
}

// Long mode's call gates are 16 bytes long.
function longGateOffset(selector: u32, gate: u64): u64 {
  const high = readDescriptorHigh(selector, VECTOR_GP)
  if (!faulted() && ((high >> 40) & 31) != 0) fault(VECTOR_GP, selector & 0xfffc)
  return gateOffset(gate) | (high << 32)
}

function jumpThroughGate(): void {
  if (!openGate()) return
  const ar = accessRightsOf(targetDescriptor)
  if (!isConforming(ar) && dplOf(ar) != cpl()) {
    fault(VECTOR_GP, targetSelector & 0xfffc)
    return
  }
  if (!ripAllowed() || !touch(targetSelector)) return
  enterCode(targetSelector, targetDescriptor, targetRip, cpl())
}

function callThroughGate(): void {
  const gate = targetDescriptor
  if (!openGate()) return
  const bytes: u32 = longMode() ? 8 : gateIsWide(gate) ? 4 : 2
  const level = innerLevel(accessRightsOf(targetDescriptor), cpl())
  if (level != cpl()) {
    if (longMode()) callLongLevel(level)
    else callInnerLevel(level, bytes, ((gate >> 32) as u32) & 31)
  } else callSameLevel(bytes)
}

// To a more privileged level: its stack from the TSS, with the caller's SS:RSP and the gate's parameters on it.
function callInnerLevel(level: u32, bytes: u32, parameters: u32): void {
  if (!readInnerStack(level, 0)) return
  onNewStack(innerDescriptor, innerPointer, level)
  push(segmentSelector(L.SS) as u64, bytes)
  push(load<u64>(L.RSP), bytes)
  for (let i = parameters; i > 0; i--) {
    push(readStack(pointerAt(((i - 1) * bytes) as i64), bytes), bytes)
    if (faulted()) return
  }
  pushReturn(bytes)
  if (!ripAllowed()) return
  if (!touch(targetSelector) || !commitFrame(bytes, innerSelector & 0xfffc)) return
  writeFromDescriptor(L.SS, innerSelector, innerDescriptor)
  takeFrame()
  enterCode(targetSelector, targetDescriptor, targetRip, level)
}

// The same in long mode: SS becomes null.
function callLongLevel(level: u32): void {
  if (!ripAllowed()) return
  const rsp = readLevelStack(level, 0)
  if (faulted()) return
  onLongStack(rsp, level)
  push(segmentSelector(L.SS) as u64, 8)
  push(load<u64>(L.RSP), 8)
  pushReturn(8)
  if (!touch(targetSelector) || !commitFrame(8, 0)) return
  writeNull(L.SS, level, level)
  takeFrame()
  enterCode(targetSelector, targetDescriptor, targetRip, level)
}

// LSS, LFS, LGS, LDS, LES: pointer to segment register and general register.
export function loadFarPointer(segment: u32, register: u32, address: u64, size: u32, flags: u32): void {
  if (!readPointer(address, size, flags) || !loadSegment(segment, targetSelector)) return
  if (size == 16) store<u16>(L.GPR + (register << 3), targetRip as u16)
  else setGpr(register, targetRip)
  // Of SS, too: no shadow is needed (SDM volume 3, 6.8.3).
  complete()
}
