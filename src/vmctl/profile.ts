/** --profile: where the guest spends its time, by the names of its code or, without names, by address. */
import type { Sample } from '../vmm/index.ts'
import type { SymbolMap } from './symbols.ts'

/** Code without a name is put together by pieces of so many bytes. */
const PIECE = 256n

export interface ProfileRow {
  /** Of the time inside the processor. */
  readonly percent: number
  readonly milliseconds: number
  readonly samples: number
  readonly instructions: number
  /** Privilege level. */
  readonly ring: number
  readonly symbol?: string
  /** The lowest and the highest address seen, in hexadecimal; counted from the symbol when there is one. */
  readonly first: string
  readonly last: string
}

interface Tally {
  readonly ring: number
  readonly symbol: string | undefined
  /** What first and last count from. */
  readonly base: bigint
  first: bigint
  last: bigint
  samples: number
  instructions: number
  milliseconds: number
}

export class Profile {
  readonly #symbols: SymbolMap
  readonly #tallies = new Map<string, Tally>()

  constructor(symbols: SymbolMap) {
    this.#symbols = symbols
  }

  add({ address, cpl, instructions, milliseconds }: Sample): void {
    const tally = this.#tallyOf(address, cpl)
    if (address < tally.first) tally.first = address
    if (address > tally.last) tally.last = address
    tally.samples++
    tally.instructions += instructions
    tally.milliseconds += milliseconds
  }

  /** What took longest comes first. */
  rows(): ProfileRow[] {
    const tallies = [...this.#tallies.values()].sort((a, b) => b.milliseconds - a.milliseconds)
    const total = tallies.reduce((sum, { milliseconds }) => sum + milliseconds, 0)
    return tallies.map(({ ring, symbol, base, first, last, samples, instructions, milliseconds }) => ({
      percent: total === 0 ? 0 : rounded((100 * milliseconds) / total, 2),
      milliseconds: rounded(milliseconds, 3),
      samples,
      instructions,
      ring,
      ...(symbol !== undefined && { symbol }),
      first: (first - base).toString(16),
      last: (last - base).toString(16),
    }))
  }

  #tallyOf(address: bigint, ring: number): Tally {
    const symbol = this.#symbols.find(address)
    const start = symbol?.address ?? address - (address % PIECE)
    const key = `${ring} ${start}`
    const known = this.#tallies.get(key)
    if (known !== undefined) return known
    const base = symbol === undefined ? 0n : start
    const counts = { samples: 0, instructions: 0, milliseconds: 0 }
    const tally: Tally = { ring, symbol: symbol?.name, base, first: address, last: address, ...counts }
    this.#tallies.set(key, tally)
    return tally
  }
}

/** A table. */
export function formatProfile(rows: readonly ProfileRow[]): string {
  if (rows.length === 0) return 'profile: the guest ended before the first sample\n'
  const lines = rows.map(({ percent, milliseconds, samples, ring, symbol, first, last }) => {
    const numbers = [percent.toFixed(2), milliseconds.toFixed(1), `${samples}`, `${ring}`]
    const range = first === last ? first : `${first}-${last}`
    return columns(numbers, symbol === undefined ? range : `${symbol}+${range}`)
  })
  return `${[columns(['percent', 'ms', 'samples', 'ring'], 'where'), ...lines].join('\n')}\n`
}

const WIDTHS = [7, 10, 8, 5]

function columns(numbers: readonly string[], where: string): string {
  return `${numbers.map((number, index) => number.padStart(WIDTHS[index] ?? 0)).join('')}  ${where}`
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits))
}
