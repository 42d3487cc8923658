/** `npm run bench -- [--run NAME,...] [--scale N] [--json [FILE]]` */
import { writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { runWorkloads, type WorkloadResult } from './guest.ts'
import { runSmall, type SmallResult } from './small.ts'

interface Report {
  readonly node: string
  readonly cpu: string
  readonly workloads: readonly WorkloadResult[]
  /** Geometric mean of the workloads' MIPS. */
  readonly mips: number
  readonly small: readonly SmallResult[]
}

function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length)
}

function number(value: number): string {
  return value >= 1000 ? Math.round(value).toLocaleString('en') : value.toPrecision(3)
}

function print(report: Report, write: (line: string) => void): void {
  write(`node ${report.node}, ${report.cpu}\n`)
  write('workload      Minstr        ms      MIPS')
  for (const { name, instructions, milliseconds, mips } of report.workloads) {
    const columns = [number(instructions / 1e6), number(milliseconds), number(mips)].map((text) => text.padStart(10))
    write(`${name.padEnd(10)}${columns.join('')}`)
  }
  write(`${'geometric mean'.padEnd(30)}${number(report.mips).padStart(10)}\n`)
  for (const { name, value, unit, margin } of report.small) {
    write(`${name.padEnd(26)}${number(value).padStart(14)} ${unit.padEnd(15)} +-${margin.toFixed(1)} %`)
  }
}

/** The value after an option, '' for an option at the end or before another one, undefined without it. */
function option(name: string): string | undefined {
  const at = process.argv.indexOf(`--${name}`)
  if (at < 0) return undefined
  const value = process.argv[at + 1] ?? ''
  return value.startsWith('--') ? '' : value
}

const names = (option('run') ?? '').split(',').filter((name) => name !== '')
const workloads = await runWorkloads(names, Number(option('scale') ?? 1))
const report: Report = {
  node: process.version,
  cpu: cpus()[0]?.model ?? 'unknown processor',
  workloads,
  // repmovs and smc count few instructions for much work: they are not a matter of MIPS.
  mips: geometricMean(workloads.filter(({ instructions }) => instructions > 20e6).map(({ mips }) => mips)),
  small: runSmall(),
}
const json = option('json')
const text = `${JSON.stringify(report, undefined, 2)}\n`
// With the JSON on standard output, the table goes to standard error.
print(report, json === '' ? console.error : console.log)
if (json === '') process.stdout.write(text)
else if (json !== undefined) writeFileSync(json, text)
