/**
 * The machine of the differential fuzz: what lies where in guest-physical memory, and where it is mapped.
 *
 *   02000  GDT                    10000  code, 32 KB                 34000  data for absolute addresses
 *   03000  handlers               18000  another version of the code  38000  lengths of the code's instructions
 *   08000  the kernel's data      20000  data, 64 KB                  40000  paging structures
 *   09000  IDT                    30000  stack, 16 KB                 60000  end
 *   0A000  TSS, and two stacks that end at D000 and E000
 *
 * Code, data and stack are mapped at places that differ from program to program: below 4 GB, across 4 GB, in the upper
 * half. Behind the code the data are mapped a second time, where RIP-relative operands reach them, and the code a second
 * time behind that, so that it can be written under another address.
 */

export const GDT = 0x2000
export const HANDLERS = 0x3000
export const KERNEL_DATA = 0x8000
export const IDT = 0x9000
export const TSS = 0xa000
export const KERNEL_STACK = 0xd000
export const DOUBLE_FAULT_STACK = 0xe000
export const CODE = 0x10000
export const CODE_SIZE = 0x8000
export const OVERLAY = 0x18000
export const DATA = 0x20000
export const DATA_SIZE = 0x10000
export const STACK = 0x30000
export const STACK_SIZE = 0x4000
export const LENGTHS = 0x38000
export const TABLES = 0x40000
export const MEMORY_SIZE = 0x60000
/** Data for absolute 32-bit addresses, one to one. */
export const LOW_DATA = 0x34000
export const PML4 = TABLES

/** Where the kernel's half of memory, 0 to LOW_DATA and LENGTHS, is mapped: 32-bit displacements reach it. */
export const SYSTEM = 0xffffffff90000000n
/** PML4 entry of the tables themselves. */
export const RECURSIVE_SLOT = 0x1ed
export const RECURSIVE = 0xfffff68000000000n

/** Distances from the code. */
export const NEAR_DATA = 0x10000
export const CODE_ALIAS = 0x20000
export const CODE_WINDOW = 0x28000

/** A bit of a page-table entry that is the system's own: the handler makes such a page present and writable. */
export const MENDABLE = 0x200n

/** Places of the kernel's data page. */
export const K = {
  hash: KERNEL_DATA,
  ticks: KERNEL_DATA + 8,
  events: KERNEL_DATA + 16,
  resumeRip: KERNEL_DATA + 24,
  resumeRsp: KERNEL_DATA + 32,
  dataBase: KERNEL_DATA + 40,
  codeBase: KERNEL_DATA + 48,
  stackBase: KERNEL_DATA + 56,
  victim: KERNEL_DATA + 64,
  flips: KERNEL_DATA + 72,
} as const
