/** vcpu states that a loader hands over: tables of registers, after vmd's vcpu_init_flat64 and its like. */
import {
  VCPU_REGS_CR0,
  VCPU_REGS_CR3,
  VCPU_REGS_CR4,
  VCPU_REGS_CS,
  VCPU_REGS_DR6,
  VCPU_REGS_DR7,
  VCPU_REGS_DS,
  VCPU_REGS_EFER,
  VCPU_REGS_ES,
  VCPU_REGS_FS,
  VCPU_REGS_GS,
  VCPU_REGS_LDTR,
  VCPU_REGS_RFLAGS,
  VCPU_REGS_RIP,
  VCPU_REGS_RSP,
  VCPU_REGS_SS,
  VCPU_REGS_TR,
  VCPU_REGS_XCR0,
  type VcpuRegState,
  type VcpuSegmentInfo,
  vcpu_reg_state,
} from '../../vmm/index.ts'

export const CR0_PE = 0x1n
export const CR0_ET = 0x10n
export const CR0_NE = 0x20n
export const CR0_WP = 0x10000n
export const CR0_PG = 0x80000000n
export const CR4_PSE = 0x10n
export const CR4_PAE = 0x20n
export const EFER_SCE = 0x1n
export const EFER_LME = 0x100n
export const EFER_LMA = 0x400n
export const EFER_NXE = 0x800n

export const CODE_SELECTOR = 0x08
export const DATA_SELECTOR = 0x10
/** VMX access rights: G, L, present, code, execute/read, accessed. */
export const AR_CODE64 = 0xa09b
/** G, D, present, code, execute/read, accessed. */
export const AR_CODE32 = 0xc09b
/** vmd's: conforming as well. */
export const AR_CODE32_CONFORMING = 0xc09f
/** G, B, present, data, read/write, accessed. */
export const AR_DATA = 0xc093
const AR_LDT = 0x82
const AR_BUSY_TSS = 0x8b

const RFLAGS_FIXED = 0x2n
const DR6_POWER_ON = 0xffff0ff0n
const DR7_POWER_ON = 0x400n

export interface FlatState {
  readonly rip: bigint
  readonly rsp: number
  readonly cr0: bigint
  readonly cr3: number
  readonly cr4: bigint
  readonly efer: bigint
  /** Access rights of CS. */
  readonly code: number
  readonly gdt: VcpuSegmentInfo
  readonly idtLimit: number
}

/** All segments start at 0 and end at 4 GB; whatever the table does not name is zero. */
export function flatState(table: FlatState): VcpuRegState {
  const vrs = vcpu_reg_state.zero()
  vrs.vrs_gprs[VCPU_REGS_RIP] = table.rip
  vrs.vrs_gprs[VCPU_REGS_RSP] = BigInt(table.rsp)
  vrs.vrs_gprs[VCPU_REGS_RFLAGS] = RFLAGS_FIXED
  vrs.vrs_crs[VCPU_REGS_CR0] = table.cr0
  vrs.vrs_crs[VCPU_REGS_CR3] = BigInt(table.cr3)
  vrs.vrs_crs[VCPU_REGS_CR4] = table.cr4
  vrs.vrs_crs[VCPU_REGS_XCR0] = 1n
  vrs.vrs_msrs[VCPU_REGS_EFER] = table.efer
  vrs.vrs_drs[VCPU_REGS_DR6] = DR6_POWER_ON
  vrs.vrs_drs[VCPU_REGS_DR7] = DR7_POWER_ON
  vrs.vrs_sregs[VCPU_REGS_CS] = flatSegment(CODE_SELECTOR, table.code)
  for (const index of [VCPU_REGS_DS, VCPU_REGS_ES, VCPU_REGS_FS, VCPU_REGS_GS, VCPU_REGS_SS]) {
    vrs.vrs_sregs[index] = flatSegment(DATA_SELECTOR, AR_DATA)
  }
  vrs.vrs_sregs[VCPU_REGS_LDTR] = { vsi_sel: 0, vsi_limit: 0xffff, vsi_ar: AR_LDT, vsi_base: 0n }
  vrs.vrs_sregs[VCPU_REGS_TR] = { vsi_sel: 0, vsi_limit: 0xffff, vsi_ar: AR_BUSY_TSS, vsi_base: 0n }
  vrs.vrs_gdtr = table.gdt
  vrs.vrs_idtr = { vsi_sel: 0, vsi_limit: table.idtLimit, vsi_ar: 0, vsi_base: 0n }
  return vrs
}

export function gdtr(gpa: number, limit: number): VcpuSegmentInfo {
  return { vsi_sel: 0, vsi_limit: limit, vsi_ar: 0, vsi_base: BigInt(gpa) }
}

/** A GDT of three entries: null, code with these access rights, data. */
export function flatGdt(code: number): Uint8Array {
  const bytes = new Uint8Array(24)
  const view = new DataView(bytes.buffer)
  view.setBigUint64(CODE_SELECTOR, flatDescriptor(code), true)
  view.setBigUint64(DATA_SELECTOR, flatDescriptor(AR_DATA), true)
  return bytes
}

/** Base 0, limit 4 GB; access rights have the layout of a descriptor's bits 40-55, with its limit bits empty. */
function flatDescriptor(ar: number): bigint {
  return 0x000f_0000_0000_ffffn | (BigInt(ar) << 40n)
}

function flatSegment(selector: number, ar: number): VcpuSegmentInfo {
  return { vsi_sel: selector, vsi_limit: 0xffffffff, vsi_ar: ar, vsi_base: 0n }
}
