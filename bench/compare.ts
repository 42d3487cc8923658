/**
 * The comparison with other machines: each workload runs here, on the first peer, on the second, here again, and so on,
 * so that a disturbance of the machine hits both sides of a ratio. A ratio is taken within a round; what is reported is the
 * median of the rounds.
 */
import type { MissingPeer, Peer } from './peers/peer.ts'
import { geometricMean, median } from './statistics.ts'
import { isCompute, mipsOf, type WorkloadResult } from './workloads.ts'

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
  /** Whether the means count it. */
  readonly compute: boolean
  readonly instructions: number
  readonly mips: number | undefined
  readonly here: Timing
  readonly peers: Readonly<Record<string, Against | Failed>>
}

export interface PeerSummary {
  readonly name: string
  readonly version: string
  readonly note?: string
  /** Geometric mean of the compute workloads that it runs; undefined when it runs none. */
  readonly mean: number | undefined
  /** The compute workloads where we are worst, the worst first. */
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
  /** Told before each workload. */
  readonly progress?: (workload: string) => void
}

const WORST = 3

/** @throws Error when a workload fails here; what fails on a peer is in the result */
export async function compare(plan: Plan): Promise<Comparison> {
  const present = plan.peers.filter((peer) => 'run' in peer)
  const workloads: ComparedWorkload[] = []
  for (const name of plan.workloads) {
    plan.progress?.(name)
    workloads.push(summarize(name, await measure(name, plan, present)))
  }
  return {
    here: plan.here.version,
    scale: plan.scale,
    rounds: plan.rounds,
    workloads,
    peers: plan.peers.map((peer) => ('run' in peer ? summarizePeer(peer, workloads) : peer)),
  }
}

interface Rounds {
  readonly here: WorkloadResult[]
  readonly peers: Record<string, WorkloadResult[] | Failed>
}

async function measure(workload: string, { here, rounds, scale }: Plan, peers: readonly Peer[]): Promise<Rounds> {
  const results: Rounds = { here: [], peers: {} }
  for (let round = 0; round < rounds; round++) {
    results.here.push(await ours(here, workload, scale))
    for (const peer of peers) {
      const sofar = results.peers[peer.name] ?? []
      if ('failed' in sofar) continue
      results.peers[peer.name] = await peer.run(workload, scale).then(
        (result) => [...sofar, result],
        (error: unknown) => ({ failed: messageOf(error) }),
      )
    }
  }
  return results
}

/** Without our own time there is nothing to compare. */
function ours(here: Peer, workload: string, scale: number): Promise<WorkloadResult> {
  return here.run(workload, scale).catch((error: unknown) => {
    throw new Error(`${workload} fails here: ${messageOf(error)}`, { cause: error })
  })
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function summarize(name: string, { here, peers }: Rounds): ComparedWorkload {
  const times = here.map(({ milliseconds }) => milliseconds)
  const timing = { milliseconds: median(times), rounds: times }
  const instructions = here[0]?.instructions ?? 0
  return {
    name,
    compute: isCompute(name),
    instructions,
    mips: mipsOf({ instructions, milliseconds: timing.milliseconds }),
    here: timing,
    peers: Object.fromEntries(
      Object.entries(peers).map(([peer, results]) => [
        peer,
        'failed' in results
          ? results
          : against(
              times,
              results.map(({ milliseconds }) => milliseconds),
            ),
      ]),
    ),
  }
}

function against(here: readonly number[], rounds: readonly number[]): Against {
  const ratios = rounds.map((milliseconds, round) => milliseconds / (here[round] ?? Number.NaN))
  return { milliseconds: median(rounds), rounds, ratio: median(ratios), ratios }
}

/** Our speed against a peer in each compute workload that it ran. */
export function computeRatios(peer: string, workloads: readonly ComparedWorkload[]): { name: string; ratio: number }[] {
  return workloads.flatMap(({ name, compute, peers }) => {
    const result = peers[peer]
    return compute && result !== undefined && 'ratio' in result ? [{ name, ratio: result.ratio }] : []
  })
}

function summarizePeer({ name, version, note }: Peer, workloads: readonly ComparedWorkload[]): PeerSummary {
  const ratios = computeRatios(name, workloads)
  const worst = [...ratios].sort((a, b) => a.ratio - b.ratio).slice(0, WORST)
  return {
    name,
    version,
    ...(note === undefined ? {} : { note }),
    mean: geometricMean(ratios.map(({ ratio }) => ratio)),
    worst: worst.map(({ name }) => name),
  }
}
