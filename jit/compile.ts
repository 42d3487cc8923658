/** From a region to a wasm function: structured code along the dominator tree. */
import type { Instruction } from '../src/cpu/decoder/instruction.ts'
import { REGION_DECLINED } from '../src/cpu/interpreter/record.ts'
import * as L from '../src/cpu/layout.ts'
import { Emitter, importFunction, type Module, newModule, type Type, type Value } from '../src/cpu/wasm/emitter.ts'
import { type Block, decodeBlocks, successorsOf } from './blocks.ts'
import { TranslatorBuilder } from './builder.ts'
import { effectsOf } from './effects.ts'
import type { Env } from './env.ts'
import { copyEnv } from './env.ts'
import { buildGraph, DISPATCH, type Graph, innermostLoops, longestPaths } from './graph.ts'
import { flagsNeededAt } from './liveness.ts'
import { BLOCK_MARK } from './observer.ts'
import type { FlagsNeed } from './paths.ts'
import { type CompiledEntry, type CompileFailure, MAX_ENTRANCES } from './service.ts'
import type { RegionSource, Target, Terminator } from './source.ts'
import { discriminate } from './switch.ts'

/** With more targets than this a jump table is faster than comparing one after the other. */
const MANY_TARGETS = 3
const PAGE = 4096

type Signature = { parameters: Type[]; result: Type | undefined }

class RegionEmitter {
  readonly #x: TranslatorBuilder
  readonly #source: RegionSource
  readonly #blocks: readonly Block[]
  readonly #graph: Graph
  readonly #flagsNeeded: readonly FlagsNeed[]
  /** Instructions from each node to the next look at the budget. */
  readonly #longest: readonly number[]
  /** The same from the dispatch node. */
  readonly #longestEntry: number
  /** Which entry the dispatch node is to go to. */
  #entry!: Value

  constructor(x: TranslatorBuilder, source: RegionSource) {
    this.#x = x
    this.#source = source
    this.#blocks = decodeBlocks(source, (instruction) => effectsOf(instruction).translatable)
    const successors = (name: number): number[] => successorsOf(this.#blocks[name] as Block)
    const loops = innermostLoops(buildGraph(0, successors))
    this.#graph = buildGraph(0, successors, this.#chooseEntries(loops))
    this.#flagsNeeded = flagsNeededAt(this.#blocks, (name) => this.#checksBudget(name))
    const length = (name: number): number => this.#blocks[name]?.instructions.length ?? 0
    this.#longest = longestPaths(this.#graph, length)
    const ofEntry = (name: number): number => this.#longest[this.#graph.numbers.get(name) as number] as number
    this.#longestEntry = Math.max(0, ...this.#graph.entries.map(ofEntry))
  }

  /** The offsets where the region can be entered, the head's first; the number is the function's first parameter. */
  get entries(): readonly number[] {
    const { entries } = this.#graph
    return (entries.length === 0 ? [0] : entries).map((name) => this.#blocks[name]?.offset ?? 0)
  }

  /** Heads of loops, one for each offset: a function that was taken in more than once has its loops more than once. */
  #chooseEntries(loops: readonly number[]): readonly number[] {
    const offsetOf = (name: number): number => (this.#blocks[name] as Block).offset
    const known = new Set([offsetOf(0)])
    const chosen = loops.filter((name) => !known.has(offsetOf(name)) && known.add(offsetOf(name)))
    return chosen.slice(0, MAX_ENTRANCES - 1)
  }

  /** The function takes the number of the entry, and the linear address of the region's page. */
  emit(): void {
    const x = this.#x
    x.open(x.parameter(1), this.#source.mode)
    this.#entry = x.parameter(0)
    for (const { distance, host } of this.#source.pages) {
      if (distance !== 0 || !this.#isInHeadPage()) x.requirePage(distance, host, REGION_DECLINED)
    }
    x.requireBudget(Math.max(1, this.#longestEntry, this.#longest[0] as number))
    x.enclose(() => this.#tree(0))
  }

  /** Whether the page that the region is entered in is always the head's, which then is as it should be. */
  #isInHeadPage(): boolean {
    return this.entries.every((offset) => offset >= 0 && offset < PAGE)
  }

  /** Whether a jump to a block looks at the budget: at the head of each loop, and at what the dispatch node leads to. */
  #checksBudget(name: number): boolean {
    const node = this.#graph.numbers.get(name)
    return node !== undefined && (this.#graph.isLoopHeader[node] === true || this.#graph.entries.includes(name))
  }

  /** A node and what it dominates. */
  #tree(node: number): void {
    const merges = (this.#graph.children[node] as readonly number[]).filter((child) => this.#graph.isMerge[child])
    if (!this.#graph.isLoopHeader[node]) {
      this.#within(node, merges)
      return
    }
    // Everything is at home at the head of a loop.
    this.#goHome(node)
    this.#x.atHome(this.#need(node))
    this.#x.loop(`loop${node}`, () => this.#within(node, merges))
  }

  /** Leaves the region at the head of a loop unless the budget lasts for a turn. */
  #checkBudget(node: number): void {
    const x = this.#x
    const short = x.shortOfBudget((this.#longest[node] as number) + x.env.count)
    x.if(short, () => x.leaveShort(this.#blockOf(node).offset))
  }

  /** Merge nodes follow the blocks that jumps to them leave, the last one outermost. */
  #within(node: number, merges: readonly number[]): void {
    const last = merges[merges.length - 1]
    if (last === undefined) {
      if (this.#isDispatch(node)) this.#dispatch(node)
      else this.#block(node)
      return
    }
    const env = this.#x.fork()
    this.#x.block(`merge${last}`, () => this.#within(node, merges.slice(0, -1)))
    this.#x.env = env
    this.#x.atHome(this.#need(last))
    this.#tree(last)
  }

  #isDispatch(node: number): boolean {
    return this.#graph.names[node] === DISPATCH
  }

  #blockOf(node: number): Block {
    return this.#blocks[this.#graph.names[node] as number] as Block
  }

  #need(node: number): FlagsNeed {
    // Who goes to the dispatch node brings what the entry needs that is gone to.
    return this.#isDispatch(node) ? 'any' : (this.#flagsNeeded[this.#graph.names[node] as number] as FlagsNeed)
  }

  #goHome(to: number): void {
    this.#x.goHome(this.#need(to))
  }

  /** A path of its own: what is emitted in it is not known behind it. */
  #path(body: () => void): () => void {
    return () => {
      const env = copyEnv(this.#x.env)
      body()
      this.#x.env = env as Env
    }
  }

  #dispatch(node: number): void {
    const arms = this.#graph.entries.map((name) => this.#path(() => this.#goTo(node, name)))
    this.#x.switch(this.#entry, arms.slice(0, -1), arms[arms.length - 1] as () => void)
  }

  #block(node: number): void {
    const block = this.#blockOf(node)
    if (this.#source.marked) this.#x.mark(BLOCK_MARK + (this.#graph.names[node] as number))
    for (const { instruction, offset } of block.instructions) this.#x.emit(instruction, offset)
    this.#terminate(node, block)
  }

  #terminate(node: number, block: Block): void {
    const { terminator } = block
    const transfer = this.#x.takeTransfer()
    switch (terminator.kind) {
      case 'goto':
        this.#go(node, terminator.target)
        return
      case 'branch': {
        const { taken, next } = terminator
        this.#x.if(
          transfer?.condition as Value,
          this.#path(() => this.#go(node, taken)),
        )
        this.#go(node, next)
        return
      }
      case 'indirect':
        this.#indirect(node, terminator, transfer?.target ?? this.#far(block))
        return
      case 'interpret':
        this.#x.leaveFor(block.end)
    }
  }

  /** Target of a direct transfer that is too far for an offset. */
  #far({ instructions }: Block): Value {
    const { instruction, offset } = instructions[instructions.length - 1] as {
      instruction: Instruction
      offset: number
    }
    const distance = (BigInt(instruction.immHi) << 32n) | BigInt(instruction.immLo >>> 0)
    return this.#x.ripAt(BigInt(offset + instruction.length) + distance)
  }

  #indirect(node: number, { targets, site }: Terminator & { kind: 'indirect' }, rip: Value): void {
    const x = this.#x
    const inside = targets.filter(({ block }) => block >= 0)
    const arms = inside.map((target) =>
      this.#path(() =>
        x.if(
          x.isAt(rip, target.offset),
          this.#path(() => this.#go(node, target)),
        ),
      ),
    )
    const bits = inside.length > MANY_TARGETS ? discriminate(inside.map(({ offset }) => offset)) : undefined
    if (bits === undefined) for (const arm of arms) arm()
    else {
      const where = x.binary('shr_u', x.wrap(x.binary('sub', rip, x.ripAt(0n))), x.i32(bits.shift))
      const numbers = inside.map(({ offset }) => (offset >>> bits.shift) & bits.mask)
      const byBits = Array.from({ length: bits.mask + 1 }, (_, n) => arms[numbers.indexOf(n)])
      x.sparseSwitch(x.binary('and', where, x.i32(bits.mask)), byBits)
    }
    x.leaveForValue(rip, site)
  }

  #go(from: number, target: Target): void {
    if (target.block < 0) this.#x.leaveFor(target.offset)
    else this.#goTo(from, target.block)
  }

  /** Control goes to a block of the region. */
  #goTo(from: number, name: number): void {
    const to = this.#graph.numbers.get(name) as number
    if (!(this.#graph.successors[from] as readonly number[]).includes(to)) {
      this.#goThroughDispatch(name)
      return
    }
    if (this.#graph.isLoopHeader[to]) this.#checkBudget(to)
    if (to > from && !this.#graph.isMerge[to]) {
      this.#tree(to)
      return
    }
    this.#goHome(to)
    this.#x.br(to > from ? `merge${to}` : `loop${to}`)
  }

  #goThroughDispatch(name: number): void {
    const x = this.#x
    const short = x.shortOfBudget(this.#longestEntry + x.env.count)
    x.if(short, () => x.leaveShort((this.#blocks[name] as Block).offset))
    x.goHome(this.#flagsNeeded[name] as FlagsNeed)
    x.assign(this.#entry, x.i32(this.#graph.entries.indexOf(name)))
    x.br('loop0')
  }
}

/** Notes which functions of the runtime are called. */
class ImportingBuilder extends TranslatorBuilder {
  imports = new Map<string, Signature>()

  override call(name: string, result: Type, ...operands: Value[]): Value {
    this.#note(name, operands, result)
    return super.call(name, result, ...operands)
  }

  override callVoid(name: string, ...operands: Value[]): void {
    this.#note(name, operands, undefined)
    super.callVoid(name, ...operands)
  }

  #note(name: string, operands: readonly Value[], result: Type | undefined): void {
    this.imports.set(name, { parameters: operands.map((operand) => operand.type), result })
  }
}

export interface CompiledRegions {
  readonly wasm: Uint8Array
  /** For each region its entries, or why there are none. */
  readonly regions: readonly (readonly CompiledEntry[] | CompileFailure)[]
}

/** A module with a function for each region and one for each of its entries. Imports env.memory and runtime functions. */
export function compileRegions(sources: readonly RegionSource[]): CompiledRegions {
  const module = newModule()
  const imports = new Map<string, Signature>()
  try {
    module.setMemory(0, -1, null)
    module.addMemoryImport('0', 'env', 'memory', false)
    const regions = sources.map((source, index) => {
      if (!startsTranslatable(source)) return { failure: 'its first instruction is not translated', expected: true }
      const x = new ImportingBuilder(module, ['i32', 'i64'])
      x.imports = imports
      const region = new RegionEmitter(x, source)
      region.emit()
      x.unreachable()
      x.finish(`${index}`, 'i32')
      return region.entries.map((offset, number) => emitEntry(module, `${index}`, offset, number))
    })
    for (const [name, { parameters, result }] of imports) importFunction(module, 'runtime', name, parameters, result)
    return { wasm: module.emitBinary(), regions }
  } finally {
    module.dispose()
  }
}

/** What the interpreter calls: it knows the page of the entry only. */
function emitEntry(module: Module, region: string, offset: number, number: number): CompiledEntry {
  const x = new Emitter(module)
  const page = x.load('i64', 8, x.i32(0), L.RIP_PAGE)
  const distance = Math.floor(offset / PAGE) * PAGE
  x.return(x.call(region, 'i32', x.i32(number), x.binary('sub', page, x.i64(distance))))
  const name = `${region}.${number}`
  x.finish(name, 'i32')
  module.addFunctionExport(name, name)
  return { name, offset }
}

function startsTranslatable(source: RegionSource): boolean {
  const [head] = decodeBlocks({ ...source, blocks: source.blocks.slice(0, 1) }, (i) => effectsOf(i).translatable)
  return head !== undefined && head.instructions.length > 0
}
