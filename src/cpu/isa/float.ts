/**
 * SSE and AVX floating-point arithmetic. What an operation does is written once, over `Elements`; here it becomes the
 * instructions of packed and scalar, single and double precision, in their SSE and AVX forms.
 */
import * as L from '../layout.ts'
import type { Value } from '../wasm/emitter.ts'
import type { Builder } from './builder.ts'
import { attempt, settle } from './float-attempt.ts'
import { type Elements, FORMATS, type Kind, packed, scalar } from './float-elements.ts'
import { instruction } from './table.ts'

type Unary = (x: Builder, e: Elements, a: Value) => Value
type Binary = (x: Builder, e: Elements, a: Value, b: Value) => Value

/** `addps a, b` and `vaddps dst, a, b`. */
function packedBinary(name: string, operation: Binary): void {
  for (const { letter, bits } of FORMATS) {
    const define = (x: Builder, a: Value, b: Value): Value => operation(x, packed[bits], a, b)
    instruction(`${name}p${letter}`, 'rw r', define, { float: true })
    instruction(`v${name}p${letter}`, 'w r r', (x, _dst, a, b) => define(x, a, b), { float: true, lanes: true })
  }
}

/** The same with an immediate: DPPS, DPPD. */
function packedBinaryImmediate(
  name: string,
  operation: (x: Builder, e: Elements, a: Value, b: Value, immediate: Value) => Value,
): void {
  for (const { letter, bits } of FORMATS) {
    const define = (x: Builder, a: Value, b: Value, immediate: Value): Value =>
      operation(x, packed[bits], a, b, immediate)
    instruction(`${name}p${letter}`, 'rw r r', define, { float: true })
    const vex = (x: Builder, _dst: Value, a: Value, b: Value, immediate: Value): Value => define(x, a, b, immediate)
    instruction(`v${name}p${letter}`, 'w r r r', vex, { float: true, lanes: true })
  }
}

/** And `addss a, b`, `vaddss dst, a, b`: the upper elements are those of a. */
function binary(name: string, operation: Binary): void {
  packedBinary(name, operation)
  for (const { letter, bits, scalar: type, vector } of FORMATS) {
    const e = scalar[bits]
    instruction(`${name}s${letter}`, `+${type} ${type}`, (x, a, b) => operation(x, e, a, b), { float: true })
    const define = (x: Builder, _dst: Value, a: Value, b: Value): Value =>
      x.withLane(vector, a, 0, operation(x, e, x.let(x.lane(vector, a, 0)), b))
    instruction(`v${name}s${letter}`, `w r ${type}`, define, { float: true })
  }
}

function unary(name: string, operation: Unary): void {
  for (const { letter, bits, scalar: type, vector } of FORMATS) {
    const define = (x: Builder, _dst: Value, a: Value): Value => operation(x, packed[bits], a)
    instruction(`${name}p${letter}`, 'w r', define, { float: true })
    instruction(`v${name}p${letter}`, 'w r', define, { float: true, lanes: true })
    const e = scalar[bits]
    instruction(`${name}s${letter}`, `w ${type}`, (x, _dst, a) => operation(x, e, a), { float: true })
    const merge = (x: Builder, _dst: Value, upper: Value, a: Value): Value =>
      x.withLane(vector, upper, 0, operation(x, e, a))
    instruction(`v${name}s${letter}`, `w r ${type}`, merge, { float: true })
  }
}

interface Operation {
  readonly kind: Kind
  readonly operands: readonly Value[]
  /** A truth that does not hold for a right result. */
  readonly wrong?: (result: Value) => Value
  /** i32 conditions, none of which holds when the result is exact. */
  readonly inexact: (result: Value) => Value[]
  readonly software: (bits: Value[], element: number) => Value
  /** Exceptions are raised before the instruction goes on. */
  readonly isStep?: boolean
}

/** i32, 0 when a truth holds for every element. */
function unless(x: Builder, e: Elements, truth: Value): Value {
  return e.some(x, e.not(x, truth))
}

function differs(x: Builder, e: Elements, a: Value, b: Value): Value {
  return e.some(x, e.is(x, 'ne', a, b))
}

/** The result of an operation: what wasm made of it, or what is made of it in software. */
function result(x: Builder, e: Elements, native: Value, operation: Operation): Value {
  const { kind, operands } = operation
  const r = x.variable(e.type)
  x.assign(r, native)
  attempt(x, {
    unusual: e.unusual(x, kind, operands, r),
    look: (wrong, right) => {
      for (const a of operands) wrong(e.some(x, e.denormal(x, a)))
      wrong(unless(x, e, e.finite(x, r)))
      if (operation.wrong) wrong(e.some(x, operation.wrong(r)))
      right(x.state32(L.FLOAT_FAST))
      wrong(x.eqz(x.state32(L.FLOAT_STANDARD)))
      for (const condition of operation.inexact(r)) wrong(condition)
    },
    software: () => {
      x.assign(r, e.software(x, operands, operation.software))
      if (operation.isStep) settle(x)
    },
  })
  return r
}

const call = (x: Builder, e: Elements, name: string, ...operands: Value[]): Value =>
  x.call(`${name}${e.format.bits}`, e.format.integer, ...operands)

/** The sum is exact when each operand is the sum without the other one. */
function sum(x: Builder, e: Elements, a: Value, b: Value, other: Partial<Operation> = {}): Value {
  return result(x, e, e.apply(x, 'add', a, b), {
    kind: 'sum',
    operands: [a, b],
    inexact: (r) => [differs(x, e, e.apply(x, 'sub', r, a), b), differs(x, e, e.apply(x, 'sub', r, b), a)],
    software: (bits) => call(x, e, 'sseAdd', ...bits),
    ...other,
  })
}

function difference(x: Builder, e: Elements, a: Value, b: Value): Value {
  return result(x, e, e.apply(x, 'sub', a, b), {
    kind: 'sum',
    operands: [a, b],
    inexact: (r) => [differs(x, e, e.apply(x, 'sub', a, r), b), differs(x, e, e.apply(x, 'add', r, b), a)],
    software: (bits) => call(x, e, 'sseSub', ...bits),
  })
}

/** A product of 0 is exact; another one that is tiny may have been rounded as a denormal number. */
function product(x: Builder, e: Elements, a: Value, b: Value, other: Partial<Operation> = {}): Value {
  return result(x, e, e.apply(x, 'mul', a, b), {
    kind: 'product',
    operands: [a, b],
    wrong: (r) => e.both(x, e.tiny(x, r), e.not(x, e.either(x, e.zero(x, a), e.zero(x, b)))),
    inexact: () => [e.has(x, e.format.lowHalf, a, b)],
    software: (bits) => call(x, e, 'sseMul', ...bits),
    ...other,
  })
}

/** Exact when quotient times divisor is the dividend, if that product is exact. */
function quotient(x: Builder, e: Elements, a: Value, b: Value): Value {
  return result(x, e, e.apply(x, 'div', a, b), {
    kind: 'quotient',
    operands: [a, b],
    wrong: (r) => e.both(x, e.tiny(x, r), e.not(x, e.zero(x, a))),
    inexact: (r) => [e.has(x, e.format.lowHalf, r, b), differs(x, e, e.apply(x, 'mul', r, b), a)],
    software: (bits) => call(x, e, 'sseDiv', ...bits),
  })
}

function root(x: Builder, e: Elements, a: Value): Value {
  return result(x, e, e.apply(x, 'sqrt', a), {
    kind: 'root',
    operands: [a],
    inexact: (r) => [e.has(x, e.format.lowHalf, r), differs(x, e, e.apply(x, 'mul', r, r), a)],
    software: (bits) => call(x, e, 'sseSqrt', ...bits),
  })
}

binary('add', sum)
binary('sub', difference)
binary('mul', product)
binary('div', quotient)
unary('sqrt', root)

/** a < b ? a : b, and a > b ? a : b: wasm's pmin and pmax with the operands exchanged. */
function extreme(name: 'min' | 'max'): Binary {
  return (x, e, a, b) => {
    const r = x.variable(e.type)
    x.assign(r, e.choose(x, `p${name}`, b, a))
    attempt(x, {
      unusual: e.unordered(x, a, b),
      software: () => {
        const bits = name === 'min' ? 'sseMin' : 'sseMax'
        x.assign(
          r,
          e.software(x, [a, b], (operands) => call(x, e, bits, ...operands)),
        )
      },
    })
    return r
  }
}

binary('min', extreme('min'))
binary('max', extreme('max'))

// Horizontal and alternating

/** Elements in even and in odd places of two vectors, those of the first one first. */
function everyOther(x: Builder, e: Elements, a: Value, b: Value): [Value, Value] {
  const bytes = e.format.bits / 8
  const places = (first: number): number[] =>
    Array.from({ length: 16 }, (_, n) => Math.floor(n / bytes) * 2 * bytes + first * bytes + (n % bytes))
  return [x.let(x.shuffle(a, b, places(0))), x.let(x.shuffle(a, b, places(1)))]
}

packedBinary('hadd', (x, e, a, b) => sum(x, e, ...everyOther(x, e, a, b)))
packedBinary('hsub', (x, e, a, b) => difference(x, e, ...everyOther(x, e, a, b)))

/** a - b in even elements, a + b in odd ones: a sum with the signs of some elements changed. */
packedBinary('addsub', (x, e, a, b) => {
  const { bits } = e.format
  const signs = bits === 32 ? 0x0000000080000000_0000000080000000n : 0x8000000000000000n
  const other = x.let(x.simd('v128.xor', b, x.v128(signs)))
  const software = ([first, second]: Value[], element: number): Value => {
    if (element % 2 === 1) return call(x, e, 'sseAdd', first as Value, second as Value)
    const sign = x.constant(e.format.integer, 1n << BigInt(bits - 1))
    return call(x, e, 'sseSub', first as Value, x.binary('xor', second as Value, sign))
  }
  return sum(x, e, a, other, { software })
})

// Rounding to integers

const ROUNDINGS = ['nearest', 'floor', 'ceil', 'trunc']
const KEEP_PRECISION = 8

/** Bits 1:0 of the immediate are the mode, unless bit 2 says that it is MXCSR's: then what is tried is to nearest. */
function rounded(x: Builder, e: Elements, a: Value, immediate: Value): Value {
  const by = (mode: number): Value => e.apply(x, ROUNDINGS[mode] as string, a)
  if (immediate.constant !== undefined) {
    const bits = Number(immediate.constant)
    return by(bits & 4 ? 0 : bits & 3)
  }
  const r = x.variable(e.type)
  const mode = x.select(x.binary('and', immediate, x.i32(4)), x.i32(0), x.binary('and', immediate, x.i32(3)))
  x.sparseSwitch(
    mode,
    ROUNDINGS.map((_, n) => () => x.assign(r, by(n))),
  )
  return r
}

/** An integer is exact in every mode. A denormal operand is no exception, but DAZ makes 0 of it. */
function round(x: Builder, e: Elements, a: Value, immediate: Value): Value {
  const r = x.variable(e.type)
  x.assign(r, rounded(x, e, a, immediate))
  const nan = (): Value => unless(x, e, e.is(x, 'ge', a, a))
  attempt(x, {
    unusual: [nan(), x.eqz(x.state32(L.FLOAT_FAST))],
    look: (wrong, right) => {
      wrong(nan())
      right(x.eqz(differs(x, e, r, a)))
      wrong(x.eqz(x.state32(L.FLOAT_STANDARD)))
      wrong(x.eqz(x.binary('and', immediate, x.i32(KEEP_PRECISION))))
    },
    software: () =>
      x.assign(
        r,
        e.software(x, [a], ([bits]) => call(x, e, 'sseRound', bits as Value, immediate)),
      ),
  })
  return r
}

for (const { letter, bits, scalar: type, vector } of FORMATS) {
  const packedForm = (x: Builder, _dst: Value, a: Value, immediate: Value): Value =>
    round(x, packed[bits], a, immediate)
  instruction(`roundp${letter}`, 'w r r', packedForm, { float: true })
  instruction(`vroundp${letter}`, 'w r r', packedForm, { float: true, lanes: true })
  const e = scalar[bits]
  instruction(`rounds${letter}`, `w ${type} r`, (x, _dst, a, immediate) => round(x, e, a, immediate), { float: true })
  const merge = (x: Builder, _dst: Value, upper: Value, a: Value, immediate: Value): Value =>
    x.withLane(vector, upper, 0, round(x, e, a, immediate))
  instruction(`vrounds${letter}`, `w r ${type} r`, merge, { float: true })
}

// Dot products: an exception of the multiplications that is not masked keeps the additions back.

const STEP = { isStep: true } as const

/** Elements whose bit is set in the immediate, counted from `first`. */
function chosen(x: Builder, e: Elements, immediate: Value, first: number): Value {
  const { bits, integers } = e.format
  let places = 0n
  for (let n = 0; n < 128 / bits; n++) places |= 1n << BigInt(bits * n + first + n)
  const wide = bits === 64 ? x.extendUnsigned(immediate) : immediate
  return x.simd(`${integers}.ne`, x.simd('v128.and', x.splat(integers, wide), x.v128(places)), x.v128(0n))
}

/** Each element plus the one `distance` bytes away; of four the first and the third, then the first. */
function plusNeighbour(x: Builder, e: Elements, a: Value, distance: number): Value {
  const bytes = Array.from({ length: 16 }, (_, n) => n ^ distance)
  return sum(x, e, a, x.let(x.shuffle(a, a, bytes)), STEP)
}

/** What the immediate does not choose counts as +0. */
packedBinaryImmediate('dp', (x, e, a, b, immediate) => {
  const factors = x.let(chosen(x, e, immediate, 4))
  const masked = (value: Value): Value => x.let(x.simd('v128.and', value, factors))
  let total = product(x, e, masked(a), masked(b), STEP)
  for (let distance = e.format.bits / 8; distance < 16; distance *= 2) total = plusNeighbour(x, e, total, distance)
  const first = x.splat(e.format.integers, x.lane(e.format.integers, total, 0))
  return x.simd('v128.and', first, chosen(x, e, immediate, 0))
})

// Approximations: any that are good to 12 bits. Denormal operands and results count as 0; no exception is ever raised.

const SIGNS = 0x80000000800000008000000080000000n
const INDEFINITE = 0xffc00000ffc00000ffc00000ffc00000n
const QUIET = 0x00400000004000000040000000400000n

function withoutDenormals(x: Builder, a: Value): Value {
  const e = packed[32]
  const least = e.constant(x, 1n << 23n)
  const mask = x.simd('v128.or', e.is(x, 'ge', e.apply(x, 'abs', a), least), x.v128(SIGNS))
  return x.let(x.simd('v128.and', a, x.simd('v128.or', mask, e.is(x, 'ne', a, a))))
}

function approximate(name: string, operation: (x: Builder, e: Elements, a: Value) => Value): void {
  const e = packed[32]
  const define = (x: Builder, operand: Value): Value => {
    const r = withoutDenormals(x, x.let(operation(x, e, withoutDenormals(x, operand))))
    return x.simd('v128.bitselect', x.simd('v128.or', operand, x.v128(QUIET)), r, e.is(x, 'ne', operand, operand))
  }
  const one = (x: Builder, a: Value): Value => x.lane('f32x4', define(x, x.let(x.splat('f32x4', a))), 0)
  instruction(`${name}ps`, 'w r', (x, _dst, a) => define(x, a))
  instruction(`v${name}ps`, 'w r', (x, _dst, a) => define(x, a), { lanes: true })
  instruction(`${name}ss`, 'w f32', (x, _dst, a) => one(x, a))
  instruction(`v${name}ss`, 'w r f32', (x, _dst, upper, a) => x.withLane('f32x4', upper, 0, one(x, a)))
}

approximate('rcp', (x, e, a) => e.apply(x, 'div', e.constant(x, e.format.one), a))
approximate('rsqrt', (x, e, a) => {
  const r = e.apply(x, 'div', e.constant(x, e.format.one), e.apply(x, 'sqrt', a))
  return x.simd('v128.bitselect', x.v128(INDEFINITE), r, e.is(x, 'lt', a, x.v128(0n)))
})
