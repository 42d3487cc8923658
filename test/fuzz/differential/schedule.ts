/** How long each run is, and what the host does between two: made from the seed before anything runs. */
import { PAGE_DENY_EXECUTE, PAGE_DENY_READ, PAGE_DENY_WRITE } from '../../../src/cpu/layout.ts'
import type { Random } from '../random.ts'
import { little } from './assembler.ts'
import type { Action, Step } from './duel.ts'
import { FIRST_INTERRUPT } from './kernel.ts'
import { codeAt, PROGRAM_PAGES, type Program } from './program.ts'

/** What a translator needs to find something worth translating, and how much of everything there is to be. */
export interface Pace {
  /** Instructions before anything happens. */
  readonly warmUp: readonly number[]
  /** Phases after it. */
  readonly phases: number
  /** Lengths of runs, from which one is drawn. */
  readonly slices: readonly number[]
  /** Lengths that a sweep of interrupts adds 1, 2, 3... to. */
  readonly sweeps: readonly number[]
}

/** Places are counted until they are hot. */
export const TIERED: Pace = {
  warmUp: [90_000, 60_000],
  phases: 5,
  slices: [1, 2, 3, 7, 31, 61, 127, 257, 1009, 4001, 10_007, 20_011, 50_021],
  sweeps: [0, 40, 300, 1000, 10_000],
}

/** Everything is translated at first sight. */
export const EAGER: Pace = {
  warmUp: [3000],
  phases: 3,
  slices: [1, 2, 3, 7, 31, 61, 127, 257, 1009, 2003],
  sweeps: [0, 40, 300, 1000],
}

const NOTHING: Action = { kind: 'nothing' }
const RIGHTS = [PAGE_DENY_WRITE, PAGE_DENY_READ | PAGE_DENY_WRITE, PAGE_DENY_EXECUTE, 7]

class ScheduleWriter {
  readonly #random: Random
  readonly #program: Program
  readonly #pace: Pace
  readonly #steps: Step[] = []

  constructor(random: Random, program: Program, pace: Pace) {
    this.#random = random
    this.#program = program
    this.#pace = pace
  }

  write(): Step[] {
    for (const slice of this.#pace.warmUp) this.#add(slice + this.#random.below(1000), NOTHING)
    for (let left = this.#pace.phases; left > 0; left--) {
      if (this.#random.oneIn(2)) this.#sweep()
      else this.#mixture()
      this.#add(this.#random.pick(this.#pace.warmUp), NOTHING)
    }
    return this.#steps
  }

  #add(slice: number, action: Action): void {
    this.#steps.push({ slice, action })
  }

  #interrupt(): Action {
    return { kind: 'interrupt', vector: FIRST_INTERRUPT + this.#random.below(16), window: this.#random.oneIn(4) }
  }

  /** An interrupt after every number of instructions in a range: each boundary of a loop gets one. */
  #sweep(): void {
    const base = this.#random.pick(this.#pace.sweeps)
    const first = this.#random.below(20)
    for (let extra = first; extra < first + 60; extra++) this.#add(base + extra + 1, this.#interrupt())
  }

  #mixture(): void {
    for (let left = 20 + this.#random.below(20); left > 0; left--) {
      this.#add(this.#random.pick(this.#pace.slices), this.#action())
    }
  }

  #action(): Action {
    const random = this.#random
    switch (random.below(10)) {
      case 0:
      case 1:
      case 2:
        return this.#interrupt()
      case 3:
      case 6:
        return this.#overwrite()
      case 4:
        return this.#protect()
      case 5:
        return { kind: 'register', register: random.pick([0, 2, 8, 15]), value: random.u64() }
      default:
        return NOTHING
    }
  }

  /** Code that may be overwritten, or data. */
  #overwrite(): Action {
    const random = this.#random
    const site = random.pick(this.#program.sites)
    if (site.flip) return { kind: 'flip', gpa: site.gpa }
    if (!random.oneIn(3)) return { kind: 'write', gpa: site.gpa, bytes: random.bytes(site.bytes) }
    const gpa = (PROGRAM_PAGES.last - random.below(16)) * 4096 + random.below(4088)
    return { kind: 'write', gpa, bytes: little(random.u64(), 8) }
  }

  #protect(): Action {
    const random = this.#random
    const page = (PROGRAM_PAGES.first + random.below(PROGRAM_PAGES.last + 1 - PROGRAM_PAGES.first)) * 4096
    const code = codeAt(this.#program.placement, random.below(3) * 4096)
    return { kind: 'protect', gpa: random.oneIn(2) ? page : code, denied: random.pick(RIGHTS) }
  }
}

export function makeSchedule(random: Random, program: Program, pace: Pace): Step[] {
  return new ScheduleWriter(random, program, pace).write()
}
