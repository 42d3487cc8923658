/**
 * What happens at a VM exit. Reasons are those of VMX, handling is that of vmm(4)'s EPT backend in OpenBSD 6.9, with
 * these deliberate differences (to a guest or a monitor that behaves, each is a repair):
 *
 *   reference                                           here
 *   interrupt that can not be taken is dropped at the   held, and taken as soon as the guest can; irqready is 0 until
 *     end of RUN, or when an exception is pending         then; an exception goes first
 *   interrupt window armed at the exit after INTR       armed at the next entry
 *   RUN that ends with VM_EXIT_NONE leaves vm_exit and  both are written, as in OpenBSD 7.2
 *     vrp_irqready alone
 *   #GP of an emulated MOV CR, XSETBV or WRMSR of the   pushed RIP is that of the instruction
 *     pvclock MSR pushes the RIP of the next instruction
 *   MOV from CR8 leaves the destination, MOV to CR8 is  CR8 is kept, and read back (it holds back no interrupt)
 *     dropped
 *   bad XCR0 makes the next entry fail with EINVAL      #GP at the XSETBV
 *   RDMSR of the TSC is #GP (EPT, 2021)                 reads the TSC
 *   AMD's MSRs INT_PEN_MSG, DE_CFG only on RVI          always (the vendor is AuthenticAMD), SYSCFG and HWCR too
 *   CPUID takes its leaf from RAX, clamps leaf 0x15     from EAX; leaf 0x15 tells the rate of the TSC
 *   CPUID leaf 0xD counts the host's XCR0             the guest's
 *   HLT with interrupts off: EIO, VM over               returned like any HLT; the monitor sees IF = 0 in vrs
 *   prefixed IN/OUT, INS and OUTS: EINVAL or one exit   one exit an element, with its data; RSI, RDI, RCX advance;
 *     without the data                                    RUN completes an INS in memory
 *   IN EAX from a port nobody has keeps RAX[63:32]      zeroes them, as the instruction does
 *   IN that the kernel completed is completed again by  it is complete
 *     vrp_continue, when rule (e) reported it
 *   access to memory that does not exist: EINVAL or     reads ones, drops writes
 *     EFAULT, VM over
 *   CR0.NE and CR4.VMXE are forced on and reported      guests and monitors see what they wrote
 *   4095 VPIDs, one used up by each RESETCPU            no limit
 */
import * as L from '../cpu/layout.ts'
import { handleCpuid } from './cpuid.ts'
import { handleCrAccess, handleXsetbv } from './cr.ts'
import { VmmError } from './errno.ts'
import { handleIo } from './io.ts'
import { readMsr, writeMsr } from './msr.ts'
import { readPmc, readRandom, readTsc, readTscp } from './native.ts'
import type { Vcpu } from './vcpu.ts'
import { VEE_FAULT_PROTECT, VMM_EX, VMX_EXIT } from './vmmvar.ts'

/** What is to be done after an exit. */
export const OUTCOME = {
  /** Handled; the guest goes on. */
  KERNEL: 0,
  /** Handled, and hardware would not have left the guest for it. */
  NATIVE: 1,
  /** RUN returns with the reason. */
  USERLAND: 2,
} as const
export type Outcome = (typeof OUTCOME)[keyof typeof OUTCOME]

type Handler = (vcpu: Vcpu) => Outcome

const { KERNEL, NATIVE, USERLAND } = OUTCOME

const HANDLERS: { readonly [reason: number]: Handler } = {
  [L.EXIT_BUDGET]: () => NATIVE,
  [VMX_EXIT.TRIPLE_FAULT]: () => USERLAND,
  [VMX_EXIT.INT_WINDOW]: handleInterruptWindow,
  [VMX_EXIT.CPUID]: emulate(KERNEL, handleCpuid),
  [VMX_EXIT.HLT]: emulate(USERLAND, () => true),
  [VMX_EXIT.RDPMC]: emulate(NATIVE, readPmc),
  [VMX_EXIT.RDTSC]: emulate(NATIVE, readTsc),
  [VMX_EXIT.CR_ACCESS]: emulate(KERNEL, handleCrAccess),
  [VMX_EXIT.IO]: (vcpu) => (handleIo(vcpu) ? USERLAND : KERNEL),
  [VMX_EXIT.RDMSR]: emulate(KERNEL, handleRdmsr),
  [VMX_EXIT.WRMSR]: emulate(KERNEL, handleWrmsr),
  [VMX_EXIT.EPT_VIOLATION]: handleEptViolation,
  [VMX_EXIT.RDTSCP]: emulate(NATIVE, readTscp),
  [VMX_EXIT.XSETBV]: emulate(KERNEL, handleXsetbv),
  [VMX_EXIT.RDRAND]: emulate(NATIVE, readRandom),
  [VMX_EXIT.RDSEED]: emulate(NATIVE, readRandom),
}

/** @throws VmmError EINVAL for an exit that nothing handles; the vcpu is terminated */
export function handleExit(vcpu: Vcpu, reason: number): Outcome {
  const handler = HANDLERS[reason]
  if (handler === undefined) throw unhandled(reason)
  return handler(vcpu)
}

function unhandled(reason: number): VmmError {
  return new VmmError('EINVAL', `VMM_IOC_RUN: exit reason ${reason} is not handled`)
}

/** An instruction that is done here: past it when the handler did it, #GP(0) at it when the handler returns false. */
function emulate(outcome: Outcome, instruction: (vcpu: Vcpu) => unknown): Handler {
  return (vcpu) => {
    if (instruction(vcpu) === false) vcpu.cpu.raise(VMM_EX.GP, 0)
    else vcpu.cpu.advance()
    return outcome
  }
}

/** Userland asked to be told, unless the window was armed for an interrupt that the vmm holds. */
function handleInterruptWindow(vcpu: Vcpu): Outcome {
  return vcpu.vc_intr === 0 || vcpu.heldInterrupts.length > 0 ? NATIVE : USERLAND
}

function handleEptViolation({ cpu, vc_exit, misconfiguredPages }: Vcpu): Outcome {
  const page = Number(cpu.readU64(L.EXIT_GPA) & ~0xfffn)
  if (misconfiguredPages.has(page)) throw unhandled(VMX_EXIT.EPT_MISCONFIGURATION)
  // vee_fault_type is the byte of vei_size.
  vc_exit.vei_size = VEE_FAULT_PROTECT
  return USERLAND
}

function handleRdmsr(vcpu: Vcpu): boolean {
  const { cpu } = vcpu
  const value = readMsr(vcpu, cpu.readU32(L.RCX) >>> 0)
  if (value === undefined) return false
  cpu.writeU64(L.RAX, value & 0xffffffffn)
  cpu.writeU64(L.RDX, value >> 32n)
  return true
}

function handleWrmsr(vcpu: Vcpu): boolean {
  const { cpu } = vcpu
  const value = (BigInt(cpu.readU32(L.RDX) >>> 0) << 32n) | BigInt(cpu.readU32(L.RAX) >>> 0)
  return writeMsr(vcpu, cpu.readU32(L.RCX) >>> 0, value)
}
