/** The XSAVE instructions (runtime/xsave.ts); with REX.W the x87 pointers in the image have 64 bits. */
import { instruction } from './table.ts'

for (const [name, use] of [
  ['xsave', 'aw'],
  ['xsaveopt', 'aw'],
  ['xsavec', 'aw'],
  ['xrstor', 'a'],
] as const) {
  instruction(name, use, (x, address) => x.system(name, address, x.i32(x.size === 64 ? 1 : 0), x.accessFlags()), {
    ends: true,
  })
}
