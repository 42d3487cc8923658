/**
 * The machine: memory, devices and processor, put together as vmd(8) does it. It talks to the processor through the
 * requests of vmm(4) only.
 *
 *   const machine = new Machine({ name: 'tiny', memory: 64 * MB, image, host, output: (byte) => { ... } })
 *   const outcome = await machine.run()
 *   machine.terminate()
 */
import {
  openVmm,
  type ProcessorStatistics,
  type RandomSource,
  VCPU_REGS_EFER,
  VM_EXIT_NONE,
  VMX_EXIT,
  type VmExitBuffer,
  type Vmm,
} from '../vmm/index.ts'
import { Bus } from './bus.ts'
import { ExitPort } from './devices/exit-port.ts'
import { Ns8250 } from './devices/ns8250.ts'
import type { Host } from './host.ts'
import { type LoadedImage, LoaderError, loadImage } from './loader/index.ts'
import { EFER_LMA } from './loader/state.ts'
import { type MemRange, memoryMap, vcpMemranges } from './memory-map.ts'
import { type Outcome, VcpuLoop } from './vcpu.ts'

export interface MachineConfig {
  readonly name: string
  /** Bytes, a multiple of 1 MB. */
  readonly memory: number
  /** A boot image; see loader/index.ts for what can be booted. */
  readonly image: Uint8Array
  readonly commandLine?: string
  readonly host: Host
  /** A byte that the guest sends to COM1. */
  readonly output: (byte: number) => void
  /** A guest that triple-faults ends the run either way; 'reset' tells the caller to start it again. Default 'stop'. */
  readonly onTripleFault?: 'stop' | 'reset'
  /** CPU model, like 'x86-64-v2,+aes'; see vmm/models.ts. Default: the vmm's. */
  readonly cpu?: string | undefined
  /** Default: one of the machine's own. */
  readonly vmm?: Vmm
  /** Hears of every return of VMM_IOC_RUN, when it has been dealt with. */
  readonly onExit?: (event: ExitEvent) => void
  /** For kernels that ask their loader for random bytes. */
  readonly random?: RandomSource
}

export interface ExitEvent {
  /** Name of vrp_exit_reason. */
  readonly reason: string
  /** An IN has the data that the device gave. */
  readonly exit: VmExitBuffer
  readonly rip: bigint
}

export interface Statistics extends ProcessorStatistics {
  /** Times that the guest left VMM_IOC_RUN, by the name of the reason. */
  readonly exits: Readonly<Record<string, number>>
  readonly consoleIn: number
  readonly consoleOut: number
  readonly unclaimedReads: number
  readonly unclaimedWrites: number
}

export class Machine {
  readonly config: MachineConfig
  /** What the boot image turned out to be. */
  readonly format: string
  readonly vmm: Vmm
  readonly vmId: number
  readonly #bus = new Bus()
  readonly #com1: Ns8250
  readonly #vcpu: VcpuLoop

  /** Creates the VM and loads the image. @throws LoaderError, VmmError; no VM is left behind then */
  constructor(config: MachineConfig) {
    this.config = config
    this.vmm = config.vmm ?? openVmm()
    const map = memoryMap(config.memory)
    const params = {
      vcp_name: config.name,
      vcp_ncpus: 1,
      vcp_nmemranges: map.length,
      vcp_memranges: vcpMemranges(map),
    }
    this.vmId = this.vmm.create(params, { cpu: config.cpu })
    try {
      this.format = this.#boot(map)
    } catch (error) {
      this.vmm.terminate({ vtp_vm_id: this.vmId })
      throw error
    }
    this.#com1 = new Ns8250({ output: config.output, interrupt: () => this.#vcpu.wake() }, this.#bus)
    new ExitPort({ powerOff: (status) => this.#vcpu.end({ reason: 'poweroff', status }) }, this.#bus)
    const { onExit } = config
    this.#vcpu = new VcpuLoop({
      vmm: this.vmm,
      vmId: this.vmId,
      bus: this.#bus,
      host: config.host,
      console: this.#com1,
      onTripleFault: config.onTripleFault ?? 'stop',
      onExit: onExit && ((reason, exit, rip) => onExit({ reason: exitName(reason), exit, rip })),
    })
  }

  /** Runs the guest until it ends, or `stop` is called. */
  run(): Promise<Outcome> {
    return this.#vcpu.run()
  }

  /** Ends the run soon, with 'interrupted'. */
  stop(): void {
    this.#vcpu.end({ reason: 'interrupted' })
  }

  /** Bytes typed at the console. */
  input(bytes: Uint8Array): void {
    this.#com1.receive(bytes)
    this.#vcpu.wake()
  }

  /** Bytes of input that the guest has yet to take. */
  get inputWaiting(): number {
    return this.#com1.waiting
  }

  /** @throws VmmError ENOENT when the machine was terminated */
  statistics(): Statistics {
    const { received, transmitted } = this.#com1.counters
    return {
      ...this.vmm.statistics(this.vmId),
      exits: Object.fromEntries([...this.#vcpu.exits].map(([reason, count]) => [exitName(reason), count])),
      consoleIn: received,
      consoleOut: transmitted,
      ...this.#bus.counters,
    }
  }

  /** Ends the run, and gives the VM's memory back. */
  terminate(): void {
    this.stop()
    this.vmm.terminate({ vtp_vm_id: this.vmId })
  }

  #boot(map: readonly MemRange[]): string {
    const { image, commandLine = '', random = hostRandom } = this.config
    const memory = this.vmm.memory(this.vmId)
    const { format, state }: LoadedImage = loadImage(image, { memory, map, commandLine, random })
    const { name, features } = this.vmm.cpu(this.vmId)
    if (((state.vrs_msrs[VCPU_REGS_EFER] ?? 0n) & EFER_LMA) !== 0n && !features.has('lm')) {
      throw new LoaderError(`the kernel is entered in long mode, which CPU model ${name} lacks`)
    }
    this.vmm.resetcpu({ vrp_vm_id: this.vmId, vrp_vcpu_id: 0, vrp_init_state: state })
    return format
  }
}

function exitName(reason: number): string {
  if (reason === VM_EXIT_NONE) return 'NONE'
  return Object.entries(VMX_EXIT).find(([, value]) => value === reason)?.[0] ?? `${reason}`
}

const hostRandom: RandomSource = (bytes) => {
  globalThis.crypto.getRandomValues(bytes)
}
