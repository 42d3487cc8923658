/** What a translator tells somebody who watches it; for traces and dumps. */
import type { Feature } from '../src/cpu/decoder/features.ts'

export interface TranslationObserver {
  /** A region was translated and installed. */
  translated?(event: RegionEvent): void
  /** An installed region was given up. */
  dropped?(event: DropEvent): void
  /** Wants the beginnings of blocks marked in the wasm, see BLOCK_MARK. */
  readonly marks?: boolean
}

export interface RegionEvent {
  /** Numbers the translations of a VM. */
  readonly id: number
  /** Linear address of the head. */
  readonly rip: bigint
  /** One of the MODE_ constants of src/cpu/layout.ts. */
  readonly mode: number
  /** Of the guest's processor. */
  readonly features: readonly Feature[]
  readonly blocks: number
  readonly instructions: number
  /** Of wasm. */
  readonly bytes: number
  /** From the decision to translate up to the region's installation. */
  readonly milliseconds: number
  /** The guest code by blocks, the head's first. */
  readonly source: readonly SourceBlock[]
  readonly wasm?: Uint8Array
}

export interface SourceBlock {
  /** From the page that `rip` lies in. */
  readonly offset: number
  readonly code: Uint8Array
  /** Offsets of the blocks of the region that control may go to; told of by the last instruction when absent. */
  readonly successors?: readonly number[]
}

export interface DropEvent {
  readonly id: number
  readonly rip: bigint
  /**
   * `written`: the guest has written to its code; `evicted`: its place was needed; `unproductive`: it declined or was left
   * too often; `flushed`: all decoded code was dropped; `replaced`: a better translation took its place.
   */
  readonly reason: 'written' | 'evicted' | 'unproductive' | 'flushed' | 'replaced'
}

/** `(drop (i32.const BLOCK_MARK + index))` in the wasm: here begins the block `source[index]`. */
export const BLOCK_MARK = 0x0b10_0000
