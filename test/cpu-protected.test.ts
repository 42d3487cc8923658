/** Protected mode: interrupt gates, levels, call gates, returns, segment registers, limits (Intel SDM volume 3, chapters 5 and 6). */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as L from '../src/cpu/layout.ts'
import { le32 } from './support/long-mode.ts'
import {
  ACCESS,
  CODE,
  CODE16,
  CODE32,
  CODE32_USER,
  DATA16,
  DATA32,
  DATA32_USER,
  DB,
  dpl,
  EXIT_EXCEPTION,
  EXIT_HLT,
  EXIT_TRIPLE_FAULT,
  farCall32,
  farJump32,
  G,
  gate,
  HLT,
  IDT,
  INT,
  IRET,
  LDT,
  LDT_SELECTOR,
  le16,
  mov32,
  movSegment,
  OUTER_STACK,
  Segmented,
  SPARE,
  STACK,
  segment,
  TSS,
  TSS_SELECTOR,
} from './support/segmented.ts'

const UD2 = [0x0f, 0x0b]
const INT3 = 0xcc
/** RETF, RETF imm16 */
const RETF = 0xcb
const RETF_IMM = (bytes: number) => [0xca, ...le16(bytes)]
const PUSH_EAX = 0x50
/** MOV EAX, [address]; MOV [address], EAX */
const load = (address: number) => [0xa1, ...le32(address)]
const store = (address: number) => [0xa3, ...le32(address)]
const GP = 13
const TS = 10
const NP = 11
const SS = 12
const IDT_BIT = 2
const EXT = 1

function expectFault(it: Segmented, code: readonly number[], vector: number, error: number, what?: string): void {
  assert.is(it.execute(code), EXIT_EXCEPTION, what)
  assert.equal(it.exception, { vector, error }, what)
}

// Gates

test('an interrupt gate clears IF, a trap gate does not; both clear TF and NT', () => {
  for (const [access, flags] of [
    [ACCESS.interruptGate32, 0],
    [ACCESS.trapGate32, 0x200],
  ] as const) {
    const it = new Segmented('protected')
    const handler = it.handler(0x40, [HLT], access)
    it.cpu.rflags = 0x4202n
    assert.is(it.execute([...INT(0x40), HLT]), EXIT_HLT)
    assert.is(it.rip, handler)
    assert.is(Number(it.cpu.rflags) & 0x4300, flags)
    assert.equal(it.stack(3), [CODE + 2, CODE32, 0x4202])
    assert.is(it.esp, STACK - 12)
  }
})

test('a gate of 16 bits pushes words and has an offset of 16 bits', () => {
  const it = new Segmented('protected')
  it.put(0x2000, HLT)
  it.gate(0x40, gate(CODE32, 0x2000, ACCESS.interruptGate16) | (0x1234n << 48n))
  assert.is(it.execute(INT(0x40)), EXIT_HLT)
  assert.is(it.rip, 0x2000)
  assert.is(it.esp, STACK - 6)
  assert.equal(
    [0, 2, 4].map((at) => it.peek16(it.esp + at)),
    [CODE + 2, CODE32, 2],
  )
})

test('exceptions push an error code, and set RF in the saved flags', () => {
  const it = new Segmented('protected')
  it.handler(GP, [HLT])
  it.handler(6, [HLT])
  it.deliverAll()
  // MOV DS, AX with a selector beyond the GDT
  assert.is(it.execute([...mov32(0, 0x3f8), ...movSegment(3, 0)]), EXIT_HLT)
  assert.equal(it.stack(4), [0x3f8, CODE + 5, CODE32, 0x10002])
  it.esp = STACK
  assert.is(it.execute(UD2), EXIT_HLT)
  assert.equal(it.stack(3), [CODE, CODE32, 0x10002])
})

test('from ring 3 to ring 0: the stack of the TSS, with the old SS:ESP', () => {
  const it = new Segmented('protected')
  it.handler(0x40, [HLT], ACCESS.interruptGate32 | dpl(3))
  it.enterUser()
  assert.is(it.execute(INT(0x40)), EXIT_HLT)
  assert.is(it.cpl, 0)
  assert.is(it.esp, STACK - 20)
  assert.equal(it.stack(5), [CODE + 2, CODE32_USER, 2, OUTER_STACK, DATA32_USER])
  assert.is(it.selector(L.SS), DATA32)
  assert.is(it.selector(L.DS), DATA32_USER, 'data segments stay')
})

test('a TSS of 16 bits has SP0 and SS0 elsewhere; a gate of 16 bits cuts ESP', () => {
  const it = new Segmented('protected')
  it.handler(0x40, [HLT], ACCESS.interruptGate32 | dpl(3))
  it.gate(0x41, gate(CODE32, 0x2000, ACCESS.interruptGate16 | dpl(3)))
  it.cpu.writeU32(L.TR + L.SEG_AR, 0x83)
  it.poke32(TSS, 0)
  it.put(TSS + 2, ...le16(0x6000), ...le16(DATA16))
  it.enterUser()
  it.esp = 0x1f000
  assert.is(it.execute(INT(0x40)), EXIT_HLT)
  assert.is(it.esp & 0xffff, 0x6000 - 20)
  it.enterUser()
  it.esp = 0x1f000
  assert.is(it.execute(INT(0x41)), EXIT_HLT)
  assert.is(it.esp & 0xffff, 0x6000 - 10)
  const at = 0x6000 - 10
  assert.equal(
    [0, 2, 4, 6, 8].map((offset) => it.peek16(at + offset)),
    [CODE + 2, CODE32_USER, 2, 0xf000, DATA32_USER],
  )
})

test('gates: what is wrong with them, and who may use them', () => {
  const it = new Segmented('protected')
  const error = (vector: number, ext: number) => (vector << 3) | IDT_BIT | ext
  it.deliverAll()
  it.gate(0x41, gate(CODE32, 0x2000, ACCESS.interruptGate32 & ~0x80))
  it.gate(0x42, gate(CODE32, 0x2000, ACCESS.callGate32))
  it.gate(0x43, gate(DATA32, 0x2000, ACCESS.interruptGate32))
  it.gate(0x44, gate(0, 0x2000, ACCESS.interruptGate32))
  it.describe(SPARE, segment(0, 0xfffff, ACCESS.code & ~0x80, G | DB))
  it.gate(0x45, gate(SPARE, 0x2000, ACCESS.interruptGate32))
  it.describe(SPARE + 8, segment(0, 0x1fff, ACCESS.code, DB))
  it.gate(0x46, gate(SPARE + 8, 0x2000, ACCESS.interruptGate32))
  it.gate(0x47, gate(CODE32_USER, 0x2000, ACCESS.interruptGate32))
  it.handler(GP, [HLT])
  it.handler(NP, [HLT])
  const errorOf = (vector: number): number => {
    it.esp = STACK
    assert.is(it.execute(INT(vector)), EXIT_HLT)
    return it.stack(1)[0] as number
  }
  assert.is(errorOf(0x40), error(0x40, 0), 'type 0')
  assert.is(errorOf(0x41), error(0x41, 0), 'not present')
  assert.is(errorOf(0x42), error(0x42, 0), 'a call gate')
  assert.is(errorOf(0x43), DATA32, 'not code')
  assert.is(errorOf(0x44), 0, 'null')
  assert.is(errorOf(0x45), SPARE, 'code not present')
  assert.is(errorOf(0x46), 0, 'offset beyond the limit')
  assert.is(errorOf(0x47), CODE32_USER & ~3, 'code of an outer level')
  // An exception on the way has EXT set: #UD has no gate.
  it.esp = STACK
  assert.is(it.execute(UD2), EXIT_HLT)
  assert.is(it.stack(1)[0], error(6, EXT))
  // DPL is looked at for INT n and INT3 only.
  it.enterUser()
  it.handler(0x48, [HLT])
  it.handler(3, [HLT])
  assert.is(it.execute(INT(0x48)), EXIT_HLT)
  assert.is(it.stack(1)[0], error(0x48, 0))
  it.enterUser()
  assert.is(it.execute([INT3]), EXIT_HLT)
  assert.is(it.stack(1)[0], error(3, 0))
  it.enterUser()
  it.handler(6, [HLT])
  assert.is(it.execute(UD2), EXIT_HLT)
  assert.is(it.stack(1)[0], CODE)
})

test('#TS and #SS: the inner stack in the TSS', () => {
  const stackFaults: [name: string, ss: number, vector: number, error: number][] = [
    ['null', 0, TS, EXT],
    ['beyond the GDT', 0x3f8, TS, 0x3f8 | EXT],
    ['RPL 3', DATA32 | 3, TS, DATA32 | EXT],
    ['of an outer level', DATA32_USER, TS, (DATA32_USER & ~3) | EXT],
    ['read-only', SPARE, TS, SPARE | EXT],
    ['code', CODE32, TS, CODE32 | EXT],
    ['not present', SPARE + 8, SS, (SPARE + 8) | EXT],
    ['too small', SPARE + 16, SS, (SPARE + 16) | EXT],
  ]
  for (const [name, ss, vector, error] of stackFaults) {
    const it = new Segmented('protected')
    it.describe(SPARE, segment(0, 0xfffff, ACCESS.readOnly, G | DB))
    it.describe(SPARE + 8, segment(0, 0xfffff, ACCESS.data & ~0x80, G | DB))
    it.describe(SPARE + 16, segment(0, STACK - 2, ACCESS.data, DB))
    // A handler that needs no other stack: conforming code runs at ring 3, where its HLT is #GP.
    it.describe(SPARE + 24, segment(0, 0xfffff, ACCESS.conforming, G | DB))
    it.put(0x2800, HLT)
    it.gate(vector, gate(SPARE + 24, 0x2800, ACCESS.interruptGate32))
    it.handler(6, [HLT])
    it.poke32(TSS + 8, ss)
    it.enterUser()
    it.cpu.writeU32(L.EXCEPTION_BITMAP, 1 << GP)
    assert.is(it.execute(UD2), EXIT_EXCEPTION, name)
    assert.equal([it.rip, it.cpl], [0x2800, 3], name)
    assert.is(it.stack(1)[0], error, name)
  }
})

test('#TS when the TSS is too short for the stack of the level', () => {
  const it = new Segmented('protected')
  it.handler(0x40, [HLT], ACCESS.interruptGate32 | dpl(3))
  it.describe(SPARE, segment(0, 0xfffff, ACCESS.conforming, G | DB))
  it.gate(TS, gate(SPARE, 0x2800, ACCESS.interruptGate32))
  it.put(0x2800, HLT)
  it.cpu.writeU32(L.TR + L.SEG_LIMIT, 8)
  it.enterUser()
  it.cpu.writeU32(L.EXCEPTION_BITMAP, 1 << GP)
  assert.is(it.execute(INT(0x40)), EXIT_EXCEPTION)
  assert.is(it.rip, 0x2800)
  assert.is(it.stack(1)[0], TSS_SELECTOR)
  assert.is(it.descriptor(SPARE) & (1n << 40n), 1n << 40n, 'the accessed bit of the handler is set')
})

test('double fault, and triple fault', () => {
  const it = new Segmented('protected')
  it.deliverAll()
  it.handler(8, [HLT])
  it.gate(GP, 0n)
  assert.is(it.execute([...mov32(0, 0x3f8), ...movSegment(3, 0)]), EXIT_HLT)
  assert.equal(it.stack(2), [0, CODE + 5], 'error code 0')
  it.gate(8, 0n)
  assert.is(it.execute([...mov32(0, 0x3f8), ...movSegment(3, 0)]), EXIT_TRIPLE_FAULT)
})

test('an IDT that is too short', () => {
  const it = new Segmented('protected')
  it.deliverAll()
  it.handler(GP, [HLT])
  it.handler(0x40, [HLT])
  it.cpu.writeU32(L.IDTR + L.SEG_LIMIT, 0x40 * 8 + 6)
  assert.is(it.execute(INT(0x40)), EXIT_HLT)
  assert.is(it.stack(1)[0], (0x40 << 3) | IDT_BIT)
  it.cpu.writeU32(L.IDTR + L.SEG_LIMIT, 0x40 * 8 + 7)
  it.esp = STACK
  assert.is(it.execute(INT(0x40)), EXIT_HLT)
  assert.is(it.esp, STACK - 12)
})

test('INTO and BOUND', () => {
  const it = new Segmented('protected')
  const handler = it.handler(4, [HLT])
  it.cpu.rflags = 2n
  assert.is(it.execute([0xce, HLT]), EXIT_HLT)
  assert.is(it.rip, CODE + 1)
  it.deliverAll()
  it.cpu.rflags = 0x802n
  assert.is(it.execute([0xce, HLT]), EXIT_HLT)
  assert.is(it.rip, handler)
  assert.is(it.stack(1)[0], CODE + 1)
  it.poke32(0x3000, -2 >>> 0)
  it.poke32(0x3004, 5)
  it.cpu.writeU32(L.EXCEPTION_BITMAP, 0xffffffff)
  for (const [index, outside] of [
    [-3, true],
    [-2, false],
    [5, false],
    [6, true],
  ] as const) {
    const reason = it.execute([...mov32(0, index), 0x62, 0x05, ...le32(0x3000), HLT])
    assert.is(reason, outside ? EXIT_EXCEPTION : EXIT_HLT, `index ${index}`)
    if (outside) assert.equal(it.exception, { vector: 5, error: -1 })
  }
})

// Returns

test('IRET to ring 3 restores its stack, empties what it may not use, and leaves IOPL alone from there', () => {
  const it = new Segmented('protected')
  it.handler(0x40, [HLT], ACCESS.interruptGate32 | dpl(3))
  it.load(4, SPARE - 8)
  it.describe(SPARE, segment(0, 0xfffff, ACCESS.conforming, G | DB))
  it.load(5, SPARE)
  it.words(STACK - 20, 0x1800, CODE32_USER, 0x3202, OUTER_STACK, DATA32_USER)
  it.esp = STACK - 20
  it.put(0x1800, ...INT(0x40))
  assert.is(it.execute([IRET]), EXIT_HLT)
  assert.equal(it.stack(5), [0x1802, CODE32_USER, 0x3202, OUTER_STACK, DATA32_USER])
  assert.equal(
    [L.ES, L.DS, L.FS].map((at) => [it.selector(at), it.usable(at)]),
    Array(3).fill([0, false]),
  )
  assert.is(it.selector(L.GS), SPARE, 'conforming code stays')
  // IRET at ring 3 with IOPL 0 in the image: neither IOPL nor IF changes.
  it.put(0x1900, HLT)
  it.words(OUTER_STACK - 12, 0x1900, CODE32_USER, 2)
  it.enterUser()
  it.cpu.rflags = 0x1202n
  it.esp = OUTER_STACK - 12
  assert.is(it.execute([IRET]), EXIT_EXCEPTION)
  assert.equal([it.rip, it.esp, Number(it.cpu.rflags) & 0x3200], [0x1900, OUTER_STACK, 0x1200])
})

test('returns that are not allowed', () => {
  const it = new Segmented('protected')
  const frame = (...values: number[]) => {
    it.esp = STACK - 20
    it.words(STACK - 20, ...values)
  }
  it.describe(SPARE, segment(0, 0xfffff, (ACCESS.code | dpl(3)) & ~0x80, G | DB))
  for (const [what, values, vector, error] of [
    ['null CS', [0x1800, 0], GP, 0],
    ['data as CS', [0x1800, DATA32], GP, DATA32],
    ['RPL is not DPL', [0x1800, CODE32_USER & ~3], GP, CODE32_USER & ~3],
    ['CS not present', [0x1800, SPARE | 3], NP, SPARE],
    ['null SS', [0x1800, CODE32_USER, OUTER_STACK, 0], GP, 0],
    ['SS of another level', [0x1800, CODE32_USER, OUTER_STACK, DATA32], GP, DATA32],
    ['EIP beyond the limit', [0x10000, CODE16], GP, 0],
  ] as const) {
    frame(...values)
    expectFault(it, [RETF], vector, error, what)
    assert.is(it.esp, STACK - 20, what)
    assert.is(it.cpl, 0)
  }
  it.enterUser()
  it.esp = STACK - 20
  frame(0x1800, CODE32)
  expectFault(it, [RETF], GP, CODE32, 'to an inner level')
})

test('a stack of 16 bits keeps the upper half of ESP, after IRET too', () => {
  const it = new Segmented('protected')
  it.describe(SPARE, segment(0, 0xffff, ACCESS.data | dpl(3)))
  it.esp = 0x26000
  it.words(0x26000, 0x1800, CODE32_USER, 0x3002, 0x9abc5678, SPARE | 3)
  it.put(0x1800, HLT)
  assert.is(it.execute([IRET]), EXIT_EXCEPTION, 'HLT at ring 3')
  assert.is(it.esp, 0x25678, 'the upper half is that of ring 0')
})

// Far transfers

test('call gate of 32 bits to ring 0 with parameters, and RETF n back', () => {
  const it = new Segmented('protected')
  it.describe(SPARE, gate(CODE32, 0x2000, ACCESS.callGate32 | dpl(3), 2))
  it.put(0x2000, HLT, ...RETF_IMM(8))
  it.enterUser()
  const call = [...mov32(0, 0x1111), PUSH_EAX, ...mov32(0, 0x2222), PUSH_EAX, ...farCall32(SPARE | 3, 0xdeadbeef), HLT]
  assert.is(it.execute(call), EXIT_HLT)
  assert.is(it.cpl, 0)
  assert.equal(it.stack(6), [CODE + 19, CODE32_USER, 0x2222, 0x1111, OUTER_STACK - 8, DATA32_USER])
  assert.is(it.selector(L.CS), CODE32)
  assert.is(it.go(0x2001), EXIT_EXCEPTION, 'HLT at ring 3')
  assert.equal([it.rip, it.cpl, it.esp], [CODE + 19, 3, OUTER_STACK], 'the parameters are freed on both stacks')
})

test('call gate of 16 bits: words, and a parameter count of words', () => {
  const it = new Segmented('protected')
  it.describe(SPARE, gate(CODE32, 0x2000, ACCESS.callGate16 | dpl(3), 3) | (0xffffn << 48n))
  it.put(0x2000, HLT)
  it.enterUser()
  it.esp = OUTER_STACK - 6
  it.put(OUTER_STACK - 6, ...le16(1), ...le16(2), ...le16(3))
  assert.is(it.execute(farCall32(SPARE, 0)), EXIT_HLT)
  assert.is(it.esp, STACK - 14)
  assert.equal(
    Array.from({ length: 7 }, (_, index) => it.peek16(it.esp + index * 2)),
    [CODE + 7, CODE32_USER, 1, 2, 3, OUTER_STACK - 6, DATA32_USER],
  )
})

test('call gates: conforming code keeps the level, JMP never changes it, DPL and RPL count', () => {
  const it = new Segmented('protected')
  it.describe(SPARE, segment(0, 0xfffff, ACCESS.conforming, G | DB))
  it.describe(SPARE + 8, gate(SPARE, 0x2000, ACCESS.callGate32 | dpl(3)))
  it.describe(SPARE + 16, gate(CODE32, 0x2000, ACCESS.callGate32 | dpl(3)))
  it.describe(SPARE + 24, gate(CODE32, 0x2000, ACCESS.callGate32 | dpl(2)))
  it.describe(SPARE + 32, gate(CODE32, 0x2000, (ACCESS.callGate32 | dpl(3)) & ~0x80))
  it.put(0x2000, 0xf4)
  it.enterUser()
  assert.is(it.execute(farCall32(SPARE + 8, 0)), EXIT_EXCEPTION)
  assert.equal([it.rip, it.cpl, it.selector(L.CS)], [0x2000, 3, SPARE | 3])
  assert.is(it.esp, OUTER_STACK - 8)
  it.enterUser()
  expectFault(it, farJump32(SPARE + 16, 0), GP, CODE32, 'JMP to an inner level')
  expectFault(it, farCall32(SPARE + 24, 0), GP, SPARE + 24, 'DPL 2')
  expectFault(it, farCall32(SPARE + 32, 0), NP, SPARE + 32, 'not present')
  expectFault(it, farCall32(CODE32, 0x2000), GP, CODE32, 'straight to an inner level')
  expectFault(it, farCall32(DATA32_USER, 0), GP, DATA32_USER & ~3, 'to data')
  expectFault(it, farCall32(0, 0), GP, 0, 'null')
})

test('a call whose target lies beyond the limit has pushed the return address (as Zen 5 does), but ESP is as it was', () => {
  const it = new Segmented('protected')
  expectFault(it, farCall32(CODE16, 0x10000), GP, 0)
  assert.is(it.esp, STACK)
  assert.is(it.peek32(STACK - 8), CODE + 7)
})

// Segment registers

test('loading segment registers', () => {
  const it = new Segmented('protected')
  const loads = (number: number, selector: number) => [...mov32(0, selector), ...movSegment(number, 0)]
  it.describe(SPARE, segment(0, 0xfffff, ACCESS.data & ~0x80, G | DB))
  it.describe(SPARE + 8, segment(0, 0xfffff, 0x99, G | DB))
  it.describe(SPARE + 16, segment(0x1000, 0xff, ACCESS.data & ~1, DB))
  it.describe(SPARE + 24, segment(0, 0xfffff, ACCESS.readOnly, G | DB))
  expectFault(it, loads(2, 0), GP, 0, 'null SS')
  expectFault(it, loads(2, SPARE), SS, SPARE, 'SS not present')
  expectFault(it, loads(2, DATA32 | 1), GP, DATA32, 'RPL of SS')
  expectFault(it, loads(2, DATA32_USER), GP, DATA32_USER & ~3, 'DPL of SS')
  expectFault(it, loads(2, SPARE + 24), GP, SPARE + 24, 'read-only SS')
  expectFault(it, loads(3, SPARE), NP, SPARE, 'DS not present')
  expectFault(it, loads(3, SPARE + 8), GP, SPARE + 8, 'execute-only')
  expectFault(it, loads(3, TSS_SELECTOR), GP, TSS_SELECTOR, 'system')
  expectFault(it, loads(3, LDT_SELECTOR | 4), GP, LDT_SELECTOR | 4, 'no LDT')
  assert.is(it.execute([...loads(4, SPARE + 16), ...loads(5, 3), HLT]), EXIT_HLT)
  assert.is(it.descriptor(SPARE + 16) & (1n << 40n), 1n << 40n, 'accessed')
  assert.equal([it.base(L.FS), it.cpu.readU32(L.FS + L.SEG_LIMIT)], [0x1000, 0xff])
  assert.equal([it.selector(L.GS), it.usable(L.GS)], [3, false])
  expectFault(it, [0x65, ...load(0)], GP, 0, 'GS is null')
  it.enterUser()
  expectFault(it, loads(3, DATA32), GP, DATA32, 'DPL 0 at ring 3')
})

test('LLDT and LTR: 8 bytes, busy; segments from the LDT', () => {
  const it = new Segmented('protected')
  it.poke(LDT + 8, segment(0x4000, 0xfffff, ACCESS.data, G | DB))
  it.poke32(0x4010, 0x600d)
  const program = [
    ...mov32(0, LDT_SELECTOR),
    ...[0x0f, 0x00, 0xd0],
    ...mov32(0, TSS_SELECTOR),
    ...[0x0f, 0x00, 0xd8],
    ...mov32(0, 12),
    ...movSegment(4, 0),
    ...[0x64, ...load(0x10)],
    HLT,
  ]
  assert.is(it.execute(program), EXIT_HLT)
  assert.is(it.gpr(L.RAX), 0x600d)
  assert.is((it.descriptor(TSS_SELECTOR) >> 40n) & 0xfn, 0xbn, 'busy')
  expectFault(it, [...mov32(0, TSS_SELECTOR), 0x0f, 0x00, 0xd8], GP, TSS_SELECTOR, 'LTR of a busy TSS')
  expectFault(it, [...mov32(0, LDT_SELECTOR), 0x0f, 0x00, 0xd8], GP, LDT_SELECTOR, 'LTR of an LDT')
  it.describe(SPARE, segment(TSS, 0x2b, ACCESS.tss16))
  assert.is(it.execute([...mov32(0, SPARE), 0x0f, 0x00, 0xd8, HLT]), EXIT_HLT)
  assert.is(it.cpu.readU32(L.TR + L.SEG_AR) & 15, 3)
})

test('limits: expand-down, byte limits, types, #SS', () => {
  const it = new Segmented('protected')
  it.describe(SPARE, segment(0, 0x2fff, ACCESS.expandDown, DB))
  it.describe(SPARE + 8, segment(0, 0x2fff, ACCESS.expandDown))
  it.describe(SPARE + 16, segment(0x4000, 0xfe, ACCESS.data, DB))
  it.describe(SPARE + 24, segment(0, 0xfffff, ACCESS.readOnly, G | DB))
  it.load(4, SPARE)
  expectFault(it, [0x64, ...load(0x2ffc)], GP, 0, 'expand-down: the limit itself is outside')
  assert.is(it.execute([0x64, ...load(0x3000), 0x64, ...load(0x5fffff), HLT]), EXIT_HLT)
  it.load(4, SPARE + 8)
  expectFault(it, [0x64, ...load(0xfffd)], GP, 0, 'expand-down of 16 bits ends at 64 KB')
  it.load(4, SPARE + 16)
  assert.is(it.execute([0x64, ...load(0xfb), HLT]), EXIT_HLT)
  expectFault(it, [0x64, ...load(0xfc)], GP, 0, 'last byte beyond the limit')
  it.load(4, SPARE + 24)
  expectFault(it, [0x64, ...store(0x3000)], GP, 0, 'read-only')
  expectFault(it, [0x2e, ...store(0x3000)], GP, 0, 'code')
  it.load(2, SPARE + 16)
  it.esp = 0xf0
  expectFault(it, [0x36, ...load(0xfc)], SS, 0)
  assert.is(it.mode, L.MODE_32_SEGMENTED)
  it.esp = 0x100
  expectFault(it, [PUSH_EAX], SS, 0, 'PUSH beyond the limit of SS')
  it.esp = 0xfc
  assert.is(it.execute([PUSH_EAX, HLT]), EXIT_HLT)
  assert.is(it.esp, 0xf8)
})

test('flat segments make MODE_32, others MODE_32_SEGMENTED', () => {
  const it = new Segmented('protected')
  assert.is(it.mode, L.MODE_32)
  const toDs = (selector: number) => [...mov32(0, selector), ...movSegment(3, 0), HLT]
  assert.is(it.execute(toDs(0)), EXIT_HLT)
  assert.is(it.mode, L.MODE_32_SEGMENTED)
  assert.is(it.execute(toDs(DATA32)), EXIT_HLT)
  assert.is(it.mode, L.MODE_32)
  it.describe(SPARE, segment(0, 0xfffff, ACCESS.expandDown, G | DB))
  assert.is(it.execute(toDs(SPARE)), EXIT_HLT)
  assert.is(it.mode, L.MODE_32_SEGMENTED)
  it.put(0x1800, HLT)
  assert.is(it.execute(farJump32(CODE16, 0x1800)), EXIT_HLT)
  assert.is(it.mode, L.MODE_16)
})

// I/O

const OUT_DX = 0xee
const EXIT_IO = 30
const IOPL0 = 0x2n

test('the I/O permission bitmap of a 32-bit TSS; one of 16 bits has none', () => {
  const it = new Segmented('protected')
  it.describe(TSS_SELECTOR, segment(TSS, 0x8a, ACCESS.tss32))
  it.cpu.writeU32(L.TR + L.SEG_LIMIT, 0x8a)
  it.put(TSS + 0x66, ...le16(0x68))
  it.put(TSS + 0x68 + 4, 0b10, 0xff)
  const out = (port: number, size = OUT_DX) => [...mov32(2, port), size]
  it.enterUser()
  it.cpu.rflags = IOPL0
  assert.is(it.execute(out(0x20)), EXIT_IO)
  expectFault(it, out(0x21), GP, 0, 'its bit is set')
  expectFault(it, [...mov32(2, 0x20), 0x66, 0xef], GP, 0, 'a word reaches into 21')
  assert.is(it.execute(out(0x108)), EXIT_IO, 'byte 21 of the bitmap, and 22 is within the limit')
  expectFault(it, out(0x110), GP, 0, 'the second byte that is read is beyond the limit')
  it.cpu.rflags = 0x3002n
  assert.is(it.execute(out(0x21)), EXIT_IO, 'IOPL 3')
  it.cpu.rflags = IOPL0
  it.cpu.writeU32(L.TR + L.SEG_AR, 0x83)
  expectFault(it, out(0x20), GP, 0, 'a TSS of 16 bits')
})

test('CLI, STI and POPF under IOPL', () => {
  const it = new Segmented('protected')
  it.enterUser()
  expectFault(it, [0xfa], GP, 0, 'CLI')
  expectFault(it, [0xfb], GP, 0, 'STI')
  it.cpu.rflags = 0x1202n
  it.poke32(OUTER_STACK - 4, 0x3002)
  it.esp = OUTER_STACK - 4
  it.execute([0x9d, HLT])
  assert.is(Number(it.cpu.rflags) & 0x3200, 0x1200, 'POPF changes neither IOPL nor IF')
})

test('a gate in the IDT is read as the supervisor, wherever the IDT lies', () => {
  const it = new Segmented('protected')
  const handler = it.handler(0x40, [HLT], ACCESS.interruptGate32 | dpl(3))
  it.cpu.writeU64(L.IDTR + L.SEG_BASE, BigInt(IDT + 0x100))
  it.poke(IDT + 0x100 + 0x40 * 8, it.peek(IDT + 0x40 * 8))
  it.enterUser()
  assert.is(it.execute(INT(0x40)), EXIT_HLT)
  assert.is(it.rip, handler)
})

test.run()
