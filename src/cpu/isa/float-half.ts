/** F16C: half precision is a format to keep numbers in, not to compute with (Intel SDM volume 1, 14.4). */
import * as L from '../layout.ts'
import type { Value } from '../wasm/emitter.ts'
import type { Builder } from './builder.ts'
import { attempt } from './float-attempt.ts'
import { packed } from './float-elements.ts'
import { instruction } from './table.ts'

const FLOAT = { float: true } as const
const LOW_HALVES = Array.from({ length: 16 }, (_, n) => (n % 4 < 2 ? (n >> 2) * 2 + (n % 4) : 16))

function everywhere(x: Builder, value: number): Value {
  return x.splat('i32x4', x.i32(value))
}

/**
 * The lowest four halves as f32. Their exponent and fraction, put where an f32 has them, are a number that is too small by
 * 2^(127 - 15), denormal ones included: denormal halves are no exception. Infinities and NaNs are done in software.
 */
function fromHalf(x: Builder, a: Value): Value {
  const wide = x.let(x.shuffle(a, x.v128(0n), LOW_HALVES))
  const magnitude = x.let(x.simd('v128.and', wide, everywhere(x, 0x7fff)))
  const number = x.simd('f32x4.mul', x.simd('i32x4.shl', magnitude, x.i32(13)), everywhere(x, (127 + 127 - 15) << 23))
  const sign = x.simd('i32x4.shl', x.simd('v128.and', wide, everywhere(x, 0x8000)), x.i32(16))
  const r = x.variable('v128')
  x.assign(r, x.simd('v128.or', number, sign))
  attempt(x, {
    unusual: [x.apply('i32x4.bitmask', 'i32', x.simd('i32x4.gt_s', magnitude, everywhere(x, 0x7bff)))],
    software: () => {
      const bits = packed[32].software(x, [wide], ([half]) => x.call('sse16To32', 'i32', half as Value))
      x.assign(r, bits)
    },
  })
  return r
}

instruction(
  'vcvtph2ps',
  'w r',
  (x, _dst, a) => {
    if (x.vectorSize === 256) x.setHigh(fromHalf(x, x.let(x.splat('i64x2', x.lane('i64x2', a, 1)))))
    return fromHalf(x, a)
  },
  FLOAT,
)

/**
 * Four f32 to halves, which are zero-extended to 32 bits. Rounding to nearest, ties to even: what is less than half a unit of
 * the last bit is added to the magnitude, and one more when that bit is set; the bits below are cut off. That holds
 * for results from the least normal half to the greatest.
 */
function toHalf(x: Builder, a: Value, immediate: Value): Value {
  const magnitude = x.let(x.simd('v128.and', a, everywhere(x, 0x7fff_ffff)))
  const odd = x.simd('v128.and', x.simd('i32x4.shr_u', magnitude, x.i32(13)), everywhere(x, 1))
  const bias = everywhere(x, (-(127 - 15) << 23) + 0xfff)
  const added = x.simd('i32x4.add', x.simd('i32x4.add', magnitude, bias), odd)
  const sign = x.simd('v128.and', x.simd('i32x4.shr_u', a, x.i32(16)), everywhere(x, 0x8000))
  const r = x.variable('v128')
  x.assign(r, x.simd('v128.or', x.simd('i32x4.shr_u', added, x.i32(13)), sign))
  // From 2^-14 to less than 65520, which would be rounded to 2^16; zeros come out wrong here.
  const small = x.simd('i32x4.lt_s', magnitude, everywhere(x, (127 - 14) << 23))
  const large = x.simd('i32x4.gt_s', magnitude, everywhere(x, 0x477fefff))
  attempt(x, {
    unusual: [
      x.apply('i32x4.bitmask', 'i32', x.simd('v128.or', small, large)),
      x.eqz(x.state32(L.FLOAT_FAST)),
      // Bit 2 says MXCSR's mode, which is to nearest now.
      x.compare('lt_u', x.binary('sub', x.binary('and', immediate, x.i32(7)), x.i32(1)), x.i32(3)),
    ],
    software: () => {
      const call = ([bits]: Value[]): Value => x.call('sse32To16', 'i32', bits as Value, immediate)
      x.assign(r, packed[32].software(x, [a], call))
    },
  })
  return r
}

instruction(
  'vcvtps2ph',
  'w r r',
  (x, _dst, a, immediate) => {
    const low = toHalf(x, a, immediate)
    const high = x.vectorSize === 256 ? toHalf(x, x.high(1), immediate) : x.v128(0n)
    return x.simd('i16x8.narrow_i32x4_u', low, high)
  },
  FLOAT,
)
