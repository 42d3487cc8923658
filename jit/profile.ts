/**
 * Where indirect jumps, calls and returns lead. A region that is left by one notes its place (L.EXIT_SITE); the sample after
 * that sees where it led. What came up often enough becomes a target that the next translation compares with.
 */

/** A region by its first instruction. */
export interface Head {
  readonly host: number
  readonly rip: bigint
}

/** Sightings that make a target. */
const ENOUGH = 2
/** Targets of one place; more are not worth comparing with. */
const MAX_TARGETS = 8
/** An offset is a 32-bit number, and a region is not meant to reach far. */
const REACH = 1n << 28n

export class IndirectProfile {
  readonly #sites = new Map<number, { counts: Map<bigint, number>; targets: bigint[]; heads: Map<number, Head> }>()

  #site(site: number) {
    const known = this.#sites.get(site)
    if (known) return known
    const fresh = { counts: new Map<bigint, number>(), targets: [], heads: new Map<number, Head>() }
    this.#sites.set(site, fresh)
    return fresh
  }

  /** The region at `head` contains the place. */
  uses(site: number, head: Head): void {
    this.#site(site).heads.set(head.host, head)
  }

  /** The place has led to an RIP; returns the regions that should know now. */
  seen(site: number, rip: bigint): Head[] {
    const { counts, targets, heads } = this.#site(site)
    const count = (counts.get(rip) ?? 0) + 1
    counts.set(rip, count)
    if (count !== ENOUGH || targets.length >= MAX_TARGETS) return []
    targets.push(rip)
    return [...heads.values()]
  }

  /** Known targets as offsets from a page. */
  targets(site: number, page: bigint): number[] {
    const known = this.#sites.get(site)?.targets ?? []
    return known
      .map((rip) => rip - page)
      .filter((distance) => distance < REACH && -distance < REACH)
      .map(Number)
  }
}
