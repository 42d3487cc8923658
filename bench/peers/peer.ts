/** What runs the workloads: our own processor, and those that it is compared with. */
import { parseResults, skipped, type WorkloadResult } from '../workloads.ts'
import { lastWords, type Output } from './process.ts'

export interface Peer {
  readonly name: string
  /** Product and version. */
  readonly version: string
  /** In which way its figures are something else than ours. */
  readonly note?: string
  /** Boots afresh and runs workloads one after the other. @throws Error with the reason when one of them can not be run */
  run(workloads: readonly string[], scale: number): Promise<readonly WorkloadResult[]>
}

export interface MissingPeer {
  readonly name: string
  /** What is not there, and where it comes from. */
  readonly missing: string
}

/** Far more than workloads take: some seconds each at scale 1 on an interpreter. */
export function timeLimit(workloads: readonly string[], scale: number): number {
  return 60_000 + 20_000 * scale * workloads.length
}

/** The results of the workloads that a guest was asked for. @throws Error when one is not there */
export function resultsOf(workloads: readonly string[], output: Output): readonly WorkloadResult[] {
  const results = parseResults(output.stdout)
  return workloads.map((workload) => {
    const result = results.find(({ name }) => name === workload)
    if (result !== undefined) return result
    const why = skipped(output.stdout, workload)
    if (why !== undefined) throw new Error(`${workload} skipped: ${why}`)
    throw new Error(`no result of ${workload} in the output${lastWords(output)}`)
  })
}
