/** Moves between vector registers, memory and general registers. */
import { instruction } from './table.ts'

/** Whole registers: the destination is as wide as the source. */
for (const [name, aligned] of [
  ['movups', false],
  ['movupd', false],
  ['movdqu', false],
  ['movaps', true],
  ['movapd', true],
  ['movdqa', true],
] as const) {
  instruction(name, 'w r', (_x, _dst, value) => value, { aligned })
  instruction(`v${name}`, 'w r', (_x, _dst, value) => value, { aligned, lanes: true })
}
