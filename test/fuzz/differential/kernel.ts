/**
 * The supervisor of a program. Whatever the program does, it goes on: a page that may be mended is mapped, an instruction
 * that faults is skipped, and from anywhere else the program begins its outer loop anew. What handlers see (RIP, RFLAGS,
 * error code, CR2) goes into a hash in memory, so that an event at a wrong place is noticed even if all else is right.
 */
import { Assembler, CONDITION, type Label, label, le32, little } from './assembler.ts'
import {
  CODE_SIZE,
  CODE_WINDOW,
  DATA_SIZE,
  HANDLERS,
  K,
  LENGTHS,
  MENDABLE,
  RECURSIVE,
  STACK_SIZE,
  SYSTEM,
} from './layout.ts'

const RAX = 0
const RCX = 1
const RDX = 2
const VECTORS = 32
export const VECTOR_FLIP = 0x82
export const VECTOR_UNMAP = 0x81
export const VECTOR_NOTHING = 0x80
/** External interrupts have vectors from here on, of INTERRUPT_KINDS kinds. */
export const FIRST_INTERRUPT = 0x20
const INTERRUPT_KINDS = 3

/** Places in the frame of an exception once three registers are pushed: vector, error code and the frame proper. */
const FRAME = { vector: 24, error: 32, rip: 40, rflags: 56, rsp: 64 } as const

export interface Kernel {
  readonly bytes: Uint8Array
  /** Offsets in `bytes` of the handlers by vector. */
  readonly entries: readonly number[]
  /** Where SYSCALL leads. */
  readonly syscall: number
}

export interface KernelOptions {
  /** The page-table entry of a code page with two versions, as a linear address, and what XOR takes it to the other. */
  readonly overlay: { readonly entry: bigint; readonly difference: bigint; readonly linear: bigint }
  /** Mappings are forgotten by MOV to CR3 instead of INVLPG. */
  readonly reload: boolean
}

/** Absolute operand: ModRM and SIB without base, and the address in the system's window. */
const at = (field: number, gpa: number): number[] => [
  0x04 | (field << 3),
  0x25,
  ...le32(Number(BigInt.asIntN(32, SYSTEM)) + gpa),
]
const load = (register: number, gpa: number): number[] => [0x48, 0x8b, ...at(register, gpa)]
const store = (gpa: number, register: number): number[] => [0x48, 0x89, ...at(register, gpa)]
const increment = (gpa: number): number[] => [0x48, 0xff, ...at(0, gpa)]
const stack = (opcode: number, register: number, offset: number): number[] => [
  0x48,
  opcode,
  0x44 | (register << 3),
  0x24,
  offset,
]
const loadImmediate = (register: number, value: bigint): number[] => [0x48, 0xb8 | register, ...little(value, 8)]
const MOVE = 0x8b
const STORE = 0x89
const ADD = 0x03
const XOR = 0x33

class KernelWriter {
  readonly #asm = new Assembler(SYSTEM + BigInt(HANDLERS), 0x1000)
  readonly #options: KernelOptions
  readonly #common = label()
  readonly #out = label()
  readonly #mend = label()
  readonly #unmap = label()

  constructor(options: KernelOptions) {
    this.#options = options
  }

  write(): Kernel {
    const asm = this.#asm
    const entries: number[] = []
    for (let vector = 0; vector < VECTORS; vector++) entries.push(this.#stub(vector))
    this.#exception()
    this.#unmapRoutine()
    const kinds = [this.#lightInterrupt(), this.#hashingInterrupt(), this.#nestingInterrupt()]
    for (let vector = VECTORS; vector < 256; vector++) entries.push(kinds[vector % INTERRUPT_KINDS] as number)
    entries[VECTOR_NOTHING] = this.#nothing()
    entries[VECTOR_UNMAP] = this.#unmapService()
    entries[VECTOR_FLIP] = this.#flipService()
    const syscall = asm.at
    asm.op(...increment(K.events))
    asm.op(0x48, 0x0f, 0x07)
    asm.finish()
    return { bytes: asm.bytes, entries, syscall }
  }

  #stub(vector: number): number {
    const asm = this.#asm
    const entry = asm.at
    const hasError = vector === 8 || (vector >= 10 && vector <= 14) || vector === 17
    if (!hasError) asm.op(0x6a, 0)
    asm.op(0x6a, vector)
    asm.jump(this.#common)
    return entry
  }

  /** RAX becomes the hash with RIP and RFLAGS of the frame taken in. */
  #takeIn(rip: number, rflags: number): void {
    const asm = this.#asm
    asm.op(...load(RAX, K.hash))
    asm.op(0x48, 0xc1, 0xc0, 7)
    asm.op(...stack(XOR, RAX, rip))
    asm.op(...stack(ADD, RAX, rflags))
  }

  #exception(): void {
    const asm = this.#asm
    const skip = label()
    const resume = label()
    const trap = label()
    asm.bind(this.#common)
    for (const register of [RAX, RCX, RDX]) asm.op(0x50 | register)
    this.#takeIn(FRAME.rip, FRAME.rflags)
    asm.op(...stack(XOR, RAX, FRAME.vector))
    asm.op(...stack(ADD, RAX, FRAME.error))
    asm.op(...store(K.hash, RAX))
    asm.op(...increment(K.events))
    asm.op(...stack(MOVE, RAX, FRAME.vector))
    this.#compareByte(1)
    asm.jumpIf(CONDITION.e, trap)
    this.#compareByte(3)
    asm.jumpIf(CONDITION.e, this.#out)
    this.#compareByte(8)
    asm.jumpIf(CONDITION.e, resume)
    this.#compareByte(14)
    asm.jumpIf(CONDITION.ne, skip)
    this.#pageFault()
    this.#skip(skip, resume)
    this.#resume(resume)
    this.#trap(trap)
    this.#mendPage(skip)
  }

  #compareByte(value: number): void {
    this.#asm.op(0x3c, value)
  }

  /** Goes to `mend` with the address in RAX when it lies in a window, else falls through. */
  #pageFault(): void {
    const asm = this.#asm
    asm.op(0x0f, 0x20, 0xd0)
    asm.op(0x48, 0x31, ...at(RAX, K.hash))
    const windows = [
      [K.dataBase, DATA_SIZE],
      [K.codeBase, CODE_WINDOW],
      [K.stackBase, STACK_SIZE],
    ] as const
    for (const [base, size] of windows) {
      asm.op(0x48, 0x89, 0xc1)
      asm.op(0x48, 0x2b, ...at(RCX, base))
      asm.op(0x48, 0x81, 0xf9, ...le32(size))
      asm.jumpIf(CONDITION.b, this.#mend)
    }
  }

  /** RIP past the instruction, if it is one of the program's. */
  #skip(skip: Label, resume: Label): void {
    const asm = this.#asm
    asm.bind(skip)
    asm.op(...stack(MOVE, RCX, FRAME.rip))
    asm.op(0x48, 0x2b, ...at(RCX, K.codeBase))
    asm.op(0x48, 0x81, 0xf9, ...le32(CODE_SIZE))
    asm.jumpIf(CONDITION.ae, resume)
    asm.op(...loadImmediate(RAX, SYSTEM + BigInt(LENGTHS)))
    asm.op(0x0f, 0xb6, 0x04, 0x08)
    asm.op(0x85, 0xc0)
    asm.jumpIf(CONDITION.e, resume)
    asm.op(0x48, 0x01, 0x44, 0x24, FRAME.rip)
    asm.jump(this.#out)
  }

  /** The program's outer loop. */
  #resume(resume: Label): void {
    const asm = this.#asm
    asm.bind(resume)
    asm.op(...load(RAX, K.resumeRip))
    asm.op(...stack(STORE, RAX, FRAME.rip))
    asm.op(...load(RAX, K.resumeRsp))
    asm.op(...stack(STORE, RAX, FRAME.rsp))
    asm.bind(this.#out)
    for (const register of [RDX, RCX, RAX]) asm.op(0x58 | register)
    asm.op(0x48, 0x83, 0xc4, 16)
    asm.op(0x48, 0xcf)
  }

  /** #DB: single-stepping ends after some instructions. */
  #trap(trap: Label): void {
    const asm = this.#asm
    asm.bind(trap)
    asm.op(0xf6, ...at(0, K.events), 7)
    asm.jumpIf(CONDITION.ne, this.#out)
    asm.op(0x81, 0x64, 0x24, FRAME.rflags, ...le32(~0x100))
    asm.jump(this.#out)
  }

  /** RCX becomes the linear address of the page-table entry of RAX; RDX is spent. */
  #entryOf(): void {
    const asm = this.#asm
    asm.op(0x48, 0x89, 0xc1)
    asm.op(0x48, 0xc1, 0xe9, 9)
    asm.op(...loadImmediate(RDX, 0x7ffffffff8n))
    asm.op(0x48, 0x21, 0xd1)
    asm.op(...loadImmediate(RDX, RECURSIVE))
    asm.op(0x48, 0x01, 0xd1)
  }

  #mendPage(skip: Label): void {
    const asm = this.#asm
    asm.bind(this.#mend)
    this.#entryOf()
    asm.op(0xf7, 0x01, ...le32(Number(MENDABLE)))
    asm.jumpIf(CONDITION.e, skip)
    asm.op(0x8b, 0x11)
    asm.op(0x83, 0xe2, 3)
    asm.op(0x83, 0xfa, 3)
    asm.jumpIf(CONDITION.e, skip)
    asm.op(0xf0, 0x83, 0x09, 3)
    asm.op(0x0f, 0x01, 0x38)
    asm.jump(this.#out)
  }

  /** INVLPG [RAX], or all of the TLB. */
  #forget(): void {
    if (!this.#options.reload) this.#asm.op(0x0f, 0x01, 0x38)
    else {
      this.#asm.op(0x0f, 0x20, 0xda)
      this.#asm.op(0x0f, 0x22, 0xda)
    }
  }

  /** The next data page in turn loses its presence, every fourth its right to be written instead, if it may be mended. */
  #unmapRoutine(): void {
    const asm = this.#asm
    const leave = label()
    const readOnly = label()
    const done = label()
    asm.bind(this.#unmap)
    asm.op(...increment(K.victim))
    asm.op(...load(RAX, K.victim))
    asm.op(0x83, 0xe0, DATA_SIZE / 4096 - 1)
    asm.op(0x48, 0xc1, 0xe0, 12)
    asm.op(0x48, 0x03, ...at(RAX, K.dataBase))
    this.#entryOf()
    asm.op(0xf7, 0x01, ...le32(Number(MENDABLE)))
    asm.jumpIf(CONDITION.e, leave)
    asm.op(0xf6, ...at(0, K.victim), 3)
    asm.jumpIf(CONDITION.e, readOnly)
    asm.op(0x83, 0x21, 0xfe)
    asm.jump(done)
    asm.bind(readOnly)
    asm.op(0x83, 0x21, 0xfd)
    asm.bind(done)
    this.#forget()
    asm.bind(leave)
    asm.op(0xc3)
  }

  #saved(body: () => void): number {
    const asm = this.#asm
    const entry = asm.at
    for (const register of [RAX, RCX, RDX]) asm.op(0x50 | register)
    body()
    for (const register of [RDX, RCX, RAX]) asm.op(0x58 | register)
    asm.op(0x48, 0xcf)
    return entry
  }

  #lightInterrupt(): number {
    const entry = this.#asm.at
    this.#asm.op(...increment(K.ticks))
    this.#asm.op(0x48, 0xcf)
    return entry
  }

  /** Takes its frame into the hash; every eighth takes a page away. */
  #hashingInterrupt(): number {
    const asm = this.#asm
    return this.#saved(() => {
      const over = label()
      this.#takeIn(24, 40)
      asm.op(...store(K.hash, RAX))
      asm.op(...increment(K.ticks))
      asm.op(0xf6, ...at(0, K.ticks), 7)
      asm.jumpIf(CONDITION.ne, over)
      asm.call(this.#unmap)
      asm.bind(over)
    })
  }

  /** A loop with interrupts enabled. */
  #nestingInterrupt(): number {
    const asm = this.#asm
    return this.#saved(() => {
      this.#takeIn(24, 40)
      asm.op(...store(K.hash, RAX))
      asm.op(0xb9, ...le32(12))
      asm.op(0xfb)
      const again = asm.here()
      asm.op(0x48, 0x01, ...at(RCX, K.ticks))
      asm.op(0xff, 0xc9)
      asm.jumpIf(CONDITION.ne, again)
      asm.op(0xfa)
    })
  }

  #nothing(): number {
    const entry = this.#asm.at
    this.#asm.op(0x48, 0xcf)
    return entry
  }

  #unmapService(): number {
    return this.#saved(() => this.#asm.call(this.#unmap))
  }

  /** The code page with two versions shows the other one. */
  #flipService(): number {
    const { overlay } = this.#options
    const asm = this.#asm
    return this.#saved(() => {
      asm.op(...loadImmediate(RCX, overlay.entry))
      asm.op(...loadImmediate(RDX, overlay.difference))
      asm.op(0x48, 0x31, 0x11)
      asm.op(...loadImmediate(RAX, overlay.linear))
      this.#forget()
      asm.op(...increment(K.flips))
    })
  }
}

export function writeKernel(options: KernelOptions): Kernel {
  return new KernelWriter(options).write()
}
