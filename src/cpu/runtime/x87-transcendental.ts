// The transcendental instructions (SDM volume 1, 8.3.7 to 8.3.10): what they do with operands that are no ordinary numbers, and
// with the register stack. The mathematics is in x87-series.ts.

import {
  A,
  B,
  FINITE,
  INFINITE,
  invalid,
  pack80High,
  Status,
  setFinite,
  setInfinite,
  setInteger,
  setZero,
  TOP,
  ZE,
  ZERO,
} from './softfloat'
import { addExtended } from './softfloat-arithmetic'
import { anyNan, isNan } from './x87-arithmetic'
import {
  arctangentOfRatio,
  cosineOfReduced,
  divideByExtended,
  logarithm,
  logarithmOfSuccessor,
  PI_HIGH,
  PI_LOW,
  powerLessOne,
  reduceAngle,
  scaleBy,
  sineOfReduced,
} from './x87-series'
import {
  begin,
  isEmpty,
  roundExtended,
  setC2,
  settleInto,
  settlePair,
  stackOverflow,
  stackUnderflow,
  unpackRegister,
  unpackSecond,
} from './x87-state'

// The result is not exact, whatever its bits say.
function roundInexact(): void {
  A.low |= 1
  roundExtended()
}

// F2XM1: 2^ST(0) - 1 for ST(0) from -1 to 1. Outside, where the manual leaves it open, numbers stay as they are.
export function x87PowerLessOne(): void {
  begin()
  if (isEmpty(0)) stackUnderflow()
  else {
    unpackRegister(0)
    if (!isNan()) power()
  }
  settleInto(0, 0)
}

function power(): void {
  if (A.kind == INFINITE && A.sign != 0) setInteger(-1)
  else if (A.kind == FINITE && A.exponent <= 0) powerOfFinite()
}

function powerOfFinite(): void {
  if (A.exponent == 0) {
    // 2^1 - 1 is 1, and 2^-1 - 1 is -1/2.
    if (A.significand == TOP && A.sign != 0) A.exponent = -1
    return
  }
  powerLessOne()
  roundInexact()
}

// ST(1) = result, and ST(0) goes.
function settleBinary(): void {
  settleInto(1, 1)
}

// Takes ST(0) as A and ST(1) as B; whether both are numbers.
function takeBoth(): bool {
  begin()
  if (isEmpty(0) || isEmpty(1)) {
    stackUnderflow()
    return false
  }
  unpackSecond(1)
  unpackRegister(0)
  return !anyNan()
}

// FYL2X: ST(1) * log2(ST(0))
export function x87Logarithm(): void {
  if (takeBoth()) multiplyLogarithm()
  settleBinary()
}

function multiplyLogarithm(): void {
  if (A.kind == ZERO) {
    if (B.kind == ZERO) invalid()
    else {
      if (B.kind == FINITE) Status.flags |= ZE
      setInfinite(B.sign ^ 1)
    }
    return
  }
  if (A.sign != 0) {
    invalid()
    return
  }
  const isOne = A.kind == FINITE && A.exponent == 0 && A.significand == TOP
  if (A.kind == INFINITE || B.kind != FINITE || isOne) {
    multiplyLimit(isOne, A.kind == INFINITE, A.kind == FINITE && A.exponent < 0 ? 1 : 0)
    return
  }
  const exact = logarithm()
  multiplyBySecond()
  if (exact) roundExtended()
  else roundInexact()
}

// The product of B and a logarithm of which only this is known: whether it is 0, whether it is infinite, and its sign.
function multiplyLimit(isZero: bool, isInfinite: bool, sign: u32): void {
  const product = sign ^ B.sign
  if (isZero ? B.kind == INFINITE : isInfinite && B.kind == ZERO) invalid()
  else if (isZero || B.kind == ZERO) setZero(product)
  else setInfinite(product)
}

function multiplyBySecond(): void {
  A.sign ^= B.sign
  scaleBy(B.exponent, B.significand, 0)
}

// FYL2XP1: ST(1) * log2(ST(0) + 1). Where the sum is negative, which the manual leaves open, the result is ST(0).
export function x87LogarithmOfSuccessor(): void {
  if (takeBoth()) multiplyLogarithmOfSuccessor()
  settleBinary()
}

function multiplyLogarithmOfSuccessor(): void {
  if (A.kind == INFINITE && A.sign != 0) {
    invalid()
    return
  }
  if (A.kind != FINITE || B.kind != FINITE) {
    multiplyLimit(A.kind == ZERO, A.kind == INFINITE, A.sign)
    return
  }
  if (A.sign != 0 && A.exponent >= 0) {
    if (A.exponent == 0 && A.significand == TOP) {
      Status.flags |= ZE
      setInfinite(B.sign ^ 1)
    }
    return
  }
  logarithmOfSuccessor()
  multiplyBySecond()
  roundInexact()
}

// FPATAN: the angle of the point with the abscissa ST(0) and the ordinate ST(1)
export function x87Arctangent(): void {
  if (takeBoth()) arctangent()
  settleBinary()
}

function arctangent(): void {
  const sign = B.sign
  const left = A.sign != 0
  if (B.kind == ZERO || (A.kind == INFINITE && B.kind == FINITE)) {
    // On the axis of abscissas, or as good as.
    if (!left) {
      setZero(sign)
      return
    }
    setPi(1)
  } else {
    if (A.kind == INFINITE) setPi(-1)
    else if (A.kind == ZERO || B.kind == INFINITE) setPi(0)
    else angleOfFinite()
    if (left) subtractFromPi(1)
  }
  A.sign = sign
  roundInexact()
}

// Pi / 2 * 2^exponent
function setPi(exponent: i32): void {
  setFinite(0, exponent, PI_HIGH)
  A.low = PI_LOW
}

function subtractFromPi(exponent: i32): void {
  A.sign = 1
  addExtended(0, exponent, PI_HIGH, PI_LOW)
}

// The angle between the axis of abscissas and (|A|, |B|), from 0 to a half of pi.
function angleOfFinite(): void {
  if (A.exponent > B.exponent || (A.exponent == B.exponent && A.significand >= B.significand)) {
    arctangentOfRatio(B.significand, A.significand, A.exponent - B.exponent)
    return
  }
  arctangentOfRatio(A.significand, B.significand, B.exponent - A.exponent)
  subtractFromPi(0)
}

// Sine, cosine, tangent

// Where angles are too large to be reduced.
const ANGLE_LIMIT: i32 = 63

// What an instruction finds in ST(0).
const NO_ANGLE: u32 = 0
const TOO_LARGE: u32 = 1
const NULL_ANGLE: u32 = 2
const ANGLE: u32 = 3

// Takes ST(0) apart; `pushes` says that the instruction has a second result. Angles that are too large set C2 and nothing else.
function takeAngle(pushes: bool): u32 {
  begin()
  setC2(false)
  if (isEmpty(0)) {
    stackUnderflow()
    return NO_ANGLE
  }
  if (pushes && !isEmpty(7)) {
    stackOverflow()
    return NO_ANGLE
  }
  unpackRegister(0)
  if (isNan()) return NO_ANGLE
  if (A.kind == INFINITE) {
    invalid()
    return NO_ANGLE
  }
  if (A.kind == ZERO) return NULL_ANGLE
  if (A.exponent < ANGLE_LIMIT) return ANGLE
  setC2(true)
  return TOO_LARGE
}

// Sine of a reduced angle that lies `quadrant` quarters of a turn away from where it is.
function sineIn(quadrant: u32): void {
  if ((quadrant & 1) != 0) cosineOfReduced()
  else sineOfReduced()
  if ((quadrant & 2) != 0) A.sign ^= 1
}

// FSIN
export function x87Sine(): void {
  const found = takeAngle(false)
  if (found == TOO_LARGE) return
  if (found == ANGLE) {
    sineIn(reduceAngle())
    roundInexact()
  }
  settleInto(0, 0)
}

// FCOS
export function x87Cosine(): void {
  const found = takeAngle(false)
  if (found == TOO_LARGE) return
  if (found == NULL_ANGLE) setInteger(1)
  else if (found == ANGLE) {
    sineIn(reduceAngle() + 1)
    roundInexact()
  }
  settleInto(0, 0)
}

// FSINCOS: the sine takes the place of ST(0), the cosine is pushed.
export function x87SineCosine(): void {
  const found = takeAngle(true)
  if (found == TOO_LARGE) return
  let sine = A.significand
  let high = pack80High()
  if (found == NULL_ANGLE) setInteger(1)
  else if (found == ANGLE) {
    const quadrant = reduceAngle()
    const sign = A.sign
    const exponent = A.exponent
    const significand = A.significand
    const low = A.low
    sineIn(quadrant)
    roundInexact()
    sine = A.significand
    high = pack80High()
    setFinite(sign, exponent, significand)
    A.low = low
    sineIn(quadrant + 1)
    roundInexact()
  }
  settlePair(sine, high)
}

// FPTAN: the tangent takes the place of ST(0), 1 is pushed.
export function x87Tangent(): void {
  const found = takeAngle(true)
  if (found == TOO_LARGE) return
  if (found == ANGLE) {
    tangent()
    roundInexact()
  }
  const significand = A.significand
  const high = pack80High()
  if (found != NO_ANGLE) setInteger(1)
  settlePair(significand, high)
}

function tangent(): void {
  const quadrant = reduceAngle()
  const sign = A.sign
  const exponent = A.exponent
  const significand = A.significand
  const low = A.low
  // Numerator and denominator trade places with each quarter of a turn, and so does the sign.
  sineIn(quadrant + 1)
  const divisorSign = A.sign
  const divisorExponent = A.exponent
  const divisorHigh = A.significand
  const divisorLow = A.low
  setFinite(sign, exponent, significand)
  A.low = low
  sineIn(quadrant)
  A.sign ^= divisorSign
  divideByExtended(divisorExponent, divisorHigh, divisorLow)
}
