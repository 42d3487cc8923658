/** Near control transfer. Far transfers, interrupts and system calls are in system.ts. */
import { CONDITIONS } from '../decoder/features.ts'
import * as L from '../layout.ts'

import { instruction } from './table.ts'

const ENDS = { ends: true } as const

instruction('jmp.rel', 'j', (x) => x.branch(), ENDS)

CONDITIONS.forEach((condition, code) => {
  instruction(`j${condition}`, 'j', (x) => x.branchIf(x.flags.condition(code)))
})

instruction(
  'call.rel',
  'j',
  (x) => {
    x.push(x.truncate(x.nextRip(), x.size))
    x.branch()
  },
  ENDS,
)

instruction(
  'jmp.ind',
  'r',
  (x, target) => {
    const rip = x.let(x.zeroExtend(target, x.size, 64))
    x.checkCanonical(rip)
    x.jump(rip)
  },
  ENDS,
)

instruction(
  'call.ind',
  'r',
  (x, target) => {
    const rip = x.let(x.zeroExtend(target, x.size, 64))
    // A stack that can not take the return address faults first.
    x.checkCanonical(rip, () => {
      x.callWithState('probeStack', 'i32', x.i32(x.size / 8))
      x.leaveOnFault()
    })
    x.push(x.truncate(x.nextRip(), x.size))
    x.jump(rip)
  },
  ENDS,
)

/** RET and RET Iw: the immediate is freed above the return address. */
instruction(
  'ret',
  'r',
  (x, extra) => {
    const rip = x.let(x.zeroExtend(x.top(), x.size, 64))
    x.checkCanonical(rip)
    x.afterPop(extra ? x.binary('and', x.let(x.zeroExtend(extra, x.size, 64)), x.i64(0xffff)) : undefined)
    x.jump(rip)
  },
  ENDS,
)

// LOOP and JrCXZ: the counter has the address size.

type Test = 'loop' | 'loope' | 'loopne'
for (const name of ['loop', 'loope', 'loopne'] as const satisfies readonly Test[]) {
  instruction(
    name,
    'j',
    (x) => {
      const counter = x.let(x.binary('sub', x.gpr(L.RCX, x.addressSize), x.constant(x.typeOf(x.addressSize), 1)))
      x.setGpr(L.RCX, counter, x.addressSize)
      let again = x.bool32(x.cut(counter, x.addressSize))
      if (name === 'loope') again = x.binary('and', again, x.flags.zf())
      if (name === 'loopne') again = x.binary('and', again, x.eqz(x.flags.zf()))
      x.branchIf(again)
    },
    { addressSized: true },
  )
}

instruction(
  'jcxz',
  'j',
  (x) => {
    x.branchIf(x.eqz(x.gpr(L.RCX, x.addressSize)))
  },
  { addressSized: true },
)
