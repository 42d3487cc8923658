// The x87 register stack, and how an instruction ends: SDM volume 1, chapter 8. Registers lie in memory by physical number, so
// that the MMX registers are their significands. An instruction begins with begin(), computes in the unpacked numbers of
// softfloat.ts, and asks settle() whether its result may be stored: with an exception that is found before computing (IE, DE,
// ZE, stack faults) and is not masked nothing else happens than that the status word says so. The exception itself is
// raised by the next instruction that waits.

import * as L from '../layout'
import {
  A,
  asSecond,
  Control,
  clearStatus,
  DE,
  FINITE,
  IE,
  pack80High,
  raisedFlags,
  round,
  Status,
  setIndefinite,
  unpack80,
  ZE,
} from './softfloat'
import { rememberOpcode } from './x87-pointers'

export const STACK_FAULT: u32 = 0x40
export const ERROR_SUMMARY: u32 = 0x80
export const C0: u32 = 0x100
export const C1: u32 = 0x200
export const C2: u32 = 0x400
export const TOP_SHIFT: u32 = 11
export const TOP_MASK: u32 = 0x3800
export const C3: u32 = 0x4000
export const BUSY: u32 = 0x8000
export const CONDITIONS: u32 = 0x4700

const BEFORE_COMPUTING: u32 = IE | DE | ZE | STACK_FAULT
// FCW: masks and the two controls; bit 6 is always set.
const CONTROL_DEFINED: u32 = 0x1f7f
const CONTROL_FIXED: u32 = 0x40

// @inline
export function statusWord(): u32 {
  return load<u32>(L.X87_STATUS)
}

// @inline
export function controlWord(): u32 {
  return load<u32>(L.X87_CONTROL)
}

// Writes the control word, which may unmask an exception that the status word holds.
export function setControlWord(value: u32): void {
  store<u32>(L.X87_CONTROL, (value & CONTROL_DEFINED) | CONTROL_FIXED)
  setStatusWord(statusWord())
}

// ES and B follow from the exceptions and their masks.
export function setStatusWord(value: u32): void {
  const pending = (value & ~controlWord() & 0x3f) != 0
  store<u32>(L.X87_STATUS, (value & 0x7f7f) | (pending ? ERROR_SUMMARY | BUSY : 0))
}

export function setConditions(conditions: u32): void {
  store<u32>(L.X87_STATUS, (statusWord() & ~CONDITIONS) | conditions)
}

export function clearC1(): void {
  store<u32>(L.X87_STATUS, statusWord() & ~C1)
}

export function setC2(on: bool): void {
  store<u32>(L.X87_STATUS, on ? statusWord() | C2 : statusWord() & ~C2)
}

// The stack

// Physical number of ST(i).
export function physical(i: u32): u32 {
  return ((statusWord() >> TOP_SHIFT) + i) & 7
}

export function addressOf(i: u32): u32 {
  return L.X87 + physical(i) * L.X87_SIZE
}

export function isEmpty(i: u32): bool {
  return ((load<u32>(L.X87_TAGS) >> physical(i)) & 1) == 0
}

export function setEmpty(i: u32): void {
  store<u32>(L.X87_TAGS, load<u32>(L.X87_TAGS) & ~((1 as u32) << physical(i)))
}

export function setFilled(i: u32): void {
  store<u32>(L.X87_TAGS, load<u32>(L.X87_TAGS) | ((1 as u32) << physical(i)))
}

export function moveTop(by: u32): void {
  const status = statusWord()
  store<u32>(L.X87_STATUS, (status & ~TOP_MASK) | ((status + (by << TOP_SHIFT)) & TOP_MASK))
}

export function popStack(): void {
  setEmpty(0)
  moveTop(1)
}

export function unpackRegister(i: u32): void {
  const address = addressOf(i)
  unpack80(load<u64>(address), load<u16>(address, L.X87_EXPONENT))
}

// ST(i) as the second operand.
export function unpackSecond(i: u32): void {
  unpackRegister(i)
  asSecond()
}

export function storeRegister(i: u32): void {
  storeBits(i, A.significand, pack80High())
}

// `high` is sign and exponent.
export function storeBits(i: u32, significand: u64, high: u32): void {
  const address = addressOf(i)
  store<u64>(address, significand)
  store<u16>(address, high, L.X87_EXPONENT)
  setFilled(i)
}

// The course of an instruction

export function begin(): void {
  const control = controlWord()
  Control.rounding = (control >> 10) & 3
  Control.unmasked = ~control & 0x3f
  Control.denormalsAreZero = false
  Control.flushToZero = false
  clearStatus()
}

export function stackUnderflow(): void {
  Status.flags |= IE | STACK_FAULT
  Status.denormal = 0
  setIndefinite()
}

// C1 tells it from an underflow.
export function stackOverflow(): void {
  stackUnderflow()
  Status.roundedUp = true
}

// Puts what happened into the status word; whether the instruction goes on to its result.
export function settle(): bool {
  return settleUnless(BEFORE_COMPUTING)
}

// The same where only some exceptions, not masked, stop the instruction.
function settleUnless(stopping: u32): bool {
  const flags = raisedFlags()
  const stops = (flags & Control.unmasked & stopping) != 0
  const up = Status.roundedUp && (!stops || (flags & STACK_FAULT) != 0)
  raise(stops ? flags & BEFORE_COMPUTING : flags, up)
  return !stops
}

// C1 is set when the result was rounded up, and otherwise cleared.
export function raise(flags: u32, up: bool): void {
  const status = (statusWord() & ~C1) | flags | (up ? C1 : 0)
  const pending = (flags & Control.unmasked) != 0
  store<u32>(L.X87_STATUS, pending ? status | ERROR_SUMMARY | BUSY : status)
  if (pending) rememberOpcode()
}

export function settleInto(destination: u32, pop: u32): void {
  if (!settle()) return
  storeRegister(destination)
  if (pop != 0) popStack()
}

// Pushes A. A denormal is pushed even if the exception is not masked.
export function settlePushed(): void {
  if (!isEmpty(7) && (Status.flags & STACK_FAULT) == 0) stackOverflow()
  if (!settleUnless(IE | STACK_FAULT)) return
  moveTop(7)
  storeRegister(0)
}

// Ends an instruction with two results: the first takes the place of ST(0), and A is pushed.
export function settlePair(significand: u64, high: u32): void {
  if (!settle()) return
  storeBits(0, significand, high)
  moveTop(7)
  storeRegister(0)
}

export function roundExtended(): void {
  if (A.kind == FINITE) round(64, -16382, 16383)
}

// Rounds to the precision that the control word asks for; the range of exponents is that of the registers.
export function roundToControl(): void {
  if (A.kind != FINITE) return
  const precision = (controlWord() >> 8) & 3
  if (precision == 2) round(53, -16382, 16383)
  else if (precision == 0) round(24, -16382, 16383)
  else round(64, -16382, 16383)
}
