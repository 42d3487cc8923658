/**
 * CPUID: what the CPU model has, through the masks of vmm(4), which hide the local APIC, MTRRs, machine checks and other
 * things that vmm(4) does not provide.
 *
 * The vendor is AuthenticAMD: with GenuineIntel and no ARCH_CAPABILITIES kernels assume Meltdown and split their page
 * tables, which costs time and protects nothing here.
 */
import * as L from '../cpu/layout.ts'
import { type Features, featureBits, xcr0Allowed } from './features.ts'
import type { CpuModel } from './models.ts'
import type { Vcpu } from './vcpu.ts'

const VENDOR = 'AuthenticAMD'
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
const SIZES_EBX_MASK = 0xf8f82fff
/** AMD's processors repeat these bits of leaf 1 EDX in leaf 0x80000001. */
const REPEATED = 0x0183f3ff
const OSXSAVE = 1 << 27
const CR4_OSXSAVE = 1 << 18
const XCR0_AVX = 4n
/** Behind the legacy area and the header. */
const AVX_STATE_OFFSET = 576
const AVX_STATE_SIZE = 256
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

function basicLeaf(vcpu: Vcpu, leaf: number, subleaf: number): Result {
  const { features } = vcpu.model
  switch (leaf) {
    case 0: {
      const [ebx, edx, ecx] = text(VENDOR, 3)
      return [MAX_BASIC, ebx as number, ecx as number, edx as number]
    }
    case 1:
      return versionLeaf(vcpu)
    case 7:
      if (subleaf !== 0) return NOTHING
      return [0, featureBits(features, 7, 'ebx') & LEAF7_EBX_MASK, featureBits(features, 7, 'ecx') & LEAF7_ECX_MASK, 0]
    case 0xd:
      return extendedState(vcpu, subleaf)
    case 0x15:
      // A crystal of a hundredth of the TSC's rate, times 100.
      return features.has('tsc') ? [1, 100, Math.floor(vcpu.platform.tscHz / 100), 0] : NOTHING
    case 0x16: {
      const mhz = Math.min(Math.floor(vcpu.platform.tscHz / 1_000_000), 0xffff)
      return [mhz, mhz, 100, 0]
    }
    default:
      return NOTHING
  }
}

function versionLeaf({ cpu, vc_id, model: { features, signature } }: Vcpu): Result {
  const clflush = features.has('clflush') ? CLFLUSH_LINE : 0
  const osxsave = (cpu.readU32(L.CR4) & CR4_OSXSAVE) !== 0 ? OSXSAVE : 0
  const ecx = ((featureBits(features, 1, 'ecx') | HYPERVISOR_PRESENT) & LEAF1_ECX_MASK & ~OSXSAVE) | osxsave
  return [signature, clflush | (vc_id << 24), ecx, visibleLeaf1Edx(features)]
}

function visibleLeaf1Edx(features: Features): number {
  return featureBits(features, 1, 'edx') & LEAF1_EDX_MASK
}

/** Sizes and offsets in the XSAVE area. vmm(4) hides what subleaf 1 would tell of. */
function extendedState({ cpu, model: { features } }: Vcpu, subleaf: number): Result {
  if (!features.has('xsave')) return NOTHING
  const all = xcr0Allowed(features)
  if (subleaf === 0) return [Number(all), xsaveSize(cpu.readU64(L.XCR0)), xsaveSize(all), 0]
  return subleaf === 2 && (all & XCR0_AVX) !== 0n ? [AVX_STATE_SIZE, AVX_STATE_OFFSET, 0, 0] : NOTHING
}

function xsaveSize(xcr0: bigint): number {
  return AVX_STATE_OFFSET + ((xcr0 & XCR0_AVX) !== 0n ? AVX_STATE_SIZE : 0)
}

function hypervisorLeaf(leaf: number): Result {
  if (leaf === HYPERVISOR) {
    const [ebx, ecx, edx] = text(HYPERVISOR_NAME, 3)
    return [0, ebx as number, ecx as number, edx as number]
  }
  return leaf === HYPERVISOR + 1 ? [HYPERVISOR_FEATURES, 0, 0, 0] : NOTHING
}

function extendedLeaf({ model }: Vcpu, leaf: number): Result {
  const { features, signature, brand } = model
  switch (leaf) {
    case 0x80000000:
      return [MAX_EXTENDED, 0, 0, 0]
    case 0x80000001: {
      const ecx = featureBits(features, leaf, 'ecx') & EXTENDED_ECX_MASK
      const edx = featureBits(features, leaf, 'edx') | (visibleLeaf1Edx(features) & REPEATED)
      return [signature, 0, ecx, edx & EXTENDED_EDX_MASK]
    }
    case 0x80000002:
    case 0x80000003:
    case 0x80000004:
      return text(brand, 12).slice((leaf - 0x80000002) * 4, (leaf - 0x80000001) * 4) as unknown as Result
    case 0x80000005:
      // 64 KB of data and of code, 2 ways, 64-byte lines; the TLBs are the soft one: 1024 entries do not fit, say 255.
      return [0xff01ff01, 0xff01ff01, 0x40020140, 0x40020140]
    case 0x80000006:
      // 1 MB of second-level cache, 16 ways.
      return [0, 0, 0x04008140, 0]
    case 0x80000007:
      return features.has('tsc') ? [0, 0, 0, INVARIANT_TSC] : NOTHING
    case 0x80000008:
      return sizesLeaf(model)
    default:
      return NOTHING
  }
}

function sizesLeaf({ features, physicalBits }: CpuModel): Result {
  const linearBits = features.has('lm') ? 48 : 32
  return [physicalBits | (linearBits << 8), featureBits(features, 0x80000008, 'ebx') & SIZES_EBX_MASK, 0, 0]
}

/** A string as 32-bit words, four characters each. */
function text(string: string, words: number): number[] {
  const bytes = new Uint8Array(words * 4)
  for (let i = 0; i < string.length; i++) bytes[i] = string.charCodeAt(i)
  const view = new DataView(bytes.buffer)
  return Array.from({ length: words }, (_, index) => view.getUint32(index * 4, true))
}
