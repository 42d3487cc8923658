/** Where a guest spends its time: looks at RIP every so many instructions. */
import * as L from '../cpu/layout.ts'
import type { Processor } from './platform.ts'

/** What happened since the sample before, and where that has led to. */
export interface Sample {
  /** Linear. */
  readonly address: bigint
  readonly cpl: number
  readonly instructions: number
  /** Inside the processor: waiting and devices do not count. */
  readonly milliseconds: number
}

export type SampleObserver = (sample: Sample) => void

/** About a millisecond for the interpreter. A prime: no loop of the guest runs in step with it. */
const INTERVAL = 299_993

export class Sampler {
  readonly #observer: SampleObserver
  #left = INTERVAL
  #milliseconds = 0

  constructor(observer: SampleObserver) {
    this.#observer = observer
  }

  /** Instructions up to the next sample. */
  get left(): number {
    return this.#left
  }

  /** `cpu.run`; always to the instruction, for otherwise a run would end at branches only. */
  run(cpu: Processor, budget: number): number {
    const { performance } = globalThis
    const started = performance.now()
    const reason = cpu.run(budget, true)
    this.#milliseconds += performance.now() - started
    this.#left -= budget - (cpu.readU32(L.BUDGET) | 0)
    if (this.#left <= 0) this.#sample(cpu)
    return reason
  }

  #sample(cpu: Processor): void {
    const rip = cpu.readU64(L.RIP)
    const wide = cpu.readU32(L.MODE) === L.MODE_64
    this.#observer({
      address: wide ? rip : BigInt.asUintN(32, cpu.readU64(L.CS + L.SEG_BASE) + rip),
      cpl: cpu.readU32(L.CPL),
      instructions: INTERVAL - this.#left,
      milliseconds: this.#milliseconds,
    })
    this.#left = INTERVAL
    this.#milliseconds = 0
  }
}
