/**
 * The symbol table of an OpenBSD kernel, for its debugger ddb(4): behind the kernel go a copy of the ELF header, the
 * section headers, and the sections that ddb reads. The copies say where those lie relative to the header's copy.
 */
import { type Elf, latin1, roundUp, type SectionHeader, sectionHeaders } from './elf.ts'
import { hex, LoaderError } from './error.ts'
import type { Target } from './target.ts'

const SHT_SYMTAB = 2
const SHT_STRTAB = 3
const SHF_ALLOC = 2
const KEPT_NAMES = ['.debug_line', '.SUNW_ctf']

/** @param at multiple of the word size. Returns the address after the last byte written. */
export function writeSymbols(elf: Elf, at: number, target: Target): number {
  const word = elf.class / 8
  const sections = sectionHeaders(elf)
  const kept = keptSections(elf, sections)
  const headersSize = roundUp(sections.length * elf.e_shentsize, word)
  const offsets = new Map<number, number>()
  let size = elf.e_ehsize + headersSize
  for (const index of kept) {
    offsets.set(index, size)
    size += roundUp(sections[index]?.sh_size ?? 0, word)
  }
  target.claim({ gpa: at, size, what: 'the symbol table' })
  target.write(at, headerCopy(elf))
  if (sections.length > 0) target.write(at + elf.e_ehsize, sectionHeaderCopies(elf, sections.length, offsets))
  for (const [index, offset] of offsets) {
    const contents = sectionBytes(elf, sections, index)
    if (contents.length > 0) target.write(at + offset, contents)
  }
  return at + size
}

/** Without a symbol table the other sections are of no use. */
function keptSections(elf: Elf, sections: readonly SectionHeader[]): number[] {
  if (!sections.some((section) => section.sh_type === SHT_SYMTAB)) return []
  const names = elf.e_shstrndx < sections.length ? sectionBytes(elf, sections, elf.e_shstrndx) : new Uint8Array()
  return sections.flatMap((section, index) => {
    const wanted = section.sh_type === SHT_SYMTAB || section.sh_type === SHT_STRTAB
    return wanted || KEPT_NAMES.some((name) => isNamed(names, section, name)) ? [index] : []
  })
}

function isNamed(names: Uint8Array, { sh_name }: SectionHeader, name: string): boolean {
  return latin1(names.subarray(sh_name, sh_name + name.length + 1)) === `${name}\0`
}

/** @throws LoaderError when the file ends before the section */
export function sectionBytes({ bytes }: Elf, sections: readonly SectionHeader[], index: number): Uint8Array {
  const { sh_offset = 0, sh_size = 0 } = sections[index] ?? {}
  const end = sh_offset + sh_size
  if (end > bytes.length) {
    const what = `section ${index} occupies bytes ${hex(sh_offset)}-${hex(end)}`
    throw new LoaderError(`${what} of a file of ${hex(bytes.length)} bytes: the file is truncated`)
  }
  return bytes.subarray(sh_offset, end)
}

/** The ELF header without program headers, section headers directly behind it. */
function headerCopy({ bytes, class: elfClass, e_ehsize }: Elf): Uint8Array {
  const copy = bytes.slice(0, e_ehsize)
  const view = new DataView(copy.buffer)
  if (elfClass === 64) {
    view.setBigUint64(32, 0n, true) // e_phoff
    view.setBigUint64(40, BigInt(e_ehsize), true) // e_shoff
    view.setUint32(54, 0, true) // e_phentsize, e_phnum
  } else {
    view.setUint32(28, 0, true)
    view.setUint32(32, e_ehsize, true)
    view.setUint32(42, 0, true)
  }
  return copy
}

function sectionHeaderCopies(elf: Elf, count: number, offsets: ReadonlyMap<number, number>): Uint8Array {
  const { class: elfClass, e_shoff, e_shentsize } = elf
  const copy = elf.bytes.slice(e_shoff, e_shoff + count * e_shentsize)
  const view = new DataView(copy.buffer)
  for (const [index, offset] of offsets) {
    const at = index * e_shentsize
    view.setUint32(at + 8, view.getUint32(at + 8, true) | SHF_ALLOC, true)
    if (elfClass === 64) view.setBigUint64(at + 24, BigInt(offset), true)
    else view.setUint32(at + 16, offset, true)
  }
  return copy
}
