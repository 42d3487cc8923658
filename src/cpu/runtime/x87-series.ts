// The mathematics of the transcendental functions: sine and cosine, tangent, arctangent, logarithm and exponential, of unpacked
// numbers (softfloat.ts), with significands of 128 bits. The relative error is below 2^-100, and the results are rounded
// correctly but for one in 2^36 (the manual promises an error of less than a unit in the last place).
//
// All of them go the same way: the argument is brought close to 0, where a power series converges by four bits a term or
// more, the series gives the factor by which the function differs from its argument, and the argument is multiplied by it. So
// results near 0 keep all their bits. Series are evaluated from their last term backwards as fixed-point numbers in which 2^127
// is one; every coefficient is the one before it divided by a small integer, so there are no tables.

import { A, setFinite, setInteger, TOP } from './softfloat'
import { addExtended, normalize } from './softfloat-arithmetic'
import {
  addToWide,
  complementToOne,
  divideBySmall,
  divideByWide,
  divideStep,
  isWideBelow,
  multiplyBy,
  negateWide,
  setWide,
  shiftWideRight,
  subtractFromWide,
  Wide,
} from './wide'

// Constants are significands of 128 bits.
const LN2_HIGH: u64 = 0xb17217f7d1cf79ab
const LN2_LOW: u64 = 0xc9e3b39803f2f6af
const LOG2E_HIGH: u64 = 0xb8aa3b295c17f0bb
const LOG2E_LOW: u64 = 0xbe87fed0691d3e88
export const PI_HIGH: u64 = 0xc90fdaa22168c234
export const PI_LOW: u64 = 0xc4c6628b80dc1cd1
// The pi that arguments of sine and cosine are reduced by has 66 bits (SDM volume 1, 8.3.8).
const SHORT_PI_LOW: u64 = 0xc000000000000000
const ATAN_HALF_HIGH: u64 = 0xed63382b0dda7b45
const ATAN_HALF_LOW: u64 = 0x6fe445ecbc3a8d03
// Square root of 2, in 64 bits.
const ROOT2: u64 = 0xb504f333f9de6484

// Operations on A with its 128 bits

// A * (high:low) / 2^127 * 2^exponent
export function scaleBy(exponent: i32, high: u64, low: u64): void {
  setWide(A.significand, A.low)
  multiplyBy(high, low)
  A.exponent += exponent + 1
  normalize(Wide.high, Wide.low)
}

function scaleByWide(): void {
  const high = Wide.high
  const low = Wide.low
  scaleBy(0, high, low)
}

// A / ((high:low) / 2^127 * 2^exponent)
export function divideByExtended(exponent: i32, high: u64, low: u64): void {
  setWide(A.significand >> 1, (A.low >> 1) | (A.significand << 63))
  divideByWide(high, low)
  A.exponent -= exponent
  normalize(Wide.high, Wide.low)
}

// |A|, which is below 1, as a fraction of 128 bits.
function setFraction(): void {
  setWide(A.significand, A.low)
  shiftWideRight(-1 - A.exponent)
}

function setSquare(): void {
  setWide(A.significand, A.low)
  const high = Wide.high
  const low = Wide.low
  multiplyBy(high, low)
  // The square of a significand in [1, 2) is in [1, 4), of which two bits are before the point.
  shiftWideRight(-2 - 2 * A.exponent)
}

// Series in a fraction w, here in Wide.

// 1 - w / (last (last - 1)) (1 - ...) from `last` downwards in steps of 2: sine with an odd number, cosine with an even one. Never
// quite one.
function alternatingFactorials(last: u64): void {
  const high = Wide.high
  const low = Wide.low
  setWide(TOP, 0)
  for (let n = last; n > 1; n -= 2) {
    multiplyBy(high, low)
    divideBySmall(n * (n - 1))
    complementToOne()
  }
  keepBelowOne()
}

function keepBelowOne(): void {
  if (Wide.high == TOP) subtractFromWide(0, 1)
}

// Terms of a geometric series in w that make a difference.
function termCount(high: u64): u64 {
  return 112 / clz(high) + 1
}

// 1 - w / 3 + w^2 / 5 - ..., or with all signs positive.
function oddReciprocals(alternating: bool): void {
  const high = Wide.high
  const low = Wide.low
  const last = 2 * termCount(high) + 1
  setWide(TOP, 0)
  divideBySmall(last)
  for (let n = last - 2; (n as i64) > 0; n -= 2) {
    multiplyBy(high, low)
    const termHigh = Wide.high
    const termLow = Wide.low
    setWide(TOP, 0)
    if (n != 1) divideBySmall(n)
    if (alternating) subtractFromWide(termHigh, termLow)
    else addToWide(termHigh, termLow)
  }
  if (alternating) keepBelowOne()
}

// Sine and cosine

// Takes A, which is below 2^63, to at most a quarter of pi; how many halves of pi were taken off.
export function reduceAngle(): u32 {
  const sign = A.sign
  let quotient: u64 = 0
  if (A.exponent >= 0) {
    setWide(A.significand, 0)
    if (!isWideBelow(PI_HIGH, SHORT_PI_LOW)) {
      subtractFromWide(PI_HIGH, SHORT_PI_LOW)
      quotient = 1
    }
    if (A.exponent != 0) quotient = (quotient << (A.exponent as u64)) + shiftAngle(A.exponent as u64)
  } else {
    if (A.exponent < -1) return 0
    setWide(A.significand >> 1, A.significand << 63)
  }
  // What is left, in units of 2^-127: more than half of half a pi is better seen from the next one.
  const high = PI_HIGH - Wide.high - (SHORT_PI_LOW < Wide.low ? 1 : 0)
  const low = SHORT_PI_LOW - Wide.low
  if (high < Wide.high || (high == Wide.high && low < Wide.low)) {
    setWide(high, low)
    A.sign ^= 1
    quotient++
  }
  A.exponent = 0
  normalize(Wide.high, Wide.low)
  const quadrant = quotient as u32
  return (sign != 0 ? 0 - quadrant : quadrant) & 3
}

// The remainder in Wide, moved up by up to 62 bits, divided by half a pi: quotient and the new remainder.
function shiftAngle(by: u64): u64 {
  const top = Wide.high >> (64 - by)
  const middle = (Wide.high << by) | (Wide.low >> (64 - by))
  const bottom = Wide.low << by
  setWide(top, middle)
  return divideStep(bottom, PI_HIGH, SHORT_PI_LOW)
}

// Sine of A, which is at most a quarter of pi.
export function sineOfReduced(): void {
  setSquare()
  alternatingFactorials(27)
  scaleByWide()
}

export function cosineOfReduced(): void {
  setSquare()
  alternatingFactorials(28)
  A.sign = 0
  A.exponent = 0
  normalize(Wide.high, Wide.low)
}

// Arctangent

// Arctangent of A, which is at most 1/4.
function arctangentOfSmall(): void {
  setSquare()
  oddReciprocals(true)
  scaleByWide()
}

// Arctangent of a / b, both positive with a <= b, given as significands with a distance between their exponents.
export function arctangentOfRatio(a: u64, b: u64, distance: i32): void {
  if (distance > 2) {
    setFinite(0, -distance, a)
    divideByExtended(0, b, 0)
    arctangentOfSmall()
    return
  }
  // atan(t) = atan(c) + atan((t - c) / (1 + c t)), where c is 1/k, 1/2 or 1: the one that t is nearer to.
  const aHigh = a >> ((3 + distance) as u64)
  const aLow = a << ((61 - distance) as u64)
  const bHigh = b >> 3
  const bLow = b << 61
  const half = isBelowThreeQuarters(aHigh, aLow, bHigh, bLow)
  // k a - b, and its sign
  setWide(aHigh, aLow)
  if (half) addToWide(aHigh, aLow)
  const negative = isWideBelow(bHigh, bLow)
  subtractFromWide(bHigh, bLow)
  if (negative) negateWide()
  const exact = Wide.high == 0 && Wide.low == 0
  setFinite(negative ? 1 : 0, 0, TOP)
  if (!exact) normalize(Wide.high, Wide.low)
  // k b + a
  setWide(bHigh, bLow)
  if (half) addToWide(bHigh, bLow)
  addToWide(aHigh, aLow)
  if (exact) setFinite(0, -128, TOP)
  else {
    divideByNormalized(Wide.high, Wide.low)
    arctangentOfSmall()
  }
  if (half) addExtended(0, -2, ATAN_HALF_HIGH, ATAN_HALF_LOW)
  else addExtended(0, -1, PI_HIGH, PI_LOW)
}

// 4 a < 3 b
function isBelowThreeQuarters(aHigh: u64, aLow: u64, bHigh: u64, bLow: u64): bool {
  setWide(bHigh, bLow)
  addToWide(bHigh, bLow)
  addToWide(bHigh, bLow)
  const high = Wide.high
  const low = Wide.low
  setWide((aHigh << 2) | (aLow >> 62), aLow << 2)
  return isWideBelow(high, low)
}

// A / (high:low), an integer in units of 2^-127 that is less than one.
function divideByNormalized(high: u64, low: u64): void {
  const shift = clz(high)
  divideByExtended(-(shift as i32), (high << shift) | (low >> (64 - shift)), low << shift)
}

// Logarithm

// Logarithm to base 2 of A, which is positive and may have 128 bits; whether it is exact, that is, A a power of 2.
export function logarithm(): bool {
  let exponent = A.exponent
  const high = A.significand
  const low = A.low
  if (high == TOP && low == 0) {
    setInteger(exponent as i64)
    return true
  }
  // atanh(z) = ln((1 + z) / (1 - z)) / 2 with z = (m - 1) / (m + 1), m from the root of 1/2 to that of 2
  if (high >= ROOT2) {
    exponent++
    setFinite(1, -1, TOP)
    const borrow: u64 = low != 0 ? 1 : 0
    normalize(0 - high - borrow, 0 - low)
    divideByExtended(0, TOP | (high >> 1), (high << 63) | (low >> 1))
  } else {
    setFinite(0, 0, TOP)
    normalize(high - TOP, low)
    divideByExtended(1, TOP | ((high - TOP) >> 1), (high << 63) | (low >> 1))
  }
  logarithmOfRatio()
  if (exponent != 0) addInteger(exponent)
  return false
}

function addInteger(value: i32): void {
  const magnitude = (value < 0 ? -value : value) as u64
  const shift = clz(magnitude)
  addExtended(value < 0 ? 1 : 0, 63 - (shift as i32), magnitude << shift, 0)
}

// Logarithm to base 2 of 1 + A, which is positive.
export function logarithmOfSuccessor(): void {
  if (A.exponent >= -2) {
    addInteger(1)
    logarithm()
    return
  }
  // z = A / (2 + A) keeps what 1 + A would lose.
  const sign = A.sign
  const exponent = A.exponent
  const significand = A.significand
  addInteger(2)
  const divisorExponent = A.exponent
  const high = A.significand
  const low = A.low
  setFinite(sign, exponent, significand)
  divideByExtended(divisorExponent, high, low)
  logarithmOfRatio()
}

// Logarithm to base 2 of (1 + A) / (1 - A), where |A| is at most 1/4.
function logarithmOfRatio(): void {
  setSquare()
  oddReciprocals(false)
  scaleByWide()
  scaleBy(1, LOG2E_HIGH, LOG2E_LOW)
}

// Exponential

// 2^A - 1, where |A| is below 1.
export function powerLessOne(): void {
  scaleBy(-1, LN2_HIGH, LN2_LOW)
  // e^y - 1 = y (1 + y/2 (1 + y/3 (1 + ...)))
  setFraction()
  const high = Wide.high
  const low = Wide.low
  setWide(TOP, 0)
  for (let n: u64 = 28; n > 1; n--) {
    multiplyBy(high, low)
    divideBySmall(n)
    if (A.sign != 0) complementToOne()
    else addToWide(TOP, 0)
  }
  scaleByWide()
}
