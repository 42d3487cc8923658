/**
 * The regions of a VM: their places in the table of functions, the bytes that they take, and how they go. A region is
 * reached by the records of the instructions where it can be entered, and by nothing else. When code of its is written, the
 * runtime makes those records stale; the sweep then finds out and gives the places back. When there is too much, those go
 * that have done least of late.
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
  /** Key of its records besides their addresses: L.MODE and L.MODE_FLOAT. */
  readonly mode: number
  readonly bytes: number
  readonly blocks: number
  /** Host addresses of code that it is left for. */
  readonly exits: readonly number[]
  /** Host addresses of its instructions, ascending. */
  readonly starts: Uint32Array
  /** Tells whether a translation would be the same. */
  readonly shape: string
  /** Host addresses of its pages. */
  readonly pages: readonly number[]
}

/** An instruction where a region is entered. */
interface Entrance {
  readonly region: Live
  readonly host: number
  readonly record: number
}

interface Live {
  readonly region: Region
  /** Places in the table. */
  readonly entrances: number[]
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
  /** By number. */
  readonly #live = new Map<number, Live>()
  /** By place in the table. */
  readonly #entrances = new Map<number, Entrance>()
  /** Places by host address. */
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
    for (const place of this.#entrances.keys()) sum += this.#entriesAt(place)
    return sum
  }

  /** The region that is entered at a host address. */
  at(host: number): Region | undefined {
    const place = this.#byHost.get(host)
    return place === undefined ? undefined : this.#entrances.get(place)?.region.region
  }

  /** Whether a region can still be entered at its head: then its code is as it was translated. */
  isIntact({ id, host }: Region): boolean {
    const place = this.#byHost.get(host)
    const entrance = place === undefined ? undefined : this.#entrances.get(place)
    return entrance?.region.region.id === id && this.#isInstalled(place as number, entrance.record)
  }

  /** Instructions that the region which is entered at a host address has run. */
  workOf(host: number): number {
    const place = this.#byHost.get(host)
    const entrances = place === undefined ? [] : (this.#entrances.get(place)?.region.entrances ?? [])
    return entrances.reduce((sum, at) => sum + this.#instructionsAt(at), 0)
  }

  /** Whether a region has the instruction at a host address. */
  contains(host: number): boolean {
    for (const { region } of this.#live.values()) if (hasStart(region.starts, host)) return true
    return false
  }

  /** A new region; it can be entered nowhere yet. One with the same head goes. */
  add(region: Region): void {
    const before = this.at(region.host)
    if (before?.host === region.host) this.drop(before.id, 'replaced')
    if (this.#bytes + region.bytes > this.#maxBytes) this.#evict()
    this.#live.set(region.id, { region, entrances: [], instructions: 0, entries: 0, recent: 0 })
    this.#bytes += region.bytes
  }

  /** Makes a function the one that the record of an instruction leads to, in place of another one if there is one. */
  enter({ id, pages }: Region, host: number, record: number, run: CallableFunction): void {
    const before = this.#byHost.get(host)
    if (before !== undefined) this.#close(before, false)
    if (this.#free.length === 0 && this.#next === L.MAX_REGIONS) this.#evict()
    const region = this.#live.get(id)
    if (region === undefined) return
    for (const page of pages) if (page !== host - (host & 0xfff)) this.#host.runtime.watchPage(record, page)
    const place = this.#free.pop() ?? this.#next++
    const copy = this.#host.runtime.copyHead(record) >>> 0
    this.#host.regions.set(place, run)
    this.#u32.fill(0, this.#counters(place), this.#counters(place) + L.REGION_STATS_SIZE / 4)
    this.#u32[(record + HEADER_COPY) >> 2] = copy
    this.#u32[(record + HEADER_REGION) >> 2] = place
    this.#u16[record >> 1] = OP_REGION
    this.#entrances.set(place, { region, host, record })
    region.entrances.push(place)
    this.#byHost.set(host, place)
  }

  #counters(place: number): number {
    return (L.REGION_STATS + place * L.REGION_STATS_SIZE) >> 2
  }

  #instructionsAt(place: number): number {
    const at = this.#counters(place)
    return (this.#u32[at] as number) + (this.#u32[at + 1] as number) * 2 ** 32
  }

  #entriesAt(place: number): number {
    return this.#u32[this.#counters(place) + L.REGION_ENTRIES / 4] as number
  }

  #isInstalled(place: number, record: number): boolean {
    return this.#u16[record >> 1] === OP_REGION && this.#u32[(record + HEADER_REGION) >> 2] === place
  }

  /** Takes a region away; where it was entered is interpreted again. */
  drop(id: number, reason: DropReason): void {
    const live = this.#live.get(id)
    if (live === undefined) return
    for (const place of [...live.entrances]) this.#close(place, reason === 'flushed')
    this.#live.delete(id)
    this.#bytes -= live.region.bytes
    this.#dropped(live.region, reason)
  }

  #close(place: number, recordsAreGone: boolean): void {
    const { region, record, host } = this.#entrances.get(place) as Entrance
    region.entrances.splice(region.entrances.indexOf(place), 1)
    // Everything that led to the record leads to it still: it becomes again what it was.
    if (!recordsAreGone && this.#isInstalled(place, record)) {
      const copy = this.#u32[(record + HEADER_COPY) >> 2] as number
      this.#u32.copyWithin(record >> 2, copy >> 2, (copy + RECORD_SIZE) >> 2)
    }
    this.#entriesOfGone += this.#entriesAt(place)
    this.#host.regions.set(place, null)
    this.#entrances.delete(place)
    this.#byHost.delete(host)
    this.#free.push(place)
  }

  /** All records are gone, and so is every way into a region. */
  flushed(): void {
    for (const id of [...this.#live.keys()]) this.drop(id, 'flushed')
  }

  /** Finds the regions whose code was written. */
  sweep(): void {
    for (const [place, { region, record }] of [...this.#entrances]) {
      if (!this.#isInstalled(place, record)) this.drop(region.region.id, 'written')
    }
  }

  /** Looks what each region has done since the last time, and drops those that cost more than they give. */
  review(): void {
    for (const [id, live] of [...this.#live]) {
      const sum = (of: (place: number) => number): number => live.entrances.reduce((total, at) => total + of(at), 0)
      const instructions = sum((place) => this.#instructionsAt(place))
      const entries = sum((place) => this.#entriesAt(place))
      const times = entries - live.entries
      live.recent = instructions - live.instructions
      live.instructions = instructions
      live.entries = entries
      if (times > MANY_ENTRIES && live.recent < times * FEW_INSTRUCTIONS) this.drop(id, 'unproductive')
    }
  }

  /** Makes room: a quarter goes, those first that have run least. */
  #evict(): void {
    this.review()
    const byUse = [...this.#live].sort(([, a], [, b]) => a.recent - b.recent)
    for (const [id] of byUse) {
      if (this.#bytes <= this.#maxBytes * 0.75 && this.#entrances.size <= L.MAX_REGIONS * 0.75) return
      this.drop(id, 'evicted')
    }
  }
}

/** Whether an ascending list has an address. */
export function hasStart(starts: Uint32Array, host: number): boolean {
  let low = 0
  let high = starts.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((starts[middle] as number) < host) low = middle + 1
    else high = middle
  }
  return starts[low] === host
}
