/**
 * Paths through a region: where values live, and how control leaves.
 *
 * Within a stretch of code that control enters at one place only, registers and flags are values (Env): a register that was
 * written is whatever local holds its new value, and the pieces of the flags are expressions that have not been emitted at
 * all. Where paths meet, every value is in its home: a local for each register, the CPU state in memory for the flags. A way
 * out brings the homes up to date and branches to the region's one epilogue, which stores the registers. So a way out costs
 * the code that does not take it nothing but the test for it. There is no call on the way: V8 would keep every register
 * that is live across a call in memory, even if the call is hardly ever made.
 *
 * At home the flags are the four pieces, or, when L.LAZY is not zero, an instruction of the region and its operands that they
 * can be made of (flags.ts). Flags live in memory because locals that are hardly read, but change with every turn of a loop,
 * cost V8 more moves from stack slot to stack slot than storing two words does.
 */
import {
  REGION_FAULT,
  REGION_GO,
  REGION_INTERPRET,
  REGION_SHORT,
  REGION_SHORT_AT_ONCE,
} from '../src/cpu/interpreter/record.ts'
import { VectorBuilder } from '../src/cpu/isa/vector-builder.ts'
import type { FlagComponent } from '../src/cpu/isa/vocabulary.ts'
import * as L from '../src/cpu/layout.ts'
import { codeKindOf } from '../src/cpu/mode.ts'
import type { Type, Value } from '../src/cpu/wasm/emitter.ts'
import { copyEnv, type Env, emptyEnv, type Producer } from './env.ts'
import { type LazyKind, putOff, TranslatorFlags } from './flags.ts'

const PIECE: Record<FlagComponent, { address: number; type: Type }> = {
  result: { address: L.FLAG_RESULT, type: 'i64' },
  carry: { address: L.FLAG_CARRY, type: 'i32' },
  overflow: { address: L.FLAG_OVERFLOW, type: 'i32' },
  aux: { address: L.FLAG_AUX, type: 'i32' },
}

/** Of the numbers of registers the first that is half a vector register. */
const VECTORS = 16
const WHOLE = { i32: 4, i64: 8, f32: 4, f64: 8, v128: 16 } as const

/** Where a register lies in the CPU state. */
function addressOf(register: number): number {
  return register < VECTORS ? L.GPR + register * 8 : L.YMM + (register - VECTORS) * (L.YMM_SIZE / 2)
}

/** How the flags must be where paths meet: as pieces, in any way, or not at all since nobody can see them any more. */
export type FlagsNeed = 'pieces' | 'any' | 'none'

export abstract class PathBuilder extends VectorBuilder {
  env: Env = emptyEnv()
  declare readonly flags: TranslatorFlags
  /** By register number, from VECTORS on halves of vector registers. */
  readonly #homes = new Map<number, Value>()
  #page!: Value
  #tlb!: Value
  #rip!: Value
  #budget!: Value
  #outcome!: Value
  readonly #written = new Set<number>()
  readonly #used = new Set<number>()
  /** Numbers of the instructions that flags are put off with, from 1. */
  readonly #lazyKinds = new Map<string, { number: number; kind: LazyKind }>()
  /** A definition is running: what it does under a condition has to be merged with what was before. */
  protected defining = false

  protected override makeFlags(): TranslatorFlags {
    return new TranslatorFlags(this)
  }

  // The region as a whole

  /** Makes the locals of the region's function. `page` is the linear address of the region's page. */
  open(page: Value, mode: number): void {
    this.codeKind = codeKindOf(mode)
    for (let register = 0; register < VECTORS; register++) this.#home(register)
    this.#page = page
    this.#tlb = this.#loaded('i32', L.TLB_BASE)
    this.#budget = this.#loaded('i32', L.BUDGET)
    this.#rip = this.variable('i64')
    this.#outcome = this.variable('i32')
  }

  /** Emits the region's code between the loading of what it uses and the storing of what it changes. */
  enclose(body: () => void): void {
    const code = this.collect(body, 'epilogue')
    for (const register of this.#used) this.#fill(this.#home(register), addressOf(register))
    this.statement(code)
    this.#epilogue()
  }

  #loaded(type: Type, address: number): Value {
    const home = this.variable(type)
    this.#fill(home, address)
    return home
  }

  #fill(home: Value, address: number): void {
    const { type } = home
    this.assign(home, this.load(type, WHOLE[type], this.i32(0), address))
  }

  /** Returns without having done anything unless a page of the region lies where it lay. */
  requirePage(distance: number, host: number, declined: number): void {
    const linear = this.let(this.ripAt(BigInt(distance)))
    const here = this.call('executableHost', 'i32', linear)
    this.if(this.compare('ne', here, this.i32(host)), () => this.return(this.i32(declined)))
  }

  /** Returns without having done anything unless there is budget for the longest way to the next look at it. */
  requireBudget(instructions: number): void {
    this.if(this.shortOfBudget(instructions), () => this.return(this.i32(REGION_SHORT_AT_ONCE)))
  }

  /** True when the budget does not suffice for so many instructions. */
  shortOfBudget(instructions: number): Value {
    return this.compare('lt_s', this.#budget, this.i32(instructions))
  }

  #epilogue(): void {
    this.#reviveFlags()
    for (const register of this.#written) {
      const home = this.#home(register)
      this.store(WHOLE[home.type], this.i32(0), home, addressOf(register))
    }
    this.setState64(L.RIP, this.#rip)
    this.setState32(L.BUDGET, this.#budget)
    this.return(this.#outcome)
  }

  /** Makes the flags that were put off. */
  #reviveFlags(): void {
    if (this.#lazyKinds.size === 0) return
    const lazy = this.state32(L.LAZY)
    this.if(lazy, () => {
      this.setState32(L.LAZY, this.i32(0))
      for (const { number, kind } of this.#lazyKinds.values()) {
        this.if(this.compare('eq', lazy, this.i32(number)), () => {
          this.env = emptyEnv()
          this.flags.revive(kind, this.state64(L.LAZY_FIRST), this.state64(L.LAZY_SECOND))
          for (const [piece, value] of this.env.flags) this.#storePiece(piece, value)
        })
      }
    })
  }

  // Meeting points

  fork(): Env {
    return copyEnv(this.env)
  }

  /** All values are in their homes from here on: paths meet. */
  atHome(flags: FlagsNeed): void {
    this.env = emptyEnv()
    this.env.lazyHome = flags !== 'pieces'
  }

  /**
   * Brings the homes up to date; the Env still holds for code that does not come by here.
   *
   * @param extra instructions to be charged beyond those of the Env
   */
  goHome(flags: FlagsNeed, extra = 0): void {
    this.scope(() => {
      // Flags first, and then all registers are read before any home changes: values may be in other registers' homes.
      if (flags !== 'none') this.#storeFlags(flags)
      for (const { home, value } of this.#registerMoves()) this.assign(home, value)
      const spent = this.env.count + extra
      if (spent !== 0) this.assign(this.#budget, this.binary('sub', this.#budget, this.i32(spent)))
    })
  }

  #registerMoves(): { home: Value; value: Value }[] {
    const moves: { home: Value; value: Value }[] = []
    for (const [register, value] of this.env.registers) {
      const home = this.#home(register)
      if (value.localIndex === home.localIndex) continue
      moves.push({ home, value: this.#isHome(value) ? this.#copied(value) : value })
    }
    return moves
  }

  #isHome({ localIndex }: Value): boolean {
    if (localIndex < 0) return false
    for (const home of this.#homes.values()) if (home.localIndex === localIndex) return true
    return false
  }

  #storeFlags(need: FlagsNeed): void {
    const { flags, lazy, lazyHome } = this.env
    if (flags.size === 0) return
    if (lazy !== undefined && need === 'any') {
      this.#putOff(lazy)
      return
    }
    for (const [piece, value] of flags) this.#storePiece(piece, value)
    if (lazyHome) this.setState32(L.LAZY, this.i32(0))
  }

  #storePiece(piece: FlagComponent, value: Value): void {
    const { type, address } = PIECE[piece]
    this.store(type === 'i64' ? 8 : 4, this.i32(0), value, address)
  }

  /** Keeps the producer and its operands in place of the pieces. */
  #putOff(producer: Producer): void {
    const { kind, first, second } = putOff(producer, this.env.registers)
    const name = `${kind.kind}/${kind.size}/${kind.fromResult}/${kind.second ?? ''}`
    const number = this.#lazyKinds.get(name)?.number ?? this.#lazyKinds.size + 1
    this.#lazyKinds.set(name, { number, kind })
    const wide = (value: Value): Value => this.#asInteger(value)
    this.setState64(L.LAZY_FIRST, wide(first))
    if (second !== undefined) this.setState64(L.LAZY_SECOND, wide(second))
    this.setState32(L.LAZY, this.i32(number))
    // INC and DEC do not touch CF.
    const carry = this.env.flags.get('carry')
    if (carry !== undefined && (producer.kind === 'inc' || producer.kind === 'dec')) this.#storePiece('carry', carry)
  }

  /** The bits of a value as i64. */
  #asInteger(value: Value): Value {
    if (value.type === 'i64') return value
    if (value.type === 'i32') return this.extendUnsigned(value)
    const integer = value.type === 'f32' ? 'i32' : 'i64'
    return this.#asInteger(this.apply(`${integer}.reinterpret`, integer, value))
  }

  /** The other way, of what was a float. */
  floatOf(bits: Value, size: number): Value {
    return size === 64
      ? this.apply('f64.reinterpret', 'f64', bits)
      : this.apply('f32.reinterpret', 'f32', this.wrap(bits))
  }

  #copied(value: Value): Value {
    const copy = this.variable(value.type)
    this.assign(copy, value)
    return copy
  }

  // Ways out

  /** Leaves the region for the code at an offset from the page. */
  leaveFor(offset: number): void {
    this.#leave(REGION_GO, this.ripAt(BigInt(offset)), 0)
  }

  /** Leaves for an offset since the budget might not last. */
  leaveShort(offset: number): void {
    this.#leave(REGION_SHORT, this.ripAt(BigInt(offset)), 0)
  }

  /** Leaves by an indirect transfer, whose place is noted for the profile. */
  leaveForValue(rip: Value, site: number): void {
    this.setState32(L.EXIT_SITE, this.i32(site))
    this.#leave(REGION_GO, rip, 0)
  }

  /** The instruction at an offset has raised an exception: it counts as attempted. */
  leaveFaulting(offset: number): void {
    this.#leave(REGION_FAULT, this.ripAt(BigInt(offset)), 1)
  }

  /** The interpreter is to do the instruction at an offset. */
  leaveToInterpret(offset: number): void {
    this.#leave(REGION_INTERPRET, this.ripAt(BigInt(offset)), 0)
  }

  #leave(outcome: number, rip: Value, extra: number): void {
    this.assign(this.#rip, this.codeKind === 'long' ? rip : this.binary('and', rip, this.i64(0xffff_ffff)))
    this.goHome('any', extra)
    this.assign(this.#outcome, this.i32(outcome))
    this.br('epilogue')
  }

  // Conditions inside a definition

  /** In a definition, registers and flags that a branch changes become variables, which keep their value in the other. */
  override if(condition: Value, whenTrue: () => void, whenFalse?: () => void): void {
    if (!this.defining || condition.constant !== undefined) {
      super.if(condition, whenTrue, whenFalse)
      return
    }
    const test = this.let(condition)
    const before = this.fork()
    const variables = new Map<number | FlagComponent, Value>()
    const yes = this.#branchOf(whenTrue, before, variables)
    const no = whenFalse ? this.#branchOf(whenFalse, before, variables) : undefined
    this.env = before
    for (const [key, variable] of variables) this.assign(variable, this.#valueOf(key, before))
    this.statement(this.module.if(test.take(), yes, no))
    for (const [key, variable] of variables) {
      if (typeof key === 'number') this.env.registers.set(key, variable)
      else {
        this.env.flags.set(key, variable)
        this.env.producer = undefined
        this.env.lazy = undefined
      }
    }
  }

  #branchOf(body: () => void, before: Env, variables: Map<number | FlagComponent, Value>): number {
    return this.collect(() => {
      this.env = copyEnv(before)
      body()
      const { registers, flags } = this.env
      for (const [key, value] of [...registers, ...flags] as [number | FlagComponent, Value][]) {
        const old = typeof key === 'number' ? before.registers.get(key) : before.flags.get(key)
        if (old === value) continue
        const variable = variables.get(key) ?? this.variable(value.type)
        variables.set(key, variable)
        this.assign(variable, value)
      }
    })
  }

  #valueOf(key: number | FlagComponent, env: Env): Value {
    if (typeof key === 'number') return env.registers.get(key) ?? this.#home(key)
    return env.flags.get(key) ?? this.#loadPiece(key)
  }

  // State

  #home(register: number): Value {
    const known = this.#homes.get(register)
    if (known !== undefined) return known
    const home = this.lastingVariable(register < VECTORS ? 'i64' : 'v128')
    this.#homes.set(register, home)
    return home
  }

  protected register(register: number): Value {
    this.#used.add(register)
    return this.env.registers.get(register) ?? this.#home(register)
  }

  protected setRegister(register: number, value: Value): void {
    this.#written.add(register)
    this.#used.add(register)
    this.env.registers.set(register, this.let(value))
  }

  vectorHalf(register: number, half: 0 | 1): Value {
    return this.register(VECTORS + register * 2 + half)
  }

  setVectorHalf(register: number, half: 0 | 1, value: Value): void {
    this.setRegister(VECTORS + register * 2 + half, value)
  }

  readFlag(name: FlagComponent): Value {
    return this.env.flags.get(name) ?? this.#loadPiece(name)
  }

  #loadPiece(name: FlagComponent): Value {
    const { type, address } = PIECE[name]
    return type === 'i64' ? this.state64(address) : this.state32(address)
  }

  writeFlag(name: FlagComponent, value: Value): void {
    this.env.flags.set(name, value.reusable ? value : this.copyable(value))
    this.env.producer = undefined
    this.env.lazy = undefined
  }

  /** The RIP at an offset from the region's page. */
  ripAt(offset: bigint): Value {
    return this.binary('add', this.#page, this.i64(BigInt.asUintN(64, offset)))
  }

  /** The TLB entry of the current context for a linear address. */
  protected tlbEntry(linear: Value): Value {
    const slot = this.wrap(this.binary('shr_u', linear, this.i64(7)))
    const inSet = this.binary('and', slot, this.i32((L.TLB_ENTRIES - 1) * L.TLB_ENTRY_SIZE))
    return this.let(this.binary('add', this.#tlb, inSet))
  }
}
