// SSE, AVX, FMA and F16C arithmetic of one element in software, on raw bits: what the instructions fall back to where wasm's
// own arithmetic is not exactly theirs. Rounding mode, DAZ and FTZ come from MXCSR; the exceptions met are added to
// FLOAT_FLAGS, and neither is MXCSR changed nor anything raised: settleFloat() does that at the end of the instruction.

import * as L from '../layout'
import {
  A,
  asSecond,
  asThird,
  B,
  C,
  Control,
  clearStatus,
  controlFromMxcsr,
  FINITE,
  IE,
  PE,
  pack16,
  pack32,
  pack64,
  QUIET,
  QUIET_BIT,
  raisedFlags,
  round,
  SIGNALLING,
  Status,
  setInteger,
  TOWARD_ZERO,
  unpack16,
  unpack32,
  unpack64,
  ZERO,
} from './softfloat'
import { add, divide, multiply, multiplyAdd, squareRoot, subtract } from './softfloat-arithmetic'
import { compare, EQUAL, GREATER, LESS, roundToInteger, toInteger, UNORDERED } from './softfloat-convert'

function begin(): void {
  controlFromMxcsr()
  clearStatus()
}

function end(): void {
  store<u32>(L.FLOAT_FLAGS, load<u32>(L.FLOAT_FLAGS) | raisedFlags())
}

function begin32(a: u32, b: u32): void {
  begin()
  unpack32(b)
  asSecond()
  unpack32(a)
}

function begin64(a: u64, b: u64): void {
  begin()
  unpack64(b)
  asSecond()
  unpack64(a)
}

function end32(): u32 {
  if (A.kind == FINITE) round(24, -126, 127)
  end()
  return pack32()
}

function end64(): u64 {
  if (A.kind == FINITE) round(53, -1022, 1023)
  end()
  return pack64()
}

// NaNs: the first operand that is one, made quiet, is the result (SDM volume 1, table 4-7).

function quiet(): void {
  Status.denormal = 0
  A.significand |= QUIET_BIT
  A.kind = QUIET
}

// Whether the only operand is a NaN, which is then the result.
function isNan(): bool {
  if (A.kind < QUIET) return false
  if (A.kind == SIGNALLING) Status.flags |= IE
  quiet()
  return true
}

function anyNan(): bool {
  if (A.kind < QUIET && B.kind < QUIET) return false
  if (A.kind == SIGNALLING || B.kind == SIGNALLING) Status.flags |= IE
  if (A.kind < QUIET) {
    A.sign = B.sign
    A.significand = B.significand
  }
  quiet()
  return true
}

function anyOfThreeNan(): bool {
  if (A.kind < QUIET && B.kind < QUIET && C.kind < QUIET) return false
  if (C.kind == SIGNALLING) Status.flags |= IE
  if (A.kind < QUIET && B.kind < QUIET) {
    A.sign = C.sign
    A.significand = C.significand
    quiet()
  } else anyNan()
  return true
}

// Arithmetic

export function sseAdd32(a: u32, b: u32): u32 {
  begin32(a, b)
  if (!anyNan()) add()
  return end32()
}

export function sseAdd64(a: u64, b: u64): u64 {
  begin64(a, b)
  if (!anyNan()) add()
  return end64()
}

export function sseSub32(a: u32, b: u32): u32 {
  begin32(a, b)
  if (!anyNan()) subtract()
  return end32()
}

export function sseSub64(a: u64, b: u64): u64 {
  begin64(a, b)
  if (!anyNan()) subtract()
  return end64()
}

export function sseMul32(a: u32, b: u32): u32 {
  begin32(a, b)
  if (!anyNan()) multiply()
  return end32()
}

export function sseMul64(a: u64, b: u64): u64 {
  begin64(a, b)
  if (!anyNan()) multiply()
  return end64()
}

export function sseDiv32(a: u32, b: u32): u32 {
  begin32(a, b)
  if (!anyNan()) divide()
  return end32()
}

export function sseDiv64(a: u64, b: u64): u64 {
  begin64(a, b)
  if (!anyNan()) divide()
  return end64()
}

export function sseSqrt32(a: u32): u32 {
  begin()
  unpack32(a)
  if (!isNan()) squareRoot()
  return end32()
}

export function sseSqrt64(a: u64): u64 {
  begin()
  unpack64(a)
  if (!isNan()) squareRoot()
  return end64()
}

// (negateProduct ? -1 : 1) * a * b + (negateAddend ? -1 : 1) * c. The order of a, b, c is that in which NaNs are looked for.
function multiplyAddSigned(negateProduct: u32, negateAddend: u32): void {
  if (anyOfThreeNan()) return
  B.sign ^= negateProduct
  C.sign ^= negateAddend
  multiplyAdd()
}

export function sseMulAdd32(a: u32, b: u32, c: u32, negateProduct: u32, negateAddend: u32): u32 {
  begin()
  unpack32(c)
  asThird()
  unpack32(b)
  asSecond()
  unpack32(a)
  multiplyAddSigned(negateProduct, negateAddend)
  return end32()
}

export function sseMulAdd64(a: u64, b: u64, c: u64, negateProduct: u32, negateAddend: u32): u64 {
  begin()
  unpack64(c)
  asThird()
  unpack64(b)
  asSecond()
  unpack64(a)
  multiplyAddSigned(negateProduct, negateAddend)
  return end64()
}

// MIN and MAX: the second operand as it is when either is a NaN, which is always invalid, or when both are zero.

function takesFirst(wanted: u32): bool {
  if (A.kind >= QUIET || B.kind >= QUIET) {
    Status.flags |= IE
    return false
  }
  return compare() == wanted
}

// A denormal operand that DAZ made 0 is 0 in the result, too.
function extreme32(a: u32, b: u32, wanted: u32): u32 {
  begin32(a, b)
  const first = takesFirst(wanted)
  end()
  if (first) return A.kind == ZERO ? A.sign << 31 : a
  return B.kind == ZERO ? B.sign << 31 : b
}

function extreme64(a: u64, b: u64, wanted: u32): u64 {
  begin64(a, b)
  const first = takesFirst(wanted)
  end()
  if (first) return A.kind == ZERO ? (A.sign as u64) << 63 : a
  return B.kind == ZERO ? (B.sign as u64) << 63 : b
}

export function sseMin32(a: u32, b: u32): u32 {
  return extreme32(a, b, LESS)
}

export function sseMin64(a: u64, b: u64): u64 {
  return extreme64(a, b, LESS)
}

export function sseMax32(a: u32, b: u32): u32 {
  return extreme32(a, b, GREATER)
}

export function sseMax64(a: u64, b: u64): u64 {
  return extreme64(a, b, GREATER)
}

// LESS, EQUAL, UNORDERED or GREATER, which is 0. A quiet NaN is only invalid when `signalling`.

function compareOrdered(signalling: u32): u32 {
  let order = UNORDERED
  if (A.kind < QUIET && B.kind < QUIET) {
    order = compare()
  } else {
    Status.denormal = 0
    if (signalling != 0 || A.kind == SIGNALLING || B.kind == SIGNALLING) Status.flags |= IE
  }
  end()
  return order
}

export function sseCompare32(a: u32, b: u32, signalling: u32): u32 {
  begin32(a, b)
  return compareOrdered(signalling)
}

export function sseCompare64(a: u64, b: u64, signalling: u32): u32 {
  begin64(a, b)
  return compareOrdered(signalling)
}

// How a compares with b, as a number that compares so with 0.
function orderOf(code: u32): f32 {
  if (code == UNORDERED) return NaN
  return code == LESS ? -1 : code == GREATER ? 1 : 0
}

export function sseOrder32(a: u32, b: u32, signalling: u32): f32 {
  return orderOf(sseCompare32(a, b, signalling))
}

export function sseOrder64(a: u64, b: u64, signalling: u32): f64 {
  return orderOf(sseCompare64(a, b, signalling))
}

// The predicates of CMPPS and kin: bits 1:0 are equal, less, less or equal, unordered; bit 2 negates, bit 3 turns the answer for
// unordered numbers about, and bit 4 which predicates are signalling, those of order by default (SDM volume 2, CMPPD).

function isSignalling(predicate: u32): u32 {
  const basic = predicate & 3
  return (basic == 1 || basic == 2 ? 1 : 0) ^ ((predicate >> 4) & 1)
}

function holds(code: u32, predicate: u32): bool {
  const basic = predicate & 3
  const negated = (predicate & 4) != 0
  if (code == UNORDERED) return ((basic == 3) != negated) != ((predicate & 8) != 0)
  const equal = code == EQUAL
  const less = code == LESS
  return (basic == 0 ? equal : basic == 1 ? less : basic == 2 ? less || equal : false) != negated
}

export function sseCompareMask32(a: u32, b: u32, predicate: u32): u32 {
  return holds(sseCompare32(a, b, isSignalling(predicate)), predicate) ? 0xffffffff : 0
}

export function sseCompareMask64(a: u64, b: u64, predicate: u32): u64 {
  return holds(sseCompare64(a, b, isSignalling(predicate)), predicate) ? 0xffffffffffffffff : 0
}

// Conversions

export function sse32To64(a: u32): u64 {
  begin()
  unpack32(a)
  isNan()
  return end64()
}

export function sse64To32(a: u64): u32 {
  begin()
  unpack64(a)
  isNan()
  return end32()
}

// VCVTPH2PS: DAZ says nothing of half precision.
export function sse16To32(a: u32): u32 {
  begin()
  unpack16(a)
  isNan()
  return end32()
}

// VCVTPS2PH; the immediate holds the mode, or says that it is MXCSR's. FTZ is ignored.
export function sse32To16(a: u32, immediate: u32): u32 {
  begin()
  Control.flushToZero = false
  if ((immediate & 4) == 0) Control.rounding = immediate & 3
  unpack32(a)
  isNan()
  if (A.kind == FINITE) round(11, -14, 15)
  end()
  return pack16()
}

// A denormal operand is no exception here, nor in roundWith.
function toIntegerWith(bits: u32, truncate: u32): i64 {
  Status.denormal = 0
  const result = toInteger(bits, truncate != 0 ? TOWARD_ZERO : Control.rounding)
  end()
  return result
}

export function sse32ToI32(a: u32, truncate: u32): i32 {
  begin()
  unpack32(a)
  return toIntegerWith(32, truncate) as i32
}

export function sse32ToI64(a: u32, truncate: u32): i64 {
  begin()
  unpack32(a)
  return toIntegerWith(64, truncate)
}

export function sse64ToI32(a: u64, truncate: u32): i32 {
  begin()
  unpack64(a)
  return toIntegerWith(32, truncate) as i32
}

export function sse64ToI64(a: u64, truncate: u32): i64 {
  begin()
  unpack64(a)
  return toIntegerWith(64, truncate)
}

// Integers of 32 bits come sign-extended. To f64 they are exact.
export function sseIntegerTo32(value: i64): u32 {
  begin()
  setInteger(value)
  return end32()
}

export function sseIntegerTo64(value: i64): u64 {
  begin()
  setInteger(value)
  return end64()
}

// ROUNDSS and kin: bits 1:0 of the immediate are the mode unless bit 2 says MXCSR's; bit 3 keeps PE back.
function roundWith(immediate: u32): void {
  Status.denormal = 0
  if (A.kind >= QUIET) isNan()
  else roundToInteger((immediate & 4) != 0 ? Control.rounding : immediate & 3)
  if ((immediate & 8) != 0) Status.flags &= ~PE
  end()
}

export function sseRound32(a: u32, immediate: u32): u32 {
  begin()
  unpack32(a)
  roundWith(immediate)
  return pack32()
}

export function sseRound64(a: u64, immediate: u32): u64 {
  begin()
  unpack64(a)
  roundWith(immediate)
  return pack64()
}
