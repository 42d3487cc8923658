/** The checks of VMM_IOC_CREATE, in the kernel's order. */
import type { MemoryRange } from '../cpu/cpu.ts'
import { VmmError } from './errno.ts'
import {
  VMM_MAX_MEM_RANGES,
  VMM_MAX_VM_MEM_SIZE,
  VMM_PCI_MMIO_BAR_BASE,
  VMM_PCI_MMIO_BAR_END,
  type VmCreateParams,
  type VmMemRange,
} from './vmmvar.ts'

const PAGE_MASK = 0xfffn
const MB = 1n << 20n
const MAX_GPA = BigInt(VMM_MAX_VM_MEM_SIZE) * MB
/** User addresses on amd64: VM_MIN_ADDRESS, VM_MAXUSER_ADDRESS. */
const VM_MIN_ADDRESS = 0x1000n
const VM_MAXUSER_ADDRESS = 0x7f7fffffc000n

/**
 * The guest's memory as numbers.
 *
 * @throws VmmError EINVAL
 */
export function checkCreate(params: VmCreateParams): MemoryRange[] {
  const count = params.vcp_nmemranges
  if (!Number.isInteger(count) || count < 1 || count > VMM_MAX_MEM_RANGES) {
    throw invalid(`${count} memory ranges, there can be 1 to ${VMM_MAX_MEM_RANGES}`)
  }
  let end = 0n
  let total = 0n
  const ranges: MemoryRange[] = []
  for (let index = 0; index < count; index++) {
    const range = params.vcp_memranges[index] ?? { vmr_gpa: 0n, vmr_va: 0n, vmr_size: 0n }
    const problem = checkRange(range, end)
    if (problem !== undefined) throw invalid(`range ${index} ${problem}`)
    end = range.vmr_gpa + range.vmr_size
    total += range.vmr_size
    ranges.push({ gpa: Number(range.vmr_gpa), size: Number(range.vmr_size) })
  }
  if (total % MB !== 0n) throw invalid(`the ranges have ${total} bytes together, not a multiple of 1 MB`)
  if (params.vcp_ncpus !== 1) throw invalid(`${params.vcp_ncpus} vcpus, there can be 1`)
  return ranges
}

function checkRange({ vmr_gpa: gpa, vmr_va: va, vmr_size: size }: VmMemRange, previousEnd: bigint): string | undefined {
  if (((gpa | va | size) & PAGE_MASK) !== 0n) return 'is not page-aligned'
  if (size === 0n) return 'is empty'
  if (gpa >= MAX_GPA || gpa + size > MAX_GPA) return 'ends beyond 32 GB'
  if (va < VM_MIN_ADDRESS || va >= VM_MAXUSER_ADDRESS || size >= VM_MAXUSER_ADDRESS - va) {
    return `has vmr_va ${hex(va)}, not in user space`
  }
  if (gpa >= VMM_PCI_MMIO_BAR_BASE && gpa <= VMM_PCI_MMIO_BAR_END) return 'begins in the PCI hole'
  // A range that begins below the hole and ends above 4 GB passes, as in the kernel.
  if (gpa + size > VMM_PCI_MMIO_BAR_BASE && gpa + size <= VMM_PCI_MMIO_BAR_END) return 'ends in the PCI hole'
  if (gpa < previousEnd) return `starts at ${hex(gpa)}, below ${hex(previousEnd)}, the end of the range before`
  return undefined
}

function invalid(what: string): VmmError {
  return new VmmError('EINVAL', `VMM_IOC_CREATE: ${what}`)
}

function hex(value: bigint): string {
  return `0x${value.toString(16)}`
}
