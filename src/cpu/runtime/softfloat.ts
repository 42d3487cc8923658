// Software floating point, the core that x87 and SSE share: unpacking, rounding and packing. What it works on is neither
// f32 nor f64 nor the x87's 80 bits, but an unpacked number
//
//   (-1)^sign * significand / 2^63 * 2^exponent       with bit 63 of the significand set, 1 <= significand / 2^63 < 2
//
// which holds any finite number of the three formats exactly; what a number can be besides is its kind. An operation
// (softfloat-arithmetic.ts, softfloat-convert.ts) takes A, and B and C when it has more operands, and leaves in A a result of
// 128 bits, `low` below `significand`, whose last bit is also set when anything below it is not 0. That is all that
// rounding to any precision needs (SDM volume 1, 4.8.4): a round bit, and whether there is more. So each operation is exact and
// is written once; round() then makes it a number of the wanted precision and range, and tells what happened in `flags`.
//
// Example: 1 + 2^-70 to f64. A = (0, exponent 0, 8000000000000000), B = (0, -70, 8000000000000000). The sum is significand
// 8000000000000000, low 0200000000000000. round(53, ...) looks at the 11 bits that f64 has not, and `low`: not 0, so PE; less
// than half a unit, so to nearest it stays 1, while rounding up gives 8000000000000800, 1 + 2^-52.

import * as L from '../layout'

// Exceptions, as the x87 status word and MXCSR have them.
export const IE: u32 = 1
export const DE: u32 = 2
export const ZE: u32 = 4
export const OE: u32 = 8
export const UE: u32 = 0x10
export const PE: u32 = 0x20

// Rounding modes, as the x87 control word and MXCSR have them.
export const NEAREST: u32 = 0
export const DOWN: u32 = 1
export const UP: u32 = 2
export const TOWARD_ZERO: u32 = 3

// Kinds. From QUIET on there is no number.
export const ZERO: u32 = 0
export const FINITE: u32 = 1
export const INFINITE: u32 = 2
export const QUIET: u32 = 3
export const SIGNALLING: u32 = 4
// What only the 80-bit format can say and no processor since the 387 takes: integer bit 0 with an exponent.
export const UNSUPPORTED: u32 = 5

export const TOP: u64 = 0x8000000000000000
export const QUIET_BIT: u64 = 0x4000000000000000
// By how much the exponent of a result is moved that did not fit while the exception is unmasked (SDM volume 1, 8.5.4).
const WRAP: i32 = 24576

// The first operand, and the result.
export namespace A {
  export let sign: u32 = 0
  export let exponent: i32 = 0
  export let significand: u64 = 0
  export let low: u64 = 0
  export let kind: u32 = 0
}

// The second operand.
export namespace B {
  export let sign: u32 = 0
  export let exponent: i32 = 0
  export let significand: u64 = 0
  export let kind: u32 = 0
}

// The third operand, of fused multiply-add.
export namespace C {
  export let sign: u32 = 0
  export let exponent: i32 = 0
  export let significand: u64 = 0
  export let kind: u32 = 0
}

// What the instruction runs under.
export namespace Control {
  export let rounding: u32 = 0
  // Exceptions that are not masked; only OE and UE make a difference to the result.
  export let unmasked: u32 = 0
  export let denormalsAreZero: bool = false
  export let flushToZero: bool = false
}

// What it has to tell.
export namespace Status {
  export let flags: u32 = 0
  // DE when one of the operands unpacked so far is denormal.
  export let denormal: u32 = 0
  // The magnitude of the result is greater than that of the exact one (C1).
  export let roundedUp: bool = false
}

// An invalid operation and a division by zero come before a denormal operand; so does a NaN, and whoever meets one clears
// `denormal` (SDM volume 1, 4.9.2).
export function raisedFlags(): u32 {
  return (Status.flags & (IE | ZE)) != 0 ? Status.flags : Status.flags | Status.denormal
}

export function clearStatus(): void {
  Status.flags = 0
  Status.denormal = 0
  Status.roundedUp = false
}

// Operands

export function asSecond(): void {
  B.sign = A.sign
  B.exponent = A.exponent
  B.significand = A.significand
  B.kind = A.kind
}

export function asThird(): void {
  C.sign = A.sign
  C.exponent = A.exponent
  C.significand = A.significand
  C.kind = A.kind
}

export function swapOperands(): void {
  const sign = A.sign
  const exponent = A.exponent
  const significand = A.significand
  const kind = A.kind
  takeSecond()
  B.sign = sign
  B.exponent = exponent
  B.significand = significand
  B.kind = kind
}

// The second operand is the result.
export function takeSecond(): void {
  A.sign = B.sign
  A.exponent = B.exponent
  A.significand = B.significand
  A.low = 0
  A.kind = B.kind
}

export function setZero(sign: u32): void {
  A.sign = sign
  A.significand = 0
  A.low = 0
  A.kind = ZERO
}

export function setInfinite(sign: u32): void {
  A.sign = sign
  A.significand = TOP
  A.low = 0
  A.kind = INFINITE
}

export function setFinite(sign: u32, exponent: i32, significand: u64): void {
  A.sign = sign
  A.exponent = exponent
  A.significand = significand
  A.low = 0
  A.kind = FINITE
}

// The real indefinite, which is the result of an invalid operation.
export function setIndefinite(): void {
  A.sign = 1
  A.significand = TOP | QUIET_BIT
  A.kind = QUIET
}

export function invalid(): void {
  Status.flags |= IE
  setIndefinite()
}

// A number whose biased exponent is 0: `fraction` / 2^63 * 2^least.
function unpackSmall(fraction: u64, least: i32): void {
  if (fraction == 0 || Control.denormalsAreZero) {
    A.significand = 0
    A.kind = ZERO
    return
  }
  const shift = clz(fraction)
  A.significand = fraction << shift
  A.exponent = least - (shift as i32)
  A.kind = FINITE
  Status.denormal = DE
}

// A number whose biased exponent is all ones.
function unpackLarge(fraction: u64): void {
  A.significand = fraction | TOP
  if (fraction == 0) A.kind = INFINITE
  else A.kind = (fraction & QUIET_BIT) != 0 ? QUIET : SIGNALLING
}

export function unpack32(bits: u32): void {
  const biased = ((bits >> 23) & 0xff) as i32
  const fraction = ((bits & 0x7fffff) as u64) << 40
  A.sign = bits >> 31
  A.low = 0
  if (biased == 0) unpackSmall(fraction, -126)
  else if (biased == 0xff) unpackLarge(fraction)
  else {
    A.exponent = biased - 127
    A.significand = fraction | TOP
    A.kind = FINITE
  }
}

export function unpack64(bits: u64): void {
  const biased = ((bits >> 52) as i32) & 0x7ff
  const fraction = (bits << 12) >> 1
  A.sign = (bits >> 63) as u32
  A.low = 0
  if (biased == 0) unpackSmall(fraction, -1022)
  else if (biased == 0x7ff) unpackLarge(fraction)
  else {
    A.exponent = biased - 1023
    A.significand = fraction | TOP
    A.kind = FINITE
  }
}

// `high` is sign and exponent.
export function unpack80(significand: u64, high: u32): void {
  const biased = (high & 0x7fff) as i32
  A.sign = (high >> 15) & 1
  A.low = 0
  if (biased == 0) unpackSmall(significand, -16382)
  else if ((significand as i64) >= 0) A.kind = UNSUPPORTED
  else if (biased == 0x7fff) unpackLarge(significand & ~TOP)
  else {
    A.exponent = biased - 16383
    A.significand = significand
    A.kind = FINITE
  }
}

// Half precision (F16C) knows no denormals: they are numbers like others, whatever MXCSR says.
export function unpack16(bits: u32): void {
  const biased = ((bits >> 10) & 0x1f) as i32
  const fraction = ((bits & 0x3ff) as u64) << 53
  A.sign = (bits >> 15) & 1
  A.low = 0
  if (biased == 0x1f) unpackLarge(fraction)
  else if (biased != 0) {
    A.exponent = biased - 15
    A.significand = fraction | TOP
    A.kind = FINITE
  } else if (fraction == 0) setZero(A.sign)
  else setFinite(A.sign, -14 - (clz(fraction) as i32), fraction << clz(fraction))
}

export function setInteger(value: i64): void {
  if (value == 0) {
    setZero(0)
    return
  }
  const magnitude: u64 = value < 0 ? 0 - (value as u64) : (value as u64)
  const shift = clz(magnitude)
  setFinite(value < 0 ? 1 : 0, 63 - (shift as i32), magnitude << shift)
}

// Rounding

// Whether the magnitude goes up, when `rest` (not 0) is what was cut off, its first bit being half a unit.
function increments(rest: u64, odd: bool): bool {
  if (Control.rounding == NEAREST) return (rest as i64) < 0 && (rest != TOP || odd)
  return Control.rounding == (A.sign != 0 ? DOWN : UP)
}

// What does not fit `precision` bits, as a fraction of a unit in the last place.
function restOf(precision: u64): u64 {
  return precision == 64 ? A.low : (A.significand << precision) | (A.low != 0 ? 1 : 0)
}

// Rounds A, which is finite, to a number of `precision` bits and exponents from `least` to `greatest`. Below 2^least there
// are denormal numbers: they have the exponent `least`, and bit 63 clear.
export function round(precision: u32, least: i32, greatest: i32): void {
  if (A.exponent < least) {
    roundSmall(precision, least)
    return
  }
  roundFraction(precision)
  if (A.exponent > greatest) overflow(precision, greatest)
}

function roundFraction(precision: u64): void {
  const rest = restOf(precision)
  A.low = 0
  if (rest == 0) return
  Status.flags |= PE
  const unit: u64 = (1 as u64) << (64 - precision)
  const significand = A.significand & (0 - unit)
  if (!increments(rest, (significand & unit) != 0)) {
    A.significand = significand
    return
  }
  Status.roundedUp = true
  if (significand == 0 - unit) {
    A.significand = TOP
    A.exponent++
  } else A.significand = significand + unit
}

function overflow(precision: u64, greatest: i32): void {
  Status.flags |= OE
  if ((Control.unmasked & OE) != 0) {
    A.exponent -= WRAP
    return
  }
  Status.flags |= PE
  const up = Control.rounding == NEAREST || Control.rounding == (A.sign != 0 ? DOWN : UP)
  Status.roundedUp = up
  if (up) setInfinite(A.sign)
  else {
    A.exponent = greatest
    A.significand = 0 - ((1 as u64) << (64 - precision))
  }
}

// A number is tiny when it is below 2^least after rounding to `precision` bits as if exponents had no limit.
function isTiny(precision: u64, least: i32): bool {
  if (A.exponent < least - 1) return true
  const unit: u64 = (1 as u64) << (64 - precision)
  if ((A.significand | (unit - 1)) != 0xffffffffffffffff) return true
  const rest = restOf(precision)
  return rest == 0 || !increments(rest, true)
}

function roundSmall(precision: u64, least: i32): void {
  const tiny = isTiny(precision, least)
  if (tiny && (Control.unmasked & UE) != 0) {
    Status.flags |= UE
    A.exponent += WRAP
    roundFraction(precision)
    return
  }
  if (tiny && Control.flushToZero) {
    Status.flags |= UE | PE
    setZero(A.sign)
    return
  }
  shiftRight(least - A.exponent)
  A.exponent = least
  const rest = restOf(precision)
  if (rest != 0) {
    if (tiny) Status.flags |= UE
    // Cannot carry out of bit 63: that is clear.
    roundFraction(precision)
  }
  if (A.significand == 0) A.kind = ZERO
}

// Moves the 128 bits of A down; what falls out stays as the last bit.
export function shiftRight(by: i32): void {
  if (by == 0) return
  const count = by as u64
  if (by < 64) {
    const lost = A.low << (64 - count)
    A.low = (A.significand << (64 - count)) | (A.low >> count) | (lost != 0 ? 1 : 0)
    A.significand >>= count
  } else if (by < 128) {
    const lost = by == 64 ? A.low : A.low | (A.significand << (128 - count))
    A.low = (A.significand >> (count - 64)) | (lost != 0 ? 1 : 0)
    A.significand = 0
  } else {
    A.low = 1
    A.significand = 0
  }
}

// Packing

export function pack32(): u32 {
  const sign = A.sign << 31
  if (A.kind == ZERO) return sign
  const fraction = ((A.significand >> 40) as u32) & 0x7fffff
  if (A.kind >= INFINITE) return sign | 0x7f800000 | fraction
  return (A.significand as i64) < 0 ? sign | (((A.exponent + 127) as u32) << 23) | fraction : sign | fraction
}

export function pack64(): u64 {
  const sign = (A.sign as u64) << 63
  if (A.kind == ZERO) return sign
  const fraction = (A.significand << 1) >> 12
  if (A.kind >= INFINITE) return sign | 0x7ff0000000000000 | fraction
  return (A.significand as i64) < 0 ? sign | (((A.exponent + 1023) as u64) << 52) | fraction : sign | fraction
}

// Sign and exponent of the 80-bit format; the significand is A's own.
export function pack80High(): u32 {
  const sign = A.sign << 15
  if (A.kind == ZERO) return sign
  if (A.kind >= INFINITE) return sign | 0x7fff
  return (A.significand as i64) < 0 ? sign | ((A.exponent + 16383) as u32) : sign
}

export function pack16(): u32 {
  const sign = A.sign << 15
  if (A.kind == ZERO) return sign
  const fraction = ((A.significand >> 53) as u32) & 0x3ff
  if (A.kind >= INFINITE) return sign | 0x7c00 | fraction
  return (A.significand as i64) < 0 ? sign | (((A.exponent + 15) as u32) << 10) | fraction : sign | fraction
}

// Takes rounding, masks, DAZ and FTZ from MXCSR.
export function controlFromMxcsr(): void {
  const mxcsr = load<u32>(L.MXCSR)
  Control.rounding = (mxcsr >> 13) & 3
  Control.unmasked = (~mxcsr >> 7) & 0x3f
  Control.denormalsAreZero = (mxcsr & 0x40) != 0
  Control.flushToZero = (mxcsr & 0x8000) != 0
}
