/**
 * vmm(4) as a library: the eleven ioctls of OpenBSD's virtual machine monitor, under its names, driving guests on a
 * processor in WebAssembly.
 *
 *   const vmm = openVmm()
 *   const id = vmm.create({ vcp_nmemranges: 1, vcp_ncpus: 1, vcp_name: 'tiny', vcp_memranges: [
 *     { vmr_gpa: 0n, vmr_va: 0x10000n, vmr_size: 0x100000n } ] })
 *   vmm.memory(id).write(0xf0000, bios)
 *   vmm.resetcpu({ vrp_vm_id: id, vrp_vcpu_id: 0, vrp_init_state: state })
 *   const exit = vm_exit.zero()
 *   const run = { vrp_vm_id: id, vrp_vcpu_id: 0, vrp_continue: 0, vrp_irq: 0xffff, vrp_exit: exit }
 *   switch (vmm.run(run)) { case VMX_EXIT.IO: ... }
 *   vmm.terminate({ vtp_vm_id: id })
 *
 * Every request throws VmmError, whose errno is OpenBSD's, and then changes nothing in the objects it was given. The
 * manual is vmm(4), "IOCTLS"; where this differs from it on purpose is listed at the head of exits.ts. Memory sizes are
 * bytes, but vir_memory_size, which is megabytes as in OpenBSD 6.9. There is no pledge(2), hence no EPERM; and no ENODEV,
 * for the processor is always there.
 */
import { Cpu, type CpuOptions } from '../cpu/cpu.ts'
import { TracingCpu } from '../cpu/tracing.ts'
import { Vmm, type VmmOptions } from './device.ts'
import type { Processor } from './platform.ts'

export type { Counters, ProcessorStatistics } from '../cpu/statistics.ts'
export type { ExecutedInstruction, InstructionObserver, RegisterChange } from '../cpu/tracing.ts'
export type { Clock, RandomSource } from './clock.ts'
export { reproducibleRandom } from './clock.ts'
export * from './codec.ts'
export type { CreateOptions, ExitAccess, VmmOptions } from './device.ts'
export { Vmm } from './device.ts'
export type { ErrnoName } from './errno.ts'
export { ERRNO, VmmError } from './errno.ts'
export type { Feature, Features } from './features.ts'
export { availableFeatures } from './features.ts'
export type { Caller } from './ioctl.ts'
export { GuestMemory } from './memory.ts'
export { type CpuModel, cpuModel, cpuModelNames, DEFAULT_CPU, describeModel } from './models.ts'
export type { Processor } from './platform.ts'
export type { Sample, SampleObserver } from './sampler.ts'
export * from './vmmvar.ts'

/** Opens the device. VMs belong to the object that is returned; several devices know nothing of each other. */
export function openVmm(options: VmmOptions = {}): Vmm {
  const { onInstruction } = options
  const createCpu = (cpuOptions: CpuOptions): Processor =>
    onInstruction ? new TracingCpu(cpuOptions, onInstruction) : new Cpu(cpuOptions)
  return new Vmm({ createCpu, ...options })
}
