/** Vector moves whose elements in memory are accessed one by one, as a mask says; runtime/simd-memory.ts does them. */
import { OperandKind } from '../decoder/instruction.ts'
import * as L from '../layout.ts'
import type { Value } from '../wasm/emitter.ts'
import { instruction } from './table.ts'

// Bytes of a register at DS:RDI, another segment by override
for (const name of ['maskmovq', 'maskmovdqu', 'vmaskmovdqu']) {
  instruction(
    name,
    'a a',
    (x, from, mask) => {
      const how = x.binary('or', x.segment(), x.i32(x.addressSize << 8))
      const bytes = x.i32(x.vectorSize / 8)
      x.if(x.callWithState('storeMaskedBytes', 'i32', from, mask, x.gpr(L.RDI, 64), how, bytes), () => x.fault())
    },
    { addressSized: true },
  )
}

for (const [name, width] of [
  ['vmaskmovps', 4],
  ['vmaskmovpd', 8],
  ['vpmaskmovd', 4],
  ['vpmaskmovq', 8],
] as const) {
  instruction(name, 'o a o', (x, first, mask, last) => {
    const isStore = x.kindOf(0) === OperandKind.mem
    const [run, register, offset]: [string, Value, Value] = isStore
      ? ['maskedStore', last, first]
      : ['maskedLoad', first, last]
    const bytes = x.i32(x.vectorSize / 8)
    x.if(x.callWithState(run, 'i32', register, mask, offset, x.scattering(), x.i32(width), bytes), () => x.fault())
  })
}

/** The letters say how wide indices and elements are. */
for (const [name, indexWidth, width] of [
  ['vpgatherdd', 4, 4],
  ['vpgatherdq', 4, 8],
  ['vpgatherqd', 8, 4],
  ['vpgatherqq', 8, 8],
  ['vgatherdps', 4, 4],
  ['vgatherdpd', 4, 8],
  ['vgatherqps', 8, 4],
  ['vgatherqpd', 8, 8],
] as const) {
  instruction(name, 'a o a', (x, to, offset, mask) => {
    const widths = [indexWidth, width, x.vectorSize / 8 / Math.max(indexWidth, width)]
    const operands = [to, mask, x.indices(), offset, x.scattering(), ...widths.map((number) => x.i32(number))]
    x.if(x.callWithState('gather', 'i32', ...operands), () => x.fault())
  })
}
