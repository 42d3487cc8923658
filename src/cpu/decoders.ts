import { Decoder } from './decoder/decoder.ts'
import type { Feature } from './decoder/features.ts'
import * as L from './layout.ts'

/** Size of the code in MODE_16, MODE_32, MODE_64, MODE_32_SEGMENTED. */
const CODE_SIZES = [16, 32, 64, 32] as const

/** The decoders of a processor. Each is made when there is code for it: the first one of its kind takes 10 ms. */
export class Decoders {
  readonly #features: readonly Feature[]
  readonly #made: (Decoder | undefined)[] = []

  constructor(features: readonly Feature[]) {
    this.#features = features
  }

  /** The one for a code mode. */
  of(mode: number): Decoder {
    const kind = mode & L.MODE_SIZE_MASK
    const known = this.#made[kind]
    if (known !== undefined) return known
    const decoder = new Decoder(CODE_SIZES[kind] ?? 64, this.#features)
    this.#made[kind] = decoder
    return decoder
  }
}
