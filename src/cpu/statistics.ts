/** What a processor has done: the runtime's counters by name, and what its translator tells. */
import * as L from './layout.ts'

/** The counters that the runtime keeps, and what they count. */
const COUNTERS = {
  /** Accesses that the soft TLB could not serve. */
  tlbMisses: L.COUNT_TLB_MISS,
  pageWalks: L.COUNT_PAGE_WALK,
  tlbFlushes: L.COUNT_TLB_FLUSH,
  /** Stores to pages that hold decoded code ... */
  codeWrites: L.COUNT_CODE_WRITE,
  /** ... and those that hit it: the page's code is dropped. */
  invalidations: L.COUNT_INVALIDATION,
  /** Times that all decoded code was dropped, for want of room. */
  recordFlushes: L.COUNT_RECORD_FLUSH,
  /** Exceptions and interrupts delivered. */
  events: L.COUNT_EVENT,
  /** Accesses to physical addresses that nothing backs. */
  openBus: L.COUNT_OPEN_BUS,
} as const

export type CounterName = keyof typeof COUNTERS
export type Counters = Readonly<Record<CounterName, number>>

export interface ProcessorStatistics {
  readonly instructions: bigint
  readonly counters: Counters
  /** As the translator names it; absent without one. */
  readonly translator?: Readonly<Record<string, number>>
}

export function readCounters(read: (address: number) => bigint): Counters {
  const entries = Object.entries(COUNTERS).map(([name, address]) => [name, Number(read(address))])
  return Object.fromEntries(entries) as Counters
}
