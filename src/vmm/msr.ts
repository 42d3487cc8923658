/**
 * RDMSR and WRMSR. A register that is not in the table: reading it is #GP, writing it does nothing, as in vmm(4).
 * Where the EPT and the RVI backend differ, both sets are here: the processor calls itself AuthenticAMD, and the kernels
 * that believe it read MSRs of that vendor without a safety net.
 */
import * as L from '../cpu/layout.ts'
import { isCanonical } from './entry.ts'
import type { Feature } from './features.ts'
import { MSR_KVM_SYSTEM_TIME, writeSystemTime } from './pvclock.ts'
import type { Vcpu } from './vcpu.ts'

export const MSR = {
  TSC: 0x10,
  PLATFORM_ID: 0x17,
  FEATURE_CONTROL: 0x3a,
  BIOS_SIGN: 0x8b,
  SMM_MONITOR_CTL: 0x9b,
  SYSENTER_CS: 0x174,
  SYSENTER_ESP: 0x175,
  SYSENTER_EIP: 0x176,
  MISC_ENABLE: 0x1a0,
  CR_PAT: 0x277,
  EFER: 0xc0000080,
  STAR: 0xc0000081,
  LSTAR: 0xc0000082,
  CSTAR: 0xc0000083,
  SFMASK: 0xc0000084,
  FSBASE: 0xc0000100,
  GSBASE: 0xc0000101,
  KERNELGSBASE: 0xc0000102,
  TSC_AUX: 0xc0000103,
  SYSCFG: 0xc0010010,
  HWCR: 0xc0010015,
  INT_PEN_MSG: 0xc0010055,
  DE_CFG: 0xc0011029,
} as const

interface Register {
  /** It exists with one of these. Absent: always. */
  readonly of?: readonly Feature[]
  /** Absent, or undefined returned: #GP. */
  read?(vcpu: Vcpu): bigint | undefined
  /** false: #GP. Absent: the value is discarded. */
  write?(vcpu: Vcpu, value: bigint): boolean
}

const FEATURE_CONTROL_LOCKED = 1n
/** TCC, EIST and xTPR can not be enabled. */
const MISC_ENABLE_MASK = ~((1n << 3n) | (1n << 16n) | (1n << 23n))
/** Bit 24: the TSC counts at the P0 frequency. */
const HWCR_TSC_FREQ_SEL = 0x1000000n
/** Bit 1: LFENCE serialises. */
const DE_CFG_LFENCE_SERIALIZE = 2n

const refuse = (): boolean => false

const REGISTERS = new Map<number, Register>([
  [MSR.TSC, { of: ['tsc'], read: (vcpu) => vcpu.tsc }],
  [MSR.PLATFORM_ID, constant(0n)],
  [MSR.FEATURE_CONTROL, { ...constant(FEATURE_CONTROL_LOCKED), write: refuse }],
  [MSR.BIOS_SIGN, constant(0n)],
  [MSR.SMM_MONITOR_CTL, { write: refuse }],
  [MSR.SYSENTER_CS, { of: ['sysenter'], ...stored(L.SYSENTER_CS) }],
  [MSR.SYSENTER_ESP, { of: ['sysenter'], ...storedAddress(L.SYSENTER_ESP) }],
  [MSR.SYSENTER_EIP, { of: ['sysenter'], ...storedAddress(L.SYSENTER_EIP) }],
  [MSR.MISC_ENABLE, { ...stored(L.MISC_ENABLE), write: writeMiscEnable }],
  [MSR.CR_PAT, { of: ['pat'], read: (vcpu) => vcpu.vc_shadow_pat, write: writePat }],
  [MSR.EFER, { of: ['syscall', 'lm', 'nx'], ...stored(L.EFER), write: writeEfer }],
  [MSR.STAR, { of: ['syscall'], ...stored(L.STAR) }],
  [MSR.LSTAR, { of: ['lm'], ...storedAddress(L.LSTAR) }],
  [MSR.CSTAR, { of: ['lm'], ...storedAddress(L.CSTAR) }],
  [MSR.SFMASK, { of: ['lm'], ...stored(L.SFMASK, 0xffffffffn) }],
  [MSR.FSBASE, { of: ['lm'], ...storedAddress(L.FS + L.SEG_BASE) }],
  [MSR.GSBASE, { of: ['lm'], ...storedAddress(L.GS + L.SEG_BASE) }],
  [MSR.KERNELGSBASE, { of: ['lm'], ...storedAddress(L.KERNEL_GS_BASE) }],
  [MSR.TSC_AUX, { of: ['rdtscp'], ...stored(L.TSC_AUX, 0xffffffffn) }],
  [MSR.SYSCFG, constant(0n)],
  [MSR.HWCR, constant(HWCR_TSC_FREQ_SEL)],
  [MSR.INT_PEN_MSG, constant(0n)],
  [MSR.DE_CFG, constant(DE_CFG_LFENCE_SERIALIZE)],
  [MSR_KVM_SYSTEM_TIME, { write: writeSystemTime }],
])

/** undefined: #GP. */
export function readMsr(vcpu: Vcpu, number: number): bigint | undefined {
  return registerOf(vcpu, number)?.read?.(vcpu)
}

/** false: #GP. */
export function writeMsr(vcpu: Vcpu, number: number, value: bigint): boolean {
  return registerOf(vcpu, number)?.write?.(vcpu, value) ?? true
}

function registerOf({ model: { features } }: Vcpu, number: number): Register | undefined {
  const register = REGISTERS.get(number)
  return register?.of?.some((feature) => features.has(feature)) === false ? undefined : register
}

function constant(value: bigint): Register {
  return { read: () => value }
}

function stored(address: number, bits = 0xffffffffffffffffn): Register {
  return {
    read: ({ cpu }) => cpu.readU64(address),
    write: ({ cpu }, value) => {
      cpu.writeU64(address, value & bits)
      return true
    },
  }
}

function storedAddress(address: number): Register {
  const register = stored(address)
  return { ...register, write: (vcpu, value) => isCanonical(value) && register.write?.(vcpu, value) === true }
}

function writeEfer({ cpu }: Vcpu, value: bigint): boolean {
  return cpu.runtime.writeEfer(value) === 0
}

function writeMiscEnable({ cpu }: Vcpu, value: bigint): boolean {
  cpu.writeU64(L.MISC_ENABLE, value & MISC_ENABLE_MASK)
  return true
}

/** Eight memory types of one byte each: 0 UC, 1 WC, 4 WT, 5 WP, 6 WB, 7 UC-. */
function writePat(vcpu: Vcpu, value: bigint): boolean {
  for (let entry = 0n; entry < 8n; entry++) {
    const type = (value >> (entry * 8n)) & 0xffn
    if (type === 2n || type === 3n || type > 7n) return false
  }
  vcpu.vc_shadow_pat = value
  return true
}
