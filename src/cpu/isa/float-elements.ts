/**
 * SSE floating point, one element or a vector of them, in wasm's own arithmetic as far as that is exactly the processor's.
 *
 * It is when MXCSR is standard (rounding to nearest, all exceptions masked, neither DAZ nor FTZ) and the operation raises no
 * exception flag that is not set already. Inexact results are the rule, so PE should be set, which it is in any program after
 * its first division; L.FLOAT_FAST says that all this holds. What remains to be looked at is
 *
 *   DE  an operand is denormal
 *   UE  the result is so small that it may have been denormal; |result| <= 2^(least exponent + 1), but not an exact zero
 *   OE, IE, ZE  and all NaNs: the result is not finite
 *
 * Each operation is tried with conditions that say "this is unusual" (`Elements.unusual`): integer comparisons on the
 * operands' bits, which let zeros pass. What is unusual is looked at again (`Elements.wrong`), now exactly, and with PE clear,
 * too: there are programs that compute with nothing but integers, and results that are exact do not set it. Only what
 * is wrong is done in software (runtime/softfloat-sse.ts), for which the translator leaves the region.
 *
 * How denormal numbers are found: let t(x) = 2 * bits(x) - 1. The sign is gone, zeros have become the greatest number, and
 * denormals are those whose exponent bits, now the first ones, are 0. Of a product whose operands are 0 or at least
 * 2^-63 (f32), 2^-511 (f64), the result is 0 or normal: their first two bits are not both 0. One comparison less.
 *
 * In vectors comparisons are signed, so t gets its first bit flipped: t(x) = 2 * bits(x) + 7fff...; and results get a
 * number that goes around at infinity, v(r) = 2 * bits(r) + 8100... (f32) or 8020... (f64): not finite are those that are less
 * than that constant, and denormal operands, too, so the minimum of all is compared once. Of f64 only the high halves
 * are compared, as i32x4: there is no minimum of i64x2. Where MXCSR wants the software, the number to compare with
 * (L.PACKED_LEAST_) is the greatest there is; not all of operands and result can be that.
 *
 * Example: 1.5 + denormal in f32. t(3fc00000) = 7f7fffff + 7fffffff = ff7ffffe (modulo 2^32), t(00000003) = 80000005, v(3fc00000) =
 * 00800000. The minimum, signed, is 80000005, which is less than 81000000: unusual.
 */
import * as L from '../layout.ts'
import type { Type, Value } from '../wasm/emitter.ts'
import type { Builder } from './builder.ts'

export interface Format {
  readonly bits: 32 | 64
  readonly letter: 's' | 'd'
  readonly scalar: 'f32' | 'f64'
  readonly vector: 'f32x4' | 'f64x2'
  readonly integer: 'i32' | 'i64'
  readonly integers: 'i32x4' | 'i64x2'
  readonly exponentBits: 8 | 11
  readonly infinity: bigint
  readonly one: bigint
  /** Significands whose bits of this mask are 0 have an exact product. */
  readonly lowHalf: bigint
}

export const SINGLE: Format = {
  bits: 32,
  letter: 's',
  scalar: 'f32',
  vector: 'f32x4',
  integer: 'i32',
  integers: 'i32x4',
  exponentBits: 8,
  infinity: 0x7f80_0000n,
  one: 0x3f80_0000n,
  lowHalf: 0xfffn,
}

export const DOUBLE: Format = {
  bits: 64,
  letter: 'd',
  scalar: 'f64',
  vector: 'f64x2',
  integer: 'i64',
  integers: 'i64x2',
  exponentBits: 11,
  infinity: 0x7ff0_0000_0000_0000n,
  one: 0x3ff0_0000_0000_0000n,
  lowHalf: 0x7ff_ffffn,
}

export const FORMATS = [SINGLE, DOUBLE] as const

/** An operation as far as its conditions go: addition and subtraction, multiplication, division, square root. */
export type Kind = 'sum' | 'product' | 'quotient' | 'root'

/** What an instruction works on. A truth is an i32 of one element, all ones or zeros in each element of a vector. */
export interface Elements {
  readonly format: Format
  readonly type: Type
  /** A wasm float instruction by the last part of its name. */
  apply(x: Builder, name: string, ...operands: Value[]): Value
  /** The instructions that wasm has for vectors only. */
  choose(x: Builder, name: 'pmin' | 'pmax', a: Value, b: Value): Value
  /** A comparison: a truth. */
  is(x: Builder, name: 'eq' | 'ne' | 'lt' | 'le' | 'gt' | 'ge', a: Value, b: Value): Value
  both(x: Builder, p: Value, q: Value): Value
  either(x: Builder, p: Value, q: Value): Value
  not(x: Builder, p: Value): Value
  /** i32, not 0 when the truth holds for some element. */
  some(x: Builder, truth: Value): Value
  /** Every element from its bits. */
  constant(x: Builder, bits: bigint): Value
  /** i32, not 0 when some operand has one of the bits. */
  has(x: Builder, bits: bigint, ...operands: Value[]): Value
  denormal(x: Builder, a: Value): Value
  zero(x: Builder, a: Value): Value
  /** Smaller than twice the least normal number. */
  tiny(x: Builder, a: Value): Value
  finite(x: Builder, a: Value): Value
  /** i32 conditions: none holds when the result is simply that; FLOAT_FAST is one of them. */
  unusual(x: Builder, kind: Kind, operands: readonly Value[], result: Value): Value[]
  /** The same for MIN, MAX and comparisons, which are exact: there is no NaN and no denormal number. */
  unordered(x: Builder, a: Value, b: Value): Value[]
  /** Does an operation in software, for each element; `call` takes and gives bits. */
  software(x: Builder, operands: readonly Value[], call: (bits: Value[], element: number) => Value): Value
}

/** The lowest element, as a number. */
class Scalar implements Elements {
  readonly format: Format
  readonly type: Type

  constructor(format: Format) {
    this.format = format
    this.type = format.scalar
  }

  apply(x: Builder, name: string, ...operands: Value[]): Value {
    return x.apply(`${this.format.scalar}.${name}`, this.type, ...operands)
  }

  choose(x: Builder, name: string, a: Value, b: Value): Value {
    const { vector } = this.format
    const chosen = x.simd(`${vector}.${name}`, x.splat(vector, a), x.splat(vector, b))
    return x.lane(vector, chosen, 0)
  }

  is(x: Builder, name: string, a: Value, b: Value): Value {
    return x.apply(`${this.format.scalar}.${name}`, 'i32', a, b)
  }

  both(x: Builder, p: Value, q: Value): Value {
    return x.binary('and', p, q)
  }

  either(x: Builder, p: Value, q: Value): Value {
    return x.binary('or', p, q)
  }

  not(x: Builder, p: Value): Value {
    return x.eqz(p)
  }

  some(_x: Builder, truth: Value): Value {
    return truth
  }

  constant(x: Builder, bits: bigint): Value {
    return x.constant(this.type, bits)
  }

  has(x: Builder, bits: bigint, ...operands: Value[]): Value {
    const all = operands.map((a) => this.#bits(x, a)).reduce((a, b) => x.binary('or', a, b))
    return x.bool32(x.binary('and', all, this.#integer(x, bits)))
  }

  denormal(x: Builder, a: Value): Value {
    return this.#startsWithZeros(x, this.#t(x, a), this.format.exponentBits)
  }

  zero(x: Builder, a: Value): Value {
    return x.eqz(this.#twice(x, a))
  }

  tiny(x: Builder, a: Value): Value {
    return this.#startsWithZeros(x, this.#twice(x, a), this.format.exponentBits - 1)
  }

  finite(x: Builder, a: Value): Value {
    return x.compare('lt_u', this.#twice(x, a), this.#integer(x, this.format.infinity << 1n))
  }

  unusual(x: Builder, kind: Kind, operands: readonly Value[], result: Value): Value[] {
    const { bits, exponentBits } = this.format
    const fast = bits === 32 ? x.state32(L.FLOAT_FAST) : x.state64(L.FLOAT_FAST_64)
    // First of all: V8 would compute the result a second time for each place behind a branch where it is needed.
    const infinite = x.compare('ge_u', this.#twice(x, result), fast)
    if (kind !== 'quotient') {
      const zeros = kind === 'product' ? 2 : exponentBits
      return [infinite, ...operands.map((a) => this.#startsWithZeros(x, this.#t(x, a), zeros))]
    }
    const [a, b] = operands as [Value, Value]
    const smallDivisor = this.#startsWithZeros(x, this.#twice(x, b), exponentBits)
    return [infinite, this.tiny(x, result), this.denormal(x, a), smallDivisor]
  }

  unordered(x: Builder, a: Value, b: Value): Value[] {
    const isNan = (v: Value): Value => x.eqz(this.is(x, 'ge', v, v))
    return [this.denormal(x, a), this.denormal(x, b), isNan(a), isNan(b)]
  }

  software(x: Builder, operands: readonly Value[], call: (bits: Value[], element: number) => Value): Value {
    const result = call(
      operands.map((a) => this.#bits(x, a)),
      0,
    )
    return x.apply(`${this.format.scalar}.reinterpret`, this.type, result)
  }

  #bits(x: Builder, a: Value): Value {
    return x.apply(`${this.format.integer}.reinterpret`, this.format.integer, a)
  }

  #integer(x: Builder, value: bigint): Value {
    return x.constant(this.format.integer, value)
  }

  #twice(x: Builder, a: Value): Value {
    return x.binary('shl', this.#bits(x, a), this.#integer(x, 1n))
  }

  #t(x: Builder, a: Value): Value {
    return x.binary('sub', this.#twice(x, a), this.#integer(x, 1n))
  }

  #startsWithZeros(x: Builder, a: Value, count: number): Value {
    const { bits } = this.format
    if (bits === 64) return x.eqz(x.binary('shr_u', a, x.i64(64 - count)))
    // A 32-bit constant is an operand of the processor's TEST.
    return x.eqz(x.binary('and', a, x.i32(-1 << (32 - count))))
  }
}

/** All elements of 128 bits. */
class Packed implements Elements {
  readonly format: Format
  readonly type = 'v128'

  constructor(format: Format) {
    this.format = format
  }

  apply(x: Builder, name: string, ...operands: Value[]): Value {
    return x.simd(`${this.format.vector}.${name}`, ...operands)
  }

  choose(x: Builder, name: string, a: Value, b: Value): Value {
    return this.apply(x, name, a, b)
  }

  is(x: Builder, name: string, a: Value, b: Value): Value {
    return this.apply(x, name, a, b)
  }

  both(x: Builder, p: Value, q: Value): Value {
    return x.simd('v128.and', p, q)
  }

  either(x: Builder, p: Value, q: Value): Value {
    return x.simd('v128.or', p, q)
  }

  not(x: Builder, p: Value): Value {
    return x.simd('v128.not', p)
  }

  some(x: Builder, truth: Value): Value {
    return x.apply(`${this.format.integers}.bitmask`, 'i32', truth)
  }

  constant(x: Builder, bits: bigint): Value {
    const pair = this.format.bits === 32 ? (bits << 32n) | bits : bits
    return x.v128((pair << 64n) | pair)
  }

  has(x: Builder, bits: bigint, ...operands: Value[]): Value {
    const all = operands.reduce((a, b) => x.simd('v128.or', a, b))
    return x.apply('v128.any_true', 'i32', x.simd('v128.and', all, this.constant(x, bits)))
  }

  denormal(x: Builder, a: Value): Value {
    return this.#less(x, this.#smallest(x, [a]), this.#state(x, L.PACKED_CONSTANT_LEAST_32, L.PACKED_CONSTANT_LEAST_64))
  }

  zero(x: Builder, a: Value): Value {
    return this.is(x, 'eq', a, x.v128(0n))
  }

  tiny(x: Builder, a: Value): Value {
    const least = this.constant(x, 1n << BigInt(this.format.bits - this.format.exponentBits))
    return this.is(x, 'lt', this.apply(x, 'abs', a), least)
  }

  finite(x: Builder, a: Value): Value {
    return this.is(x, 'lt', this.apply(x, 'abs', a), this.constant(x, this.format.infinity))
  }

  unusual(x: Builder, kind: Kind, operands: readonly Value[], result: Value): Value[] {
    const least = this.#state(x, L.PACKED_LEAST_32, L.PACKED_LEAST_64)
    const constant = this.#state(x, L.PACKED_RESULT_32, L.PACKED_RESULT_64)
    const v = x.simd(`${this.format.integers}.add`, this.#twice(x, result), constant)
    const small = x.let(this.#smallest(x, operands))
    const bad = this.#less(x, this.#min(x, small, v), least)
    if (kind === 'sum' || kind === 'root') return [this.some(x, bad)]
    if (kind === 'product') {
      const twoZeros = this.#less(x, small, x.v128(0xc0000000c0000000c0000000c0000000n))
      return [this.some(x, x.simd('v128.or', bad, twoZeros))]
    }
    return [this.some(x, x.simd('v128.or', bad, this.tiny(x, result)))]
  }

  unordered(x: Builder, a: Value, b: Value): Value[] {
    const nan = x.simd('v128.or', this.is(x, 'ne', a, a), this.is(x, 'ne', b, b))
    const denormal = this.#less(
      x,
      this.#smallest(x, [a, b]),
      this.#state(x, L.PACKED_CONSTANT_LEAST_32, L.PACKED_CONSTANT_LEAST_64),
    )
    return [this.some(x, x.simd('v128.or', nan, denormal))]
  }

  software(x: Builder, operands: readonly Value[], call: (bits: Value[], element: number) => Value): Value {
    const { integers, bits } = this.format
    let result: Value | undefined
    for (let element = 0; element < 128 / bits; element++) {
      const value = call(
        operands.map((a) => x.lane(integers, a, element)),
        element,
      )
      result = result === undefined ? x.splat(integers, value) : x.withLane(integers, result, element, value)
    }
    return result as Value
  }

  #state(x: Builder, single: number, double: number): Value {
    return x.load('v128', 16, x.i32(0), this.format.bits === 32 ? single : double)
  }

  #twice(x: Builder, a: Value): Value {
    return x.simd(`${this.format.integers}.add`, a, a)
  }

  /** The least t of the operands, in each element. */
  #smallest(x: Builder, operands: readonly Value[]): Value {
    const constant = this.#state(x, L.PACKED_OPERAND_32, L.PACKED_OPERAND_64)
    const t = operands.map((a) => x.simd(`${this.format.integers}.add`, this.#twice(x, a), constant))
    return t.reduce((a, b) => this.#min(x, a, b))
  }

  #min(x: Builder, a: Value, b: Value): Value {
    return x.simd('i32x4.min_s', a, b)
  }

  #less(x: Builder, a: Value, b: Value): Value {
    return x.simd('i32x4.lt_s', a, b)
  }
}

export const scalar: Readonly<Record<32 | 64, Elements>> = { 32: new Scalar(SINGLE), 64: new Scalar(DOUBLE) }
export const packed: Readonly<Record<32 | 64, Elements>> = { 32: new Packed(SINGLE), 64: new Packed(DOUBLE) }
