/** Elements put into another order: shuffles, unpacking, packing, widening, permutations across the halves of YMM registers. */
import type { Value } from '../wasm/emitter.ts'
import type { Builder } from './builder.ts'
import { byteNumbersOf, type Choice, lookUp, perElement, pick, pickBy, repeated, type Width } from './element.ts'
import { instruction } from './table.ts'
import { type Binary, binary, binaryImmediate, unary, unaryImmediate } from './vector-forms.ts'

// By an immediate

/** Fields of two bits, the lowest first, counted from an element. */
function four(from: number): Choice[] {
  return [0, 2, 4, 6].map((field) => ({ from, field, bits: 2 }))
}

function fixed(...elements: number[]): Choice[] {
  return elements.map((from) => ({ from }))
}

unaryImmediate('pshufd', (x, a, order) => pickBy(x, 4, a, a, order, four(0)))
const shuffleLow = (x: Builder, a: Value, order: Value) => pickBy(x, 2, a, a, order, [...four(0), ...fixed(4, 5, 6, 7)])
unaryImmediate('pshuflw', shuffleLow)
unaryImmediate('pshufhw', (x, a, order) => pickBy(x, 2, a, a, order, [...fixed(0, 1, 2, 3), ...four(4)]))
instruction('pshufw', 'w r r', (x, _dst, a, order) => shuffleLow(x, a, order))

binaryImmediate('shufps', (x, a, b, order) => pickBy(x, 4, a, b, order, [...four(0).slice(0, 2), ...four(4).slice(2)]))

/** A bit for each element of a YMM register. */
function two(x: Builder, second: number): Choice[] {
  const first = 2 * x.half
  return [
    { from: 0, field: first, bits: 1 },
    { from: second, field: first + 1, bits: 1 },
  ]
}

binaryImmediate('shufpd', (x, a, b, order) => pickBy(x, 8, a, b, order, two(x, 2)))

/** VPERMILPS, VPERMILPD: by an immediate, or by the low bits of elements. */
instruction(
  'vpermilps',
  'w r r',
  (x, _dst, a, order) => {
    if (x.immediateOperand(2)) return pickBy(x, 4, a, a, order, four(0))
    return lookUp(x, a, a, byteNumbersOf(x, 4, x.simd('v128.and', order, repeated(x, 4, 3))))
  },
  { lanes: true },
)
instruction(
  'vpermilpd',
  'w r r',
  (x, _dst, a, order) => {
    if (x.immediateOperand(2)) return pickBy(x, 8, a, a, order, two(x, 0))
    const numbers = x.simd('i64x2.shr_u', x.simd('v128.and', order, repeated(x, 8, 2)), x.i32(1))
    return lookUp(x, a, a, byteNumbersOf(x, 8, numbers))
  },
  { lanes: true },
)

// By another register

/** Bit 7 of a byte number gives 0, otherwise only the low bits count. */
binary('pshufb', (x, a, numbers) => {
  const significant = x.vectorSize === 64 ? 0x87 : 0x8f
  return x.simd('i8x16.swizzle', a, x.simd('v128.and', numbers, repeated(x, 1, significant)))
})

/** The dwords of a YMM register, each from anywhere in it. */
function permuteDwords(x: Builder, numbers: Value, a: Value): Value {
  const high = x.high(2)
  const half = (order: Value) => {
    return lookUp(x, a, high, byteNumbersOf(x, 4, x.simd('v128.and', order, repeated(x, 4, 7))))
  }
  x.setHigh(half(x.high(1)))
  return half(numbers)
}
for (const name of ['vpermd', 'vpermps']) {
  instruction(name, 'w r r', (x, _dst, numbers, a) => permuteDwords(x, numbers, a))
}

/** The same for qwords, by an immediate. */
for (const name of ['vpermq', 'vpermpd']) {
  instruction(name, 'w r r', (x, _dst, a, order) => {
    const high = x.high(1)
    x.setHigh(pickBy(x, 8, a, high, order, four(0).slice(2)))
    return pickBy(x, 8, a, high, order, four(0).slice(0, 2))
  })
}

/** One of the four halves of two YMM registers, or 0. */
function chooseHalf(x: Builder, a: Value, b: Value, control: Value): Value {
  const bit = (n: number) => x.binary('and', control, x.i32(1 << n))
  const halves = [() => a, () => x.high(1), () => b, () => x.high(2)]
  if (control.constant !== undefined) {
    const known = Number(control.constant)
    return known & 8 ? x.v128(0n) : (halves[known & 3] as () => Value)()
  }
  const [aLow, aHigh, bLow, bHigh] = halves.map((half) => half()) as [Value, Value, Value, Value]
  const ofA = x.select(bit(0), aHigh, aLow)
  const ofB = x.select(bit(0), bHigh, bLow)
  return x.select(bit(3), x.v128(0n), x.select(bit(1), ofB, ofA))
}
for (const name of ['vperm2f128', 'vperm2i128']) {
  instruction(name, 'w r r r', (x, _dst, a, b, control) => {
    x.setHigh(chooseHalf(x, a, b, x.let(x.binary('shr_u', control, x.i32(4)))))
    return chooseHalf(x, a, b, control)
  })
}

// Unpacking: elements of the low or high halves of two registers, in turn

function interleave(width: Width, part: 'low' | 'high'): Binary {
  return (x, a, b) => {
    const first = part === 'low' ? 0 : Math.min(x.vectorSize, 128) / 16 / width
    const elements = perElement(width, (n) => first + (n >> 1) + (n & 1) * (16 / width))
    return pick(x, width, a, b, elements)
  }
}
for (const [suffix, width] of [
  ['bw', 1],
  ['wd', 2],
  ['dq', 4],
  ['qdq', 8],
] as const) {
  binary(`punpckl${suffix}`, interleave(width, 'low'))
  binary(`punpckh${suffix}`, interleave(width, 'high'))
}
for (const [suffix, width] of [
  ['ps', 4],
  ['pd', 8],
] as const) {
  binary(`unpckl${suffix}`, interleave(width, 'low'))
  binary(`unpckh${suffix}`, interleave(width, 'high'))
}

unary('movsldup', (x, a) => pick(x, 4, a, a, [0, 0, 2, 2]))
unary('movshdup', (x, a) => pick(x, 4, a, a, [1, 1, 3, 3]))
unary('movddup', (x, a) => pick(x, 8, a, a, [0, 0]))

// Packing: elements half as wide, that saturate

for (const [name, operation] of [
  ['packsswb', 'i8x16.narrow_i16x8_s'],
  ['packuswb', 'i8x16.narrow_i16x8_u'],
  ['packssdw', 'i16x8.narrow_i32x4_s'],
  ['packusdw', 'i16x8.narrow_i32x4_u'],
] as const) {
  binary(name, (x, a, b) => {
    if (x.vectorSize !== 64) return x.simd(operation, a, b)
    return x.simd(operation, pick(x, 8, a, b, [0, 2]), x.v128(0n))
  })
}

// Widening, in one to three steps; a higher half is made of the higher part of what the source has for both

const SHAPES = ['i8x16', 'i16x8', 'i32x4', 'i64x2'] as const

for (const [suffix, from, to] of [
  ['bw', 0, 1],
  ['bd', 0, 2],
  ['bq', 0, 3],
  ['wd', 1, 2],
  ['wq', 1, 3],
  ['dq', 2, 3],
] as const) {
  for (const [letter, sign] of [
    ['s', 's'],
    ['z', 'u'],
  ] as const) {
    unary(`pmov${letter}x${suffix}`, (x, a) => {
      let r = a
      for (let step = from; step < to; step++) {
        const part = x.half === 1 && step === to - 1 ? 'high' : 'low'
        r = x.simd(`${SHAPES[step + 1]}.extend_${part}_${SHAPES[step]}_${sign}`, r)
      }
      return r
    })
  }
}
