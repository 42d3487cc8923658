/**
 * The comparison with other machines: a guest that runs all workloads is booted here, on the first peer, on the second, here
 * again, and so on, so that a disturbance of the machine hits both sides of a ratio. A ratio is taken within a round; what
 * is reported is the median of the rounds. What a machine needs to get going is in its first workload, as for any guest.
 */
import type { MissingPeer, Peer } from './peers/peer.ts'
import { geometricMean, median } from './statistics.ts'
import { isOf, MEASURED, type Measured, mipsOf, type WorkloadResult } from './workloads.ts'

/** A workload's time on one machine. */
export interface Timing {
  /** Median of the rounds. */
  readonly milliseconds: number
  readonly rounds: readonly number[]
}

export interface Against extends Timing {
  /** The peer's time divided by ours, median of the rounds: we are so many times as fast. */
  readonly ratio: number
  readonly ratios: readonly number[]
}

/** The peer does not run the workload. */
export interface Failed {
  readonly failed: string
}

export interface ComparedWorkload {
  readonly name: string
  readonly instructions: number
  readonly mips: number | undefined
  readonly here: Timing
  readonly peers: Readonly<Record<string, Against | Failed>>
}

export interface PeerSummary {
  readonly name: string
  readonly version: string
  readonly note?: string
  /** Geometric means of the groups of which it runs a workload. */
  readonly means: Readonly<Partial<Record<Measured, number>>>
  /** The workloads of these groups where we are worst, the worst first. */
  readonly worst: readonly string[]
}

export interface Comparison {
  readonly here: string
  readonly scale: number
  readonly rounds: number
  readonly workloads: readonly ComparedWorkload[]
  readonly peers: readonly (PeerSummary | MissingPeer)[]
}

export interface Plan {
  readonly here: Peer
  readonly peers: readonly (Peer | MissingPeer)[]
  readonly workloads: readonly string[]
  readonly scale: number
  readonly rounds: number
  /** Told which machine is about to run. */
  readonly progress?: (machine: string) => void
}

const WORST = 3

/** @throws Error when a workload fails here; what fails on a peer is in the result */
export async function compare(plan: Plan): Promise<Comparison> {
  const present = plan.peers.filter((peer) => 'run' in peer)
  const rounds = await measure(plan, present)
  const workloads = plan.workloads.map((name) => summarize(name, rounds))
  return {
    here: plan.here.version,
    scale: plan.scale,
    rounds: plan.rounds,
    workloads,
    peers: plan.peers.map((peer) => ('run' in peer ? summarizePeer(peer, workloads) : peer)),
  }
}

/** What a machine took for each workload, round after round, or why it does not run it. */
type Times = Map<string, number[] | Failed>

interface Rounds {
  readonly instructions: ReadonlyMap<string, number>
  readonly here: Times
  readonly peers: ReadonlyMap<string, Times>
}

async function measure(plan: Plan, peers: readonly Peer[]): Promise<Rounds> {
  const instructions = new Map<string, number>()
  const here: Times = new Map()
  const others = new Map<string, Times>(peers.map(({ name }) => [name, new Map()]))
  for (let round = 0; round < plan.rounds; round++) {
    plan.progress?.('here')
    for (const result of await ours(plan)) {
      instructions.set(result.name, result.instructions)
      note(here, result)
    }
    for (const peer of peers) {
      plan.progress?.(peer.name)
      await theirs(peer, plan, others.get(peer.name) as Times)
    }
  }
  return { instructions, here, peers: others }
}

function note(times: Times, { name, milliseconds }: WorkloadResult): void {
  const known = times.get(name) ?? []
  if (Array.isArray(known)) times.set(name, [...known, milliseconds])
}

/** Without our own times there is nothing to compare. */
async function ours({ here, workloads, scale }: Plan): Promise<readonly WorkloadResult[]> {
  try {
    return await here.run(workloads, scale)
  } catch (error) {
    throw new Error(`the workloads fail here: ${messageOf(error)}`, { cause: error })
  }
}

/** All workloads at once; when that fails, one by one, to find out which ones the peer does not run. */
async function theirs(peer: Peer, { workloads, scale }: Plan, times: Times): Promise<void> {
  const wanted = workloads.filter((name) => !('failed' in (times.get(name) ?? [])))
  try {
    for (const result of await peer.run(wanted, scale)) note(times, result)
  } catch {
    for (const name of wanted) {
      try {
        for (const result of await peer.run([name], scale)) note(times, result)
      } catch (error) {
        times.set(name, { failed: messageOf(error) })
      }
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function summarize(name: string, rounds: Rounds): ComparedWorkload {
  const times = rounds.here.get(name) as number[]
  const timing = { milliseconds: median(times), rounds: times }
  const instructions = rounds.instructions.get(name) ?? 0
  const peers = [...rounds.peers].map(([peer, results]) => {
    const result = results.get(name) as number[] | Failed
    return [peer, Array.isArray(result) ? against(times, result) : result] as const
  })
  return {
    name,
    instructions,
    mips: mipsOf({ instructions, milliseconds: timing.milliseconds }),
    here: timing,
    peers: Object.fromEntries(peers),
  }
}

function against(here: readonly number[], rounds: readonly number[]): Against {
  const ratios = rounds.map((milliseconds, round) => milliseconds / (here[round] ?? Number.NaN))
  return { milliseconds: median(rounds), rounds, ratio: median(ratios), ratios }
}

/** Our speed against a peer in each workload of a group that it ran. */
function ratiosOf(
  peer: string,
  group: Measured,
  workloads: readonly ComparedWorkload[],
): { name: string; ratio: number }[] {
  return workloads.flatMap(({ name, peers }) => {
    const result = peers[peer]
    return isOf(group, name) && result !== undefined && 'ratio' in result ? [{ name, ratio: result.ratio }] : []
  })
}

function summarizePeer({ name, version, note }: Peer, workloads: readonly ComparedWorkload[]): PeerSummary {
  const groups = MEASURED.map((group) => ({ group, ratios: ratiosOf(name, group, workloads) }))
  const means = groups.flatMap(({ group, ratios }) => {
    const mean = geometricMean(ratios.map(({ ratio }) => ratio))
    return mean === undefined ? [] : [[group, mean] as const]
  })
  const worst = groups
    .flatMap(({ ratios }) => ratios)
    .sort((a, b) => a.ratio - b.ratio)
    .slice(0, WORST)
  return {
    name,
    version,
    ...(note === undefined ? {} : { note }),
    means: Object.fromEntries(means),
    worst: worst.map(({ name }) => name),
  }
}
