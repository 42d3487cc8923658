import type { Cpu } from '../cpu/cpu.ts'
import type { Clock, RandomSource } from './clock.ts'
import type { SampleObserver } from './sampler.ts'

/** The processor, as far as the vmm uses it; tests put a puppet in its place. */
export type Processor = Pick<Cpu, keyof Cpu>

/** What all VMs of one Vmm share: the choices made in openVmm. */
export interface Platform {
  readonly clock: Clock
  readonly tscHz: number
  readonly random: RandomSource
  /** Which ports leave the kernel. */
  readonly ports: 'listed' | 'all'
  /** Instructions after which RUN returns VM_EXIT_NONE. */
  readonly slice: number
  /** Runs are as long as they were asked to be, to the instruction: virtual time needs it. */
  readonly exact: boolean
  readonly onSample: SampleObserver | undefined
}
