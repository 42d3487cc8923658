/** Packed shifts: by one count for all elements, by a count for each, and of whole registers by bytes. */
import type { Shape, Value } from '../wasm/emitter.ts'
import type { Builder } from './builder.ts'
import { bytesFrom, bytesFromBefore, perElement } from './element.ts'
import { instruction } from './table.ts'
import { binary, binaryImmediate } from './vector-forms.ts'

type Direction = 'shl' | 'shr_u' | 'shr_s'

/** A count at or above the width gives 0, or all sign bits; wasm takes it modulo the width. */
function shift(x: Builder, operation: `${Shape}.${Direction}`, bits: number, a: Value, count: Value): Value {
  const limit = x.constant(count.type, bits - 1)
  const by = (n: Value) => x.simd(operation, a, n.type === 'i64' ? x.wrap(n) : n)
  const isArithmetic = operation.endsWith('shr_s')
  if (count.constant !== undefined) {
    if (count.constant < bits) return by(count)
    return isArithmetic ? by(limit) : x.v128(0n)
  }
  const n = x.let(count)
  const inRange = x.compare('le_u', n, limit)
  return isArithmetic ? by(x.select(inRange, n, limit)) : x.select(inRange, by(n), x.v128(0n))
}

/** The count is an immediate, or the low qword of a vector. */
for (const [name, operation, bits] of [
  ['psllw', 'i16x8.shl', 16],
  ['pslld', 'i32x4.shl', 32],
  ['psllq', 'i64x2.shl', 64],
  ['psrlw', 'i16x8.shr_u', 16],
  ['psrld', 'i32x4.shr_u', 32],
  ['psrlq', 'i64x2.shr_u', 64],
  ['psraw', 'i16x8.shr_s', 16],
  ['psrad', 'i32x4.shr_s', 32],
] as const) {
  instruction(name, 'rw i64', (x, a, count) => shift(x, operation, bits, a, count))
  instruction(`v${name}`, 'w r i64', (x, _dst, a, count) => shift(x, operation, bits, a, count), { lanes: true })
}

/** A count for each element. */
for (const [name, shape, direction] of [
  ['vpsllvd', 'i32x4', 'shl'],
  ['vpsllvq', 'i64x2', 'shl'],
  ['vpsrlvd', 'i32x4', 'shr_u'],
  ['vpsrlvq', 'i64x2', 'shr_u'],
  ['vpsravd', 'i32x4', 'shr_s'],
] as const) {
  const bits = shape === 'i32x4' ? 32 : 64
  const shiftLane = (x: Builder, a: Value, count: Value): Value => {
    const inRange = x.compare('lt_u', count, x.k(bits, bits))
    if (direction === 'shr_s') return x.binary(direction, a, x.select(inRange, count, x.k(bits - 1, bits)))
    return x.select(inRange, x.binary(direction, a, count), x.k(0, bits))
  }
  instruction(
    name,
    'w r r',
    (x, _dst, a, counts) => {
      let r = a
      for (let lane = 0; lane < 128 / bits; lane++) {
        r = x.withLane(shape, r, lane, shiftLane(x, x.lane(shape, a, lane), x.let(x.lane(shape, counts, lane))))
      }
      return r
    },
    { lanes: true },
  )
}

// By bytes

for (const [name, move] of [
  ['psrldq', (x: Builder, a: Value, count: Value) => bytesFrom(x, a, count)],
  [
    'pslldq',
    (x: Builder, a: Value, count: Value) => bytesFromBefore(x, a, x.binary('sub', x.i32(0), atMost16(x, count))),
  ],
] as const) {
  binary(name, move)
}

function atMost16(x: Builder, count: Value): Value {
  if (count.constant !== undefined) return x.i32(Math.min(Number(count.constant), 16))
  return x.select(x.compare('lt_u', count, x.i32(16)), count, x.i32(16))
}

/** The bytes of b and, above them, a, from a place on. */
function align(x: Builder, a: Value, b: Value, place: Value): Value {
  // Two MMX registers lie in one vector.
  if (x.vectorSize === 64) return bytesFrom(x, x.shuffle(b, a, EIGHT_OF_EACH), place)
  if (place.constant !== undefined) return alignKnown(x, a, b, Number(place.constant))
  const above = bytesFromBefore(x, a, x.binary('sub', place, x.i32(16)))
  return x.simd('v128.or', bytesFrom(x, b, place), above)
}

const EIGHT_OF_EACH = perElement(1, (n) => (n < 8 ? n : n + 8))

function alignKnown(x: Builder, a: Value, b: Value, place: number): Value {
  if (place >= 16) return bytesFrom(x, a, x.i32(place - 16))
  const bytes = perElement(1, (n) => place + n)
  return x.shuffle(b, a, bytes)
}

binaryImmediate('palignr', align)
