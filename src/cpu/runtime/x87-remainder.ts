// FPREM and FPREM1: SDM volume 2. The remainder is exact. When the exponents are 64 or more apart, one instruction only takes
// the dividend down by 32 to 63 binary places (how many is left to the processor; AMD's take 32 and what makes the
// distance a multiple of 32) and C2 says that it has to be run again.

import * as L from '../layout'
import { divideWide } from './arithmetic'
import { A, B, FINITE, INFINITE, invalid, setFinite, setZero, ZERO } from './softfloat'
import { anyNan } from './x87-arithmetic'
import {
  begin,
  C0,
  C1,
  C2,
  C3,
  isEmpty,
  roundExtended,
  setConditions,
  settle,
  stackUnderflow,
  statusWord,
  storeRegister,
  unpackRegister,
  unpackSecond,
} from './x87-state'

// FPREM: the quotient is chopped.
export function x87Remainder(): void {
  remainder(false)
}

// FPREM1: the quotient is the nearest integer, as IEEE 754 has it.
export function x87RemainderNearest(): void {
  remainder(true)
}

function remainder(nearest: bool): void {
  begin()
  // Without a quotient C0 and C3 stay as they are.
  let conditions = statusWord() & (C0 | C3)
  if (isEmpty(0) || isEmpty(1)) stackUnderflow()
  else {
    unpackSecond(1)
    unpackRegister(0)
    if (!anyNan()) conditions = divideOut(nearest, conditions)
  }
  if (settle()) {
    setConditions(conditions)
    storeRegister(0)
  } else setConditions(statusWord() & (C0 | C3))
}

// Leaves the remainder in A and gives the condition codes, which are those `before` when there is no remainder.
function divideOut(nearest: bool, before: u32): u32 {
  if (A.kind == INFINITE || B.kind == ZERO) {
    invalid()
    return before
  }
  let conditions: u32 = 0
  if (A.kind == FINITE && B.kind == FINITE) {
    const distance = A.exponent - B.exponent
    if (distance >= 64) {
      conditions = C2
      reduce(32 + (distance & 31))
    } else conditions = quotientConditions(complete(distance, nearest))
  }
  // Exact, but it may be denormal.
  roundExtended()
  return conditions
}

// Bits 2, 1 and 0 of the quotient are C0, C3 and C1.
function quotientConditions(quotient: u64): u32 {
  const bits = quotient as u32
  return ((bits & 4) != 0 ? C0 : 0) | ((bits & 2) != 0 ? C3 : 0) | ((bits & 1) != 0 ? C1 : 0)
}

// The remainder proper; the low bits of the quotient.
function complete(distance: i32, nearest: bool): u64 {
  if (distance >= 0) {
    const exponent = B.exponent
    const quotient = reduce(distance)
    if (!nearest || A.kind == ZERO) return quotient
    // Both at the exponent of the divisor, where it has 64 bits and the remainder fewer.
    const rest = A.significand >> ((exponent - A.exponent) as u64)
    const complement = B.significand - rest
    if (rest < complement || (rest == complement && (quotient & 1) == 0)) return quotient
    A.sign ^= 1
    setMagnitude(complement, exponent)
    return quotient + 1
  }
  // Less than the divisor; nearer to it than to 0 only from the middle on.
  if (!nearest || distance < -1 || A.significand <= B.significand) return 0
  const exponent = A.exponent
  A.sign ^= 1
  setMagnitude((B.significand << 1) - A.significand, exponent)
  return 1
}

function setMagnitude(magnitude: u64, exponent: i32): void {
  const shift = clz(magnitude)
  if (magnitude == 0) setZero(A.sign)
  else setFinite(A.sign, exponent - (shift as i32), magnitude << shift)
}

// Takes the dividend, `places` binary places above the divisor or above a multiple of it by a power of two, down to less
// than that; the low 64 bits of the quotient.
function reduce(places: i32): u64 {
  const exponent = A.exponent - places
  let quotient: u64 = A.significand >= B.significand ? 1 : 0
  let rest = quotient != 0 ? A.significand - B.significand : A.significand
  if (places != 0) {
    const count = places as u64
    const high = rest >> (64 - count)
    divideWide(rest << count, high, B.significand)
    quotient = (quotient << count) + load<u64>(L.QUOTIENT)
    rest = load<u64>(L.REMAINDER)
  }
  setMagnitude(rest, exponent)
  return quotient
}
