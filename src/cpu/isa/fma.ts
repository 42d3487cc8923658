/** Fused multiply-add: a * b + c, rounded once (Intel SDM volume 1, 14.5). */
import type { Value } from '../wasm/emitter.ts'
import type { Builder } from './builder.ts'
import { type Elements, FORMATS, packed, scalar } from './float-elements.ts'
import { instruction } from './table.ts'

/** Which of product and addend are negated, in even and in odd elements. */
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

function multiplyAdd(x: Builder, e: Elements, operands: readonly Value[], signs: Signs): Value {
  return e.software(x, operands, (bits, element) =>
    x.call(
      `sseMulAdd${e.format.bits}`,
      e.format.integer,
      ...bits,
      x.i32(signs.product ? 1 : 0),
      x.i32(signs.addend[(element % 2) as 0 | 1] ? 1 : 0),
    ),
  )
}

for (const [name, signs] of Object.entries(OPERATIONS)) {
  const isAlternating = signs.addend[0] !== signs.addend[1]
  for (const order of ORDERS) {
    const inOrder = (...operands: Value[]): Value[] => [...order].map((digit) => operands[Number(digit) - 1] as Value)
    for (const { letter, bits, scalar: type } of FORMATS) {
      const define = (x: Builder, a: Value, b: Value, c: Value): Value =>
        multiplyAdd(x, packed[bits], inOrder(a, b, c), signs)
      instruction(`v${name}${order}p${letter}`, 'rw r r', define, { float: true, lanes: true })
      if (isAlternating) continue
      const one = (x: Builder, a: Value, b: Value, c: Value): Value =>
        multiplyAdd(x, scalar[bits], inOrder(a, b, c), signs)
      instruction(`v${name}${order}s${letter}`, `+${type} ${type} ${type}`, one, { float: true })
    }
  }
}
