/**
 * A processor set up as the corpus was captured: CPL 3, its page tables, GDT, LDT, IDT and TSS. It runs one case after the
 * other; exceptions are intercepted before delivery, as the corpus records them.
 */
import { Cpu, type TranslatorFactory } from '../../src/cpu/cpu.ts'
import * as L from '../../src/cpu/layout.ts'
import { REGISTERS } from '../support/registers.ts'
import { type Case, defaultWord, type StateChange } from './corpus.ts'

const SEGMENTS = ['es', 'cs', 'ss', 'ds', 'fs', 'gs'] as const
const WINDOW_START = 0x4000
const DATA_START = 0x8000
const WINDOW_END = 0xf000
const MEMORY_SIZE = 0x200000

// Physical places of the tables, out of the tests' reach.
const PML4 = 0x100000
const LOW_TABLES = 0x101000
const HIGH_TABLES = 0x104000
/** Page directory and page table for the alias below 4 GB. */
const ALIAS_TABLES = 0x107000
const GDT = 0x110000
const LDT = 0x111000
const IDT = 0x112000
const TSS = 0x113000

const GDT_ENTRIES: Record<number, bigint> = {
  8: 0x00cf9b000000ffffn,
  16: 0x00af9b000000ffffn,
  24: 0x00cf93000000ffffn,
  32: 0x00cffb000000ffffn,
  40: 0x00cff3000000ffffn,
  48: 0x00affb000000ffffn,
}

/** Base, raw limit, access byte and flags, as the corpus README describes the segments. */
const LDT_ENTRIES: Record<number, readonly [base: number, limit: number, access: number, flags: number]> = {
  8: [0, 0xfffff, 0xfb, 0xc],
  16: [0, 0xfffff, 0xf3, 0xc],
  24: [0x1000, 0xdfff, 0xf3, 4],
  32: [0x2000, 0xfffff, 0xf3, 0xc],
  40: [0, 0xffff, 0xfb, 0],
  48: [0, 0xffff, 0xf3, 0],
  56: [0x4000, 0xffff, 0xfb, 0],
  64: [0x8000, 0xffff, 0xf3, 0],
  72: [0x7000, 0xffff, 0xf3, 0],
  80: [0x8100, 0xffff, 0xf3, 0],
  88: [0x9000, 0xffff, 0xf3, 0],
  96: [0x1230, 0xffff, 0xf3, 0],
  104: [0, 0xfffff, 0x73, 0xc],
  112: [0, 0xfffff, 0xf1, 0xc],
  120: [0, 0xfffff, 0xf9, 0xc],
  128: [0, 0x8fff, 0xf7, 4],
  136: [0, 0x9fff, 0xf3, 4],
  144: [0, 0xfffff, 0x7b, 0xc],
  152: [0x4000, 0x2fff, 0xfb, 4],
  160: [0, 0x8fff, 0xf7, 0],
  168: [0, 9, 0xf1, 0xc],
  176: [0x10, 0x8fff, 0xf9, 0],
}

function descriptor(base: number, limit: number, access: number, flags: number): bigint {
  const low = BigInt(limit & 0xffff) | (BigInt(base & 0xffffff) << 16n)
  const high = BigInt(access) | (BigInt(((limit >> 16) & 15) | (flags << 4)) << 8n) | (BigInt(base >>> 24) << 16n)
  return low | (high << 40n)
}

export interface Outcome {
  readonly rip: bigint
  readonly exc: { vector: number; error: number | undefined; cr2: bigint } | null
  /** Another exit than an exception. */
  readonly exit: number | undefined
}

export class VectorMachine {
  readonly cpu: Cpu
  readonly #base: number
  readonly #view: DataView
  /** The window as the case began, for comparison. */
  readonly #before = new Uint8Array(WINDOW_END - WINDOW_START)
  readonly #defaults = new Uint8Array(WINDOW_END - WINDOW_START)

  constructor(memseed: number, translator?: TranslatorFactory) {
    this.cpu = new Cpu({
      ranges: [{ gpa: 0, size: MEMORY_SIZE }],
      cr4Allowed: 0x3f07ffn,
      xcr0Allowed: 7n,
      ...(translator && { translator }),
    })
    this.#base = this.cpu.hostOf(0)
    this.#view = new DataView(this.cpu.bytes.buffer, this.#base, MEMORY_SIZE)
    this.#writeTables()
    this.#writeSystemRegisters()
    this.#defaults.fill(0xf4, 0, DATA_START - WINDOW_START)
    const words = new DataView(this.#defaults.buffer)
    for (let address = DATA_START; address < WINDOW_END; address += 4) {
      words.setUint32(address - WINDOW_START, defaultWord(memseed, address >>> 2), true)
    }
  }

  #u64(address: number, value: bigint): void {
    this.#view.setBigUint64(address, value, true)
  }

  #writeTables(): void {
    const present = 7n
    this.#u64(PML4, BigInt(LOW_TABLES) | present)
    this.#u64(PML4 + 255 * 8, BigInt(HIGH_TABLES) | present)
    this.#u64(LOW_TABLES, BigInt(LOW_TABLES + 0x1000) | present)
    this.#u64(LOW_TABLES + 0x1000, BigInt(LOW_TABLES + 0x2000) | present)
    this.#u64(HIGH_TABLES + 511 * 8, BigInt(HIGH_TABLES + 0x1000) | present)
    this.#u64(HIGH_TABLES + 0x1000 + 511 * 8, BigInt(HIGH_TABLES + 0x2000) | present)
    this.#u64(LOW_TABLES + 3 * 8, BigInt(ALIAS_TABLES) | present)
    this.#u64(ALIAS_TABLES + 511 * 8, BigInt(ALIAS_TABLES + 0x1000) | present)
    const noExecute = 1n << 63n
    const rights: Record<number, bigint> = { 4: 7n, 5: 7n, 6: 7n, 8: 7n, 9: 7n, 10: 7n, 12: 5n | noExecute, 13: 3n }
    for (const [page, bits] of Object.entries(rights)) {
      const entry = (BigInt(page) << 12n) | bits
      this.#u64(LOW_TABLES + 0x2000 + Number(page) * 8, entry)
      // 7FFFFFFF8000 is page 1F8 of the last table; only 8000-EFFF have the alias.
      if (Number(page) < 8) continue
      this.#u64(HIGH_TABLES + 0x2000 + (0x1f0 + Number(page)) * 8, entry)
      // The alias of prot32 was there in 64-bit mode, too: XLAT with 67h reaches it (int64-mov.10076).
      this.#u64(ALIAS_TABLES + 0x1000 + (0x1f0 + Number(page)) * 8, entry)
    }
    for (let page = 0x110; page < 0x118; page++) this.#u64(LOW_TABLES + 0x2000 + page * 8, (BigInt(page) << 12n) | 3n)
    for (const [selector, value] of Object.entries(GDT_ENTRIES)) this.#u64(GDT + Number(selector), value)
    // No I/O permission bitmap: its offset lies beyond the limit.
    this.#view.setUint16(TSS + 0x66, 0x68, true)
    this.#u64(GDT + 0x40, descriptor(TSS, 0x67, 0x8b, 0))
    this.#u64(GDT + 0x50, descriptor(LDT, 0xb7, 0x82, 0))
    for (const [index, entry] of Object.entries(LDT_ENTRIES)) this.#u64(LDT + Number(index), descriptor(...entry))
    for (let vector = 0; vector < 256; vector++) {
      const access = vector === 3 || vector === 4 ? 0xeen : 0x8en
      this.#u64(IDT + vector * 16, (0x10n << 16n) | (access << 40n) | (0x11n << 48n))
    }
  }

  #writeSystemRegisters(): void {
    const cpu = this.cpu
    cpu.writeU64(L.CR0, 0x80050033n)
    cpu.writeU64(L.CR3, BigInt(PML4))
    cpu.writeU64(L.CR4, 0x50620n)
    cpu.writeU64(L.EFER, 0xd01n)
    cpu.writeU64(L.XCR0, 7n)
    this.#table(L.GDTR, GDT, 0x7f)
    this.#table(L.IDTR, IDT, 0xfff)
    this.#segment(L.LDTR, 0x50, LDT, 0xb7, 0x82)
    this.#segment(L.TR, 0x40, TSS, 0x67, 0x8b)
    cpu.writeU32(L.EXCEPTION_BITMAP, 0xffffffff)
  }

  #table(at: number, base: number, limit: number): void {
    this.cpu.writeU64(at + L.SEG_BASE, BigInt(base))
    this.cpu.writeU32(at + L.SEG_LIMIT, limit)
  }

  #segment(at: number, selector: number, base: number | bigint, limit: number, ar: number): void {
    this.cpu.writeU64(at + L.SEG_BASE, BigInt(base))
    this.cpu.writeU32(at + L.SEG_LIMIT, limit)
    this.cpu.writeU32(at + L.SEG_SELECTOR, selector)
    this.cpu.writeU32(at + L.SEG_AR, ar)
  }

  /** Loads a case's initial state. */
  load(test: Case): void {
    const cpu = this.cpu
    REGISTERS.forEach((name, n) => {
      const value = (BigInt(defaultWord(test.seed, 2 * n + 1)) << 32n) | BigInt(defaultWord(test.seed, 2 * n))
      cpu.writeU64(L.GPR + n * 8, hex(test.init[name]) ?? (name === 'rsp' ? 0xa800n : value))
    })
    cpu.writeU64(L.RIP, hex(test.init.rip) ?? 0x5000n)
    this.#segment(L.CS, 0x33, 0, 0xffffffff, 0xa0fb)
    for (const [segment, selector] of [
      [L.SS, 0x2b],
      [L.DS, 0x2b],
      [L.ES, 0x2b],
    ] as const) {
      this.#segment(segment, selector, 0, 0xffffffff, 0xc0f3)
    }
    this.#segment(L.FS, 0, 0x1230, 0, 0x10000)
    this.#segment(L.GS, 0, 0x7fffffff0000n, 0, 0x10000)
    cpu.writeU32(L.FAULT_VECTOR, 0xffffffff)
    cpu.writeU32(L.ATTENTION, 0)
    cpu.writeU32(L.PENDING_DB, 0)
    cpu.rflags = hex(test.init.rflags) ?? BigInt(0x202 | (defaultWord(test.seed, 200) & 0x8d5))
    this.#loadMemory(test)
    cpu.refresh()
  }

  #loadMemory(test: Case): void {
    const window = this.cpu.bytes.subarray(this.#base + WINDOW_START, this.#base + WINDOW_END)
    window.set(this.#defaults)
    for (const [address, bytes] of test.init.mem ?? [])
      window.set(Buffer.from(bytes, 'hex'), fold(address) - WINDOW_START)
    const rip = Number(hex(test.init.rip) ?? 0x5000n)
    window.set(Buffer.from(test.code, 'hex'), fold(rip.toString(16)) - WINDOW_START)
    this.#before.set(window)
    this.cpu.written(this.#base + WINDOW_START, WINDOW_END - WINDOW_START)
  }

  /** Runs until the case stops as it was captured: at the HLT after the code, or with an exception. */
  run(test: Case): Outcome {
    const cpu = this.cpu
    const start = hex(test.init.rip) ?? 0x5000n
    const reason = cpu.run(1_000_000)
    const rip = cpu.readU64(L.RIP)
    if (reason !== 0) return { rip, exc: null, exit: reason }
    const vector = cpu.readU32(L.FAULT_VECTOR)
    const error = cpu.readU32(L.FAULT_HAS_ERROR) ? cpu.readU32(L.FAULT_ERROR) : undefined
    if (vector === 13 && error === 0 && rip !== start && this.#isHalt(rip)) return { rip, exc: null, exit: undefined }
    return { rip, exc: { vector, error, cr2: cpu.readU64(L.FAULT_CR2) }, exit: undefined }
  }

  #isHalt(rip: bigint): boolean {
    const gpa = this.cpu.runtime.lookUp(rip)
    return gpa >= 0n && gpa < BigInt(MEMORY_SIZE) && this.#view.getUint8(Number(gpa)) === 0xf4
  }

  /** Differences between the final state and what the case says; empty when it passed. */
  compare(test: Case, outcome: Outcome): string[] {
    const problems: string[] = []
    const check = (what: string, actual: unknown, expected: unknown) => {
      if (actual !== expected) problems.push(`${what}: ${show(actual)}, expected ${show(expected)}`)
    }
    check('exit', outcome.exit, undefined)
    check('exception', outcome.exc?.vector, test.exc?.vector)
    if (test.exc && outcome.exc) {
      check('error code', outcome.exc.error, test.exc.error)
      if (test.exc.vector === 14) check('cr2', outcome.exc.cr2, hex(test.exc.cr2))
    }
    check('rip', outcome.rip, hex(test.final.rip))
    this.#compareRegisters(test, check)
    this.#compareMemory(test, problems)
    return problems
  }

  #compareRegisters(test: Case, check: (what: string, actual: unknown, expected: unknown) => void): void {
    const cpu = this.cpu
    const ignored = new Set((test.undefReg ?? '').split(','))
    REGISTERS.forEach((name, n) => {
      const before = hex(test.init[name])
      const standard = (BigInt(defaultWord(test.seed, 2 * n + 1)) << 32n) | BigInt(defaultWord(test.seed, 2 * n))
      const expected = hex(test.final[name]) ?? before ?? (name === 'rsp' ? 0xa800n : standard)
      if (!ignored.has(name)) check(name, cpu.readU64(L.GPR + n * 8), expected)
    })
    const initial = hex(test.init.rflags) ?? BigInt(0x202 | (defaultWord(test.seed, 200) & 0x8d5))
    const undefined_ = test.exc && !test.asm.startsWith('seq') ? 0 : (test.undef ?? 0)
    const mask = ~BigInt(undefined_ | 0x10000)
    check('rflags', cpu.rflags & mask, (hex(test.final.rflags) ?? initial) & mask)
    SEGMENTS.forEach((name, n) => {
      const standard = { es: 0x2bn, cs: 0x33n, ss: 0x2bn, ds: 0x2bn, fs: 0n, gs: 0n }[name]
      const loaded = BigInt(cpu.readU32(L.SEGMENTS + n * L.SEGMENT_SIZE + L.SEG_SELECTOR))
      // Recorded by a handler in ring 3, that is, behind an IRET to an outer level, which turns every null selector
      // into 0 (SDM volume 2, IRET, RETURN-TO-OUTER-PRIVILEGE-LEVEL); MOV itself keeps the RPL.
      const selector = loaded < 4n ? 0n : loaded
      if (!ignored.has(name)) check(name, selector, hex(test.final[name]) ?? hex(test.init[name]) ?? standard)
    })
    const bases = { fs_base: [L.FS, 0x1230n], gs_base: [L.GS, 0x7fffffff0000n] } as const
    for (const [name, [segment, standard]] of Object.entries(bases)) {
      if (ignored.has(name)) continue
      check(name, cpu.readU64(segment + L.SEG_BASE), hex(test.final[name]) ?? hex(test.init[name]) ?? standard)
    }
  }

  #compareMemory(test: Case, problems: string[]): void {
    const expected = this.#before
    for (const [address, bytes] of test.final.mem ?? [])
      expected.set(Buffer.from(bytes, 'hex'), fold(address) - WINDOW_START)
    const window = this.cpu.bytes.subarray(this.#base + WINDOW_START, this.#base + WINDOW_END)
    for (const [address, length] of test.memIgnore ?? []) {
      const at = fold(address) - WINDOW_START
      expected.set(window.subarray(at, at + length), at)
    }
    if (Buffer.compare(window, expected) === 0) return
    const at = window.findIndex((byte, index) => byte !== expected[index])
    problems.push(`memory at ${(WINDOW_START + at).toString(16)}: ${show(window[at])}, expected ${show(expected[at])}`)
  }
}

/** Offset of a linear address in the low 64 KB: the aliases end in the same 16 bits. */
function fold(address: string): number {
  return Number(BigInt(`0x${address}`) & 0xffffn)
}

function hex(value: StateChange[string]): bigint | undefined {
  return typeof value === 'string' ? BigInt(`0x${value}`) : undefined
}

function show(value: unknown): string {
  return typeof value === 'bigint' || typeof value === 'number' ? `0x${value.toString(16)}` : String(value)
}
