/** The figures as tables for a terminal. */
import type { Against, ComparedWorkload, Comparison, Failed, PeerSummary } from './compare.ts'
import type { SmallResult } from './small.ts'
import { geometricMean } from './statistics.ts'
import { isOf, MEASURED, type Measured, mipsOf, type WorkloadResult } from './workloads.ts'

/** Three digits, or all that stand before the point. */
export function number(value: number | undefined): string {
  if (value === undefined) return '-'
  return value >= 1000 ? Math.round(value).toLocaleString('en') : value.toPrecision(3)
}

const NAME_WIDTH = 18
const WIDTH = 11

function row(name: string, columns: readonly string[]): string {
  return `${name.padEnd(NAME_WIDTH)}${columns.map((text) => text.padStart(WIDTH)).join('')}`
}

/** The workloads group by group, what `closing` has to say after each, and those that are in no group at the end. */
function byGroup<T extends { readonly name: string }>(
  workloads: readonly T[],
  line: (workload: T) => string,
  closing: (group: Measured) => string,
): string[] {
  const groups = MEASURED.flatMap((group) => {
    const members = workloads.filter(({ name }) => isOf(group, name))
    return members.length > 0 ? [...members.map(line), closing(group), ''] : []
  })
  const apart = workloads.filter(({ name }) => isOf('apart', name))
  return [...groups, ...(apart.length > 0 ? [...apart.map(line), ''] : [])]
}

/** Geometric means of the groups' MIPS. */
export function meanRates(workloads: readonly WorkloadResult[]): Partial<Record<Measured, number>> {
  const means = MEASURED.flatMap((group) => {
    const rates = workloads.filter(({ name }) => isOf(group, name)).map(mipsOf)
    const mean = geometricMean(rates.filter((rate) => rate !== undefined))
    return mean === undefined ? [] : [[group, mean] as const]
  })
  return Object.fromEntries(means)
}

export function workloadTable(workloads: readonly WorkloadResult[]): string[] {
  const means = meanRates(workloads)
  const line = (result: WorkloadResult): string =>
    row(result.name, [number(result.instructions / 1e6), number(result.milliseconds), number(mipsOf(result))])
  const closing = (group: Measured): string => row(meanName(group), ['', '', number(means[group])])
  return [row('workload', ['Minstr', 'ms', 'MIPS']), ...byGroup(workloads, line, closing)]
}

export function meanName(group: Measured): string {
  return `mean ${group}`
}

export function smallTable(results: readonly SmallResult[]): string[] {
  return results.map(
    ({ name, value, unit, margin }) =>
      `${name.padEnd(26)}${number(value).padStart(14)} ${unit.padEnd(15)} +-${margin.toFixed(1)} %`,
  )
}

/** Our times, and for each peer its time and how many times as fast we are. */
export function comparisonTable(comparison: Comparison): string[] {
  const peers = comparison.peers.filter((peer) => 'means' in peer)
  const closing = (group: Measured): string =>
    row(meanName(group), ['', '', ...peers.flatMap(({ means }) => ['', number(means[group])])])
  return [
    row('workload', ['MIPS', 'ms', ...peers.flatMap(({ name }) => [`${name} ms`, 'times'])]),
    ...byGroup(comparison.workloads, (workload) => line(workload, peers), closing),
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
