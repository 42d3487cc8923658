/** Elements of one or the other of two vectors: by bits of an immediate, or by the signs of a third vector. */
import type { Value } from '../wasm/emitter.ts'
import type { Builder } from './builder.ts'
import { blend } from './element.ts'
import { instruction } from './table.ts'
import { binaryImmediate } from './vector-forms.ts'

// Words have the same bits for each half, wider elements their own.
binaryImmediate('pblendw', (x, a, b, bits) => blend(x, 2, a, b, bits))
binaryImmediate('blendps', (x, a, b, bits) => blend(x, 4, a, b, bits, 4 * x.half))
binaryImmediate('blendpd', (x, a, b, bits) => blend(x, 8, a, b, bits, 2 * x.half))
instruction('vpblendd', 'w r r r', (x, _dst, a, b, bits) => blend(x, 4, a, b, bits, 4 * x.half), { lanes: true })

/** SSE has the signs in XMM0. */
for (const [name, shape] of [
  ['pblendvb', 'i8x16'],
  ['blendvps', 'i32x4'],
  ['blendvpd', 'i64x2'],
] as const) {
  const choose = (x: Builder, a: Value, b: Value, signs: Value) =>
    x.simd('v128.bitselect', b, a, x.simd(`${shape}.lt_s`, signs, x.v128(0n)))
  instruction(name, 'rw r', (x, a, b) => choose(x, a, b, x.xmm(0)))
  instruction(`v${name}`, 'w r r r', (x, _dst, a, b, signs) => choose(x, a, b, signs), { lanes: true })
}
