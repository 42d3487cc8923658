/**
 * A bare processor (no vmm around it) in real mode or in protected mode without paging, ring 0, for hand-assembled programs.
 *
 *   01000  code of 32 bits and of 16 bits, 02000 handlers (64 bytes each), 07000 top of the ring-0 stack, 0F000 of the others'
 *   10000  interrupt vector table of real mode is at 0; 11000 GDT, 12000 IDT, 13000 LDT, 14000 TSS, 15000 a second TSS
 *   20000  page tables
 *
 * All exceptions leave run() with reason 0 until `deliverAll` lets them through. MOV to CR0 and CR4, WRMSR and RDMSR of EFER are
 * done here, as a monitor does them.
 */
import { Cpu, type CpuOptions } from '../../src/cpu/cpu.ts'
import * as L from '../../src/cpu/layout.ts'
import { le32 } from './long-mode.ts'

export const CODE = 0x1000
export const STACK = 0x7000
export const OUTER_STACK = 0xf000
export const GDT = 0x11000
export const IDT = 0x12000
export const LDT = 0x13000
export const TSS = 0x14000
export const TSS2 = 0x15000
export const TABLES = 0x20000

export const EXIT_EXCEPTION = 0
export const EXIT_TRIPLE_FAULT = 2
export const EXIT_HLT = 12
const EXIT_CR_ACCESS = 28
const EXIT_RDMSR = 31
const EXIT_WRMSR = 32
export const HLT = 0xf4

/** Selectors of the GDT. */
export const CODE32 = 0x08
export const DATA32 = 0x10
export const CODE32_USER = 0x1b
export const DATA32_USER = 0x23
export const CODE16 = 0x28
export const DATA16 = 0x30
export const TSS_SELECTOR = 0x38
export const TSS2_SELECTOR = 0x40
export const LDT_SELECTOR = 0x48
export const CODE64 = 0x50
/** Free for what a test needs: 58 to 98. */
export const SPARE = 0x58

/** Type, S, DPL and P of a descriptor. */
export const ACCESS = {
  code: 0x9b,
  conforming: 0x9e,
  data: 0x93,
  readOnly: 0x91,
  expandDown: 0x97,
  ldt: 0x82,
  tss16: 0x81,
  tss32: 0x89,
  callGate16: 0x84,
  taskGate: 0x85,
  interruptGate16: 0x86,
  trapGate16: 0x87,
  callGate32: 0x8c,
  interruptGate32: 0x8e,
  trapGate32: 0x8f,
} as const
export const dpl = (level: number): number => level << 5
/** G and D/B, in the flags of a descriptor. */
export const G = 8
export const DB = 4
export const LONG = 2

/** A segment: base, limit in units of G, access byte, flags. */
export function segment(base: number, limit: number, access: number, flags = 0): bigint {
  const low = BigInt(limit & 0xffff) | (BigInt(base & 0xffffff) << 16n)
  const high = BigInt(access) | (BigInt(((limit >> 16) & 15) | (flags << 4)) << 8n) | (BigInt(base >>> 24) << 16n)
  return low | (high << 40n)
}

/** A gate to selector:offset; `parameters` of a call gate. */
export function gate(selector: number, offset: number, access: number, parameters = 0): bigint {
  const low = BigInt(offset & 0xffff) | (BigInt(selector) << 16n)
  return low | (BigInt(parameters) << 32n) | (BigInt(access) << 40n) | (BigInt(offset >>> 16) << 48n)
}

const FLAT = 0xfffff
const GDT_ENTRIES: Record<number, bigint> = {
  [CODE32]: segment(0, FLAT, ACCESS.code, G | DB),
  [DATA32]: segment(0, FLAT, ACCESS.data, G | DB),
  [CODE32_USER]: segment(0, FLAT, ACCESS.code | dpl(3), G | DB),
  [DATA32_USER]: segment(0, FLAT, ACCESS.data | dpl(3), G | DB),
  [CODE16]: segment(0, 0xffff, ACCESS.code),
  [DATA16]: segment(0, 0xffff, ACCESS.data),
  [TSS_SELECTOR]: segment(TSS, 0x67, ACCESS.tss32),
  [TSS2_SELECTOR]: segment(TSS2, 0x67, ACCESS.tss32),
  [LDT_SELECTOR]: segment(LDT, 0xff, ACCESS.ldt),
  [CODE64]: segment(0, FLAT, ACCESS.code, G | LONG),
}

const CR0_PE = 1n

export class Segmented {
  readonly cpu: Cpu
  readonly #view: DataView
  #handlers = 0

  constructor(mode: 'real' | 'protected', options: Omit<CpuOptions, 'ranges'> = {}) {
    this.cpu = new Cpu({ ranges: [{ gpa: 0, size: 0x800000 }], ...options })
    this.#view = new DataView(this.cpu.bytes.buffer)
    for (const [selector, entry] of Object.entries(GDT_ENTRIES)) this.describe(Number(selector), entry)
    this.poke32(TSS + 4, STACK)
    this.poke32(TSS + 8, DATA32)
    this.#reset(mode)
  }

  #reset(mode: 'real' | 'protected'): void {
    const { cpu } = this
    cpu.writeU64(L.CR0, mode === 'real' ? 0x10n : 0x11n)
    cpu.writeU64(L.RSP, BigInt(STACK))
    cpu.writeU64(L.RIP, BigInt(CODE))
    cpu.writeU32(L.EXCEPTION_BITMAP, 0xffffffff)
    this.#table(L.GDTR, GDT, 0xff)
    this.#table(L.IDTR, mode === 'real' ? 0 : IDT, mode === 'real' ? 0x3ff : 0x7ff)
    this.#write(L.TR, TSS_SELECTOR, TSS, 0x67, 0x8b)
    this.#write(L.LDTR, 0, 0, 0xffff, 0x10000)
    for (let number = 0; number < 6; number++) {
      if (mode === 'real') this.#write(L.SEGMENTS + number * L.SEGMENT_SIZE, 0, 0, 0xffff, number === 1 ? 0x9b : 0x93)
      else this.load(number, number === 1 ? CODE32 : DATA32)
    }
    cpu.rflags = 2n
    cpu.refresh()
  }

  #table(at: number, base: number, limit: number): void {
    this.cpu.writeU64(at + L.SEG_BASE, BigInt(base))
    this.cpu.writeU32(at + L.SEG_LIMIT, limit)
  }

  #write(at: number, selector: number, base: number, limit: number, ar: number): void {
    this.#table(at, base, limit)
    this.cpu.writeU32(at + L.SEG_SELECTOR, selector)
    this.cpu.writeU32(at + L.SEG_AR, ar)
  }

  /** Loads a segment register (ES 0 ... GS 5) from the GDT without any checks. */
  load(number: number, selector: number): void {
    const entry = this.peek(GDT + (selector & ~7))
    const raw = Number((entry & 0xffffn) | ((entry >> 32n) & 0xf0000n))
    const ar = Number((entry >> 40n) & 0xf0ffn)
    const limit = ar & 0x8000 ? (raw << 12) | 0xfff : raw
    const base = Number(((entry >> 16n) & 0xffffffn) | ((entry >> 56n) << 24n))
    this.#write(L.SEGMENTS + number * L.SEGMENT_SIZE, selector, base, limit >>> 0, ar)
    this.cpu.refresh()
  }

  /** Ring 3 with flat segments, and another stack. */
  enterUser(): void {
    for (let number = 0; number < 6; number++) this.load(number, number === 1 ? CODE32_USER : DATA32_USER)
    this.cpu.writeU64(L.RSP, BigInt(OUTER_STACK))
  }

  /** Virtual-8086 mode with all segments at 0. */
  enterVirtual8086(iopl: number): void {
    for (let number = 0; number < 6; number++) this.#write(L.SEGMENTS + number * L.SEGMENT_SIZE, 0, 0, 0xffff, 0xf3)
    this.cpu.rflags = BigInt(0x20002 | (iopl << 12))
    this.cpu.refresh()
    this.cpu.writeU64(L.RSP, BigInt(OUTER_STACK))
  }

  describe(selector: number, entry: bigint): void {
    this.poke(GDT + (selector & ~7), entry)
  }

  descriptor(selector: number): bigint {
    return this.peek(GDT + (selector & ~7))
  }

  gate(vector: number, entry: bigint): void {
    this.poke(IDT + vector * 8, entry)
  }

  /** Code for an event: an interrupt gate to it in protected mode, a vector in real mode. Gives its address. */
  handler(vector: number, code: readonly number[], access: number = ACCESS.interruptGate32): number {
    const address = 0x2000 + this.#handlers++ * 64
    this.put(address, ...code)
    if (this.cpu.readU64(L.CR0) & CR0_PE) this.gate(vector, gate(CODE32, address, access))
    else this.poke32(vector * 4, address)
    return address
  }

  /** No exception leaves run() any more. */
  deliverAll(): void {
    this.cpu.writeU32(L.EXCEPTION_BITMAP, 0)
  }

  put(address: number, ...bytes: readonly number[]): void {
    const host = this.cpu.hostOf(address)
    this.cpu.bytes.set(bytes, host)
    this.cpu.written(host, bytes.length)
  }

  peek(address: number): bigint {
    return this.#view.getBigUint64(this.cpu.hostOf(address), true)
  }

  peek32(address: number): number {
    return this.#view.getUint32(this.cpu.hostOf(address), true)
  }

  peek16(address: number): number {
    return this.#view.getUint16(this.cpu.hostOf(address), true)
  }

  poke(address: number, value: bigint): void {
    const host = this.cpu.hostOf(address)
    this.#view.setBigUint64(host, value, true)
    this.cpu.written(host, 8)
  }

  poke32(address: number, value: number): void {
    this.put(address, ...le32(value))
  }

  /** Double words one after the other. */
  words(address: number, ...values: readonly number[]): void {
    for (const [index, value] of values.entries()) this.poke32(address + index * 4, value)
  }

  /** Puts a program at an address (a linear one; RIP is the offset in CS) and runs it. */
  execute(code: readonly number[], address = CODE): number {
    this.put(address, ...code)
    return this.go(address - Number(this.cpu.readU64(L.CS + L.SEG_BASE)))
  }

  go(rip: number): number {
    this.rip = rip
    this.cpu.writeU32(L.FAULT_VECTOR, 0xffffffff)
    return this.resume()
  }

  /** Runs on; what a monitor does without telling anybody is done. */
  resume(): number {
    const { cpu } = this
    for (;;) {
      const reason = cpu.run(10_000)
      const done = this.#emulate(reason)
      if (done === undefined) return reason
      if (done) cpu.advance()
      else cpu.raise(13, 0)
    }
  }

  /** Whether the value was allowed; undefined when the exit is for the test. */
  #emulate(reason: number): boolean | undefined {
    const { cpu } = this
    if (reason === EXIT_CR_ACCESS) {
      const value = cpu.readU64(L.EXIT_VALUE)
      return (cpu.readU32(L.CR_NUMBER) === 0 ? cpu.runtime.writeCr0(value) : cpu.runtime.writeCr4(value)) === 0
    }
    if (cpu.readU32(L.RCX) !== 0xc0000080) return undefined
    if (reason === EXIT_WRMSR) return cpu.runtime.writeEfer(BigInt(cpu.readU32(L.RAX))) === 0
    if (reason !== EXIT_RDMSR) return undefined
    cpu.writeU64(L.RAX, cpu.readU64(L.EFER))
    cpu.writeU64(L.RDX, 0n)
    return true
  }

  get rip(): number {
    return Number(this.cpu.readU64(L.RIP))
  }

  set rip(value: number) {
    this.cpu.writeU64(L.RIP, BigInt(value))
  }

  get esp(): number {
    return Number(this.cpu.readU64(L.RSP))
  }

  set esp(value: number) {
    this.cpu.writeU64(L.RSP, BigInt(value))
  }

  gpr(address: number): number {
    return Number(this.cpu.readU64(address))
  }

  setGpr(address: number, value: number): void {
    this.cpu.writeU64(address, BigInt(value))
  }

  /** Selector of a segment register. */
  selector(at: number): number {
    return this.cpu.readU32(at + L.SEG_SELECTOR)
  }

  base(at: number): number {
    return Number(this.cpu.readU64(at + L.SEG_BASE))
  }

  usable(at: number): boolean {
    return (this.cpu.readU32(at + L.SEG_AR) & 0x10000) === 0
  }

  get cpl(): number {
    return this.cpu.readU32(L.CPL)
  }

  get mode(): number {
    return this.cpu.readU32(L.MODE)
  }

  /** The exception that run() has left with; an error code of -1 says that there is none. */
  get exception(): { vector: number; error: number } {
    const hasError = this.cpu.readU32(L.FAULT_HAS_ERROR) !== 0
    return { vector: this.cpu.readU32(L.FAULT_VECTOR) | 0, error: hasError ? this.cpu.readU32(L.FAULT_ERROR) : -1 }
  }

  /** Double words on the stack of ring 0, from the top. */
  stack(count: number): number[] {
    return Array.from({ length: count }, (_, index) => this.peek32(this.esp + index * 4))
  }
}

export const le16 = (value: number): number[] => [value & 255, (value >> 8) & 255]
/** JMP and CALL to a far pointer, of the size of the code segment or (o16, o32) the other one. */
export const farJump16 = (selector: number, offset: number): number[] => [0xea, ...le16(offset), ...le16(selector)]
export const farJump32 = (selector: number, offset: number): number[] => [0xea, ...le32(offset), ...le16(selector)]
export const farCall16 = (selector: number, offset: number): number[] => [0x9a, ...le16(offset), ...le16(selector)]
export const farCall32 = (selector: number, offset: number): number[] => [0x9a, ...le32(offset), ...le16(selector)]
/** MOV r32, imm32 in 32-bit code. */
export const mov32 = (register: number, value: number): number[] => [0xb8 + register, ...le32(value)]
/** MOV r16, imm16 in 16-bit code. */
export const mov16 = (register: number, value: number): number[] => [0xb8 + register, ...le16(value)]
/** MOV Sreg, r16 */
export const movSegment = (number: number, register: number): number[] => [0x8e, 0xc0 | (number << 3) | register]
export const INT = (vector: number): number[] => [0xcd, vector]
export const IRET = 0xcf
export const O32 = 0x66
