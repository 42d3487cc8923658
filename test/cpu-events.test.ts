/** Exceptions: delivery, interception, double and triple faults. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as L from '../src/cpu/layout.ts'
import {
  CODE,
  EXIT_EPT_VIOLATION,
  EXIT_EXCEPTION,
  EXIT_HLT,
  EXIT_TRIPLE_FAULT,
  HLT,
  IDT,
  LongMode,
  load,
  movEax,
  PRESENT,
  STACK,
  USER,
  WRITABLE,
} from './support/long-mode.ts'

const EXIT_IO = 30
const UD2 = [0x0f, 0x0b]
const INT3 = 0xcc
/** INT 80h */
const INT80 = [0xcd, 0x80]
const BAD = 0x20000

/** Nothing is intercepted: what has no handler becomes a double fault. */
function unwatched(): LongMode {
  const it = new LongMode()
  it.interceptNothing()
  return it
}

test('the bitmap says which exceptions leave run(), before they are delivered', () => {
  const it = new LongMode()
  it.handler(13, [HLT])
  assert.is(it.execute(UD2), EXIT_EXCEPTION)
  assert.is(it.exception.vector, 6)
  assert.is(it.rip, CODE)
  assert.is(it.gpr(L.RSP), BigInt(STACK))
  it.forget()
  // MOV RAX, [non-canonical] is #GP, which is not intercepted.
  assert.is(it.execute([0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x48, 0x8b, 0x00]), EXIT_HLT)
  assert.is(it.rip & ~0xfff, 0x2000)
  assert.is(it.peek(Number(it.gpr(L.RSP))), 0n, 'error code')
  assert.is(it.peek(Number(it.gpr(L.RSP)) + 8), BigInt(CODE + 10), 'RIP')
})

test('the frame of an exception from ring 3, on the stack of the TSS', () => {
  const it = new LongMode()
  it.handler(14, [HLT])
  it.map(BAD, BAD, 0n)
  it.enterUser()
  it.cpu.rflags = 0x246n
  assert.is(it.execute(load(BAD)), EXIT_HLT)
  const rsp = Number(it.gpr(L.RSP))
  assert.is(rsp, 0x7800 - 48)
  const frame = Array.from({ length: 6 }, (_, n) => it.peek(rsp + n * 8))
  assert.equal(frame, [4n, BigInt(CODE), 0x23n, 0x10246n, BigInt(STACK), 0x1bn])
  assert.is(it.cpu.readU64(L.CR2), BigInt(BAD))
  assert.is(it.cpu.readU32(L.CPL), 0)
  assert.is(it.cpu.rflags & 0x200n, 0n, 'an interrupt gate clears IF')
})

test('double fault: #NP while delivering #GP, error code 0, on its own stack', () => {
  const it = unwatched()
  it.handler(8, [HLT], 1)
  assert.is(it.execute([0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x48, 0x8b, 0x00]), EXIT_HLT)
  assert.is(it.gpr(L.RSP), 0x7c00n - 48n)
  assert.is(it.peek(0x7c00 - 48), 0n)
  assert.is(it.peek(0x7c00 - 40), BigInt(CODE + 10))
})

test('a benign exception without a handler becomes #GP with the IDT index, not #DF', () => {
  const it = unwatched()
  it.handler(13, [HLT])
  it.handler(8, UD2)
  assert.is(it.execute([...INT80]), EXIT_HLT)
  assert.is(it.peek(Number(it.gpr(L.RSP))), 0x80n * 8n + 2n)
  assert.is(it.execute([INT3]), EXIT_HLT)
  assert.is(it.peek(Number(it.gpr(L.RSP))), 3n * 8n + 2n)
  assert.is(it.execute(UD2), EXIT_HLT)
  assert.is(it.peek(Number(it.gpr(L.RSP))), 6n * 8n + 3n, 'EXT: not a software interrupt')
})

test('#PF while delivering #PF is a double fault, #PF while delivering #UD is not', () => {
  for (const [code, expected] of [
    [load(BAD), 8],
    [UD2, 14],
  ] as const) {
    const it = unwatched()
    it.map(BAD, BAD, 0n)
    it.handler(14, [...movEax(14), HLT], 1)
    it.handler(8, [...movEax(8), HLT], 1)
    it.handler(6, [...movEax(6), HLT])
    // Gates of #UD, and of #PF for the first case, push on a stack that is not there.
    it.cpu.writeU64(L.RSP, BigInt(BAD + 0x800))
    if (expected === 8) it.poke(IDT + 14 * 16, it.peek(IDT + 14 * 16) & ~(7n << 32n))
    assert.is(it.execute(code), EXIT_HLT)
    assert.is(it.gpr(L.RAX), BigInt(expected))
  }
})

test('triple fault: no handler for the double fault either', () => {
  const it = unwatched()
  assert.is(it.execute(UD2), EXIT_TRIPLE_FAULT)
  assert.is(it.rip, CODE)
  assert.is(it.cpu.readU32(L.FAULT_VECTOR), 0xffffffff, 'no exception is left pending')
})

test('triple fault: an IDT of length zero, and one that is not mapped', () => {
  const short = unwatched()
  short.cpu.writeU32(L.IDTR + L.SEG_LIMIT, 0)
  assert.is(short.execute(UD2), EXIT_TRIPLE_FAULT)
  const unmapped = unwatched()
  unmapped.map(IDT, IDT, 0n)
  assert.is(unmapped.execute(UD2), EXIT_TRIPLE_FAULT)
})

test('an exception that the EPT stops is delivered when the right is back', () => {
  const it = new LongMode()
  it.handler(6, [HLT])
  const { cpu } = it
  const stack = cpu.hostOf(STACK - 1)
  cpu.protect(stack, L.PAGE_DENY_WRITE)
  assert.is(it.execute(UD2), EXIT_EPT_VIOLATION)
  assert.is(it.rip, CODE)
  assert.is(it.gpr(L.RSP), BigInt(STACK))
  cpu.protect(stack, 0)
  assert.is(cpu.run(100), EXIT_HLT)
  assert.is(it.rip & ~0xfff, 0x2000)
  assert.is(it.peek(Number(it.gpr(L.RSP))), BigInt(CODE))
})

test('a monitor raises exceptions and interrupts', () => {
  const it = new LongMode()
  it.handler(13, [HLT])
  it.handler(0x40, [0xff, 0xc3, 0x48, 0xcf])
  it.put(CODE, 0x90, HLT)
  it.cpu.raise(13, 0x18)
  assert.is(it.cpu.run(100), EXIT_HLT)
  assert.is(it.peek(Number(it.gpr(L.RSP))), 0x18n)
  it.reset()
  it.cpu.rflags = 0x202n
  assert.is(it.cpu.interruptible, true)
  it.cpu.interrupt(0x40)
  assert.is(it.cpu.interruptible, false, 'inside the handler')
  assert.is(it.cpu.run(100), EXIT_HLT)
  assert.is(it.gpr(L.RBX), 1n)
})

test('a far jump to a 32-bit segment enters compatibility mode, where registers have 32 bits', () => {
  const it = new LongMode()
  // JMP FAR m16:32 through 3000, to the 32-bit segment
  it.put(0x3000, 0x00, 0x40, 0, 0, 0x28, 0)
  it.put(0x4000, HLT)
  it.cpu.writeU64(L.RBX, 0x1234_5678_9abc_def0n)
  assert.is(it.execute([0xff, 0x2c, 0x25, 0x00, 0x30, 0, 0]), EXIT_HLT)
  assert.is(it.rip, 0x4000)
  assert.is(it.cpu.readU32(L.MODE), L.MODE_32)
  assert.is(it.gpr(L.RBX), 0x9abc_def0n)
})

test('an interrupt window opens behind the shadow of STI', () => {
  const it = new LongMode()
  it.cpu.interruptWindow = true
  assert.is(it.execute([0x90, 0xfb, 0x90, 0x90, HLT]), 7)
  assert.is(it.rip, CODE + 3)
  assert.is(it.cpu.interruptible, true)
  it.cpu.interruptWindow = false
  assert.is(it.cpu.run(100), EXIT_HLT)
})

test('a write to a user page from ring 0 under SMAP, and its execution under SMEP', () => {
  const it = new LongMode()
  it.cpu.writeU64(L.CR4, 0x3000a0n)
  it.cpu.refresh()
  // Only code, stack and tables are supervisor pages now.
  for (const page of [CODE, 0x2000, STACK - 0x1000]) it.map(page, page, PRESENT | WRITABLE)
  assert.is(it.execute(load(BAD)), EXIT_EXCEPTION)
  assert.equal(it.exception, { vector: 14, error: 1, cr2: BigInt(BAD) })
  it.forget()
  // STAC; MOV EAX, [BAD]; CLAC; HLT
  assert.is(it.execute([0x0f, 0x01, 0xcb, ...load(BAD), 0x0f, 0x01, 0xca, HLT]), EXIT_HLT)
  assert.is(it.go(BAD), EXIT_EXCEPTION)
  assert.equal(it.exception, { vector: 14, error: 0x11, cr2: BigInt(BAD) })
  it.forget()
  it.map(BAD, BAD, PRESENT | WRITABLE)
  it.put(BAD, HLT)
  it.put(CODE, 0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8, 0xe9, 0xf5, 0xef, 1, 0)
  assert.is(it.go(CODE), EXIT_HLT, 'a supervisor page')
  assert.is(it.pte(BAD) & USER, 0n)
})

test('an I/O breakpoint traps behind the access, when CR4.DE is set (SDM volume 3, 18.2.4)', () => {
  const OUT_3FA = [0x66, 0xef]
  const it = new LongMode()
  const { cpu } = it
  const out = (port: number, cr4: bigint): number => {
    it.reset()
    cpu.writeU64(L.CR4, cr4)
    cpu.writeU64(L.RDX, BigInt(port))
    cpu.writeU64(L.DR0 + 8, 0x3f8n)
    cpu.writeU64(L.DR6, 0xffff0ff0n)
    // Breakpoint 1: local, I/O, 4 bytes.
    cpu.writeU64(L.DR7, 0xe00404n)
    cpu.refresh()
    assert.is(it.execute([...OUT_3FA, HLT]), EXIT_IO)
    assert.is(it.rip, CODE + 2)
    const reason = cpu.run(10)
    if (reason !== EXIT_EXCEPTION) return reason
    assert.equal([it.exception.vector, it.rip], [1, CODE + 2])
    return Number(cpu.readU64(L.DR6) & 0xfn)
  }
  assert.is(out(0x3fa, 0xa8n), 2)
  assert.is(out(0x3f7, 0xa8n), 2)
  assert.is(out(0x3fc, 0xa8n), EXIT_HLT)
  assert.is(out(0x3f6, 0xa8n), EXIT_HLT)
  assert.is(out(0x3fa, 0xa0n), EXIT_HLT, 'without CR4.DE')
})

test('SYSENTER and SYSEXIT: in long mode as on Intel processors, #UD as on those of AMD', () => {
  const SYSENTER = [0x0f, 0x34]
  const SYSEXIT_64 = [0x48, 0x0f, 0x35]
  const amd = new LongMode()
  assert.is(amd.execute(SYSENTER), EXIT_EXCEPTION)
  assert.is(amd.exception.vector, 6)

  const it = new LongMode(undefined, { longModeSysenter: true })
  it.cpu.writeU64(L.SYSENTER_CS, 0x100n)
  it.cpu.writeU64(L.SYSENTER_ESP, 0x6000n)
  it.cpu.writeU64(L.SYSENTER_EIP, BigInt(BAD))
  it.put(BAD, HLT)
  assert.is(it.execute(SYSENTER), EXIT_HLT)
  assert.is(it.rip, BAD)
  assert.is(it.gpr(L.RSP), 0x6000n)
  assert.is(it.cpu.readU32(L.CS + L.SEG_SELECTOR), 0x100)
  assert.is(it.cpu.readU32(L.SS + L.SEG_SELECTOR), 0x108)

  it.cpu.writeU64(L.RDX, BigInt(BAD))
  it.cpu.writeU64(L.RCX, 0x5000n)
  // To ring 3, where HLT is #GP(0).
  it.put(CODE, ...SYSEXIT_64)
  assert.is(it.go(CODE), EXIT_EXCEPTION)
  assert.is(it.exception.vector, 13)
  assert.is(it.rip, BAD)
  assert.is(it.gpr(L.RSP), 0x5000n)
  assert.is(it.cpu.readU32(L.CPL), 3)
  assert.is(it.cpu.readU32(L.CS + L.SEG_SELECTOR), 0x123)
  assert.is(it.cpu.readU32(L.SS + L.SEG_SELECTOR), 0x12b)
})

test.run()
