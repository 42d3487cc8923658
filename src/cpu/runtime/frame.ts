// What an event or a far call pushes as a whole: on the present stack, or on that of an inner level, which becomes the present
// one only when nothing can fault any more. The frame is put together below FRAME_END as it will lie in memory, then checked,
// then stored, all of it or nothing.

import * as L from '../layout'
import { probeFrame, storeFrame } from './access'
import { AR_DB, accessRightsOf, baseOf, limitOf } from './descriptor'
import { withinLimit } from './limit'
import { stackMask, writeStackRegister } from './stack'
import { cpl, fault, in64, VECTOR_SS } from './state'

let long = false
let base: u64 = 0
let limit: u32 = 0
let rights: u32 = 0
let mask: u64 = 0
let level: u32 = 0
// The stack pointer before the frame, and how long the frame is.
let top: u64 = 0
let size: u32 = 0

// Begins a frame on the present stack.
export function onPresentStack(): void {
  long = in64()
  base = load<u64>(L.SS + L.SEG_BASE)
  limit = load<u32>(L.SS + L.SEG_LIMIT)
  rights = load<u32>(L.SS + L.SEG_AR)
  mask = stackMask()
  level = cpl()
  top = load<u64>(L.RSP) & mask
  size = 0
}

// Begins a frame on a stack that is not loaded yet.
export function onNewStack(descriptor: u64, pointer: u64, newLevel: u32): void {
  long = false
  base = baseOf(descriptor)
  limit = limitOf(descriptor)
  rights = accessRightsOf(descriptor)
  mask = (rights & AR_DB) != 0 ? 0xffffffff : 0xffff
  level = newLevel
  top = pointer & mask
  size = 0
}

// Begins a frame for 64-bit code.
export function onLongStack(pointer: u64, newLevel: u32): void {
  long = true
  mask = 0xffffffffffffffff
  level = newLevel
  top = pointer
  size = 0
}

export function push(value: u64, bytes: u32): void {
  size += bytes
  const place = L.FRAME_END - size
  if (bytes == 2) store<u16>(place, value as u16)
  else if (bytes == 4) store<u32>(place, value as u32)
  else store<u64>(place, value)
}

// Whether the pointer does not wrap around within the frame.
function inOnePiece(): bool {
  return top >= (size as u64) || top == 0
}

function pieceFits(pointer: u64, bytes: u32): bool {
  return long || withinLimit(limit, rights, pointer & mask, bytes)
}

// The frame of slots of so many bytes lies within the stack segment; #SS with the error code otherwise.
export function frameFits(slot: u32, errorCode: u32): bool {
  let fits = true
  if (inOnePiece()) fits = pieceFits(top - (size as u64), size)
  else {
    for (let at = slot; at <= size; at += slot) fits = fits && pieceFits(top - (at as u64), slot)
  }
  if (!fits) fault(VECTOR_SS, errorCode)
  return fits
}

function linearOf(pointer: u64): u64 {
  return long ? pointer : (base + (pointer & mask)) & 0xffffffff
}

// Stores the frame; false when it faulted. #SS has the error code.
function storeAll(slot: u32, errorCode: u32): bool {
  if (inOnePiece()) return stored(storeFrame(linearOf(top - (size as u64)), L.FRAME_END - size, size, level), errorCode)
  for (let at = slot; at <= size; at += slot) {
    if (!stored(probeFrame(linearOf(top - (at as u64)), slot, level), errorCode)) return false
  }
  for (let at = slot; at <= size; at += slot) storeFrame(linearOf(top - (at as u64)), L.FRAME_END - at, slot, level)
  return true
}

function stored(done: bool, errorCode: u32): bool {
  if (!done && load<i32>(L.FAULT_VECTOR) == VECTOR_SS) fault(VECTOR_SS, errorCode)
  return done
}

// Checks and stores.
export function commitFrame(slot: u32, errorCode: u32): bool {
  return frameFits(slot, errorCode) && storeAll(slot, errorCode)
}

// RSP behind the frame; SS is that of its stack by now.
export function takeFrame(): void {
  writeStackRegister(L.RSP, top - (size as u64), mask)
}
