import { Decoder } from './decoder/decoder.ts'
import type { Feature } from './decoder/features.ts'
import * as L from './layout.ts'
import { codeSizeOf } from './mode.ts'

/** The decoders of a processor. Each is made when there is code for it: the first one of its kind takes 10 ms. */
export class Decoders {
  readonly features: readonly Feature[]
  readonly #made: (Decoder | undefined)[] = []

  constructor(features: readonly Feature[]) {
    this.features = features
  }

  /** The one for a code mode. */
  of(mode: number): Decoder {
    const kind = mode & L.MODE_SIZE_MASK
    const known = this.#made[kind]
    if (known !== undefined) return known
    const decoder = new Decoder(codeSizeOf(kind), this.features)
    this.#made[kind] = decoder
    return decoder
  }
}
