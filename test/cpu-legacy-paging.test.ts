/** Paging outside long mode: 32-bit with 4 MB pages, PAE, none; and what MOV to CR0, CR3, CR4 and EFER checks (SDM volume 3, 4). */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as L from '../src/cpu/layout.ts'
import { le32 } from './support/long-mode.ts'
import {
  CODE,
  CODE64,
  DATA32_USER,
  EXIT_EXCEPTION,
  EXIT_HLT,
  farJump32,
  HLT,
  mov32,
  Segmented,
  TABLES,
} from './support/segmented.ts'

const PF = 14
const GP = 13
const P = 1
const RW = 2
const US = 4
const A = 0x20
const D = 0x40
const PS = 0x80
const GLOBAL = 0x100
const ALL = P | RW | US
const NX = 1n << 63n
const CR0_PE = 0x11n
const CR0_WP = 0x10000n
const CR0_PG = 0x80000000n
const CR4_PSE = 0x10n
const CR4_PAE = 0x20n
const CR4_PGE = 0x80n
const CR4_SMEP = 0x100000n
const DIRECTORY = TABLES
const TABLE = TABLES + 0x1000
/** Where linear addresses of the tests lie: page 40 of the second 4 MB (the second 2 MB of PAE). */
const BAD = 0x440000

/** MOV EAX, [address]; MOV [address], EAX */
const load = (address: number) => [0xa1, ...le32(address)]
const store = (address: number) => [0xa3, ...le32(address)]
const moveToCr3 = (value: number) => [...mov32(0, value), 0x0f, 0x22, 0xd8]

/** 32-bit paging: the first 4 MB one to one, and a table for the second 4 MB. */
function legacy(cr4 = 0n, entry = 0): Segmented {
  const it = new Segmented('protected')
  it.words(DIRECTORY, TABLE | ALL, (TABLE + 0x1000) | ALL)
  for (let page = 0; page < 1024; page++) it.poke32(TABLE + page * 4, (page << 12) | ALL)
  setEntry(it, entry)
  turnOn(it, cr4, DIRECTORY)
  return it
}

function setEntry(it: Segmented, entry: number): void {
  it.poke32(TABLE + 0x1000 + ((BAD >> 12) & 1023) * 4, entry)
}

function turnOn(it: Segmented, cr4: bigint, cr3: number, cr0 = CR0_WP): void {
  assert.is(it.cpu.runtime.writeCr4(cr4), 0)
  it.cpu.writeU64(L.CR3, BigInt(cr3))
  assert.is(it.cpu.runtime.writeCr0(CR0_PG | CR0_PE | cr0), 0)
}

function expectPageFault(it: Segmented, code: readonly number[], error: number, what: string): void {
  assert.is(it.execute(code), EXIT_EXCEPTION, what)
  assert.equal(it.exception, { vector: PF, error }, what)
  assert.is(Number(it.cpu.readU64(L.FAULT_CR2)), BAD, what)
}

test('without paging a linear address is a physical one', () => {
  const it = new Segmented('protected')
  it.poke32(0x100000, 0x12345678)
  assert.is(it.execute([...load(0x100000), HLT]), EXIT_HLT)
  assert.is(it.gpr(L.RAX), 0x12345678)
})

test('32-bit paging: accessed and dirty bits, error codes', () => {
  const it = legacy(0n, 0x300000 | ALL)
  it.poke32(0x300000, 0x600d)
  assert.is(it.execute([...load(BAD), HLT]), EXIT_HLT)
  assert.is(it.gpr(L.RAX), 0x600d)
  const leaf = TABLE + 0x1000 + 0x40 * 4
  assert.is(it.peek32(leaf), 0x300000 | ALL | A)
  assert.is(it.peek32(DIRECTORY + 4), (TABLE + 0x1000) | ALL | A, 'no dirty bit in the directory')
  assert.is(it.execute([...store(BAD), HLT]), EXIT_HLT)
  assert.is(it.peek32(leaf), 0x300000 | ALL | A | D)
  assert.is(it.peek32(leaf + 4), 0, 'the entry behind is left alone')
  expectPageFault(legacy(0n, 0), load(BAD), 0, 'not present')
  expectPageFault(legacy(0n, 0), store(BAD), RW, 'not present, write')
  expectPageFault(legacy(0n, 0x300000 | P), store(BAD), P | RW, 'WP')
})

test('32-bit paging: the rights of both levels count, WP is the supervisor s business', () => {
  const read = legacy(0n, 0x300000 | P | RW)
  read.enterUser()
  expectPageFault(read, load(BAD), P | US, 'supervisor page')
  const write = legacy(0n, 0x300000 | P | US)
  write.enterUser()
  expectPageFault(write, store(BAD), P | RW | US, 'read-only page')
  const directory = legacy(0n, 0x300000 | ALL)
  directory.poke32(DIRECTORY + 4, (TABLE + 0x1000) | P | US)
  directory.enterUser()
  expectPageFault(directory, store(BAD), P | RW | US, 'read-only by the directory')
  const unprotected = legacy(0n, 0x300000 | P)
  assert.is(unprotected.cpu.runtime.writeCr0(CR0_PG | CR0_PE), 0)
  assert.is(unprotected.execute([...store(BAD), HLT]), EXIT_HLT)
  assert.is(unprotected.peek32(TABLE + 0x1000 + 0x40 * 4), 0x300000 | P | A | D)
})

test('4 MB pages: CR4.PSE, dirty bit, PSE-36, the reserved bit', () => {
  const it = legacy()
  it.poke32(DIRECTORY + 4, 0x400000 | ALL | PS)
  it.poke32(BAD, 0x4444)
  // Without PSE the bit is ignored: the entry names a table at 400000, which is empty there.
  it.poke32(0x400000 + 0x40 * 4, 0x300000 | ALL)
  it.poke32(0x300000, 0x3333)
  assert.is(it.execute([...load(BAD), HLT]), EXIT_HLT)
  assert.is(it.gpr(L.RAX), 0x3333)
  assert.is(it.cpu.runtime.writeCr4(CR4_PSE), 0)
  assert.is(it.execute([...load(BAD), HLT]), EXIT_HLT)
  assert.is(it.gpr(L.RAX), 0x4444)
  assert.is(it.peek32(DIRECTORY + 4), 0x400000 | ALL | PS | A)
  assert.is(it.execute([...store(BAD + 0x10_0000), HLT]), EXIT_HLT)
  assert.is(it.peek32(DIRECTORY + 4), 0x400000 | ALL | PS | A | D, 'a write through what walks have kept')
  it.poke32(DIRECTORY + 4, 0x400000 | ALL | PS | 0x200000)
  expectPageFault(it, [...moveToCr3(DIRECTORY), ...load(BAD)], P | 8, 'bit 21')
  // Bits 13-20 are bits 32-39 of the address: 1_0040_0000 is not backed and reads as ones.
  it.poke32(DIRECTORY + 4, 0x400000 | ALL | PS | 0x2000)
  assert.is(it.execute([...moveToCr3(DIRECTORY), ...load(BAD), HLT]), EXIT_HLT)
  assert.is(it.gpr(L.RAX), 0xffffffff)
  const narrow = new Segmented('protected', { physicalBits: 36 })
  narrow.words(DIRECTORY, ALL | PS, 0x400000 | ALL | PS | 0x20000)
  turnOn(narrow, CR4_PSE, DIRECTORY)
  expectPageFault(narrow, load(BAD), P | 8, 'an address of 37 bits')
})

test('global pages outlive MOV to CR3, others do not', () => {
  for (const [cr4, flags, kept] of [
    [CR4_PGE, GLOBAL, true],
    [CR4_PGE, 0, false],
    [0n, GLOBAL, false],
  ] as const) {
    const it = legacy(cr4, 0x300000 | ALL | flags)
    it.poke32(0x300000, 0x3333)
    it.poke32(0x301000, 0x4444)
    it.execute([...load(BAD), HLT])
    setEntry(it, 0x301000 | ALL | flags)
    assert.is(it.execute([...load(BAD), ...moveToCr3(DIRECTORY), ...load(BAD), HLT]), EXIT_HLT)
    assert.is(it.gpr(L.RAX), kept ? 0x3333 : 0x4444)
  }
})

test('fetches: SMEP, and no error-code bit 4 without it', () => {
  const plain = legacy(0n, 0)
  assert.is(plain.execute(farJump32(8, BAD)), EXIT_EXCEPTION)
  assert.equal([plain.exception.error, plain.rip], [0, BAD])
  const smep = legacy(CR4_SMEP, 0x300000 | ALL)
  // The first 4 MB are pages of the user here, too: the code itself can not run.
  assert.is(smep.execute([HLT]), EXIT_EXCEPTION)
  assert.equal(smep.exception, { vector: PF, error: P | 16 })
})

// PAE

const POINTERS = TABLES + 0x20
const PAE_DIRECTORY = TABLES + 0x1000
const PAE_TABLE = TABLES + 0x2000

/** PAE: the first 2 MB in 4 KB pages, the second as one, the third by a table with one entry for BAD. */
function pae(entry = 0n, efer = 0n): Segmented {
  const it = new Segmented('protected')
  it.poke(POINTERS, BigInt(PAE_DIRECTORY | P))
  for (let index = 1; index < 4; index++) it.poke(POINTERS + index * 8, 0n)
  it.poke(PAE_DIRECTORY, BigInt(PAE_TABLE | ALL))
  it.poke(PAE_DIRECTORY + 8, BigInt(0x200000 | ALL | PS))
  it.poke(PAE_DIRECTORY + 16, BigInt((PAE_TABLE + 0x1000) | ALL))
  for (let page = 0; page < 512; page++) it.poke(PAE_TABLE + page * 8, BigInt((page << 12) | ALL))
  it.poke(PAE_TABLE + 0x1000 + 0x40 * 8, entry)
  assert.is(it.cpu.runtime.writeEfer(efer), 0)
  turnOn(it, CR4_PAE, POINTERS)
  return it
}

test('PAE: pages of 4 KB and 2 MB, accessed and dirty bits, NX', () => {
  const it = pae(BigInt(0x300000 | ALL) | NX, 0x800n)
  it.poke32(0x300000, 0x600d)
  assert.is(it.execute([...load(BAD), ...store(0x280000), HLT]), EXIT_HLT)
  assert.is(it.peek32(0x280000), 0x600d)
  assert.is(it.peek(PAE_TABLE + 0x1000 + 0x40 * 8), BigInt(0x300000 | ALL | A) | NX)
  assert.is(it.peek(PAE_DIRECTORY + 8), BigInt(0x200000 | ALL | PS | A | D))
  assert.is(it.peek(POINTERS), BigInt(PAE_DIRECTORY | P), 'PDPTEs have no accessed bit')
  assert.is(it.execute(farJump32(8, BAD)), EXIT_EXCEPTION)
  assert.equal([it.exception.error, it.rip], [P | 16, BAD])
  expectPageFault(pae(BigInt(0x300000 | ALL) | NX), load(BAD), P | 8, 'NX without NXE')
  expectPageFault(pae(BigInt(0x300000 | ALL) | (1n << 52n)), load(BAD), P | 8, 'bit 52')
  expectPageFault(pae(BigInt(ALL) | (1n << 40n)), load(BAD), P | 8, 'an address of 41 bits')
})

test('PAE: the PDPTEs are registers, loaded by MOV to CR3', () => {
  const it = pae()
  it.poke(POINTERS + 8, BigInt(PAE_DIRECTORY | P))
  assert.is(it.execute(load(0x40000000)), EXIT_EXCEPTION, 'not loaded yet')
  assert.equal(it.exception, { vector: PF, error: 0 })
  assert.is(it.execute([...moveToCr3(POINTERS), ...load(0x40000000 + CODE), HLT]), EXIT_HLT)
  assert.is(it.gpr(L.RAX) & 0xff, 0xb8)
  it.poke(POINTERS + 8, BigInt(PAE_DIRECTORY | P | RW))
  assert.is(it.execute(moveToCr3(POINTERS)), EXIT_EXCEPTION, 'a reserved bit')
  assert.equal(it.exception, { vector: GP, error: 0 })
  it.poke(POINTERS + 8, BigInt(RW))
  assert.is(it.execute([...moveToCr3(POINTERS), HLT]), EXIT_HLT, 'nobody looks at one that is not present')
  assert.is(it.execute(load(0x40000000)), EXIT_EXCEPTION)
})

test('PAE: PDPTEs are loaded, and checked, when paging or PAE is turned on', () => {
  const it = new Segmented('protected')
  it.poke(POINTERS, BigInt(PAE_DIRECTORY | P | US))
  it.cpu.writeU64(L.CR3, BigInt(POINTERS))
  assert.is(it.cpu.runtime.writeCr4(CR4_PAE), 0)
  assert.is(it.cpu.runtime.writeCr0(CR0_PG | CR0_PE), 1)
  assert.is(Number(it.cpu.readU64(L.CR0)), 0x11, 'nothing has changed')
  const on = legacy()
  on.poke(DIRECTORY, BigInt(PAE_DIRECTORY | P | US))
  assert.is(on.cpu.runtime.writeCr4(CR4_PAE), 1)
  assert.is(on.cpu.readU64(L.CR4), 0n)
})

test('the monitor looks addresses up in every kind of paging', () => {
  const flat = legacy(CR4_PSE, 0x300000 | ALL)
  assert.is(flat.cpu.runtime.lookUp(BigInt(BAD + 4)), 0x300004n)
  assert.is(flat.cpu.runtime.lookUp(BigInt(BAD + 0x1000)), -1n)
  flat.poke32(DIRECTORY + 8, 0x800000 | ALL | PS | 0x4000)
  assert.is(flat.cpu.runtime.lookUp(0x812345n), 0x200812345n)
  const wide = pae(BigInt(0x300000 | ALL))
  assert.is(wide.cpu.runtime.lookUp(BigInt(BAD + 4)), 0x300004n)
  assert.is(wide.cpu.runtime.lookUp(0x212345n), 0x212345n)
  assert.is(wide.cpu.runtime.lookUp(0x40000000n), -1n)
})

// Control registers

test('values of CR0, CR4 and EFER that are #GP', () => {
  const { runtime } = new Segmented('protected').cpu
  assert.is(runtime.writeCr0(CR0_PG), 1, 'PG without PE')
  assert.is(runtime.writeCr0(CR0_PE | 0x20000000n), 1, 'NW without CD')
  assert.is(runtime.writeCr0(CR0_PE | (1n << 32n)), 1)
  assert.is(runtime.writeCr4(1n << 13n), 1, 'a bit that is not allowed')
  assert.is(runtime.writeEfer(1n << 12n), 1)
  assert.is(runtime.writeEfer(0x100n), 0)
  assert.is(runtime.writeCr0(CR0_PG | CR0_PE), 1, 'LME without PAE')
  const it = legacy()
  assert.is(it.cpu.runtime.writeEfer(0x100n), 1, 'LME while paging is on')
})

test('protected mode to long mode and back', () => {
  const it = new Segmented('protected')
  const pml4 = TABLES + 0x4000
  it.poke(pml4, BigInt((TABLES + 0x5000) | ALL))
  it.poke(TABLES + 0x5000, BigInt(PAE_DIRECTORY | ALL))
  it.poke(PAE_DIRECTORY, BigInt(ALL | PS))
  const efer = (value: number) => [...mov32(1, 0xc0000080 | 0), ...mov32(0, value), ...mov32(2, 0), 0x0f, 0x30]
  const cr4 = (value: number) => [...mov32(0, value), 0x0f, 0x22, 0xe0]
  const cr0 = (value: number) => [...mov32(0, value), 0x0f, 0x22, 0xc0]
  const code = [...cr4(0x20), ...moveToCr3(pml4), ...efer(0x100), ...cr0(0x80000011 | 0), HLT]
  assert.is(it.execute(code), EXIT_HLT)
  assert.is(it.cpu.readU64(L.EFER), 0x500n, 'LMA')
  assert.is(it.mode, L.MODE_32, 'compatibility mode')
  assert.is(it.cpu.runtime.writeCr4(0n), 1, 'PAE can not be cleared now')
  // MOV RAX, 123456789ABCDEF0 in 64-bit code
  it.put(0x1800, 0x48, 0xb8, 0xf0, 0xde, 0xbc, 0x9a, 0x78, 0x56, 0x34, 0x12, HLT)
  assert.is(it.execute(farJump32(CODE64, 0x1800)), EXIT_HLT)
  assert.is(it.cpu.readU64(L.RAX), 0x123456789abcdef0n)
  assert.is(it.mode, L.MODE_64)
  assert.is(it.cpu.runtime.writeCr0(CR0_PE), 1, 'PG can not be cleared in 64-bit mode')
  // JMP FAR [abs 1900] back to 32-bit code, and out of long mode
  it.put(0x1900, ...le32(0x1a00), 8, 0)
  it.put(0x1a00, ...cr0(0x11), ...efer(0), ...cr4(0), HLT)
  it.put(0x1800, 0xff, 0x2c, 0x25, ...le32(0x1900))
  assert.is(it.go(0x1800), EXIT_HLT)
  assert.equal([it.cpu.readU64(L.EFER), it.cpu.readU64(L.CR0), it.mode], [0n, 0x11n, L.MODE_32])
})

test('LMSW sets PE and can not clear it; SMSW and MOV from CR give 32 bits', () => {
  const it = new Segmented('real')
  // MOV AX, 1; LMSW AX; MOV AX, 0; LMSW AX; SMSW BX
  const code = [0xb8, 1, 0, 0x0f, 0x01, 0xf0, 0xb8, 0, 0, 0x0f, 0x01, 0xf0, 0x0f, 0x01, 0xe3, HLT]
  assert.is(it.execute(code), EXIT_HLT)
  assert.equal([it.gpr(L.RBX), it.gpr(L.CR0)], [0x11, 0x11])
})

// SYSCALL and its kin

const SCE = 1n

test('SYSCALL and SYSRET outside long mode', () => {
  const it = new Segmented('protected')
  it.enterUser()
  assert.is(it.execute([0x0f, 0x05]), EXIT_EXCEPTION)
  assert.equal(it.exception, { vector: 6, error: -1 }, 'SCE is clear')
  assert.is(it.cpu.runtime.writeEfer(SCE), 0)
  it.cpu.writeU64(L.STAR, 0x0018_0008_0000_2000n)
  it.put(0x2000, HLT, 0x0f, 0x07)
  it.cpu.rflags = 0x202n
  assert.is(it.execute([0x0f, 0x05, HLT]), EXIT_HLT)
  assert.equal([it.rip, it.gpr(L.RCX), it.cpl], [0x2000, CODE + 2, 0])
  assert.equal([it.selector(L.CS), it.selector(L.SS)], [8, 0x10])
  assert.is(it.cpu.rflags & 0x200n, 0n)
  assert.is(it.go(0x2001), EXIT_EXCEPTION, 'HLT at ring 3')
  assert.equal([it.rip, it.cpl, it.selector(L.CS), it.selector(L.SS)], [CODE + 2, 3, 0x1b, DATA32_USER])
  assert.is(it.cpu.rflags & 0x200n, 0x200n, 'IF is set, whatever it was')
  assert.is(it.execute([0x0f, 0x07]), EXIT_EXCEPTION)
  assert.equal(it.exception, { vector: GP, error: 0 }, 'SYSRET at ring 3')
})

test('SYSENTER and SYSEXIT exist outside long mode', () => {
  const it = new Segmented('protected')
  it.enterUser()
  assert.is(it.execute([0x0f, 0x34]), EXIT_EXCEPTION)
  assert.equal(it.exception, { vector: GP, error: 0 }, 'no SYSENTER_CS')
  it.cpu.writeU64(L.SYSENTER_CS, 8n)
  it.cpu.writeU64(L.SYSENTER_ESP, 0x6000n)
  it.cpu.writeU64(L.SYSENTER_EIP, 0x2000n)
  it.put(0x2000, HLT, 0x0f, 0x35)
  it.cpu.rflags = 0x202n
  assert.is(it.execute([0x0f, 0x34]), EXIT_HLT)
  assert.equal([it.rip, it.esp, it.cpl, it.selector(L.SS)], [0x2000, 0x6000, 0, 0x10])
  assert.is(it.cpu.rflags & 0x200n, 0n)
  it.setGpr(L.RDX, 0x1800)
  it.setGpr(L.RCX, 0x5000)
  it.put(0x1800, HLT)
  assert.is(it.go(0x2001), EXIT_EXCEPTION)
  assert.equal([it.rip, it.esp, it.cpl, it.selector(L.CS), it.selector(L.SS)], [0x1800, 0x5000, 3, 0x1b, 0x23])
})

test.run()
