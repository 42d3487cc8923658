/** Which of the features that the opcode table names this processor has: those whose every instruction is defined. */
import { FEATURES, type Feature } from './decoder/features.ts'
import { ENCODINGS } from './decoder/opcodes.ts'
import { entryOf } from './isa/index.ts'

let implemented: ReadonlySet<Feature> | undefined

/**
 * Found out once, in half a millisecond. A line of the table that names several features counts for the last one: FCMOVB
 * (`cmov x87`) for the x87 FPU, VAESENC (`aes avx`) for AVX. So a processor may have CMOV before it has an FPU, and a line
 * of whose features none is missing has a definition.
 */
export function implementedFeatures(): ReadonlySet<Feature> {
  implemented ??= findImplemented()
  return implemented
}

function findImplemented(): ReadonlySet<Feature> {
  const found = new Set<Feature>(FEATURES)
  for (const { name, features } of ENCODINGS) {
    const feature = features.at(-1)
    if (feature !== undefined && found.has(feature) && entryOf(name) === undefined) found.delete(feature)
  }
  return found
}
