/** Hardware task switches (Intel SDM volume 3, chapter 7). */
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
  farCall32,
  farJump32,
  G,
  gate,
  HLT,
  INT,
  IRET,
  LDT,
  LDT_SELECTOR,
  le16,
  mov32,
  Segmented,
  SPARE,
  STACK,
  segment,
  TABLES,
  TSS,
  TSS_SELECTOR,
  TSS2,
  TSS2_SELECTOR,
} from './support/segmented.ts'

const DB_VECTOR = 1
const TS = 10
const NP = 11
const SS = 12
const GP = 13
const NT = 0x4000n
const BUSY = 0x8bn
const AVAILABLE = 0x89n
const NEW_CODE = 0x1800
const NEW_STACK = 0x9000

interface Fields {
  cr3?: number
  eip?: number
  eflags?: number
  registers?: readonly number[]
  segments?: readonly number[]
  ldt?: number
  trap?: number
}

/** A machine with a second task, whose TSS is filled. */
function machine(fields: Fields = {}): Segmented {
  const it = new Segmented('protected')
  it.describe(TSS_SELECTOR, segment(TSS, 0x67, ACCESS.tss32 | 2))
  it.put(NEW_CODE, HLT)
  writeTask(it, fields)
  return it
}

function writeTask(it: Segmented, fields: Fields): void {
  const registers = fields.registers ?? [0xa0, 0xc1, 0xd2, 0xb3, NEW_STACK, 0xb5, 0x56, 0xd7]
  it.words(TSS2 + 0x1c, fields.cr3 ?? 0, fields.eip ?? NEW_CODE, fields.eflags ?? 2, ...registers)
  const segments = fields.segments ?? [DATA32, CODE32, DATA32, DATA32, 0, DATA32]
  it.words(TSS2 + 0x48, ...segments, fields.ldt ?? 0, fields.trap ?? 0)
}

function typeOf(it: Segmented, selector: number): bigint {
  return (it.descriptor(selector) >> 40n) & 0xffn
}

function expectFault(it: Segmented, code: readonly number[], vector: number, error: number, what?: string): void {
  assert.is(it.execute(code), EXIT_EXCEPTION, what)
  assert.equal(it.exception, { vector, error }, what)
}

test('JMP to a TSS saves the old state and loads the new one', () => {
  const it = machine({ eflags: 0x202 })
  it.setGpr(L.RBX, 0x12345678)
  it.cpu.rflags = 0x402n
  assert.is(it.execute(farJump32(TSS2_SELECTOR, 0xdeadbeef)), EXIT_HLT)
  assert.equal([it.rip, it.esp, it.gpr(L.RAX), it.gpr(L.RDI)], [NEW_CODE, NEW_STACK, 0xa0, 0xd7])
  assert.is(Number(it.cpu.rflags), 0x202)
  assert.equal([it.peek32(TSS + 0x20), it.peek32(TSS + 0x24)], [CODE + 7, 0x402])
  assert.equal([it.peek32(TSS + 0x34), it.peek32(TSS + 0x38)], [0x12345678, STACK], 'EBX, ESP')
  assert.equal([it.peek16(TSS + 0x4c), it.peek16(TSS + 0x50)], [CODE32, DATA32])
  assert.equal([typeOf(it, TSS_SELECTOR), typeOf(it, TSS2_SELECTOR)], [AVAILABLE, BUSY])
  assert.is(it.selector(L.TR), TSS2_SELECTOR)
  assert.ok(it.cpu.readU64(L.CR0) & 8n, 'CR0.TS')
  assert.is(it.usable(L.FS), false)
  assert.is(it.mode, L.MODE_32)
})

test('CALL nests the task, IRET with NT comes back', () => {
  const it = machine()
  it.put(NEW_CODE, IRET, HLT)
  assert.is(it.execute([...farCall32(TSS2_SELECTOR, 0), HLT]), EXIT_HLT)
  assert.is(it.rip, CODE + 7)
  assert.equal([it.selector(L.TR), it.esp], [TSS_SELECTOR, STACK])
  assert.equal([typeOf(it, TSS_SELECTOR), typeOf(it, TSS2_SELECTOR)], [BUSY, AVAILABLE])
  assert.is(it.peek16(TSS2), TSS_SELECTOR, 'link')
  assert.is(it.peek32(TSS2 + 0x20), NEW_CODE + 1, 'IRET has saved where it was')
  assert.is(BigInt(it.peek32(TSS2 + 0x24)) & NT, 0n, 'NT is cleared in the image')
  it.put(NEW_CODE, HLT)
  writeTask(it, {})
  assert.is(it.execute(farCall32(TSS2_SELECTOR, 0)), EXIT_HLT)
  assert.is(it.cpu.rflags & NT, NT)
  assert.equal([typeOf(it, TSS_SELECTOR), typeOf(it, TSS2_SELECTOR)], [BUSY, BUSY])
})

test('a task gate in the GDT, and in the IDT for an interrupt and for an exception with error code', () => {
  const it = machine()
  it.describe(SPARE, gate(TSS2_SELECTOR, 0, ACCESS.taskGate))
  assert.is(it.execute(farJump32(SPARE, 0)), EXIT_HLT)
  assert.is(it.selector(L.TR), TSS2_SELECTOR)
  const interrupt = machine()
  interrupt.gate(0x40, gate(TSS2_SELECTOR, 0, ACCESS.taskGate))
  assert.is(interrupt.execute([...INT(0x40), HLT]), EXIT_HLT)
  assert.equal([interrupt.rip, interrupt.esp, interrupt.cpu.rflags & NT], [NEW_CODE, NEW_STACK, NT])
  assert.is(interrupt.peek32(TSS + 0x20), CODE + 2)
  interrupt.put(NEW_CODE, IRET)
  assert.is(interrupt.go(NEW_CODE), EXIT_HLT)
  assert.is(interrupt.rip, CODE + 2)
  const exception = machine()
  exception.gate(GP, gate(TSS2_SELECTOR, 0, ACCESS.taskGate))
  exception.cpu.writeU32(L.EXCEPTION_BITMAP, 0)
  assert.is(exception.execute([...mov32(0, 0x3f8), 0x8e, 0xd8]), EXIT_HLT)
  assert.is(exception.esp, NEW_STACK - 4)
  assert.is(exception.stack(1)[0], 0x3f8)
  assert.equal([exception.peek32(TSS + 0x20), exception.peek32(TSS + 0x24)], [CODE + 5, 0x10002], 'RF is saved')
})

test('a double fault has a task of its own: a stack that is gone does not matter', () => {
  const it = machine()
  it.gate(8, gate(TSS2_SELECTOR, 0, ACCESS.taskGate))
  it.handler(12, [HLT])
  it.describe(SPARE, segment(0, 0xff, ACCESS.data, DB))
  it.load(2, SPARE)
  it.esp = 0x200
  it.cpu.writeU32(L.EXCEPTION_BITMAP, 0)
  assert.is(it.execute([0x50]), EXIT_HLT)
  assert.equal([it.rip, it.esp, it.stack(1)[0]], [NEW_CODE, NEW_STACK - 4, 0])
})

test('another level: the new CS says which, CR3 and LDTR are loaded', () => {
  const it = machine({ segments: [DATA32_USER, CODE32_USER, DATA32_USER, DATA32_USER, 0xf, 0], ldt: LDT_SELECTOR })
  it.poke(LDT + 8, segment(0x4000, 0xfffff, ACCESS.data | dpl(3), G | DB))
  assert.is(it.execute(farJump32(TSS2_SELECTOR, 0)), EXIT_EXCEPTION, 'HLT at ring 3')
  assert.equal([it.rip, it.cpl, it.selector(L.LDTR), it.base(L.FS)], [NEW_CODE, 3, LDT_SELECTOR, 0x4000])
})

test('CR3 comes with a 32-bit TSS when paging is on', () => {
  const it = machine({ cr3: TABLES + 0x2000 })
  for (const [directory, table] of [
    [TABLES, TABLES + 0x1000],
    [TABLES + 0x2000, TABLES + 0x3000],
  ] as const) {
    it.poke32(directory, table | 7)
    for (let page = 0; page < 1024; page++) it.poke32(table + page * 4, (page << 12) | 7)
  }
  // Page 1 is another one in the new address space.
  it.poke32(TABLES + 0x3000 + 4, 0x30000 | 7)
  it.put(0x30000 + (NEW_CODE & 0xfff), ...mov32(0, 0x600d), HLT)
  it.cpu.writeU64(L.CR3, BigInt(TABLES))
  assert.is(it.cpu.runtime.writeCr0(0x80000011n), 0)
  assert.is(it.execute(farJump32(TSS2_SELECTOR, 0)), EXIT_HLT)
  assert.equal([it.gpr(L.RAX), Number(it.cpu.readU64(L.CR3))], [0x600d, TABLES + 0x2000])
})

test('a task in virtual-8086 mode', () => {
  const it = machine({ eflags: 0x23002, segments: [0x100, 0x200, 0x300, 0x400, 0x500, 0x600], eip: 0x10 })
  it.put(0x2010, HLT)
  assert.is(it.execute(farJump32(TSS2_SELECTOR, 0)), EXIT_EXCEPTION)
  assert.equal([it.rip, it.cpl, it.mode], [0x10, 3, L.MODE_16])
  assert.equal(
    [L.ES, L.CS, L.SS, L.DS, L.FS, L.GS].map((at) => it.base(at) >> 12),
    [1, 2, 3, 4, 5, 6],
  )
})

test('a TSS of 16 bits', () => {
  const it = new Segmented('protected')
  it.describe(TSS_SELECTOR, segment(TSS, 0x67, ACCESS.tss32 | 2))
  it.describe(TSS2_SELECTOR, segment(TSS2, 0x2b, ACCESS.tss16))
  it.put(TSS2 + 0x0e, ...[NEW_CODE, 2, 0xa0, 0xc1, 0xd2, 0xb3, NEW_STACK, 0xb5, 0x56, 0xd7].flatMap(le16))
  it.put(TSS2 + 0x22, ...[DATA16, CODE16, DATA16, DATA16, 0].flatMap(le16))
  it.put(NEW_CODE, IRET)
  assert.is(it.execute([...farCall32(TSS2_SELECTOR, 0), HLT]), EXIT_HLT)
  assert.is(it.rip, CODE + 7)
  assert.is(it.selector(L.SS), DATA32)
  assert.equal([it.peek16(TSS2), it.peek16(TSS2 + 0x0e), it.peek16(TSS2 + 0x24)], [TSS_SELECTOR, NEW_CODE + 1, CODE16])
  assert.is((it.descriptor(TSS2_SELECTOR) >> 40n) & 0xfn, 1n)
})

test('the trap bit: #DB before the first instruction of the task', () => {
  const it = machine({ trap: 1 })
  it.cpu.writeU64(L.DR7, 0x455n)
  it.cpu.refresh()
  expectFault(it, farJump32(TSS2_SELECTOR, 0), DB_VECTOR, -1)
  assert.is(it.rip, NEW_CODE)
  assert.is(Number(it.cpu.readU64(L.DR6)) & 0x8000, 0x8000)
  assert.is(Number(it.cpu.readU64(L.DR7)), 0x400, 'local breakpoints are those of the old task')
})

test('faults in the old task', () => {
  const it = machine()
  const jump = farJump32(TSS2_SELECTOR, 0)
  it.describe(SPARE, gate(TSS2_SELECTOR | 4, 0, ACCESS.taskGate))
  expectFault(it, farJump32(SPARE, 0), GP, TSS2_SELECTOR | 4, 'gate to the LDT')
  it.describe(SPARE, gate(CODE32, 0, ACCESS.taskGate))
  expectFault(it, farJump32(SPARE, 0), GP, CODE32, 'gate to code')
  it.describe(SPARE, gate(TSS2_SELECTOR, 0, ACCESS.taskGate & ~0x80))
  expectFault(it, farJump32(SPARE, 0), NP, SPARE, 'gate not present')
  expectFault(it, farJump32(TSS_SELECTOR, 0), GP, TSS_SELECTOR, 'busy')
  it.describe(TSS2_SELECTOR, segment(TSS2, 0x67, ACCESS.tss32 & ~0x80))
  expectFault(it, jump, NP, TSS2_SELECTOR, 'not present')
  it.describe(TSS2_SELECTOR, segment(TSS2, 0x66, ACCESS.tss32))
  expectFault(it, jump, TS, TSS2_SELECTOR, 'too short')
  assert.equal([it.selector(L.TR), it.esp, it.rip], [TSS_SELECTOR, STACK, CODE], 'nothing has changed')
  it.cpu.rflags = 0x4002n
  it.put(TSS, ...le16(TSS2_SELECTOR))
  expectFault(it, [IRET], TS, TSS2_SELECTOR, 'IRET to a task that is not busy')
  it.put(TSS, ...le16(4))
  expectFault(it, [IRET], TS, 4, 'link to the LDT')
  it.enterUser()
  it.cpu.rflags = 2n
  it.describe(TSS2_SELECTOR, segment(TSS2, 0x67, ACCESS.tss32))
  expectFault(it, jump, GP, TSS2_SELECTOR, 'DPL')
})

test('faults in the new task: its state is there, and the selector in the error code', () => {
  const faults: [what: string, fields: Fields, vector: number, error: number][] = [
    ['LDT', { ldt: CODE32 }, TS, CODE32],
    ['null CS', { segments: [DATA32, 0, DATA32, DATA32, 0, 0] }, TS, 0],
    ['CS is data', { segments: [DATA32, DATA32, DATA32, DATA32, 0, 0] }, TS, DATA32],
    ['CS of another level', { segments: [DATA32, CODE32 | 3, DATA32, DATA32, 0, 0] }, TS, CODE32],
    ['CS not present', { segments: [DATA32, SPARE, DATA32, DATA32, 0, 0] }, NP, SPARE],
    ['SS of another level', { segments: [DATA32, CODE32, DATA32_USER, DATA32, 0, 0] }, TS, DATA32_USER & ~3],
    ['SS not present', { segments: [DATA32, CODE32, SPARE + 8, DATA32, 0, 0] }, SS, SPARE + 8],
    ['DS not present', { segments: [DATA32, CODE32, DATA32, SPARE + 8, 0, 0] }, NP, SPARE + 8],
    ['GS is a TSS', { segments: [DATA32, CODE32, DATA32, DATA32, 0, TSS_SELECTOR] }, TS, TSS_SELECTOR],
    ['EIP beyond the limit', { segments: [DATA32, CODE16, DATA32, DATA32, 0, 0], eip: 0x10000 }, GP, 0],
  ]
  for (const [what, fields, vector, error] of faults) {
    const it = machine(fields)
    it.describe(SPARE, segment(0, 0xfffff, ACCESS.code & ~0x80, G | DB))
    it.describe(SPARE + 8, segment(0, 0xfffff, ACCESS.data & ~0x80, G | DB))
    expectFault(it, farJump32(TSS2_SELECTOR, 0), vector, error, what)
    assert.equal([it.selector(L.TR), it.gpr(L.RBX), it.rip], [TSS2_SELECTOR, 0xb3, fields.eip ?? NEW_CODE], what)
    assert.is(typeOf(it, TSS2_SELECTOR), BUSY, what)
  }
})

test('a page fault over the new TSS comes before anything has changed', () => {
  const it = machine()
  it.poke32(TABLES, (TABLES + 0x1000) | 7)
  for (let page = 0; page < 1024; page++) it.poke32(TABLES + 0x1000 + page * 4, (page << 12) | 7)
  it.poke32(TABLES + 0x1000 + (TSS2 >> 12) * 4, 0)
  it.cpu.writeU64(L.CR3, BigInt(TABLES))
  assert.is(it.cpu.runtime.writeCr0(0x80000011n), 0)
  expectFault(it, farJump32(TSS2_SELECTOR, 0), 14, 0)
  assert.equal([it.rip, it.selector(L.TR), typeOf(it, TSS_SELECTOR)], [CODE, TSS_SELECTOR, BUSY])
})

test('MOV to memory after a switch uses the segments of the new task', () => {
  const it = machine({ segments: [DATA32, CODE32, DATA32, SPARE, 0, 0] })
  it.describe(SPARE, segment(0x5000, 0xfff, ACCESS.data, DB))
  it.put(NEW_CODE, 0xa3, ...le32(0x10), HLT)
  assert.is(it.execute(farJump32(TSS2_SELECTOR, 0)), EXIT_HLT)
  assert.is(it.peek32(0x5010), 0xa0)
})

test.run()
