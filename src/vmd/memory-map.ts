/**
 * The physical memory of the machine, which is vmd's: low memory, the 384 KB where a PC has video memory and ROMs (here
 * RAM that is not reported, for guests write to 0xB8000 without asking), memory above 1 MB, and what does not fit below
 * the PCI hole from 4 GB on.
 */
import { VMM_PCI_MMIO_BAR_BASE, type VmMemRange } from '../vmm/index.ts'

export const KB = 1024
export const MB = 1024 * KB
export const GB = 1024 * MB

export const LOWMEM_END = 640 * KB
const HIGHMEM = MB
const PCI_HOLE = Number(VMM_PCI_MMIO_BAR_BASE)
const ABOVE_PCI_HOLE = 4 * GB
/** vmr_va has to look like an address in user space; vmm does not use it. */
const VA_BASE = 0x1_0000_0000n

export interface MemRange {
  readonly gpa: number
  readonly size: number
  /** The guest is told of it. */
  readonly reported: boolean
}

/** @param size bytes, a multiple of 1 MB and not zero */
export function memoryMap(size: number): MemRange[] {
  const low = Math.min(size - MB, PCI_HOLE - HIGHMEM)
  const high = size - MB - low
  return [
    { gpa: 0, size: LOWMEM_END, reported: true },
    { gpa: LOWMEM_END, size: HIGHMEM - LOWMEM_END, reported: false },
    { gpa: HIGHMEM, size: low, reported: true },
    { gpa: ABOVE_PCI_HOLE, size: high, reported: true },
  ].filter((range) => range.size > 0)
}

export function vcpMemranges(map: readonly MemRange[]): VmMemRange[] {
  return map.map(({ gpa, size }) => ({
    vmr_gpa: BigInt(gpa),
    vmr_va: VA_BASE + BigInt(gpa),
    vmr_size: BigInt(size),
  }))
}
