/** What runs the workloads: our own processor, and those that it is compared with. */
import { parseResults, type WorkloadResult } from '../workloads.ts'
import { lastWords, type Output } from './process.ts'

export interface Peer {
  readonly name: string
  /** Product and version. */
  readonly version: string
  /** In which way its figures are something else than ours. */
  readonly note?: string
  /** Boots afresh and runs one workload. @throws Error with the reason when it can not */
  run(workload: string, scale: number): Promise<WorkloadResult>
}

export interface MissingPeer {
  readonly name: string
  /** What is not there, and where it comes from. */
  readonly missing: string
}

/** Far more than any workload takes: some seconds at scale 1 on an interpreter. */
export function timeLimit(scale: number): number {
  return 60_000 + 20_000 * scale
}

/** The result of the one workload that a guest was asked for. */
export function onlyResult(workload: string, output: Output): WorkloadResult {
  const result = parseResults(output.stdout).find(({ name }) => name === workload)
  if (result === undefined) throw new Error(`no result in the output${lastWords(output)}`)
  return result
}
