/** `npm run vectors -- [--engine interpreter|translator|both] [--group NAME] DIR` */
import { parseArgs } from 'node:util'
import type { TranslatorFactory } from '../../src/cpu/cpu.ts'
import { TRANSLATORS } from '../support/translators.ts'
import { groupNames, readGroup } from './corpus.ts'
import { runGroup } from './runner.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    engine: { type: 'string', default: 'interpreter' },
    group: { type: 'string', multiple: true },
    show: { type: 'string', default: '5' },
  },
})
const directory = positionals[0]
if (directory === undefined) {
  console.error('usage: npm run vectors -- [--engine interpreter] [--group NAME]... [--show N] DIR')
  process.exit(2)
}
const ENGINES: Record<string, TranslatorFactory | undefined> = {
  interpreter: undefined,
  ...TRANSLATORS,
}
if (!(values.engine in ENGINES)) {
  console.error(`--engine ${values.engine}: interpreter, translator or both`)
  process.exit(2)
}

const total = { passed: 0, failed: 0, skipped: 0 }
for (const name of groupNames(directory)) {
  if (values.group && !values.group.includes(name)) continue
  const { passed, failed, skipped, failures } = runGroup(readGroup(directory, name), ENGINES[values.engine])
  const skips = [...skipped.values()].reduce((sum, count) => sum + count, 0)
  const reasons = [...skipped].map(([reason, count]) => `${reason} ${count}`).join(', ')
  console.log(
    `${name.padEnd(14)} ${passed} passed, ${failed} failed, ${skips} skipped${reasons ? ` (${reasons})` : ''}`,
  )
  for (const { test, problems } of failures.slice(0, Number(values.show))) {
    console.log(`  ${test.id} ${test.asm} [${test.code}]\n    ${problems.join('\n    ')}`)
  }
  total.passed += passed
  total.failed += failed
  total.skipped += skips
}
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`)
process.exit(total.failed > 0 ? 1 : 0)
