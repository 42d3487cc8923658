/**
 * Decides what is translated. The processor stops every so many instructions, always where control has been transferred; a
 * place where that happens again and again is hot. Sampling costs code that is not hot nothing. The interval is short as
 * long as most instructions are interpreted, and long when they are not.
 */
import { Decoders } from '../src/cpu/decoders.ts'
import { OP_CROSS, OP_REGION, OP_STALE } from '../src/cpu/interpreter/record.ts'
import * as L from '../src/cpu/layout.ts'
import type { Translator, TranslatorFactory, TranslatorHost } from '../src/cpu/translator.ts'
import { type DropReason, hasStart, type Region, RegionCache } from './cache.ts'
import type { TranslationObserver } from './observer.ts'
import { IndirectProfile } from './profile.ts'
import { type FoundRegion, LARGE, MAX_PAGES, RegionFinder, SMALL } from './region.ts'
import { type CompiledRegion, type CompileOutcome, type CompileService, MAX_ENTRANCES } from './service.ts'

/** Samples that make a place hot. */
const HOT = 2
/** A place in the midst of a region is passed on the way to where that is entered: it must be so many times as hot. */
const INSIDE = 8
/** Times that code may be written before each time doubles what makes it hot no further. */
const MAX_PATIENCE = 10
/** Instructions between samples: 10,000 are some 15 us of interpreting, 320,000 some 100 us of translated code. */
const SHORT_INTERVAL = 10_000
const LONG_INTERVAL = 320_000
/**
 * Instructions that a processor runs before it asks for the first translation of the process: to load Binaryen costs as
 * much as to interpret so many, while V8 is busy with the interpreter, and a run that ends soon should not pay for it.
 */
const WARM_UP = 150_000_000
/** Samples between two reviews of what regions have done. */
const REVIEW = 256
/** Places whose samples are kept; more are forgotten all at once, which also lets old ones go. */
const MAX_PLACES = 20_000
/** Regions that may wait to be compiled; what is hot comes up again. */
const MAX_PENDING = 64
/** Times that a region is translated anew to take in what it was left for. */
const MAX_ROUNDS = 8
/** Records that a region needs at most: for each entrance the copy of its record, the way back, and a header for each page. */
const RECORDS_OF_REGION = MAX_ENTRANCES * (2 + MAX_PAGES)
const DEFAULT_MAX_BYTES = 48 * 1024 * 1024

export interface TranslatorOptions {
  /** Translate everything at first sight. */
  readonly eager?: boolean
  readonly service: CompileService
  /** Bytes of wasm that a VM may have. Default 48 MB. */
  readonly maxBytes?: number
  /** Hears of regions that come and go. */
  readonly observer?: TranslationObserver
}

/** Where a region could be entered, but for a record there. */
interface ClosedEntrance {
  readonly region: Region
  readonly run: CallableFunction
}

/** A place that samples have hit. */
interface Place {
  samples: number
  /** Times that the code of a region beginning here was written, or that it was not worth it. */
  setbacks: number
  /** Translations of this head so far. */
  rounds: number
}

export class RegionTranslator implements Translator {
  interval = SHORT_INTERVAL
  readonly #host: TranslatorHost
  readonly #u32: Uint32Array
  readonly #u16: Uint16Array
  readonly #view: DataView
  readonly #finder: RegionFinder
  readonly #cache: RegionCache
  readonly #profile: IndirectProfile
  readonly #service: CompileService
  readonly #eager: boolean
  readonly #observer: TranslationObserver | undefined
  readonly #places = new Map<number, Place>()
  /** Regions that are being compiled, by the host address of their head: their instructions. */
  readonly #pending = new Map<number, Uint32Array>()
  readonly #instances = new WeakMap<WebAssembly.Module, WebAssembly.Instance>()
  /** By host address. */
  readonly #closed = new Map<number, ClosedEntrance>()
  /** Regions by the host addresses of code that they are left for. */
  readonly #leftFor = new Map<number, Set<number>>()
  readonly #counts = { translations: 0, blocks: 0, milliseconds: 0, untranslatable: 0, failed: 0, outdated: 0 }
  readonly #drops: Record<DropReason, number> = { written: 0, evicted: 0, unproductive: 0, flushed: 0, replaced: 0 }
  #nextId = 1
  #samples = 0
  #disposed = false
  #flushes = 0
  #invalidations = 0
  #lastTranslated = 0
  /** While it warms up. */
  #instructions = 0

  constructor(host: TranslatorHost, options: TranslatorOptions) {
    this.#host = host
    this.#eager = options.eager ?? false
    this.#service = options.service
    this.#observer = options.observer
    this.#u32 = new Uint32Array(host.memory.buffer)
    this.#u16 = new Uint16Array(host.memory.buffer)
    this.#view = new DataView(host.memory.buffer)
    this.#finder = new RegionFinder(host.bytes, new Decoders(host.features), this.#eager ? SMALL : LARGE)
    this.#profile = new IndirectProfile(host.memory)
    this.#cache = new RegionCache(host, options.maxBytes ?? DEFAULT_MAX_BYTES, (...drop) => this.#dropped(...drop))
  }

  get statistics(): Readonly<Record<string, number>> {
    const { translations, blocks, milliseconds, untranslatable, failed, outdated } = this.#counts
    const { written, evicted, unproductive, flushed, replaced } = this.#drops
    return {
      translatedInstructions: this.#counter(L.COUNT_TRANSLATED),
      regions: this.#cache.size,
      bytes: this.#cache.bytes,
      entries: this.#cache.entries,
      translations,
      blocks,
      milliseconds,
      untranslatable,
      failed,
      outdated,
      pending: this.#pending.size,
      ...{ written, evicted, unproductive, flushed, replaced },
    }
  }

  #counter(address: number): number {
    return (this.#u32[address >> 2] as number) + (this.#u32[(address + 4) >> 2] as number) * 2 ** 32
  }

  dispose(): void {
    this.#disposed = true
  }

  sample(): void {
    if (this.#warmsUp()) return
    this.#service.poll()
    this.#keepUp()
    this.#adapt()
    if (!this.#isTranslated()) return
    // The one that has done most first: what it takes in need not be translated anew by itself.
    const ready = [...this.#profile.read()].sort((a, b) => this.#cache.workOf(b) - this.#cache.workOf(a))
    for (const head of ready) this.#again(head)
    const rip = this.#view.getBigUint64(L.RIP, true)
    const host = this.#hostOf(rip)
    if (host !== 0 && !this.#isHead(host)) this.#hit(rip, host)
  }

  /** Whether it is too early for the first translation. */
  #warmsUp(): boolean {
    if (this.#service.started || this.#instructions >= WARM_UP) return false
    this.#instructions += this.interval
    this.interval = this.#instructions < WARM_UP ? LONG_INTERVAL : SHORT_INTERVAL
    return true
  }

  /** Code with a look at each segment is left to the interpreter. */
  #isTranslated(): boolean {
    const mode = this.#u32[L.MODE >> 2]
    return mode === L.MODE_64 || mode === L.MODE_32
  }

  decoded(): void {
    if (!this.#eager || !this.#isTranslated() || (this.#u32[L.STEPPING >> 2] as number) !== 0) return
    this.#keepUp()
    const rip = this.#view.getBigUint64(L.RIP, true)
    const host = this.#hostOf(rip)
    if (host !== 0) this.#translate(rip, host)
  }

  /** What became of regions since the last time. */
  #keepUp(): void {
    const flushes = this.#counter(L.COUNT_RECORD_FLUSH)
    if (flushes !== this.#flushes) this.#cache.flushed()
    this.#flushes = flushes
    const invalidations = this.#counter(L.COUNT_INVALIDATION)
    if (invalidations !== this.#invalidations) this.#cache.sweep()
    this.#invalidations = invalidations
    if (++this.#samples % REVIEW === 0) this.#cache.review()
  }

  /** Samples are the rarer the more of the code is translated. */
  #adapt(): void {
    const translated = this.#counter(L.COUNT_TRANSLATED)
    const share = (translated - this.#lastTranslated) / this.interval
    this.#lastTranslated = translated
    if (share > 0.9) this.interval = Math.min(this.interval * 2, LONG_INTERVAL)
    else if (share < 0.5) this.interval = SHORT_INTERVAL
  }

  /** The key that records of the running code have besides their address. */
  get #mode(): number {
    return (this.#u32[L.MODE >> 2] as number) | (this.#u32[L.MODE_FLOAT >> 2] as number)
  }

  #hostOf(rip: bigint): number {
    const page = this.#host.runtime.executableHost(rip & ~0xfffn) >>> 0
    return page === 0 ? 0 : page + Number(rip & 0xfffn)
  }

  #isHead(host: number): boolean {
    const record = this.#host.runtime.findRecord(host, this.#mode) >>> 0
    return record !== 0 && this.#u16[record >> 1] === OP_REGION
  }

  #placeAt(host: number): Place {
    const known = this.#places.get(host)
    if (known !== undefined) return known
    if (this.#places.size >= MAX_PLACES) this.#places.clear()
    const fresh = { samples: 0, setbacks: 0, rounds: 0 }
    this.#places.set(host, fresh)
    return fresh
  }

  /** A sample where code is interpreted. */
  #hit(rip: bigint, host: number): void {
    const closed = this.#closed.get(host)
    if (closed !== undefined && this.#open(host, closed)) {
      this.#closed.delete(host)
      return
    }
    if (this.#isAwaited(host)) return
    const place = this.#placeAt(host)
    if (++place.samples < this.#patience(host, place)) return
    place.samples = 0
    // Better than a region of its own is to be part of the one that leads here.
    for (const head of this.#leftFor.get(host) ?? []) {
      if (this.#again(head)) return
    }
    this.#translate(rip, host)
  }

  /** A region that is being compiled has the instruction. */
  #isAwaited(host: number): boolean {
    for (const starts of this.#pending.values()) if (hasStart(starts, host)) return true
    return false
  }

  /** Samples that make a place hot. */
  #patience(host: number, { setbacks }: Place): number {
    const patience = HOT << Math.min(setbacks, MAX_PATIENCE)
    return this.#cache.contains(host) ? patience * INSIDE : patience
  }

  /** Translates a region anew, which then takes in what has become known since; false when it has had its turns. */
  #again(head: number): boolean {
    const region = this.#cache.at(head)
    if (region === undefined || this.#isAwaited(head) || this.#placeAt(head).rounds >= MAX_ROUNDS) return false
    if (this.#hostOf(region.rip) !== head) return false
    this.#translate(region.rip, head)
    return true
  }

  #translate(rip: bigint, host: number): void {
    if (this.#pending.has(host) || this.#pending.size >= MAX_PENDING || this.#recordToReplace(host) === 0) return
    const page = rip & ~0xfffn
    const { runtime } = this.#host
    const mode = this.#mode
    const found = this.#finder.find(Number(rip & 0xfffn), {
      pageAt: (distance) => runtime.executableHost(page + BigInt(distance)) >>> 0,
      wasReached: (at) => this.#eager || runtime.findRecord(at, mode) !== 0,
      targetsOf: (site) => this.#profile.targets(site, page),
      mode: mode & L.MODE_SIZE_MASK,
      modeFloat: mode & L.MODE_FLOAT_CHECKED,
    })
    if (found === undefined) return
    const shape = shapeOf(found)
    const known = this.#cache.at(host)
    if (known?.host === host && known.mode === mode && known.shape === shape) return
    this.#placeAt(host).rounds++
    this.#pending.set(host, found.starts)
    const code = this.#bytesOf(found)
    const source = this.#observer?.marks ? { ...found.source, marked: true } : found.source
    this.#service.submit(source, (outcome) => {
      this.#pending.delete(host)
      if (!this.#disposed && this.#mode === mode) this.#compiled(rip, host, found, code, outcome)
    })
  }

  #bytesOf({ spans }: FoundRegion): Uint8Array {
    const bytes = new Uint8Array(spans.reduce((sum, { length }) => sum + length, 0))
    let at = 0
    for (const { host, length } of spans) {
      bytes.set(this.#host.bytes.subarray(host, host + length), at)
      at += length
    }
    return bytes
  }

  #compiled(rip: bigint, host: number, found: FoundRegion, code: Uint8Array, outcome: CompileOutcome): void {
    if ('failure' in outcome) {
      if (outcome.expected) this.#counts.untranslatable++
      else this.#counts.failed++
      this.#placeAt(host).setbacks++
      return
    }
    this.#counts.milliseconds += outcome.milliseconds
    this.#keepUp()
    if (this.#recordToReplace(host) === 0 || !sameBytes(code, this.#bytesOf(found))) {
      this.#counts.outdated++
      return
    }
    if (this.#host.runtime.hasRoom(RECORDS_OF_REGION) === 0) {
      this.#host.runtime.flushRecords()
      return
    }
    this.#install(rip, host, found, outcome)
  }

  #install(rip: bigint, host: number, found: FoundRegion, compiled: CompiledRegion): void {
    const { blocks, pages } = found.source
    const { bytes, milliseconds, wasm } = compiled
    for (const span of found.spans) this.#host.runtime.markCode(span.host, span.length)
    const identity = { id: this.#nextId++, host, rip, bytes, blocks: blocks.length, mode: this.#mode }
    const region: Region = {
      ...identity,
      exits: found.exits,
      starts: found.starts,
      shape: shapeOf(found),
      pages: pages.map((page) => page.host),
    }
    this.#cache.add(region)
    this.#openEntrances(region, compiled, found)
    for (const site of found.sites) this.#profile.uses(site, host)
    for (const exit of found.exits) {
      const heads = this.#leftFor.get(exit) ?? new Set()
      this.#leftFor.set(exit, heads.add(host))
    }
    this.#counts.translations++
    this.#counts.blocks += blocks.length
    this.#observer?.translated?.({
      ...identity,
      ...{ features: this.#host.features, milliseconds, source: blocks },
      instructions: blocks.reduce((sum, { instructions }) => sum + instructions, 0),
      ...(wasm && { wasm }),
    })
  }

  /** A region is entered at its head, and at heads of loops, as soon as there are records of them. */
  #openEntrances(region: Region, { module, entries }: CompiledRegion, { source }: FoundRegion): void {
    const { exports } = this.#instanceOf(module)
    for (const { name, offset } of entries) {
      const inPage = offset & 0xfff
      const page = source.pages.find(({ distance }) => distance === offset - inPage)
      if (page === undefined) continue
      const entrance = { region, run: exports[name] as CallableFunction }
      if (!this.#open(page.host + inPage, entrance)) this.#closed.set(page.host + inPage, entrance)
    }
  }

  /** Opens an entrance; false when its code is not decoded, or must be looked at first. */
  #open(host: number, { region, run }: ClosedEntrance): boolean {
    // A loop that another region has is left to that one; and only the record at its head tells that code was written.
    const isLoop = host !== region.host
    if (isLoop && (this.#cache.at(host) !== undefined || !this.#cache.isIntact(region))) return false
    const record = this.#recordToReplace(host)
    if (record === 0) return false
    this.#cache.enter(region, host, record, run)
    return true
  }

  /** The record of an instruction, if a region can take its place; else 0. */
  #recordToReplace(host: number): number {
    const record = this.#host.runtime.findRecord(host, this.#mode) >>> 0
    const op = this.#u16[record >> 1]
    // A trace that begins across pages checks its second page in its first record, which can not be replaced.
    return op === OP_CROSS || op === OP_STALE ? 0 : record
  }

  #instanceOf(module: WebAssembly.Module): WebAssembly.Instance {
    const known = this.#instances.get(module)
    if (known !== undefined) return known
    const { memory, runtime } = this.#host
    const instance = new WebAssembly.Instance(module, { env: { memory }, runtime })
    this.#instances.set(module, instance)
    return instance
  }

  #dropped(region: Region, reason: DropReason): void {
    this.#drops[reason]++
    this.#observer?.dropped?.({ id: region.id, rip: region.rip, reason })
    for (const [host, closed] of this.#closed) if (closed.region.id === region.id) this.#closed.delete(host)
    for (const exit of region.exits) {
      const heads = this.#leftFor.get(exit)
      heads?.delete(region.host)
      if (heads?.size === 0) this.#leftFor.delete(exit)
    }
    if (reason === 'written' || reason === 'unproductive') this.#placeAt(region.host).setbacks++
  }
}

/** What makes two translations of the same code differ: which blocks there are, and where they lead. */
function shapeOf({ source }: FoundRegion): string {
  return source.blocks
    .map(({ offset, instructions, terminator }) => {
      const targets = terminator.kind === 'indirect' ? terminator.targets.map(({ block }) => block).join() : ''
      return `${offset}+${instructions}${terminator.kind}${targets}`
    })
    .join()
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at])
}

export function createTranslator(options: TranslatorOptions): TranslatorFactory {
  return (host) => new RegionTranslator(host, options)
}
