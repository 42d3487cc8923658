/** Memory and registers that a program starts with: paging structures, descriptors, the kernel, and random data. */
import type { Cpu } from '../../../src/cpu/cpu.ts'
import * as L from '../../../src/cpu/layout.ts'
import type { Random } from '../random.ts'
import type { Kernel } from './kernel.ts'
import {
  CODE,
  CODE_ALIAS,
  CODE_SIZE,
  DATA,
  DATA_SIZE,
  DOUBLE_FAULT_STACK,
  GDT,
  HANDLERS,
  IDT,
  KERNEL_STACK,
  LENGTHS,
  LOW_DATA,
  MEMORY_SIZE,
  MENDABLE,
  NEAR_DATA,
  PML4,
  RECURSIVE_SLOT,
  STACK,
  STACK_SIZE,
  SYSTEM,
  TABLES,
  TSS,
} from './layout.ts'

const P = 1n
const RW = 2n
const US = 4n
const A = 0x20n
const D = 0x40n
const G = 0x100n
const NX = 1n << 63n
const ADDRESS = 0x000ffffffffff000n
/** A guest-physical address that nothing backs. */
const NOWHERE = 0x100000

/** Pages are scattered, so that what follows in linear memory does not follow in RAM: a permutation of page numbers. */
export interface Scattering {
  readonly factor: number
  readonly mask: number
}

/** Guest-physical offset of a page's byte among 2^n pages. */
export function scattered(offset: number, size: number, { factor, mask }: Scattering): number {
  const pages = size / 4096
  const page = Math.floor(offset / 4096)
  return (((page * factor) ^ mask) & (pages - 1)) * 4096 + (offset & 4095)
}

export interface Placement {
  readonly codePages: Scattering
  readonly codeBase: bigint
  readonly dataBase: bigint
  readonly stackBase: bigint
  readonly ring: 0 | 3
}

const TOGETHER: Scattering = { factor: 1, mask: 0 }

export function scatteringOf(random: Random): Scattering {
  return { factor: random.pick([1, 3, 5, 7]), mask: random.below(16) }
}

export class Image {
  readonly bytes: Uint8Array
  readonly #view: DataView
  #tables = TABLES + 0x1000

  constructor(bytes = new Uint8Array(MEMORY_SIZE)) {
    this.bytes = bytes
    this.#view = new DataView(bytes.buffer)
  }

  put64(gpa: number, value: bigint): void {
    this.#view.setBigUint64(gpa, BigInt.asUintN(64, value), true)
  }

  /** Host-side address of the page-table entry of a linear address, making the tables above it. */
  entryOf(linear: bigint): number {
    let table = PML4
    for (let shift = 39n; shift > 12n; shift -= 9n) {
      const entry = table + Number((linear >> shift) & 511n) * 8
      if (this.#view.getBigUint64(entry, true) === 0n) {
        if (this.#tables === MEMORY_SIZE) throw new RangeError('too many paging structures')
        this.put64(entry, BigInt(this.#tables) | P | RW | US | A)
        this.#tables += 0x1000
      }
      table = Number(this.#view.getBigUint64(entry, true) & ADDRESS)
    }
    return table + Number((linear >> 12n) & 511n) * 8
  }

  map(linear: bigint, gpa: number, size: number, rights: () => bigint, scattering = TOGETHER): void {
    for (let at = 0; at < size; at += 4096) {
      const entry = this.entryOf(BigInt.asUintN(64, linear + BigInt(at)))
      const flags = rights()
      const page = (flags & NOWHERE_FLAG) !== 0n ? NOWHERE + at : gpa + scattered(at, size, scattering)
      this.put64(entry, BigInt(page) | (flags & ~NOWHERE_FLAG))
    }
  }

  /** The code, with the lengths of its instructions. */
  putCode(code: Uint8Array, lengths: Uint8Array, scattering: Scattering): void {
    for (let at = 0; at < CODE_SIZE; at += 4096) {
      this.bytes.set(code.subarray(at, at + 4096), CODE + scattered(at, CODE_SIZE, scattering))
    }
    this.bytes.set(lengths, LENGTHS)
  }

  mapAll(random: Random, { codeBase, codePages, dataBase, stackBase, ring }: Placement, tidy: boolean): void {
    const user = ring === 3 ? US : 0n
    const full = P | RW | A | D | user
    this.put64(PML4 + RECURSIVE_SLOT * 8, BigInt(PML4) | P | RW | A | D)
    this.map(SYSTEM, 0, TABLES, () => P | RW | G | (random.oneIn(4) ? 0n : A | D))
    // A look at code that is never run must leave no trace: its pages are not accessed yet.
    const code = full & ~A
    this.map(codeBase, CODE, CODE_SIZE, () => code, codePages)
    const dataPage = (): bigint => dataRights(random, user, tidy)
    this.map(codeBase + BigInt(NEAR_DATA), DATA, DATA_SIZE, dataPage, scatteringOf(random))
    this.map(codeBase + BigInt(CODE_ALIAS), CODE, CODE_SIZE, () => code, codePages)
    this.map(dataBase, DATA, DATA_SIZE, dataPage, scatteringOf(random))
    // Ring 0 takes its exceptions on the same stack, which must be there.
    this.map(stackBase, STACK, STACK_SIZE, () => (ring === 3 && random.oneIn(3) ? A | MENDABLE | user : full))
    this.map(BigInt(LOW_DATA), LOW_DATA, 0x4000, () => full)
  }

  fillData(random: Random): void {
    for (const [start, size] of [
      [DATA, DATA_SIZE],
      [LOW_DATA, 0x4000],
      [STACK, STACK_SIZE],
    ] as const) {
      for (let at = start; at < start + size; at += 4) {
        this.#view.setUint32(at, random.pick([0, random.below(256), random.u32(), random.u32()]), true)
      }
    }
  }

  describe(random: Random, kernel: Kernel): void {
    this.bytes.set(kernel.bytes, HANDLERS)
    for (const [index, entry] of GDT_ENTRIES.entries()) this.put64(GDT + index * 8, entry)
    this.put64(TSS + 4, SYSTEM + BigInt(KERNEL_STACK))
    this.put64(TSS + 36, SYSTEM + BigInt(DOUBLE_FAULT_STACK))
    kernel.entries.forEach((entry, vector) => {
      const handler = BigInt.asUintN(64, SYSTEM + BigInt(HANDLERS + entry))
      const dpl = vector === 3 || vector >= 0x80 ? 3n : 0n
      // Trap gates leave interrupts enabled, where the handler has a stack of its own to be interrupted on.
      const type = vector < 32 && vector !== 8 && vector !== 2 && random.oneIn(3) ? 15n : 14n
      const ar = 0x8000n | (dpl << 13n) | (type << 8n) | (vector === 8 ? 1n : 0n)
      this.put64(
        IDT + vector * 16,
        (handler & 0xffffn) | (8n << 16n) | (ar << 32n) | (((handler >> 16n) & 0xffffn) << 48n),
      )
      this.put64(IDT + vector * 16 + 8, handler >> 32n)
    })
  }
}

const GDT_ENTRIES = [
  0n,
  0x00af9b000000ffffn,
  0x00cf93000000ffffn,
  0x00cff3000000ffffn,
  0x00affb000000ffffn,
  0n,
  0x00008b00a0000067n,
  0n,
]

/** The physical page is one that nothing backs. */
const NOWHERE_FLAG = 1n << 62n

/** What a data page may be: most are simply there, others are mended when they are met; if not tidy, some are bad. */
function dataRights(random: Random, user: bigint, tidy: boolean): bigint {
  const full = P | RW | A | D | user
  switch (random.below(tidy ? 14 : 16)) {
    case 0:
      return P | RW | user
    case 1:
      return P | RW | A | user
    case 2:
    case 3:
      return MENDABLE | user
    case 4:
      return MENDABLE | P | A | user
    case 14:
      return random.oneIn(2) ? user : P | A | D | user
    case 15:
      return full | (random.oneIn(2) ? NOWHERE_FLAG : NX)
    case 7:
    case 8:
      return full | MENDABLE
    default:
      return full
  }
}

interface Segment {
  readonly selector: number
  readonly base: bigint
  readonly limit: number
  readonly ar: number
}

function setSegment(cpu: Cpu, at: number, { selector, base, limit, ar }: Segment): void {
  cpu.writeU64(at + L.SEG_BASE, BigInt.asUintN(64, base))
  cpu.writeU32(at + L.SEG_LIMIT, limit)
  cpu.writeU32(at + L.SEG_SELECTOR, selector)
  cpu.writeU32(at + L.SEG_AR, ar)
}

/** What a program's registers are at the start. */
export interface Start {
  readonly gprs: readonly bigint[]
  readonly rip: bigint
  readonly rflags: bigint
  readonly cr0: bigint
  readonly cr4: bigint
  readonly xcr0: bigint
  readonly mxcsr: number
  /** The YMM registers, one after the other. */
  readonly vectors: readonly number[]
  readonly fsBase: bigint
  readonly gsBase: bigint
  readonly ring: 0 | 3
  readonly lstar: bigint
}

/** Takes over memory and registers; the processor is new. */
export function enter(cpu: Cpu, image: Image, start: Start): void {
  cpu.bytes.set(image.bytes, cpu.hostOf(0))
  start.gprs.forEach((value, register) => {
    cpu.writeU64(L.GPR + register * 8, value)
  })
  cpu.writeU64(L.RIP, start.rip)
  cpu.writeU32(L.FAULT_VECTOR, 0xffffffff)
  cpu.writeU64(L.CR0, start.cr0)
  cpu.writeU64(L.CR3, BigInt(PML4))
  cpu.writeU64(L.CR4, start.cr4)
  cpu.writeU64(L.XCR0, start.xcr0)
  cpu.writeU32(L.MXCSR, start.mxcsr)
  cpu.bytes.set(start.vectors, L.YMM)
  cpu.writeU64(L.EFER, 0xd01n)
  cpu.writeU64(L.STAR, 0x0013000800000000n)
  cpu.writeU64(L.LSTAR, start.lstar)
  cpu.writeU64(L.SFMASK, 0x700n)
  const user = start.ring === 3
  const flat = { base: 0n, limit: 0xffffffff }
  setSegment(cpu, L.CS, { ...flat, selector: user ? 0x23 : 8, ar: user ? 0xa0fb : 0xa09b })
  for (const at of [L.SS, L.DS, L.ES, L.FS, L.GS]) {
    const base = at === L.FS ? start.fsBase : at === L.GS ? start.gsBase : 0n
    setSegment(cpu, at, { ...flat, base, selector: user ? 0x1b : 0x10, ar: user ? 0xc0f3 : 0xc093 })
  }
  setSegment(cpu, L.TR, { selector: 0x30, base: SYSTEM + BigInt(TSS), limit: 0x67, ar: 0x8b })
  setSegment(cpu, L.LDTR, { selector: 0, base: 0n, limit: 0xffff, ar: 0x82 })
  for (const [at, base, limit] of [
    [L.GDTR, GDT, 0x3f],
    [L.IDTR, IDT, 0xfff],
  ] as const) {
    cpu.writeU64(at + L.SEG_BASE, SYSTEM + BigInt(base))
    cpu.writeU32(at + L.SEG_LIMIT, limit)
  }
  cpu.rflags = start.rflags
  cpu.refresh()
}
