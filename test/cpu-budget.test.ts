/** Budgets: run(n, true) executes n instructions, no more and no fewer, wherever n ends. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as L from '../src/cpu/layout.ts'
import { CODE, EXIT_EPT_VIOLATION, EXIT_HLT, HLT, LongMode, movEax, movEbx, movEcx } from './support/long-mode.ts'

const NOP = 0x90

/** A loop with branches both ways, a call, REP MOVSB, a fault with a handler that steps over it, PUSH and POP. */
const PROGRAM = [
  ...movEbx(0),
  ...[0xff, 0xc3, 0xf6, 0xc3, 0x01, 0x74, 0x02, 0x0f, 0x0b], // INC EBX; TEST BL,1; JZ +2; UD2
  ...[0xbe, 0x00, 0x30, 0, 0, 0xbf, 0x00, 0x31, 0, 0, ...movEcx(5), 0xf3, 0xa4], // MOV ESI,3000; MOV EDI,3100; ECX=5; REP MOVSB
  ...[0x53, 0x58, 0xe8, 2, 0, 0, 0, 0xeb, 3], // PUSH RBX; POP RAX; CALL +2; JMP +3
  ...[0xff, 0xc2, 0xc3], // INC EDX; RET
  ...[0x83, 0xfb, 0x40, 0x72, 0xd5], // CMP EBX,40; JB to INC EBX
  HLT,
]
/** Adds two to the return address: over UD2. */
const SKIP = [0x48, 0x83, 0x04, 0x24, 0x02, 0x48, 0xcf]

function machine(): LongMode {
  const it = new LongMode()
  it.handler(6, SKIP)
  it.put(CODE, ...PROGRAM)
  return it
}

function stateOf({ cpu }: LongMode): string {
  const registers = Array.from({ length: 16 }, (_, n) => cpu.readU64(L.GPR + n * 8).toString(16))
  return [cpu.readU64(L.RIP).toString(16), cpu.rflags.toString(16), ...registers].join(' ')
}

/** States after each instruction (a delivered exception counts as one), up to the HLT. */
function steps(): string[] {
  const it = machine()
  const states: string[] = []
  while (it.cpu.run(1, true) === L.EXIT_BUDGET) states.push(stateOf(it))
  assert.ok(it.rip > CODE + 40, 'the program ended at its HLT')
  return states
}

const reference = steps()

test('the program is as long as it should be', () => {
  assert.ok(reference.length > 800 && reference.length < 1500, String(reference.length))
  assert.is(new Set(reference).size > 700, true, 'states differ')
})

test('run(n, true) stops after n instructions, for every n', () => {
  const it = machine()
  for (let n = 1; n <= reference.length; n++) {
    it.reset()
    const before = it.cpu.instructions
    assert.is(it.cpu.run(n, true), L.EXIT_BUDGET)
    assert.is(it.cpu.instructions - before, BigInt(n))
    assert.is(stateOf(it), reference[n - 1], `after ${n}`)
  }
})

test('slices of any size add up', () => {
  for (const slice of [1, 2, 3, 7, 63, 64, 65, 66, 100, 127, 500]) {
    const it = machine()
    let done = 0
    while (done + slice <= reference.length) {
      assert.is(it.cpu.run(slice, true), L.EXIT_BUDGET)
      done += slice
      assert.is(stateOf(it), reference[done - 1], `slices of ${slice}, after ${done}`)
    }
    assert.is(it.cpu.instructions, BigInt(done))
    assert.is(it.cpu.run(100_000, true), EXIT_HLT)
    assert.is(it.cpu.instructions, BigInt(reference.length + 1))
  }
})

test('a run that is not exact ends at most 63 instructions early, and counts what it did', () => {
  const it = machine()
  for (let n = 64; n < 400; n++) {
    it.reset()
    const before = it.cpu.instructions
    assert.is(it.cpu.run(n), L.EXIT_BUDGET)
    const done = Number(it.cpu.instructions - before)
    assert.ok(done <= n && done > n - 64, `${done} of ${n}`)
    assert.is(stateOf(it), reference[done - 1])
  }
})

test('a straight line of code longer than a trace', () => {
  const line = [...new Array<number>(300).fill(NOP), HLT]
  for (const n of [1, 63, 64, 65, 128, 129, 200, 299, 300]) {
    const it = new LongMode()
    it.put(CODE, ...line)
    assert.is(it.cpu.run(n, true), L.EXIT_BUDGET)
    assert.is(it.rip, CODE + n)
  }
  const it = new LongMode()
  assert.is(it.execute(line), EXIT_HLT)
  assert.is(it.cpu.instructions, 301n)
})

test('a budget that an exit ends early is not used up', () => {
  const it = new LongMode()
  // JMP 3000, which the EPT does not let the guest execute.
  it.put(CODE, NOP, NOP, 0xe9, 0xf9, 0x1f, 0, 0)
  it.put(0x3000, ...new Array<number>(100).fill(NOP))
  const { cpu } = it
  cpu.protect(cpu.hostOf(0x3000), L.PAGE_DENY_EXECUTE)
  for (const budget of [10, 50, 1000]) {
    it.rip = CODE
    const before = cpu.instructions
    assert.is(cpu.run(budget, true), EXIT_EPT_VIOLATION)
    assert.ok(cpu.instructions - before <= 4n, `${cpu.instructions - before} of ${budget}`)
    assert.is(it.rip, 0x3000)
  }
  cpu.protect(cpu.hostOf(0x3000), 0)
  const before = cpu.instructions
  assert.is(cpu.run(10, true), L.EXIT_BUDGET)
  assert.is(it.rip, 0x300a)
  assert.is(cpu.instructions - before, 10n)
})

test('a branch at the end of a budget is not linked to what runs next from outside', () => {
  const it = new LongMode()
  // INC ECX; IRETQ
  it.handler(0x20, [0xff, 0xc1, 0x48, 0xcf])
  // 60 NOP; INC EBX; JMP over UD2; INC EDX; HLT
  it.put(CODE, ...new Array<number>(60).fill(NOP), 0xff, 0xc3, 0xeb, 0x02, 0x0f, 0x0b, 0xff, 0xc2, HLT)
  it.cpu.rflags = 0x202n
  assert.is(it.cpu.run(64), L.EXIT_BUDGET)
  it.cpu.writeU32(L.EXIT_REASON, L.EXIT_NONE)
  it.cpu.interrupt(0x20)
  assert.is(it.cpu.run(1000), EXIT_HLT)
  for (const round of [2n, 3n]) {
    it.rip = CODE
    assert.is(it.cpu.run(1000), EXIT_HLT)
    assert.is(it.gpr(L.RCX), 1n, 'one interrupt')
    assert.is(it.gpr(L.RDX), round)
  }
})

test('a fault that nothing handles is charged once', () => {
  const it = new LongMode()
  assert.is(it.execute([...movEax(1), ...movEcx(2), 0x0f, 0x0b]), 0)
  assert.is(it.exception.vector, 6)
  assert.is(it.rip, CODE + 10)
  assert.is(it.cpu.instructions, 3n)
})

test.run()
