/** Runs groups of the vector corpus and counts what passed; used by the command and by the test suite. */
import type { TranslatorFactory } from '../../src/cpu/cpu.ts'
import { Decoder } from '../../src/cpu/decoder/decoder.ts'
import { DecodeStatus, Instruction } from '../../src/cpu/decoder/instruction.ts'
import { featuresOf, nameOf } from '../../src/cpu/decoder/opcodes.ts'
import { operationOf } from '../../src/cpu/interpreter/operations.ts'
import type { Case, Group } from './corpus.ts'
import { VectorMachine } from './machine.ts'

export interface GroupResult {
  passed: number
  failed: number
  /** Reason to number of cases. */
  readonly skipped: Map<string, number>
  readonly failures: { test: Case; problems: string[] }[]
}

const decoder = new Decoder(64)
const instruction = new Instruction()

/** Why this processor can not run a case yet, or undefined. */
export function skipReason(test: Case): string | undefined {
  if (test.mode !== 'long64') return `${test.mode} mode`
  const code = Buffer.from(test.code, 'hex')
  const end = test.asm.startsWith('seq') ? code.length : 1
  for (let at = 0; at < end; at += instruction.length) {
    if (decoder.decode(code, at, code.length, instruction) !== DecodeStatus.ok) return undefined
    if (operationOf(instruction) >= 0) continue
    // What has no definition raises #UD.
    if (test.exc?.vector === 6) return undefined
    return featuresOf(instruction.encoding).at(-1) ?? `no definition of ${nameOf(instruction.name)}`
  }
  return undefined
}

export function runGroup(group: Group, translator?: TranslatorFactory): GroupResult {
  const machine = new VectorMachine(group.memseed, translator)
  const result: GroupResult = { passed: 0, failed: 0, skipped: new Map(), failures: [] }
  for (const test of group.cases) {
    const reason = skipReason(test)
    if (reason !== undefined) {
      result.skipped.set(reason, (result.skipped.get(reason) ?? 0) + 1)
      continue
    }
    machine.load(test)
    const problems = machine.compare(test, machine.run(test))
    if (problems.length === 0) result.passed++
    else {
      result.failed++
      result.failures.push({ test, problems })
    }
  }
  return result
}
