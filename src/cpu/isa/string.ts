/**
 * String instructions. The runtime does them, a page at a time when they repeat (runtime/string.ts): one call is one
 * instruction of the budget, and a repeated instruction that is not finished runs again, so it stays interruptible.
 */
import type { Value } from '../wasm/emitter.ts'
import type { Builder } from './builder.ts'
import { instruction } from './table.ts'

/** Element size in bytes, address size in bits, repeat prefix, number of the source segment. */
function stringOperands(x: Builder): [Value, Value, Value, Value] {
  return [x.i32(x.size / 8), x.i32(x.addressSize), x.repeat(), x.segment()]
}

for (const [name, run] of [
  ['movs', 'stringMove'],
  ['cmps', 'stringCompare'],
  ['stos', 'stringStore'],
  ['lods', 'stringLoad'],
  ['scas', 'stringScan'],
] as const) {
  instruction(name, '', (x) => x.string(run, ...stringOperands(x)), { addressSized: true })
}

/** INS and OUTS leave once for each element, see runtime/io.ts. */
for (const [name, run] of [
  ['ins', 'stringInput'],
  ['outs', 'stringOutput'],
] as const) {
  instruction(name, '', (x) => x.system(run, ...stringOperands(x)), { addressSized: true, ends: true })
}
