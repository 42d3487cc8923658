/** Compatibility mode: 32-bit code under a 64-bit kernel. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as L from '../src/cpu/layout.ts'
import {
  CODE,
  EXIT_EXCEPTION,
  EXIT_HLT,
  HLT,
  LongMode,
  le32,
  PRESENT,
  STACK,
  USER,
  WRITABLE,
} from './support/long-mode.ts'

const GDT = 0x88000
/** In the GDT of LongMode: 32-bit code for ring 0; 38 is added here, for ring 3. */
const CODE32 = 0x28
const CODE32_USER = 0x3b
const DATA_USER = 0x1b
const HANDLER = 0x3000

function machine(): LongMode {
  const it = new LongMode()
  it.poke(GDT + 0x38, 0x00cffb000000ffffn)
  it.cpu.writeU32(L.GDTR + L.SEG_LIMIT, 0x3f)
  return it
}

function enter(it: LongMode, selector: number, ar: number, stack: number, stackAr: number): void {
  const write = (at: number, value: number, rights: number) => {
    it.cpu.writeU64(at + L.SEG_BASE, 0n)
    it.cpu.writeU32(at + L.SEG_LIMIT, 0xffffffff)
    it.cpu.writeU32(at + L.SEG_SELECTOR, value)
    it.cpu.writeU32(at + L.SEG_AR, rights)
  }
  write(L.CS, selector, ar)
  for (const at of [L.SS, L.DS, L.ES]) write(at, stack, stackAr)
  it.cpu.refresh()
}

const enterUser32 = (it: LongMode) => enter(it, CODE32_USER, 0xc0fb, DATA_USER, 0xc0f3)
const enterKernel32 = (it: LongMode) => enter(it, CODE32, 0xc09b, 0x10, 0xc093)

test('an exception goes to a 64-bit handler with a frame of 64 bits, and IRETQ comes back', () => {
  const it = machine()
  it.handler(6, [0x48, 0x83, 0x04, 0x24, 0x02, 0x48, 0xcf])
  enterUser32(it)
  assert.is(it.cpu.readU32(L.MODE), L.MODE_32)
  it.handler(13, [HLT])
  assert.is(it.execute([0x0f, 0x0b, 0x43, HLT]), EXIT_HLT)
  assert.is(it.gpr(L.RBX), 1n, 'INC EBX behind UD2 has run')
  const rsp = Number(it.gpr(L.RSP))
  assert.equal(
    [0, 8, 16, 32, 40].map((at) => it.peek(rsp + at)),
    [0n, BigInt(CODE + 3), BigInt(CODE32_USER), BigInt(STACK), BigInt(DATA_USER)],
  )
  assert.is(it.cpu.readU32(L.MODE), L.MODE_64)
})

test('IRETD to the same level pops no stack', () => {
  const it = machine()
  enterKernel32(it)
  it.put(STACK - 12, ...le32(0x1800), ...le32(CODE32), ...le32(2))
  it.cpu.writeU64(L.RSP, BigInt(STACK - 12))
  it.put(0x1800, HLT)
  assert.is(it.execute([0xcf]), EXIT_HLT)
  assert.equal([it.rip, it.gpr(L.RSP)], [0x1800, BigInt(STACK)])
})

test('SYSCALL enters at CSTAR; SYSRET to 32-bit code comes back, with the flags of R11', () => {
  const it = machine()
  it.cpu.writeU64(L.STAR, 0x003b_0008_0000_0000n)
  it.cpu.writeU64(L.CSTAR, BigInt(HANDLER))
  it.cpu.writeU64(L.LSTAR, 0x2ff0n)
  it.cpu.writeU64(L.SFMASK, 0x200n)
  enterUser32(it)
  it.cpu.rflags = 0x202n
  // SYSRET with a 32-bit operand
  it.put(HANDLER, HLT, 0x0f, 0x07)
  assert.is(it.execute([0x0f, 0x05, HLT]), EXIT_HLT)
  assert.equal([it.rip, it.gpr(L.RCX), it.gpr(L.R11)], [HANDLER, BigInt(CODE + 2), 0x202n])
  assert.is(it.cpu.readU32(L.MODE), L.MODE_64)
  assert.is(it.go(HANDLER + 1), EXIT_EXCEPTION, 'HLT at ring 3')
  assert.equal([it.rip, it.cpu.readU32(L.CS + L.SEG_SELECTOR)], [CODE + 2, CODE32_USER])
  assert.is(it.cpu.readU32(L.MODE), L.MODE_32)
  assert.is(it.cpu.rflags, 0x202n)
})

test('SYSENTER is undefined under long mode', () => {
  const it = machine()
  enterUser32(it)
  assert.is(it.execute([0x0f, 0x34]), EXIT_EXCEPTION)
  assert.is(it.exception.vector, 6)
})

test('addresses wrap around at 4 GB; the tables are reached with 64 bits', () => {
  const it = machine()
  const high = 0x100000000n
  // The GDT is moved above 4 GB: PDPT entry 4.
  it.poke(0x81000 + 32, it.peek(0x81000))
  it.cpu.writeU64(L.GDTR + L.SEG_BASE, high + BigInt(GDT))
  enterKernel32(it)
  // MOV EAX, 10; MOV DS, AX; MOV EBX, [FFFFFFFF + 4001]
  const code = [0xb8, ...le32(0x10), 0x8e, 0xd8, 0xbe, ...le32(0xffffffff), 0x8b, 0x9e, ...le32(0x4001), HLT]
  it.put(0x4000, ...le32(0x600d))
  assert.is(it.execute(code), EXIT_HLT)
  assert.is(it.gpr(L.RBX), 0x600dn)
})

test('task gates and 16-bit gates do not exist in long mode', () => {
  const it = machine()
  enterKernel32(it)
  for (const access of [0x85n, 0x89n, 0x84n]) {
    it.poke(GDT + 0x38, (access << 40n) | 0x67n)
    assert.is(it.execute([0xea, ...le32(0), 0x38, 0]), EXIT_EXCEPTION)
    assert.equal([it.exception.vector, it.exception.error], [13, 0x38])
  }
})

test('a page fault in 32-bit code', () => {
  const it = machine()
  it.map(0x20000, 0x20000, PRESENT | WRITABLE | USER)
  it.map(0x21000, 0x21000, 0n)
  enterUser32(it)
  // MOV EAX, [20FFE]: the second page is not there
  assert.is(it.execute([0xa1, ...le32(0x20ffe)]), EXIT_EXCEPTION)
  assert.equal(it.exception, { vector: 14, error: 4, cr2: 0x21000n })
})

test.run()
