/** Floating-point operands for tests: ordinary numbers, and all that makes trouble. */
import type { Random } from '../fuzz/random.ts'
import type { Format } from './exact-float.ts'

function assemble(format: Format, sign: number, exponent: number, fraction: bigint): bigint {
  const fractionBits = BigInt(format.precision - 1)
  const top = 2 * format.bias + 1
  const biased = BigInt(Math.min(Math.max(exponent, 0), top))
  return (BigInt(sign) << BigInt(format.bits - 1)) | (biased << fractionBits) | (fraction & ((1n << fractionBits) - 1n))
}

/** Not far from 1, with a significand of any length. */
export function ordinary(random: Random, format: Format): bigint {
  const fractionBits = format.precision - 1
  const kept = random.pick([fractionBits, fractionBits, 0, 1, random.below(fractionBits), fractionBits >> 1])
  const mask = ((1n << BigInt(kept)) - 1n) << BigInt(fractionBits - kept)
  const exponent = format.bias + random.below(24) - 8
  return assemble(format, random.below(2), exponent, random.u64() & mask)
}

/** Zeros, infinities, NaNs, denormal numbers, and what lies at the edges of those, of f32, of halves and of integers. */
export function special(random: Random, format: Format): bigint {
  const { bias } = format
  const top = 2 * bias + 1
  const any = random.u64()
  const quiet = 1n << BigInt(format.precision - 2)
  const [exponent, fraction] = random.pick<[number, bigint]>([
    [0, 0n],
    [0, 0n],
    [0, any],
    [0, 1n],
    [1, 0n],
    [1, any],
    [top - 1, -1n],
    [top - 1, any],
    [top, 0n],
    [top, any | quiet],
    [top, (any | 1n) & ~quiet],
    [random.below(top), any],
    [bias + 31, 0n],
    [bias + 30, -1n],
    [bias + 62, -1n],
    [bias + 63, 0n],
    [bias + format.precision - random.below(3), any],
    [bias - 126 - random.below(3), any],
    [bias + 126 + random.below(3), any],
    [bias - 14 - random.below(3), any],
    [bias + 15 + random.below(2), any],
    [bias - (bias >> 1) + random.below(3), any],
    [bias - bias + 27 + random.below(30), any],
    [bias + random.below(64), -1n << BigInt(random.below(20))],
  ])
  return assemble(format, random.below(2), exponent, fraction)
}

/**
 * A number whose relation to another one makes trouble: equal, opposite, next to it, farther off by half a significand, or
 * such that product or quotient are hardly normal numbers or hardly finite.
 */
export function related(random: Random, format: Format, other: bigint): bigint {
  const sign = 1n << BigInt(format.bits - 1)
  const unit = 1n << BigInt(format.precision - 1)
  const all = (1n << BigInt(format.bits)) - 1n
  const exponent = Number((other >> BigInt(format.precision - 1)) & BigInt(2 * format.bias + 1))
  const edge = random.pick([0, 1, 2, 2 * format.bias, 2 * format.bias + 1])
  const value = random.pick([
    assemble(format, random.below(2), edge + format.bias - exponent - random.below(2), random.u64()),
    assemble(format, random.below(2), exponent + format.bias - edge - random.below(2), random.u64()),
    other,
    other ^ sign,
    other + 1n,
    (other ^ sign) - 1n,
    other - unit * BigInt(random.below(2 * format.precision)),
    sign - 1n - other,
  ])
  return value & all
}
