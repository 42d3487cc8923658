/** Which of some known addresses a value is, by a few bits that tell them apart. */

export interface Discriminator {
  /** The bits are (address >> shift) & mask. */
  readonly shift: number
  readonly mask: number
}

const MAX_SHIFT = 24
const MAX_BITS = 7

/** The fewest bits in a row in which all offsets differ, if there are few enough. */
export function discriminate(offsets: readonly number[]): Discriminator | undefined {
  const fewest = Math.ceil(Math.log2(offsets.length))
  for (let bits = fewest; bits <= MAX_BITS; bits++) {
    const mask = (1 << bits) - 1
    for (let shift = 0; shift <= MAX_SHIFT; shift++) {
      if (new Set(offsets.map((offset) => (offset >>> shift) & mask)).size === offsets.length) return { shift, mask }
    }
  }
  return undefined
}
