/**
 * Packed integers, MMX to AVX2: arithmetic, comparison, logic. What an instruction does to 128 bits is written once; MMX
 * takes the low half of it, and only what moves elements between halves has to know of that.
 */
import type { Value } from '../wasm/emitter.ts'
import { bytesFrom, element, perElement, pick, repeated, vector } from './element.ts'
import { type Binary, binary, binaryImmediate, unary } from './vector-forms.ts'

/** Instructions that wasm has, too. */
const PLAIN: Readonly<Record<string, string>> = {
  paddb: 'i8x16.add',
  paddw: 'i16x8.add',
  paddd: 'i32x4.add',
  paddq: 'i64x2.add',
  paddsb: 'i8x16.add_sat_s',
  paddsw: 'i16x8.add_sat_s',
  paddusb: 'i8x16.add_sat_u',
  paddusw: 'i16x8.add_sat_u',
  psubb: 'i8x16.sub',
  psubw: 'i16x8.sub',
  psubd: 'i32x4.sub',
  psubq: 'i64x2.sub',
  psubsb: 'i8x16.sub_sat_s',
  psubsw: 'i16x8.sub_sat_s',
  psubusb: 'i8x16.sub_sat_u',
  psubusw: 'i16x8.sub_sat_u',
  pmullw: 'i16x8.mul',
  pmulld: 'i32x4.mul',
  pmaddwd: 'i32x4.dot_i16x8_s',
  pavgb: 'i8x16.avgr_u',
  pavgw: 'i16x8.avgr_u',
  pminsb: 'i8x16.min_s',
  pminsw: 'i16x8.min_s',
  pminsd: 'i32x4.min_s',
  pminub: 'i8x16.min_u',
  pminuw: 'i16x8.min_u',
  pminud: 'i32x4.min_u',
  pmaxsb: 'i8x16.max_s',
  pmaxsw: 'i16x8.max_s',
  pmaxsd: 'i32x4.max_s',
  pmaxub: 'i8x16.max_u',
  pmaxuw: 'i16x8.max_u',
  pmaxud: 'i32x4.max_u',
  pcmpeqb: 'i8x16.eq',
  pcmpeqw: 'i16x8.eq',
  pcmpeqd: 'i32x4.eq',
  pcmpeqq: 'i64x2.eq',
  pcmpgtb: 'i8x16.gt_s',
  pcmpgtw: 'i16x8.gt_s',
  pcmpgtd: 'i32x4.gt_s',
  pcmpgtq: 'i64x2.gt_s',
  pand: 'v128.and',
  andps: 'v128.and',
  andpd: 'v128.and',
  por: 'v128.or',
  orps: 'v128.or',
  orpd: 'v128.or',
  pxor: 'v128.xor',
  xorps: 'v128.xor',
  xorpd: 'v128.xor',
}
for (const [name, operation] of Object.entries(PLAIN)) binary(name, (x, a, b) => x.simd(operation, a, b))

for (const name of ['pandn', 'andnps', 'andnpd']) binary(name, (x, a, b) => x.simd('v128.andnot', b, a))

for (const [name, shape] of [
  ['pabsb', 'i8x16'],
  ['pabsw', 'i16x8'],
  ['pabsd', 'i32x4'],
] as const) {
  unary(name, (x, a) => x.simd(`${shape}.abs`, a))
}

/** a, -a or 0 by the sign of b. */
for (const [name, shape] of [
  ['psignb', 'i8x16'],
  ['psignw', 'i16x8'],
  ['psignd', 'i32x4'],
] as const) {
  binary(name, (x, a, b) => {
    const negative = x.let(x.simd(`${shape}.lt_s`, b, x.v128(0n)))
    const signed = x.simd(`${shape}.sub`, x.simd('v128.xor', a, negative), negative)
    return x.simd('v128.andnot', signed, x.simd(`${shape}.eq`, b, x.v128(0n)))
  })
}

/** Neighbours in a and, behind them, in b come together. */
for (const [name, width, operation] of [
  ['phaddw', 2, 'i16x8.add'],
  ['phaddd', 4, 'i32x4.add'],
  ['phaddsw', 2, 'i16x8.add_sat_s'],
  ['phsubw', 2, 'i16x8.sub'],
  ['phsubd', 4, 'i32x4.sub'],
  ['phsubsw', 2, 'i16x8.sub_sat_s'],
] as const) {
  binary(name, (x, a, b) => {
    const ofEach = Math.min(x.vectorSize, 128) / 16 / width
    const even = perElement(width, (n) => (n < ofEach ? 2 * n : 16 / width + 2 * (n % ofEach)))
    const odd = even.map((n) => n + 1)
    return x.simd(operation, pick(x, width, a, b, even), pick(x, width, a, b, odd))
  })
}

// Multiplication

/** The high halves of the 32-bit products of words. */
function highProducts(sign: 's' | 'u'): Binary {
  return (x, a, b) => {
    const low = x.simd(`i32x4.extmul_low_i16x8_${sign}`, a, b)
    const high = x.simd(`i32x4.extmul_high_i16x8_${sign}`, a, b)
    return pick(x, 2, low, high, [1, 3, 5, 7, 9, 11, 13, 15])
  }
}
binary('pmulhw', highProducts('s'))
binary('pmulhuw', highProducts('u'))

/** wasm saturates where both are -1 (8000h): 7FFFh instead of 8000h. */
binary('pmulhrsw', (x, a, b) => {
  const saturated = x.simd('i16x8.eq', x.simd('i16x8.max_s', a, b), repeated(x, 2, 0x8000))
  return x.simd('v128.xor', x.simd('i16x8.q15mulr_sat_s', a, b), saturated)
})

/** The products of the even dwords. */
function evenProducts(sign: 's' | 'u'): Binary {
  return (x, a, b) => {
    const even = (value: Value) => pick(x, 4, value, value, [0, 2, 0, 2])
    return x.simd(`i64x2.extmul_low_i32x4_${sign}`, even(a), even(b))
  }
}
binary('pmuludq', evenProducts('u'))
binary('pmuldq', evenProducts('s'))

/** Unsigned bytes times signed bytes; the sums of two products saturate. A single product fits a word. */
binary('pmaddubsw', (x, a, b) => {
  const eight = x.i32(8)
  const even = x.simd(
    'i16x8.mul',
    x.simd('v128.and', a, repeated(x, 2, 0xff)),
    x.simd('i16x8.shr_s', x.simd('i16x8.shl', b, eight), eight),
  )
  const odd = x.simd('i16x8.mul', x.simd('i16x8.shr_u', a, eight), x.simd('i16x8.shr_s', b, eight))
  return x.simd('i16x8.add_sat_s', even, odd)
})

/** Sums of the absolute differences of eight bytes each. */
binary('psadbw', (x, a, b) => {
  const difference = x.simd('i8x16.sub', x.simd('i8x16.max_u', a, b), x.simd('i8x16.min_u', a, b))
  const pairs = x.simd('i16x8.extadd_pairwise_i8x16_u', difference)
  const sums = x.let(x.simd('i32x4.dot_i16x8_s', pairs, repeated(x, 2, 1)))
  const total = x.simd('i64x2.add', sums, x.simd('i64x2.shr_u', sums, x.i32(32)))
  return x.simd('v128.and', total, repeated(x, 8, 0xffff))
})

/** Eight sums of the absolute differences between four bytes of b, and four of a at eight places one after the other. */
binaryImmediate('mpsadbw', (x, a, b, places) => {
  const field = x.let(x.binary('shr_u', places, x.i32(3 * x.half)))
  const inA = x.let(x.binary('and', field, x.i32(4)))
  const inB = x.let(x.binary('shl', x.binary('and', field, x.i32(3)), x.i32(2)))
  const sums = [0, 1, 2, 3].map((n) => {
    const first = x.let(bytesFrom(x, a, x.binary('add', inA, x.i32(n))))
    const second = x.let(x.splat('i8x16', element(x, 1, b, x.binary('add', inB, x.i32(n)))))
    const difference = x.simd('i8x16.sub', x.simd('i8x16.max_u', first, second), x.simd('i8x16.min_u', first, second))
    return x.simd('i16x8.extend_low_i8x16_u', difference)
  })
  return sums.reduce((sum, words) => x.simd('i16x8.add', sum, words))
})

/** The least word and its number: the least of the words that have their number below them. */
unary('phminposuw', (x, a) => {
  const sixteen = x.i32(16)
  const numbered = (half: 'low' | 'high', numbers: number[]) =>
    x.simd('v128.or', x.simd('i32x4.shl', x.simd(`i32x4.extend_${half}_i16x8_u`, a), sixteen), vector(x, 4, numbers))
  const of4 = x.let(x.simd('i32x4.min_u', numbered('low', [0, 1, 2, 3]), numbered('high', [4, 5, 6, 7])))
  const of2 = x.let(x.simd('i32x4.min_u', of4, pick(x, 4, of4, of4, [2, 3, 2, 3])))
  const least = x.lane('i32x4', x.simd('i32x4.min_u', of2, pick(x, 4, of2, of2, [1, 1, 1, 1])), 0)
  return x.withLane('i32x4', x.v128(0n), 0, x.binary('rotl', least, sixteen))
})
