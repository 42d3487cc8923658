/** The vector corpus: gzipped JSON lines, one processor state before and after an instruction each (README of the corpus). */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'

/** Registers by name as hex strings; `mem` as pairs of linear address and bytes. */
export interface StateChange {
  readonly mem?: readonly (readonly [string, string])[]
  readonly [register: string]: string | readonly (readonly [string, string])[] | undefined
}

export type Mode = 'long64' | 'prot32' | 'prot16' | 'prot16b'

export interface Case {
  readonly id: string
  readonly mode: Mode
  readonly code: string
  readonly asm: string
  readonly seed: number
  readonly init: StateChange
  readonly final: StateChange
  readonly exc: { readonly vector: number; readonly error?: number; readonly cr2?: string } | null
  /** Bits of RFLAGS and of the x87 status word. */
  readonly undef?: number
  readonly undefFsw?: number
  readonly undefReg?: string
  readonly memIgnore?: readonly (readonly [string, number])[]
  /** The case holds in real mode, too. */
  readonly real?: boolean
  readonly note?: string
}

export interface Group {
  readonly name: string
  readonly memseed: number
  readonly cases: readonly Case[]
}

const EXTENSION = '.jsonl.gz'

export function groupNames(directory: string): string[] {
  const names = readdirSync(directory).filter((name) => name.endsWith(EXTENSION))
  return names.map((name) => name.slice(0, -EXTENSION.length)).sort()
}

export function readGroup(directory: string, name: string): Group {
  const text = gunzipSync(readFileSync(join(directory, name + EXTENSION))).toString('utf8')
  const [header, ...lines] = text.split('\n').filter((line) => line !== '')
  const { memseed } = JSON.parse(header as string) as { memseed: number }
  return { name, memseed, cases: lines.map((line) => JSON.parse(line) as Case) }
}

/** The corpus's generator of default values. */
export function defaultWord(seed: number, index: number): number {
  let x = (seed + Math.imul(index, 0x9e3779b9)) >>> 0
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d)
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b)
  return (x ^ (x >>> 16)) >>> 0
}
