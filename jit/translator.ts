/**
 * Decides what is translated. The processor stops every SAMPLE_INTERVAL instructions, always where control has been
 * transferred; a place where that happens again and again is hot. Sampling costs code that is not hot nothing.
 */

import type { Translator, TranslatorHost } from '../src/cpu/cpu.ts'
import { Decoder } from '../src/cpu/decoder/decoder.ts'
import type { Instruction } from '../src/cpu/decoder/instruction.ts'
import { HEADER_COPY, HEADER_REGION, OP_CROSS, OP_REGION } from '../src/cpu/interpreter/record.ts'
import * as L from '../src/cpu/layout.ts'
import { newModule } from '../src/cpu/wasm/emitter.ts'
import { NotTranslatable, TranslatorBuilder } from './builder.ts'
import { compileRegion } from './compile.ts'
import { IndirectProfile } from './profile.ts'
import { MAX_PAGES, type Region, RegionFinder } from './region.ts'

/** Samples that make a place hot. */
const HOT = 2
/** A head is translated anew so many times when the profile knows more. */
const MAX_ROUNDS = 12
/** Records that a region needs at most: the copy of its head, and a header for each page. */
const RECORDS_OF_REGION = 2 + MAX_PAGES

export interface TranslatorOptions {
  /** Translate everything at first sight. */
  readonly eager?: boolean
}

export class RegionTranslator implements Translator {
  readonly #host: TranslatorHost
  readonly #u32: Uint32Array
  readonly #u16: Uint16Array
  readonly #view: DataView
  readonly #finder: RegionFinder
  readonly #samples = new Map<number, number>()
  readonly #profile = new IndirectProfile()
  /** Translations of a head because of the profile. */
  readonly #rounds = new Map<number, number>()
  readonly #eager: boolean
  #nextRegion = 0
  readonly statistics = { regions: 0, blocks: 0, bytes: 0, milliseconds: 0 }

  constructor(host: TranslatorHost, options: TranslatorOptions = {}) {
    this.#host = host
    this.#eager = options.eager ?? false
    this.#u32 = new Uint32Array(host.memory.buffer)
    this.#u16 = new Uint16Array(host.memory.buffer)
    this.#view = new DataView(host.memory.buffer)
    this.#finder = new RegionFinder(host.bytes, new Decoder(64), isTranslatable)
  }

  sample(): void {
    const rip = this.#view.getBigUint64(L.RIP, true)
    if (this.#u32[L.MODE >> 2] !== L.MODE_64) return
    const page = this.#host.runtime.executableHost(rip & ~0xfffn) >>> 0
    if (page === 0) return
    const offset = Number(rip & 0xfffn)
    const host = page + offset
    const count = (this.#samples.get(host) ?? 0) + 1
    this.#samples.set(host, count)
    // A head that lost its region, since its code was written, comes back at doubled counts: a page that keeps changing
    // costs little.
    if (count >= HOT && (count & (count - 1)) === 0 && !this.#isHead(host)) this.#translate(rip, host, offset)
    if (!this.#eager) this.#follow(rip)
  }

  #isHead(host: number): boolean {
    const record = this.#host.runtime.findRecord(host, L.MODE_64) >>> 0
    return record !== 0 && this.#u16[record >> 1] === OP_REGION
  }

  /** If an indirect transfer led here, regions that have it may go on here instead of ending. */
  #follow(rip: bigint): void {
    const site = (this.#u32[L.EXIT_SITE >> 2] as number) >>> 0
    if (site === 0) return
    this.#u32[L.EXIT_SITE >> 2] = 0
    for (const head of this.#profile.seen(site, rip)) {
      const heads = (this.#rounds.get(head.host) ?? 0) + 1
      this.#rounds.set(head.host, heads)
      const page = this.#host.runtime.executableHost(head.rip & ~0xfffn) >>> 0
      const offset = Number(head.rip & 0xfffn)
      if (heads <= MAX_ROUNDS && page + offset === head.host) this.#translate(head.rip, head.host, offset)
    }
  }

  decoded(): void {
    if (!this.#eager || (this.#u32[L.STEPPING >> 2] as number) !== 0) return
    const rip = this.#view.getBigUint64(L.RIP, true)
    const page = this.#host.runtime.executableHost(rip & ~0xfffn) >>> 0
    if (page !== 0) this.#translate(rip, page + Number(rip & 0xfffn), Number(rip & 0xfffn))
  }

  #translate(rip: bigint, host: number, offset: number): void {
    const { runtime, regions } = this.#host
    if (this.#nextRegion === regions.length || runtime.hasRoom(RECORDS_OF_REGION) === 0) {
      // Everything begins anew: a place in the table or in memory that is still in use must not be used twice.
      runtime.flushRecords()
      this.#nextRegion = 0
      return
    }
    const record = runtime.findRecord(host, L.MODE_64) >>> 0
    if (record === 0) return
    const op = this.#u16[record >> 1]
    // A trace that begins across pages checks its second page in its first record, which can not be replaced.
    if (op === OP_CROSS) return
    const known = op === OP_REGION
    const started = performance.now()
    const page = rip & ~0xfffn
    const region = this.#finder.find(
      offset,
      (distance) => runtime.executableHost(page + BigInt(distance)) >>> 0,
      (site) => this.#profile.targets(site, page),
    )
    if (!region.blocks.has(offset)) return
    const bytes = compileRegion(region, offset)
    this.#install(record, region, bytes, known)
    for (const { terminator } of region.blocks.values()) {
      if (terminator.kind === 'indirect') this.#profile.uses(terminator.site, { host, rip })
    }
    this.statistics.milliseconds += performance.now() - started
  }

  /** `known`: the record is the head of a region already, which is replaced. */
  #install(record: number, region: Region, bytes: Uint8Array, known: boolean): void {
    const { memory, runtime, regions } = this.#host
    const copy = known ? 0 : runtime.copyHead(record) >>> 0
    const module = new WebAssembly.Module(bytes as BufferSource)
    const instance = new WebAssembly.Instance(module, { env: { memory }, runtime })
    const index = known ? (this.#u32[(record + HEADER_REGION) >> 2] as number) : this.#nextRegion++
    regions.set(index, instance.exports.region)
    for (const { host, length } of region.spans) runtime.markCode(host, length)
    for (const [distance, page] of region.pages) if (distance !== 0) runtime.watchPage(record, page)
    if (!known) {
      this.#u32[(record + HEADER_COPY) >> 2] = copy
      this.#u32[(record + HEADER_REGION) >> 2] = index
      this.#u16[record >> 1] = OP_REGION
    }
    this.statistics.regions++
    this.statistics.blocks += region.blocks.size
    this.statistics.bytes += bytes.length
  }
}

/** Whether a definition can be emitted for the translator; found out by emitting it once. */
const translatable = new Map<string, boolean>()

function isTranslatable(i: Instruction): boolean {
  const key = `${i.name}/${i.operandSize}/${i.opKind.join()}/${i.opSize.join()}/${i.operandCount}`
  const known = translatable.get(key)
  if (known !== undefined) return known
  const module = newModule()
  let answer = true
  try {
    const x = new TranslatorBuilder(module)
    x.open()
    x.emit(i, 0)
  } catch (error) {
    if (!(error instanceof NotTranslatable)) throw error
    answer = false
  } finally {
    module.dispose()
  }
  translatable.set(key, answer)
  return answer
}

export function createTranslator(options: TranslatorOptions = {}): (host: TranslatorHost) => RegionTranslator {
  return (host) => new RegionTranslator(host, options)
}
