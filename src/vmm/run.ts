/**
 * The loop inside VMM_IOC_RUN: update pvclock, inject, enter, handle the exit, until somebody outside is needed.
 *
 * A software processor has no host interrupts that would take it out of the guest, so every entry is given an instruction
 * budget of INNER_SLICE (about a millisecond). Its end stands for the EXTINT exit that the host's clock interrupt causes,
 * and bounds how late a guest takes an interrupt; it also lets V8 replace the running function by an optimised one, which
 * happens when it is called again. The end of the platform's `slice` stands for a signal to the thread: RUN returns
 * VM_EXIT_NONE.
 */
import { MAX_PATH } from '../cpu/interpreter/record.ts'
import * as L from '../cpu/layout.ts'
import { invalidGuestState } from './entry.ts'
import { VmmError } from './errno.ts'
import { handleExit, OUTCOME } from './exits.ts'
import type { Processor } from './platform.ts'
import { updatePvclock } from './pvclock.ts'
import type { Vcpu } from './vcpu.ts'
import { VCPU_STATE, type VcpuState, VM_EXIT_NONE, VM_EXIT_TERMINATED, VMX_EXIT, VRP_IRQ_NONE } from './vmmvar.ts'

const INNER_SLICE = 300_000
/** A run that is not exact may end so many instructions early: one shorter than that might not run at all. */
const SHORT_RUN = MAX_PATH
const RFLAGS_IF = 0x200

/**
 * Runs a vcpu whose state is RUNNING.
 *
 * @returns the VMX reason of the last exit, VM_EXIT_NONE or VM_EXIT_TERMINATED
 * @throws VmmError for what the kernel can not handle
 */
export function runVcpu(vcpu: Vcpu, irq: number): number {
  const { cpu, platform } = vcpu
  if (irq !== VRP_IRQ_NONE) hold(vcpu, irq & 0xff)
  let slice = platform.slice
  for (;;) {
    const budget = Math.min(slice, vcpu.sampler?.left ?? INNER_SLICE)
    cpu.writeU32(L.BUDGET, budget)
    const reason = prepareEntry(vcpu) ? enter(vcpu, budget) : VMX_EXIT.EPT_VIOLATION
    slice -= budget - (cpu.readU32(L.BUDGET) | 0)
    const outcome = handleExit(vcpu, reason)
    vcpu.vc_exit_reason = outcome === OUTCOME.NATIVE ? VMX_EXIT.EXTINT : reason
    vcpu.interruptFlag = (cpu.readU32(L.RFLAGS) & RFLAGS_IF) !== 0
    if (stateOf(vcpu) === VCPU_STATE.REQTERM) return VM_EXIT_TERMINATED
    if (outcome === OUTCOME.USERLAND) return vcpu.vc_exit_reason
    if (vcpu.vc_intr !== 0 && vcpu.vc_irqready !== 0) return vcpu.vc_exit_reason
    if (slice <= 0) return VM_EXIT_NONE
  }
}

function enter({ cpu, platform, sampler }: Vcpu, budget: number): number {
  return sampler?.run(cpu, budget) ?? cpu.run(budget, platform.exact || budget < SHORT_RUN)
}

/** As in an interrupt request register, a vector is pending once. */
function hold({ heldInterrupts }: Vcpu, vector: number): void {
  if (!heldInterrupts.includes(vector)) heldInterrupts.push(vector)
}

/** The state as a re-entrant request (an injected clock may make one) has left it. */
function stateOf(vcpu: Vcpu): VcpuState {
  return vcpu.vc_state
}

/**
 * Everything between the decision to run the guest and its first instruction. False when the EPT forbids an access that
 * the delivery of an interrupt makes; the interrupt is still held then.
 */
function prepareEntry(vcpu: Vcpu): boolean {
  const { cpu } = vcpu
  if (vcpu.registersWritten) {
    const problem = invalidGuestState(vcpu)
    if (problem !== undefined) throw new VmmError('EINVAL', `VMM_IOC_RUN: the guest can not be entered: ${problem}`)
    vcpu.registersWritten = false
  }
  updatePvclock(vcpu)
  if (!deliver(vcpu)) return false
  const waiting = vcpu.heldInterrupts.length > 0
  const interruptFlag = (cpu.readU32(L.RFLAGS) & RFLAGS_IF) !== 0
  cpu.interruptWindow = waiting || (vcpu.vc_intr !== 0 && !interruptFlag)
  return true
}

/** One event an entry: an exception first, else the oldest interrupt, if the guest was and is ready for one. */
function deliver(vcpu: Vcpu): boolean {
  const { cpu } = vcpu
  if (vcpu.vc_event >= 0) {
    const vector = vcpu.vc_event
    vcpu.vc_event = -1
    cpu.raise(vector, pushesErrorCode(vector) ? 0 : undefined)
    return true
  }
  const [vector] = vcpu.heldInterrupts
  if (vector === undefined || !vcpu.interruptFlag || !takesInterrupt(cpu)) return true
  cpu.interrupt(vector)
  if (cpu.readU32(L.EXIT_REASON) !== L.EXIT_NONE) return false
  vcpu.heldInterrupts.shift()
  return true
}

/** Interruptible, and no exception of the last instruction still to be delivered: that one goes first. */
function takesInterrupt(cpu: Processor): boolean {
  const exception = (cpu.readU32(L.FAULT_VECTOR) | 0) >= 0
  const debugTrap = (cpu.readU32(L.ATTENTION) & L.ATTENTION_PENDING_DB) !== 0
  return cpu.interruptible && !exception && !debugTrap
}

function pushesErrorCode(vector: number): boolean {
  return vector === 8 || (vector >= 10 && vector <= 14) || vector === 17
}
