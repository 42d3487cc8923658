/** /dev/vmm: the requests of vmm(4) on typed objects. Binary requests are in ioctl.ts. */
import type { CpuOptions, TranslatorFactory } from '../cpu/cpu.ts'
import * as L from '../cpu/layout.ts'
import type { ProcessorStatistics } from '../cpu/statistics.ts'
import type { InstructionObserver } from '../cpu/tracing.ts'
import { type Clock, hostClock, hostRandom, instructionClock, type RandomSource, reproducibleRandom } from './clock.ts'
import type { Request } from './codec.ts'
import { checkCreate } from './create.ts'
import { VmmError } from './errno.ts'
import { completeIn } from './io.ts'
import { type Caller, ioctlBytes, ioctlTyped } from './ioctl.ts'
import type { GuestMemory } from './memory.ts'
import { type CpuModel, cpuModel, DEFAULT_CPU, processorOptions } from './models.ts'
import { mprotectEpt } from './mprotect.ts'
import type { Platform, Processor } from './platform.ts'
import { writeSystemTime } from './pvclock.ts'
import { readRegisters, resetRegisters, writeRegisters } from './registers.ts'
import { runVcpu } from './run.ts'
import type { SampleObserver } from './sampler.ts'
import type { Vcpu } from './vcpu.ts'
import { Vm } from './vm.ts'
import {
  VCPU_STATE,
  VM_EXIT_TERMINATED,
  VM_RWREGS_ALL,
  VM_RWVMPARAMS_PVCLOCK_SYSTEM_GPA,
  VM_RWVMPARAMS_PVCLOCK_VERSION,
  VMM_EX,
  VMM_MAX_VCPUS_PER_VM,
  type VmCreateParams,
  type VmExitBuffer,
  type VmInfoParams,
  type VmInfoResult,
  type VmIntrParams,
  type VmMprotectEptParams,
  type VmResetcpuParams,
  type VmRunParams,
  type VmRwregsParams,
  type VmRwvmparamsParams,
  type VmTerminateParams,
} from './vmmvar.ts'

export interface VmmOptions {
  /** Instructions after which RUN returns VM_EXIT_NONE, as if a signal had arrived. Default 10 000 000. */
  readonly slice?: number
  /**
   * What the guest's time-stamp counter and wall clock are made of: the host's time (default); 'instructions', virtual
   * time, with which the same input gives the same run; or a clock of the caller's. A clock may call requests of this
   * device: it is asked from inside RUN.
   */
  readonly clock?: 'host' | 'instructions' | Clock
  /** Rate of the time-stamp counter. Default 1 GHz. */
  readonly tscHz?: number
  /** Source for RDRAND and RDSEED. Default the host's, or reproducible noise with `clock: 'instructions'`. */
  readonly random?: RandomSource
  /** vir_creator_pid of the VMs made here. Default 0. */
  readonly pid?: number
  /** 'listed' (default): userland sees the ports that OpenBSD 6.9 forwards. 'all': every port, as in 7.2. */
  readonly ports?: 'listed' | 'all'
  /** CPU model of VMs that are created without one of their own, see models.ts. Default 'max', everything there is. */
  readonly cpu?: string
  /** Translates hot guest code; without one everything is interpreted. vmmjit/node has one that uses a worker. */
  readonly translator?: TranslatorFactory | undefined
  /**
   * Hears of every instruction that a VM runs, until it returns false. As long as it does, the VM runs one instruction at
   * a time, interpreted. Not with `createCpu`.
   */
  readonly onInstruction?: InstructionObserver | undefined
  /** Hears every 300,000 instructions, about a millisecond, where a VM is. Costs nothing when absent. */
  readonly onSample?: SampleObserver | undefined
  /** Makes the processor of a VM. */
  readonly createCpu?: (options: CpuOptions) => Processor
}

/** What VMM_IOC_CREATE does not tell. */
export interface CreateOptions {
  /** CPU model, like 'x86-64-v2,+aes'. Default: the device's. */
  readonly cpu?: string | undefined
}

/** How RUN reaches the vm_exit that vrp_exit points to. Both may throw VmmError EFAULT. */
export interface ExitAccess {
  load(): VmExitBuffer
  store(fill: (exit: VmExitBuffer) => void): void
}

const DEFAULT_SLICE = 10_000_000
const DEFAULT_TSC_HZ = 1_000_000_000
const VM_INFO_RESULT_SIZE = 160

export class Vmm {
  /** Newest first. */
  #vms: Vm[] = []
  /** Terminated from inside their own RUN, which has yet to notice. */
  readonly #dying = new Set<Vm>()
  #nextId = 1
  readonly #platform: Platform
  readonly #pid: number
  readonly #createCpu: (options: CpuOptions) => Processor
  readonly #translator: TranslatorFactory | undefined
  readonly #model: CpuModel

  /** Use openVmm, which supplies the processor. @throws VmmError EINVAL when there is no such CPU model */
  constructor(options: VmmOptions & { createCpu: (options: CpuOptions) => Processor }) {
    const tscHz = options.tscHz ?? DEFAULT_TSC_HZ
    const clock = options.clock ?? 'host'
    const virtualTime = clock === 'instructions'
    this.#pid = options.pid ?? 0
    this.#createCpu = options.createCpu
    this.#translator = options.translator
    this.#model = cpuModel(options.cpu ?? DEFAULT_CPU)
    this.#platform = {
      clock: typeof clock === 'object' ? clock : virtualTime ? instructionClock(tscHz) : hostClock(tscHz),
      tscHz,
      random: options.random ?? (virtualTime ? reproducibleRandom() : hostRandom),
      ports: options.ports ?? 'listed',
      slice: options.slice ?? DEFAULT_SLICE,
      exact: virtualTime,
      onSample: options.onSample,
    }
  }

  /** Any request by number. @throws VmmError; ENOTTY for a number that is none */
  ioctl<T extends object>(request: Request<T>, params: T): void
  ioctl(request: number, params: object): void
  ioctl(request: number, params: object): void {
    ioctlTyped(this, request, params)
  }

  /**
   * Any request with its C structure in `bytes`, which is changed in place when the request has outputs and succeeds.
   * Pointers in it are addresses that `caller` resolves.
   */
  ioctlBytes(request: number, bytes: Uint8Array, caller: Caller): void {
    ioctlBytes(this, request, bytes, caller)
  }

  /** VMM_IOC_CREATE. Returns vcp_id. @throws VmmError EINVAL, ENOMEM */
  create(params: VmCreateParams, { cpu }: CreateOptions = {}): number {
    const ranges = checkCreate(params)
    const model = cpu === undefined ? this.#model : cpuModel(cpu)
    const cpuOptions = { ...processorOptions(model), ...(this.#translator && { translator: this.#translator }) }
    const name = params.vcp_name ?? ''
    const vm = new Vm(this.#nextId, name, this.#pid, ranges, this.#platform, this.#createCpu, model, cpuOptions)
    this.#nextId++
    this.#vms.unshift(vm)
    params.vcp_id = vm.vm_id
    return vm.vm_id
  }

  /** VMM_IOC_RUN. Returns vrp_exit_reason. @throws VmmError ENOENT, EBUSY, EFAULT, EINVAL */
  run(params: VmRunParams, access: ExitAccess = directAccess(params)): number {
    const { vm, vcpu } = this.#find('VMM_IOC_RUN', params.vrp_vm_id, params.vrp_vcpu_id)
    requireStopped('VMM_IOC_RUN', vcpu)
    vcpu.vc_state = VCPU_STATE.RUNNING
    // A vrp_exit that can not be read leaves the vcpu marked as running, as in the kernel; only TERM helps then.
    if (params.vrp_continue !== 0) completeIn(vcpu, access.load().vei.vei_data)
    dropPendingIn(vcpu)
    const reason = this.#enter(vm, vcpu, params.vrp_irq)
    if (reason !== VM_EXIT_TERMINATED) {
      access.store((exit) => fillExit(vcpu, exit))
      params.vrp_irqready = vcpu.vc_irqready
    }
    params.vrp_exit_reason = reason
    return reason
  }

  /** VMM_IOC_INFO. Returns vip_info_ct, 0 when vip_size was too small. @throws VmmError EFAULT */
  info(params: VmInfoParams): number {
    const count = this.#vms.length + this.#dying.size
    const need = count * VM_INFO_RESULT_SIZE
    if (params.vip_size < need) {
      params.vip_size = need
      params.vip_info_ct = 0
      return 0
    }
    if (params.vip_info === undefined && count > 0) throw new VmmError('EFAULT', 'VMM_IOC_INFO: vip_info is NULL')
    this.#vms.forEach((vm, index) => {
      if (params.vip_info !== undefined) params.vip_info[index] = vm.info()
    })
    for (let index = this.#vms.length; index < count; index++) {
      if (params.vip_info !== undefined) params.vip_info[index] = emptyInfo()
    }
    params.vip_info_ct = count
    return count
  }

  /** VMM_IOC_TERM. @throws VmmError ENOENT */
  terminate(params: VmTerminateParams): void {
    const vm = this.#findVm('VMM_IOC_TERM', params.vtp_vm_id)
    this.#vms = this.#vms.filter((other) => other !== vm)
    if (vm.terminate()) this.#dying.add(vm)
    else vm.destroy()
  }

  /** VMM_IOC_RESETCPU. @throws VmmError ENOENT, EBUSY, EIO for a CR0 or CR4 that the processor can not have */
  resetcpu(params: VmResetcpuParams): void {
    const { vcpu } = this.#find('VMM_IOC_RESETCPU', params.vrp_vm_id, params.vrp_vcpu_id)
    requireStopped('VMM_IOC_RESETCPU', vcpu)
    resetRegisters(vcpu, params.vrp_init_state)
  }

  /** VMM_IOC_INTR. @throws VmmError ENOENT */
  intr(params: VmIntrParams): void {
    const { vcpu } = this.#find('VMM_IOC_INTR', params.vip_vm_id, params.vip_vcpu_id)
    vcpu.vc_intr = params.vip_intr & 0xffff
  }

  /** VMM_IOC_READREGS: fills the groups of vrwp_regs that vrwp_mask names. @throws VmmError ENOENT */
  readregs(params: VmRwregsParams): void {
    const { vcpu } = this.#find('VMM_IOC_READREGS', params.vrwp_vm_id, params.vrwp_vcpu_id)
    readRegisters(vcpu.cpu, params.vrwp_mask, params.vrwp_regs)
  }

  /** VMM_IOC_WRITEREGS. Values are checked by the next RUN. @throws VmmError ENOENT */
  writeregs(params: VmRwregsParams): void {
    const { vcpu } = this.#find('VMM_IOC_WRITEREGS', params.vrwp_vm_id, params.vrwp_vcpu_id)
    writeRegisters(vcpu, params.vrwp_mask, params.vrwp_regs)
  }

  /** VMM_IOC_READVMPARAMS. @throws VmmError ENOENT */
  readvmparams(params: VmRwvmparamsParams): void {
    const { vcpu } = this.#find('VMM_IOC_READVMPARAMS', params.vpp_vm_id, params.vpp_vcpu_id)
    if (params.vpp_mask & VM_RWVMPARAMS_PVCLOCK_VERSION) params.vpp_pvclock_version = vcpu.vc_pvclock_version
    if (params.vpp_mask & VM_RWVMPARAMS_PVCLOCK_SYSTEM_GPA) params.vpp_pvclock_system_gpa = vcpu.vc_pvclock_system_gpa
  }

  /** VMM_IOC_WRITEVMPARAMS. An address that does not do is a #GP for the guest, as if it had written the MSR. */
  writevmparams(params: VmRwvmparamsParams): void {
    const { vcpu } = this.#find('VMM_IOC_WRITEVMPARAMS', params.vpp_vm_id, params.vpp_vcpu_id)
    if (params.vpp_mask & VM_RWVMPARAMS_PVCLOCK_VERSION) {
      vcpu.vc_pvclock_version = (params.vpp_pvclock_version ?? 0) >>> 0
    }
    if (params.vpp_mask & VM_RWVMPARAMS_PVCLOCK_SYSTEM_GPA) {
      if (!writeSystemTime(vcpu, params.vpp_pvclock_system_gpa ?? 0n)) vcpu.vc_event = VMM_EX.GP
    }
  }

  /** VMM_IOC_MPROTECT_EPT. @throws VmmError ENOENT, EBUSY, EINVAL, EFAULT */
  mprotectEpt(params: VmMprotectEptParams): void {
    const { vcpu } = this.#find('VMM_IOC_MPROTECT_EPT', params.vmep_vm_id, params.vmep_vcpu_id)
    requireStopped('VMM_IOC_MPROTECT_EPT', vcpu)
    mprotectEpt(vcpu, params)
  }

  /** RAM of a VM, what `vmr_va` is in C. @throws VmmError ENOENT */
  memory(vmId: number): GuestMemory {
    return this.#findVm('memory', vmId).memory
  }

  /** What processor a VM has. @throws VmmError ENOENT */
  cpu(vmId: number): CpuModel {
    return this.#find('cpu', vmId, 0).vcpu.model
  }

  /** The guest's time-stamp counter now: devices that keep time should use the guest's own. @throws VmmError ENOENT */
  tsc(vmId: number): bigint {
    return this.#find('tsc', vmId, 0).vcpu.tsc
  }

  /** Instructions the VM has run. @throws VmmError ENOENT */
  instructions(vmId: number): bigint {
    return this.#find('instructions', vmId, 0).vcpu.cpu.instructions
  }

  /** What the VM's processor has done. @throws VmmError ENOENT */
  statistics(vmId: number): ProcessorStatistics {
    return this.#find('statistics', vmId, 0).vcpu.cpu.statistics()
  }

  /** Runs a vcpu and puts it into the state that follows from how that ended. */
  #enter(vm: Vm, vcpu: Vcpu, irq: number): number {
    let next: typeof vcpu.vc_state = VCPU_STATE.TERMINATED
    vcpu.active = true
    try {
      const reason = runVcpu(vcpu, irq)
      if (reason !== VM_EXIT_TERMINATED) next = VCPU_STATE.STOPPED
      return reason
    } catch (error) {
      if (error instanceof VmmError && this.#dying.has(vm)) return VM_EXIT_TERMINATED
      throw error
    } finally {
      vcpu.active = false
      vcpu.vc_state = next
      if (this.#dying.delete(vm)) vm.destroy()
    }
  }

  #findVm(request: string, id: number): Vm {
    const vm = this.#vms.find((candidate) => candidate.vm_id === id)
    if (vm === undefined) throw new VmmError('ENOENT', `${request}: there is no VM ${id}`)
    return vm
  }

  #find(request: string, vmId: number, vcpuId: number): { vm: Vm; vcpu: Vcpu } {
    const vm = this.#findVm(request, vmId)
    const vcpu = vm.vcpus.find((candidate) => candidate.vc_id === vcpuId)
    if (vcpu === undefined) throw new VmmError('ENOENT', `${request}: VM ${vmId} has no vcpu ${vcpuId}`)
    return { vm, vcpu }
  }
}

/** An IN that userland has not answered leaves its destination alone. */
function dropPendingIn({ cpu }: Vcpu): void {
  cpu.writeU32(L.IO_PENDING, 0)
}

function requireStopped(request: string, vcpu: Vcpu): void {
  const state = vcpu.vc_state
  if (state === VCPU_STATE.STOPPED) return
  throw new VmmError('EBUSY', `${request}: the vcpu is ${state === VCPU_STATE.TERMINATED ? 'terminated' : 'running'}`)
}

function directAccess(params: VmRunParams): ExitAccess {
  const exit = (): VmExitBuffer => {
    if (params.vrp_exit === undefined) throw new VmmError('EFAULT', 'VMM_IOC_RUN: vrp_exit is NULL')
    return params.vrp_exit
  }
  return { load: exit, store: (fill) => fill(exit()) }
}

function fillExit(vcpu: Vcpu, exit: VmExitBuffer): void {
  Object.assign(exit.vei, vcpu.vc_exit)
  exit.vee.vee_fault_type = vcpu.vc_exit.vei_size
  if (exit.vrs !== undefined) readRegisters(vcpu.cpu, VM_RWREGS_ALL, exit.vrs)
  exit.cpl = vcpu.cpu.readU32(L.CPL)
}

function emptyInfo(): VmInfoResult {
  return {
    vir_memory_size: 0,
    vir_used_size: 0,
    vir_ncpus: 0,
    vir_vcpu_state: new Array<number>(VMM_MAX_VCPUS_PER_VM).fill(0),
    vir_creator_pid: 0,
    vir_id: 0,
    vir_name: '',
  }
}
