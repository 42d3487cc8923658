/** Where the corpus's registers lie in the processor's state, and their default values. All are little-endian numbers. */
import * as L from '../../src/cpu/layout.ts'
import { REGISTERS } from '../support/registers.ts'
import { type Case, defaultWord, type StateChange } from './corpus.ts'
import type { Segment } from './tables.ts'

export interface Place {
  readonly name: string
  readonly at: number
  readonly bytes: number
}

/** The part of the state in which all of them lie. */
export const STATE_START = L.GPR
export const STATE_END = L.MXCSR + 4

export const SEGMENT_NAMES = ['es', 'cs', 'ss', 'ds', 'fs', 'gs'] as const

const numbered = (count: number, place: (n: number) => Place): Place[] =>
  Array.from({ length: count }, (_, n) => place(n))

export const GENERAL: readonly Place[] = REGISTERS.map((name, n) => ({ name, at: L.GPR + n * 8, bytes: 8 }))
/** What 32-bit code knows of them. */
export const LOWER_HALVES: readonly Place[] = GENERAL.slice(0, 8).map((place) => ({ ...place, bytes: 4 }))
export const VECTOR = numbered(16, (n) => ({ name: `ymm${n}`, at: L.YMM + n * L.YMM_SIZE, bytes: 32 }))
/** Significand, then sign and exponent: together the 80-bit number of the corpus. */
export const X87_STACK = numbered(8, (n) => ({ name: `fp${n}`, at: L.X87 + n * L.X87_SIZE, bytes: 10 }))
export const CONTROL: readonly Place[] = [
  { name: 'fcw', at: L.X87_CONTROL, bytes: 4 },
  { name: 'ftw', at: L.X87_TAGS, bytes: 4 },
  { name: 'mxcsr', at: L.MXCSR, bytes: 4 },
]
export const FSW: Place = { name: 'fsw', at: L.X87_STATUS, bytes: 4 }
export const RIP: Place = { name: 'rip', at: L.RIP, bytes: 8 }

const OTHERS: readonly Place[] = [
  FSW,
  RIP,
  ...numbered(16, (n) => ({ name: `xmm${n}`, at: L.YMM + n * L.YMM_SIZE, bytes: 16 })),
  ...SEGMENT_NAMES.flatMap((name, n) => {
    const at = L.SEGMENTS + n * L.SEGMENT_SIZE
    return [
      { name, at: at + L.SEG_SELECTOR, bytes: 4 },
      { name: `${name}_base`, at: at + L.SEG_BASE, bytes: 8 },
      { name: `${name}_limit`, at: at + L.SEG_LIMIT, bytes: 4 },
      { name: `${name}_attr`, at: at + L.SEG_AR, bytes: 4 },
    ]
  }),
]

/** By name. RFLAGS is not among them: the processor keeps it in pieces. */
export const PLACES: ReadonlyMap<string, Place> = new Map(
  [...GENERAL, ...VECTOR, ...X87_STACK, ...CONTROL, ...OTHERS].map((place) => [place.name, place]),
)

const DIGITS = new Uint8Array(128)
for (let digit = 0; digit < 16; digit++) DIGITS[digit.toString(16).charCodeAt(0)] = digit

/** Writes a hexadecimal number at its place; `state` begins at STATE_START. */
export function writeNumber(state: Uint8Array, { at, bytes }: Place, digits: string): void {
  let from = digits.length
  for (let n = 0; n < bytes; n++) {
    const low = from > 0 ? (DIGITS[digits.charCodeAt(--from)] as number) : 0
    const high = from > 0 ? (DIGITS[digits.charCodeAt(--from)] as number) : 0
    state[at - STATE_START + n] = (high << 4) | low
  }
}

export function readNumber(state: Uint8Array, { at, bytes }: Place): bigint {
  let value = 0n
  for (let n = bytes - 1; n >= 0; n--) value = (value << 8n) | BigInt(state[at - STATE_START + n] as number)
  return value
}

/** The corpus's attributes of a segment are bits 40-47 and 52-55 of the descriptor without a gap; those of layout.ts have it. */
export function accessRights(attributes: number): number {
  return (attributes & 0xff) | ((attributes & 0xf00) << 4)
}

/** Applies `init` or `final`, except for RFLAGS and memory. */
export function writeChange(state: Uint8Array, change: StateChange): void {
  for (const [name, value] of Object.entries(change)) {
    if (name === 'rflags' || typeof value !== 'string') continue
    const place = PLACES.get(name)
    if (place === undefined) throw new Error(`the state has no ${name}`)
    const digits = name.endsWith('_attr') ? accessRights(Number.parseInt(value, 16)).toString(16) : value
    writeNumber(state, place, digits)
  }
}

/** Whether two states have the same in a place. */
export function isSame(one: Uint8Array, other: Uint8Array, { at, bytes }: Place): boolean {
  const start = at - STATE_START
  for (let n = start; n < start + bytes; n++) if (one[n] !== other[n]) return false
  return true
}

/**
 * Writes the default values of the case's seed. Outside 64-bit mode the corpus knows neither the upper halves of the general
 * registers nor R8 and YMM8 and up; the former are 0, and the latter have the values that they would have in it.
 */
export function writeDefaults(words: Uint32Array, test: Case, code: Segment, stack: Segment): void {
  const { seed, mode } = test
  for (let n = 0; n < 32; n++) {
    const upperHalf = (n & 1) !== 0 && mode !== 'long64' && n < 16
    words[(L.GPR - STATE_START) / 4 + n] = upperHalf ? 0 : defaultWord(seed, n)
  }
  for (let n = 0; n < 128; n++) words[(L.YMM - STATE_START) / 4 + n] = defaultWord(seed, 64 + n)
  words.fill(0, (L.X87 - STATE_START) / 4, (L.X87_CODE_BASE + 4 - STATE_START) / 4)
  const set = (at: number, value: number): void => {
    words[(at - STATE_START) / 4] = value
  }
  set(L.X87_CONTROL, 0x37f)
  set(L.MXCSR, 0x1f80)
  set(L.RSP, 0xa800 - Number(stack.base))
  set(L.RSP + 4, 0)
  set(L.RIP, 0x5000 - Number(code.base))
  set(L.RIP + 4, 0)
}

/** RFLAGS at the beginning of the case. */
export function initialFlags({ seed, init }: Case): number {
  const flags = init.rflags
  return typeof flags === 'string' ? Number.parseInt(flags, 16) : 0x202 | (defaultWord(seed, 200) & 0x8d5)
}
