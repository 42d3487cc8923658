/** Boot images put together from parts, valid ones and, with a part out of place, broken ones. */

export interface Segment {
  type?: number
  flags?: number
  /** Default: where the contents were put. */
  offset?: number
  paddr: number | bigint
  bytes?: Uint8Array
  filesz?: number | bigint
  memsz?: number | bigint
}

export interface Section {
  name: number
  type: number
  bytes: Uint8Array
  flags?: number
  link?: number
}

export interface ElfParts {
  class?: 32 | 64
  entry: number | bigint
  segments: Segment[]
  sections?: Section[]
  shstrndx?: number
  /** Header members, by offset, that are to be wrong: 16-bit numbers. */
  patch?: Record<number, number>
}

export const RWX = 7

/** An executable: header, program headers, contents one after the other, section headers. */
export function elf(parts: ElfParts): Uint8Array {
  const { class: width = 64, segments, sections = [] } = parts
  const word = width / 8
  const [ehsize, phentsize, shentsize] = width === 64 ? [64, 56, 64] : [52, 32, 40]
  const contents = [...segments.map(({ bytes }) => bytes), ...sections.map(({ bytes }) => bytes)]
  const offsets: number[] = []
  let size = ehsize + segments.length * phentsize
  for (const bytes of contents) {
    size = Math.ceil(size / 8) * 8
    offsets.push(size)
    size += bytes?.length ?? 0
  }
  const shoff = Math.ceil(size / 8) * 8
  const file = new Uint8Array(shoff + sections.length * shentsize)
  contents.forEach((bytes, index) => {
    if (bytes !== undefined) file.set(bytes, offsets[index])
  })
  const put = new Writer(file, word)
  put.list(0, 0, [0x464c457f, width === 64 ? 0x00010102 : 0x00010101])
  put.u16(16, 2)
  put.u16(18, width === 64 ? 62 : 3)
  put.u32(20, 1)
  put.list(24, 3, [parts.entry, ehsize, sections.length ? shoff : 0])
  const after = 28 + 3 * word
  const counts = [ehsize, phentsize, segments.length, shentsize, sections.length, parts.shstrndx ?? 0]
  for (const [index, value] of counts.entries()) put.u16(after + index * 2, value)
  segments.forEach((segment, index) => {
    const { bytes, type = 1, flags = RWX, paddr, filesz = bytes?.length ?? 0, memsz = filesz } = segment
    const at = ehsize + index * phentsize
    put.u32(at, type)
    put.u32(at + (word === 8 ? 4 : 24), flags)
    const offset = segment.offset ?? offsets[index] ?? 0
    put.list(at + (word === 8 ? 8 : 4), 5, [offset, paddr, paddr, filesz, memsz])
  })
  sections.forEach((section, index) => {
    const at = shoff + index * shentsize
    put.list(at, 0, [section.name, section.type])
    put.list(at + 8, 4, [section.flags ?? 0, 0, offsets[segments.length + index] ?? 0, section.bytes.length])
    put.u32(at + 8 + 4 * word, section.link ?? 0)
  })
  for (const [offset, value] of Object.entries(parts.patch ?? {})) put.u16(Number(offset), value)
  return file
}

class Writer {
  readonly #view: DataView
  readonly #word: number

  constructor(bytes: Uint8Array, word: number) {
    this.#view = new DataView(bytes.buffer)
    this.#word = word
  }

  u16(at: number, value: number): void {
    this.#view.setUint16(at, value, true)
  }

  u32(at: number, value: number): void {
    this.#view.setUint32(at, value, true)
  }

  /** The first `words` numbers, or none, as words of the class; 32-bit ones when `words` is 0. */
  list(at: number, words: number, values: (number | bigint)[]): void {
    const wide = words > 0 && this.#word === 8
    values.forEach((value, index) => {
      if (wide) this.#view.setBigUint64(at + index * 8, BigInt(value), true)
      else this.#view.setUint32(at + index * 4, Number(BigInt.asUintN(32, BigInt(value))), true)
    })
  }
}

/** A multiboot 1 header: magic, flags, checksum, and addresses when given. */
export function multibootHeader(flags: number, addresses: number[] = []): Uint8Array {
  const magic = 0x1badb002
  return words([magic, flags, -(magic + flags) >>> 0, ...addresses])
}

export function words(values: number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer)
}

export function concat(...parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]))
}

/** 64-bit machine code: OUT of a byte to a port. */
export function out(port: number, value: number): number[] {
  return [0x66, 0xba, port & 0xff, port >> 8, 0xb0, value, 0xee]
}

export const CLI_HLT = [0xfa, 0xf4]
export const STI_HLT = [0xfb, 0xf4]

/** A kernel for the 64-bit start, from 1 MB on. */
export function kernel64(...code: number[][]): Uint8Array {
  const bytes = Uint8Array.from(code.flat())
  return elf({ entry: 0x100000, segments: [{ paddr: 0x100000, bytes, memsz: 0x10000 }] })
}
