// The stack in every mode: its pointer has 64 bits in 64-bit mode, else 32 or 16 by SS.B, and outside 64-bit mode each access
// is compared with the limit of SS. ENTER, LEAVE, PUSHA, POPA.
//
// Nothing moves the stack pointer but movePointer(), so that an instruction can do all that may fault before it.

import { FLAG_STACK } from '../interpreter/record'
import * as L from '../layout'
import { probeWrite, readData, writeData } from './access'
import { AR_DB } from './descriptor'
import { segmentCheck } from './limit'
import { loadSegment } from './segment'
import { attend, complete, faulted, in64, NUMBER_SS } from './state'

const READ: u32 = 0
const WRITE: u32 = 1

// What bits of RSP count.
export function stackMask(): u64 {
  if (in64()) return 0xffffffffffffffff
  return (load<u32>(L.SS + L.SEG_AR) & AR_DB) != 0 ? 0xffffffff : 0xffff
}

// Writes so much of a register as the stack pointer has. (A 16-bit stack leaves the upper half of ESP alone.)
export function writeStackRegister(register: u32, value: u64, mask: u64): void {
  if (mask == 0xffff) store<u16>(register, value as u16)
  else store<u64>(register, value & mask)
}

// RSP moved by a distance, as an offset in the stack segment.
export function pointerAt(distance: i64): u64 {
  return (load<u64>(L.RSP) + (distance as u64)) & stackMask()
}

// After an instruction that pushed or popped: RSP moves.
export function movePointer(distance: i64): void {
  writeStackRegister(L.RSP, load<u64>(L.RSP) + (distance as u64), stackMask())
}

// Linear address of an operand on the stack; the caller looks at faulted().
function stackAddress(pointer: u64, bytes: u32, write: u32): u64 {
  return in64() ? pointer : segmentCheck(NUMBER_SS, pointer, bytes, write)
}

export function readStack(pointer: u64, bytes: u32): u64 {
  const linear = stackAddress(pointer, bytes, READ)
  return faulted() ? 0 : readData(linear, bytes, FLAG_STACK)
}

export function writeStack(pointer: u64, value: u64, bytes: u32): void {
  const linear = stackAddress(pointer, bytes, WRITE)
  if (!faulted()) writeData(linear, value, bytes, FLAG_STACK)
}

// Whether a push would succeed; false when it faulted.
export function probePush(pointer: u64, bytes: u32): bool {
  const linear = stackAddress(pointer, bytes, WRITE)
  return !faulted() && probeWrite(linear, bytes, FLAG_STACK)
}

// For instructions: 0, or 1 when a push of so many bytes would fault.
export function probeStack(bytes: u32): u32 {
  return probePush(pointerAt(-(bytes as i64)), bytes) ? 0 : 1
}

// Pushes the low bytes of a value; not 0 when it faulted.
export function pushSegmented(value: u64, bytes: u32): u32 {
  const distance = -(bytes as i64)
  writeStack(pointerAt(distance), value, bytes)
  if (faulted()) return 1
  movePointer(distance)
  return 0
}

// What the top of the stack holds; the stack pointer stays. The caller looks at faulted().
export function topSegmented(bytes: u32): u64 {
  return readStack(pointerAt(0), bytes)
}

// POP to a segment register: the selector has been read from the top of the stack.
export function popSegment(number: u32, selector: u32, bytes: u32): void {
  // SS may have another width afterwards.
  const mask = stackMask()
  const pointer = load<u64>(L.RSP) + (bytes as u64)
  if (!loadSegment(number, selector)) return
  writeStackRegister(L.RSP, pointer, mask)
  complete()
  if (number == NUMBER_SS) attend(L.ATTENTION_SS_SHADOW)
}

function writeRegister(register: u32, value: u64, bytes: u32): void {
  if (bytes == 2) store<u16>(register, value as u16)
  else store<u64>(register, bytes == 4 ? value & 0xffffffff : value)
}

// ENTER size, level. The new frame's lowest byte must be writable, else it faults as a whole.
export function enter(size: u32, level: u32, slotBits: u32): void {
  const bytes = slotBits / 8
  const slot = bytes as u64
  const mask = stackMask()
  const frame = pointerAt(-(slot as i64))
  let at = frame
  writeStack(at, load<u64>(L.RBP), bytes)
  if (faulted()) return
  for (let i: u32 = 1; i < level; i++) {
    const value = readStack((load<u64>(L.RBP) - (i as u64) * slot) & mask, bytes)
    if (faulted()) return
    at = (at - slot) & mask
    writeStack(at, value, bytes)
    if (faulted()) return
  }
  if (level > 0) {
    at = (at - slot) & mask
    writeStack(at, frame, bytes)
    if (faulted()) return
  }
  const pointer = (at - (size as u64)) & mask
  if (!probePush(pointer, bytes)) return
  writeRegister(L.RBP, frame, bytes)
  writeStackRegister(L.RSP, pointer, mask)
  complete()
}

// LEAVE; not 0 when it faulted. (64-bit code has a definition of its own.)
export function leaveSegmented(bytes: u32): u32 {
  const mask = stackMask()
  const frame = load<u64>(L.RBP) & mask
  const saved = readStack(frame, bytes)
  if (faulted()) return 1
  writeStackRegister(L.RSP, frame + (bytes as u64), mask)
  writeRegister(L.RBP, saved, bytes)
  return 0
}

// PUSHA: rAX, rCX, rDX, rBX, the old rSP, rBP, rSI, rDI.
export function pushAll(size: u32): void {
  const bytes = size / 8
  for (let i: u32 = 1; i <= 8; i++) {
    if (!probePush(pointerAt(-((i * bytes) as i64)), bytes)) return
  }
  for (let i: u32 = 0; i < 8; i++) {
    writeStack(pointerAt(-(((i + 1) * bytes) as i64)), load<u64>(L.GPR + (i << 3)), bytes)
  }
  movePointer(-((8 * bytes) as i64))
  complete()
}

// POPA: the same in the other order; what was pushed of rSP is passed over. A fault on the way leaves the registers that were
// popped before it loaded, which does no harm when the instruction runs again (the vectors, captured on Zen 5, have it so).
export function popAll(size: u32): void {
  const bytes = size / 8
  for (let i: u32 = 0; i < 8; i++) {
    const value = readStack(pointerAt((i * bytes) as i64), bytes)
    if (faulted()) return
    const register: u32 = L.RDI - (i << 3)
    if (register != L.RSP) writeRegister(register, value, bytes)
  }
  movePointer((8 * bytes) as i64)
  complete()
}
