/**
 * The 64-bit start, for ELF64 images that are not OpenBSD kernels. See index.ts for what an image may rely on.
 *
 * The tables lie in low memory, wherever the image leaves room: PML4, PDPT and four page directories of 2 MB pages, which
 * map the first 4 GB one to one, writable, executable and supervisor only.
 */
import type { VcpuRegState } from '../../vmm/index.ts'
import { KB, MB } from '../memory-map.ts'
import { type Elf, loadSegments } from './elf.ts'
import { hex, LoaderError } from './error.ts'
import { giveMultibootInfo, writeMultibootInfo } from './multiboot.ts'
import {
  AR_CODE64,
  CR0_ET,
  CR0_NE,
  CR0_PE,
  CR0_PG,
  CR0_WP,
  CR4_PAE,
  CR4_PSE,
  EFER_LMA,
  EFER_LME,
  EFER_NXE,
  EFER_SCE,
  flatGdt,
  flatState,
  gdtr,
} from './state.ts'
import { PAGE_SIZE, type Target } from './target.ts'

const STACK_SIZE = 16 * KB
const PRESENT_WRITABLE = 0x3n
const LARGE_PAGE = 0x80n
const DIRECTORIES = 4
const ENTRIES = 512
const LARGE_PAGE_SIZE = 2 * MB

/** @param commandLine undefined when the image has no multiboot header, and gets no information */
export function loadLongMode(elf: Elf, target: Target, commandLine: string | undefined): VcpuRegState {
  loadSegments(elf, target)
  if (!target.isClaimed(Number(elf.e_entry))) {
    throw new LoaderError(
      `the entry ${hex(elf.e_entry)} is not in a loaded segment: it must be a physical address, for memory is mapped one to one`,
    )
  }
  const cr3 = writePageTables(target)
  const gdt = target.allocate(24, 'the GDT')
  target.write(gdt, flatGdt(AR_CODE64))
  const state = flatState({
    rip: elf.e_entry,
    rsp: target.allocate(STACK_SIZE, 'a stack') + STACK_SIZE,
    cr0: CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_PE,
    cr3,
    cr4: CR4_PAE | CR4_PSE,
    efer: EFER_NXE | EFER_LMA | EFER_LME | EFER_SCE,
    code: AR_CODE64,
    gdt: gdtr(gdt, 23),
    idtLimit: 0,
  })
  if (commandLine !== undefined) giveMultibootInfo(state, writeMultibootInfo(target, commandLine))
  return state
}

function writePageTables(target: Target): number {
  const pml4 = target.allocate((2 + DIRECTORIES) * PAGE_SIZE, 'page tables')
  const pdpt = pml4 + PAGE_SIZE
  const directories = pdpt + PAGE_SIZE
  const tables = new BigUint64Array((2 + DIRECTORIES) * ENTRIES)
  tables[0] = BigInt(pdpt) | PRESENT_WRITABLE
  for (let index = 0; index < DIRECTORIES; index++) {
    tables[ENTRIES + index] = BigInt(directories + index * PAGE_SIZE) | PRESENT_WRITABLE
  }
  for (let page = 0; page < DIRECTORIES * ENTRIES; page++) {
    tables[2 * ENTRIES + page] = BigInt(page * LARGE_PAGE_SIZE) | LARGE_PAGE | PRESENT_WRITABLE
  }
  target.write(pml4, new Uint8Array(tables.buffer))
  return pml4
}
