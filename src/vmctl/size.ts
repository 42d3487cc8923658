/** Sizes as scan_scaled(3) reads them: a number of bytes, with a fraction and a suffix K, M or G if one likes. */
import { GB, KB, MB } from '../vmd/index.ts'
import { VmctlError } from './error.ts'

const UNITS: Readonly<Record<string, number>> = { '': 1, B: 1, K: KB, M: MB, G: GB }

export interface Size {
  /** A multiple of 1 MB. */
  readonly bytes: number
  readonly megabytes: number
  /** It was not one. */
  readonly rounded: boolean
}

/** Memory of a VM: whole megabytes, rounded down. @throws VmctlError */
export function parseMemorySize(text: string): Size {
  const match = /^(\d+(?:\.\d+)?)([BKMG]?)$/i.exec(text)
  const unit = UNITS[(match?.[2] ?? '').toUpperCase()]
  if (match === null || unit === undefined) throw new VmctlError(`invalid size: ${text} (like 64M or 1G)`)
  const exact = Number(match[1]) * unit
  if (exact < MB) throw new VmctlError('size must be at least one megabyte')
  const megabytes = Math.floor(exact / MB)
  const bytes = megabytes * MB
  return { bytes, megabytes, rounded: bytes !== exact }
}
