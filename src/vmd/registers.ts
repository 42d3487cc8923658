/** A vcpu's registers for people: what is shown when a guest has come to grief. */
import {
  VCPU_REGS_CR0,
  VCPU_REGS_CR2,
  VCPU_REGS_CR3,
  VCPU_REGS_CR4,
  VCPU_REGS_CS,
  VCPU_REGS_EFER,
  VCPU_REGS_RFLAGS,
  VCPU_REGS_RIP,
  VCPU_REGS_RSP,
  VCPU_REGS_SS,
  type VcpuRegState,
  type VcpuSegmentInfo,
} from '../vmm/index.ts'

/** In the order of vrs_gprs. */
const GPR_NAMES = ['rax', 'rbx', 'rcx', 'rdx', 'rsi', 'rdi', 'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15']

const CR0_PE = 1n
const CR0_PG = 0x80000000n
const EFER_LMA = 0x400n
const RFLAGS_VM = 0x20000n
const AR_L = 0x2000
const AR_DB = 0x4000

/** The mode the processor is in (SDM volume 1, 3.1). */
export function cpuMode({ vrs_gprs, vrs_crs, vrs_msrs, vrs_sregs }: VcpuRegState): string {
  const cr0 = vrs_crs[VCPU_REGS_CR0] ?? 0n
  const ar = vrs_sregs[VCPU_REGS_CS]?.vsi_ar ?? 0
  const width = ar & AR_DB ? '32-bit' : '16-bit'
  if ((cr0 & CR0_PE) === 0n) return 'real mode'
  if (((vrs_msrs[VCPU_REGS_EFER] ?? 0n) & EFER_LMA) !== 0n) {
    return ar & AR_L ? '64-bit mode' : `${width} compatibility mode`
  }
  if (((vrs_gprs[VCPU_REGS_RFLAGS] ?? 0n) & RFLAGS_VM) !== 0n) return 'virtual-8086 mode'
  return `${width} protected mode, paging ${(cr0 & CR0_PG) === 0n ? 'off' : 'on'}`
}

/** Several lines. */
export function formatRegisters(vrs: VcpuRegState): string {
  const { vrs_gprs, vrs_crs, vrs_msrs, vrs_sregs } = vrs
  const quad = (value: bigint | undefined): string => (value ?? 0n).toString(16).padStart(16, '0')
  const named = (name: string, value: bigint | undefined): string => `${name.padEnd(6)} ${quad(value)}`
  const cells = [
    named('rip', vrs_gprs[VCPU_REGS_RIP]),
    named('rflags', vrs_gprs[VCPU_REGS_RFLAGS]),
    named('rsp', vrs_gprs[VCPU_REGS_RSP]),
    named('rbp', vrs_gprs[VCPU_REGS_RSP + 1]),
    ...GPR_NAMES.map((name, index) => named(name, vrs_gprs[index])),
    named('cr0', vrs_crs[VCPU_REGS_CR0]),
    named('cr2', vrs_crs[VCPU_REGS_CR2]),
    named('cr3', vrs_crs[VCPU_REGS_CR3]),
    named('cr4', vrs_crs[VCPU_REGS_CR4]),
    named('efer', vrs_msrs[VCPU_REGS_EFER]),
  ]
  const lines = [`  ${cpuMode(vrs)}`]
  for (let at = 0; at < cells.length; at += 3) lines.push(`  ${cells.slice(at, at + 3).join('  ')}`)
  lines.push(`  ${segment('cs', vrs_sregs[VCPU_REGS_CS])}  ${segment('ss', vrs_sregs[VCPU_REGS_SS])}`)
  return lines.join('\n')
}

function segment(name: string, info: VcpuSegmentInfo | undefined): string {
  if (info === undefined) return ''
  const { vsi_sel, vsi_base, vsi_limit, vsi_ar } = info
  return `${name} ${vsi_sel.toString(16)} base ${vsi_base.toString(16)} limit ${vsi_limit.toString(16)} ar ${vsi_ar.toString(16)}`
}
