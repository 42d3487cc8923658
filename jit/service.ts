/** Who compiles regions: at once, or a worker while the processor goes on. Nothing here loads Binaryen. */
import type { RegionSource } from './source.ts'

/** Where a region can be entered at most: its head, and heads of loops. */
export const MAX_ENTRANCES = 9

/** A function that enters a region, by its export's name. */
export interface CompiledEntry {
  readonly name: string
  /** Of the instruction where it enters, from the region's page. */
  readonly offset: number
}

export interface CompiledRegion {
  /** Several regions may share one. */
  readonly module: WebAssembly.Module
  /** The head's first; the others are heads of loops, where a region is left when the budget runs short. */
  readonly entries: readonly CompiledEntry[]
  /** Its share of the module. */
  readonly bytes: number
  readonly milliseconds: number
  readonly wasm?: Uint8Array
}

export interface CompileFailure {
  readonly failure: string
  /** Nothing is wrong: the code begins with something that is always interpreted. */
  readonly expected: boolean
}

/** A region, or why there is none. */
export type CompileOutcome = CompiledRegion | CompileFailure

export interface CompileService {
  /** A first region costs no more than any other. */
  readonly started: boolean
  /** Has a region compiled; `done` is called from here, or from a later poll(). */
  submit(source: RegionSource, done: (outcome: CompileOutcome) => void): void
  /** Hands over what has been compiled since. */
  poll(): void
}
