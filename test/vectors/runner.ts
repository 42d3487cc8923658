/** Runs groups of the vector corpus and counts what passed; used by the command and by the test suite. */
import type { TranslatorFactory } from '../../src/cpu/cpu.ts'
import { Decoder } from '../../src/cpu/decoder/decoder.ts'
import { DecodeStatus, Instruction } from '../../src/cpu/decoder/instruction.ts'
import { featuresOf, nameOf } from '../../src/cpu/decoder/opcodes.ts'
import { operationOf } from '../../src/cpu/interpreter/operations.ts'
import { compare, type Tolerance, toleranceOf } from './compare.ts'
import type { Case, Group, Mode } from './corpus.ts'
import { VectorMachine } from './machine.ts'
import type { Platform } from './tables.ts'

/** Where cases run. In segmented32 the segments of 32-bit code are not flat, which nothing in the results tells. */
export const ENVIRONMENTS = ['long64', 'compat32', 'legacy32', 'segmented32', 'compat16', 'legacy16', 'real'] as const
export type Environment = (typeof ENVIRONMENTS)[number]

const PLATFORMS: Record<Environment, Platform> = {
  long64: 'long',
  compat32: 'long',
  legacy32: 'legacy',
  segmented32: 'long',
  compat16: 'long',
  legacy16: 'legacy',
  real: 'real',
}

export interface Failure {
  readonly test: Case
  readonly environment: Environment
  readonly problems: readonly string[]
}

export interface Counts {
  passed: number
  failed: number
  skipped: number
}

/** A case counts once in each environment. */
export interface GroupResult extends Counts {
  readonly environments: Map<Environment, Counts>
  /** Reason to number of cases. */
  readonly reasons: Map<string, number>
  /** The first ones. */
  readonly failures: Failure[]
}

export interface RunOptions {
  readonly translator?: TranslatorFactory | undefined
  /** Only these; all by default. */
  readonly environments?: readonly Environment[] | undefined
  /** How many failures are kept. */
  readonly keep?: number
}

function environmentsOf(test: Case): readonly Environment[] {
  const { mode, real } = test
  if (mode === 'long64') return ['long64']
  if (mode === 'prot32') return dependsOnEs(test) ? ['compat32', 'legacy32'] : ['compat32', 'legacy32', 'segmented32']
  return real ? ['compat16', 'legacy16', 'real'] : ['compat16', 'legacy16']
}

/** ES may be loaded, or what it does not hold in segmented32 is reached. */
function dependsOnEs({ asm, exc }: Case): boolean {
  return /sreg|les/.test(asm) || /^fffff/.test(exc?.cr2 ?? '')
}

const DECODERS: Record<Mode, Decoder> = {
  long64: new Decoder(64),
  prot32: new Decoder(32),
  prot16: new Decoder(16),
  prot16b: new Decoder(16),
}
const instruction = new Instruction()

/** Why this processor can not run a case yet, or undefined. */
function skipReason(test: Case): string | undefined {
  const decoder = DECODERS[test.mode]
  const code = Buffer.from(test.code, 'hex')
  const end = test.asm.startsWith('seq') ? code.length : 1
  for (let at = 0; at < end; at += instruction.length) {
    if (decoder.decode(code, at, code.length, instruction) !== DecodeStatus.ok) return undefined
    if (operationOf(instruction, test.mode === 'long64' ? 'long' : 'segmented') >= 0) continue
    // What has no definition raises #UD.
    if (test.exc?.vector === 6) return undefined
    return featuresOf(instruction.encoding).at(-1) ?? `no definition of ${nameOf(instruction.name)}`
  }
  return undefined
}

/** The machines of a group, made when they are needed. */
class Machines {
  readonly #memseed: number
  readonly #translator: TranslatorFactory | undefined
  readonly #known = new Map<Platform, VectorMachine>()

  constructor(memseed: number, translator: TranslatorFactory | undefined) {
    this.#memseed = memseed
    this.#translator = translator
  }

  /** What is wrong with a case's results. */
  run(test: Case, environment: Environment, tolerance: Tolerance): string[] {
    const machine = this.#machine(PLATFORMS[environment])
    machine.load(test, environment === 'segmented32')
    try {
      const problems = compare(machine, test, machine.run(), tolerance)
      if (problems.length > 0) machine.reset()
      return problems
    } catch (error) {
      // A trap of WebAssembly: nobody knows what state it left behind.
      this.#known.delete(machine.platform)
      return [String(error)]
    }
  }

  #machine(platform: Platform): VectorMachine {
    const machine = this.#known.get(platform) ?? new VectorMachine(platform, this.#memseed, this.#translator)
    this.#known.set(platform, machine)
    return machine
  }
}

export function runGroup(group: Group, { translator, environments, keep = 5 }: RunOptions = {}): GroupResult {
  const none = { passed: 0, failed: 0, skipped: 0 }
  const result: GroupResult = { ...none, environments: new Map(), reasons: new Map(), failures: [] }
  const machines = new Machines(group.memseed, translator)
  const tolerance = toleranceOf(group.name)
  for (const test of group.cases) {
    const unknown = skipReason(test)
    for (const environment of environmentsOf(test)) {
      if (environments && !environments.includes(environment)) continue
      if (unknown !== undefined) {
        count(result, environment, 'skipped')
        result.reasons.set(unknown, (result.reasons.get(unknown) ?? 0) + 1)
        continue
      }
      const problems = machines.run(test, environment, tolerance)
      count(result, environment, problems.length === 0 ? 'passed' : 'failed')
      if (problems.length > 0 && result.failures.length < keep) result.failures.push({ test, environment, problems })
    }
  }
  return result
}

function count(result: GroupResult, environment: Environment, what: keyof Counts): void {
  const counts = result.environments.get(environment) ?? { passed: 0, failed: 0, skipped: 0 }
  result.environments.set(environment, counts)
  result[what]++
  counts[what]++
}
