/** What the processor and a translator know of each other. */
import type { Feature } from './decoder/features.ts'
import type { Runtime } from './modules.ts'

/** What a translator works on. */
export interface TranslatorHost {
  readonly memory: WebAssembly.Memory
  readonly bytes: Uint8Array
  /** What the guest's processor has: code is to be decoded with these. */
  readonly features: readonly Feature[]
  readonly runtime: Runtime
  /** Functions of regions; the index goes into the header of the region's head. */
  readonly regions: WebAssembly.Table
}

/** Turns hot code into wasm. It is told now and then where the processor is: hot code is where that is often. */
export interface Translator {
  /** Instructions that the processor may run before the next sample. */
  readonly interval: number
  sample(): void
  /** Code at L.RIP has been decoded for the first time. */
  decoded(): void
  /** Counters for people, by name. */
  readonly statistics: Readonly<Record<string, number>>
  /** The VM is gone: whatever is still to come for it is to be forgotten. */
  dispose(): void
}

export type TranslatorFactory = (host: TranslatorHost) => Translator
