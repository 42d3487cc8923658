/** --stats: what a run has cost, for people or, with --json, for programs. */
import type { Outcome, Statistics } from '../vmd/index.ts'
import type { ProfileRow } from './profile.ts'

export interface Run {
  readonly name: string
  /** Path of the boot image, and what it turned out to be. */
  readonly kernel: string
  readonly format: string
  readonly engine: string
  readonly clock: string
  /** Bytes. */
  readonly memory: number
  /** CPU model. */
  readonly cpu: string
  readonly outcome: Outcome
  readonly seconds: number
  readonly statistics: Statistics
  readonly profile?: readonly ProfileRow[]
}

/** A table of two columns. */
export function formatText(run: Run): string {
  const { statistics, seconds, outcome } = run
  const exits = Object.entries(statistics.exits).sort(([, a], [, b]) => b - a)
  const total = exits.reduce((sum, [, count]) => sum + count, 0)
  const rows: [string, string][] = [
    ['ended', describe(outcome)],
    ['instructions', grouped(Number(statistics.instructions))],
    ['wall time', `${seconds.toFixed(3)} s`],
    ['speed', `${mips(run).toFixed(1)} MIPS`],
    ['exits', grouped(total)],
    ...exits.map(([name, count]): [string, string] => [`  ${name}`, grouped(count)]),
    ['console', `${grouped(statistics.consoleIn)} bytes in, ${grouped(statistics.consoleOut)} out`],
    ...section('processor', statistics.counters),
    ...section('translator', statistics.translator ?? {}),
  ]
  const width = Math.max(14, ...rows.map(([label]) => label.length + 2))
  return `${rows.map(([label, value]) => `  ${label.padEnd(width)}${value}`.trimEnd()).join('\n')}\n`
}

/** A heading and the numbers that are not zero; nothing when all are. */
function section(title: string, numbers: Readonly<Record<string, number>>): [string, string][] {
  const rows = Object.entries(numbers).filter(([, value]) => value !== 0)
  if (rows.length === 0) return []
  return [[title, ''], ...rows.map(([name, value]): [string, string] => [`  ${inWords(name)}`, grouped(value)])]
}

/** tlbMisses: tlb misses. */
function inWords(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
}

/** One object on one line. */
export function formatJson(run: Run): string {
  const { name, kernel, format, engine, clock, memory, cpu, outcome, seconds, statistics, profile } = run
  const { instructions, translator, ...counters } = statistics
  const object = {
    name,
    kernel,
    format,
    engine,
    clock,
    memory,
    cpu,
    ...outcome,
    seconds: rounded(seconds, 6),
    instructions: Number(instructions),
    mips: rounded(mips(run), 3),
    ...counters,
    ...(translator && { translator: mapped(translator, (value) => rounded(value, 3)) }),
    ...(profile && { profile }),
  }
  return `${JSON.stringify(object)}\n`
}

function describe({ reason, status }: Outcome): string {
  return reason === 'poweroff' ? `powered off with status ${status}` : reason
}

function mips({ statistics, seconds }: Run): number {
  return seconds > 0 ? Number(statistics.instructions) / seconds / 1e6 : 0
}

function grouped(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: 1 })
}

function mapped(numbers: Readonly<Record<string, number>>, change: (value: number) => number): object {
  return Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, change(value)]))
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits))
}
