/** Compiles regions where it is called. */
import { compileRegions } from './compile.ts'
import type { CompileFailure, CompileOutcome, CompileService } from './service.ts'
import type { RegionSource } from './source.ts'

/** Regions compiled as one module: several to a module are eight times cheaper each. */
export function compileTogether(sources: readonly RegionSource[]): CompileOutcome[] {
  const started = performance.now()
  const { wasm, regions } = compileRegions(sources)
  const module = new WebAssembly.Module(wasm as BufferSource)
  const milliseconds = (performance.now() - started) / sources.length
  const bytes = Math.round(wasm.length / sources.length)
  return regions.map((region) =>
    'failure' in region ? region : { module, entries: region, bytes, milliseconds, wasm },
  )
}

/** The same, when a mistake of the compiler must not be the guest's: what it throws comes back as a failure. */
export function compileSafely(sources: readonly RegionSource[]): CompileOutcome[] {
  try {
    return compileTogether(sources)
  } catch (error) {
    if (sources.length > 1) return sources.flatMap((source) => compileSafely([source]))
    const failure: CompileFailure = { failure: error instanceof Error ? error.message : String(error), expected: false }
    return [failure]
  }
}

/** For tests, and for hosts without workers. */
export const synchronousService: CompileService = {
  started: true,
  submit(source, done) {
    done(compileTogether([source])[0] as CompileOutcome)
  },
  poll() {},
}
