/** `npm run bench -- [--vs PEER,...] [...]`; README.md has all options. */
import { writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { Command, InvalidArgumentError, Option } from 'commander'
import { ENGINES, type Engine } from '../src/node/engines.ts'
import { chart } from './chart.ts'
import { type Comparison, compare } from './compare.ts'
import { runGuest } from './guest.ts'
import { IMAGES } from './images.ts'
import { openHere } from './peers/here.ts'
import { openPeer, PEERS, type PeerName } from './peers/index.ts'
import { comparisonTable, meanRates, smallTable, workloadTable } from './report.ts'
import { runSmall, type SmallResult } from './small.ts'
import { commandLine, type Measured, mipsOf, parseResults, WORKLOADS, type WorkloadResult } from './workloads.ts'

interface Options {
  readonly run: string[]
  readonly scale?: number
  readonly engine: Engine
  readonly shifted?: true
  readonly vs?: PeerName[]
  readonly rounds: number
  readonly json?: string | true
  readonly svg?: string
}

/** Where the figures were taken. */
const machine = { node: process.version, cpu: cpus()[0]?.model ?? 'unknown processor' }

/** At scale 1 QEMU needs 40 to 200 ms for a workload, and it would be the start that is compared. */
const SCALE_TO_COMPARE = 8

function names<T extends string>(known: readonly T[]): (text: string) => T[] {
  return (text) =>
    text.split(',').map((name) => {
      const found = known.find((candidate) => candidate === name)
      if (found === undefined) throw new InvalidArgumentError(`${name} is none of ${known.join(', ')}.`)
      return found
    })
}

function count(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError('A whole number from 1 on.')
  return Number(text)
}

const command = new Command('bench')
  .option('--run <names>', 'only these workloads of the built-in guest, separated by commas', names(WORKLOADS), [])
  .option('--scale <n>', `times the work (default: 1; with --vs ${SCALE_TO_COMPARE})`, count)
  .addOption(new Option('--engine <engine>', 'of our processor').choices(ENGINES).default('both'))
  .option('--shifted', 'the image whose innermost loops lie across page boundaries')
  .option('--vs <peers>', `compare with these: ${PEERS.join(', ')}`, names(PEERS))
  .option('--rounds <n>', 'for --vs', count, 3)
  .option('--svg <file>', 'with --vs: the ratios as a chart')
  .option('--json [file]', 'the figures as JSON, to a file or to standard output')
  .parse()
const options = command.opts<Options>()
if (options.svg !== undefined && options.vs === undefined) command.error('error: --svg is for --vs')
const image = options.shifted ? IMAGES.shifted : IMAGES.plain
// With the JSON on standard output, the table goes to standard error.
const say = options.json === true ? console.error : console.log

interface Report {
  readonly engine: Engine
  readonly workloads: readonly (WorkloadResult & { mips: number | undefined })[]
  /** Geometric means of the groups' MIPS. */
  readonly means: Readonly<Partial<Record<Measured, number>>>
  readonly small: readonly SmallResult[]
}

async function measureHere(): Promise<Report> {
  const { engine, run, scale = 1 } = options
  const results = parseResults(await runGuest({ engine, image, commandLine: commandLine(run, scale) }))
  const workloads = results.map((result) => ({ ...result, mips: mipsOf(result) }))
  const report = { engine, workloads, means: meanRates(results), small: runSmall() }
  say([`engine ${engine}\n`, ...workloadTable(workloads), ...smallTable(report.small)].join('\n'))
  return report
}

async function measureAgainst(peers: readonly PeerName[]): Promise<Comparison> {
  const comparison = await compare({
    here: openHere(options.engine, image),
    peers: peers.map((peer) => openPeer(peer, image)),
    workloads: options.run.length > 0 ? options.run : WORKLOADS,
    scale: options.scale ?? SCALE_TO_COMPARE,
    rounds: options.rounds,
    progress: (workload) => process.stderr.isTTY && process.stderr.write(`\r\x1b[K${workload} `),
  })
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K')
  say(comparisonTable(comparison).join('\n'))
  if (options.svg !== undefined) writeFileSync(options.svg, chart(comparison))
  return comparison
}

say(`node ${machine.node}, ${machine.cpu}`)
const report = options.vs === undefined ? await measureHere() : await measureAgainst(options.vs)
const json = `${JSON.stringify({ ...machine, image: options.shifted ? 'shifted' : 'plain', ...report }, undefined, 2)}\n`
if (options.json === true) process.stdout.write(json)
else if (options.json !== undefined) writeFileSync(options.json, json)
