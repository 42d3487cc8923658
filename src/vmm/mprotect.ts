/** VMM_IOC_MPROTECT_EPT: rights of guest-physical pages, below what the guest's own page tables say. */
import { VmmError } from './errno.ts'
import type { Vcpu } from './vcpu.ts'
import {
  PROT_EXEC,
  PROT_READ,
  PROT_WRITE,
  VMM_PCI_MMIO_BAR_BASE,
  VMM_PCI_MMIO_BAR_END,
  type VmMprotectEptParams,
} from './vmmvar.ts'

const PAGE_SIZE = 4096
const PAGE_MASK = 0xfffn
/** 512 GB: what one table of the EPT's top level spans. */
const MAX_SIZE = 1n << 39n
const ADDRESS_SPACE = 1n << 64n
const PROT_ALL = PROT_READ | PROT_WRITE | PROT_EXEC

/**
 * The PROT_ bits are those of an EPT entry. Write and execute without read is accepted, as in the kernel, and is an EPT
 * misconfiguration when the guest touches the page: RUN fails with EINVAL. Execute alone is possible.
 *
 * @throws VmmError EINVAL before anything is changed; EFAULT at the first page that is no memory, those before it changed
 */
export function mprotectEpt(vcpu: Vcpu, params: VmMprotectEptParams): void {
  const { vmep_sgpa: sgpa, vmep_size: size, vmep_prot: prot } = params
  const problem = checkProtection(prot) ?? checkSpan(sgpa, size)
  if (problem !== undefined) throw new VmmError('EINVAL', `VMM_IOC_MPROTECT_EPT: ${problem}`)
  const start = Number(sgpa)
  if (!vcpu.memory.has(start)) {
    throw new VmmError('EINVAL', `VMM_IOC_MPROTECT_EPT: 0x${sgpa.toString(16)} lies in no memory range`)
  }
  const { cpu, misconfiguredPages } = vcpu
  // What an EPT entry can not express stops every access, and the exit handler knows the page.
  const misconfigured = (prot & PROT_WRITE) !== 0 && (prot & PROT_READ) === 0
  const denied = misconfigured ? PROT_ALL : ~prot & PROT_ALL
  for (let gpa = start; gpa < start + Number(size); gpa += PAGE_SIZE) {
    const host = cpu.hostOf(gpa)
    if (host < 0) throw new VmmError('EFAULT', `VMM_IOC_MPROTECT_EPT: 0x${gpa.toString(16)} is not memory`)
    cpu.protect(host, denied)
    if (misconfigured) misconfiguredPages.add(gpa)
    else misconfiguredPages.delete(gpa)
  }
}

function checkProtection(prot: number): string | undefined {
  const writeAndExecute = (prot & PROT_WRITE) !== 0 && (prot & PROT_EXEC) !== 0
  // The kernel's condition, as it is written there: W+X alone does not offend.
  if ((prot & ~PROT_ALL) !== 0 && writeAndExecute) return 'unknown protection bits, with write and execute'
  if ((prot & PROT_ALL) === PROT_WRITE) return 'write alone'
  return prot === 0 ? 'no protection bits' : undefined
}

function checkSpan(sgpa: bigint, size: bigint): string | undefined {
  const end = sgpa + size
  if (((sgpa | size) & PAGE_MASK) !== 0n) return 'address or size is not page-aligned'
  if (size === 0n) return 'size is zero'
  if (size >= MAX_SIZE) return 'size is 512 GB or more'
  if (end >= ADDRESS_SPACE) return 'the end is beyond the address space'
  if (sgpa >= VMM_PCI_MMIO_BAR_BASE && sgpa <= VMM_PCI_MMIO_BAR_END) return 'begins in the PCI hole'
  if (end > VMM_PCI_MMIO_BAR_BASE && end <= VMM_PCI_MMIO_BAR_END) return 'ends in the PCI hole'
  return undefined
}
