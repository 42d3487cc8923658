/** `npm run bench -- [--run NAME,...] [--scale N] [--json [FILE]]` */
import { writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { Command } from 'commander'
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

const options = new Command('bench')
  .option('--run <names>', 'only these workloads of the built-in guest, separated by commas')
  .option('--scale <n>', 'times the work', '1')
  .option('--json [file]', 'the figures as JSON, to a file or to standard output')
  .parse()
  .opts<{ run?: string; scale: string; json?: string | true }>()
const workloads = await runWorkloads(options.run?.split(',') ?? [], Number(options.scale))
const report: Report = {
  node: process.version,
  cpu: cpus()[0]?.model ?? 'unknown processor',
  workloads,
  // repmovs and smc count few instructions for much work: they are not a matter of MIPS.
  mips: geometricMean(workloads.filter(({ instructions }) => instructions > 20e6).map(({ mips }) => mips)),
  small: runSmall(),
}
const text = `${JSON.stringify(report, undefined, 2)}\n`
// With the JSON on standard output, the table goes to standard error.
print(report, options.json === true ? console.error : console.log)
if (options.json === true) process.stdout.write(text)
else if (options.json !== undefined) writeFileSync(options.json, text)
