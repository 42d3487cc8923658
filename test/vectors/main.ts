/**
 * `npm run vectors -- [--engine interpreter|translator|both] [--group NAME]... [--mode NAME]... [--every N] [--show N] DIR`;
 * with --every only each Nth case of a group runs.
 */
import { parseArgs } from 'node:util'
import type { TranslatorFactory } from '../../src/cpu/cpu.ts'
import { TRANSLATORS } from '../support/translators.ts'
import { groupNames, readGroup } from './corpus.ts'
import { ENVIRONMENTS, type GroupResult, runGroup } from './runner.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    engine: { type: 'string', default: 'interpreter' },
    group: { type: 'string', multiple: true },
    mode: { type: 'string', multiple: true },
    every: { type: 'string', default: '1' },
    show: { type: 'string', default: '5' },
  },
})

function fail(message: string): never {
  console.error(message)
  process.exit(2)
}

const ENGINES: Record<string, TranslatorFactory | undefined> = { interpreter: undefined, ...TRANSLATORS }
const directory =
  positionals[0] ??
  fail('usage: npm run vectors -- [--engine NAME] [--group NAME]... [--mode NAME]... [--every N] [--show N] DIR')
if (!(values.engine in ENGINES)) fail(`--engine ${values.engine}: interpreter, translator or both`)
const translator = ENGINES[values.engine]
const environments = values.mode?.map((name) => {
  return ENVIRONMENTS.find((known) => known === name) ?? fail(`--mode ${name}: ${ENVIRONMENTS.join(', ')}`)
})

const every = Number(values.every)
if (!Number.isInteger(every) || every < 1) fail(`--every ${values.every}: a number from 1 on`)

function summary({ passed, failed, skipped }: Pick<GroupResult, 'passed' | 'failed' | 'skipped'>): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`
}

function report(name: string, result: GroupResult): void {
  const reasons = [...result.reasons].map(([reason, count]) => `${reason} ${count}`).join(', ')
  console.log(`${name.padEnd(14)} ${summary(result)}${reasons ? ` (${reasons})` : ''}`)
  if (result.failed === 0) return
  for (const [environment, counts] of result.environments) console.log(`  in ${environment}: ${summary(counts)}`)
  for (const { test, environment, problems } of result.failures) {
    console.log(`  ${test.id} ${environment} ${test.asm} [${test.code}]\n    ${problems.join('\n    ')}`)
  }
}

const total = { passed: 0, failed: 0, skipped: 0 }
for (const name of groupNames(directory)) {
  if (values.group && !values.group.includes(name)) continue
  const group = readGroup(directory, name)
  const cases = group.cases.filter((_, index) => index % every === 0)
  const result = runGroup({ ...group, cases }, { translator, environments, keep: Number(values.show) })
  report(name, result)
  total.passed += result.passed
  total.failed += result.failed
  total.skipped += result.skipped
}
console.log(summary(total))
process.exit(total.failed > 0 ? 1 : 0)
