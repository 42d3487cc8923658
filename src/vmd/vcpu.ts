/**
 * The vcpu loop: VMM_IOC_RUN, then whatever the exit asks for, until the machine is over. vmd gives it a thread
 * (vcpu_run_loop, vcpu_exit in vm.c); here it is an async function that shares the event loop with input and timers.
 *
 * A guest that prints leaves RUN twice a character, so a turn of the loop must be cheap: RUN's parameters are one object
 * for all turns, without the registers (a copy of which would cost more than the rest), and the clock is read every
 * TURN_CHECK exits only. The event loop gets its turn TURN_INTERVAL after the last one, and whenever RUN has used up its
 * slice of instructions.
 *
 * A guest that waits for input by polling would keep the host busy. When LSR shows nothing to do IDLE_POLLS times running,
 * with few instructions between, the loop sleeps until input comes, at most IDLE_SLEEP: 3 % of a core are left.
 */
import {
  VCPU_REGS_RFLAGS,
  VCPU_REGS_RIP,
  type VcpuRegState,
  VEI_DIR_IN,
  VM_EXIT_NONE,
  VM_EXIT_TERMINATED,
  VM_RWREGS_ALL,
  VM_RWREGS_GPRS,
  VMX_EXIT,
  type VmExitBuffer,
  type Vmm,
  VmmError,
  type VmRunParams,
  VRP_IRQ_NONE,
  vcpu_reg_state,
  vm_exit,
} from '../vmm/index.ts'
import { type Bus, mergeIn } from './bus.ts'
import type { Host } from './host.ts'
import { cpuMode, formatRegisters } from './registers.ts'

const TURN_CHECK = 64
const TURN_INTERVAL = 10
const IDLE_POLLS = 200
const IDLE_INSTRUCTIONS = 100n * BigInt(IDLE_POLLS)
const IDLE_SLEEP = 10
/** A halted vcpu is woken, not timed; this only bounds the host's timers. */
const HALT_SLEEP = 60_000

const RFLAGS_IF = 0x200n

/** How a run ended. */
export interface Outcome {
  readonly reason: 'poweroff' | 'halt' | 'reset' | 'triple fault' | 'error' | 'interrupted'
  /** The guest's, when it powered off. */
  readonly status?: number
  /** What happened, with the vcpu's registers; for endings that nobody asked for. */
  readonly message?: string
}

/** The part of an interrupt controller that faces the processor. */
export interface InterruptController {
  /** INTR is high. */
  readonly pending: boolean
  /** INTA: the vector, or VRP_IRQ_NONE. */
  acknowledge(): number
}

/** A device that knows how long the guest has been polling it in vain. */
export interface PolledDevice {
  idlePolls: number
}

export interface VcpuConfig {
  readonly vmm: Vmm
  readonly vmId: number
  readonly bus: Bus
  readonly host: Host
  readonly console: PolledDevice
  /** Absent: no interrupts. */
  readonly pic?: InterruptController | undefined
  readonly onTripleFault: 'stop' | 'reset'
  readonly onExit?: ((reason: number, exit: VmExitBuffer, rip: bigint) => void) | undefined
}

const VCPU_ID = 0

const NO_PIC: InterruptController = { pending: false, acknowledge: () => VRP_IRQ_NONE }

type Run = Required<VmRunParams> & { vrp_exit: NonNullable<VmRunParams['vrp_exit']> }

export class VcpuLoop {
  /** Times RUN returned, by reason. */
  readonly exits = new Map<number, number>()
  readonly #config: VcpuConfig
  readonly #pic: InterruptController
  readonly #run: Run
  /** vip_intr as the vmm knows it. */
  #intr = 0
  #halted = false
  #outcome: Outcome | undefined
  #wake: () => void = () => {}
  #lastTurn = 0
  #exitsSinceCheck = 0
  #instructionsAtPoll = 0n

  constructor(config: VcpuConfig) {
    this.#config = config
    this.#pic = config.pic ?? NO_PIC
    const { vei, vee, cpl } = vm_exit.zero()
    this.#run = {
      vrp_vm_id: config.vmId,
      vrp_vcpu_id: VCPU_ID,
      vrp_continue: 0,
      vrp_irq: VRP_IRQ_NONE,
      vrp_exit: { vei, vee, cpl },
      vrp_exit_reason: VM_EXIT_NONE,
      vrp_irqready: 0,
    }
  }

  /** Runs the guest until it, or somebody else, ends it. Never throws for what a guest does. */
  async run(): Promise<Outcome> {
    this.#lastTurn = this.#config.host.now()
    while (this.#outcome === undefined) {
      if (this.#halted) await this.#waitForInterrupt()
      else if (this.#step() || this.#turnIsDue()) await this.#turn()
    }
    return this.#outcome
  }

  /** The machine is over; the first outcome stands. May be called from a device, while the guest is in an OUT. */
  end(outcome: Outcome): void {
    this.#outcome ??= outcome
    this.#wake()
  }

  /** Input has come or an interrupt line went up: a sleeping vcpu looks again. */
  wake(): void {
    if (this.#pic.pending) this.#halted = false
    this.#wake()
  }

  /** One RUN and its exit. Returns whether the event loop should have its turn. ENOENT: somebody terminated the VM. */
  #step(): boolean {
    const { vmm } = this.#config
    let reason: number
    try {
      this.#offerInterrupt(vmm)
      reason = vmm.run(this.#run)
    } catch (error) {
      if (!(error instanceof VmmError)) throw error
      this.end(error.code === 'ENOENT' ? { reason: 'interrupted' } : { reason: 'error', message: this.#explain(error) })
      return false
    }
    this.#run.vrp_continue = 1
    this.exits.set(reason, (this.exits.get(reason) ?? 0) + 1)
    const turnIsDue = this.#exit(reason)
    this.#config.onExit?.(reason, this.#run.vrp_exit, this.#rip())
    return turnIsDue
  }

  #offerInterrupt(vmm: Vmm): void {
    const pic = this.#pic
    this.#run.vrp_irq = this.#run.vrp_irqready !== 0 && pic.pending ? pic.acknowledge() : VRP_IRQ_NONE
    const intr = pic.pending ? 1 : 0
    if (intr === this.#intr) return
    this.#intr = intr
    vmm.intr({ vip_vm_id: this.#config.vmId, vip_vcpu_id: VCPU_ID, vip_intr: intr })
  }

  /** Reasons that are not listed ask for nothing: the guest goes on. */
  #exit(reason: number): boolean {
    switch (reason) {
      case VMX_EXIT.IO:
        this.#inout()
        return false
      case VM_EXIT_NONE:
        return true
      case VMX_EXIT.HLT:
        this.#halt()
        return false
      case VMX_EXIT.TRIPLE_FAULT:
        this.#tripleFault()
        return false
      case VMX_EXIT.EPT_VIOLATION:
        this.end({ reason: 'error', message: this.#report('EPT violation: the guest may not use that memory so') })
        return false
      case VM_EXIT_TERMINATED:
        this.end({ reason: 'interrupted' })
        return false
      default:
        return false
    }
  }

  #inout(): void {
    const { vei } = this.#run.vrp_exit
    const { bus } = this.#config
    if (vei.vei_dir === VEI_DIR_IN) {
      vei.vei_data = mergeIn(vei.vei_data, vei.vei_size, bus.read(vei.vei_port, vei.vei_size))
    } else {
      bus.write(vei.vei_port, vei.vei_size, vei.vei_data)
    }
  }

  /** With interrupts off, only an NMI could end it, and there is none. */
  #halt(): void {
    if (this.#run.vrp_irqready !== 0 || this.#interruptFlag()) this.#halted = !this.#pic.pending
    else this.end({ reason: 'halt', message: this.#report('HLT with interrupts off') })
  }

  #tripleFault(): void {
    const message = this.#report('triple fault: the guest could not handle an exception')
    this.end({ reason: this.#config.onTripleFault === 'reset' ? 'reset' : 'triple fault', message })
  }

  #turnIsDue(): boolean {
    if (this.#config.console.idlePolls >= IDLE_POLLS) return true
    if (++this.#exitsSinceCheck < TURN_CHECK) return false
    this.#exitsSinceCheck = 0
    return this.#config.host.now() - this.#lastTurn >= TURN_INTERVAL
  }

  async #turn(): Promise<void> {
    const { host } = this.#config
    if (this.#isIdle()) await this.#sleep(IDLE_SLEEP)
    else await host.turn()
    this.#lastTurn = host.now()
  }

  /** Between polls that a guest makes now and then, in the course of work, there are many instructions. */
  #isIdle(): boolean {
    const { console, vmm, vmId } = this.#config
    if (console.idlePolls < IDLE_POLLS) return false
    console.idlePolls = 0
    const before = this.#instructionsAtPoll
    this.#instructionsAtPoll = vmm.instructions(vmId)
    return this.#instructionsAtPoll - before < IDLE_INSTRUCTIONS
  }

  async #waitForInterrupt(): Promise<void> {
    await this.#sleep(HALT_SLEEP)
    if (this.#pic.pending) this.#halted = false
  }

  #sleep(milliseconds: number): Promise<void> {
    const awake = new Promise<void>((resolve) => {
      this.#wake = resolve
    })
    return this.#config.host.sleep(milliseconds, awake)
  }

  #interruptFlag(): boolean {
    const rflags = this.#registers(VM_RWREGS_GPRS).vrs_gprs[VCPU_REGS_RFLAGS] ?? 0n
    return (rflags & RFLAGS_IF) !== 0n
  }

  #registers(mask: number): VcpuRegState {
    const vrwp_regs = vcpu_reg_state.zero()
    const { vmm, vmId } = this.#config
    vmm.readregs({ vrwp_vm_id: vmId, vrwp_vcpu_id: VCPU_ID, vrwp_mask: mask, vrwp_regs })
    return vrwp_regs
  }

  #rip(): bigint {
    return this.#registers(VM_RWREGS_GPRS).vrs_gprs[VCPU_REGS_RIP] ?? 0n
  }

  #explain(error: VmmError): string {
    const mode = cpuMode(this.#registers(VM_RWREGS_ALL))
    const hint = mode === '64-bit mode' ? '' : `\nOnly 64-bit mode can be run for now, and the guest is in ${mode}.`
    return this.#report(`${error.message} (${error.code})${hint}`)
  }

  #report(what: string): string {
    const vrs = this.#registers(VM_RWREGS_ALL)
    return `${what}, at ${(vrs.vrs_gprs[VCPU_REGS_RIP] ?? 0n).toString(16)}\n${formatRegisters(vrs)}`
  }
}
