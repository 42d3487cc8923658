/**
 * The functions of the x87 as fixed-point numbers of 320 bits behind the point, from their Taylor series alone. Slow, and as
 * simple as can be: the processor's own, which reduce and scale, are tested against them.
 */

export const FRACTION_BITS = 320n
export const ONE = 1n << FRACTION_BITS

const multiply = (a: bigint, b: bigint): bigint => (a * b) >> FRACTION_BITS
const divide = (a: bigint, b: bigint): bigint => (a << FRACTION_BITS) / b

/** The sum of terms until one vanishes; `next` makes a term of the one before. */
function series(
  first: bigint,
  next: (term: bigint, n: bigint) => bigint,
  weigh = (term: bigint, _n: bigint) => term,
): bigint {
  let sum = 0n
  let term = first
  for (let n = 0n; term !== 0n && term !== -1n; n++) {
    sum += weigh(term, n)
    term = next(term, n)
  }
  return sum
}

/** Arctangent of a number from -1 to 1: atan(x) = 2 atan(x / (1 + sqrt(1 + x^2))) brings it near to 0. */
export function arctangent(x: bigint): bigint {
  let reduced = x
  for (let halving = 0; halving < 8; halving++) {
    reduced = divide(reduced, ONE + squareRoot(ONE + multiply(reduced, reduced)))
  }
  const square = multiply(reduced, reduced)
  return (
    series(
      reduced,
      (term) => -multiply(term, square),
      (term, n) => term / (2n * n + 1n),
    ) << 8n
  )
}

function squareRoot(x: bigint): bigint {
  const scaled = x << FRACTION_BITS
  let root = 1n << BigInt((scaled.toString(2).length >> 1) + 1)
  for (;;) {
    const better = (root + scaled / root) >> 1n
    if (better >= root) return root
    root = better
  }
}

export const PI = arctangent(ONE) * 4n

export function sine(x: bigint): bigint {
  const square = multiply(x, x)
  return series(x, (term, n) => -multiply(term, square) / ((2n * n + 2n) * (2n * n + 3n)))
}

export function cosine(x: bigint): bigint {
  const square = multiply(x, x)
  return series(ONE, (term, n) => -multiply(term, square) / ((2n * n + 1n) * (2n * n + 2n)))
}

/** Natural logarithm of a positive number. */
function naturalLogarithm(x: bigint): bigint {
  let reduced = x
  for (let halving = 0; halving < 10; halving++) reduced = squareRoot(reduced)
  const z = divide(reduced - ONE, reduced + ONE)
  const square = multiply(z, z)
  return (
    series(
      z,
      (term) => multiply(term, square),
      (term, n) => term / (2n * n + 1n),
    ) << 11n
  )
}

const LN2 = naturalLogarithm(2n * ONE)

export function logarithm2(x: bigint): bigint {
  return divide(naturalLogarithm(x), LN2)
}

/** 2^x - 1 */
export function powerLessOne(x: bigint): bigint {
  const y = multiply(x, LN2)
  return series(y, (term, n) => multiply(term, y) / (n + 2n))
}

export { divide, multiply }
