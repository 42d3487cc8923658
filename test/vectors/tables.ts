/** Descriptor tables, page tables and system registers of the corpus (its README, "Default initial state" to "Modes"). */
import type { Cpu } from '../../src/cpu/cpu.ts'
import * as L from '../../src/cpu/layout.ts'
import type { Mode } from './corpus.ts'

/** What the processor is set up as: long mode with its compatibility mode, protected mode with PAE paging, or real mode. */
export type Platform = 'long' | 'legacy' | 'real'

export const MEMORY_SIZE = 0x200000

// Physical places of the tables, out of the tests' reach. Their pages are mapped one to one, for the supervisor.
const PML4 = 0x100000
/** PDPT, page directory and page table of the lowest 2 MB; HIGH_TABLES likewise for the alias of long64. */
const LOW_TABLES = 0x101000
const HIGH_TABLES = 0x104000
/** Page directory and page table for the alias below 4 GB. */
const ALIAS_TABLES = 0x107000
/** PAE paging knows no rights in the entries of the PDPT: there they are reserved bits. */
const PAE_PDPT = 0x109000
const GDT = 0x110000
const LDT = 0x111000
const IDT = 0x112000
const TSS = 0x113000
const RING0_STACK = 0x118000
const TABLES_END = 0x118000

const CODE64 = 0x10
const CODE32 = 0x08
const DATA = 0x18
const TSS_SELECTOR = 0x40
const LDT_SELECTOR = 0x50
const TSS_LIMIT = 0x67
const LDT_LIMIT = 0xb7

const GDT_ENTRIES: Record<number, bigint> = {
  8: 0x00cf9b000000ffffn,
  16: 0x00af9b000000ffffn,
  24: 0x00cf93000000ffffn,
  32: 0x00cffb000000ffffn,
  40: 0x00cff3000000ffffn,
  48: 0x00affb000000ffffn,
  [TSS_SELECTOR]: descriptor(TSS, TSS_LIMIT, 0x8b, 0),
  [LDT_SELECTOR]: descriptor(LDT, LDT_LIMIT, 0x82, 0),
}

const LDT_ENTRIES: Record<number, bigint> = {
  8: descriptor(0, 0xfffff, 0xfb, 0xc),
  16: descriptor(0, 0xfffff, 0xf3, 0xc),
  24: descriptor(0x1000, 0xdfff, 0xf3, 4),
  32: descriptor(0x2000, 0xfffff, 0xf3, 0xc),
  40: descriptor(0, 0xffff, 0xfb, 0),
  48: descriptor(0, 0xffff, 0xf3, 0),
  56: descriptor(0x4000, 0xffff, 0xfb, 0),
  64: descriptor(0x8000, 0xffff, 0xf3, 0),
  72: descriptor(0x7000, 0xffff, 0xf3, 0),
  80: descriptor(0x8100, 0xffff, 0xf3, 0),
  88: descriptor(0x9000, 0xffff, 0xf3, 0),
  96: descriptor(0x1230, 0xffff, 0xf3, 0),
  104: descriptor(0, 0xfffff, 0x73, 0xc),
  112: descriptor(0, 0xfffff, 0xf1, 0xc),
  120: descriptor(0, 0xfffff, 0xf9, 0xc),
  128: descriptor(0, 0x8fff, 0xf7, 4),
  136: descriptor(0, 0x9fff, 0xf3, 4),
  144: descriptor(0, 0xfffff, 0x7b, 0xc),
  152: descriptor(0x4000, 0x2fff, 0xfb, 4),
  160: descriptor(0, 0x8fff, 0xf7, 0),
  168: descriptor(0, 9, 0xf1, 0xc),
  176: descriptor(0x10, 0x8fff, 0xf9, 0),
}

/** From base, raw limit, access byte and flags (G, D/B, L, AVL). */
function descriptor(base: number, limit: number, access: number, flags: number): bigint {
  const low = BigInt(limit & 0xffff) | (BigInt(base & 0xffffff) << 16n)
  const high = BigInt(access) | (BigInt(((limit >> 16) & 15) | (flags << 4)) << 8n) | (BigInt(base >>> 24) << 16n)
  return low | (high << 40n)
}

/** Contents of a segment register; `ar` as layout.ts has it. */
export interface Segment {
  readonly selector: number
  readonly base: bigint
  readonly limit: number
  readonly ar: number
}

const SELECTORS: Record<Mode, readonly number[]> = {
  long64: [0x2b, 0x33, 0x2b, 0x2b],
  prot32: [0x17, 0x0f, 0x17, 0x17, 0x1f, 0x27],
  prot16: [0x37, 0x2f, 0x37, 0x37, 0x37, 0x37],
  prot16b: [0x57, 0x3f, 0x4f, 0x47, 0x5f, 0x67],
}

const LONG_FS_GS: readonly Segment[] = [0x1230n, 0x7fffffff0000n].map((base) => {
  return { selector: 0, base, limit: 0, ar: 0x10000 }
})

/** ES CS SS DS FS GS as a case of the mode begins. */
export function segmentsOf(mode: Mode, platform: Platform): readonly Segment[] {
  const segments = SELECTORS[mode].map(fromTable)
  if (platform === 'real') return segments.map(realModeSegment)
  return mode === 'long64' ? [...segments, ...LONG_FS_GS] : segments
}

function fromTable(selector: number): Segment {
  const table = selector & 4 ? LDT_ENTRIES : GDT_ENTRIES
  const entry = table[selector & ~7] as bigint
  const raw = Number((entry & 0xffffn) | ((entry >> 32n) & 0xf0000n))
  const ar = Number((entry >> 40n) & 0xf0ffn)
  const limit = ar & 0x8000 ? (raw << 12) | 0xfff : raw
  return { selector, base: ((entry >> 16n) & 0xffffffn) | ((entry >> 56n) << 24n), limit: limit >>> 0, ar }
}

function realModeSegment({ base, ar }: Segment): Segment {
  return { selector: Number(base >> 4n), base, limit: 0xffff, ar: ar & 8 ? 0x9b : 0x93 }
}

/**
 * 32-bit code as it begins, but for the last page below 4 GB, which ES lacks. No case finds anything there; but the processor
 * may no longer take the segments for flat.
 */
export function withNarrowEs([es, ...others]: readonly Segment[]): readonly Segment[] {
  return [{ ...(es as Segment), limit: 0xffffefff }, ...others]
}

export function writeSegment(cpu: Cpu, at: number, segment: Segment): void {
  cpu.writeU64(at + L.SEG_BASE, segment.base)
  cpu.writeU32(at + L.SEG_LIMIT, segment.limit)
  cpu.writeU32(at + L.SEG_SELECTOR, segment.selector)
  cpu.writeU32(at + L.SEG_AR, segment.ar)
}

const PRESENT = 1n
const WRITABLE = 2n
const USER = 4n
const NO_EXECUTE = 1n << 63n
const ALL = PRESENT | WRITABLE | USER

/** Rights of the pages below 0x10000 by number; those not named are not present. */
const PAGES: Record<number, bigint> = {
  4: ALL,
  5: ALL,
  6: ALL,
  8: ALL,
  9: ALL,
  10: ALL,
  12: PRESENT | USER | NO_EXECUTE,
  13: PRESENT | WRITABLE,
}

/** Writes the tables into guest memory; `view` begins at guest-physical 0. */
export function writeTables(view: DataView, platform: Platform): void {
  const write = (address: number, value: bigint): void => view.setBigUint64(address, value, true)
  if (platform === 'real') return
  writePageTables(write)
  for (const [index, entry] of Object.entries(GDT_ENTRIES)) write(GDT + Number(index), entry)
  for (const [index, entry] of Object.entries(LDT_ENTRIES)) write(LDT + Number(index), entry)
  writeGates(write, platform)
  // In both formats no I/O permission bitmap: its offset lies beyond the limit.
  view.setUint16(TSS + 0x66, TSS_LIMIT + 1, true)
  view.setUint32(TSS + 4, RING0_STACK, true)
  if (platform === 'legacy') view.setUint16(TSS + 8, DATA, true)
}

function writePageTables(write: (address: number, value: bigint) => void): void {
  write(PML4, BigInt(LOW_TABLES) | ALL)
  write(PML4 + 255 * 8, BigInt(HIGH_TABLES) | ALL)
  write(LOW_TABLES, BigInt(LOW_TABLES + 0x1000) | ALL)
  write(LOW_TABLES + 3 * 8, BigInt(ALIAS_TABLES) | ALL)
  write(PAE_PDPT, BigInt(LOW_TABLES + 0x1000) | PRESENT)
  write(PAE_PDPT + 3 * 8, BigInt(ALIAS_TABLES) | PRESENT)
  write(LOW_TABLES + 0x1000, BigInt(LOW_TABLES + 0x2000) | ALL)
  write(HIGH_TABLES + 511 * 8, BigInt(HIGH_TABLES + 0x1000) | ALL)
  write(HIGH_TABLES + 0x1000 + 511 * 8, BigInt(HIGH_TABLES + 0x2000) | ALL)
  write(ALIAS_TABLES + 511 * 8, BigInt(ALIAS_TABLES + 0x1000) | ALL)
  for (const [number, rights] of Object.entries(PAGES)) {
    const page = Number(number)
    const entry = (BigInt(page) << 12n) | rights
    write(LOW_TABLES + 0x2000 + page * 8, entry)
    // 7FFFFFFF8000 and FFFF8000 are page 1F8 of their tables; only 8000-EFFF have aliases.
    if (page < 8) continue
    write(HIGH_TABLES + 0x2000 + (0x1f0 + page) * 8, entry)
    // The alias of prot32 was there in 64-bit mode, too: XLAT with 67h reaches it (int64-mov.10076).
    write(ALIAS_TABLES + 0x1000 + (0x1f0 + page) * 8, entry)
  }
  for (let page = GDT >> 12; page < TABLES_END >> 12; page++) {
    write(LOW_TABLES + 0x2000 + page * 8, (BigInt(page) << 12n) | PRESENT | WRITABLE)
  }
}

function writeGates(write: (address: number, value: bigint) => void, platform: Platform): void {
  const selector = platform === 'long' ? CODE64 : CODE32
  const size = platform === 'long' ? 16 : 8
  for (let vector = 0; vector < 256; vector++) {
    const access = vector === 3 || vector === 4 ? 0xeen : 0x8en
    write(IDT + vector * size, (BigInt(selector) << 16n) | (access << 40n) | (0x11n << 48n))
  }
}

// PE MP ET NE WP AM PG; PAE OSFXSR OSXMMEXCPT FSGSBASE OSXSAVE; SCE LME LMA NXE.
const CR0 = 0x80050033n
const CR0_PE = 1n
const CR0_PG = 0x80000000n
const CR4 = 0x50620n
const EFER = 0xd01n
const EFER_LME_LMA = 0x500n

/** All registers that a case does not set. */
export function writeSystemRegisters(cpu: Cpu, platform: Platform): void {
  cpu.writeU64(L.CR0, platform === 'real' ? CR0 & ~(CR0_PE | CR0_PG) : CR0)
  cpu.writeU64(L.CR2, 0n)
  cpu.writeU64(L.CR3, BigInt(platform === 'long' ? PML4 : PAE_PDPT))
  cpu.writeU64(L.CR4, CR4)
  cpu.writeU64(L.EFER, platform === 'long' ? EFER : EFER & ~EFER_LME_LMA)
  cpu.writeU64(L.XCR0, 7n)
  // What MOV to CR3 would have loaded.
  const directories = platform === 'legacy' ? { 0: LOW_TABLES + 0x1000, 3: ALIAS_TABLES } : {}
  for (let n = 0; n < 4; n++) cpu.writeU64(L.PDPTE + n * 8, 0n)
  for (const [n, directory] of Object.entries(directories)) {
    cpu.writeU64(L.PDPTE + Number(n) * 8, BigInt(directory) | PRESENT)
  }
  writeTable(cpu, L.GDTR, GDT, 0x7f)
  if (platform === 'real') writeTable(cpu, L.IDTR, 0, 0x3ff)
  else writeTable(cpu, L.IDTR, IDT, platform === 'long' ? 0xfff : 0x7ff)
  writeSegment(cpu, L.LDTR, { selector: LDT_SELECTOR, base: BigInt(LDT), limit: LDT_LIMIT, ar: 0x82 })
  writeSegment(cpu, L.TR, { selector: TSS_SELECTOR, base: BigInt(TSS), limit: TSS_LIMIT, ar: 0x8b })
  cpu.writeU64(L.DR6, 0xffff0ff0n)
  cpu.writeU64(L.DR7, 0x400n)
  // Exceptions are looked at before they are delivered, as the corpus records them.
  cpu.writeU32(L.EXCEPTION_BITMAP, 0xffffffff)
}

function writeTable(cpu: Cpu, at: number, base: number, limit: number): void {
  cpu.writeU64(at + L.SEG_BASE, BigInt(base))
  cpu.writeU32(at + L.SEG_LIMIT, limit)
}
