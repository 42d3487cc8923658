/**
 * `child.ts ENGINE SEED SECONDS PROGRAMS`: matches with the seeds SEED, SEED + 1... until the time is over or so many are
 * played, in a process of their own, so that a run that never returns can be noticed and ended from outside. Prints a line
 * with the seed before each (more of them while it looks into a failure), and the totals at the end; a report goes to stderr.
 */
import { writeSync } from 'node:fs'
import type { TranslatingEngine } from '../../support/translators.ts'
import { playMatch } from './match.ts'

const [engine, ...numbers] = process.argv.slice(2)
const [seed, seconds, programs] = numbers.map(Number) as [number, number, number]
const started = performance.now()
const totals = { programs: 0, instructions: 0 }
for (let next = seed; totals.programs < programs && performance.now() - started < seconds * 1000; next++) {
  // Written at once: a line in a buffer would be lost with a process that hangs.
  const alive = (): unknown => writeSync(1, `${next}\n`)
  alive()
  const { instructions, report } = playMatch(next, engine as TranslatingEngine, alive)
  totals.programs++
  totals.instructions += instructions
  if (report !== undefined) {
    writeSync(2, `${report}\n`)
    process.exit(1)
  }
}
writeSync(1, `${JSON.stringify(totals)}\n`)
