/** The names of code in an ELF image (.symtab), for profiles and traces. */
import { type Elf, isElf, latin1, parseElf, type SectionHeader, sectionHeaders } from './elf.ts'
import { sectionBytes } from './symbols.ts'

export interface CodeSymbol {
  readonly name: string
  readonly address: bigint
  /** Bytes; 0n when the table does not say. */
  readonly size: bigint
}

const SHT_SYMTAB = 2
const SHF_EXECINSTR = 4
const STT_NOTYPE = 0
const STT_FUNC = 2
const MAX_NAME = 512

/** In the order of the table; none when it was stripped, or the image is no ELF. @throws LoaderError */
export function codeSymbols(image: Uint8Array): CodeSymbol[] {
  if (!isElf(image)) return []
  const elf = parseElf(image)
  const sections = sectionHeaders(elf)
  const table = sections.findIndex(({ sh_type }) => sh_type === SHT_SYMTAB)
  const names = sections[table]?.sh_link ?? 0
  if (table < 0 || names >= sections.length) return []
  return readSymbols(elf, sections, sectionBytes(elf, sections, table), sectionBytes(elf, sections, names))
}

/** st_name, then in ELF64 st_info, st_shndx, st_value, st_size; in ELF32 st_value, st_size, st_info, st_shndx. */
function readSymbols(elf: Elf, sections: readonly SectionHeader[], table: Uint8Array, names: Uint8Array): CodeSymbol[] {
  const wide = elf.class === 64
  const view = new DataView(table.buffer, table.byteOffset, table.byteLength)
  const word = (at: number): bigint => (wide ? view.getBigUint64(at, true) : BigInt(view.getUint32(at, true)))
  const symbols: CodeSymbol[] = []
  const entrySize = wide ? 24 : 16
  for (let at = 0; at + entrySize <= table.length; at += entrySize) {
    const type = view.getUint8(at + (wide ? 4 : 12)) & 15
    const section = sections[view.getUint16(at + (wide ? 6 : 14), true)]
    const name = nameAt(names, view.getUint32(at, true))
    const isCode = section !== undefined && (section.sh_flags & SHF_EXECINSTR) !== 0
    if (!isCode || name === '' || (type !== STT_FUNC && type !== STT_NOTYPE)) continue
    symbols.push({ name, address: word(at + (wide ? 8 : 4)), size: word(at + (wide ? 16 : 8)) })
  }
  return symbols
}

function nameAt(names: Uint8Array, offset: number): string {
  const end = names.indexOf(0, offset)
  return latin1(names.subarray(offset, Math.min(end < 0 ? names.length : end, offset + MAX_NAME)))
}
