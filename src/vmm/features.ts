/**
 * What a processor can have: the features that the opcode table names, and those that no instruction tells. For each, where
 * CPUID reports it and what it can not be without. What this processor has of them follows from the instruction table.
 */
import { FEATURES as DECODED, type Feature as DecodedFeature } from '../cpu/decoder/features.ts'
import { implementedFeatures } from '../cpu/features.ts'

/** Features that the decoder need not know; the processor has all of them. */
const WITHOUT_INSTRUCTIONS = [
  ...(['de', 'pse', 'pae', 'mce', 'pge', 'pat', 'pse36'] as const),
  ...(['smep', 'umip', 'erms', 'prefetchw', 'nx', 'page1gb', 'lm'] as const),
] as const

export type Feature = DecodedFeature | (typeof WITHOUT_INSTRUCTIONS)[number]
export type Features = ReadonlySet<Feature>

export type Output = 'eax' | 'ebx' | 'ecx' | 'edx'

interface Trait {
  /** Leaf (subleaf 0), register and bit; absent where vmm(4) lets nothing through. */
  readonly cpuid?: readonly [leaf: number, output: Output, bit: number]
  /** Without one of these it is not there either. */
  readonly needs?: readonly Feature[]
}

export const TRAITS: Readonly<Record<Feature, Trait>> = {
  x87: { cpuid: [1, 'edx', 0] },
  de: { cpuid: [1, 'edx', 2] },
  pse: { cpuid: [1, 'edx', 3] },
  tsc: { cpuid: [1, 'edx', 4] },
  msr: { cpuid: [1, 'edx', 5] },
  pae: { cpuid: [1, 'edx', 6] },
  mce: { cpuid: [1, 'edx', 7], needs: ['msr'] },
  cx8: { cpuid: [1, 'edx', 8] },
  sysenter: { cpuid: [1, 'edx', 11], needs: ['msr'] },
  pge: { cpuid: [1, 'edx', 13] },
  cmov: { cpuid: [1, 'edx', 15] },
  pat: { cpuid: [1, 'edx', 16], needs: ['msr'] },
  pse36: { cpuid: [1, 'edx', 17], needs: ['pse'] },
  clflush: { cpuid: [1, 'edx', 19] },
  mmx: { cpuid: [1, 'edx', 23], needs: ['x87'] },
  fxsr: { cpuid: [1, 'edx', 24], needs: ['x87'] },
  sse: { cpuid: [1, 'edx', 25], needs: ['mmx', 'fxsr'] },
  sse2: { cpuid: [1, 'edx', 26], needs: ['sse'] },
  sse3: { cpuid: [1, 'ecx', 0], needs: ['sse2'] },
  pclmulqdq: { cpuid: [1, 'ecx', 1], needs: ['sse2'] },
  monitor: { cpuid: [1, 'ecx', 3] },
  vmx: { cpuid: [1, 'ecx', 5], needs: ['msr'] },
  ssse3: { cpuid: [1, 'ecx', 9], needs: ['sse3'] },
  fma: { cpuid: [1, 'ecx', 12], needs: ['avx'] },
  cx16: { cpuid: [1, 'ecx', 13], needs: ['cx8', 'lm'] },
  sse41: { cpuid: [1, 'ecx', 19], needs: ['ssse3'] },
  sse42: { cpuid: [1, 'ecx', 20], needs: ['sse41'] },
  movbe: { cpuid: [1, 'ecx', 22] },
  popcnt: { cpuid: [1, 'ecx', 23] },
  aes: { cpuid: [1, 'ecx', 25], needs: ['sse2'] },
  xsave: { cpuid: [1, 'ecx', 26], needs: ['fxsr'] },
  avx: { cpuid: [1, 'ecx', 28], needs: ['xsave', 'sse2'] },
  f16c: { cpuid: [1, 'ecx', 29], needs: ['avx'] },
  rdrand: { cpuid: [1, 'ecx', 30] },
  fsgsbase: { cpuid: [7, 'ebx', 0], needs: ['lm'] },
  bmi1: { cpuid: [7, 'ebx', 3] },
  avx2: { cpuid: [7, 'ebx', 5], needs: ['avx'] },
  smep: { cpuid: [7, 'ebx', 7] },
  bmi2: { cpuid: [7, 'ebx', 8] },
  erms: { cpuid: [7, 'ebx', 9] },
  invpcid: { cpuid: [7, 'ebx', 10] },
  rdseed: { cpuid: [7, 'ebx', 18] },
  adx: { cpuid: [7, 'ebx', 19] },
  smap: { cpuid: [7, 'ebx', 20] },
  clflushopt: { cpuid: [7, 'ebx', 23] },
  clwb: { cpuid: [7, 'ebx', 24] },
  sha: { cpuid: [7, 'ebx', 29], needs: ['sse2'] },
  umip: { cpuid: [7, 'ecx', 2] },
  rdpid: { cpuid: [7, 'ecx', 22], needs: ['rdtscp'] },
  xsaveopt: { needs: ['xsave'] },
  xsavec: { needs: ['xsave'] },
  xsaves: { needs: ['xsavec'] },
  lahf: { cpuid: [0x80000001, 'ecx', 0], needs: ['lm'] },
  svm: { cpuid: [0x80000001, 'ecx', 2], needs: ['msr'] },
  lzcnt: { cpuid: [0x80000001, 'ecx', 5] },
  sse4a: { cpuid: [0x80000001, 'ecx', 6], needs: ['sse3'] },
  prefetchw: { cpuid: [0x80000001, 'ecx', 8] },
  monitorx: { cpuid: [0x80000001, 'ecx', 29] },
  syscall: { cpuid: [0x80000001, 'edx', 11], needs: ['msr'] },
  nx: { cpuid: [0x80000001, 'edx', 20], needs: ['pae', 'msr'] },
  page1gb: { cpuid: [0x80000001, 'edx', 26], needs: ['lm'] },
  rdtscp: { cpuid: [0x80000001, 'edx', 27], needs: ['tsc', 'msr'] },
  lm: { cpuid: [0x80000001, 'edx', 29], needs: ['pae', 'msr'] },
  clzero: { cpuid: [0x80000008, 'ebx', 0] },
}

/** What this processor has. */
export function availableFeatures(): Set<Feature> {
  const features = new Set<Feature>([...WITHOUT_INSTRUCTIONS, ...implementedFeatures()])
  dropOrphans(features, (feature) => features.delete(feature))
  return features
}

/** Hands over each feature that lacks one it needs, until there is none left; `drop` takes it away. */
export function dropOrphans(features: Features, drop: (feature: Feature, missing: Feature) => void): void {
  for (let before = -1; before !== features.size; ) {
    before = features.size
    for (const feature of features) {
      const missing = TRAITS[feature].needs?.find((needed) => !features.has(needed))
      if (missing !== undefined) drop(feature, missing)
    }
  }
}

/** Those that instructions depend on: what the decoder is to know. */
export function decodedFeatures(features: Features): DecodedFeature[] {
  return DECODED.filter((feature) => features.has(feature))
}

/** Bits of a CPUID register that tell of features. */
export function featureBits(features: Features, leaf: number, output: Output): number {
  let bits = 0
  for (const name of features) {
    const { cpuid } = TRAITS[name]
    if (cpuid !== undefined && cpuid[0] === leaf && cpuid[1] === output) bits |= 1 << cpuid[2]
  }
  return bits
}

/** CR4 bits and the features they come with. PCE (bit 8) is for counters that are programmed by MSRs. */
const CR4_BITS: readonly (readonly [Feature, bit: number])[] = [
  ['tsc', 2],
  ['de', 3],
  ['pse', 4],
  ['pae', 5],
  ['mce', 6],
  ['pge', 7],
  ['msr', 8],
  ['fxsr', 9],
  ['sse', 10],
  ['umip', 11],
  ['fsgsbase', 16],
  ['xsave', 18],
  ['smep', 20],
  ['smap', 21],
]

export function cr4Allowed(features: Features): bigint {
  return CR4_BITS.reduce((bits, [name, bit]) => (features.has(name) ? bits | (1n << BigInt(bit)) : bits), 0n)
}

/** SCE, LME and LMA, NXE. */
export function eferAllowed(features: Features): bigint {
  return (features.has('syscall') ? 1n : 0n) | (features.has('lm') ? 0x500n : 0n) | (features.has('nx') ? 0x800n : 0n)
}

/** x87, SSE, AVX. */
export function xcr0Allowed(features: Features): bigint {
  if (!features.has('xsave')) return 1n
  return 1n | (features.has('sse') ? 2n : 0n) | (features.has('avx') ? 4n : 0n)
}
