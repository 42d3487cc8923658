/** From a region to a wasm module: structured code along the dominator tree, one function a region. */

import { REGION_DECLINED } from '../src/cpu/interpreter/record.ts'
import { importFunction, newModule, type Type, type Value } from '../src/cpu/wasm/emitter.ts'
import { type Env, TranslatorBuilder } from './builder.ts'
import { buildGraph, type Graph } from './graph.ts'
import type { Block, PlacedInstruction, Region, Terminator } from './region.ts'

/** An indirect transfer compares its target with at most so many places in the region. */
const MAX_TARGETS = 8

type Signature = { parameters: Type[]; result: Type | undefined }

class RegionEmitter {
  readonly #x: ImportingBuilder
  readonly #region: Region
  readonly #graph: Graph
  readonly #returnSites: readonly number[]
  readonly #instructions: number

  constructor(x: ImportingBuilder, region: Region, entry: number) {
    this.#x = x
    this.#region = region
    this.#returnSites = returnSites(region)
    this.#instructions = [...region.blocks.values()].reduce((sum, block) => sum + block.instructions.length, 0)
    this.#graph = buildGraph(entry, (name) => this.#targets(region.blocks.get(name) as Block))
  }

  #targets({ terminator }: Block): number[] {
    const targets = (): number[] => {
      switch (terminator.kind) {
        case 'goto':
        case 'jump':
        case 'call':
          return [terminator.target]
        case 'branch':
          return [terminator.next, terminator.taken]
        case 'indirect':
          return this.#indirectTargets(terminator)
        default:
          return []
      }
    }
    return targets().filter((target) => this.#region.blocks.has(target))
  }

  /** Where in the region an indirect transfer may lead: what was seen, and for a return what is behind the calls. */
  #indirectTargets({ targets, returns }: Terminator & { kind: 'indirect' }): number[] {
    const all = returns ? [...targets, ...this.#returnSites] : targets
    return [...new Set(all)].filter((target) => this.#region.blocks.has(target)).slice(0, MAX_TARGETS)
  }

  emit(): void {
    const x = this.#x
    x.open()
    for (const [distance, host] of this.#region.pages) {
      if (distance !== 0) x.requirePage(distance, host, REGION_DECLINED)
    }
    x.requireBudget(this.#instructions, REGION_DECLINED)
    x.enclose(() => this.#tree(0))
  }

  /** A node and what it dominates. */
  #tree(node: number): void {
    const merges = (this.#graph.children[node] as readonly number[]).filter((child) => this.#graph.isMerge[child])
    if (!this.#graph.isLoopHeader[node]) {
      this.#within(node, merges)
      return
    }
    // Everything is at home at the head of a loop, and the budget must last for a turn.
    this.#x.goHome()
    this.#x.atHome()
    this.#x.loop(`loop${node}`, () => {
      this.#x.if(this.#x.shortOfBudget(this.#instructions), () => this.#leaveFor(node))
      this.#within(node, merges)
    })
  }

  /** Merge nodes follow the blocks that jumps to them leave, the last one outermost. */
  #within(node: number, merges: readonly number[]): void {
    const last = merges[merges.length - 1]
    if (last === undefined) {
      this.#block(node)
      return
    }
    const { env, flags } = this.#save()
    this.#x.block(`merge${last}`, () => this.#within(node, merges.slice(0, -1)))
    this.#restore({ env, flags })
    this.#x.atHome()
    this.#tree(last)
  }

  #save(): { env: Env; flags: unknown } {
    return { env: this.#x.fork(), flags: this.#x.flags.save() }
  }

  #restore({ env, flags }: { env: Env; flags: unknown }): void {
    this.#x.env = { registers: new Map(env.registers), flags: new Map(env.flags), count: env.count }
    this.#x.flags.restore(flags)
  }

  #leaveFor(node: number): void {
    this.#x.leaveFor(this.#graph.names[node] as number)
  }

  #block(node: number): void {
    const block = this.#region.blocks.get(this.#graph.names[node] as number) as Block
    for (const { instruction, offset } of block.instructions) this.#x.emit(instruction, offset)
    this.#terminate(node, block)
  }

  #terminate(node: number, { terminator, end, instructions }: Block): void {
    const x = this.#x
    const transfer = x.transfer
    x.transfer = undefined
    switch (terminator.kind) {
      case 'goto':
      case 'jump':
      case 'call':
        this.#go(node, terminator.target)
        return
      case 'branch':
        this.#branch(node, terminator, transfer?.condition as Value)
        return
      case 'indirect':
        this.#indirect(node, terminator, transfer?.target ?? this.#direct(instructions))
        return
      case 'interpret':
        x.leaveFor(end)
    }
  }

  /** A direct transfer too far for an offset. */
  #direct(instructions: readonly PlacedInstruction[]): Value {
    const { instruction, offset } = instructions[instructions.length - 1] as PlacedInstruction
    const distance = (BigInt(instruction.immHi) << 32n) | BigInt(instruction.immLo >>> 0)
    return this.#x.ripAt(BigInt(offset + instruction.length) + distance)
  }

  #branch(node: number, terminator: Terminator & { kind: 'branch' }, condition: Value): void {
    const saved = this.#save()
    this.#x.if(condition, () => this.#go(node, terminator.taken))
    this.#restore(saved)
    this.#go(node, terminator.next)
  }

  #indirect(node: number, terminator: Terminator & { kind: 'indirect' }, target: Value): void {
    for (const offset of this.#indirectTargets(terminator)) {
      const saved = this.#save()
      this.#x.if(this.#x.isAt(target, offset), () => this.#go(node, offset))
      this.#restore(saved)
    }
    this.#x.leaveForValue(target, terminator.site)
  }

  /** Control goes to the code at an offset. */
  #go(from: number, offset: number): void {
    const to = this.#graph.names.indexOf(offset)
    if (to < 0 || !(this.#graph.successors[from] as readonly number[]).includes(to)) {
      this.#x.leaveFor(offset)
      return
    }
    if (to <= from) {
      this.#x.goHome()
      this.#x.br(`loop${to}`)
    } else if (this.#graph.isMerge[to]) {
      this.#x.goHome()
      this.#x.br(`merge${to}`)
    } else this.#tree(to)
  }
}

/** The places behind the region's calls. */
function returnSites(region: Region): number[] {
  const behind = ({ terminator }: Block): number | undefined =>
    terminator.kind === 'call' || terminator.kind === 'indirect' ? terminator.next : undefined
  const sites = new Set([...region.blocks.values()].map(behind))
  return [...sites].filter((site) => site !== undefined && region.blocks.has(site)) as number[]
}

/** Notes which functions of the runtime are called. */
class ImportingBuilder extends TranslatorBuilder {
  readonly imports = new Map<string, Signature>()

  override call(name: string, result: Type, ...operands: Value[]): Value {
    this.imports.set(name, { parameters: operands.map((operand) => operand.type), result })
    return super.call(name, result, ...operands)
  }
}

/** The region's module: imports env.memory and runtime functions, exports `region`. */
export function compileRegion(region: Region, entry: number): Uint8Array {
  const module = newModule()
  try {
    module.setMemory(0, -1, null)
    module.addMemoryImport('0', 'env', 'memory', false)
    const x = new ImportingBuilder(module)
    new RegionEmitter(x, region, entry).emit()
    x.unreachable()
    x.finish('region', 'i32')
    for (const [name, { parameters, result }] of x.imports) {
      importFunction(module, 'runtime', name, parameters, result)
    }
    module.addFunctionExport('region', 'region')
    return module.emitBinary()
  } finally {
    module.dispose()
  }
}
