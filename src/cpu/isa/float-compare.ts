/** Comparison of SSE and AVX floating-point numbers, into masks and into flags. */
import type { Value } from '../wasm/emitter.ts'
import type { Builder } from './builder.ts'
import { attempt, settle } from './float-attempt.ts'
import { type Elements, FORMATS, packed, scalar } from './float-elements.ts'
import { instruction } from './table.ts'

const NEGATED = 4

/**
 * The mask of a predicate for numbers that are ordered. Then the 32 predicates are no more than eight: bits 1:0 say equal,
 * less, less or equal, unordered, bit 2 negates, and bits 4:3 make a difference for NaNs only.
 */
function ordered(x: Builder, e: Elements, a: Value, b: Value, predicate: Value): Value {
  const by = (basic: number): Value =>
    basic === 3 ? x.v128(0n) : x.simd(`${e.format.vector}.${(['eq', 'lt', 'le'] as const)[basic]}`, a, b)
  if (predicate.constant !== undefined) {
    const number = Number(predicate.constant)
    return number & NEGATED ? x.simd('v128.not', by(number & 3)) : by(number & 3)
  }
  const mask = x.variable('v128')
  x.sparseSwitch(
    x.binary('and', predicate, x.i32(3)),
    [0, 1, 2, 3].map((basic) => () => x.assign(mask, by(basic))),
  )
  const negated = x.compare('ne', x.binary('and', predicate, x.i32(NEGATED)), x.i32(0))
  return x.simd('v128.xor', mask, x.splat('i32x4', x.binary('sub', x.i32(0), negated)))
}

/** The mask of vectors, or of single elements the mask as an integer. */
function mask(x: Builder, e: Elements, a: Value, b: Value, predicate: Value): Value {
  const { integer, integers, vector, bits } = e.format
  const isPacked = e.type === 'v128'
  const r = x.variable(isPacked ? 'v128' : integer)
  const asVector = (value: Value): Value => (isPacked ? value : x.let(x.splat(vector, value)))
  const native = ordered(x, e, asVector(a), asVector(b), predicate)
  x.assign(r, isPacked ? native : x.lane(integers, native, 0))
  attempt(x, {
    unusual: e.unordered(x, a, b),
    software: () => {
      const call = (operands: Value[]): Value => x.call(`sseCompareMask${bits}`, integer, ...operands, predicate)
      const value = e.software(x, [a, b], call)
      x.assign(r, isPacked ? value : x.apply(`${integer}.reinterpret`, integer, value))
    },
  })
  return r
}

for (const { letter, bits, scalar: type, vector, integers } of FORMATS) {
  // SSE has the first eight predicates, and takes no notice of the bits above.
  const basic = (x: Builder, predicate: Value): Value => x.binary('and', predicate, x.i32(7))
  const e = scalar[bits]
  const vector128 = packed[bits]
  instruction(`cmpp${letter}`, 'rw r r', (x, a, b, p) => mask(x, vector128, a, b, x.let(basic(x, p))), { float: true })
  instruction(`cmps${letter}`, `+${type} ${type} r`, (x, a, b, p) => mask(x, e, a, b, x.let(basic(x, p))), {
    float: true,
  })
  const vex = (x: Builder, _dst: Value, a: Value, b: Value, p: Value): Value => mask(x, vector128, a, b, p)
  instruction(`vcmpp${letter}`, 'w r r r', vex, { float: true, lanes: true })
  const merge = (x: Builder, _dst: Value, a: Value, b: Value, p: Value): Value =>
    x.withLane(integers, a, 0, mask(x, e, x.let(x.lane(vector, a, 0)), b, p))
  instruction(`vcmps${letter}`, `w r ${type} r`, merge, { float: true })
}

/** COMIS and UCOMIS differ for quiet NaNs, which are invalid for the first only. */
for (const { letter, bits, scalar: type } of FORMATS) {
  for (const [name, signalling] of [
    ['comis', 1],
    ['ucomis', 0],
  ] as const) {
    const define = (x: Builder, a: Value, b: Value): void => {
      const first = x.variable(type)
      const second = x.variable(type)
      x.assign(first, a)
      x.assign(second, b)
      attempt(x, {
        unusual: scalar[bits].unordered(x, a, b),
        software: () => {
          const operands = [a, b].map((value) => x.apply(`i${bits}.reinterpret`, `i${bits}`, value))
          x.assign(first, x.call(`sseOrder${bits}`, type, ...operands, x.i32(signalling)))
          x.assign(second, x.constant(type, 0))
          // An exception leaves the flags as they were.
          settle(x)
        },
      })
      x.flags.compareFloats(first, second)
    }
    instruction(`${name}${letter}`, `${type} ${type}`, define)
    instruction(`v${name}${letter}`, `${type} ${type}`, define)
  }
}
