/** Names for addresses of a guest. */
import type { CodeSymbol } from '../vmd/index.ts'
import { VmctlError } from './error.ts'

/** A symbol without a size ends where the next one begins, but it is no longer than this. */
const MAX_SIZE = 0x100000n

/** An address, an optional size, the letter of a code symbol, a name: System.map, or what nm(1) prints. */
const LINE = /^([0-9a-f]{1,16})(?: ([0-9a-f]{1,16}))? [tTwWi] (\S+)/i

/** @throws VmctlError when there is not one symbol in it */
export function parseSymbols(text: string, path: string): CodeSymbol[] {
  const symbols = text.split('\n').flatMap((line) => {
    const [, address, size = '0', name = ''] = LINE.exec(line) ?? []
    return address === undefined ? [] : [{ name, address: BigInt(`0x${address}`), size: BigInt(`0x${size}`) }]
  })
  if (symbols.length > 0) return symbols
  throw new VmctlError(`${path}: no symbols of code in it; expected an ELF file, a System.map or the output of nm`)
}

export class SymbolMap {
  readonly #symbols: readonly CodeSymbol[]

  constructor(symbols: readonly CodeSymbol[]) {
    // Of names for one address the one with the largest size counts.
    this.#symbols = [...symbols].sort((a, b) => order(a.address, b.address) || order(a.size, b.size))
  }

  /** The symbol that an address belongs to. */
  find(address: bigint): CodeSymbol | undefined {
    const index = this.#lastUpTo(address)
    const symbol = this.#symbols[index]
    if (symbol === undefined) return undefined
    return address - symbol.address < (symbol.size || MAX_SIZE) ? symbol : undefined
  }

  #lastUpTo(address: bigint): number {
    let low = 0
    let high = this.#symbols.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#symbols[middle] as CodeSymbol).address <= address) low = middle + 1
      else high = middle
    }
    return low - 1
  }
}

function order(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0
}
