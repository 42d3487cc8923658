/** vcpu_reg_state <-> processor: READREGS, WRITEREGS and RESETCPU, by the rules of the EPT backend. */
import * as L from '../cpu/layout.ts'
import { VmmError } from './errno.ts'
import type { Processor } from './platform.ts'
import type { Vcpu } from './vcpu.ts'
import {
  VCPU_REGS_CR0,
  VCPU_REGS_CR4,
  VCPU_REGS_RFLAGS,
  VCPU_REGS_XCR0,
  type VcpuRegState,
  type VcpuSegmentInfo,
  VM_RWREGS_ALL,
  VM_RWREGS_CRS,
  VM_RWREGS_DRS,
  VM_RWREGS_GPRS,
  VM_RWREGS_MSRS,
  VM_RWREGS_SREGS,
} from './vmmvar.ts'

/** Where each register lies, in the order of vrs_gprs; RFLAGS, the last, is put together by the processor. */
const GPRS = [
  L.RAX,
  L.RBX,
  L.RCX,
  L.RDX,
  L.RSI,
  L.RDI,
  ...Array.from({ length: 8 }, (_, index) => L.GPR + (8 + index) * 8),
  L.RSP,
  L.RBP,
  L.RIP,
]

/** vrs_crs: [index, address, written by WRITEREGS]. CR8 is not transferred at all. */
const CRS = [
  [0, L.CR0, true],
  [1, L.CR2, false],
  [2, L.CR3, true],
  [3, L.CR4, true],
  [5, L.XCR0, true],
  [6, L.PDPTE, true],
  [7, L.PDPTE + 8, true],
  [8, L.PDPTE + 16, true],
  [9, L.PDPTE + 24, true],
] as const

const MSRS = [L.EFER, L.STAR, L.LSTAR, L.CSTAR, L.SFMASK, L.KERNEL_GS_BASE, L.MISC_ENABLE]
const DRS = [L.DR0, L.DR0 + 8, L.DR0 + 16, L.DR0 + 24, L.DR6, L.DR7]
const SREGS = [L.CS, L.DS, L.ES, L.FS, L.GS, L.SS, L.LDTR, L.TR]

/** CR0 bits that exist: PE MP EM TS ET NE, WP, AM, NW CD PG. */
const CR0_BITS = 0xe005003fn
const CR0_PE = 1n
const CR0_ET = 0x10n
const CR0_PG = 0x80000000n
/** vmm(4) runs guests with CR4.VMXE set and reports it; here it is dropped wherever it is given. */
const CR4_VMXE = 0x2000n

/** Copies the groups in `mask` to `vrs` and leaves the rest of it as it is. */
export function readRegisters(cpu: Processor, mask: number, vrs: VcpuRegState): void {
  if (mask & VM_RWREGS_GPRS) {
    copyOut(cpu, GPRS, vrs.vrs_gprs)
    vrs.vrs_gprs[VCPU_REGS_RFLAGS] = cpu.rflags
  }
  if (mask & VM_RWREGS_SREGS) {
    SREGS.forEach((address, index) => {
      vrs.vrs_sregs[index] = readSegment(cpu, address)
    })
    vrs.vrs_gdtr = readTableRegister(cpu, L.GDTR)
    vrs.vrs_idtr = readTableRegister(cpu, L.IDTR)
  }
  if (mask & VM_RWREGS_CRS) for (const [index, address] of CRS) vrs.vrs_crs[index] = cpu.readU64(address)
  if (mask & VM_RWREGS_MSRS) copyOut(cpu, MSRS, vrs.vrs_msrs)
  if (mask & VM_RWREGS_DRS) copyOut(cpu, DRS, vrs.vrs_drs)
}

/** Copies the groups in `mask` to the processor. Nothing is checked: the next entry does that. */
export function writeRegisters(vcpu: Vcpu, mask: number, vrs: VcpuRegState): void {
  const { cpu } = vcpu
  if (mask & VM_RWREGS_GPRS) {
    copyIn(cpu, GPRS, vrs.vrs_gprs)
    vcpu.rflagsWritten = vrs.vrs_gprs[VCPU_REGS_RFLAGS] ?? 0n
    cpu.rflags = vcpu.rflagsWritten
  }
  if (mask & VM_RWREGS_SREGS) {
    SREGS.forEach((address, index) => {
      writeSegment(cpu, address, vrs.vrs_sregs[index])
    })
    writeTableRegister(cpu, L.GDTR, vrs.vrs_gdtr)
    writeTableRegister(cpu, L.IDTR, vrs.vrs_idtr)
  }
  if (mask & VM_RWREGS_CRS) writeControlRegisters(cpu, vrs.vrs_crs)
  if (mask & VM_RWREGS_MSRS) copyIn(cpu, MSRS, vrs.vrs_msrs)
  if (mask & VM_RWREGS_DRS) copyIn(cpu, DRS, vrs.vrs_drs)
  if ((mask & VM_RWREGS_ALL) === 0) return
  vcpu.registersWritten = true
  cpu.refresh()
}

/** RESETCPU: every group, XCR0 back to x87 alone. Interrupts, pending events and pvclock stay as they are. */
export function resetRegisters(vcpu: Vcpu, vrs: VcpuRegState): void {
  const cr0 = vrs.vrs_crs[VCPU_REGS_CR0] ?? 0n
  const cr4 = (vrs.vrs_crs[VCPU_REGS_CR4] ?? 0n) & ~CR4_VMXE
  const refused = cr0 & ~CR0_BITS
  if (refused !== 0n) throw refusal(`CR0 has reserved bits 0x${refused.toString(16)} set`)
  if ((cr0 & CR0_PG) !== 0n && (cr0 & CR0_PE) === 0n) throw refusal('CR0.PG is set without CR0.PE')
  const unsupported = cr4 & ~vcpu.cpu.readU64(L.CR4_ALLOWED)
  if (unsupported !== 0n) throw refusal(`CR4 bits 0x${unsupported.toString(16)} are not supported`)
  const crs = [...vrs.vrs_crs]
  crs[VCPU_REGS_XCR0] = 1n
  writeRegisters(vcpu, VM_RWREGS_ALL, { ...vrs, vrs_crs: crs })
  vcpu.cpu.writeU32(L.IO_PENDING, 0)
}

function refusal(what: string): VmmError {
  return new VmmError('EIO', `VMM_IOC_RESETCPU: ${what}`)
}

function writeControlRegisters(cpu: Processor, crs: readonly bigint[]): void {
  for (const [index, address, written] of CRS) if (written) cpu.writeU64(address, crs[index] ?? 0n)
  cpu.writeU64(L.CR0, (crs[VCPU_REGS_CR0] ?? 0n) | CR0_ET)
  cpu.writeU64(L.CR4, (crs[VCPU_REGS_CR4] ?? 0n) & ~CR4_VMXE)
}

function copyOut(cpu: Processor, addresses: readonly number[], values: bigint[]): void {
  for (let i = 0; i < addresses.length; i++) values[i] = cpu.readU64(addresses[i] as number)
}

function copyIn(cpu: Processor, addresses: readonly number[], values: readonly bigint[]): void {
  for (let i = 0; i < addresses.length; i++) cpu.writeU64(addresses[i] as number, values[i] ?? 0n)
}

function readSegment(cpu: Processor, address: number): VcpuSegmentInfo {
  return {
    vsi_sel: cpu.readU32(address + L.SEG_SELECTOR) & 0xffff,
    vsi_limit: cpu.readU32(address + L.SEG_LIMIT) >>> 0,
    vsi_ar: cpu.readU32(address + L.SEG_AR) >>> 0,
    vsi_base: cpu.readU64(address + L.SEG_BASE),
  }
}

function writeSegment(cpu: Processor, address: number, info: VcpuSegmentInfo | undefined): void {
  cpu.writeU32(address + L.SEG_SELECTOR, (info?.vsi_sel ?? 0) & 0xffff)
  cpu.writeU32(address + L.SEG_LIMIT, info?.vsi_limit ?? 0)
  cpu.writeU32(address + L.SEG_AR, info?.vsi_ar ?? 0)
  cpu.writeU64(address + L.SEG_BASE, info?.vsi_base ?? 0n)
}

function readTableRegister(cpu: Processor, address: number): VcpuSegmentInfo {
  const vsi_limit = cpu.readU32(address + L.SEG_LIMIT) >>> 0
  return { vsi_sel: 0, vsi_limit, vsi_ar: 0, vsi_base: cpu.readU64(address + L.SEG_BASE) }
}

function writeTableRegister(cpu: Processor, address: number, info: VcpuSegmentInfo): void {
  cpu.writeU32(address + L.SEG_LIMIT, info.vsi_limit)
  cpu.writeU64(address + L.SEG_BASE, info.vsi_base)
}
