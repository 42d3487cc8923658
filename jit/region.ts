/**
 * Regions: what is translated as one. A region begins at a hot head and grows along direct jumps and calls, and along
 * indirect ones to the places where a profile has seen them lead. Whatever else ends it leads back to the dispatcher.
 *
 * A called function is taken in once for each call (Context), so that its RET is compared with one address, which is
 * right, and so that the code behind the call knows what the code before it knew. A call of a function that is being
 * called already leads to the one there is, whose RET then has several places to compare with.
 *
 * What was never run is left out, as far as can be told: the target of a jump that was ever taken has a record in the code
 * cache (or had one).
 */
import { DecodeStatus, Instruction, OperandKind } from '../src/cpu/decoder/instruction.ts'
import { nameOf } from '../src/cpu/decoder/opcodes.ts'
import type { Decoders } from '../src/cpu/decoders.ts'
import { needsFloatCheck } from '../src/cpu/interpreter/float-kind.ts'
import { entryOf } from '../src/cpu/isa/index.ts'
import type { BlockSource, RegionSource, Target, Terminator } from './source.ts'

/** How far a region may grow. */
export interface RegionLimits {
  readonly blocks: number
  readonly instructions: number
}

/** 256 blocks are what V8 compiles in 40 ms; its time grows faster than the number. */
export const LARGE: RegionLimits = { blocks: 256, instructions: 1500 }
/** Where everything is translated, most of it runs once. */
export const SMALL: RegionLimits = { blocks: 12, instructions: 80 }

const MAX_BLOCK = 200
export const MAX_PAGES = 7
/** Calls within calls. */
const MAX_DEPTH = 6
/** Places that an indirect transfer is compared with. */
const MAX_TARGETS = 24
/** Offsets are 32-bit numbers. */
const REACH = 2 ** 30
const PAGE = 4096

/** What the finder asks about the code around it. */
export interface Surroundings {
  /** Host address of the page at a distance from the head's, or 0 when it can not be run. */
  pageAt(distance: number): number
  /** Whether code at a host address was ever jumped to. */
  wasReached(host: number): boolean
  /** Offsets to which the indirect transfer at a host address was seen to lead, the most frequent first. */
  targetsOf(site: number): readonly number[]
  /** L.MODE_FLOAT: instructions that are checked before they run are the interpreter's. */
  readonly modeFloat: number
  /** L.MODE_64 or L.MODE_32. */
  readonly mode: number
}

/** A call that is under way. */
interface Context {
  readonly id: number
  readonly depth: number
  /** Offset of the function; undefined for the code that the region begins in. */
  readonly callee: number | undefined
  readonly parent: Context | undefined
  /** Where its RETs lead. */
  readonly returns: Target[]
}

interface Node {
  readonly offset: number
  readonly context: Context
  code: Uint8Array
  /** Offset of each instruction. */
  readonly starts: number[]
  end: number
  terminator: Terminator
}

export interface FoundRegion {
  readonly source: RegionSource
  /** Spans of code: host address and length. */
  readonly spans: readonly { readonly host: number; readonly length: number }[]
  /** Host addresses of its instructions, ascending. */
  readonly starts: Uint32Array
  /** Host addresses of the indirect transfers in it. */
  readonly sites: readonly number[]
  /** Host addresses of code right outside, where it is left by direct transfers. */
  readonly exits: readonly number[]
}

export class RegionFinder {
  readonly #bytes: Uint8Array
  readonly #decoders: Decoders
  readonly #limits: RegionLimits
  readonly #instruction = new Instruction()
  readonly #buffer = new Uint8Array(32)
  #surroundings!: Surroundings
  #pages = new Map<number, number>()
  #spans: { host: number; length: number }[] = []
  #starts: number[] = []
  #sites: number[] = []
  #contexts = new Map<string, Context>()
  #nodes = new Map<string, Node>()
  /** Every target of every terminator, to be given its block at the end. */
  #targets: { target: Target; context: Context }[] = []
  #pending: { offset: number; context: Context }[] = []
  #instructions = 0
  /** Where the block being decoded begins. */
  #start = 0

  constructor(bytes: Uint8Array, decoders: Decoders, limits: RegionLimits) {
    this.#bytes = bytes
    this.#decoders = decoders
    this.#limits = limits
  }

  /** The region around the code at `offset` in the head's page; undefined when nothing there can be translated. */
  find(offset: number, surroundings: Surroundings): FoundRegion | undefined {
    this.#begin(surroundings)
    const root: Context = { id: 0, depth: 0, callee: offset, parent: undefined, returns: [] }
    this.#pending.push({ offset, context: root })
    for (let next = this.#pending.shift(); next; next = this.#pending.shift()) {
      if (this.#nodes.size >= this.#limits.blocks || this.#instructions >= this.#limits.instructions) break
      this.#grow(next.offset, next.context)
    }
    return this.#nodes.size === 0 ? undefined : this.#finish()
  }

  #begin(surroundings: Surroundings): void {
    this.#surroundings = surroundings
    this.#pages = new Map()
    this.#spans = []
    this.#starts = []
    this.#sites = []
    this.#contexts = new Map()
    this.#nodes = new Map()
    this.#targets = []
    this.#pending = []
    this.#instructions = 0
  }

  #grow(offset: number, context: Context): void {
    const key = nodeKey(offset, context)
    if (this.#nodes.has(key)) return
    const node = this.#decodeNode(offset, context)
    if (node === undefined) return
    this.#nodes.set(key, node)
    this.#instructions += node.starts.length
  }

  #host(offset: number): number {
    const distance = offset & ~(PAGE - 1)
    const known = this.#pages.get(distance)
    if (known !== undefined) return known === 0 ? 0 : known + (offset & (PAGE - 1))
    if (this.#pages.size >= MAX_PAGES) return 0
    const host = this.#surroundings.pageAt(distance)
    if (host === 0) return 0
    this.#pages.set(distance, host)
    return host + (offset & (PAGE - 1))
  }

  /** Decodes into #instruction and appends the bytes to a block's; false when there is no instruction to be had. */
  #decode(offset: number, into: number[]): boolean {
    const host = this.#host(offset)
    if (host === 0) return false
    const i = this.#instruction
    const pageEnd = (host & ~(PAGE - 1)) + PAGE
    const decoder = this.#decoders.of(this.#surroundings.mode)
    const status = decoder.decode(this.#bytes, host, pageEnd, i)
    if (status === DecodeStatus.ok) {
      this.#take(host, i.length, into)
      return true
    }
    if (status !== DecodeStatus.truncated) return false
    const first = pageEnd - host
    const second = this.#host(offset + first)
    if (second === 0) return false
    this.#buffer.set(this.#bytes.subarray(host, pageEnd), 0)
    this.#buffer.set(this.#bytes.subarray(second, second + 16 - first), first)
    if (decoder.decode(this.#buffer, 0, 16, i) !== DecodeStatus.ok) return false
    this.#take(host, first, into)
    this.#take(second, i.length - first, into)
    return true
  }

  /** Instructions that transfer control in a way that is none of a region's business end it before them. */
  #isKnown(): boolean {
    const i = this.#instruction
    const name = nameOf(i.name)
    const entry = entryOf(name)
    if (entry === undefined || (entry.ends && !NEAR_TRANSFERS.has(name))) return false
    // It cuts EIP to 16 bits.
    if (i.operandSize === 16 && (entry.modal === 'branch' || entry.modal === 'call')) return false
    return !needsFloatCheck(i, this.#surroundings.modeFloat)
  }

  #take(host: number, length: number, into: number[]): void {
    this.#spans.push({ host, length })
    for (let at = host; at < host + length; at++) into.push(this.#bytes[at] as number)
  }

  #decodeNode(start: number, context: Context): Node | undefined {
    const starts: number[] = []
    const code: number[] = []
    let offset = start
    this.#start = start
    const node = (terminator: Terminator): Node => {
      return { offset: start, context, code: Uint8Array.from(code), starts, end: offset, terminator }
    }
    while (starts.length < MAX_BLOCK) {
      if (!this.#decode(offset, code) || !this.#isKnown()) {
        return starts.length > 0 ? node({ kind: 'interpret' }) : undefined
      }
      starts.push(offset)
      this.#starts.push(this.#host(offset))
      offset += this.#instruction.length
      const terminator = this.#terminator(offset, context)
      if (terminator) return node(terminator)
      if (this.#nodes.has(nodeKey(offset, context))) break
    }
    return node({ kind: 'goto', target: this.#target(offset, context, true) })
  }

  /** A place where control goes on; `taken` says that it is known to have got there, or must be assumed to. */
  #target(offset: number, context: Context, taken: boolean): Target {
    const target: Target = { offset, block: -1 }
    this.#targets.push({ target, context })
    if (taken || this.#wasTaken(offset)) this.#pending.push({ offset, context })
    return target
  }

  #wasTaken(offset: number): boolean {
    const host = this.#host(offset)
    return host !== 0 && this.#surroundings.wasReached(host)
  }

  /** How the block ends with the instruction just decoded, if it does. `next` is the offset behind it. */
  #terminator(next: number, context: Context): Terminator | undefined {
    const i = this.#instruction
    const name = nameOf(i.name)
    const direct = i.operandCount > 0 && i.opKind[0] === OperandKind.rel
    const to = next + i.immLo
    if (direct && i.immHi === (i.immLo < 0 ? -1 : 0) && Math.abs(to) < REACH) {
      if (name === 'jmp.rel')
        return { kind: 'goto', target: this.#target(to, context, this.#isInside(to, next, context)) }
      if (name === 'call.rel') return { kind: 'goto', target: this.#call(to, next, context) }
      const taken = this.#target(to, context, this.#isInside(to, next, context))
      return { kind: 'branch', taken, next: this.#target(next, context, true) }
    }
    if (!direct && !entryOf(name)?.ends) return undefined
    const site = this.#host(next - i.length)
    this.#sites.push(site)
    return { kind: 'indirect', targets: this.#indirectTargets(name, site, next, context), site }
  }

  /** A jump back into what has been decoded: it was not taken yet, perhaps, but costs nothing. */
  #isInside(offset: number, next: number, context: Context): boolean {
    if (offset >= this.#start && offset < next) return true
    for (const node of this.#nodes.values()) {
      if (node.context === context && offset >= node.offset && offset < node.end) return true
    }
    return false
  }

  #indirectTargets(name: string, site: number, next: number, context: Context): readonly Target[] {
    if (name === 'ret') {
      // Its own list: calls found later add to it.
      if (context.parent === undefined) {
        for (const offset of this.#surroundings.targetsOf(site)) {
          if (!context.returns.some((known) => known.offset === offset)) {
            context.returns.push(this.#target(offset, context, true))
          }
        }
      }
      return context.returns
    }
    const offsets = this.#surroundings.targetsOf(site).slice(0, MAX_TARGETS)
    if (name === 'call.ind') return offsets.map((offset) => this.#call(offset, next, context))
    return offsets.map((offset) => this.#target(offset, context, true))
  }

  /** A call of the function at an offset, which returns to `next`. */
  #call(callee: number, next: number, context: Context): Target {
    const inner = this.#contextOf(callee, next, context)
    if (inner === undefined) return { offset: callee, block: -1 }
    if (!inner.returns.some(({ offset }) => offset === next)) {
      inner.returns.push(this.#target(next, context, true))
    }
    return this.#target(callee, inner, false)
  }

  #contextOf(callee: number, next: number, context: Context): Context | undefined {
    for (let active: Context | undefined = context; active; active = active.parent) {
      if (active.callee === callee) return active
    }
    if (context.depth === MAX_DEPTH) return undefined
    const key = `${callee}/${next}/${context.id}`
    const known = this.#contexts.get(key)
    if (known) return known
    const id = this.#contexts.size + 1
    const made: Context = { id, depth: context.depth + 1, callee, parent: context, returns: [] }
    this.#contexts.set(key, made)
    return made
  }

  // What was found

  #finish(): FoundRegion {
    this.#splitNodes()
    const nodes = [...this.#nodes.values()]
    const numbers = new Map(nodes.map((node, number) => [nodeKey(node.offset, node.context), number]))
    for (const { target, context } of this.#targets) target.block = numbers.get(nodeKey(target.offset, context)) ?? -1
    const blocks: BlockSource[] = nodes.map(({ offset, code, starts, terminator }) => {
      if (terminator.kind === 'indirect') terminator.targets = terminator.targets.slice(0, MAX_TARGETS)
      return { offset, code, instructions: starts.length, terminator }
    })
    const pages = [...this.#pages].map(([distance, host]) => ({ distance, host }))
    const outside = this.#targets
      .filter(({ target }) => target.block < 0)
      .map(({ target }) => this.#host(target.offset))
    const exits = [...new Set(outside)].filter((host) => host !== 0)
    return {
      source: { mode: this.#surroundings.mode, blocks, pages, features: this.#decoders.features },
      spans: this.#spans,
      starts: Uint32Array.from(new Set(this.#starts)).sort(),
      sites: this.#sites,
      exits,
    }
  }

  /** A block that another one runs into is cut there, so that no instruction is translated twice. */
  #splitNodes(): void {
    for (const node of [...this.#nodes.values()]) {
      const cut = node.starts.findIndex((at, n) => n > 0 && this.#nodes.has(nodeKey(at, node.context)))
      if (cut < 0) continue
      const offset = node.starts[cut] as number
      node.code = node.code.slice(0, offset - node.offset)
      node.starts.length = cut
      node.end = offset
      const target: Target = { offset, block: -1 }
      this.#targets.push({ target, context: node.context })
      node.terminator = { kind: 'goto', target }
    }
  }
}

function nodeKey(offset: number, context: Context): string {
  return `${offset}/${context.id}`
}

const NEAR_TRANSFERS = new Set(['jmp.rel', 'call.rel', 'jmp.ind', 'call.ind', 'ret'])
