/** The figures as tables for a terminal. */
import type { Against, ComparedWorkload, Comparison, Failed, PeerSummary } from './compare.ts'
import type { SmallResult } from './small.ts'
import { mipsOf, type WorkloadResult } from './workloads.ts'

/** Three digits, or all that stand before the point. */
export function number(value: number | undefined): string {
  if (value === undefined) return '-'
  return value >= 1000 ? Math.round(value).toLocaleString('en') : value.toPrecision(3)
}

const NAME_WIDTH = 16
const WIDTH = 11

function row(name: string, columns: readonly string[]): string {
  return `${name.padEnd(NAME_WIDTH)}${columns.map((text) => text.padStart(WIDTH)).join('')}`
}

export function workloadTable(workloads: readonly WorkloadResult[], mips: number | undefined): string[] {
  return [
    row('workload', ['Minstr', 'ms', 'MIPS']),
    ...workloads.map((result) =>
      row(result.name, [number(result.instructions / 1e6), number(result.milliseconds), number(mipsOf(result))]),
    ),
    row('geometric mean', ['', '', number(mips)]),
  ]
}

export function smallTable(results: readonly SmallResult[]): string[] {
  return results.map(
    ({ name, value, unit, margin }) =>
      `${name.padEnd(26)}${number(value).padStart(14)} ${unit.padEnd(15)} +-${margin.toFixed(1)} %`,
  )
}

/** Our times, and for each peer its time and how many times as fast we are. */
export function comparisonTable(comparison: Comparison): string[] {
  const peers = comparison.peers.filter((peer) => 'mean' in peer)
  const body = (compute: boolean): string[] =>
    comparison.workloads.filter((workload) => workload.compute === compute).map((workload) => line(workload, peers))
  const apart = body(false)
  return [
    row('workload', ['MIPS', 'ms', ...peers.flatMap(({ name }) => [`${name} ms`, 'times'])]),
    ...body(true),
    row('geometric mean', ['', '', ...peers.flatMap(({ mean }) => ['', number(mean)])]),
    ...(apart.length > 0 ? ['', ...apart] : []),
    '',
    ...legend(comparison),
  ]
}

function line({ name, mips, here, peers }: ComparedWorkload, columns: readonly PeerSummary[]): string {
  const cells = columns.flatMap((peer) => cell(peers[peer.name]))
  return row(name, [number(mips), number(here.milliseconds), ...cells])
}

function cell(result: Against | Failed | undefined): string[] {
  if (result === undefined || 'failed' in result) return ['failed', '-']
  return [number(result.milliseconds), number(result.ratio)]
}

function legend({ here, scale, rounds, workloads, peers }: Comparison): string[] {
  return [
    `here: ${here}; scale ${scale}; rounds, of which these are medians: ${rounds}`,
    "times: the other machine's time divided by ours, so many times as fast are we",
    ...peers.flatMap((peer) => ('missing' in peer ? [`${peer.name}: ${peer.missing}`] : aboutPeer(peer, workloads))),
  ]
}

function aboutPeer({ name, version, note, worst }: PeerSummary, workloads: readonly ComparedWorkload[]): string[] {
  const failures = workloads.flatMap((workload) => {
    const result = workload.peers[name]
    return result !== undefined && 'failed' in result ? [`${name}: ${workload.name} failed: ${result.failed}`] : []
  })
  return [
    `${name}: ${version}`,
    ...(note === undefined ? [] : [`${name}: ${note}`]),
    ...(worst.length > 0 ? [`${name}: worst for us are ${worst.join(', ')}`] : []),
    ...failures,
  ]
}
