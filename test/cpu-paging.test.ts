/** Translation: large pages and INVLPG, global pages, accessed and dirty bits, rights of the EPT, conflicts in the TLB. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as L from '../src/cpu/layout.ts'
import {
  ACCESSED,
  CODE,
  DIRTY,
  EXIT_EPT_VIOLATION,
  EXIT_EXCEPTION,
  EXIT_HLT,
  GLOBAL,
  HLT,
  invlpg,
  LARGE,
  LongMode,
  load,
  movEax,
  NO_EXECUTE,
  PAGE_DIRECTORY,
  PAGE_TABLE,
  PDPT,
  PML4,
  PRESENT,
  reloadCr3,
  store,
  storeByte,
  USER,
  WRITABLE,
} from './support/long-mode.ts'

const ALL = PRESENT | WRITABLE | USER
const MB = 0x100000
const AD = ACCESSED | DIRTY

function program(...pieces: number[][]): number[] {
  return [...pieces.flat(), HLT]
}

function runs(it: LongMode, ...pieces: number[][]): void {
  assert.is(it.execute(program(...pieces)), EXIT_HLT)
}

test('a mapping is kept until INVLPG or a load of CR3', () => {
  for (const flush of [invlpg(0x20000), reloadCr3]) {
    const it = new LongMode()
    it.poke(0x20000, 1n)
    it.poke(0x21000, 2n)
    runs(it, load(0x20000))
    it.map(0x20000, 0x21000)
    runs(it, flush, load(0x20000))
    assert.is(it.gpr(L.RAX), 2n)
  }
})

test('a global page outlives CR3, but neither INVLPG nor a change of CR4.PGE', () => {
  const it = new LongMode()
  it.poke(0x20000, 1n)
  it.poke(0x21000, 2n)
  it.map(0x20000, 0x20000, ALL | GLOBAL)
  runs(it, load(0x20000))
  it.map(0x20000, 0x21000, ALL | GLOBAL)
  runs(it, reloadCr3, load(0x20000))
  assert.is(it.gpr(L.RAX), 1n, 'still the old page')
  runs(it, invlpg(0x20000), load(0x20000))
  assert.is(it.gpr(L.RAX), 2n)
  it.map(0x20000, 0x20000, ALL | GLOBAL)
  // MOV to CR4 leaves run(); this is what the monitor does then.
  assert.is(it.cpu.runtime.writeCr4(0x20n), 0)
  assert.is(it.cpu.runtime.writeCr4(0xa0n), 0)
  runs(it, load(0x20000))
  assert.is(it.gpr(L.RAX), 1n)
})

test('without CR4.PGE the global bit means nothing', () => {
  const it = new LongMode()
  it.cpu.writeU64(L.CR4, 0x20n)
  it.cpu.refresh()
  it.poke(0x20000, 1n)
  it.poke(0x21000, 2n)
  it.map(0x20000, 0x20000, ALL | GLOBAL)
  runs(it, load(0x20000))
  it.map(0x20000, 0x21000, ALL | GLOBAL)
  runs(it, reloadCr3, load(0x20000))
  assert.is(it.gpr(L.RAX), 2n)
})

test('INVLPG anywhere in a large page drops all of it', () => {
  const ranges = [{ gpa: 0, size: 6 * MB }]
  const it = new LongMode(ranges)
  const pieces = [0x400000, 0x401000, 0x480000, 0x5ff000]
  for (const at of pieces) {
    it.poke(at, 1n)
    it.poke(at - 2 * MB, 2n)
  }
  it.poke(PAGE_DIRECTORY + 16, 0x400000n | LARGE | ALL)
  runs(it, ...pieces.map(load))
  it.poke(PAGE_DIRECTORY + 16, 0x200000n | LARGE | ALL)
  for (const at of pieces) {
    runs(it, invlpg(0x555000), load(at))
    assert.is(it.gpr(L.RAX), 2n, at.toString(16))
  }
})

test('a 1 GB page', () => {
  const it = new LongMode()
  it.poke(0x20000, 0x77n)
  it.poke(PDPT + 8, LARGE | ALL)
  runs(it, load(0x40020000), store(0x40021000))
  assert.is(it.gpr(L.RAX), 0x77n)
  assert.is(it.peek(0x21000), 0x77n)
  assert.is(it.peek(PDPT + 8), LARGE | ALL | AD)
  // Bits 29:13 of the address are reserved.
  it.poke(PDPT + 8, LARGE | ALL | 0x2000n)
  assert.is(it.execute(program(reloadCr3, load(0x40020000))), EXIT_EXCEPTION)
  assert.equal(it.exception, { vector: 14, error: 9, cr2: 0x40020000n })
})

test('accessed and dirty bits', () => {
  const it = new LongMode()
  runs(it, load(0x20000))
  assert.is(it.pte(0x20000), 0x20000n | ALL | ACCESSED)
  assert.is(it.pte(CODE), BigInt(CODE) | ALL | ACCESSED, 'a fetch is an access')
  assert.is(it.pte(0x30000), 0x30000n | ALL, 'not touched')
  for (const table of [PML4, PDPT, PAGE_DIRECTORY]) assert.is(it.peek(table) & (AD | 1n), ACCESSED | 1n)
  runs(it, store(0x20000))
  assert.is(it.pte(0x20000), 0x20000n | ALL | AD, 'a store behind a load, through the TLB')
  it.map(0x20000, 0x20000)
  runs(it, store(0x20000))
  assert.is(it.pte(0x20000), 0x20000n | ALL, 'without a flush nothing is written again')
  runs(it, invlpg(0x20000), store(0x20000))
  assert.is(it.pte(0x20000), 0x20000n | ALL | AD)
})

test('a write that faults sets no bits', () => {
  const it = new LongMode()
  it.map(0x20000, 0x20000, PRESENT | USER)
  assert.is(it.execute(program(store(0x20000))), EXIT_EXCEPTION)
  assert.equal(it.exception, { vector: 14, error: 3, cr2: 0x20000n })
  assert.is(it.pte(0x20000), 0x20000n | PRESENT | USER)
})

test('a fault forgets what walks remembered of its address: rights that were raised need no INVLPG', () => {
  // Intel SDM volume 3, 4.10.4.1: a page fault invalidates the entries for its address.
  const large = (rights: bigint): bigint => LARGE | rights | AD
  const table = (rights: bigint): bigint => BigInt(PAGE_TABLE) | rights | AD
  for (const [name, entry] of Object.entries({ large, table })) {
    const it = new LongMode([{ gpa: 0, size: 6 * MB }])
    const at = PAGE_DIRECTORY + 16
    const address = 0x420000
    it.poke(at, entry(PRESENT | USER))
    runs(it, load(address), invlpg(address), load(address))
    assert.is(it.execute(program(movEax(7), store(address))), EXIT_EXCEPTION, name)
    assert.equal(it.exception, { vector: 14, error: 3, cr2: BigInt(address) }, name)
    it.forget()
    it.poke(at, entry(ALL))
    runs(it, movEax(7), store(address))
    assert.is(it.peek(0x20000), 7n, name)
  }
})

test('a page table that is exchanged after a fault', () => {
  const it = new LongMode([{ gpa: 0, size: 6 * MB }])
  const at = PAGE_DIRECTORY + 16
  it.poke(at, 0x90000n | ALL | AD)
  it.poke(0x90000, 0x20000n | ALL | AD)
  runs(it, load(0x400000), load(0x400000))
  assert.is(it.execute(program(load(0x401000))), EXIT_EXCEPTION)
  it.forget()
  it.poke(0x91008, 0x21000n | ALL | AD)
  it.poke(0x21000, 5n)
  it.poke(at, 0x91000n | ALL | AD)
  runs(it, load(0x401000))
  assert.is(it.gpr(L.RAX), 5n)
})

test('#PF error codes by right', () => {
  const cases: [string, bigint, boolean, number[], number][] = [
    ['not present, read', 0n, false, load(0x20000), 0],
    ['not present, write', 0n, false, store(0x20000), 2],
    ['not present, user', 0n, true, load(0x20000), 4],
    ['supervisor page, user', PRESENT | WRITABLE, true, load(0x20000), 5],
    ['read-only, user write', PRESENT | USER, true, store(0x20000), 7],
    ['reserved bit', ALL | (1n << 45n), false, load(0x20000), 9],
    ['no-execute', ALL | NO_EXECUTE, false, [0xbb, 0, 0, 2, 0, 0xff, 0xe3], 0x11],
    ['no-execute, user', ALL | NO_EXECUTE, true, [0xbb, 0, 0, 2, 0, 0xff, 0xe3], 0x15],
  ]
  for (const [name, rights, user, code, error] of cases) {
    const it = new LongMode()
    it.map(0x20000, 0x20000, rights)
    if (user) it.enterUser()
    assert.is(it.execute(program(code)), EXIT_EXCEPTION, name)
    assert.equal(it.exception, { vector: 14, error, cr2: 0x20000n }, name)
  }
})

test('CR0.WP decides whether ring 0 writes to read-only pages', () => {
  const it = new LongMode()
  it.map(0x20000, 0x20000, PRESENT)
  it.cpu.writeU64(L.CR0, 0x80000033n)
  it.cpu.refresh()
  runs(it, movEax(5), store(0x20000))
  assert.is(it.peek(0x20000), 5n)
  it.cpu.writeU64(L.CR0, 0x80010033n)
  assert.is(it.execute(program(reloadCr3, store(0x20000))), EXIT_EXCEPTION)
  assert.is(it.exception.error, 3)
})

test('pages that share a slot of the TLB', () => {
  const it = new LongMode([{ gpa: 0, size: 18 * MB }])
  for (let directory = 1; directory < 9; directory++) {
    it.poke(PAGE_DIRECTORY + directory * 8, BigInt(directory * 2 * MB) | LARGE | ALL)
  }
  // 20000, 420000, 820000 and C20000 have the same slot; so has the code at 401000 with that at CODE.
  const places = [0x20000, 0x420000, 0x820000, 0xc20000]
  for (const [index, at] of places.entries()) it.poke(at, BigInt(index + 1))
  const sum = [0x31, 0xdb, ...places.flatMap((at) => [...load(at), 0x01, 0xc3])]
  runs(it, sum, sum, movEax(9), store(0x420000), load(0x20000), store(0x820000), load(0x420000))
  assert.is(it.gpr(L.RBX), 10n)
  assert.is(it.gpr(L.RAX), 9n)
  assert.is(it.peek(0x820000), 1n)
  it.put(0x401000, ...program(load(0x1000), store(0x402000)))
  assert.is(it.go(0x401000), EXIT_HLT)
  assert.is(it.peek(0x402000) & 0xffffn, it.peek(CODE) & 0xffffn)
})

test('an access over a page boundary with different mappings, and one half missing', () => {
  const it = new LongMode()
  it.map(0x20000, 0x30000)
  it.map(0x21000, 0x25000)
  it.put(0x30ffe, 0x11, 0x22)
  it.put(0x25000, 0x33, 0x44)
  runs(it, load(0x20ffe), [0x0f, 0xc8], store(0x20ffe))
  assert.is(it.gpr(L.RAX), 0x11223344n)
  assert.is(it.peek(0x30ffe) & 0xffffn, 0x3344n)
  assert.is(it.peek(0x25000) & 0xffffn, 0x1122n)
  it.map(0x21000, 0x25000, PRESENT)
  assert.is(it.execute(program(reloadCr3, movEax(0), store(0x20ffe))), EXIT_EXCEPTION)
  assert.equal(it.exception, { vector: 14, error: 3, cr2: 0x21000n })
  assert.is(it.peek(0x30ffe) & 0xffffn, 0x3344n, 'nothing was stored')
})

test('the EPT forbids data accesses, whichever came before', () => {
  const it = new LongMode()
  const { cpu } = it
  const page = cpu.hostOf(0x20000)
  runs(it, load(0x20000), store(0x20000))
  cpu.protect(page, L.PAGE_DENY_WRITE)
  runs(it, load(0x20000))
  assert.is(it.execute(program(movEax(3), store(0x20008))), EXIT_EPT_VIOLATION)
  assert.is(cpu.readU64(L.EXIT_GPA), 0x20008n)
  assert.is(cpu.readU64(L.EXIT_VALUE), 2n)
  assert.is(it.rip, CODE + 5, 'at the instruction')
  cpu.protect(page, L.PAGE_DENY_ALL)
  assert.is(it.execute(program(load(0x20010))), EXIT_EPT_VIOLATION)
  assert.is(cpu.readU64(L.EXIT_VALUE), 1n)
  cpu.protect(page, 0)
  assert.is(cpu.run(1000), EXIT_HLT, 'and goes on when the right is given back')
})

test('the EPT forbids page tables', () => {
  for (const [table, name] of [
    [PML4, 'PML4'],
    [PAGE_DIRECTORY, 'directory'],
    [PAGE_TABLE, 'table'],
  ] as const) {
    const it = new LongMode()
    runs(it, load(0x20000))
    it.cpu.protect(it.cpu.hostOf(table), L.PAGE_DENY_READ)
    assert.is(it.go(CODE), EXIT_EPT_VIOLATION, name)
    assert.is(it.cpu.readU64(L.EXIT_GPA) & ~0xfffn, BigInt(table), name)
    it.cpu.protect(it.cpu.hostOf(table), 0)
    assert.is(it.cpu.run(1000), EXIT_HLT, name)
  }
})

test('the EPT forbids execution of decoded code', () => {
  const it = new LongMode()
  runs(it, movEax(1))
  it.cpu.protect(it.cpu.hostOf(CODE), L.PAGE_DENY_EXECUTE)
  assert.is(it.go(CODE), EXIT_EPT_VIOLATION)
  assert.is(it.cpu.readU64(L.EXIT_VALUE), 4n)
  assert.is(it.cpu.readU64(L.EXIT_GPA), BigInt(CODE))
})

test('addresses that nothing backs read as ones and drop stores', () => {
  const it = new LongMode()
  it.map(0x20000, 0x40000000)
  runs(it, movEax(1), store(0x20000), storeByte(0x20001, 0), load(0x20000))
  assert.is(it.gpr(L.RAX), 0xffffffffn)
  // ADD [20000], EAX reads ones; CF and the sum tell.
  runs(it, movEax(2), [0x01, 0x04, 0x25, 0, 0, 2, 0], [0x0f, 0x92, 0xc3], load(0x20000))
  assert.is(it.gpr(L.RBX) & 0xffn, 1n)
  assert.is(it.gpr(L.RAX), 0xffffffffn)
})

test.run()
