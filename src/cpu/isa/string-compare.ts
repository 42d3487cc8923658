/** SSE4.2 comparison of strings in registers; runtime/simd-string.ts compares. */
import * as L from '../layout.ts'
import type { Value } from '../wasm/emitter.ts'
import type { Builder } from './builder.ts'
import { instruction } from './table.ts'

const MOST_SIGNIFICANT = 0x40

type Compare = (x: Builder, a: Value, b: Value, control: Value) => Value

const implicit: Compare = (x, a, b, control) => x.call('compareImplicit', 'i32', a, b, control)

function explicit(size: 32 | 64): Compare {
  return (x, a, b, control) => {
    const length = (register: number) => x.toSigned64(x.gpr(register, size), size)
    return x.call('compareExplicit', 'i32', a, b, control, length(L.RAX), length(L.RDX))
  }
}

/** Sets the flags from a comparison; gives its result. */
function settle(x: Builder, comparison: Value): Value {
  const result = x.let(x.binary('and', comparison, x.i32(0xffff)))
  x.flags.setLowByte(x.let(x.binary('shr_u', comparison, x.i32(16))))
  x.flags.overflow(x.binary('and', result, x.i32(1)))
  return result
}

/** The number of the first or last element; that of all elements when there is none. */
function index(x: Builder, result: Value, control: Value): Value {
  const all = x.let(x.binary('shr_u', x.i32(16), x.binary('and', control, x.i32(1))))
  const first = x.unary('ctz', x.binary('or', result, x.binary('shl', x.i32(1), all)))
  const last = x.select(result, x.binary('sub', x.i32(31), x.unary('clz', result)), all)
  return x.select(x.binary('and', control, x.i32(MOST_SIGNIFICANT)), last, first)
}

for (const [name, compare] of [
  ['pcmpistr', implicit],
  ['pcmpestr', explicit(32)],
  ['pcmpestr.64', explicit(64)],
] as const) {
  for (const prefix of ['', 'v']) {
    const named = (letter: string) => prefix + name.replace('str', `str${letter}`)
    const options = { aligned: false }
    instruction(
      named('i'),
      'r r r',
      (x, a, b, control) => {
        const result = settle(x, compare(x, a, b, control))
        x.setGpr(L.RCX, index(x, result, control), 32)
      },
      options,
    )
    instruction(
      named('m'),
      'r r r',
      (x, a, b, control) => {
        const result = settle(x, compare(x, a, b, control))
        x.setVectorHalf(0, 0, x.call('comparisonMask', 'v128', result, control))
        if (prefix === 'v') x.setVectorHalf(0, 1, x.v128(0n))
      },
      options,
    )
  }
}
