// Loads and stores of the x87, and what moves registers about.
//
// A store goes in two steps, since the memory access between them may fault and must do so before anything has changed: a
// function that gives the value tells in X87_STORES whether there is anything to be stored, x87Stored() does the rest.

import * as L from '../layout'
import {
  A,
  Control,
  clearStatus,
  FINITE,
  IE,
  OE,
  PE,
  pack32,
  pack64,
  round,
  Status,
  setFinite,
  setInteger,
  setZero,
  TOWARD_ZERO,
  UE,
  unpack32,
  unpack64,
} from './softfloat'
import { toInteger } from './softfloat-convert'
import { isNan } from './x87-arithmetic'
import { tryLoadDouble, tryLoadInteger, tryLoadSingle, tryToDouble } from './x87-fast'
import {
  addressOf,
  begin,
  clearC1,
  isEmpty,
  moveTop,
  popStack,
  raise,
  roundExtended,
  setEmpty,
  settle,
  settleInto,
  settlePushed,
  stackUnderflow,
  storeBits,
  storeRegister,
  unpackRegister,
} from './x87-state'

// Loads

function pushNumber(): void {
  isNan()
  settlePushed()
}

export function x87LoadSingle(bits: u32): void {
  if (tryLoadSingle(bits)) return
  begin()
  unpack32(bits)
  pushNumber()
}

export function x87LoadDouble(bits: u64): void {
  if (tryLoadDouble(bits)) return
  begin()
  unpack64(bits)
  pushNumber()
}

export function x87LoadInteger(value: i64): void {
  if (tryLoadInteger(value)) return
  begin()
  setInteger(value)
  settlePushed()
}

// A register is pushed as it is, whatever it holds.
export function x87LoadExtended(significand: u64, high: u32): void {
  if (!isEmpty(7)) {
    begin()
    settlePushed()
    return
  }
  clearC1()
  moveTop(7)
  storeBits(0, significand, high)
}

export function x87Load(i: u32): void {
  if (isEmpty(i)) {
    begin()
    stackUnderflow()
    settlePushed()
    return
  }
  const address = addressOf(i)
  x87LoadExtended(load<u64>(address), load<u16>(address, L.X87_EXPONENT))
}

// FLD1, FLDL2T, FLDL2E, FLDPI, FLDLG2, FLDLN2, FLDZ: rounded as the control word says, but never inexact.
export function x87LoadConstant(number: u32): void {
  begin()
  switch (number) {
    case 0:
      setFinite(0, 0, 0x8000000000000000)
      break
    case 1:
      setConstant(1, 0xd49a784bcd1b8afe, 0x492bf6ff4dafdb4c)
      break
    case 2:
      setConstant(0, 0xb8aa3b295c17f0bb, 0xbe87fed0691d3e88)
      break
    case 3:
      setConstant(1, 0xc90fdaa22168c234, 0xc4c6628b80dc1cd1)
      break
    case 4:
      setConstant(-2, 0x9a209a84fbcff798, 0x8f8959ac0b7c9178)
      break
    case 5:
      setConstant(-1, 0xb17217f7d1cf79ab, 0xc9e3b39803f2f6af)
      break
    default:
      setZero(0)
  }
  settlePushed()
}

function setConstant(exponent: i32, significand: u64, low: u64): void {
  setFinite(0, exponent, significand)
  A.low = low
  roundExtended()
  Status.flags = 0
  Status.roundedUp = false
}

// FBLD: eighteen decimal digits in nine bytes, and a byte with the sign.
export function x87LoadDecimal(low: u64, high: u32): void {
  begin()
  let value: u64 = 0
  for (let shift: i32 = 4; shift >= 0; shift -= 4) value = value * 10 + (((high >> shift) & 15) as u64)
  for (let shift: i64 = 60; shift >= 0; shift -= 4) value = value * 10 + ((low >> shift) & 15)
  setInteger(value)
  A.sign = (high >> 15) & 1
  settlePushed()
}

// Stores

// Whether there is something to be stored when the exceptions are those met so far: one that is not masked keeps it back.
function decide(): void {
  store<u32>(L.X87_STORES, (Status.flags & Control.unmasked & (IE | OE | UE)) == 0 ? 1 : 0)
}

// Takes ST(0) apart for a store; whether it is a number.
function takeNumber(): bool {
  begin()
  if (isEmpty(0)) {
    stackUnderflow()
    return false
  }
  unpackRegister(0)
  // Storing is no arithmetic: a denormal register is no exception.
  Status.denormal = 0
  return !isNan()
}

export function x87ToSingle(): u32 {
  if (takeNumber() && A.kind == FINITE) round(24, -126, 127)
  decide()
  return pack32()
}

export function x87ToDouble(): u64 {
  const usual = tryToDouble()
  if (usual != 0) return usual
  if (takeNumber() && A.kind == FINITE) round(53, -1022, 1023)
  decide()
  return pack64()
}

export function x87ToInteger(bits: u32, truncate: u32): i64 {
  let result: i64 = (-1 as i64) << ((bits - 1) as i64)
  begin()
  if (isEmpty(0)) stackUnderflow()
  else {
    unpackRegister(0)
    Status.denormal = 0
    result = toInteger(bits, truncate != 0 ? TOWARD_ZERO : Control.rounding)
  }
  decide()
  return result
}

// The significand of ST(0) for FSTP m80; the exponent is then at X87_HIGH.
export function x87ToExtended(): u64 {
  if (isEmpty(0)) {
    begin()
    stackUnderflow()
    decide()
    store<u32>(L.X87_HIGH, 0xffff)
    return 0xc000000000000000
  }
  clearStatus()
  store<u32>(L.X87_STORES, 1)
  const address = addressOf(0)
  store<u32>(L.X87_HIGH, load<u16>(address, L.X87_EXPONENT))
  return load<u64>(address)
}

const DECIMAL_LIMIT: u64 = 1000000000000000000

// FBSTP: the low eight bytes; the other two are then at X87_HIGH.
export function x87ToDecimal(): u64 {
  const value = x87ToInteger(64, 0)
  let magnitude: u64 = value < 0 ? 0 - (value as u64) : (value as u64)
  if ((Status.flags & IE) == 0 && magnitude >= DECIMAL_LIMIT) {
    Status.flags = IE
    Status.roundedUp = false
    decide()
  }
  if ((Status.flags & IE) != 0) {
    store<u32>(L.X87_HIGH, 0xffff)
    return 0xc000000000000000
  }
  let low: u64 = 0
  for (let shift: u64 = 0; shift < 64; shift += 4) {
    low |= (magnitude % 10) << shift
    magnitude /= 10
  }
  const high = ((magnitude / 10) << 4) | (magnitude % 10)
  store<u32>(L.X87_HIGH, (high as u32) | (A.sign << 15))
  return low
}

// Ends a store.
export function x87Stored(pop: u32): void {
  if (load<u32>(L.X87_STORES) != 0) {
    settle()
    if (pop != 0) popStack()
  } else raise(Status.flags & ~PE, false)
}

// D9 D8+i: FSTP ST(i) to which an empty ST(0) is no exception, and nothing to be stored.
export function x87StoreNonEmpty(i: u32): void {
  clearC1()
  if (!isEmpty(0)) copyRegister(0, i)
  popStack()
}

// FST ST(i)
export function x87StoreRegister(i: u32, pop: u32): void {
  if (isEmpty(0)) {
    underflowInto(i, pop)
    return
  }
  clearC1()
  copyRegister(0, i)
  if (pop != 0) popStack()
}

function underflowInto(i: u32, pop: u32): void {
  begin()
  stackUnderflow()
  settleInto(i, pop)
}

function copyRegister(from: u32, to: u32): void {
  const source = addressOf(from)
  storeBits(to, load<u64>(source), load<u16>(source, L.X87_EXPONENT))
}

// Registers

export function x87Exchange(i: u32): void {
  if (isEmpty(0) || isEmpty(i)) {
    begin()
    stackUnderflow()
    if (!settle()) return
    // What is not there is the indefinite.
    if (isEmpty(0)) storeRegister(0)
    if (isEmpty(i)) storeRegister(i)
  } else clearC1()
  const a = addressOf(0)
  const b = addressOf(i)
  const significand = load<u64>(a)
  const high = load<u16>(a, L.X87_EXPONENT)
  store<u64>(a, load<u64>(b))
  store<u16>(a, load<u16>(b, L.X87_EXPONENT), L.X87_EXPONENT)
  store<u64>(b, significand)
  store<u16>(b, high, L.X87_EXPONENT)
}

// FCMOVcc, which leaves C1 alone unless there is a stack fault.
export function x87MoveIf(i: u32, condition: u32): void {
  if (isEmpty(0) || isEmpty(i)) underflowInto(0, 0)
  else if (condition != 0) copyRegister(i, 0)
}

export function x87Free(i: u32, pop: u32): void {
  clearC1()
  setEmpty(i)
  if (pop != 0) popStack()
}

// FINCSTP and FDECSTP
export function x87MoveTop(by: u32): void {
  clearC1()
  moveTop(by)
}
