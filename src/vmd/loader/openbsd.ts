/**
 * OpenBSD kernels, and ELF32 images without a multiboot header: the start that vmd gives them (machine.md, 3), in place
 * of OpenBSD's boot(8). A 64-bit kernel starts in compatibility mode: 32-bit code, with 4-level paging on.
 *
 *   0x2000    boot arguments: memory map, console
 *   0xf000    stack, with the arguments of the kernel's entry
 *   0x10000   GDT
 *   0x11000   page tables: PML4, PDPT, page directory for the first 1 GB (a 32-bit kernel: only the directory, 4 GB)
 *   after the kernel: its ELF header, section headers and symbol tables (symbols.ts)
 */
import type { RandomSource, VcpuRegState } from '../../vmm/index.ts'
import { MB } from '../memory-map.ts'
import { type Elf, loadSegments, PT_OPENBSD_RANDOMIZE, roundUp } from './elf.ts'
import { hex, LoaderError } from './error.ts'
import {
  AR_CODE32,
  AR_CODE32_CONFORMING,
  CR0_ET,
  CR0_PE,
  CR0_PG,
  CR4_PAE,
  CR4_PSE,
  EFER_LMA,
  EFER_LME,
  flatGdt,
  flatState,
  gdtr,
} from './state.ts'
import { writeSymbols } from './symbols.ts'
import { PAGE_SIZE, type Target } from './target.ts'

const BOOTARGS_PAGE = 0x2000
const STACK_PAGE = 0xf000
const GDT_PAGE = 0x10000
const PML4_PAGE = 0x11000
const PDPT_PAGE = 0x12000
const PD_PAGE = 0x13000
const TABLES_END = 0x14000

/** Kernels are linked high and run low: of an address these bits count. */
const LOAD_MASK = 0x0fffffff

const PG_V = 0x1n
const PG_RW = 0x2n
const PG_U = 0x4n
const PG_PS = 0x80n

const BOOTARG_MEMMAP = 0
const BOOTARG_CONSDEV = 5
const BOOTARG_END = 0xffffffff
const BIOS_MAP_FREE = 1
const CONSDEV_COM0 = 0x800
const CONSPEED = 115200
const COM0_ADDR = 0x3f8

const API_VERSION = 0xe
/** makebootdev(4, 0, 0, 0, 0): sd0a. */
const BOOTDEV_SD0A = 0xa0000004
/** getRandomValues fills no more at a time. */
const RANDOM_MAX = 65536

export function loadOpenBsd(elf: Elf, target: Target, random: RandomSource): VcpuRegState {
  claimLowPages(target)
  const end = loadKernel(elf, target, random)
  const bootArgs = bootArguments(target)
  target.write(BOOTARGS_PAGE, bootArgs)
  const rsp = writeStack(target, bootArgs.length, end & LOAD_MASK)
  target.write(GDT_PAGE, flatGdt(AR_CODE32))
  const rip = elf.e_entry & BigInt(LOAD_MASK)
  if (!target.isClaimed(Number(rip))) throw new LoaderError(`the entry ${hex(elf.e_entry)} is in no loaded segment`)
  const common = { rip, rsp, cr0: CR0_PG | CR0_ET | CR0_PE, code: AR_CODE32_CONFORMING, idtLimit: 0xffff }
  const gdt = gdtr(GDT_PAGE, 0xffff)
  if (elf.class === 32) {
    target.write(PDPT_PAGE, new Uint8Array(directory32().buffer))
    return flatState({ ...common, gdt, cr3: PDPT_PAGE, cr4: CR4_PSE, efer: 0n })
  }
  writePageTables64(target)
  return flatState({ ...common, gdt, cr3: PML4_PAGE, cr4: CR4_PAE | CR4_PSE, efer: EFER_LMA | EFER_LME })
}

function claimLowPages(target: Target): void {
  target.claim({ gpa: BOOTARGS_PAGE, size: PAGE_SIZE, what: 'the boot arguments' })
  target.claim({ gpa: STACK_PAGE, size: TABLES_END - STACK_PAGE, what: 'the stack, GDT and page tables of the loader' })
}

/** Segments, random bytes, symbols. Returns the end of it all, which the kernel is told. */
function loadKernel(elf: Elf, target: Target, random: RandomSource): number {
  const loadedEnd = loadSegments(elf, target)
  let end = loadedEnd
  for (const segment of elf.programs) {
    if (segment.p_type !== PT_OPENBSD_RANDOMIZE || segment.p_filesz === 0) continue
    randomize(segment.p_filesz, segment.p_paddr, target, random)
    end = Math.max(end, segment.p_paddr + segment.p_filesz)
  }
  return writeSymbols(elf, roundUp(end, elf.class / 8), target)
}

/** The bytes usually lie inside a PT_LOAD segment, and else need memory of their own. */
function randomize(size: number, gpa: number, target: Target, random: RandomSource): void {
  if (!target.isClaimed(gpa, size)) target.claim({ gpa, size, what: 'PT_OPENBSD_RANDOMIZE' })
  for (let at = 0; at < size; at += RANDOM_MAX) {
    const bytes = new Uint8Array(Math.min(RANDOM_MAX, size - at))
    random(bytes)
    target.write(gpa + at, bytes)
  }
}

/** Words: type, size with this head, and the same again as distance to the next item; then data. */
function bootArguments({ map }: Target): Uint8Array {
  const ram = map.filter((range) => range.reported)
  const memmap = ram.flatMap(({ gpa, size }) => [...words64(gpa), ...words64(size), BIOS_MAP_FREE])
  const end = [0, 0, 0, 0, 0]
  const list = [
    ...bootArgument(BOOTARG_MEMMAP, [...memmap, ...end]),
    ...bootArgument(BOOTARG_CONSDEV, [CONSDEV_COM0, CONSPEED, COM0_ADDR, 0]),
    BOOTARG_END,
  ]
  return wordBytes(list)
}

function bootArgument(type: number, data: readonly number[]): number[] {
  const size = 12 + data.length * 4
  return [type, size, size, ...data]
}

function words64(value: number): [number, number] {
  return [value % 2 ** 32, Math.floor(value / 2 ** 32)]
}

/** What the kernel's entry finds at 4(%esp) and up. Returns RSP. */
function writeStack(target: Target, bootArgsSize: number, end: number): number {
  const howto = 0
  const lowMemory = 0
  const extendedMemory = 0
  const returnAddress = 0
  const stack = [
    returnAddress,
    howto,
    BOOTDEV_SD0A,
    API_VERSION,
    end,
    extendedMemory,
    lowMemory,
    bootArgsSize,
    BOOTARGS_PAGE,
  ]
  const rsp = STACK_PAGE + PAGE_SIZE - stack.length * 4
  target.write(rsp, wordBytes(stack))
  return rsp
}

function writePageTables64(target: Target): void {
  const entry = (value: bigint): Uint8Array => new Uint8Array(BigUint64Array.of(value).buffer)
  target.write(PML4_PAGE, entry(BigInt(PDPT_PAGE) | PG_V))
  target.write(PDPT_PAGE, entry(BigInt(PD_PAGE) | PG_V | PG_RW | PG_U))
  const directory = BigUint64Array.from({ length: 512 }, (_, i) => BigInt(i * 2 * MB) | PG_V | PG_RW | PG_U | PG_PS)
  target.write(PD_PAGE, new Uint8Array(directory.buffer))
}

function directory32(): Uint32Array {
  const flags = Number(PG_V | PG_RW | PG_U | PG_PS)
  return Uint32Array.from({ length: 1024 }, (_, i) => i * 4 * MB + flags)
}

function wordBytes(words: readonly number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(words).buffer)
}
