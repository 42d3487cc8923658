/**
 * CPUID. `host` is the table of the software processor; what a guest sees of it goes through the masks of vmm(4), which
 * hide the local APIC, MTRRs, machine checks and other things that vmm(4) does not provide.
 *
 * The vendor is AuthenticAMD: with GenuineIntel and no ARCH_CAPABILITIES kernels assume Meltdown and split their page
 * tables, which costs time and protects nothing here. Family 12h is one that no kernel has expensive workarounds for.
 */
import * as L from '../cpu/layout.ts'
import type { Vcpu } from './vcpu.ts'

type Output = 'eax' | 'ebx' | 'ecx' | 'edx'

/** Where each feature is reported: leaf, register, bit. */
const FEATURE_BITS = {
  x87: [1, 'edx', 0],
  pse: [1, 'edx', 3],
  tsc: [1, 'edx', 4],
  msr: [1, 'edx', 5],
  pae: [1, 'edx', 6],
  cx8: [1, 'edx', 8],
  sep: [1, 'edx', 11],
  pge: [1, 'edx', 13],
  cmov: [1, 'edx', 15],
  pat: [1, 'edx', 16],
  pse36: [1, 'edx', 17],
  clflush: [1, 'edx', 19],
  mmx: [1, 'edx', 23],
  fxsr: [1, 'edx', 24],
  sse: [1, 'edx', 25],
  sse2: [1, 'edx', 26],
  sse3: [1, 'ecx', 0],
  pclmulqdq: [1, 'ecx', 1],
  ssse3: [1, 'ecx', 9],
  fma: [1, 'ecx', 12],
  cx16: [1, 'ecx', 13],
  sse41: [1, 'ecx', 19],
  sse42: [1, 'ecx', 20],
  movbe: [1, 'ecx', 22],
  popcnt: [1, 'ecx', 23],
  aes: [1, 'ecx', 25],
  xsave: [1, 'ecx', 26],
  avx: [1, 'ecx', 28],
  f16c: [1, 'ecx', 29],
  rdrand: [1, 'ecx', 30],
  fsgsbase: [7, 'ebx', 0],
  bmi1: [7, 'ebx', 3],
  avx2: [7, 'ebx', 5],
  smep: [7, 'ebx', 7],
  bmi2: [7, 'ebx', 8],
  erms: [7, 'ebx', 9],
  rdseed: [7, 'ebx', 18],
  adx: [7, 'ebx', 19],
  smap: [7, 'ebx', 20],
  clflushopt: [7, 'ebx', 23],
  clwb: [7, 'ebx', 24],
  umip: [7, 'ecx', 2],
  lahf: [0x80000001, 'ecx', 0],
  lzcnt: [0x80000001, 'ecx', 5],
  sse4a: [0x80000001, 'ecx', 6],
  prefetchw: [0x80000001, 'ecx', 8],
  syscall: [0x80000001, 'edx', 11],
  nx: [0x80000001, 'edx', 20],
  page1gb: [0x80000001, 'edx', 26],
  rdtscp: [0x80000001, 'edx', 27],
  longMode: [0x80000001, 'edx', 29],
} as const satisfies Record<string, readonly [number, Output, number]>

export type Feature = keyof typeof FEATURE_BITS
export type Features = ReadonlySet<Feature>

/**
 * What the processor has now: the general-purpose instructions. (CRC32 works, but its bit is that of SSE4.2.) RDTSCP is
 * absent because vmm(4) masks it and never enables it in the guest.
 */
export const PROCESSOR_FEATURES: Features = new Set<Feature>([
  ...(['pse', 'tsc', 'msr', 'pae', 'cx8', 'sep', 'pge', 'cmov', 'pat', 'pse36', 'clflush'] as const),
  ...(['cx16', 'movbe', 'popcnt', 'rdrand'] as const),
  ...(['fsgsbase', 'bmi1', 'smep', 'bmi2', 'erms', 'rdseed', 'adx', 'smap', 'clflushopt', 'clwb'] as const),
  ...(['lahf', 'lzcnt', 'prefetchw', 'syscall', 'nx', 'page1gb', 'longMode'] as const),
])

/** CR4 bits that come with a feature; the others always exist: VME PVI TSD DE PSE PAE MCE PGE PCE OSFXSR OSXMMEXCPT. */
const CR4_ALWAYS = 0x7ffn
const CR4_FEATURES = [
  ['umip', 11n],
  ['fsgsbase', 16n],
  ['xsave', 18n],
  ['smep', 20n],
  ['smap', 21n],
] as const

export function cr4Allowed(features: Features): bigint {
  return CR4_FEATURES.reduce((bits, [name, bit]) => (features.has(name) ? bits | (1n << bit) : bits), CR4_ALWAYS)
}

/** XCR0 bits: x87, SSE, AVX. */
export function xcr0Allowed(features: Features): bigint {
  if (!features.has('xsave')) return 1n
  return features.has('avx') ? 7n : 3n
}

export const PHYSICAL_BITS = 40
const LINEAR_BITS = 48
/** Family 12h (0Fh + 3), model 1, stepping 0. */
const SIGNATURE = 0x00300f10
const VENDOR = 'AuthenticAMD'
const BRAND = 'vmmjit x86-64 processor'
/** CLFLUSH line size in units of 8 bytes, bits 15:8 of leaf 1 EBX. */
const CLFLUSH_LINE = 8 << 8

const MAX_BASIC = 0x16
const MAX_EXTENDED = 0x80000008
const HYPERVISOR = 0x40000000
/** What vmm(4) calls itself in EBX, ECX, EDX of leaf 0x40000000. */
const HYPERVISOR_NAME = 'OpenBSDVMM58'
/** KVM_FEATURE_CLOCKSOURCE2 and KVM_FEATURE_CLOCKSOURCE_STABLE_BIT. */
const HYPERVISOR_FEATURES = 0x01000008
const HYPERVISOR_PRESENT = 0x80000000
const LEAF1_ECX_MASK = 0xfed93203
const LEAF1_EDX_MASK = 0x479bad7f
const LEAF7_EBX_MASK = 0x219ca3e9
const LEAF7_ECX_MASK = 0xfffffffd
const EXTENDED_ECX_MASK = 0xdffffffb
const EXTENDED_EDX_MASK = 0xf7ffffff
const OSXSAVE = 1 << 27
const CR4_OSXSAVE = 1 << 18
const INVARIANT_TSC = 1 << 8
/** MISC_ENABLE bit 22: leaves above 2 answer zeros. */
const LIMIT_CPUID = 1 << 22

type Result = readonly [eax: number, ebx: number, ecx: number, edx: number]
const NOTHING: Result = [0, 0, 0, 0]

/** Emulates CPUID in the registers. */
export function handleCpuid(vcpu: Vcpu): void {
  const { cpu } = vcpu
  const result = cpuid(vcpu, cpu.readU32(L.RAX) >>> 0, cpu.readU32(L.RCX) >>> 0)
  const registers = [L.RAX, L.RBX, L.RCX, L.RDX]
  registers.forEach((address, index) => {
    cpu.writeU64(address, BigInt((result[index] as number) >>> 0))
  })
}

/** Result of CPUID for a leaf and subleaf, as this vcpu's guest sees it. */
export function cpuid(vcpu: Vcpu, input: number, subleaf: number): Result {
  const leaf = clamp(input)
  const limited = (vcpu.cpu.readU32(L.MISC_ENABLE) & LIMIT_CPUID) !== 0
  if (limited && leaf > 2 && leaf < 0x80000000) return NOTHING
  if (leaf >= 0x80000000) return extendedLeaf(vcpu, leaf)
  if (leaf >= HYPERVISOR) return hypervisorLeaf(leaf)
  return basicLeaf(vcpu, leaf, subleaf)
}

/** Leaves beyond the last ones are the last basic one; the hypervisor's leaves are a range of their own. */
function clamp(leaf: number): number {
  if (leaf > MAX_BASIC && leaf < HYPERVISOR) return MAX_BASIC
  return leaf > MAX_EXTENDED ? MAX_BASIC : leaf
}

function basicLeaf({ cpu, vc_id, platform }: Vcpu, leaf: number, subleaf: number): Result {
  const { features, tscHz } = platform
  switch (leaf) {
    case 0: {
      const [ebx, edx, ecx] = text(VENDOR, 3)
      return [MAX_BASIC, ebx as number, ecx as number, edx as number]
    }
    case 1: {
      const osxsave = (cpu.readU32(L.CR4) & CR4_OSXSAVE) !== 0 ? OSXSAVE : 0
      const ecx = ((featureBits(features, 1, 'ecx') | HYPERVISOR_PRESENT) & LEAF1_ECX_MASK & ~OSXSAVE) | osxsave
      return [SIGNATURE, CLFLUSH_LINE | (vc_id << 24), ecx, featureBits(features, 1, 'edx') & LEAF1_EDX_MASK]
    }
    case 7:
      if (subleaf !== 0) return NOTHING
      return [0, featureBits(features, 7, 'ebx') & LEAF7_EBX_MASK, featureBits(features, 7, 'ecx') & LEAF7_ECX_MASK, 0]
    case 0xd:
      return subleaf === 1 ? NOTHING : extendedState(features, subleaf)
    case 0x15:
      // A crystal of a hundredth of the TSC's rate, times 100.
      return [1, 100, Math.floor(tscHz / 100), 0]
    case 0x16: {
      const mhz = Math.min(Math.floor(tscHz / 1_000_000), 0xffff)
      return [mhz, mhz, 100, 0]
    }
    default:
      return NOTHING
  }
}

/** Sizes and offsets of the XSAVE area. */
function extendedState(features: Features, subleaf: number): Result {
  if (!features.has('xsave')) return NOTHING
  const avx = features.has('avx')
  const size = avx ? 832 : 576
  if (subleaf === 0) return [Number(xcr0Allowed(features)), size, size, 0]
  return subleaf === 2 && avx ? [256, 576, 0, 0] : NOTHING
}

function hypervisorLeaf(leaf: number): Result {
  if (leaf === HYPERVISOR) {
    const [ebx, ecx, edx] = text(HYPERVISOR_NAME, 3)
    return [0, ebx as number, ecx as number, edx as number]
  }
  return leaf === HYPERVISOR + 1 ? [HYPERVISOR_FEATURES, 0, 0, 0] : NOTHING
}

function extendedLeaf({ platform }: Vcpu, leaf: number): Result {
  const { features } = platform
  switch (leaf) {
    case 0x80000000:
      return [MAX_EXTENDED, 0, 0, 0]
    case 0x80000001: {
      const ecx = featureBits(features, leaf, 'ecx') & EXTENDED_ECX_MASK
      return [SIGNATURE, 0, ecx, featureBits(features, leaf, 'edx') & EXTENDED_EDX_MASK]
    }
    case 0x80000002:
    case 0x80000003:
    case 0x80000004:
      return text(BRAND, 12).slice((leaf - 0x80000002) * 4, (leaf - 0x80000001) * 4) as unknown as Result
    case 0x80000005:
      // 64 KB of data and of code, 2 ways, 64-byte lines; the TLBs are the soft one: 1024 entries do not fit, say 255.
      return [0xff01ff01, 0xff01ff01, 0x40020140, 0x40020140]
    case 0x80000006:
      // 1 MB of second-level cache, 16 ways.
      return [0, 0, 0x04008140, 0]
    case 0x80000007:
      return [0, 0, 0, INVARIANT_TSC]
    case 0x80000008:
      return [PHYSICAL_BITS | (LINEAR_BITS << 8), 0, 0, 0]
    default:
      return NOTHING
  }
}

function featureBits(features: Features, leaf: number, output: Output): number {
  let bits = 0
  for (const name of features) {
    const [featureLeaf, featureOutput, bit] = FEATURE_BITS[name]
    if (featureLeaf === leaf && featureOutput === output) bits |= 1 << bit
  }
  return bits
}

/** A string as 32-bit words, four characters each. */
function text(string: string, words: number): number[] {
  const bytes = new Uint8Array(words * 4)
  for (let i = 0; i < string.length; i++) bytes[i] = string.charCodeAt(i)
  const view = new DataView(bytes.buffer)
  return Array.from({ length: words }, (_, index) => view.getUint32(index * 4, true))
}
