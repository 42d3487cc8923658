// Comparison, rounding to integers, and conversion to integers, of unpacked numbers (softfloat.ts) that are no NaNs.

import { A, B, DOWN, FINITE, IE, INFINITE, NEAREST, PE, Status, TOP, TOWARD_ZERO, ZERO } from './softfloat'

export const GREATER: u32 = 0
export const LESS: u32 = 1
export const EQUAL: u32 = 2
export const UNORDERED: u32 = 4

// How A compares with B.
export function compare(): u32 {
  if (A.kind == ZERO && B.kind == ZERO) return EQUAL
  // Zeros have no sign here, but they are less than one number and greater than the other, as the other's sign says.
  if (A.kind == ZERO) return B.sign != 0 ? GREATER : LESS
  if (B.kind == ZERO || A.sign != B.sign) return A.sign != 0 ? LESS : GREATER
  const order = compareMagnitudes()
  if (order == EQUAL || A.sign == 0) return order
  return order == LESS ? GREATER : LESS
}

function compareMagnitudes(): u32 {
  if (A.kind != B.kind) return A.kind == INFINITE ? GREATER : LESS
  if (A.kind == INFINITE) return EQUAL
  if (A.exponent != B.exponent) return A.exponent < B.exponent ? LESS : GREATER
  if (A.significand == B.significand) return EQUAL
  return A.significand < B.significand ? LESS : GREATER
}

// The integer part of |A|, which is FINITE and below 2^64; what is left of it goes to `fraction` as 64 bits, the last one
// standing for all below it.
function split(): u64 {
  if (A.exponent == 63) {
    fraction = 0
    return A.significand
  }
  if (A.exponent >= 0) {
    const integerBits = (A.exponent + 1) as u64
    fraction = A.significand << integerBits
    return A.significand >> (64 - integerBits)
  }
  // Below a half it is all the same how much.
  fraction = A.exponent == -1 ? A.significand : 1
  return 0
}

let fraction: u64 = 0

// Whether the magnitude whose integer part is odd or not, and whose fraction is not 0, goes up to the next integer.
function increments(mode: u32, odd: bool): bool {
  if (mode == NEAREST) return fraction > TOP || (fraction == TOP && odd)
  return mode != TOWARD_ZERO && (mode == DOWN) == (A.sign != 0)
}

// Rounds A to an integer, which stays a floating-point number.
export function roundToInteger(mode: u32): void {
  if (A.kind != FINITE || A.exponent >= 63) return
  let integer = split()
  if (fraction == 0) return
  Status.flags |= PE
  if (increments(mode, (integer & 1) != 0)) {
    Status.roundedUp = true
    integer++
  }
  if (integer == 0) {
    A.significand = 0
    A.kind = ZERO
    return
  }
  const shift = clz(integer)
  A.significand = integer << shift
  A.exponent = 63 - (shift as i32)
}

// A as a signed integer of 16, 32 or 64 bits. What it can not hold, infinities and NaNs give IE and the integer indefinite,
// the most negative number.
export function toInteger(bits: u32, mode: u32): i64 {
  if (A.kind == ZERO) return 0
  const indefinite = ((-1 as i64) << ((bits - 1) as i64)) as i64
  if (A.kind != FINITE || A.exponent >= (bits as i32)) {
    Status.flags |= IE
    return indefinite
  }
  let magnitude = split()
  const inexact = fraction != 0
  const up = inexact && increments(mode, (magnitude & 1) != 0)
  if (up) magnitude++
  const limit = ((1 as u64) << ((bits - 1) as u64)) - (A.sign != 0 ? 0 : 1)
  if (magnitude > limit) {
    Status.flags |= IE
    return indefinite
  }
  if (inexact) Status.flags |= PE
  Status.roundedUp = up
  return A.sign != 0 ? 0 - (magnitude as i64) : (magnitude as i64)
}
