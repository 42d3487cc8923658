/**
 * Regions: what is translated as one. A region begins at a hot head and grows along direct jumps, calls and returns to known
 * places; whatever else ends it leads back to the dispatcher. Addresses are offsets from the head's page, since a region,
 * like a record, serves every linear address its physical page is mapped at.
 */

import type { Decoder } from '../src/cpu/decoder/decoder.ts'
import { DecodeStatus, Instruction, OperandKind } from '../src/cpu/decoder/instruction.ts'
import { nameOf } from '../src/cpu/decoder/opcodes.ts'
import { entryOf } from '../src/cpu/isa/index.ts'

/** What a block ends with. Targets are offsets; -1 stands for an address that is not known. */
export type Terminator =
  | { readonly kind: 'goto'; readonly target: number }
  | { readonly kind: 'branch'; readonly taken: number; readonly next: number }
  | { readonly kind: 'jump'; readonly target: number }
  | { readonly kind: 'call'; readonly target: number; readonly next: number }
  /** RET, JMP and CALL to an address computed by the guest; `targets` are those that the profile knows. */
  | {
      readonly kind: 'indirect'
      readonly targets: readonly number[]
      readonly returns: boolean
      /** Behind a call: where its return leads. */
      readonly next: number | undefined
      readonly site: number
    }
  /** The instruction at the block's end is not translated. */
  | { readonly kind: 'interpret' }

export interface Block {
  readonly offset: number
  /** Instructions, the terminator's included. */
  readonly instructions: readonly PlacedInstruction[]
  readonly end: number
  readonly terminator: Terminator
}

export interface PlacedInstruction {
  readonly offset: number
  readonly instruction: Instruction
}

export interface Region {
  /** The head first. */
  readonly blocks: Map<number, Block>
  /** Offsets of the pages it has code in, the head's (0) first, and where they lay when it was made. */
  readonly pages: Map<number, number>
  /** Spans of code: host address and length. */
  readonly spans: { host: number; length: number }[]
}

export const MAX_BLOCKS = 200
export const MAX_INSTRUCTIONS = 1000
const MAX_BLOCK = 100
export const MAX_PAGES = 6
const PAGE = 4096

/** Offsets (from the head's page) that an indirect transfer, by the host address of its instruction, was seen to lead to. */
export type Profile = (site: number) => readonly number[]

/** Gives the host address of the page at a distance from the head's page, or 0. */
export type PageFinder = (distance: number) => number

export class RegionFinder {
  readonly #bytes: Uint8Array
  readonly #decoder: Decoder
  readonly #translatable: (instruction: Instruction) => boolean
  readonly #buffer = new Uint8Array(16)
  #profile: Profile = () => []

  constructor(bytes: Uint8Array, decoder: Decoder, translatable: (instruction: Instruction) => boolean) {
    this.#bytes = bytes
    this.#decoder = decoder
    this.#translatable = translatable
  }

  /** The region around the code at `offset` in the head's page. */
  find(offset: number, pageAt: PageFinder, profile: Profile): Region {
    this.#profile = profile
    const region: Region = { blocks: new Map(), pages: new Map(), spans: [] }
    const pending = [offset]
    let instructions = 0
    while (pending.length > 0 && region.blocks.size < MAX_BLOCKS && instructions < MAX_INSTRUCTIONS) {
      const at = pending.shift() as number
      if (region.blocks.has(at)) continue
      const block = this.#decodeBlock(at, region, pageAt)
      if (block === undefined) continue
      region.blocks.set(at, block)
      instructions += block.instructions.length
      pending.push(...successors(block.terminator))
    }
    splitBlocks(region)
    return region
  }

  #page(distance: number, region: Region, pageAt: PageFinder): number {
    const known = region.pages.get(distance)
    if (known !== undefined) return known
    if (region.pages.size >= MAX_PAGES) return 0
    const host = pageAt(distance)
    if (host !== 0) region.pages.set(distance, host)
    return host
  }

  #decode(offset: number, region: Region, pageAt: PageFinder): Instruction | undefined {
    const instruction = new Instruction()
    const inPage = offset & (PAGE - 1)
    const page = this.#page(offset - inPage, region, pageAt)
    if (page === 0) return undefined
    const status = this.#decoder.decode(this.#bytes, page + inPage, page + PAGE, instruction)
    if (status === DecodeStatus.ok) region.spans.push({ host: page + inPage, length: instruction.length })
    if (status !== DecodeStatus.truncated) return status === DecodeStatus.ok ? instruction : undefined
    return this.#decodeAcross(offset, page, region, pageAt, instruction)
  }

  #decodeAcross(
    offset: number,
    page: number,
    region: Region,
    pageAt: PageFinder,
    instruction: Instruction,
  ): Instruction | undefined {
    const inPage = offset & (PAGE - 1)
    const first = PAGE - inPage
    const second = this.#page(offset - inPage + PAGE, region, pageAt)
    if (second === 0) return undefined
    this.#buffer.set(this.#bytes.subarray(page + inPage, page + PAGE), 0)
    this.#buffer.set(this.#bytes.subarray(second, second + 16 - first), first)
    if (this.#decoder.decode(this.#buffer, 0, 16, instruction) !== DecodeStatus.ok) return undefined
    region.spans.push({ host: page + inPage, length: first })
    region.spans.push({ host: second, length: instruction.length - first })
    return instruction
  }

  #terminator(i: Instruction, next: number, region: Region): Terminator | undefined {
    const name = nameOf(i.name)
    const far = i.immHi !== (i.immLo < 0 ? -1 : 0)
    if (i.operandCount > 0 && i.opKind[0] === OperandKind.rel && !far) {
      const target = next + i.immLo
      if (name === 'jmp.rel') return { kind: 'jump', target }
      if (name === 'call.rel') return { kind: 'call', target, next }
      return { kind: 'branch', taken: target, next }
    }
    if (!entryOf(name)?.ends && i.opKind[0] !== OperandKind.rel) return undefined
    const start = next - i.length
    const page = start & ~(PAGE - 1)
    const site = (region.pages.get(page) as number) + (start - page)
    const targets = this.#profile(site)
    const call = name === 'call.ind' && targets.length > 0
    return { kind: 'indirect', targets, returns: name === 'ret', next: call ? next : undefined, site }
  }

  #decodeBlock(start: number, region: Region, pageAt: PageFinder): Block | undefined {
    const instructions: PlacedInstruction[] = []
    let offset = start
    const finish = (terminator: Terminator): Block => ({ offset: start, instructions, end: offset, terminator })
    while (instructions.length < MAX_BLOCK) {
      const instruction = this.#decode(offset, region, pageAt)
      if (instruction === undefined || !this.#translatable(instruction)) {
        return instructions.length > 0 ? finish({ kind: 'interpret' }) : undefined
      }
      instructions.push({ offset, instruction })
      offset += instruction.length
      const terminator = this.#terminator(instruction, offset, region)
      if (terminator) return finish(terminator)
      if (region.blocks.has(offset)) break
    }
    return finish({ kind: 'goto', target: offset })
  }
}

function successors(terminator: Terminator): number[] {
  switch (terminator.kind) {
    case 'goto':
    case 'jump':
      return [terminator.target]
    case 'branch':
      return [terminator.next, terminator.taken]
    case 'call':
      return [terminator.target, terminator.next]
    case 'indirect':
      return terminator.next === undefined ? [...terminator.targets] : [...terminator.targets, terminator.next]
    default:
      return []
  }
}

/** A block that another one runs into is cut there, so that no instruction is translated twice. */
function splitBlocks(region: Region): void {
  for (const block of [...region.blocks.values()]) {
    const cut = block.instructions.findIndex(({ offset }, index) => index > 0 && region.blocks.has(offset))
    if (cut < 0) continue
    const target = (block.instructions[cut] as PlacedInstruction).offset
    const instructions = block.instructions.slice(0, cut)
    region.blocks.set(block.offset, {
      offset: block.offset,
      instructions,
      end: target,
      terminator: { kind: 'goto', target },
    })
  }
}
