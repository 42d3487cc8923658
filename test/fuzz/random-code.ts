/**
 * Random code in a VM, through the ioctls of vmm(4). A program runs for a bounded number of instructions while the monitor
 * injects interrupts, answers I/O with noise and takes EPT rights away; then the next one is made. Whatever the guest
 * does, RUN comes back in time with an exit that the manual names or a VmmError, and the invariants hold.
 */
import { createHash } from 'node:crypto'
import { Cpu, type TranslatorFactory } from '../../src/cpu/cpu.ts'
import { FEATURES } from '../../src/cpu/decoder/features.ts'
import {
  ERRNO,
  openVmm,
  PROT_EXEC,
  PROT_READ,
  PROT_WRITE,
  VEI_DIR_IN,
  VM_EXIT_NONE,
  VM_RWREGS_ALL,
  VMX_EXIT,
  type VmExit,
  type Vmm,
  VmmError,
  VRP_IRQ_NONE,
  vcpu_reg_state,
  vm_exit,
} from '../../src/vmm/index.ts'
import { TRANSLATORS } from '../support/translators.ts'
import { Invariants } from './invariants.ts'
import { type LegacyKind, legacyProgram } from './legacy.ts'
import { createParams, type Program, RANGES, type Ring, randomProgram } from './machine.ts'
import { Random } from './random.ts'

/** Instructions of a program at most. */
const PROGRAM_LENGTH = 6000
/** The monitor acts at exits and whenever so many instructions have passed since the last; slices must divide it. */
export const EVENT_INTERVAL = 600
const PROTECTIONS = [PROT_READ, PROT_READ | PROT_EXEC, PROT_READ | PROT_WRITE, PROT_EXEC, PROT_WRITE | PROT_EXEC]
const EVERYTHING = PROT_READ | PROT_WRITE | PROT_EXEC
const KNOWN_EXITS = new Set<number>([...Object.values(VMX_EXIT), VM_EXIT_NONE])

export interface ProgramOptions {
  /** Tell the vmm of waiting interrupts (INTR). RUN then ends at the end of a slice, so slices make a difference. */
  readonly signals?: boolean
  readonly wantHash?: boolean
}

export interface Outcome {
  readonly instructions: number
  /** Exit reasons, in their order. */
  readonly exits: readonly number[]
  /** Registers and memory at the end. */
  readonly hash: string
}

/** FUZZ_ENGINE names the engine that programs run on. */
const ENGINES: Record<string, TranslatorFactory | undefined> = {
  interpreter: undefined,
  ...TRANSLATORS,
}

/** A device with one VM, which is made anew when the guest has brought it down, and now and then. */
export class FuzzMachine {
  readonly #vmm: Vmm
  readonly #slice: number
  #cpu: Cpu | undefined
  #invariants: Invariants | undefined
  #id = 0
  /** The guest takes an interrupt that the next RUN brings. */
  #ready = false

  /**
   * @param exact virtual time, where runs are exact to the instruction; otherwise the processor may stop up to 63 early
   * @param engine 'translator' translates everything at first sight, 'both' what is hot
   */
  constructor(slice: number, exact = true, engine = process.env.FUZZ_ENGINE ?? 'interpreter') {
    if (EVENT_INTERVAL % slice !== 0) throw new RangeError(`slice ${slice} does not divide ${EVENT_INTERVAL}`)
    if (!(engine in ENGINES)) throw new RangeError(`FUZZ_ENGINE=${engine}: ${Object.keys(ENGINES).join(', ')}`)
    const translator = ENGINES[engine]
    this.#slice = slice
    const createCpu = (options: ConstructorParameters<typeof Cpu>[0]): Cpu =>
      // What is not complete yet is to be played, too.
      (this.#cpu = new Cpu({ ...options, features: FEATURES, ...(translator && { translator }) }))
    const clock = exact ? 'instructions' : { tsc: (count: bigint) => count, wall: (count: bigint) => count }
    this.#vmm = openVmm({ clock, slice, createCpu, ports: 'all' })
  }

  get cpu(): Cpu {
    return this.#cpu as Cpu
  }

  #fresh(): void {
    if (this.#id !== 0) this.#vmm.terminate({ vtp_vm_id: this.#id })
    this.#id = this.#vmm.create(createParams())
    this.#invariants = new Invariants(this.cpu)
  }

  /** Runs one program. @throws Error when something is not as it must be */
  run(program: Program, random: Random, { signals = true, wantHash = false }: ProgramOptions = {}): Outcome {
    if (this.#id === 0 || random.oneIn(50)) this.#fresh()
    this.#load(program)
    this.#protect(random)
    const before = this.#vmm.instructions(this.#id)
    const exits = this.#drive(random, before, signals)
    const broken = (this.#invariants as Invariants).check()
    if (broken.length > 0) throw new Error(`broken invariants:\n  ${broken.slice(0, 10).join('\n  ')}`)
    const instructions = Number(this.#vmm.instructions(this.#id) - before)
    const outcome = { instructions, exits, hash: wantHash ? this.#hash() : '' }
    if (exits.at(-1) === ERROR_EXIT) this.#fresh()
    return outcome
  }

  #load({ memory, state }: Program): void {
    const target = this.#vmm.memory(this.#id)
    let at = 0
    for (const { gpa, size } of RANGES) {
      target.write(gpa, memory.subarray(at, at + size))
      at += size
    }
    this.#setProtection(0, EVERYTHING, 160)
    this.#vmm.intr({ vip_vm_id: this.#id, vip_vcpu_id: 0, vip_intr: 0 })
    this.#vmm.resetcpu({ vrp_vm_id: this.#id, vrp_vcpu_id: 0, vrp_init_state: state })
  }

  #setProtection(gpa: number, vmep_prot: number, pages = 1): void {
    const vmep_size = BigInt(pages) * 4096n
    this.#vmm.mprotectEpt({ vmep_vm_id: this.#id, vmep_vcpu_id: 0, vmep_sgpa: BigInt(gpa), vmep_size, vmep_prot })
  }

  #protect(random: Random): void {
    if (random.oneIn(2)) return
    for (let count = random.below(4); count > 0; count--) {
      this.#setProtection(
        random.pick([random.below(160), 32 + random.below(8), 17, 48]) * 4096,
        random.pick(PROTECTIONS),
      )
    }
  }

  #drive(random: Random, before: bigint, signals: boolean): number[] {
    const exits: number[] = []
    const exit = vm_exit.zero()
    let sinceEvent = 0
    let irq: number = VRP_IRQ_NONE
    let answer = false
    for (;;) {
      const reason = this.#enter(exit, irq, answer)
      irq = VRP_IRQ_NONE
      answer = false
      sinceEvent = reason === VM_EXIT_NONE ? sinceEvent + this.#slice : 0
      if (reason === VM_EXIT_NONE && sinceEvent % EVENT_INTERVAL !== 0) continue
      exits.push(reason)
      if (reason === ERROR_EXIT || reason === VMX_EXIT.TRIPLE_FAULT) return exits
      if (Number(this.#vmm.instructions(this.#id) - before) >= PROGRAM_LENGTH) return exits
      if (reason === VMX_EXIT.EPT_VIOLATION) this.#setProtection(0, EVERYTHING, 160)
      answer = reason === VMX_EXIT.IO && exit.vei.vei_dir === VEI_DIR_IN && !random.oneIn(8)
      if (answer) exit.vei.vei_data = random.u32()
      if (random.oneIn(3) && (signals || this.#ready)) irq = 32 + random.below(224)
      if (signals && random.oneIn(6)) this.#vmm.intr({ vip_vm_id: this.#id, vip_vcpu_id: 0, vip_intr: random.below(2) })
    }
  }

  /** One RUN, with the checks of its result. */
  #enter(vrp_exit: VmExit, vrp_irq: number, answer: boolean): number {
    const before = this.#vmm.instructions(this.#id)
    const params = {
      vrp_vm_id: this.#id,
      vrp_vcpu_id: 0,
      vrp_continue: answer ? 1 : 0,
      vrp_irq,
      vrp_exit,
      vrp_irqready: 0,
    }
    let reason: number = ERROR_EXIT
    try {
      reason = this.#vmm.run(params)
      this.#ready = params.vrp_irqready !== 0
      if (!KNOWN_EXITS.has(reason)) throw new Error(`RUN returned ${reason}`)
    } catch (error) {
      if (!(error instanceof VmmError) || error.errno !== ERRNO.EINVAL) throw error
    }
    const spent = Number(this.#vmm.instructions(this.#id) - before)
    if (spent > this.#slice) throw new Error(`RUN took ${spent} instructions, the slice is ${this.#slice}`)
    if (reason === VM_EXIT_NONE && spent !== this.#slice) throw new Error(`a slice of ${this.#slice} took ${spent}`)
    return reason
  }

  #hash(): string {
    const vrwp_regs = vcpu_reg_state.zero()
    this.#vmm.readregs({ vrwp_vm_id: this.#id, vrwp_vcpu_id: 0, vrwp_mask: VM_RWREGS_ALL, vrwp_regs })
    const text = JSON.stringify(vrwp_regs, (_, item: unknown) => (typeof item === 'bigint' ? item.toString(16) : item))
    const hash = createHash('sha1').update(text)
    for (const { gpa, size } of RANGES) hash.update(this.#vmm.memory(this.#id).view(gpa, size))
    return `${hash.digest('hex').slice(0, 16)} ${text}`
  }
}

/** A privilege level in 64-bit mode, or another mode. */
export type Kind = Ring | LegacyKind

function isLegacy(kind: Kind): kind is LegacyKind {
  return typeof kind === 'string'
}

/** Stands in the list of exits for a RUN that failed with EINVAL: the guest did what the vmm does not handle. */
export const ERROR_EXIT = -1

export interface FuzzTotals {
  programs: number
  instructions: number
  /** Exit reason to count. */
  readonly exits: Map<number, number>
}

/** Programs with the seeds `seed`, `seed` + 1... until they have run that many instructions. */
export function fuzz(kind: Kind, seed: number, instructions: number, starting: (seed: number) => void): FuzzTotals {
  const machines = [new FuzzMachine(EVENT_INTERVAL), new FuzzMachine(EVENT_INTERVAL, false)]
  const totals: FuzzTotals = { programs: 0, instructions: 0, exits: new Map() }
  for (let next = seed; totals.instructions < instructions; next++) {
    starting(next)
    const random = new Random(next)
    const machine = machines[next % 2] as FuzzMachine
    const program = isLegacy(kind) ? legacyProgram(random, kind) : randomProgram(random, kind, false)
    const outcome = machine.run(program, random)
    totals.programs++
    totals.instructions += outcome.instructions
    for (const reason of outcome.exits) totals.exits.set(reason, (totals.exits.get(reason) ?? 0) + 1)
    if (next % 16 === 0) compareRuns(kind, next, starting)
  }
  return totals
}

/** The same program twice, and where nothing depends on the TLB's contents in slices of other sizes too. */
export function compareRuns(kind: Kind, seed: number, starting: (seed: number) => void = () => undefined): void {
  const tame = kind === 3
  const slices = tame ? [EVENT_INTERVAL, 75, 24] : [EVENT_INTERVAL, EVENT_INTERVAL]
  const outcomes = slices.map((slice) => {
    starting(seed)
    const random = new Random(seed)
    const program = isLegacy(kind) ? legacyProgram(random, kind) : randomProgram(random, kind, tame)
    return new FuzzMachine(slice).run(program, random, { signals: !tame, wantHash: true })
  })
  const [first, ...others] = outcomes.map((outcome) => JSON.stringify(outcome, undefined, 1))
  others.forEach((other, index) => {
    if (other === first) return
    throw new Error(`slices of ${slices[0]} and ${slices[index + 1]} end differently:\n${first}\n${other}`)
  })
}
