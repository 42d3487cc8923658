/**
 * Where indirect jumps, calls and returns lead. A region that is left by one writes place and target into a ring
 * (L.INDIRECT_RING), which is read between runs. What came up becomes a target that the next translation compares with, and
 * a region that keeps being left for places that it was not told of is translated anew: after 16 such exits first, then
 * after four times as many each time.
 */
import * as L from '../src/cpu/layout.ts'

/** Exits that make a first translation anew worth it. */
const FIRST = 16
const GROWTH = 4
/** Targets of one place that are remembered. */
const MAX_TARGETS = 64
/** Places that are remembered; more are forgotten all at once. */
const MAX_SITES = 20_000
/** An offset is a 32-bit number, and a region is not meant to reach far. */
const REACH = 1n << 28n

interface Site {
  readonly counts: Map<bigint, number>
  /** Regions that have the place, by the host address of their head. */
  readonly heads: Set<number>
  /** What the last translation was told. */
  readonly known: Set<bigint>
  /** Exits since to other places. */
  news: number
  threshold: number
}

export class IndirectProfile {
  readonly #sites = new Map<number, Site>()
  readonly #u32: Uint32Array
  readonly #view: DataView
  #read = 0

  constructor(memory: WebAssembly.Memory) {
    this.#u32 = new Uint32Array(memory.buffer)
    this.#view = new DataView(memory.buffer)
  }

  #site(site: number): Site {
    const known = this.#sites.get(site)
    if (known) return known
    if (this.#sites.size >= MAX_SITES) this.#sites.clear()
    const fresh: Site = { counts: new Map(), heads: new Set(), known: new Set(), news: 0, threshold: FIRST }
    this.#sites.set(site, fresh)
    return fresh
  }

  /** The region at `head` contains the place. */
  uses(site: number, head: number): void {
    this.#site(site).heads.add(head)
  }

  /** Reads the ring. Returns the heads of regions that should be translated anew. */
  read(): ReadonlySet<number> {
    const ready = new Set<number>()
    const count = (this.#u32[L.INDIRECT_COUNT >> 2] as number) >>> 0
    const first = Math.max(this.#read, count - L.INDIRECT_ENTRIES)
    // The counter may have wrapped: then one reading is lost.
    for (let n = first; n < count; n++) {
      const entry = L.INDIRECT_RING + (n % L.INDIRECT_ENTRIES) * L.INDIRECT_ENTRY_SIZE
      this.#seen((this.#u32[(entry + 8) >> 2] as number) >>> 0, this.#view.getBigUint64(entry, true), ready)
    }
    this.#read = count
    return ready
  }

  #seen(address: number, rip: bigint, ready: Set<number>): void {
    const site = this.#site(address)
    const known = site.counts.get(rip)
    if (known === undefined && site.counts.size >= MAX_TARGETS) return
    site.counts.set(rip, (known ?? 0) + 1)
    if (site.known.has(rip) || ++site.news < site.threshold) return
    site.news = 0
    site.threshold *= GROWTH
    for (const head of site.heads) ready.add(head)
  }

  /** Known targets as offsets from a page, the most frequent first. */
  targets(address: number, page: bigint): number[] {
    const { counts, known } = this.#site(address)
    const targets = [...counts].filter(([rip, count]) => count > 1 && rip - page < REACH && page - rip < REACH)
    for (const [rip] of targets) known.add(rip)
    return targets.sort(([, a], [, b]) => b - a).map(([rip]) => Number(rip - page))
  }
}
