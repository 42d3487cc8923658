// String instructions. A call does one element, or, with a repeat prefix, as many as lie in the pages of its operands; it
// answers 0 when the instruction is complete, 1 when it faulted (with the registers as far as it got), 2 when there is more
// to do. A call counts as one instruction of the budget: how many calls an instruction takes depends on addresses alone, not
// on what the TLB holds, so that virtual time is the same in every engine.
//
// Pages are worked on in place where the TLB holds the tag for it: then nothing has to be checked. Otherwise an element
// goes the slow way, which fills the TLB.

import * as L from '../layout'
import { loadSized, probeWrite, readData, writeData } from './access'
import { contextBase, currentContext } from './context'
import { segmentAllows, segmentCheck } from './limit'
import { faulted, in64, NUMBER_DS, NUMBER_ES, NUMBER_FS, NUMBER_SS, RFLAGS_DF, systemFlags } from './state'
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

// After some elements: the counter, if there is one.
function countDown(repeat: u32, elements: u64, addressSize: u32): void {
  if (repeat != 0) setIndex(L.RCX, (load<u64>(L.RCX) & addressMask(addressSize)) - elements, addressSize)
}

function outcome(repeat: u32, mask: u64): u32 {
  return repeat != 0 && (load<u64>(L.RCX) & mask) != 0 ? AGAIN : COMPLETE
}

// Single-stepping and breakpoints want to see each element.
function oneByOne(repeat: u32): bool {
  return repeat == 0 || (load<u32>(L.STEPPING) & L.STEP_TRAP) != 0 || anyBreakpoint()
}

// Elements from an address on that lie in its page; an element that does not counts as one.
function inPage(linear: u64, size: u32): u64 {
  const offset = (linear as u32) & 4095
  if (offset + size > 4096) return 1
  return backward() ? ((offset / size + 1) as u64) : (((4096 - offset) / size) as u64)
}

// Host address when the TLB has the tag for the page, else 0.
function inPlace(linear: u64, tag: u32): u32 {
  const entry = tlbEntry(contextBase(currentContext()), linear)
  if (load<u64>(entry + tag) != (linear & ~(4095 as u64))) return 0
  return (linear as u32) + load<u32>(entry, L.TLB_ADDEND)
}

// Whether an operand in a segment always lies in it: in 64-bit mode, and in a flat segment of MODE_32.
function unchecked(number: u32): bool {
  const mode = load<u32>(L.MODE) & L.MODE_SIZE_MASK
  return mode == L.MODE_64 || (mode == L.MODE_32 && (number == NUMBER_ES || number == NUMBER_SS || number == NUMBER_DS))
}

// Linear address of an offset; 64-bit mode has bases for FS and GS only.
function linearOf(number: u32, offset: u64): u64 {
  if (in64() && number < NUMBER_FS) return offset
  return (load<u64>(L.SEGMENTS + number * L.SEGMENT_SIZE + L.SEG_BASE) + offset) & load<u64>(L.RIP_MASK)
}

// Linear address of an operand at an offset, which has been cut to the address size; the caller looks at faulted().
export function operandAddress(number: u32, offset: u64, size: u32, write: u32): u64 {
  return unchecked(number) ? linearOf(number, offset) : segmentCheck(number, offset, size, write)
}

// The same for the element at an index register.
export function elementAddress(number: u32, register: u32, size: u32, mask: u64, write: u32): u64 {
  return operandAddress(number, load<u64>(register) & mask, size, write)
}

// Elements from an index register on that may be done at once: those in the page, until the index wraps around, and in the
// segment. At least 1.
function room(number: u32, register: u32, size: u32, mask: u64, write: u32): u64 {
  const offset = load<u64>(register) & mask
  const toWrap = backward() ? offset : mask - offset
  const elements = min<u64>(inPage(linearOf(number, offset), size), toWrap / (size as u64) + 1)
  if (unchecked(number)) return elements
  const span = (elements - 1) * (size as u64)
  const last = backward() ? offset - span : offset + span
  return segmentAllows(number, offset, size, write) && segmentAllows(number, last, size, write) ? elements : 1
}

// Elements that one call does.
function chunk(repeat: u32, wanted: u64, room: u64): u64 {
  return oneByOne(repeat) ? 1 : min<u64>(wanted, room)
}

// An operand that crosses into the next page is never done in place.
function wholeInPage(linear: u64, size: u32): bool {
  return ((linear as u32) & 4095) + size <= 4096
}

export function stringMove(size: u32, addressSize: u32, repeat: u32, segment: u32): u32 {
  const mask = addressMask(addressSize)
  const wanted = remaining(repeat, mask)
  if (wanted == 0) return COMPLETE
  let left = chunk(repeat, wanted, min<u64>(room(segment, L.RSI, size, mask, 0), room(NUMBER_ES, L.RDI, size, mask, 1)))
  if (addressSize == 16 && left > 1 && movesEights(size) && !reachBoth(segment, size, mask)) return FAULTED
  while (left != 0) {
    const source = elementAddress(segment, L.RSI, size, mask, 0)
    if (faulted()) return FAULTED
    const destination = linearOf(NUMBER_ES, load<u64>(L.RDI) & mask)
    const whole = wholeInPage(source, size) && wholeInPage(destination, size)
    const from = whole ? inPlace(source, L.TLB_READ) : 0
    const to = from != 0 && (left > 1 || unchecked(NUMBER_ES)) ? inPlace(destination, L.TLB_WRITE) : 0
    const done: u64 = to != 0 ? left : 1
    if (to != 0) {
      if (addressSize == 16 && movesEights(size)) copyEights(from, to, (done as u32) * size)
      else copyElements(from, to, done as u32, size)
    } else if (!moveElement(source, size, mask)) return FAULTED
    moveIndex(L.RSI, done, size, addressSize)
    moveIndex(L.RDI, done, size, addressSize)
    countDown(repeat, done, addressSize)
    left -= done
  }
  return outcome(repeat, mask)
}

// The slow way; false when it faulted.
function moveElement(source: u64, size: u32, mask: u64): bool {
  const value = readData(source, size, 0)
  if (faulted()) return false
  const destination = elementAddress(NUMBER_ES, L.RDI, size, mask, 1)
  if (faulted()) return false
  writeData(destination, value, size, 0)
  return !faulted()
}

// With 16-bit addresses a Zen 5 reads 8 bytes, or what is left, before it stores them, even if an element in them is stored
// to (vectors int16-str.74 and .136; the manuals have element after element, and other address sizes do so). It can only be
// seen where a short distance is not a number of elements.
function movesEights(size: u32): bool {
  const distance: u32 = (load<u32>(L.RDI) - load<u32>(L.RSI)) & 0xffff
  return !backward() && distance < 8 && distance % size != 0
}

function copyEights(from: u32, to: u32, bytes: u32): void {
  for (let done: u32 = 0; done < bytes; done += 8) memory.copy(to + done, from + done, min<u32>(8, bytes - done))
}

// Both operands' pages are in the TLB afterwards, if they may be: false when the first element faults.
function reachBoth(segment: u32, size: u32, mask: u64): bool {
  const source = elementAddress(segment, L.RSI, size, mask, 0)
  if (!faulted()) readData(source, size, 0)
  if (faulted()) return false
  const destination = elementAddress(NUMBER_ES, L.RDI, size, mask, 1)
  return !faulted() && probeWrite(destination, size, 0)
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

export function stringStore(size: u32, addressSize: u32, repeat: u32, _segment: u32): u32 {
  const mask = addressMask(addressSize)
  const wanted = remaining(repeat, mask)
  if (wanted == 0) return COMPLETE
  const value = load<u64>(L.RAX)
  let left = chunk(repeat, wanted, room(NUMBER_ES, L.RDI, size, mask, 1))
  while (left != 0) {
    const destination = elementAddress(NUMBER_ES, L.RDI, size, mask, 1)
    if (faulted()) return FAULTED
    const to = wholeInPage(destination, size) ? inPlace(destination, L.TLB_WRITE) : 0
    const done: u64 = to != 0 ? left : 1
    if (to != 0) fillElements(to, value, done as u32, size)
    else {
      writeData(destination, value, size, 0)
      if (faulted()) return FAULTED
    }
    moveIndex(L.RDI, done, size, addressSize)
    countDown(repeat, done, addressSize)
    left -= done
  }
  return outcome(repeat, mask)
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

export function stringLoad(size: u32, addressSize: u32, repeat: u32, segment: u32): u32 {
  const mask = addressMask(addressSize)
  const wanted = remaining(repeat, mask)
  if (wanted == 0) return COMPLETE
  let left = chunk(repeat, wanted, room(segment, L.RSI, size, mask, 0))
  for (; left != 0; left--) {
    const value = element(segment, L.RSI, size, mask)
    if (faulted()) return FAULTED
    if (size == 4) store<u64>(L.RAX, value)
    else storeSized(L.RAX, value, size)
    moveIndex(L.RSI, 1, size, addressSize)
    countDown(repeat, 1, addressSize)
  }
  return outcome(repeat, mask)
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

// An element that is read: in place when it can be, else the slow way; the caller looks at faulted().
function element(number: u32, register: u32, size: u32, mask: u64): u64 {
  const linear = elementAddress(number, register, size, mask, 0)
  if (faulted()) return 0
  const host = wholeInPage(linear, size) ? inPlace(linear, L.TLB_READ) : 0
  return host != 0 ? loadSized(host, size) : readData(linear, size, 0)
}

export function stringCompare(size: u32, addressSize: u32, repeat: u32, segment: u32): u32 {
  const mask = addressMask(addressSize)
  const wanted = remaining(repeat, mask)
  if (wanted == 0) return COMPLETE
  let left = chunk(repeat, wanted, min<u64>(room(segment, L.RSI, size, mask, 0), room(NUMBER_ES, L.RDI, size, mask, 0)))
  for (; left != 0; left--) {
    const a = element(segment, L.RSI, size, mask)
    if (faulted()) return FAULTED
    const b = element(NUMBER_ES, L.RDI, size, mask)
    if (faulted()) return FAULTED
    moveIndex(L.RSI, 1, size, addressSize)
    moveIndex(L.RDI, 1, size, addressSize)
    countDown(repeat, 1, addressSize)
    compareFlags(a, b, size)
    if (repeat != 0 && stops(repeat, a, b)) return COMPLETE
  }
  return outcome(repeat, mask)
}

export function stringScan(size: u32, addressSize: u32, repeat: u32, _segment: u32): u32 {
  const mask = addressMask(addressSize)
  const wanted = remaining(repeat, mask)
  if (wanted == 0) return COMPLETE
  const a = size == 8 ? load<u64>(L.RAX) : load<u64>(L.RAX) & (((1 as u64) << ((size as u64) << 3)) - 1)
  let left = chunk(repeat, wanted, room(NUMBER_ES, L.RDI, size, mask, 0))
  for (; left != 0; left--) {
    const b = element(NUMBER_ES, L.RDI, size, mask)
    if (faulted()) return FAULTED
    moveIndex(L.RDI, 1, size, addressSize)
    countDown(repeat, 1, addressSize)
    compareFlags(a, b, size)
    if (repeat != 0 && stops(repeat, a, b)) return COMPLETE
  }
  return outcome(repeat, mask)
}
