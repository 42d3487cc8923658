/** Conversions between floating-point formats and integers: SSE, AVX, those with MMX registers, and F16C. */
import * as L from '../layout.ts'
import type { Value } from '../wasm/emitter.ts'
import type { Builder } from './builder.ts'
import { attempt } from './float-attempt.ts'
import { FORMATS, type Format, packed, scalar } from './float-elements.ts'
import { instruction } from './table.ts'

const FLOAT = { float: true } as const
const LANES = { float: true, lanes: true } as const

/** i32, not 0 unless PE is set in a standard MXCSR: then an inexact result needs a look. */
function notFast(x: Builder): Value {
  return x.eqz(x.state32(L.FLOAT_FAST))
}

/** The low half twice: what there is above an operand of 64 bits is not looked at. */
function lowTwice(x: Builder, a: Value): Value {
  return x.let(x.splat('i64x2', x.lane('i64x2', a, 0)))
}

/** The high half as a vector of its own. */
function highHalf(x: Builder, a: Value): Value {
  return x.let(x.splat('i64x2', x.lane('i64x2', a, 1)))
}

function lowHalves(x: Builder, low: Value, high: Value): Value {
  return x.shuffle(
    low,
    high,
    Array.from({ length: 16 }, (_, n) => (n < 8 ? n : n + 8)),
  )
}

// What is half as wide as its source or twice as wide is done by vectors of two numbers.

/** Two elements of 32 bits become two of 64, or four with 256 bits. */
function widening(name: string, convert: (x: Builder, a: Value) => Value, float: boolean): void {
  const define = (x: Builder, _dst: Value, a: Value): Value => {
    if (x.vectorSize !== 256) return convert(x, lowTwice(x, a))
    x.setHigh(convert(x, highHalf(x, a)))
    return convert(x, lowTwice(x, a))
  }
  instruction(name, 'w r', define, { float })
  instruction(`v${name}`, 'w r', define, { float })
}

/** Two elements of 64 bits, or four with 256, become as many of 32; `convert` leaves them in the low half. */
function narrowing(name: string, convert: (x: Builder, a: Value) => Value): void {
  const define = (x: Builder, _dst: Value, a: Value): Value => {
    const low = convert(x, a)
    return x.vectorSize === 256 ? lowHalves(x, low, convert(x, x.high(1))) : lowHalves(x, low, x.v128(0n))
  }
  instruction(name, 'w r', define, FLOAT)
  instruction(`v${name}`, 'w r', define, FLOAT)
}

/** An instruction with a scalar source whose AVX form takes the upper elements from a second register. */
function scalarInto(name: string, to: Format, use: string, convert: (x: Builder, a: Value) => Value): void {
  instruction(name, `w ${use}`, (x, _dst, a) => convert(x, a), FLOAT)
  const merge = (x: Builder, _dst: Value, upper: Value, a: Value): Value =>
    x.withLane(to.vector, upper, 0, convert(x, a))
  instruction(`v${name}`, `w r ${use}`, merge, FLOAT)
}

// Integers to floating point

/** An integer of at most as many bits as the significand has is exact, whatever MXCSR says. */
function fromInteger(x: Builder, to: Format, a: Value): Value {
  const r = x.variable(to.scalar)
  x.assign(r, x.apply(`${to.scalar}.convert_s.${a.type}`, to.scalar, a))
  if (to.bits === 64 && a.type === 'i32') return r
  const limit = 1n << (to.bits === 32 ? 24n : 53n)
  attempt(x, {
    unusual: [notFast(x)],
    look: (wrong) => {
      const shifted = x.binary('add', a, x.constant(a.type, limit))
      wrong(x.compare('gt_u', shifted, x.constant(a.type, 2n * limit)))
    },
    software: () => {
      const wide = a.type === 'i32' ? x.extendSigned(a) : a
      const bits = x.call(`sseIntegerTo${to.bits}`, to.integer, wide)
      x.assign(r, x.apply(`${to.scalar}.reinterpret`, to.scalar, bits))
    },
  })
  return r
}

for (const to of FORMATS) scalarInto(`cvtsi2s${to.letter}`, to, 'int', (x, a) => fromInteger(x, to, a))

/** Four i32 to f32. */
function fromIntegers(x: Builder, a: Value): Value {
  const r = x.variable('v128')
  x.assign(r, x.simd('f32x4.convert_i32x4_s', a))
  attempt(x, {
    unusual: [notFast(x)],
    look: (wrong) => {
      const shifted = x.simd('i32x4.add', a, x.splat('i32x4', x.i32(1 << 24)))
      const outside = x.simd('i32x4.gt_u', shifted, x.splat('i32x4', x.i32(2 << 24)))
      wrong(x.apply('v128.any_true', 'i32', outside))
    },
    software: () => {
      const call = ([bits]: Value[]): Value => x.call('sseIntegerTo32', 'i32', x.extendSigned(bits as Value))
      x.assign(r, packed[32].software(x, [a], call))
    },
  })
  return r
}

instruction('cvtdq2ps', 'w r', (x, _dst, a) => fromIntegers(x, a), FLOAT)
instruction('vcvtdq2ps', 'w r', (x, _dst, a) => fromIntegers(x, a), LANES)
instruction('cvtpi2ps', 'w r', (x, _dst, a) => x.lane('i64x2', fromIntegers(x, a), 0), FLOAT)
widening('cvtdq2pd', (x, a) => x.simd('f64x2.convert_low_i32x4_s', a), false)
instruction('cvtpi2pd', 'w r', (x, _dst, a) => x.simd('f64x2.convert_low_i32x4_s', a))

// Floating point to integers

/** 1.5 * 2^52: added to an integer of less than 2^51, that is in the low bits of the sum. */
const SHIFTER = 0x4338_0000_0000_0000n

/**
 * A number is rounded as a number, made an integer, and that is made a number again: when that is the rounded one, it fits. It
 * is exact when it was an integer before.
 */
function toInteger(x: Builder, from: Format, a: Value, truncate: boolean): Value {
  const to = x.operandSizes[0] === 64 ? 'i64' : 'i32'
  const wide = x.let(from.bits === 32 ? x.apply('f64.promote', 'f64', a) : a)
  const n = x.let(x.apply(truncate ? 'f64.trunc' : 'f64.nearest', 'f64', wide))
  const r = x.variable(to)
  const bits = (): Value => x.apply('i64.reinterpret', 'i64', x.apply('f64.add', 'f64', n, x.constant('f64', SHIFTER)))
  x.assign(r, to === 'i32' ? x.wrap(bits()) : x.binary('sub', bits(), x.i64(SHIFTER)))
  const misses = (): Value => x.apply('f64.ne', 'i32', x.apply(`f64.convert_s.${to}`, 'f64', r), n)
  attempt(x, {
    unusual: [misses(), notFast(x)],
    look: (wrong) => {
      wrong(misses())
      wrong(x.apply('f64.ne', 'i32', n, wide))
    },
    software: () => {
      const name = `sse${from.bits}To${to.toUpperCase()}`
      const operand = x.apply(`${from.integer}.reinterpret`, from.integer, a)
      x.assign(r, x.call(name, to, operand, x.i32(truncate ? 1 : 0)))
    },
  })
  return r
}

/** The names with and without T; the latter round as MXCSR says, which is to nearest wherever wasm is asked. */
const WAYS = [
  ['cvt', false],
  ['cvtt', true],
] as const

for (const from of FORMATS) {
  for (const [prefix, truncate] of WAYS) {
    const define = (x: Builder, _dst: Value, a: Value): Value => toInteger(x, from, a, truncate)
    instruction(`${prefix}s${from.letter}2si`, `w ${from.scalar}`, define, FLOAT)
    instruction(`v${prefix}s${from.letter}2si`, `w ${from.scalar}`, define, FLOAT)
  }
}

/** Four f32 to i32, or two f64, whose results are in the low half. */
function toIntegers(x: Builder, from: Format, a: Value, truncate: boolean): Value {
  const e = packed[from.bits]
  const n = x.let(e.apply(x, truncate ? 'trunc' : 'nearest', a))
  const r = x.variable('v128')
  x.assign(r, x.simd(from.bits === 32 ? 'i32x4.trunc_sat_f32x4_s' : 'i32x4.trunc_sat_f64x2_s_zero', n))
  // 2^31
  const limit = e.constant(x, from.bits === 32 ? 0x4f00_0000n : 0x41e0_0000_0000_0000n)
  const misses = (): Value => e.some(x, e.not(x, e.is(x, 'lt', e.apply(x, 'abs', n), limit)))
  attempt(x, {
    unusual: [misses(), notFast(x)],
    look: (wrong) => {
      wrong(misses())
      wrong(e.some(x, e.is(x, 'ne', n, a)))
    },
    software: () => {
      let result = x.v128(0n)
      for (let element = 0; element < 128 / from.bits; element++) {
        const bits = x.lane(from.integers, a, element)
        const integer = x.call(`sse${from.bits}ToI32`, 'i32', bits, x.i32(truncate ? 1 : 0))
        result = x.withLane('i32x4', result, element, integer)
      }
      x.assign(r, result)
    },
  })
  return r
}

for (const [prefix, truncate] of WAYS) {
  const [single, double] = FORMATS
  const four = (x: Builder, _dst: Value, a: Value): Value => toIntegers(x, single, a, truncate)
  instruction(`${prefix}ps2dq`, 'w r', four, FLOAT)
  instruction(`v${prefix}ps2dq`, 'w r', four, LANES)
  instruction(`${prefix}ps2pi`, 'w r', (x, dst, a) => four(x, dst, lowTwice(x, a)), FLOAT)
  narrowing(`${prefix}pd2dq`, (x, a) => toIntegers(x, double, a, truncate))
  instruction(`${prefix}pd2pi`, 'w r', (x, _dst, a) => toIntegers(x, double, a, truncate), FLOAT)
}

// Between single and double precision

/** Exact, except that NaNs and denormal operands raise exceptions. */
function toDouble(x: Builder, a: Value): Value {
  const e = scalar[32]
  const r = x.variable('f64')
  x.assign(r, x.apply('f64.promote', 'f64', a))
  attempt(x, {
    unusual: [e.denormal(x, a), x.eqz(e.is(x, 'ge', a, a))],
    software: () => {
      const bits = x.call('sse32To64', 'i64', x.apply('i32.reinterpret', 'i32', a))
      x.assign(r, x.apply('f64.reinterpret', 'f64', bits))
    },
  })
  return r
}

function toDoubles(x: Builder, a: Value): Value {
  const r = x.variable('v128')
  x.assign(r, x.simd('f64x2.promote_low_f32x4', a))
  attempt(x, {
    unusual: packed[32].unordered(x, a, a),
    software: () => {
      const low = x.call('sse32To64', 'i64', x.lane('i32x4', a, 0))
      const high = x.call('sse32To64', 'i64', x.lane('i32x4', a, 1))
      x.assign(r, x.withLane('i64x2', x.splat('i64x2', low), 1, high))
    },
  })
  return r
}

/** What is tiny may have been rounded as a denormal number; an exact result is right otherwise. */
function toSingle(x: Builder, a: Value): Value {
  const e = scalar[32]
  const r = x.variable('f32')
  x.assign(r, x.apply('f32.demote', 'f32', a))
  const infinite = (): Value => x.eqz(e.finite(x, r))
  attempt(x, {
    unusual: [e.tiny(x, r), infinite(), notFast(x)],
    look: (wrong) => {
      wrong(x.apply('f64.ne', 'i32', x.apply('f64.promote', 'f64', r), a))
      wrong(x.binary('and', e.tiny(x, r), x.eqz(e.zero(x, r))))
    },
    software: () => {
      const bits = x.call('sse64To32', 'i32', x.apply('i64.reinterpret', 'i64', a))
      x.assign(r, x.apply('f32.reinterpret', 'f32', bits))
    },
  })
  return r
}

function toSingles(x: Builder, a: Value): Value {
  const e = packed[32]
  const r = x.variable('v128')
  x.assign(r, x.simd('f32x4.demote_f64x2_zero', a))
  const low = (truth: Value): Value => x.binary('and', e.some(x, truth), x.i32(3))
  attempt(x, {
    unusual: [low(e.either(x, e.tiny(x, r), e.not(x, e.finite(x, r)))), notFast(x)],
    look: (wrong) => {
      wrong(packed[64].some(x, packed[64].is(x, 'ne', x.simd('f64x2.promote_low_f32x4', r), a)))
      wrong(low(e.both(x, e.tiny(x, r), e.not(x, e.zero(x, r)))))
    },
    software: () => {
      const first = x.call('sse64To32', 'i32', x.lane('i64x2', a, 0))
      const second = x.call('sse64To32', 'i32', x.lane('i64x2', a, 1))
      x.assign(r, x.withLane('i32x4', x.withLane('i32x4', x.v128(0n), 0, first), 1, second))
    },
  })
  return r
}

scalarInto('cvtss2sd', FORMATS[1], 'f32', toDouble)
scalarInto('cvtsd2ss', FORMATS[0], 'f64', toSingle)
widening('cvtps2pd', toDoubles, true)
narrowing('cvtpd2ps', toSingles)
