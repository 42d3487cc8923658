import type { GuestMemory } from './memory.ts'
import type { CpuModel } from './models.ts'
import type { Platform, Processor } from './platform.ts'
import { Sampler } from './sampler.ts'
import { VCPU_STATE, type VcpuState, VEI_DIR_OUT, VMX_EXIT, type VmExitInout } from './vmmvar.ts'

/** Power-on value of IA32_PAT: WB WT UC- UC, twice. */
const PAT_DEFAULT = 0x0007040600070406n

/** struct vcpu: a virtual processor and what the vmm keeps about it besides its registers, which are in `cpu`. */
export class Vcpu {
  readonly vc_id = 0
  readonly cpu: Processor
  readonly memory: GuestMemory
  readonly platform: Platform
  readonly model: CpuModel
  /** Absent when nobody wants to know. */
  readonly sampler: Sampler | undefined

  vc_state: VcpuState = VCPU_STATE.STOPPED
  /** A RUN is on the stack; with vc_state RUNNING alone, one failed to read vrp_exit. */
  active = false
  /** INTR: userland has an interrupt waiting. */
  vc_intr = 0
  /** RFLAGS.IF at the last exit. */
  interruptFlag = false
  /** An exception to deliver on the next entry: its vector, or -1. */
  vc_event = -1
  /** Interrupts given to RUN that the guest could not take yet. */
  readonly heldInterrupts: number[] = []
  /** The union of vm_exit, which keeps its value from exit to exit. */
  readonly vc_exit: VmExitInout = {
    vei_size: 0,
    vei_dir: VEI_DIR_OUT,
    vei_rep: 0,
    vei_string: 0,
    vei_encoding: 0,
    vei_port: 0,
    vei_data: 0,
  }
  /** Reason of the last exit. */
  vc_exit_reason: number = VMX_EXIT.EXTINT
  /** Registers were written from outside: the next entry checks them as VM entry does. */
  registersWritten = true
  /** RFLAGS as they were written, reserved bits included; zero (no valid value) until RESETCPU. */
  rflagsWritten = 0n
  /** IA32_PAT; memory types have no effect, so it is remembered and nothing else. */
  vc_shadow_pat = PAT_DEFAULT

  /** Guest-physical pages whose EPT rights are write without read. */
  readonly misconfiguredPages = new Set<number>()

  /** Value last written to the KVM system-time MSR: guest-physical address, bit 0 enables. */
  vc_pvclock_system_gpa = 0n
  /** Updates so far. */
  vc_pvclock_version = 0

  constructor(cpu: Processor, memory: GuestMemory, platform: Platform, model: CpuModel) {
    this.cpu = cpu
    this.memory = memory
    this.platform = platform
    this.model = model
    this.sampler = platform.onSample && new Sampler(platform.onSample)
  }

  /** vrp_irqready: an interrupt given to the next RUN will be taken, and none is held back. */
  get vc_irqready(): number {
    return this.interruptFlag && this.heldInterrupts.length === 0 ? 1 : 0
  }

  /** The guest's time-stamp counter now. */
  get tsc(): bigint {
    return BigInt.asUintN(64, this.platform.clock.tsc(this.cpu.instructions))
  }
}
