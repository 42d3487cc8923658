/**
 * The VM that random code runs in. Guest-physical memory lies in three ranges with gaps between them:
 *
 *   0000000-009FFFF   tables, code, data, stacks (below)
 *   0100000-015FFFF   more
 *   100000000         1 MB beyond 4 GB
 *
 *   01000  PML4    05000  page directory for 4 GB   10000  code, 8 KB         28000  ring-0 stacks
 *   02000  PDPT    08000  GDT                       20000  data, 32 KB        30000  stack of the program
 *   03000  PD      09000  IDT
 *   04000  PT      0A000  TSS                       0B000  handlers
 *
 * Linear addresses: the first 2 MB one to one through 4 KB pages; 200000 is a large page over a gap, 400000 a large page
 * over the first 2 MB again, 40000000 a 1 GB page over it, 100000000 the high range by 4 KB pages, PML4[256] the page
 * tables themselves (recursive), PML4[511] all of it once more.
 */
import type { MemoryRange } from '../../src/cpu/cpu.ts'
import {
  VCPU_REGS_CR0,
  VCPU_REGS_CR3,
  VCPU_REGS_CR4,
  VCPU_REGS_EFER,
  VCPU_REGS_KGSBASE,
  VCPU_REGS_LSTAR,
  VCPU_REGS_RFLAGS,
  VCPU_REGS_RIP,
  VCPU_REGS_RSP,
  VCPU_REGS_SFMASK,
  VCPU_REGS_STAR,
  VCPU_REGS_TR,
  type VcpuRegState,
  type VmCreateParams,
} from '../../src/vmm/index.ts'
import { longModeState } from '../support/guest64.ts'
import { loadRegister, randomInstruction } from './instructions.ts'
import type { Random } from './random.ts'

export type Ring = 0 | 3

export const RANGES: readonly MemoryRange[] = [
  { gpa: 0, size: 0xa0000 },
  { gpa: 0x100000, size: 0x60000 },
  { gpa: 0x100000000, size: 0x100000 },
]
const PML4 = 0x1000
const PDPT = 0x2000
const PD = 0x3000
const PT = 0x4000
const HIGH_PD = 0x5000
const HIGH_PT = 0x6000
const GDT = 0x8000
const IDT = 0x9000
const TSS = 0xa000
const HANDLERS = 0xb000
export const CODE = 0x10000
const CODE_SIZE = 0x2000
const DATA = 0x20000
const KERNEL_STACK = 0x29000
const STACK = 0x31000

const USER_CODE = 0x23n
const USER_DATA = 0x1b

/** Addresses where something is to be met. */
const PLACES: readonly bigint[] = [
  0x20000n,
  0x20ff8n,
  0x20fffn,
  0x21ffdn,
  0x27ffcn,
  0x30800n,
  0x10010n,
  0x10ffcn,
  0x10345n,
  0x11ff0n,
  0x9fff8n,
  0xa0000n,
  0x100000n,
  0x15fff9n,
  0x160000n,
  0x210000n,
  0x2fffffn,
  0x420ff8n,
  0x410020n,
  0x40020000n,
  0x40010040n,
  0x100000000n,
  0x1000ffffcn,
  0x100100000n,
  0x4080n,
  0x1000n,
  0x9000n,
  0x8000n,
  0xa000n,
  0xffff800000000000n,
  0xffff808040201000n,
  0xffffff8000020000n,
  0xffffff8000010000n,
  0x7ffffffffff8n,
  0x7fffffffffffn,
  0x800000000000n,
  0xffffffffffffffffn,
  0n,
]
/** Model-specific registers, leaves and counts for RCX. */
const SMALL: readonly bigint[] = [
  0n,
  1n,
  2n,
  8n,
  0x10n,
  0x40n,
  0x80n,
  0x1000n,
  0xc0000080n,
  0xc0000081n,
  0xc0000082n,
  0xc0000084n,
  0xc0000100n,
  0xc0000101n,
  0xc0000102n,
  0x174n,
  0x175n,
  0x176n,
  0x1d9n,
  0x277n,
  0x10n,
]

export interface Program {
  /** Contents of the ranges, one after the other. */
  readonly memory: Uint8Array
  readonly state: VcpuRegState
}

export function createParams(): VmCreateParams {
  let va = 0x10000n
  const vcp_memranges = RANGES.map(({ gpa, size }) => {
    const range = { vmr_gpa: BigInt(gpa), vmr_va: va, vmr_size: BigInt(size) }
    va += range.vmr_size
    return range
  })
  return { vcp_nmemranges: RANGES.length, vcp_ncpus: 1, vcp_name: 'fuzz', vcp_memranges }
}

const MEMORY_SIZE = RANGES.reduce((sum, { size }) => sum + size, 0)
const memory = new Uint8Array(MEMORY_SIZE)
const view = new DataView(memory.buffer)

/** A program; `tame` ones can not reach the page tables, so their runs do not depend on what the TLB holds. */
export function randomProgram(random: Random, ring: Ring, tame: boolean): Program {
  memory.fill(0)
  writePageTables(random, ring, tame)
  const recovers = !random.oneIn(8)
  writeDescriptors(random, tame)
  writeHandlers(random)
  writeCode(random)
  for (let at = DATA; at < DATA + 0x8000; at += 4)
    view.setUint32(at, random.oneIn(8) ? random.u32() : 0x20000 + (at & 0x7fff), true)
  return { memory, state: initialState(random, ring, recovers, tame) }
}

function u64(at: number, value: bigint): void {
  view.setBigUint64(at, value, true)
}

function writePageTables(random: Random, ring: Ring, tame: boolean): void {
  const user = ring === 3 ? 4n : BigInt(random.pick([0, 4]))
  const all = 3n | user
  u64(PML4, BigInt(PDPT) | 7n)
  u64(PML4 + 511 * 8, BigInt(PDPT) | 7n)
  u64(PDPT, BigInt(PD) | 7n)
  u64(PDPT + 4 * 8, BigInt(HIGH_PD) | 7n)
  u64(PD, BigInt(PT) | 7n)
  u64(PD + 8, 0x200080n | all)
  u64(HIGH_PD, BigInt(HIGH_PT) | 7n)
  for (let page = 0; page < 512; page++) {
    u64(PT + page * 8, BigInt(page * 4096) | rights(random, page, all, tame))
    if (page < 260) u64(HIGH_PT + page * 8, (0x100000000n + BigInt(page * 4096)) | rights(random, page, all, tame))
  }
  if (tame) return
  u64(PML4 + 256 * 8, BigInt(PML4) | 3n | (random.oneIn(3) ? 4n : 0n))
  u64(PDPT + 8, 0x80n | all)
  u64(PD + 16, 0x80n | all | (random.oneIn(2) ? 0x100n : 0n))
}

/** The program's own pages keep their rights; others lose some now and then. */
function rights(random: Random, page: number, all: bigint, tame: boolean): bigint {
  if (page < 0xc) {
    if (tame) return page < 8 ? 1n : 3n
    return all & ~(random.oneIn(3) ? 4n : 0n)
  }
  if (page < 0x21 || (page >= 0x28 && page < 0x32) || !random.oneIn(4)) return all | (random.oneIn(3) ? 0x60n : 0n)
  return all ^ random.pick([1n, 2n, 4n, 0x100n, 1n << 63n, 1n << 50n])
}

function writeDescriptors(random: Random, tame: boolean): void {
  const entries = [
    0n,
    0x00af9b000000ffffn,
    0x00cf93000000ffffn,
    0x00cff3000000ffffn,
    0x00affb000000ffffn,
    0x00cffb000000ffffn,
  ]
  entries.forEach((entry, index) => {
    u64(GDT + index * 8, entry)
  })
  u64(GDT + 0x30, 0x00008900a0000fffn)
  for (let at = 0x40; at < 0x80 && !tame; at += 8) u64(GDT + at, random.u64())
  u64(TSS + 4, BigInt(KERNEL_STACK))
  for (let ist = 0; ist < 7; ist++) u64(TSS + 36 + ist * 8, BigInt(KERNEL_STACK - 0x200))
  view.setUint16(TSS + 0x66, 0x68, true)
  for (let at = 0x68; at < 0x1000; at += 4) view.setUint32(TSS + at, random.oneIn(4) ? random.u32() : 0, true)
  const ist = random.oneIn(4) ? 0n : 1n
  for (let vector = 0; vector < 256; vector++) {
    const handler = BigInt(HANDLERS + (vector < 32 ? vector * 64 : 2048 + random.below(16) * 64))
    const dpl = random.oneIn(4) ? 0x6000n : 0n
    const type = random.oneIn(100) ? BigInt(random.below(32)) << 8n : random.oneIn(2) ? 0xe00n : 0xf00n
    const low = (handler & 0xffffn) | (8n << 16n) | ((0x8000n | dpl | type | ist) << 32n) | ((handler >> 16n) << 48n)
    u64(IDT + vector * 16, low)
  }
}

/**
 * Handlers go on one byte further, or somewhere in the code when RIP was not in it:
 * CMP QWORD [RSP], CODE; JB away; CMP QWORD [RSP], end of it; JAE away; INC QWORD [RSP]; IRETQ; away: MOV [RSP], target; IRETQ.
 */
function writeHandlers(random: Random): void {
  for (let slot = 0; slot < 48; slot++) {
    const hasError = slot === 8 || (slot >= 10 && slot <= 14) || slot === 17
    const skip = slot < 32 ? [0x48, 0xff, 0x04, 0x24] : [0x0f, 0x1f, 0x40, 0x00]
    const code = [
      ...(hasError ? [0x48, 0x83, 0xc4, 0x08] : []),
      ...[0x48, 0x81, 0x3c, 0x24, ...le32(CODE), 0x72, 16],
      ...[0x48, 0x81, 0x3c, 0x24, ...le32(CODE + CODE_SIZE), 0x73, 6],
      ...[...skip, 0x48, 0xcf],
      ...[0x48, 0xc7, 0x04, 0x24, ...le32(CODE + random.below(CODE_SIZE)), 0x48, 0xcf],
    ]
    memory.set(code, HANDLERS + slot * 64)
  }
}

export function le32(value: number): number[] {
  return [value & 255, (value >> 8) & 255, (value >> 16) & 255, value >>> 24]
}

/** Mostly instructions, some bytes, and registers that are set anew now and then so that accesses hit. */
function writeCode(random: Random): void {
  const share = random.pick([2, 8, 64, 1000])
  let at = CODE
  while (at < CODE + CODE_SIZE - 24) {
    const bytes = random.oneIn(share)
      ? random.bytes(1 + random.below(8))
      : random.oneIn(6)
        ? loadRegister(random.below(16), value(random))
        : randomInstruction(random)
    memory.set(bytes, at)
    at += bytes.length
  }
}

function value(random: Random): bigint {
  switch (random.below(4)) {
    case 0:
      return random.u64()
    case 1:
      return random.pick(SMALL)
    default:
      return BigInt.asUintN(64, random.pick(PLACES) + BigInt(random.below(16) - 8))
  }
}

function initialState(random: Random, ring: Ring, recovers: boolean, tame: boolean): VcpuRegState {
  const vrs = longModeState(CODE + random.below(256))
  for (let register = 0; register < 16; register++) vrs.vrs_gprs[register] = value(random)
  const flags = random.u32() & 0xcd5 & (random.oneIn(20) ? -1 : ~0x100)
  vrs.vrs_gprs[VCPU_REGS_RSP] = BigInt(STACK - 0x100)
  vrs.vrs_gprs[VCPU_REGS_RIP] = BigInt(CODE + random.below(256))
  vrs.vrs_gprs[VCPU_REGS_RFLAGS] = BigInt(flags | 2 | random.pick([0, 0x3000]) | random.pick([0, 0, 0x40000]) | 0x200)
  vrs.vrs_crs[VCPU_REGS_CR0] = 0x80000011n | random.pick([0n, 0x10000n, 0x50000n]) | (tame ? 0x10000n : 0n)
  vrs.vrs_crs[VCPU_REGS_CR3] = BigInt(PML4)
  vrs.vrs_crs[VCPU_REGS_CR4] =
    0x20n | random.pick([0n, 0x80n, 0x10080n, 0x300080n, 0x104n]) | (ring === 0 ? 0n : 0x10000n)
  vrs.vrs_msrs[VCPU_REGS_EFER] = 0x500n | (tame ? 0x800n : random.pick([1n, 0x801n]))
  vrs.vrs_msrs[VCPU_REGS_STAR] = 0x0010000800000000n | (0x13n << 48n)
  vrs.vrs_msrs[VCPU_REGS_LSTAR] = BigInt(CODE + random.below(CODE_SIZE))
  vrs.vrs_msrs[VCPU_REGS_SFMASK] = BigInt(random.pick([0, 0x200, 0x700]))
  vrs.vrs_msrs[VCPU_REGS_KGSBASE] = random.pick(PLACES) & 0x7fffffffffffn
  vrs.vrs_gdtr = { vsi_sel: 0, vsi_limit: 0x7f, vsi_ar: 0, vsi_base: BigInt(GDT) }
  vrs.vrs_idtr = { vsi_sel: 0, vsi_limit: recovers ? 0xfff : 0, vsi_ar: 0, vsi_base: BigInt(IDT) }
  vrs.vrs_sregs[VCPU_REGS_TR] = { vsi_sel: 0x30, vsi_limit: 0xfff, vsi_ar: 0x8b, vsi_base: BigInt(TSS) }
  if (ring === 3) enterRing3(vrs)
  return vrs
}

function enterRing3(vrs: VcpuRegState): void {
  const data = { vsi_sel: USER_DATA, vsi_limit: 0xffffffff, vsi_ar: 0xc0f3, vsi_base: 0n }
  const code = { vsi_sel: Number(USER_CODE), vsi_limit: 0xffffffff, vsi_ar: 0xa0fb, vsi_base: 0n }
  for (let index = 0; index < 6; index++) vrs.vrs_sregs[index] = index === 0 ? code : data
}
