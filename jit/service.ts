/** Who compiles regions: at once, or a worker while the processor goes on. Nothing here loads Binaryen. */
import type { RegionSource } from './source.ts'

export interface CompiledRegion {
  /** Several regions may share one; each is exported under its name. */
  readonly module: WebAssembly.Module
  readonly name: string
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
  /** Has a region compiled; `done` is called from here, or from a later poll(). */
  submit(source: RegionSource, done: (outcome: CompileOutcome) => void): void
  /** Hands over what has been compiled since. */
  poll(): void
}
