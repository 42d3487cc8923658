/**
 * ELF files (System V ABI, "Object files"), both classes, as far as a boot loader needs them: header, program headers,
 * section headers. Everything is checked against the size of the file here, so that later code may trust the numbers.
 */
import { hex, LoaderError } from './error.ts'
import type { Target } from './target.ts'

export const PT_LOAD = 1
export const PT_NOTE = 4
export const PT_OPENBSD_RANDOMIZE = 0x65a3dbe6

const ELFCLASS32 = 1
const ELFCLASS64 = 2
const ELFDATA2LSB = 1
const ET_EXEC = 2
const EM_386 = 3
const EM_X86_64 = 62
const PF_RWX = 7
const PN_XNUM = 0xffff
const EI_CLASS = 4
const EI_DATA = 5

const TYPES: Readonly<Record<number, string>> = {
  1: 'an object file that has not been linked',
  3: 'position-independent (a shared object or PIE)',
  4: 'a core dump',
}

export interface ProgramHeader {
  readonly p_type: number
  readonly p_flags: number
  readonly p_offset: number
  readonly p_paddr: number
  readonly p_filesz: number
  readonly p_memsz: number
}

export interface SectionHeader {
  readonly sh_name: number
  readonly sh_type: number
  /** The lower 32 bits. */
  readonly sh_flags: number
  readonly sh_offset: number
  readonly sh_size: number
  readonly sh_link: number
}

export interface Elf {
  readonly bytes: Uint8Array
  readonly class: 32 | 64
  readonly e_entry: bigint
  readonly e_ehsize: number
  readonly e_shoff: number
  readonly e_shentsize: number
  readonly e_shnum: number
  readonly e_shstrndx: number
  readonly programs: readonly ProgramHeader[]
}

/** Where the members of a header lie; words are as wide as the class. */
interface Layout {
  readonly word: 4 | 8
  readonly ehsize: number
  readonly phentsize: number
  readonly shentsize: number
}

const LAYOUTS = {
  32: { word: 4, ehsize: 52, phentsize: 32, shentsize: 40 },
  64: { word: 8, ehsize: 64, phentsize: 56, shentsize: 64 },
} as const satisfies Record<number, Layout>

export function isElf(bytes: Uint8Array): boolean {
  return bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46
}

/** @throws LoaderError unless this is a complete x86 executable */
export function parseElf(bytes: Uint8Array): Elf {
  const elfClass = classOf(bytes)
  const layout = LAYOUTS[elfClass]
  if (bytes.length < layout.ehsize) throw new LoaderError(`the file ends inside the ELF header (${bytes.length} bytes)`)
  const reader = new Reader(bytes, layout.word)
  checkKind(reader, elfClass)
  const { word } = layout
  const after = 24 + 3 * word // e_entry, e_phoff and e_shoff are words
  const elf = {
    bytes,
    class: elfClass,
    e_entry: reader.word(24),
    e_ehsize: layout.ehsize,
    e_shoff: reader.size(24 + 2 * word, 'e_shoff'),
    e_shentsize: reader.u16(after + 10),
    e_shnum: reader.u16(after + 12),
    e_shstrndx: reader.u16(after + 14),
  }
  const e_phoff = reader.size(24 + word, 'e_phoff')
  const e_phnum = reader.u16(after + 8)
  if (e_phnum === 0) throw new LoaderError('the ELF file has no program headers, nothing says what to load')
  if (e_phnum === PN_XNUM) throw new LoaderError('the ELF file has 65535 or more program headers')
  checkTable(bytes, 'program header', e_phoff, e_phnum, reader.u16(after + 6), layout.phentsize)
  const programs = Array.from({ length: e_phnum }, (_, index) =>
    readProgramHeader(reader, e_phoff + index * layout.phentsize, index),
  )
  return { ...elf, programs }
}

/** The section headers; none when the file has none. */
export function sectionHeaders({ bytes, class: elfClass, e_shoff, e_shnum, e_shentsize }: Elf): SectionHeader[] {
  if (e_shnum === 0 || e_shoff === 0) return []
  const { word, shentsize } = LAYOUTS[elfClass]
  checkTable(bytes, 'section header', e_shoff, e_shnum, e_shentsize, shentsize)
  const reader = new Reader(bytes, word)
  return Array.from({ length: e_shnum }, (_, index) => {
    const at = e_shoff + index * shentsize
    return {
      sh_name: reader.u32(at),
      sh_type: reader.u32(at + 4),
      sh_flags: reader.u32(at + 8),
      sh_offset: reader.size(at + 8 + 2 * word, `sh_offset of section ${index}`),
      sh_size: reader.size(at + 8 + 3 * word, `sh_size of section ${index}`),
      sh_link: reader.u32(at + 8 + 4 * word),
    }
  })
}

/** What a program header has in the file. @throws LoaderError when the file ends before that */
export function segmentBytes({ bytes, programs }: Elf, segment: ProgramHeader): Uint8Array {
  const { p_offset, p_filesz } = segment
  const end = p_offset + p_filesz
  if (end > bytes.length) {
    const what = `segment ${programs.indexOf(segment)} occupies bytes ${hex(p_offset)}-${hex(end)}`
    throw new LoaderError(`${what} of a file of ${hex(bytes.length)} bytes: the file is truncated`)
  }
  return bytes.subarray(p_offset, end)
}

/** Copies the PT_LOAD segments to their physical addresses. Returns the end of the last one. */
export function loadSegments(elf: Elf, target: Target): number {
  const segments = elf.programs.filter((p) => p.p_type === PT_LOAD && (p.p_flags & PF_RWX) !== 0 && p.p_memsz > 0)
  if (segments.length === 0) throw new LoaderError('the ELF file has no PT_LOAD segment, there is nothing to load')
  const contents = segments.map((segment) => {
    const what = `segment ${elf.programs.indexOf(segment)}`
    if (segment.p_filesz > segment.p_memsz) {
      throw new LoaderError(`${what} has p_filesz ${hex(segment.p_filesz)}, more than p_memsz ${hex(segment.p_memsz)}`)
    }
    target.claim({ gpa: segment.p_paddr, size: segment.p_memsz, what })
    return segmentBytes(elf, segment)
  })
  segments.forEach((segment, index) => {
    const content = contents[index]
    if (content !== undefined && content.length > 0) target.write(segment.p_paddr, content)
  })
  return Math.max(...segments.map((segment) => segment.p_paddr + segment.p_memsz))
}

/** A PT_NOTE of OpenBSD's, or its request for random bytes. */
export function isOpenBsdKernel(elf: Elf): boolean {
  return elf.programs.some((program) => {
    if (program.p_type === PT_OPENBSD_RANDOMIZE) return true
    return program.p_type === PT_NOTE && hasNoteOf('OpenBSD', segmentBytes(elf, program))
  })
}

/** A note: name size, description size, type; then name and description, each padded to 4 bytes. */
function hasNoteOf(owner: string, notes: Uint8Array): boolean {
  const reader = new Reader(notes, 4)
  for (let at = 0; at + 12 <= notes.length; ) {
    const nameSize = reader.u32(at)
    const name = notes.subarray(at + 12, at + 12 + nameSize)
    if (nameSize === owner.length + 1 && latin1(name) === `${owner}\0`) return true
    at += 12 + roundUp(nameSize, 4) + roundUp(reader.u32(at + 4), 4)
  }
  return false
}

export function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes)
}

export function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple
}

function classOf(bytes: Uint8Array): 32 | 64 {
  if (bytes[EI_CLASS] === ELFCLASS32) return 32
  if (bytes[EI_CLASS] === ELFCLASS64) return 64
  throw new LoaderError(`the ELF file has class ${bytes[EI_CLASS] ?? 'missing'}, neither 1 (32-bit) nor 2 (64-bit)`)
}

function checkKind(reader: Reader, elfClass: 32 | 64): void {
  if (reader.bytes[EI_DATA] !== ELFDATA2LSB) throw new LoaderError('the ELF file is not little endian')
  const machine = reader.u16(18)
  const wanted = elfClass === 64 ? EM_X86_64 : EM_386
  if (machine !== wanted) {
    const name = elfClass === 64 ? 'x86-64' : 'i386'
    throw new LoaderError(`the ELF${elfClass} file is for machine ${machine}, not for ${name} (${wanted})`)
  }
  const type = reader.u16(16)
  if (type !== ET_EXEC) {
    throw new LoaderError(
      `the ELF file is ${TYPES[type] ?? `of type ${type}`}; only executables (ET_EXEC) can be booted`,
    )
  }
}

function checkTable(
  bytes: Uint8Array,
  what: string,
  offset: number,
  count: number,
  entrySize: number,
  wanted: number,
): void {
  if (entrySize !== wanted) throw new LoaderError(`an ELF ${what} has ${entrySize} bytes here, expected ${wanted}`)
  if (offset + count * wanted > bytes.length) {
    const file = `the file has ${hex(bytes.length)} bytes`
    throw new LoaderError(`${count} ELF ${what}s at offset ${hex(offset)}, but ${file}: it is truncated`)
  }
}

function readProgramHeader(reader: Reader, at: number, index: number): ProgramHeader {
  const { wordSize: word } = reader
  const size = (offset: number, member: string): number => reader.size(at + offset, `${member} of segment ${index}`)
  // p_flags comes second in ELF64, for the sake of alignment, and second to last in ELF32.
  const first = word === 8 ? 8 : 4
  return {
    p_type: reader.u32(at),
    p_flags: reader.u32(at + (word === 8 ? 4 : 24)),
    p_offset: size(first, 'p_offset'),
    p_paddr: size(first + 2 * word, 'p_paddr'),
    p_filesz: size(first + 3 * word, 'p_filesz'),
    p_memsz: size(first + 4 * word, 'p_memsz'),
  }
}

/** Numbers of a little-endian file whose words are 4 or 8 bytes. */
class Reader {
  readonly bytes: Uint8Array
  readonly wordSize: 4 | 8
  readonly #view: DataView

  constructor(bytes: Uint8Array, wordSize: 4 | 8) {
    this.bytes = bytes
    this.wordSize = wordSize
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  u16(at: number): number {
    return this.#view.getUint16(at, true)
  }

  u32(at: number): number {
    return this.#view.getUint32(at, true)
  }

  word(at: number): bigint {
    return this.wordSize === 4 ? BigInt(this.u32(at)) : this.#view.getBigUint64(at, true)
  }

  /** A word that must be small enough for sums of a few of them to be exact: 2^50. */
  size(at: number, member: string): number {
    const value = this.word(at)
    if (value >= 1n << 50n) throw new LoaderError(`${member} is ${hex(value)}, which no file or memory has`)
    return Number(value)
  }
}
