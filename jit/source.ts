/**
 * A region as it is handed to the compiler: plain data, which can be sent to a worker. Addresses are offsets from the page
 * of the region's first instruction, since a region, like a record, serves every linear address its page is mapped at.
 */

import type { Feature } from '../src/cpu/decoder/features.ts'

/** Where control goes: to a block of the region, or to an offset outside of it when `block` is -1. */
export interface Target {
  readonly offset: number
  block: number
}

/** How a block ends. */
export type Terminator =
  /** The next instruction, a direct jump, or a direct call. */
  | { readonly kind: 'goto'; readonly target: Target }
  | { readonly kind: 'branch'; readonly taken: Target; readonly next: Target }
  /** RET, JMP and CALL to an address that the guest computes. `targets` are those that are expected, likely ones first. */
  | { readonly kind: 'indirect'; targets: readonly Target[]; readonly site: number }
  /** The instruction at the block's end is not translated. */
  | { readonly kind: 'interpret' }

export interface BlockSource {
  readonly offset: number
  /** The instructions' bytes, the terminator's included. */
  readonly code: Uint8Array
  readonly instructions: number
  readonly terminator: Terminator
}

export interface RegionSource {
  /** L.MODE_64, or L.MODE_32: 32-bit code in flat segments. */
  readonly mode: number
  /** Of the guest's processor, without which its bytes may mean something else. */
  readonly features: readonly Feature[]
  /** The first one is the head. */
  readonly blocks: readonly BlockSource[]
  /** Pages that it has code in: distance from the head's, and the host address where the page lay. */
  readonly pages: readonly { readonly distance: number; readonly host: number }[]
  /** The beginnings of blocks are marked in the wasm, for a dump (BLOCK_MARK). */
  readonly marked?: boolean
}
