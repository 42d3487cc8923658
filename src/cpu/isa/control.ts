/** Near control transfer. Far transfers, interrupts and system calls are in system.ts. */
import { CONDITIONS } from '../decoder/features.ts'
import * as L from '../layout.ts'
import type { Value } from '../wasm/emitter.ts'
import type { Builder } from './builder.ts'
import { instruction } from './table.ts'

const BRANCH = { modal: 'branch' } as const
const CALL = { ends: true, modal: 'call' } as const

/** Where RIPs have a limit, a relative branch beyond it is #GP(0) at the branch. */
function checkBranch(x: Builder): void {
  if (x.codeKind === 'segmented') x.checkTarget(x.let(x.branchTarget()))
}

function branch(x: Builder): void {
  checkBranch(x)
  x.branch()
}

/** `commit` is what the instruction does besides, when the branch can not fault any more. */
function branchIf(x: Builder, condition: Value, commit?: () => void): void {
  const taken = x.codeKind === 'segmented' || commit ? x.let(condition) : condition
  if (x.codeKind === 'segmented') x.if(taken, () => checkBranch(x))
  commit?.()
  x.branchIf(taken)
}

instruction('jmp.rel', 'j', branch, { ends: true, modal: 'branch' })

CONDITIONS.forEach((condition, code) => {
  instruction(`j${condition}`, 'j', (x) => branchIf(x, x.flags.condition(code)), BRANCH)
})

instruction(
  'call.rel',
  'j',
  (x) => {
    checkBranch(x)
    x.push(x.truncate(x.nextRip(), x.size))
    x.branch()
  },
  CALL,
)

instruction(
  'jmp.ind',
  'r',
  (x, target) => {
    const rip = x.let(x.zeroExtend(target, x.size, 64))
    x.checkTarget(rip)
    x.jump(rip)
  },
  CALL,
)

instruction(
  'call.ind',
  'r',
  (x, target) => {
    const rip = x.let(x.zeroExtend(target, x.size, 64))
    // A stack that can not take the return address faults first.
    x.checkTarget(rip, () => {
      x.callWithState('probeStack', 'i32', x.i32(x.size / 8))
      x.leaveOnFault()
    })
    x.push(x.truncate(x.nextRip(), x.size))
    x.jump(rip)
  },
  CALL,
)

/** RET and RET Iw: the immediate is freed above the return address. */
instruction(
  'ret',
  'r',
  (x, extra) => {
    const rip = x.let(x.zeroExtend(x.top(), x.size, 64))
    x.checkTarget(rip)
    x.afterPop(extra ? x.binary('and', x.let(x.zeroExtend(extra, x.size, 64)), x.i64(0xffff)) : undefined)
    x.jump(rip)
  },
  CALL,
)

// LOOP and JrCXZ: the counter has the address size.

type Test = 'loop' | 'loope' | 'loopne'
for (const name of ['loop', 'loope', 'loopne'] as const satisfies readonly Test[]) {
  instruction(
    name,
    'j',
    (x) => {
      const one = x.constant(x.typeOf(x.addressSize), 1)
      const counter = x.let(x.cut(x.binary('sub', x.gpr(L.RCX, x.addressSize), one), x.addressSize))
      let again = x.bool32(counter)
      if (name === 'loope') again = x.binary('and', again, x.flags.zf())
      if (name === 'loopne') again = x.binary('and', again, x.eqz(x.flags.zf()))
      branchIf(x, again, () => x.setGpr(L.RCX, counter, x.addressSize))
    },
    { addressSized: true, modal: 'branch' },
  )
}

instruction(
  'jcxz',
  'j',
  (x) => {
    branchIf(x, x.eqz(x.gpr(L.RCX, x.addressSize)))
  },
  { addressSized: true, modal: 'branch' },
)
