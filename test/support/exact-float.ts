/**
 * Binary floating point as the definition has it: an exact rational number, rounded once. Slow, and written in another way than
 * the processor's software floating point (BigInt fractions there, normalised significands here), which is tested against it.
 */

export interface Format {
  readonly bits: number
  readonly precision: number
  readonly bias: number
}

export const SINGLE: Format = { bits: 32, precision: 24, bias: 127 }
export const DOUBLE: Format = { bits: 64, precision: 53, bias: 1023 }

export const IE = 1
export const DE = 2
export const ZE = 4
export const OE = 8
export const UE = 0x10
export const PE = 0x20

export const NEAREST = 0
export const DOWN = 1
export const UP = 2
export const TOWARD_ZERO = 3

/** numerator / denominator, the denominator positive. */
export interface Rational {
  readonly numerator: bigint
  readonly denominator: bigint
}

/** A number (zero has a sign), an infinity, or 'nan'. */
export type Operand =
  | { readonly value: Rational; readonly negative: boolean; readonly denormal: boolean }
  | Infinite
  | 'nan'
export interface Infinite {
  readonly infinite: true
  readonly negative: boolean
}

function power(exponent: number): Rational {
  return exponent >= 0
    ? { numerator: 1n << BigInt(exponent), denominator: 1n }
    : { numerator: 1n, denominator: 1n << BigInt(-exponent) }
}

export function decode(bits: bigint, format: Format): Operand {
  const fractionBits = BigInt(format.precision - 1)
  const negative = bits >> BigInt(format.bits - 1) === 1n
  const exponent = Number((bits >> fractionBits) & BigInt(2 * format.bias + 1))
  const fraction = bits & ((1n << fractionBits) - 1n)
  if (exponent === 2 * format.bias + 1) return fraction === 0n ? { infinite: true, negative } : 'nan'
  const significand = exponent === 0 ? fraction : fraction | (1n << fractionBits)
  const value = multiply(
    { numerator: negative ? -significand : significand, denominator: 1n },
    power(Math.max(exponent, 1) - format.bias - format.precision + 1),
  )
  return { value, negative, denormal: exponent === 0 && fraction !== 0n }
}

export function add(a: Rational, b: Rational): Rational {
  return {
    numerator: a.numerator * b.denominator + b.numerator * a.denominator,
    denominator: a.denominator * b.denominator,
  }
}

export function multiply(a: Rational, b: Rational): Rational {
  return { numerator: a.numerator * b.numerator, denominator: a.denominator * b.denominator }
}

export function divide(a: Rational, b: Rational): Rational {
  const sign = b.numerator < 0n ? -1n : 1n
  return { numerator: a.numerator * b.denominator * sign, denominator: a.denominator * b.numerator * sign }
}

/** A number that rounds like the square root: 200 bits of it, and a bit for the rest. */
export function squareRoot(a: Rational): Rational {
  if (a.numerator === 0n) return a
  const scaled = (a.numerator << 2400n) / a.denominator
  let root = 1n << BigInt(Math.ceil(scaled.toString(2).length / 2))
  for (;;) {
    const better = (root + scaled / root) >> 1n
    if (better >= root) break
    root = better
  }
  const exact = root * root * a.denominator === a.numerator << 2400n
  return { numerator: (root << 1n) | (exact ? 0n : 1n), denominator: 1n << 1201n }
}

/** Nearest integer of a non-negative rational in the given mode, and whether that is not exact. */
function integer(value: Rational, mode: number, negative: boolean): { result: bigint; inexact: boolean } {
  const floor = value.numerator / value.denominator
  const twice = (value.numerator % value.denominator) * 2n
  if (twice === 0n) return { result: floor, inexact: false }
  const up =
    mode === NEAREST
      ? twice > value.denominator || (twice === value.denominator && (floor & 1n) === 1n)
      : mode === (negative ? DOWN : UP)
  return { result: up ? floor + 1n : floor, inexact: true }
}

export function toInteger(value: Rational, mode: number): { result: bigint; inexact: boolean } {
  const negative = value.numerator < 0n
  const { result, inexact } = integer(
    { ...value, numerator: negative ? -value.numerator : value.numerator },
    mode,
    negative,
  )
  return { result: negative ? -result : result, inexact }
}

/** The exponent e for which 2^e <= value < 2^(e+1). */
function exponentOf(value: Rational): number {
  let exponent = value.numerator.toString(2).length - value.denominator.toString(2).length
  if (value.numerator << BigInt(Math.max(0, -exponent)) < value.denominator << BigInt(Math.max(0, exponent))) exponent--
  return exponent
}

/** Rounds a number that is not zero; the result as raw bits, and flags with everything masked. */
export function encode(
  exact: Rational,
  format: Format,
  mode: number,
  flushToZero = false,
): { bits: bigint; flags: number } {
  const negative = exact.numerator < 0n
  const value = { ...exact, numerator: negative ? -exact.numerator : exact.numerator }
  const sign = negative ? 1n << BigInt(format.bits - 1) : 0n
  const least = 1 - format.bias
  const roundAt = (exponent: number) => integer(multiply(value, power(format.precision - 1 - exponent)), mode, negative)
  const exponent = exponentOf(value)
  const one = 1n << BigInt(format.precision - 1)
  const unlimited = roundAt(exponent)
  const tiny = exponent + (unlimited.result === one << 1n ? 1 : 0) < least
  if (tiny && flushToZero) return { bits: sign, flags: UE | PE }
  const { result, inexact } = exponent < least ? roundAt(least) : unlimited
  // A carry out of the significand goes on into the exponent by itself.
  const biased = BigInt(Math.max(exponent, least) + format.bias - 1)
  const bits = (biased << BigInt(format.precision - 1)) + result
  const infinity = BigInt(2 * format.bias + 1) << BigInt(format.precision - 1)
  if (bits >= infinity) {
    const toInfinity = mode === NEAREST || mode === (negative ? DOWN : UP)
    return { bits: sign | (toInfinity ? infinity : infinity - 1n), flags: OE | PE }
  }
  return { bits: sign | bits, flags: inexact ? (tiny ? UE | PE : PE) : 0 }
}
