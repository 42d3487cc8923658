/**
 * Elements of vectors by number. A number that an immediate gives is known to the translator, which then needs one wasm
 * shuffle; the interpreter's handler serves all immediates, so there the byte numbers are computed, and looked up by
 * i8x16.swizzle, which gives 0 for a byte number above 15.
 */
import type { Shape, Value } from '../wasm/emitter.ts'
import type { Builder } from './builder.ts'

/** Width of an element in bytes. */
export type Width = 1 | 2 | 4 | 8

const SHAPE = { 1: 'i8x16', 2: 'i16x8', 4: 'i32x4', 8: 'i64x2' } as const

export function shapeOf(width: Width): Shape {
  return SHAPE[width]
}

/** A vector of known elements, the lowest first; the rest is 0. */
export function vector(x: Builder, width: Width, elements: readonly (number | bigint)[]): Value {
  const bits = BigInt(width * 8)
  const place = (element: number | bigint, n: number) =>
    BigInt.asUintN(width * 8, BigInt(element)) << (BigInt(n) * bits)
  return x.v128(elements.map(place).reduce((sum, element) => sum | element, 0n))
}

/** A list of something for each element of a vector, made of its number. */
export function perElement<T>(width: Width, make: (n: number) => T): T[] {
  return Array.from({ length: 16 / width }, (_, n) => make(n))
}

/** The same number everywhere. */
export function repeated(x: Builder, width: Width, element: number | bigint): Value {
  const elements = perElement(width, () => element)
  return vector(x, width, elements)
}

/** The low bits of an i32 in every element. */
function splat(x: Builder, width: Width, value: Value): Value {
  if (value.constant !== undefined) return repeated(x, width, value.constant)
  return x.splat(SHAPE[width], width === 8 ? x.extendUnsigned(value) : value)
}

/** from, from + 1, ... from + 15, modulo 256; with `saturated` 255 at most. */
function byteNumbers(x: Builder, from: Value, saturated = false): Value {
  const numbers = perElement(1, (n) => n)
  if (from.constant !== undefined) {
    const first = Number(BigInt.asIntN(32, from.constant))
    return vector(x, 1, saturated ? numbers.map((n) => Math.min(first + n, 255)) : numbers.map((n) => first + n))
  }
  return x.simd(saturated ? 'i8x16.add_sat_u' : 'i8x16.add', x.splat('i8x16', from), vector(x, 1, numbers))
}

/** Bytes `from` to `from` + 15 of a (0-255), 0 where it has none. */
export function bytesFrom(x: Builder, a: Value, from: Value): Value {
  return x.simd('i8x16.swizzle', a, byteNumbers(x, from, true))
}

/** The same for -16 to 240: what lies before a is 0, too. */
export function bytesFromBefore(x: Builder, a: Value, from: Value): Value {
  return x.simd('i8x16.swizzle', a, byteNumbers(x, from))
}

/** Bytes of elements for a wasm shuffle. */
function bytesOf(width: Width, elements: readonly number[]): number[] {
  return elements.flatMap((element) => Array.from({ length: width }, (_, byte) => element * width + byte))
}

/** Elements of a and, counted on, of b. */
export function pick(x: Builder, width: Width, a: Value, b: Value, elements: readonly number[]): Value {
  return x.shuffle(a, b, bytesOf(width, elements))
}

/** Which element: a number, or one that a field of an immediate (lowest bit, width in bits) is added to. */
export interface Choice {
  readonly from: number
  readonly field?: number
  readonly bits?: number
}

function choose({ from, field, bits = 0 }: Choice, immediate: number): number {
  return field === undefined ? from : from + ((immediate >> field) & ((1 << bits) - 1))
}

/** Elements of a and, counted on, of b, as an immediate says. */
export function pickBy(
  x: Builder,
  width: 2 | 4 | 8,
  a: Value,
  b: Value,
  immediate: Value,
  choices: readonly Choice[],
): Value {
  if (immediate.constant !== undefined) {
    const known = Number(immediate.constant)
    const elements = choices.map((choice) => choose(choice, known))
    return pick(x, width, a, b, elements)
  }
  return lookUp(x, a, b, chosenBytes(x, width, immediate, choices))
}

/** The field times 2^(8 - its lowest bit), divided by 256, is the field: no vector shift has a count for each element. */
function chosenBytes(x: Builder, width: 2 | 4 | 8, immediate: Value, choices: readonly Choice[]): Value {
  const shape = SHAPE[width]
  const factors = choices.map(({ field }) => (field === undefined ? 0 : 1 << (8 - field)))
  const masks = choices.map(({ bits = 0 }) => (1 << bits) - 1)
  const product = x.simd(`${shape}.mul`, splat(x, width, immediate), vector(x, width, factors))
  const fields = x.simd('v128.and', x.simd(`${shape}.shr_u`, product, x.i32(8)), vector(x, width, masks))
  const from = choices.map((choice) => choice.from)
  return byteNumbersOf(x, width, fields, from)
}

/** The byte numbers of elements, whose numbers are the sum of those in a vector and known ones. */
export function byteNumbersOf(x: Builder, width: 2 | 4 | 8, elements: Value, from: readonly number[] = []): Value {
  const shape = SHAPE[width]
  const each = BigInt(`0x${width.toString(16).padStart(2, '0').repeat(width)}`)
  const known = perElement(width, (n) => from[n] ?? 0)
  return x.simd(
    `${shape}.add`,
    x.simd(`${shape}.mul`, elements, repeated(x, width, each)),
    vector(x, 1, bytesOf(width, known)),
  )
}

/** Bytes of a (0-15) and b (16-31) whose numbers are in a vector; if both are the same only 0-15. */
export function lookUp(x: Builder, a: Value, b: Value, numbers: Value): Value {
  if (a === b) return x.simd('i8x16.swizzle', a, numbers)
  const inA = x.let(numbers)
  const inB = x.simd('i8x16.sub', inA, repeated(x, 1, 16))
  return x.simd('v128.or', x.simd('i8x16.swizzle', a, inA), x.simd('i8x16.swizzle', b, inB))
}

/** Elements of b where a bit of the immediate is set, else of a; `first` is the bit of the lowest element. */
export function blend(x: Builder, width: 2 | 4 | 8, a: Value, b: Value, immediate: Value, first = 0): Value {
  if (immediate.constant === undefined) return x.simd('v128.bitselect', b, a, bitsSet(x, width, immediate, first))
  const known = Number(immediate.constant)
  const elements = perElement(width, (n) => n + ((known >> (first + n)) & 1) * (16 / width))
  return pick(x, width, a, b, elements)
}

/** All ones in each element whose bit of the immediate is set. */
export function bitsSet(x: Builder, width: 2 | 4 | 8, immediate: Value, first = 0): Value {
  if (immediate.constant !== undefined) {
    const known = Number(immediate.constant)
    const elements = perElement(width, (n) => -((known >> (first + n)) & 1))
    return vector(x, width, elements)
  }
  const each = perElement(width, (n) => 1 << (first + n))
  const bits = vector(x, width, each)
  return x.simd(`${SHAPE[width]}.eq`, x.simd('v128.and', splat(x, width, immediate), bits), bits)
}

/** The element whose number the low bits of an i32 give, as a number. */
export function element(x: Builder, width: Width, a: Value, index: Value): Value {
  const shape = SHAPE[width]
  const number = x.binary('and', index, x.i32(16 / width - 1))
  if (number.constant !== undefined) return x.lane(shape, a, Number(number.constant))
  const from = x.binary('mul', number, x.i32(width))
  return x.lane(shape, bytesFrom(x, a, from), 0)
}

/** a with the element replaced whose number the low bits of an i32 give. */
export function withElement(x: Builder, width: Width, a: Value, index: Value, value: Value): Value {
  const shape = SHAPE[width]
  const number = x.binary('and', index, x.i32(16 / width - 1))
  if (number.constant !== undefined) return x.withLane(shape, a, Number(number.constant), value)
  const each = perElement(width, (n) => n)
  const numbers = vector(x, width, each)
  const there = x.simd(`${shape}.eq`, splat(x, width, number), numbers)
  return x.simd('v128.bitselect', x.splat(shape, value), a, there)
}
