/**
 * One program on both engines. Everything follows from the seed and the engine. When the two differ, the match is played
 * again to find out where: how many instructions of the failing step it takes, which steps before it, and which
 * instructions of the program.
 */
import { Decoder } from '../../../src/cpu/decoder/decoder.ts'
import { disassemble } from '../../../src/cpu/decoder/disassemble.ts'
import { DecodeStatus, Instruction } from '../../../src/cpu/decoder/instruction.ts'
import * as L from '../../../src/cpu/layout.ts'
import { REGISTERS } from '../../support/registers.ts'
import { TRANSLATORS, type TranslatingEngine } from '../../support/translators.ts'
import { Random } from '../random.ts'
import { Contestant, Duel, type Step } from './duel.ts'
import { Image } from './image.ts'
import { LENGTHS } from './layout.ts'
import { codeAt, makeProgram, type Program } from './program.ts'
import { EAGER, makeSchedule, TIERED } from './schedule.ts'

/** Instructions that a report shows; what differs may have begun as far back as a region is long. */
const SHOWN = 100
/** Time for making a failure smaller. */
const SHRINKING_MS = Number(process.env.DIFF_SHRINK_MS ?? 30_000)
const NOP = 0x90

interface Failure {
  /** The steps; the last one is that which fails. */
  readonly steps: readonly Step[]
  readonly problems: readonly string[]
}

export interface MatchOutcome {
  readonly instructions: number
  /** What differs and where; nothing as it should be. */
  readonly report: string | undefined
}

function play(program: Program, steps: readonly Step[], engine: TranslatingEngine): Failure & { instructions: number } {
  const duel = new Duel(program, TRANSLATORS[engine])
  for (const [index, step] of steps.entries()) {
    const problems = duel.step(step)
    const instructions = Number(duel.left.cpu.instructions)
    if (problems.length > 0) return { steps: steps.slice(0, index + 1), problems, instructions }
    if (duel.over) return { steps, problems, instructions }
  }
  return { steps, problems: [], instructions: Number(duel.left.cpu.instructions) }
}

/** `alive` is called whenever a program has been played; looking into a failure plays many. */
export function playMatch(seed: number, engine: TranslatingEngine, alive: () => void): MatchOutcome {
  const eager = engine === 'translator'
  const program = makeProgram(seed, eager)
  const steps = makeSchedule(new Random(~seed), program, eager ? EAGER : TIERED)
  const { instructions, ...failure } = play(program, steps, engine)
  if (failure.problems.length === 0) return { instructions, report: undefined }
  return { instructions, report: new Inquest(seed, engine, program, failure, alive).report() }
}

class Inquest {
  readonly #seed: number
  readonly #engine: TranslatingEngine
  #program: Program
  readonly #first: Failure
  #failure: Failure
  readonly #alive: () => void
  #deadline = 0

  constructor(seed: number, engine: TranslatingEngine, program: Program, failure: Failure, alive: () => void) {
    this.#alive = alive
    this.#seed = seed
    this.#engine = engine
    this.#program = program
    this.#first = failure
    this.#failure = failure
  }

  report(): string {
    const { steps, problems } = this.#first
    const lines = [
      `seed ${this.#seed}, engine ${this.#engine}: step ${steps.length - 1}, ${this.#describe(steps.at(-1))}`,
    ]
    lines.push(...problems, ...this.#trace())
    if (SHRINKING_MS === 0) return lines.join('\n  ')
    this.#deadline = performance.now() + SHRINKING_MS / 2
    this.#dropSteps()
    this.#deadline = performance.now() + SHRINKING_MS / 2
    this.#dropInstructions()
    lines.push(`made smaller: ${this.#failure.steps.map((step) => this.#describe(step)).join('; ')}`)
    lines.push(...this.#failure.problems, ...this.#trace())
    return lines.join('\n  ')
  }

  #describe(step: Step | undefined): string {
    const text = JSON.stringify(step?.action, (_, value: unknown) =>
      typeof value === 'bigint' ? `0x${value.toString(16)}` : value,
    )
    return `${step?.slice} instructions, then ${text}`
  }

  #play(program: Program, steps: readonly Step[]): Failure {
    this.#alive()
    const { instructions: _, ...failure } = play(program, steps, this.#engine)
    return failure
  }

  /** Plays again; keeps the program and the steps when they still fail. */
  #try(program: Program, steps: readonly Step[]): boolean {
    if (performance.now() > this.#deadline) return false
    const failure = this.#play(program, steps)
    if (failure.problems.length === 0) return false
    this.#program = program
    this.#failure = failure
    return true
  }

  /** Leaves out steps before the last, many at a time at first. */
  #dropSteps(): void {
    for (let size = this.#failure.steps.length >> 1; size > 0; size >>= 1) {
      for (let at = this.#failure.steps.length - size; at >= 0; at -= size) {
        this.#try(this.#program, this.#failure.steps.toSpliced(at, size))
        at = Math.min(at, this.#failure.steps.length)
      }
    }
  }

  /** Replaces instructions by NOPs, many at a time at first. */
  #dropInstructions(): void {
    const all = [...this.#program.code.lengths].flatMap((length, at) => (length > 0 ? [{ at, length }] : []))
    for (let size = all.length >> 1; size > 0; size >>= 1) {
      for (let from = 0; from < all.length; from += size) {
        const chosen = all.slice(from, from + size)
        if (this.#try(withoutInstructions(this.#program, chosen), this.#failure.steps)) all.splice(from, chosen.length)
      }
    }
  }

  /** The least part of the last step that shows a difference, if a part does. */
  #leastSlice(): number | undefined {
    const before = this.#failure.steps.slice(0, -1)
    const { slice } = this.#failure.steps.at(-1) as Step
    const fails = (length: number): boolean => {
      const steps = [...before, { slice: length, action: { kind: 'nothing' } } as const]
      return this.#play(this.#program, steps).problems.length > 0
    }
    if (!fails(slice)) return undefined
    let good = 0
    let bad = slice
    while (bad - good > 1) {
      const middle = (good + bad) >> 1
      if (fails(middle)) bad = middle
      else good = middle
    }
    return bad
  }

  /** What the interpreter does last, before both are not the same any more. */
  #trace(): string[] {
    const before = this.#failure.steps.slice(0, -1)
    const least = this.#leastSlice()
    const length = least ?? (this.#failure.steps.at(-1) as Step).slice
    const alone = new Follower(this.#program)
    for (const step of before) alone.step(step)
    alone.run(Math.max(0, length - SHOWN))
    const lines = Array.from({ length: Math.min(length, SHOWN) }, () => alone.show()).filter((line) => line !== '')
    const where = least === undefined ? 'whole, but not in part' : `with ${least} instructions of it`
    return [`the last step fails ${where}; the interpreter's way:`, ...lines.map((line) => `  ${line}`)]
  }
}

function withoutInstructions(program: Program, chosen: readonly { at: number; length: number }[]): Program {
  const bytes = program.image.bytes.slice()
  for (const { at, length } of chosen) {
    for (let byte = at; byte < at + length; byte++) bytes[codeAt(program.placement, byte)] = NOP
    bytes.fill(1, LENGTHS + at, LENGTHS + at + length)
  }
  return { ...program, image: new Image(bytes) }
}

/** The interpreter alone, on the way that it went in the match. */
class Follower {
  readonly #contestant: Contestant
  readonly #codeBase: bigint
  readonly #decoder = new Decoder(64)
  readonly #instruction = new Instruction()

  constructor(program: Program) {
    this.#contestant = new Contestant(program)
    this.#codeBase = program.code.base
  }

  step({ slice, action }: Step): void {
    this.run(slice)
    this.#contestant.perform(action)
  }

  run(slice: number): void {
    const { cpu } = this.#contestant
    const end = cpu.instructions + BigInt(slice)
    while (cpu.instructions < end && this.#contestant.settle(cpu.run(Number(end - cpu.instructions), true)));
  }

  /** Runs an instruction, and tells which it was unless it is a NOP. */
  show(): string {
    const { cpu } = this.#contestant
    const rip = cpu.readU64(L.RIP)
    const text = this.#disassembled(rip)
    if (text === 'nop') {
      this.run(1)
      return ''
    }
    const registers = Array.from({ length: 16 }, (_, n) => cpu.readU64(L.GPR + n * 8))
    this.run(1)
    const changed = registers
      .map((value, n) => ({ value, now: cpu.readU64(L.GPR + n * 8), n }))
      .filter(({ value, now }) => value !== now)
      .map(({ now, n }) => `${REGISTERS[n]}=${now.toString(16)}`)
    const place = BigInt.asIntN(64, rip - this.#codeBase)
    const short = place >= 0 && place < 0x8000 ? `code+${place.toString(16)}` : rip.toString(16)
    return `${short}: ${text}  ${changed.join(' ')} flags=${cpu.rflags.toString(16)}`
  }

  #disassembled(rip: bigint): string {
    const { cpu, memory } = this.#contestant
    const bytes = Uint8Array.from({ length: 16 }, (_, n) => {
      const gpa = cpu.runtime.lookUp(BigInt.asUintN(64, rip + BigInt(n)))
      return gpa < 0n || gpa >= memory.length ? 0xff : (memory[Number(gpa)] as number)
    })
    const status = this.#decoder.decode(bytes, 0, 16, this.#instruction)
    return status === DecodeStatus.ok ? disassemble(this.#instruction, rip) : Buffer.from(bytes).toString('hex')
  }
}
