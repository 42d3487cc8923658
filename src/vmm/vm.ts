import type { CpuOptions, MemoryRange } from '../cpu/cpu.ts'
import * as L from '../cpu/layout.ts'
import { VmmError } from './errno.ts'
import { GuestMemory } from './memory.ts'
import type { CpuModel } from './models.ts'
import type { Platform, Processor } from './platform.ts'
import { Vcpu } from './vcpu.ts'
import { VCPU_STATE, VMM_MAX_NAME_LEN, VMM_MAX_VCPUS_PER_VM, type VmInfoResult } from './vmmvar.ts'

const MB = 1024 * 1024
const PAGE_SIZE = 4096

/** struct vm. */
export class Vm {
  readonly vm_id: number
  readonly vm_name: string
  readonly vm_creator_pid: number
  readonly vm_memory_size: number
  readonly memory: GuestMemory
  readonly vcpus: readonly Vcpu[]

  constructor(
    id: number,
    name: string,
    creatorPid: number,
    ranges: readonly MemoryRange[],
    platform: Platform,
    createCpu: (options: CpuOptions) => Processor,
    model: CpuModel,
    cpuOptions: Omit<CpuOptions, 'ranges'>,
  ) {
    this.vm_id = id
    this.vm_name = name.slice(0, VMM_MAX_NAME_LEN - 1)
    this.vm_creator_pid = creatorPid
    this.vm_memory_size = ranges.reduce((sum, range) => sum + range.size, 0)
    const cpu = allocate(() => createCpu({ ...cpuOptions, ranges }))
    this.memory = new GuestMemory(cpu, ranges)
    this.vcpus = [new Vcpu(cpu, this.memory, platform, model)]
  }

  info(): VmInfoResult {
    const states = this.vcpus.map((vcpu) => vcpu.vc_state as number)
    return {
      vir_memory_size: this.vm_memory_size / MB,
      vir_used_size: (this.vcpus[0] as Vcpu).cpu.readU32(L.RESIDENT_PAGES) * PAGE_SIZE,
      vir_ncpus: this.vcpus.length,
      vir_vcpu_state: Array.from({ length: VMM_MAX_VCPUS_PER_VM }, (_, index) => states[index] ?? 0),
      vir_creator_pid: this.vm_creator_pid,
      vir_id: this.vm_id,
      vir_name: this.vm_name,
    }
  }

  /** TERM: the vcpus stop as soon as they can. Returns whether one is inside RUN. */
  terminate(): boolean {
    for (const vcpu of this.vcpus) {
      if (vcpu.active) vcpu.vc_state = VCPU_STATE.REQTERM
      else vcpu.vc_state = VCPU_STATE.TERMINATED
    }
    return this.vcpus.some((vcpu) => vcpu.active)
  }

  /** Lets go of the memory; the last reference to the processor goes with this object. */
  destroy(): void {
    for (const { cpu } of this.vcpus) cpu.dispose()
    this.memory.detach()
  }
}

/** A host that has not the memory says so with a RangeError. */
function allocate(create: () => Processor): Processor {
  try {
    return create()
  } catch (error) {
    if (error instanceof RangeError) throw new VmmError('ENOMEM', `VMM_IOC_CREATE: ${error.message}`)
    throw error
  }
}
