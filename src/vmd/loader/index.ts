/**
 * Loaders: a boot image goes into guest memory, and the state comes back that the vcpu starts in. The image's contents
 * decide who loads it, never its name:
 *
 *   ELF64, OpenBSD kernel      vmd's start: compatibility mode, boot arguments (openbsd.ts)
 *   ELF64, any other           the 64-bit start below (long-mode.ts), with a multiboot header or without
 *   multiboot 1                the 32-bit start of its specification (multiboot.ts), from an ELF32 file or any other
 *   ELF32, any other           vmd's start for 32-bit kernels (openbsd.ts)
 *
 * The 64-bit start. The vcpu begins at e_entry, which is a physical address inside a PT_LOAD segment; segments are loaded
 * at p_paddr. It is in 64-bit mode at CPL 0, with interrupts off and
 *
 *   CR0     PG WP NE ET PE
 *   CR4     PAE PSE
 *   EFER    NXE LMA LME SCE
 *   CR3     tables that map the first 4 GB one to one in 2 MB pages, writable, executable, supervisor only
 *   GDT     null; 08: 64-bit code; 10: data. CS = 08, the others = 10, LDTR and TR as at power-on, the IDT empty
 *   RSP     the end of a stack of 16 KB; RFLAGS 2
 *   RAX     0x2BADB002 and
 *   RBX     the address of multiboot 1 information (memory, command line, memory map, loader name), when the image has a
 *           multiboot header in its first 8 KB; 0 otherwise, like every other register
 *
 * Page tables, GDT, stack and information are in memory below 640 KB that the image does not occupy; an image that needs
 * them must copy them before it uses low memory for itself. When an ELF64 image's multiboot header asks for the 32-bit
 * start with load addresses, the 64-bit start is preferred: the header serves loaders that know nothing better.
 */
import type { RandomSource, VcpuRegState } from '../../vmm/index.ts'
import type { MemRange } from '../memory-map.ts'
import { isElf, isOpenBsdKernel, parseElf } from './elf.ts'
import { LoaderError } from './error.ts'
import { identify } from './identify.ts'
import { loadLongMode } from './long-mode.ts'
import { findMultibootHeader, loadMultiboot } from './multiboot.ts'
import { loadOpenBsd } from './openbsd.ts'
import { Target, type WritableMemory } from './target.ts'

export { LoaderError } from './error.ts'
export type { WritableMemory } from './target.ts'

export interface LoadOptions {
  /** Zeroed guest memory. */
  readonly memory: WritableMemory
  readonly map: readonly MemRange[]
  readonly commandLine: string
  /** For kernels that ask for random bytes. */
  readonly random: RandomSource
}

export interface LoadedImage {
  /** What the image turned out to be. */
  readonly format: string
  readonly state: VcpuRegState
}

/** @throws LoaderError for an image that can not be loaded, whatever is wrong with it; memory is undefined then */
export function loadImage(image: Uint8Array, options: LoadOptions): LoadedImage {
  const { commandLine, random } = options
  const target = new Target(options.memory, options.map)
  const elf = isElf(image) ? parseElf(image) : undefined
  if (elf !== undefined && isOpenBsdKernel(elf)) {
    return { format: `OpenBSD ELF${elf.class} kernel`, state: loadOpenBsd(elf, target, random) }
  }
  if (elf === undefined) refuseKnown(image)
  const header = findMultibootHeader(image)
  if (elf?.class === 64) {
    const words = header === undefined ? undefined : commandLine
    return { format: header ? 'ELF64 with multiboot' : 'ELF64', state: loadLongMode(elf, target, words) }
  }
  if (header !== undefined) {
    return { format: 'multiboot', state: loadMultiboot(image, header, elf, target, commandLine) }
  }
  if (elf !== undefined) return { format: 'ELF32', state: loadOpenBsd(elf, target, random) }
  throw new LoaderError(`the image is ${identify(image) ?? 'of no known format'}; ${EXPECTED}`)
}

const EXPECTED = 'expected an ELF kernel (64-bit or 32-bit) or a multiboot 1 kernel'

/** Formats that can not be taken for a multiboot kernel, even if they should happen to contain such a header. */
function refuseKnown(image: Uint8Array): void {
  if (image.length === 0) throw new LoaderError('the image is empty')
  const known = identify(image)
  if (known === 'a Linux bzImage') throw new LoaderError('the image is a Linux bzImage, which is not supported yet')
}
