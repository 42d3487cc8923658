/** Who compiles regions: at once, or a worker while the processor goes on. */
import { compileRegions } from './compile.ts'
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

/** A region, or why there is none. */
export type CompileOutcome = CompiledRegion | { readonly failure: string }

export interface CompileService {
  /** Has a region compiled; `done` is called from here, or from a later poll(). */
  submit(source: RegionSource, done: (outcome: CompileOutcome) => void): void
  /** Hands over what has been compiled since. */
  poll(): void
}

/** Compiles where it is called: for tests, and for hosts without workers. */
export const synchronousService: CompileService = {
  submit(source, done) {
    const started = performance.now()
    const { wasm, failures } = compileRegions([source])
    const failure = failures.get(0)
    if (failure !== undefined) {
      done({ failure })
      return
    }
    const module = new WebAssembly.Module(wasm as BufferSource)
    done({ module, name: '0', bytes: wasm.length, milliseconds: performance.now() - started, wasm })
  },
  poll() {},
}
