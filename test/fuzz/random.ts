/** The fuzzers' one source of chance: everything that happens follows from a seed. */
import { randomSource } from '../decoder/generator.ts'

export class Random {
  readonly #next: () => number

  constructor(seed: number) {
    this.#next = randomSource(Math.imul(seed, 0x85ebca6b) ^ 0x5bd1e995)
  }

  u32(): number {
    return this.#next()
  }

  u64(): bigint {
    return (BigInt(this.#next()) << 32n) | BigInt(this.#next())
  }

  /** An integer from 0 to n - 1. */
  below(n: number): number {
    return this.#next() % n
  }

  oneIn(n: number): boolean {
    return this.below(n) === 0
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)] as T
  }

  bytes(length: number): number[] {
    return Array.from({ length }, () => this.#next() & 255)
  }
}
