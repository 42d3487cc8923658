// Vector instructions that access memory element by element, with a mask: VMASKMOVPS and its kin, and gathers. What the mask
// leaves out is not accessed, so it can not fault. Registers are given by their places in the CPU state. Each function gives
// 1 when it faulted.
//
// `how` tells of the address, as encode.ts writes it: number of the segment in bits 2:0, scale in bits 5:4, address size in
// bits 15:8.

import * as L from '../layout'
import { loadSized, modifyCommit, modifyMiss, probeWrite, readData, writeData } from './access'
import { faulted, NUMBER_SS } from './state'
import { addressMask, operandAddress } from './string'

// ACCESS_ flags of the segment.
function accessOf(how: u32): u32 {
  return (how & 7) == NUMBER_SS ? 1 : 0
}

function addressOf(offset: u64, how: u32, width: u32, write: u32): u64 {
  return operandAddress(how & 7, offset & addressMask((how >> 8) & 0xff), width, write)
}

// Whether the sign of an element of a mask is set.
function isSelected(mask: u32, at: u32, width: u32): bool {
  return (load<u8>(mask + at + width - 1) & 0x80) != 0
}

function storeSized(place: u32, value: u64, width: u32): void {
  if (width == 8) store<u64>(place, value)
  else store<u32>(place, value as u32)
}

export function maskedLoad(to: u32, mask: u32, offset: u64, how: u32, width: u32, bytes: u32): u32 {
  memory.fill(L.SCRATCH, 0, L.YMM_SIZE)
  for (let at: u32 = 0; at < bytes; at += width) {
    if (!isSelected(mask, at, width)) continue
    const linear = addressOf(offset + (at as u64), how, width, 0)
    if (faulted()) return 1
    const value = readData(linear, width, accessOf(how))
    if (faulted()) return 1
    storeSized(L.SCRATCH + at, value, width)
  }
  memory.copy(to, L.SCRATCH, L.YMM_SIZE)
  return 0
}

// Nothing is stored unless all of it can be.
export function maskedStore(from: u32, mask: u32, offset: u64, how: u32, width: u32, bytes: u32): u32 {
  for (let at: u32 = 0; at < bytes; at += width) {
    if (!isSelected(mask, at, width)) continue
    const linear = addressOf(offset + (at as u64), how, width, 1)
    if (faulted() || !probeWrite(linear, width, accessOf(how))) return 1
  }
  for (let at: u32 = 0; at < bytes; at += width) {
    if (!isSelected(mask, at, width)) continue
    const linear = addressOf(offset + (at as u64), how, width, 1)
    writeData(linear, loadSized(from + at, width), width, accessOf(how))
  }
  return 0
}

// MASKMOVQ and MASKMOVDQU: all of the operand must be there, even what the mask leaves out.
export function storeMaskedBytes(from: u32, mask: u32, offset: u64, how: u32, bytes: u32): u32 {
  const linear = addressOf(offset, how, bytes, 1)
  if (faulted()) return 1
  const host = modifyMiss(linear, bytes, accessOf(how))
  if (host == 0) return 1
  for (let at: u32 = 0; at < bytes; at++) {
    if (isSelected(mask, at, 1)) store<u8>(host + at, load<u8>(from + at))
  }
  if (host == L.BOUNCE) modifyCommit(linear, bytes)
  return 0
}

// Elements that have arrived are not asked for again after a fault: their part of the mask is cleared.
export function gather(
  to: u32,
  mask: u32,
  indices: u32,
  offset: u64,
  how: u32,
  indexWidth: u32,
  width: u32,
  count: u32,
): u32 {
  for (let n: u32 = 0; n < count; n++) {
    const at = n * width
    if (isSelected(mask, at, width)) {
      const place = indices + n * indexWidth
      const index = indexWidth == 8 ? load<i64>(place) : (load<i32>(place) as i64)
      const linear = addressOf(offset + ((index as u64) << ((how >> 4) & 3)), how, width, 0)
      if (faulted()) return 1
      const value = readData(linear, width, accessOf(how))
      if (faulted()) return 1
      storeSized(to + at, value, width)
    }
    storeSized(mask + at, 0, width)
  }
  const bytes = count * width
  memory.fill(to + bytes, 0, L.YMM_SIZE - bytes)
  memory.fill(mask, 0, L.YMM_SIZE)
  return 0
}
