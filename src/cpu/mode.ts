/** What follows from a code mode (L.MODE). */
import type { CodeSize } from './decoder/sizes.ts'
import type { CodeKind } from './isa/vocabulary.ts'
import * as L from './layout.ts'

const SIZES: readonly CodeSize[] = [16, 32, 64, 32]
const KINDS: readonly CodeKind[] = ['segmented', 'flat', 'long', 'segmented']

/** Bits of the code that the decoder is told. */
export function codeSizeOf(mode: number): CodeSize {
  return SIZES[mode & L.MODE_SIZE_MASK] as CodeSize
}

export function codeKindOf(mode: number): CodeKind {
  return KINDS[mode & L.MODE_SIZE_MASK] as CodeKind
}
