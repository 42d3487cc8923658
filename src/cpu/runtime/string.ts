// String instructions. A call does one element, or, with a repeat prefix, as many as lie in the pages at hand; it answers
// 0 when the instruction is complete, 1 when it faulted (with the registers as far as it got), 2 when there is more to do.
// A call counts as one instruction of the budget whatever it did, in both engines alike.
//
// Pages are worked on in place only where the TLB holds the tag for it: then nothing has to be checked. Otherwise one
// element goes the slow way, which fills the TLB.

import * as L from '../layout'
import { loadSized, readData, writeData } from './access'
import { contextBase, currentContext } from './context'
import { faulted, RFLAGS_DF, systemFlags } from './state'
import { tlbEntry } from './tlb'
import { anyBreakpoint } from './watch'

const COMPLETE: u32 = 0
const FAULTED: u32 = 1
const AGAIN: u32 = 2
const WHILE_EQUAL: u32 = 1

export function addressMask(addressSize: u32): u64 {
  if (addressSize == 64) return 0xffffffffffffffff
  return addressSize == 32 ? 0xffffffff : 0xffff
}

// Writes an index or counter register with the address size.
export function setIndex(register: u32, value: u64, addressSize: u32): void {
  if (addressSize == 16) store<u16>(register, value as u16)
  else store<u64>(register, value & addressMask(addressSize))
}

// Elements still to do: 1 without a repeat prefix.
function remaining(repeat: u32, mask: u64): u64 {
  return repeat == 0 ? 1 : load<u64>(L.RCX) & mask
}

function backward(): bool {
  return (systemFlags() & RFLAGS_DF) != 0
}

export function moveIndex(register: u32, elements: u64, size: u32, addressSize: u32): void {
  const distance = elements * (size as u64)
  const value = load<u64>(register)
  setIndex(register, backward() ? value - distance : value + distance, addressSize)
}

function finish(repeat: u32, elements: u64, addressSize: u32): u32 {
  if (repeat == 0) return COMPLETE
  const left = (load<u64>(L.RCX) & addressMask(addressSize)) - elements
  setIndex(L.RCX, left, addressSize)
  return left == 0 ? COMPLETE : AGAIN
}

// Single-stepping and breakpoints want to see each element.
function mayRunInBulk(repeat: u32): bool {
  return repeat != 0 && (load<u32>(L.STEPPING) & L.STEP_TRAP) == 0 && !anyBreakpoint()
}

// Elements from an address on that lie in its page.
function inPage(linear: u64, size: u32): u64 {
  const offset = (linear as u32) & 4095
  if (offset + size > 4096) return 0
  return backward() ? ((offset / size + 1) as u64) : (((4096 - offset) / size) as u64)
}

// Host address when the TLB has the tag for the page, else 0.
function inPlace(linear: u64, tag: u32): u32 {
  const entry = tlbEntry(contextBase(currentContext()), linear)
  if (load<u64>(entry + tag) != (linear & ~(4095 as u64))) return 0
  return (linear as u32) + load<u32>(entry, L.TLB_ADDEND)
}

function least(a: u64, b: u64): u64 {
  return a < b ? a : b
}

export function stringMove(size: u32, addressSize: u32, repeat: u32, segmentBase: u64): u32 {
  const mask = addressMask(addressSize)
  const wanted = remaining(repeat, mask)
  if (wanted == 0) return COMPLETE
  const source = (load<u64>(L.RSI) & mask) + segmentBase
  const destination = load<u64>(L.RDI) & mask
  let done: u64 = 0
  if (mayRunInBulk(repeat)) {
    const from = inPlace(source, L.TLB_READ)
    const to = inPlace(destination, L.TLB_WRITE)
    if (from != 0 && to != 0) {
      done = least(wanted, least(inPage(source, size), inPage(destination, size)))
      copyElements(from, to, done as u32, size)
    }
  }
  if (done == 0) {
    const value = readData(source, size, 0)
    if (faulted()) return FAULTED
    writeData(destination, value, size, 0)
    if (faulted()) return FAULTED
    done = 1
  }
  moveIndex(L.RSI, done, size, addressSize)
  moveIndex(L.RDI, done, size, addressSize)
  return finish(repeat, done, addressSize)
}

// Overlapping moves repeat a pattern, as element after element would.
function copyElements(from: u32, to: u32, elements: u32, size: u32): void {
  const bytes = elements * size
  if (!backward() && to - from >= bytes) {
    memory.copy(to, from, bytes)
    return
  }
  const step: u32 = backward() ? 0 - size : size
  for (let i: u32 = 0; i < elements; i++) {
    storeSized(to, loadSized(from, size), size)
    from += step
    to += step
  }
}

function storeSized(host: u32, value: u64, size: u32): void {
  if (size == 8) store<u64>(host, value)
  else if (size == 4) store<u32>(host, value as u32)
  else if (size == 2) store<u16>(host, value as u16)
  else store<u8>(host, value as u8)
}

export function stringStore(size: u32, addressSize: u32, repeat: u32, _segmentBase: u64): u32 {
  const mask = addressMask(addressSize)
  const wanted = remaining(repeat, mask)
  if (wanted == 0) return COMPLETE
  const destination = load<u64>(L.RDI) & mask
  const value = load<u64>(L.RAX)
  let done: u64 = 0
  const to = mayRunInBulk(repeat) ? inPlace(destination, L.TLB_WRITE) : 0
  if (to != 0) {
    done = least(wanted, inPage(destination, size))
    fillElements(to, value, done as u32, size)
  }
  if (done == 0) {
    writeData(destination, value, size, 0)
    if (faulted()) return FAULTED
    done = 1
  }
  moveIndex(L.RDI, done, size, addressSize)
  return finish(repeat, done, addressSize)
}

function fillElements(to: u32, value: u64, elements: u32, size: u32): void {
  if (size == 1 && !backward()) {
    memory.fill(to, value as u8, elements)
    return
  }
  const step: u32 = backward() ? 0 - size : size
  for (let i: u32 = 0; i < elements; i++) {
    storeSized(to, value, size)
    to += step
  }
}

export function stringLoad(size: u32, addressSize: u32, repeat: u32, segmentBase: u64): u32 {
  const mask = addressMask(addressSize)
  if (remaining(repeat, mask) == 0) return COMPLETE
  const value = readData((load<u64>(L.RSI) & mask) + segmentBase, size, 0)
  if (faulted()) return FAULTED
  if (size == 4) store<u64>(L.RAX, value)
  else storeSized(L.RAX, value, size)
  moveIndex(L.RSI, 1, size, addressSize)
  return finish(repeat, 1, addressSize)
}

// Flags of a - b.
function compareFlags(a: u64, b: u64, size: u32): void {
  const shift = 64 - ((size as u64) << 3)
  const left = a << shift
  const right = b << shift
  const difference = left - right
  store<i64>(L.FLAG_RESULT, (difference as i64) >> (shift as i64))
  store<u32>(L.FLAG_CARRY, left < right ? 1 : 0)
  store<u32>(L.FLAG_OVERFLOW, (((left ^ right) & (left ^ difference)) >> 32) as u32)
  store<u32>(L.FLAG_AUX, ((a ^ b ^ (a - b)) as u32) & 0x10)
}

// Whether a repeated comparison ends with these operands.
function stops(repeat: u32, a: u64, b: u64): bool {
  return (repeat == WHILE_EQUAL) != (a == b)
}

function comparisonDone(repeat: u32, a: u64, b: u64, elements: u64, size: u32, addressSize: u32): u32 {
  compareFlags(a, b, size)
  const more = finish(repeat, elements, addressSize)
  return repeat != 0 && stops(repeat, a, b) ? COMPLETE : more
}

export function stringCompare(size: u32, addressSize: u32, repeat: u32, segmentBase: u64): u32 {
  const mask = addressMask(addressSize)
  const wanted = remaining(repeat, mask)
  if (wanted == 0) return COMPLETE
  const source = (load<u64>(L.RSI) & mask) + segmentBase
  const destination = load<u64>(L.RDI) & mask
  let a: u64 = 0
  let b: u64 = 0
  let done: u64 = 0
  let first = mayRunInBulk(repeat) ? inPlace(source, L.TLB_READ) : 0
  let second = first != 0 ? inPlace(destination, L.TLB_READ) : 0
  if (second != 0) {
    const limit = least(wanted, least(inPage(source, size), inPage(destination, size)))
    const step: u32 = backward() ? 0 - size : size
    while (done < limit) {
      a = loadSized(first, size)
      b = loadSized(second, size)
      done++
      if (stops(repeat, a, b)) break
      first += step
      second += step
    }
  }
  if (done == 0) {
    a = readData(source, size, 0)
    if (faulted()) return FAULTED
    b = readData(destination, size, 0)
    if (faulted()) return FAULTED
    done = 1
  }
  moveIndex(L.RSI, done, size, addressSize)
  moveIndex(L.RDI, done, size, addressSize)
  return comparisonDone(repeat, a, b, done, size, addressSize)
}

export function stringScan(size: u32, addressSize: u32, repeat: u32, _segmentBase: u64): u32 {
  const mask = addressMask(addressSize)
  const wanted = remaining(repeat, mask)
  if (wanted == 0) return COMPLETE
  const destination = load<u64>(L.RDI) & mask
  const a = size == 8 ? load<u64>(L.RAX) : load<u64>(L.RAX) & (((1 as u64) << ((size as u64) << 3)) - 1)
  let b: u64 = 0
  let done: u64 = 0
  let at = mayRunInBulk(repeat) ? inPlace(destination, L.TLB_READ) : 0
  if (at != 0) {
    const limit = least(wanted, inPage(destination, size))
    const step: u32 = backward() ? 0 - size : size
    while (done < limit) {
      b = loadSized(at, size)
      done++
      if (stops(repeat, a, b)) break
      at += step
    }
  }
  if (done == 0) {
    b = readData(destination, size, 0)
    if (faulted()) return FAULTED
    done = 1
  }
  moveIndex(L.RDI, done, size, addressSize)
  return comparisonDone(repeat, a, b, done, size, addressSize)
}
