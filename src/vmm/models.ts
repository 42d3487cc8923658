/**
 * CPU models: which processor a VM has, as in `x86-64-v2,+aes,-popcnt`: the name of a model, then single features on and
 * off, the last one prevails. As in QEMU, what can not be without a feature that was switched off goes with it, and to ask
 * for such a thing by name is an error; nothing is switched on that nobody asked for.
 *
 * The levels of x86-64 have what the psABI of that name lists, and what kernels count on with the first such processors. A
 * model has no more than this processor: features whose instructions are not all defined yet are missing.
 */
import type { CpuOptions } from '../cpu/cpu.ts'
import { VmmError } from './errno.ts'
import {
  availableFeatures,
  cr4Allowed,
  decodedFeatures,
  dropOrphans,
  eferAllowed,
  type Feature,
  type Features,
  xcr0Allowed,
} from './features.ts'

export interface CpuModel {
  /** As it was asked for. */
  readonly name: string
  readonly features: Features
  /** Family, model and stepping: EAX of CPUID leaf 1. */
  readonly signature: number
  readonly brand: string
  /** Width of a physical address. */
  readonly physicalBits: number
}

interface Definition {
  readonly about: string
  readonly features: 'all' | readonly Feature[]
  readonly signature: number
  readonly brand: string
}

/** Family 12h (0Fh + 3), model 1, stepping 0: one that no kernel has expensive workarounds for. */
const SIGNATURE = 0x00300f10
/** AMD's first Athlon and its Am486DX4: the vendor is the same for all models. */
const SIGNATURE_I686 = 0x612
const SIGNATURE_I486 = 0x484

const I486: readonly Feature[] = ['x87', 'pse']
const I686: readonly Feature[] = [...I486, 'de', 'tsc', 'msr', 'pae', 'mce', 'cx8', 'pge', 'cmov']
const X86_64: readonly Feature[] = [
  ...I686,
  ...(['sysenter', 'pat', 'pse36', 'clflush', 'mmx', 'fxsr', 'sse', 'sse2', 'syscall', 'nx', 'lm'] as const),
]
const X86_64_V2: readonly Feature[] = [
  ...X86_64,
  ...(['cx16', 'lahf', 'popcnt', 'sse3', 'ssse3', 'sse41', 'sse42'] as const),
]
const X86_64_V3: readonly Feature[] = [
  ...X86_64_V2,
  ...(['avx', 'avx2', 'bmi1', 'bmi2', 'f16c', 'fma', 'lzcnt', 'movbe', 'xsave'] as const),
]
/** vmm(4) does not enable these in a guest, whatever the processor has. */
const NOT_ENABLED: readonly Feature[] = ['rdtscp', 'rdpid', 'invpcid', 'xsaves']

export const DEFAULT_CPU = 'max'

const MODELS: Readonly<Record<string, Definition>> = {
  [DEFAULT_CPU]: {
    about: 'everything that there is',
    features: 'all',
    signature: SIGNATURE,
    brand: 'vmmjit x86-64 processor',
  },
  'x86-64-v3': {
    about: 'with AVX2, BMI and FMA, as since 2013',
    features: X86_64_V3,
    signature: SIGNATURE,
    brand: 'vmmjit x86-64-v3 processor',
  },
  'x86-64-v2': {
    about: 'with SSE4.2 and POPCNT, as since 2008',
    features: X86_64_V2,
    signature: SIGNATURE,
    brand: 'vmmjit x86-64-v2 processor',
  },
  'x86-64': {
    about: '64 bits, with SSE2, as in 2003',
    features: X86_64,
    signature: SIGNATURE,
    brand: 'vmmjit x86-64-v1 processor',
  },
  i686: {
    about: '32 bits, with PAE and CMOV, without MMX, as in 1995',
    features: I686,
    signature: SIGNATURE_I686,
    brand: 'vmmjit i686 processor',
  },
  i486: {
    about: '32 bits, with FPU and CPUID, without a time-stamp counter',
    features: I486,
    signature: SIGNATURE_I486,
    brand: 'vmmjit i486 processor',
  },
}

/** The names that QEMU and /proc/cpuinfo have for some features. */
const ALIASES: Readonly<Record<string, Feature>> = {
  fpu: 'x87',
  sep: 'sysenter',
  pni: 'sse3',
  'sse4.1': 'sse41',
  sse4_1: 'sse41',
  'sse4.2': 'sse42',
  sse4_2: 'sse42',
  'sha-ni': 'sha',
  sha_ni: 'sha',
  abm: 'lzcnt',
  'lahf-lm': 'lahf',
  lahf_lm: 'lahf',
  pdpe1gb: 'page1gb',
  '3dnowprefetch': 'prefetchw',
}

/**
 * @param available what the processor has
 * @throws VmmError EINVAL, in words that say what there is
 */
export function cpuModel(text: string, available: Features = availableFeatures()): CpuModel {
  const [name = '', ...switches] = text.split(',').map((word) => word.trim())
  const definition = Object.hasOwn(MODELS, name) ? MODELS[name] : undefined
  if (definition === undefined) throw invalid(`there is no CPU model '${name}'; there are ${listed(cpuModelNames())}`)
  const features = featuresOf(definition, available)
  const asked = new Set<Feature>()
  for (const word of switches) {
    const feature = featureOf(word, available)
    if (word.startsWith('+')) {
      features.add(feature)
      asked.add(feature)
    } else {
      features.delete(feature)
      asked.delete(feature)
    }
  }
  dropOrphans(features, (feature, missing) => {
    if (asked.has(feature)) throw invalid(`CPU feature '${feature}' needs '${missing}', which is not there`)
    features.delete(feature)
  })
  const { signature, brand } = definition
  return { name: text, features, signature, brand, physicalBits: physicalBits(features) }
}

export function cpuModelNames(): string[] {
  return Object.keys(MODELS)
}

/** For lists of what there is. */
export function describeModel(name: string): { about: string; features: Feature[] } {
  return { about: MODELS[name]?.about ?? '', features: sorted(cpuModel(name).features) }
}

/** The processor of a model. */
export function processorOptions({ features, physicalBits }: CpuModel): Omit<CpuOptions, 'ranges' | 'translator'> {
  return {
    features: decodedFeatures(features),
    cr4Allowed: cr4Allowed(features),
    eferAllowed: eferAllowed(features),
    xcr0Allowed: xcr0Allowed(features),
    gigabytePages: features.has('page1gb'),
    physicalBits,
  }
}

function featuresOf({ features }: Definition, available: Features): Set<Feature> {
  if (features !== 'all') return new Set(features.filter((feature) => available.has(feature)))
  return new Set([...available].filter((feature) => !NOT_ENABLED.includes(feature)))
}

function featureOf(word: string, available: Features): Feature {
  const name = word.slice(1)
  if (!/^[+-]/.test(word))
    throw invalid(`CPU feature '${word}': write +${word} to switch it on, -${word} to switch it off`)
  const feature = Object.hasOwn(ALIASES, name) ? (ALIASES[name] as Feature) : (name as Feature)
  if (!available.has(feature))
    throw invalid(`there is no CPU feature '${name}'; there are ${listed(sorted(available))}`)
  // Without an FPU there would have to be #NM for an emulator of one, and bytes of D8-DF that do nothing.
  if (feature === 'x87' && word.startsWith('-')) throw invalid('the CPU always has its x87 FPU')
  return feature
}

function physicalBits(features: Features): number {
  if (features.has('lm')) return 40
  return features.has('pae') || features.has('pse36') ? 36 : 32
}

function sorted(features: Iterable<Feature>): Feature[] {
  return [...features].sort()
}

function listed(names: readonly string[]): string {
  return names.join(', ')
}

function invalid(what: string): VmmError {
  return new VmmError('EINVAL', what)
}
