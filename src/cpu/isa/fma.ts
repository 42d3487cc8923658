/** Fused multiply-add: a * b + c, rounded once (Intel SDM volume 1, 14.5). */
import * as L from '../layout.ts'
import type { Value } from '../wasm/emitter.ts'
import type { Builder } from './builder.ts'
import { attempt } from './float-attempt.ts'
import { type Elements, FORMATS, packed, scalar } from './float-elements.ts'
import { instruction } from './table.ts'

/** Which of product and addend are negated, the latter in even and in odd elements. */
interface Signs {
  readonly product: boolean
  readonly addend: readonly [even: boolean, odd: boolean]
}

const OPERATIONS: Readonly<Record<string, Signs>> = {
  fmadd: { product: false, addend: [false, false] },
  fmsub: { product: false, addend: [true, true] },
  fnmadd: { product: true, addend: [false, false] },
  fnmsub: { product: true, addend: [true, true] },
  fmaddsub: { product: false, addend: [true, false] },
  fmsubadd: { product: false, addend: [false, true] },
}

/** The digits are operands: the first two are multiplied, the third is added. */
const ORDERS = ['132', '213', '231']

function negateIf(x: Builder, e: Elements, [even, odd]: Signs['addend'], a: Value): Value {
  if (!even && !odd) return a
  if (even && odd) return e.apply(x, 'neg', a)
  const { bits } = e.format
  const sign = 1n << BigInt(bits - 1)
  const pair = (even ? sign : 0n) | ((odd ? sign : 0n) << BigInt(bits))
  return x.simd('v128.xor', a, x.v128(bits === 32 ? (pair << 64n) | pair : pair))
}

function software(x: Builder, e: Elements, operands: readonly Value[], { product, addend }: Signs): Value {
  const { bits, integer } = e.format
  return e.software(x, operands, (abc, element) => {
    const negateAddend = addend[(element % 2) as 0 | 1]
    return x.call(`sseMulAdd${bits}`, integer, ...abc, x.i32(product ? 1 : 0), x.i32(negateAddend ? 1 : 0))
  })
}

/** Two of four elements in double precision, or the only one. */
function widened(x: Builder, e: Elements, half: number, a: Value): Value {
  if (e.type !== 'v128') return x.apply('f64.promote', 'f64', a)
  const low = half === 0 ? a : x.splat('i64x2', x.lane('i64x2', a, 1))
  return x.simd('f64x2.promote_low_f32x4', low)
}

function narrowed(x: Builder, e: Elements, sums: readonly Value[]): Value {
  if (e.type !== 'v128') return x.apply('f32.demote', 'f32', sums[0] as Value)
  const [low, high] = sums.map((sum) => x.let(x.simd('f32x4.demote_f64x2_zero', sum))) as [Value, Value]
  return x.withLane('i64x2', low, 1, x.lane('i64x2', high, 0))
}

interface Sum {
  readonly product: Value
  readonly addend: Value
  readonly sum: Value
}

/** The sum is exact when each operand is the sum without the other one. */
function isExact(x: Builder, e: Elements, { product, addend, sum }: Sum): Value {
  const isAddend = e.is(x, 'eq', e.apply(x, 'sub', sum, product), addend)
  return e.both(x, isAddend, e.is(x, 'eq', e.apply(x, 'sub', sum, addend), product))
}

/** What single precision cuts off is just half a unit: then it matters whether the sum was rounded. */
function isTie(x: Builder, e: Elements, { sum }: Sum): Value {
  if (e.type === 'v128') {
    const cut = x.simd('v128.and', sum, e.constant(x, 0x1fff_ffffn))
    return x.simd('i64x2.eq', cut, e.constant(x, 0x1000_0000n))
  }
  const cut = x.binary('and', x.wrap(x.apply('i64.reinterpret', 'i64', sum)), x.i32(0x1fff_ffff))
  return x.compare('eq', cut, x.i32(0x1000_0000))
}

/** Less than 2^-125, but not 0: may have been rounded as a denormal number. */
function isTiny(x: Builder, e: Elements, { sum }: Sum): Value {
  const small = e.is(x, 'lt', e.apply(x, 'abs', sum), e.constant(x, BigInt(1023 - 125) << 52n))
  return e.both(x, small, e.not(x, e.zero(x, sum)))
}

/**
 * Single precision is computed in double precision: the product is exact there, and rounding the sum twice gives the same as
 * once unless the first result is halfway between two numbers of single precision.
 */
function multiplyAddSingle(x: Builder, e: Elements, operands: readonly Value[], signs: Signs): Value {
  const [a, b, c] = operands as [Value, Value, Value]
  const wide = e.type === 'v128' ? packed[64] : scalar[64]
  const sums = (e.type === 'v128' ? [0, 1] : [0]).map((half): Sum => {
    const factors = wide.apply(x, 'mul', widened(x, e, half, a), widened(x, e, half, b))
    const product = x.let(signs.product ? wide.apply(x, 'neg', factors) : factors)
    const addend = x.let(negateIf(x, wide, signs.addend, widened(x, e, half, c)))
    return { product, addend, sum: x.let(wide.apply(x, 'add', product, addend)) }
  })
  const some = (what: (sum: Sum) => Value): Value =>
    wide.some(
      x,
      sums.map(what).reduce((p, q) => wide.either(x, p, q)),
    )
  const inexact = (sum: Sum): Value => wide.not(x, isExact(x, wide, sum))
  const r = x.variable(e.type)
  x.assign(
    r,
    narrowed(
      x,
      e,
      sums.map(({ sum }) => sum),
    ),
  )
  attempt(x, {
    unusual: [...e.unusual(x, 'sum', operands, r), e.some(x, e.tiny(x, r)), some((sum) => isTie(x, wide, sum))],
    look: (wrong, right) => {
      for (const operand of operands) wrong(e.some(x, e.denormal(x, operand)))
      wrong(e.some(x, e.not(x, e.finite(x, r))))
      wrong(some((sum) => isTiny(x, wide, sum)))
      wrong(some((sum) => wide.both(x, isTie(x, wide, sum), inexact(sum))))
      right(x.state32(L.FLOAT_FAST))
      wrong(x.eqz(x.state32(L.FLOAT_STANDARD)))
      wrong(some(inexact))
      sums.forEach(({ sum }, half) => {
        wrong(wide.some(x, wide.is(x, 'ne', widened(x, e, half, r), sum)))
      })
    },
    software: () => x.assign(r, software(x, e, operands, signs)),
  })
  return r
}

/** 2^27 + 1: splits 53 bits into 26 and 26, and a sign (Dekker 1971). */
const SPLITTER = 0x41a0_0000_0200_0000n
/** 2^-52 */
const UNIT = BigInt(1023 - 52) << 52n

function split(x: Builder, e: Elements, a: Value): { high: Value; low: Value } {
  const scaled = x.let(e.apply(x, 'mul', a, e.constant(x, SPLITTER)))
  const high = x.let(e.apply(x, 'sub', scaled, e.apply(x, 'sub', scaled, a)))
  return { high, low: x.let(e.apply(x, 'sub', a, high)) }
}

/** product - a * b, exactly. */
function excessOfProduct(x: Builder, e: Elements, a: Value, b: Value, product: Value): Value {
  const first = split(x, e, a)
  const second = split(x, e, b)
  const parts = [
    [first.high, second.high],
    [first.low, second.high],
    [first.high, second.low],
    [first.low, second.low],
  ] as [Value, Value][]
  return parts.reduce((rest, [p, q]) => e.apply(x, 'sub', rest, e.apply(x, 'mul', p, q)), product)
}

/** sum - (a + b), exactly (Knuth). */
function excessOfSum(x: Builder, e: Elements, a: Value, b: Value, sum: Value): Value {
  const rounded = x.let(e.apply(x, 'sub', sum, a))
  const ofA = e.apply(x, 'sub', e.apply(x, 'sub', sum, rounded), a)
  return e.apply(x, 'add', ofA, e.apply(x, 'sub', rounded, b))
}

/**
 * Double precision has no wider format to compute in. Product and sum are rounded, and what they are too great by is known
 * exactly, as one number each. These two are added, and the total is taken away: when it is an ulp greater and an ulp less with
 * the same result, that is the right one, since the exact total lies between. When not, the total itself may be exact.
 */
function multiplyAddDouble(x: Builder, e: Elements, operands: readonly Value[], signs: Signs): Value {
  const [a, b, c] = operands as [Value, Value, Value]
  const factor = x.let(signs.product ? e.apply(x, 'neg', a) : a)
  const addend = x.let(negateIf(x, e, signs.addend, c))
  const product = x.let(e.apply(x, 'mul', factor, b))
  const sum = x.let(e.apply(x, 'add', product, addend))
  const ofProduct = x.let(excessOfProduct(x, e, factor, b, product))
  const ofSum = x.let(excessOfSum(x, e, product, addend, sum))
  const excess = x.let(e.apply(x, 'add', ofProduct, ofSum))
  const ulp = x.let(e.apply(x, 'mul', excess, e.constant(x, UNIT)))
  const least = x.let(e.apply(x, 'sub', sum, e.apply(x, 'add', excess, ulp)))
  const r = x.variable(e.type)
  x.assign(r, e.apply(x, 'sub', sum, e.apply(x, 'sub', excess, ulp)))
  const isUncertain = e.is(x, 'ne', r, least)
  attempt(x, {
    unusual: [...e.unusual(x, 'fused', operands, r), e.some(x, isUncertain)],
    look: (wrong, right) => {
      wrong(e.some(x, e.denormal(x, c)))
      wrong(e.some(x, e.either(x, isSmallFactor(x, e, a), isSmallFactor(x, e, b))))
      wrong(e.some(x, e.not(x, e.finite(x, r))))
      const rounding = excessOfSum(x, e, ofProduct, ofSum, excess)
      const isRounded = e.is(x, 'ne', rounding, e.constant(x, 0n))
      wrong(e.some(x, e.both(x, e.is(x, 'ne', r, least), isRounded)))
      // The addition makes +0 of -0, which takes nothing away from a -0.
      x.assign(r, e.apply(x, 'sub', sum, e.apply(x, 'add', excess, e.constant(x, 0n))))
      right(x.state32(L.FLOAT_FAST))
      wrong(x.eqz(x.state32(L.FLOAT_STANDARD)))
      wrong(e.some(x, e.is(x, 'ne', excess, e.constant(x, 0n))))
    },
    software: () => x.assign(r, software(x, e, operands, signs)),
  })
  return r
}

/** Less than 2^-480, but not 0. */
function isSmallFactor(x: Builder, e: Elements, a: Value): Value {
  const small = e.is(x, 'lt', e.apply(x, 'abs', a), e.constant(x, BigInt(1023 - 480) << 52n))
  return e.both(x, small, e.not(x, e.zero(x, a)))
}

for (const [name, signs] of Object.entries(OPERATIONS)) {
  const isAlternating = signs.addend[0] !== signs.addend[1]
  for (const order of ORDERS) {
    for (const { letter, bits, scalar: type } of FORMATS) {
      const define =
        (e: Elements) =>
        (x: Builder, ...operands: Value[]): Value => {
          const abc = [...order].map((digit) => operands[Number(digit) - 1] as Value)
          return x.common(`${name}.${e.type}.${bits}`, e.type, abc, (y, ...inOrder) =>
            (bits === 32 ? multiplyAddSingle : multiplyAddDouble)(y, e, inOrder, signs),
          )
        }
      instruction(`v${name}${order}p${letter}`, 'rw r r', define(packed[bits]), { float: true, lanes: true })
      if (isAlternating) continue
      instruction(`v${name}${order}s${letter}`, `+${type} ${type} ${type}`, define(scalar[bits]), { float: true })
    }
  }
}
