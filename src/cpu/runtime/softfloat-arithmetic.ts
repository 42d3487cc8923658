// Arithmetic on unpacked numbers (softfloat.ts): none of the operands is a NaN or unsupported, and the result is exact but
// for the last bit of A.low, which stands for everything below it.

import * as L from '../layout'
import { divideWide, mulHigh, root } from './arithmetic'
import {
  A,
  B,
  C,
  Control,
  DOWN,
  FINITE,
  INFINITE,
  invalid,
  Status,
  setInfinite,
  setZero,
  shiftRight,
  swapOperands,
  TOP,
  takeSecond,
  ZE,
  ZERO,
} from './softfloat'

// Addition

export function subtract(): void {
  B.sign ^= 1
  add()
}

export function add(): void {
  if (A.kind == FINITE && B.kind == FINITE) addFinite()
  else if (A.kind == INFINITE) {
    if (B.kind == INFINITE && A.sign != B.sign) invalid()
  } else if (B.kind == INFINITE) takeSecond()
  else if (B.kind == ZERO) {
    if (A.kind == ZERO && A.sign != B.sign) setZero(zeroSign())
  } else takeSecond()
}

// Sign of an exact difference of 0.
function zeroSign(): u32 {
  return Control.rounding == DOWN ? 1 : 0
}

function addFinite(): void {
  if (A.exponent < B.exponent || (A.exponent == B.exponent && A.significand < B.significand)) swapOperands()
  let small = B.significand
  let rest: u64 = 0
  const distance = A.exponent - B.exponent
  if (distance != 0) {
    const count = distance as u64
    if (distance < 64) {
      rest = small << (64 - count)
      small >>= count
    } else {
      const lost: bool = distance >= 128 || (distance > 64 && small << (128 - count) != 0)
      rest = (distance < 128 ? small >> (count - 64) : 0) | (lost ? 1 : 0)
      small = 0
    }
  }
  if (A.sign == B.sign) addMagnitude(small, rest)
  else subtractMagnitude(small, rest)
}

function addMagnitude(small: u64, rest: u64): void {
  const sum = A.significand + small
  if (sum < small) {
    A.low = (rest >> 1) | (rest & 1) | (sum << 63)
    A.significand = (sum >> 1) | TOP
    A.exponent++
  } else {
    A.low = rest
    A.significand = sum
  }
}

function subtractMagnitude(small: u64, rest: u64): void {
  const difference = A.significand - small - (rest != 0 ? 1 : 0)
  if (difference == 0 && rest == 0) setZero(zeroSign())
  else normalize(difference, 0 - rest)
}

// Puts the first bit of high:low, which is not 0, into bit 63.
export function normalize(high: u64, low: u64): void {
  if (high == 0) {
    high = low
    low = 0
    A.exponent -= 64
  }
  const shift = clz(high)
  if (shift != 0) {
    high = (high << shift) | (low >> (64 - shift))
    low <<= shift
    A.exponent -= shift as i32
  }
  A.significand = high
  A.low = low
}

// Multiplication, division, square root

export function multiply(): void {
  A.sign ^= B.sign
  if (A.kind == FINITE && B.kind == FINITE) multiplyFinite()
  else if (A.kind == INFINITE || B.kind == INFINITE) {
    if (A.kind == ZERO || B.kind == ZERO) invalid()
    else setInfinite(A.sign)
  } else setZero(A.sign)
}

function multiplyFinite(): void {
  const high = mulHigh(A.significand, B.significand)
  const low = A.significand * B.significand
  A.exponent += B.exponent
  if ((high as i64) < 0) {
    A.significand = high
    A.low = low
    A.exponent++
  } else {
    A.significand = (high << 1) | (low >> 63)
    A.low = low << 1
  }
}

export function divide(): void {
  A.sign ^= B.sign
  if (A.kind == FINITE && B.kind == FINITE) divideFinite()
  else if (A.kind == B.kind) invalid()
  else if (A.kind == INFINITE) setInfinite(A.sign)
  else if (B.kind == ZERO) {
    Status.flags |= ZE
    setInfinite(A.sign)
  } else setZero(A.sign)
}

function divideFinite(): void {
  A.exponent -= B.exponent
  if (A.significand < B.significand) {
    divideWide(0, A.significand, B.significand)
    A.exponent--
  } else divideWide(A.significand << 63, A.significand >> 1, B.significand)
  A.significand = load<u64>(L.QUOTIENT)
  const rest = load<u64>(L.REMAINDER)
  const complement = B.significand - rest
  if (rest == 0) A.low = 0
  else if (rest == complement) A.low = TOP
  else A.low = rest > complement ? TOP | 1 : 1
}

export function squareRoot(): void {
  if (A.kind == ZERO) return
  if (A.sign != 0) invalid()
  else if (A.kind == FINITE) rootFinite()
}

function rootFinite(): void {
  const odd = (A.exponent & 1) != 0
  A.low = root(odd ? A.significand : A.significand >> 1, odd ? 0 : A.significand << 63)
  A.significand = load<u64>(L.QUOTIENT)
  A.exponent >>= 1
}

// A * B + C, rounded once
export function multiplyAdd(): void {
  A.sign ^= B.sign
  if (A.kind == FINITE && B.kind == FINITE) {
    multiplyFinite()
    if (C.kind == FINITE) addExtended(C.sign, C.exponent, C.significand, 0)
    else if (C.kind == INFINITE) setInfinite(C.sign)
    return
  }
  if (A.kind == INFINITE || B.kind == INFINITE) {
    if (A.kind == ZERO || B.kind == ZERO || (C.kind == INFINITE && C.sign != A.sign)) invalid()
    else setInfinite(A.sign)
    return
  }
  // The product is 0.
  setZero(A.sign)
  B.sign = C.sign
  B.exponent = C.exponent
  B.significand = C.significand
  B.kind = C.kind
  add()
}

// Adds a number of 128 bits, high:low like those of A, both of them finite.
export function addExtended(sign: u32, exponent: i32, high: u64, low: u64): void {
  const distance = A.exponent - exponent
  if (distance >= 0) {
    const ownHigh = A.significand
    const ownLow = A.low
    A.significand = high
    A.low = low
    shiftRight(distance)
    high = A.significand
    low = A.low
    A.significand = ownHigh
    A.low = ownLow
  } else {
    shiftRight(-distance)
    A.exponent = exponent
  }
  if (A.sign == sign) addWide(high, low)
  else subtractWide(high, low)
}

function addWide(high: u64, low: u64): void {
  A.low += low
  const carry: u64 = A.low < low ? 1 : 0
  const sum = A.significand + high + carry
  const overflows = sum < high || (carry != 0 && sum == high)
  A.significand = sum
  if (!overflows) return
  shiftRight(1)
  A.significand |= TOP
  A.exponent++
}

function subtractWide(high: u64, low: u64): void {
  if (A.significand < high || (A.significand == high && A.low < low)) {
    A.sign ^= 1
    const significand = A.significand
    const rest = A.low
    A.significand = high
    A.low = low
    high = significand
    low = rest
  }
  const difference = A.significand - high - (A.low < low ? 1 : 0)
  const rest = A.low - low
  if (difference == 0 && rest == 0) setZero(zeroSign())
  else normalize(difference, rest)
}
