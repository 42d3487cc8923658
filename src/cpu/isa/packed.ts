/**
 * Packed integers, MMX to AVX2. What an instruction does to 128 bits is written once (`packed`): MMX takes the low half of it,
 * SSE all, AVX has a destination of its own, and 256 bits are the same for each half.
 */
import type { Value } from '../wasm/emitter.ts'
import type { Builder } from './builder.ts'
import { instruction } from './table.ts'

type Operation = (x: Builder, a: Value, b: Value) => Value

/** An instruction of two operands: `name dst, src` with MMX and SSE registers, `vname dst, a, b` with AVX. */
export function packed(name: string, operation: Operation): void {
  instruction(name, 'rw r', operation)
  instruction(`v${name}`, 'w r r', (x, _dst, a, b) => operation(x, a, b), { lanes: true })
}

/** Instructions that wasm has, too. */
const PLAIN: Readonly<Record<string, string>> = {
  paddb: 'i8x16.add',
  paddw: 'i16x8.add',
  paddd: 'i32x4.add',
  paddq: 'i64x2.add',
  psubb: 'i8x16.sub',
  psubw: 'i16x8.sub',
  psubd: 'i32x4.sub',
  psubq: 'i64x2.sub',
  pand: 'v128.and',
  por: 'v128.or',
  pxor: 'v128.xor',
}
for (const [name, operation] of Object.entries(PLAIN)) packed(name, (x, a, b) => x.simd(operation, a, b))
