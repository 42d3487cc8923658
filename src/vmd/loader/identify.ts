/** Names for files that people give to a loader by mistake, so that it can say what they gave it. */

interface Signature {
  readonly name: string
  readonly at: number
  /** Latin-1. */
  readonly magic: string
}

/** In the order they are tried: a bzImage may look like an EFI program, a CD image like a boot sector. */
const SIGNATURES: readonly Signature[] = [
  { name: 'a Linux bzImage', at: 0x202, magic: 'HdrS' },
  { name: 'compressed by gzip: decompress it first', at: 0, magic: '\x1f\x8b' },
  { name: 'compressed by xz: decompress it first', at: 0, magic: '\xfd7zXZ' },
  { name: 'compressed by zstd: decompress it first', at: 0, magic: '\x28\xb5\x2f\xfd' },
  { name: 'a qcow2 disk image', at: 0, magic: 'QFI\xfb' },
  { name: 'a CD image (ISO 9660)', at: 0x8001, magic: 'CD001' },
  { name: 'an EFI or Windows program', at: 0, magic: 'MZ' },
  { name: 'a script', at: 0, magic: '#!' },
  { name: 'a disk image or boot sector', at: 0x1fe, magic: '\x55\xaa' },
]

/** What the file is, as the end of a sentence; undefined when nobody knows. */
export function identify(bytes: Uint8Array): string | undefined {
  return SIGNATURES.find(({ at, magic }) => [...magic].every((c, index) => bytes[at + index] === c.charCodeAt(0)))?.name
}
