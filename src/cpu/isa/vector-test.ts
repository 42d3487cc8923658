/** PTEST, VTESTPS, VTESTPD: whether bits of two vectors meet, into ZF and CF. */
import type { Value } from '../wasm/emitter.ts'
import type { Builder } from './builder.ts'
import { repeated } from './element.ts'
import { instruction } from './table.ts'

/** ZF: no bit of b is set in a; CF: all bits of b are. Of the bits only those in the mask count. */
function test(x: Builder, a: Value, b: Value, mask: Value | undefined): void {
  const masked = (value: Value) => (mask ? x.simd('v128.and', value, mask) : value)
  const isZero = (operation: 'v128.and' | 'v128.andnot') => {
    const low = masked(x.simd(operation, b, a))
    if (x.vectorSize !== 256) return x.eqz(x.apply('v128.any_true', 'i32', low))
    const high = masked(x.simd(operation, x.high(1), x.high(0)))
    return x.eqz(x.apply('v128.any_true', 'i32', x.simd('v128.or', low, high)))
  }
  x.flags.zeroAndCarry(isZero('v128.and'), isZero('v128.andnot'))
}

instruction('ptest', 'r r', (x, a, b) => test(x, a, b, undefined))
instruction('vptest', 'r r', (x, a, b) => test(x, a, b, undefined))
instruction('vtestps', 'r r', (x, a, b) => test(x, a, b, repeated(x, 4, 1n << 31n)))
instruction('vtestpd', 'r r', (x, a, b) => test(x, a, b, repeated(x, 8, 1n << 63n)))
