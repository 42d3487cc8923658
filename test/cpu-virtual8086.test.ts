/** Virtual-8086 mode without VME (Intel SDM volume 3, chapter 20). */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as L from '../src/cpu/layout.ts'
import {
  ACCESS,
  CODE,
  CODE32,
  CODE32_USER,
  DB,
  dpl,
  EXIT_EXCEPTION,
  EXIT_HLT,
  EXIT_TRIPLE_FAULT,
  farJump16,
  G,
  gate,
  HLT,
  INT,
  IRET,
  le16,
  mov16,
  mov32,
  movSegment,
  OUTER_STACK,
  Segmented,
  SPARE,
  STACK,
  segment,
  TSS,
} from './support/segmented.ts'

const GP = 13
const EXIT_IO = 30

function virtual(iopl: number): Segmented {
  const it = new Segmented('protected')
  it.enterVirtual8086(iopl)
  return it
}

function expectFault(it: Segmented, code: readonly number[], vector: number, error: number, what?: string): void {
  assert.is(it.execute(code), EXIT_EXCEPTION, what)
  assert.equal(it.exception, { vector, error }, what)
}

test('segments are paragraphs with a limit of 64 KB, and all can be written', () => {
  const it = virtual(3)
  const code = [
    ...mov16(0, 0x400),
    ...movSegment(3, 0),
    0xa3,
    ...le16(8),
    0x2e,
    0xa3,
    ...le16(0x5000),
    0xa1,
    0xff,
    0xff,
  ]
  expectFault(it, code, GP, 0)
  assert.equal([it.peek16(0x4008), it.peek16(0x5000), it.base(L.DS)], [0x400, 0x400, 0x4000])
  assert.is(it.cpu.readU32(L.DS + L.SEG_AR), 0xf3)
  assert.equal([it.cpl, it.mode], [3, L.MODE_16])
})

test('an interrupt to ring 0 saves all segments and empties them; IRET comes back', () => {
  const it = virtual(3)
  const handler = it.handler(0x40, [HLT, IRET], ACCESS.interruptGate32 | dpl(3))
  const selectors = { [L.ES]: 0x111, [L.DS]: 0x222, [L.FS]: 0x333, [L.GS]: 0x444 }
  for (const [at, selector] of Object.entries(selectors)) {
    it.cpu.writeU32(Number(at) + L.SEG_SELECTOR, selector)
    it.cpu.writeU64(Number(at) + L.SEG_BASE, BigInt(selector << 4))
  }
  assert.is(it.execute([...INT(0x40), HLT]), EXIT_HLT)
  assert.is(it.esp, STACK - 36)
  assert.equal(it.stack(9), [CODE + 2, 0, 0x23002, OUTER_STACK, 0, 0x111, 0x222, 0x333, 0x444])
  assert.is(it.cpu.rflags & 0x20000n, 0n)
  assert.equal([it.cpl, it.mode], [0, L.MODE_32_SEGMENTED])
  const emptied = [L.ES, L.DS, L.FS, L.GS].map((at) => [it.selector(at), it.usable(at)])
  assert.equal(emptied, Array(4).fill([0, false]))
  assert.is(it.go(handler + 1), EXIT_EXCEPTION, 'HLT at ring 3')
  assert.equal([it.rip, it.esp, it.base(L.DS), it.base(L.GS)], [CODE + 2, OUTER_STACK, 0x2220, 0x4440])
})

test('without IOPL 3 what touches the interrupt flag is #GP', () => {
  for (const [name, code] of [
    ['CLI', [0xfa]],
    ['STI', [0xfb]],
    ['PUSHF', [0x9c]],
    ['POPF', [0x9d]],
    ['INT n', INT(0x40)],
    ['IRET', [IRET]],
  ] as const) {
    const it = virtual(2)
    it.handler(0x40, [HLT], ACCESS.interruptGate32 | dpl(3))
    expectFault(it, code, GP, 0, name)
    assert.is(it.esp, OUTER_STACK, name)
  }
})

test('INT3 and INTO do not depend on IOPL', () => {
  const it = virtual(0)
  const handler = it.handler(3, [HLT], ACCESS.interruptGate32 | dpl(3))
  it.cpu.writeU32(L.EXCEPTION_BITMAP, 0)
  assert.is(it.execute([0xcc]), EXIT_HLT)
  assert.is(it.rip, handler)
})

test('with IOPL 3: PUSHF hides VM and RF, POPF and IRET leave IOPL and VM alone', () => {
  const it = virtual(3)
  const code = [0xfb, 0x9c, 0x58, 0x35, ...le16(0x3000), 0x50, 0x9d, HLT]
  expectFault(it, code, GP, 0)
  assert.is(it.rip, CODE + 8)
  assert.is(it.gpr(L.RAX) & 0xffff, 0x202, 'IOPL cleared in the image')
  assert.is(Number(it.cpu.rflags) & 0x23200, 0x23200)
  it.put(OUTER_STACK - 6, ...le16(0x1800), ...le16(0), ...le16(2))
  it.esp = OUTER_STACK - 6
  it.put(0x1800, HLT)
  expectFault(it, [IRET], GP, 0)
  assert.equal([it.rip, it.esp], [0x1800, OUTER_STACK])
  assert.is(Number(it.cpu.rflags) & 0x23200, 0x23000, 'IF from the image')
})

test('the handler must be in ring 0, and not conforming', () => {
  for (const [selector, error] of [
    [CODE32_USER, CODE32_USER & ~3],
    [SPARE, SPARE],
  ] as const) {
    const it = virtual(3)
    it.describe(SPARE, segment(0, 0xfffff, ACCESS.conforming, G | DB))
    it.gate(0x40, gate(selector, 0x2000, ACCESS.interruptGate32 | dpl(3)))
    it.handler(GP, [HLT])
    it.cpu.writeU32(L.EXCEPTION_BITMAP, 0)
    assert.is(it.execute(INT(0x40)), EXIT_HLT)
    assert.is(it.stack(1)[0], error)
  }
})

test('IRET of ring 0 enters virtual-8086 mode; of an outer level it does not', () => {
  const it = new Segmented('protected')
  it.words(STACK - 36, 0x800, 0x100, 0x23202, 0xdead8000, 0x200, 0x300, 0x400, 0x500, 0x600)
  it.esp = STACK - 36
  it.put(0x1800, HLT)
  assert.is(it.execute([IRET]), EXIT_EXCEPTION)
  assert.equal(it.exception, { vector: GP, error: 0 })
  assert.equal([it.rip, it.base(L.CS), it.esp, it.cpl], [0x800, 0x1000, 0xdead8000, 3])
  assert.equal(
    [L.SS, L.ES, L.DS, L.FS, L.GS].map((at) => it.base(at)),
    [0x2000, 0x3000, 0x4000, 0x5000, 0x6000],
  )
  assert.is(Number(it.cpu.rflags) & 0x23200, 0x23200)
  assert.is(it.mode, L.MODE_16)
  const beyond = new Segmented('protected')
  beyond.words(STACK - 36, 0x10000, 0x100, 0x23202, 0, 0, 0, 0, 0, 0)
  beyond.esp = STACK - 36
  expectFault(beyond, [IRET], GP, 0, 'EIP beyond 64 KB')
  const user = new Segmented('protected')
  user.enterUser()
  user.put(0x1800, HLT)
  user.esp = OUTER_STACK - 12
  user.words(OUTER_STACK - 12, 0x1800, CODE32_USER, 0x20002)
  expectFault(user, [IRET], GP, 0, 'HLT')
  assert.equal([user.rip, Number(user.cpu.rflags) & 0x20000], [0x1800, 0])
})

test('ports are a matter of the bitmap, whatever IOPL is', () => {
  const it = virtual(3)
  it.cpu.writeU32(L.TR + L.SEG_LIMIT, 0x88)
  it.put(TSS + 0x66, ...le16(0x68))
  it.put(TSS + 0x6c, 2)
  assert.is(it.execute([...mov16(2, 0x20), 0xee]), EXIT_IO)
  expectFault(it, [...mov16(2, 0x21), 0xee], GP, 0)
})

test('privileged instructions are #GP, those of protected mode undefined', () => {
  const it = virtual(3)
  expectFault(it, [0x0f, 0x20, 0xc0], GP, 0, 'MOV EAX, CR0')
  expectFault(it, [HLT], GP, 0)
  expectFault(it, [0x0f, 0x01, 0x16, 0, 0x40], GP, 0, 'LGDT')
  assert.is(it.execute([0x0f, 0x00, 0xc0]), EXIT_EXCEPTION)
  assert.equal(it.exception, { vector: 6, error: -1 }, 'SLDT')
  assert.is(it.execute([0x63, 0xc0]), EXIT_EXCEPTION)
  assert.equal(it.exception, { vector: 6, error: -1 }, 'ARPL')
})

test('far transfers within the mode', () => {
  const it = virtual(3)
  it.put(0x4567, HLT)
  expectFault(it, farJump16(0x400, 0x567), GP, 0)
  assert.equal([it.rip, it.base(L.CS), it.cpl], [0x567, 0x4000, 3])
})

test('an exception with an error code; and one that nobody takes', () => {
  const it = virtual(0)
  it.handler(GP, [HLT])
  it.cpu.writeU32(L.EXCEPTION_BITMAP, 0)
  assert.is(it.execute([0xfa]), EXIT_HLT)
  assert.is(it.esp, STACK - 40)
  assert.equal(it.stack(4), [0, CODE, 0, 0x30002])
  const nobody = virtual(0)
  nobody.cpu.writeU32(L.EXCEPTION_BITMAP, 0)
  assert.is(nobody.execute([0xfa]), EXIT_TRIPLE_FAULT)
})

test('a gate of 16 bits saves words', () => {
  const it = virtual(3)
  it.put(0x2000, HLT)
  it.gate(0x40, gate(CODE32, 0x2000, ACCESS.interruptGate16 | dpl(3)))
  assert.is(it.execute(INT(0x40)), EXIT_HLT)
  assert.is(it.esp, STACK - 18)
})

test('writing a segment register back in ring 0 makes the flat mode again', () => {
  const it = virtual(3)
  it.handler(0x40, [...mov32(0, 0x10), ...movSegment(3, 0), ...movSegment(0, 0), HLT], ACCESS.interruptGate32 | dpl(3))
  assert.is(it.execute(INT(0x40)), EXIT_HLT)
  assert.is(it.mode, L.MODE_32)
})

test.run()
