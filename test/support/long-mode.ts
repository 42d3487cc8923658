/**
 * A bare processor (no vmm around it) in 64-bit mode, ring 0, for hand-assembled programs.
 *
 *   01000  code, 2000 handlers, 7000 top of the stack
 *   80000  PML4, PDPT, page directory, page table: the first 2 MB one to one in 4 KB pages, user, writable
 *   88000  GDT: null, 64-bit code (8), data (10), user data (18), user code (20), 32-bit code (28), TSS (30)
 *   89000  IDT, empty      8A000  TSS, RSP0 7800, IST1 7C00
 *
 * Exceptions leave run() with reason 0 (EXCEPTION_BITMAP) until `handler` installs one for a vector.
 */
import { Cpu, type CpuOptions, type MemoryRange } from '../../src/cpu/cpu.ts'
import * as L from '../../src/cpu/layout.ts'

export const CODE = 0x1000
export const STACK = 0x7000
export const PML4 = 0x80000
export const PDPT = 0x81000
export const PAGE_DIRECTORY = 0x82000
export const PAGE_TABLE = 0x83000
const GDT = 0x88000
export const IDT = 0x89000
const TSS = 0x8a000
const HANDLERS = 0x2000

export const PRESENT = 1n
export const WRITABLE = 2n
export const USER = 4n
export const ACCESSED = 0x20n
export const DIRTY = 0x40n
export const LARGE = 0x80n
export const GLOBAL = 0x100n
export const NO_EXECUTE = 1n << 63n

export const EXIT_EXCEPTION = 0
export const EXIT_TRIPLE_FAULT = 2
export const EXIT_HLT = 12
export const EXIT_EPT_VIOLATION = 48
export const HLT = 0xf4

const GDT_ENTRIES = [
  0n,
  0x00af9b000000ffffn,
  0x00cf93000000ffffn,
  0x00cff3000000ffffn,
  0x00affb000000ffffn,
  0x00cf9b000000ffffn,
  0x00008b08a0000067n,
]

export class LongMode {
  readonly cpu: Cpu
  readonly #view: DataView
  #handlers = 0
  #intercepted = 0xffffffff

  constructor(ranges: readonly MemoryRange[] = [{ gpa: 0, size: 0x200000 }], options: Omit<CpuOptions, 'ranges'> = {}) {
    this.cpu = new Cpu({ ranges, ...options })
    this.#view = new DataView(this.cpu.bytes.buffer)
    this.poke(PML4, BigInt(PDPT) | 7n)
    this.poke(PDPT, BigInt(PAGE_DIRECTORY) | 7n)
    this.poke(PAGE_DIRECTORY, BigInt(PAGE_TABLE) | 7n)
    for (let page = 0; page < 512; page++) this.poke(PAGE_TABLE + page * 8, BigInt(page * 4096) | 7n)
    for (const [index, entry] of GDT_ENTRIES.entries()) this.poke(GDT + index * 8, entry)
    this.poke(TSS + 4, 0x7800n)
    this.poke(TSS + 36, 0x7c00n)
    this.reset()
  }

  /** All registers as at the start; memory stays. */
  reset(): void {
    const { cpu } = this
    for (let register = 0; register < 16; register++) cpu.writeU64(L.GPR + register * 8, 0n)
    this.forget()
    cpu.writeU64(L.CR0, 0x80010033n)
    cpu.writeU64(L.CR3, BigInt(PML4))
    cpu.writeU64(L.CR4, 0xa0n)
    cpu.writeU64(L.EFER, 0xd01n)
    cpu.writeU64(L.RSP, BigInt(STACK))
    cpu.writeU64(L.RIP, BigInt(CODE))
    cpu.writeU32(L.EXCEPTION_BITMAP, this.#intercepted)
    this.#segment(L.CS, 8, 0, 0xffffffff, 0xa09b)
    for (const segment of [L.SS, L.DS, L.ES, L.FS, L.GS]) this.#segment(segment, 0x10, 0, 0xffffffff, 0xc093)
    this.#segment(L.TR, 0x30, TSS, 0x67, 0x8b)
    this.#segment(L.LDTR, 0, 0, 0xffff, 0x82)
    cpu.writeU64(L.GDTR + L.SEG_BASE, BigInt(GDT))
    cpu.writeU32(L.GDTR + L.SEG_LIMIT, 0x37)
    cpu.writeU64(L.IDTR + L.SEG_BASE, BigInt(IDT))
    cpu.writeU32(L.IDTR + L.SEG_LIMIT, 0xfff)
    cpu.rflags = 2n
    cpu.refresh()
  }

  #segment(at: number, selector: number, base: number, limit: number, ar: number): void {
    this.cpu.writeU64(at + L.SEG_BASE, BigInt(base))
    this.cpu.writeU32(at + L.SEG_LIMIT, limit)
    this.cpu.writeU32(at + L.SEG_SELECTOR, selector)
    this.cpu.writeU32(at + L.SEG_AR, ar)
  }

  /** Ring 3, with the flat user segments. */
  enterUser(): void {
    this.#segment(L.CS, 0x23, 0, 0xffffffff, 0xa0fb)
    for (const segment of [L.SS, L.DS, L.ES, L.FS, L.GS]) this.#segment(segment, 0x1b, 0, 0xffffffff, 0xc0f3)
    this.cpu.refresh()
  }

  /** Stores code or data, and tells the processor. */
  put(gpa: number, ...bytes: readonly number[]): void {
    const host = this.cpu.hostOf(gpa)
    this.cpu.bytes.set(bytes, host)
    this.cpu.written(host, bytes.length)
  }

  peek(gpa: number): bigint {
    return this.#view.getBigUint64(this.cpu.hostOf(gpa), true)
  }

  poke(gpa: number, value: bigint): void {
    const host = this.cpu.hostOf(gpa)
    this.#view.setBigUint64(host, value, true)
    this.cpu.written(host, 8)
  }

  /** Maps a page of the first 2 MB; does not flush the TLB. */
  map(linear: number, gpa: number, rights = PRESENT | WRITABLE | USER): void {
    this.poke(PAGE_TABLE + (linear >> 12) * 8, BigInt(gpa) | rights)
  }

  /** The page-table entry of a page of the first 2 MB. */
  pte(linear: number): bigint {
    return this.peek(PAGE_TABLE + (linear >> 12) * 8)
  }

  /** An interrupt gate to code of its own; the exception no longer leaves run(). */
  handler(vector: number, code: readonly number[], ist = 0): void {
    const address = HANDLERS + this.#handlers++ * 64
    this.put(address, ...code)
    this.poke(IDT + vector * 16, BigInt(address) | 0x8e0000080000n | (BigInt(ist) << 32n))
    this.#intercepted &= ~(1 << vector)
    this.cpu.writeU32(L.EXCEPTION_BITMAP, this.#intercepted)
  }

  /** Exceptions without a handler are the guest's own trouble from now on. */
  interceptNothing(): void {
    this.#intercepted = 0
    this.cpu.writeU32(L.EXCEPTION_BITMAP, 0)
  }

  /** Puts a program at CODE and runs it from there. */
  execute(code: readonly number[], budget = 100_000): number {
    this.put(CODE, ...code)
    this.rip = CODE
    return this.cpu.run(budget)
  }

  /** Runs up to the next HLT from an address. */
  go(rip: number, budget = 100_000): number {
    this.rip = rip
    return this.cpu.run(budget)
  }

  get rip(): number {
    return Number(this.cpu.readU64(L.RIP))
  }

  set rip(value: number) {
    this.cpu.writeU64(L.RIP, BigInt(value))
  }

  gpr(address: number): bigint {
    return this.cpu.readU64(address)
  }

  /** The exception that run() left with. */
  get exception(): { vector: number; error: number; cr2: bigint } {
    const { cpu } = this
    return { vector: cpu.readU32(L.FAULT_VECTOR), error: cpu.readU32(L.FAULT_ERROR), cr2: cpu.readU64(L.FAULT_CR2) }
  }

  /** After an exception that is not to be delivered. */
  forget(): void {
    this.cpu.writeU32(L.FAULT_VECTOR, 0xffffffff)
  }

  counter(address: number): number {
    return Number(this.cpu.readU64(address))
  }
}

export function le32(value: number): number[] {
  return [value & 255, (value >> 8) & 255, (value >> 16) & 255, (value >>> 24) & 255]
}

/** MOV r32, imm32 */
export const movEax = (value: number): number[] => [0xb8, ...le32(value)]
export const movEcx = (value: number): number[] => [0xb9, ...le32(value)]
export const movEbx = (value: number): number[] => [0xbb, ...le32(value)]
/** MOV EAX, [address] */
export const load = (address: number): number[] => [0x8b, 0x04, 0x25, ...le32(address)]
/** MOV [address], EAX */
export const store = (address: number): number[] => [0x89, 0x04, 0x25, ...le32(address)]
/** MOV BYTE [address], value */
export const storeByte = (address: number, value: number): number[] => [0xc6, 0x04, 0x25, ...le32(address), value]
/** INVLPG [address] */
export const invlpg = (address: number): number[] => [0x0f, 0x01, 0x3c, 0x25, ...le32(address)]
/** MOV RAX, CR3; MOV CR3, RAX */
export const reloadCr3 = [0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8]
/** JMP to an absolute address from one. */
export const jump = (from: number, to: number): number[] => [0xe9, ...le32(to - (from + 5))]
