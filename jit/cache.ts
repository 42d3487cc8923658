/**
 * The regions of a VM: their places in the table of functions, the bytes that they take, and how they go. A region is
 * reached by the record of its first instruction alone. When code of its is written, the runtime makes that record stale; the
 * sweep then finds out and gives the place back. When there is too much, those go that have done least of late.
 */
import { HEADER_COPY, HEADER_REGION, OP_REGION, RECORD_SIZE } from '../src/cpu/interpreter/record.ts'
import * as L from '../src/cpu/layout.ts'
import type { TranslatorHost } from '../src/cpu/translator.ts'
import type { DropEvent } from './observer.ts'

export type DropReason = DropEvent['reason']

export interface Region {
  readonly id: number
  /** Of its first instruction. */
  readonly host: number
  readonly rip: bigint
  readonly record: number
  readonly bytes: number
  readonly blocks: number
  readonly exits: readonly number[]
}

interface Live extends Region {
  /** What its counters said at the last review. */
  instructions: number
  entries: number
  /** Instructions between the last two reviews. */
  recent: number
}

/** What the review calls unproductive: entered so often since the last one, for so few instructions each. */
const MANY_ENTRIES = 2000
const FEW_INSTRUCTIONS = 6

export class RegionCache {
  readonly #host: TranslatorHost
  readonly #u32: Uint32Array
  readonly #u16: Uint16Array
  readonly #maxBytes: number
  readonly #dropped: (region: Region, reason: DropReason) => void
  readonly #live = new Map<number, Live>()
  readonly #byHost = new Map<number, number>()
  readonly #free: number[] = []
  #next = 0
  #bytes = 0
  #entriesOfGone = 0

  /** `dropped` is told of every region that goes. */
  constructor(host: TranslatorHost, maxBytes: number, dropped: (region: Region, reason: DropReason) => void) {
    this.#host = host
    this.#u32 = new Uint32Array(host.memory.buffer)
    this.#u16 = new Uint16Array(host.memory.buffer)
    this.#maxBytes = maxBytes
    this.#dropped = dropped
  }

  get size(): number {
    return this.#live.size
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Times that a region was entered. */
  get entries(): number {
    let sum = this.#entriesOfGone
    for (const index of this.#live.keys()) sum += this.#entriesOf(index)
    return sum
  }

  at(host: number): Region | undefined {
    const index = this.#byHost.get(host)
    return index === undefined ? undefined : this.#live.get(index)
  }

  /** Makes the region's function the one that its head's record leads to. */
  add(region: Region, run: CallableFunction): void {
    const before = this.#byHost.get(region.host)
    if (before !== undefined) this.drop(before, 'replaced')
    if (this.#bytes + region.bytes > this.#maxBytes || this.#full()) this.#evict()
    const index = this.#free.pop() ?? this.#next++
    const { record } = region
    const copy = this.#host.runtime.copyHead(record) >>> 0
    this.#host.regions.set(index, run)
    this.#u32.fill(0, this.#counters(index), this.#counters(index) + L.REGION_STATS_SIZE / 4)
    this.#u32[(record + HEADER_COPY) >> 2] = copy
    this.#u32[(record + HEADER_REGION) >> 2] = index
    this.#u16[record >> 1] = OP_REGION
    this.#live.set(index, { ...region, instructions: 0, entries: 0, recent: 0 })
    this.#byHost.set(region.host, index)
    this.#bytes += region.bytes
  }

  #full(): boolean {
    return this.#free.length === 0 && this.#next === L.MAX_REGIONS
  }

  #counters(index: number): number {
    return (L.REGION_STATS + index * L.REGION_STATS_SIZE) >> 2
  }

  #instructionsOf(index: number): number {
    const at = this.#counters(index)
    return (this.#u32[at] as number) + (this.#u32[at + 1] as number) * 2 ** 32
  }

  #entriesOf(index: number): number {
    return this.#u32[this.#counters(index) + L.REGION_ENTRIES / 4] as number
  }

  #isInstalled(index: number, record: number): boolean {
    return this.#u16[record >> 1] === OP_REGION && this.#u32[(record + HEADER_REGION) >> 2] === index
  }

  /** Takes a region away; its head is interpreted again. */
  drop(index: number, reason: DropReason): void {
    const region = this.#live.get(index)
    if (region === undefined) return
    const { record } = region
    // Everything that led to the record leads to it still: it becomes again what it was.
    if (reason !== 'flushed' && this.#isInstalled(index, record)) {
      const copy = this.#u32[(record + HEADER_COPY) >> 2] as number
      this.#u32.copyWithin(record >> 2, copy >> 2, (copy + RECORD_SIZE) >> 2)
    }
    this.#entriesOfGone += this.#entriesOf(index)
    this.#host.regions.set(index, null)
    this.#live.delete(index)
    this.#byHost.delete(region.host)
    this.#free.push(index)
    this.#bytes -= region.bytes
    this.#dropped(region, reason)
  }

  /** All records are gone, and so are the heads of regions. */
  flushed(): void {
    for (const index of [...this.#live.keys()]) this.drop(index, 'flushed')
  }

  /** Finds the regions whose code was written. */
  sweep(): void {
    for (const [index, { record }] of [...this.#live]) {
      if (!this.#isInstalled(index, record)) this.drop(index, 'written')
    }
  }

  /** Looks what each region has done since the last time, and drops those that cost more than they give. */
  review(): void {
    for (const [index, region] of [...this.#live]) {
      const instructions = this.#instructionsOf(index)
      const entries = this.#entriesOf(index)
      const times = (entries - region.entries) >>> 0
      region.recent = instructions - region.instructions
      region.instructions = instructions
      region.entries = entries
      if (times > MANY_ENTRIES && region.recent < times * FEW_INSTRUCTIONS) this.drop(index, 'unproductive')
    }
  }

  /** Makes room: a quarter goes, those first that have run least. */
  #evict(): void {
    this.review()
    const byUse = [...this.#live].sort(([, a], [, b]) => a.recent - b.recent)
    const limit = this.#maxBytes * 0.75
    const most = L.MAX_REGIONS * 0.75
    for (const [index] of byUse) {
      if (this.#bytes <= limit && this.#live.size <= most) return
      this.drop(index, 'evicted')
    }
  }
}
