/**
 * The translator's builder: the same definitions, but operands are wasm locals and constants.
 *
 * Within a stretch of code that control enters at one place only, registers and flags are values (Env): a register that was
 * written is whatever local holds its new value, and the four pieces of the flags are expressions that have not been
 * emitted at all. They are emitted where somebody needs them: a condition, a place where paths meet, or a way out. Where
 * paths meet, everything lives in one agreed local each ("home"); a way out brings the homes up to date and branches to the
 * region's one epilogue, which stores them. So a fault costs the code that does not fault nothing but the test for it.
 */
import type { Instruction } from '../src/cpu/decoder/instruction.ts'
import { NO_REGISTER, OperandKind, RIP_BASE, Segment } from '../src/cpu/decoder/instruction.ts'
import { nameOf } from '../src/cpu/decoder/opcodes.ts'
import { REGION_GO, REGION_LEAVE } from '../src/cpu/interpreter/record.ts'
import { Builder } from '../src/cpu/isa/builder.ts'
import { type Entry, entryOf } from '../src/cpu/isa/index.ts'
import type { Access, Bytes, FlagComponent, Size } from '../src/cpu/isa/vocabulary.ts'
import * as L from '../src/cpu/layout.ts'
import type { Type, Value } from '../src/cpu/wasm/emitter.ts'
import { TranslatorFlags } from './flags.ts'

/** A definition needs something that only the interpreter does. */
export class NotTranslatable extends Error {}

const PIECES: readonly FlagComponent[] = ['result', 'carry', 'overflow', 'aux']
const PIECE: Record<FlagComponent, { address: number; type: Type }> = {
  result: { address: L.FLAG_RESULT, type: 'i64' },
  carry: { address: L.FLAG_CARRY, type: 'i32' },
  overflow: { address: L.FLAG_OVERFLOW, type: 'i32' },
  aux: { address: L.FLAG_AUX, type: 'i32' },
}

/** What is known of the machine at a point of the code. */
export interface Env {
  /** Registers whose value is not in their home. */
  readonly registers: Map<number, Value>
  /** Pieces whose value is not in their home. */
  readonly flags: Map<FlagComponent, Value>
  /** Instructions run since the budget was last charged. */
  count: number
}

export class TranslatorBuilder extends Builder {
  env: Env = { registers: new Map(), flags: new Map(), count: 0 }
  declare readonly flags: TranslatorFlags
  readonly #homes: Value[] = []
  readonly #flagHomes = {} as Record<FlagComponent, Value>
  #page!: Value
  #tlb!: Value
  #rip!: Value
  #budget!: Value
  #outcome!: Value
  readonly #written = new Set<number>()
  readonly #used = new Set<number>()
  readonly #usedFlags = new Set<FlagComponent>()
  #instruction!: Instruction
  #entry!: Entry
  #offset = 0
  /** A definition is running: what it does under a condition has to be merged with what was before. */
  #defining = false
  #address: Value | undefined
  #modifyHost: Value | undefined
  #writeCondition: { condition: Value; old: Value } | undefined

  protected override makeFlags(): TranslatorFlags {
    return new TranslatorFlags(this)
  }

  /** Makes the locals of the region's function. */
  open(): void {
    for (let register = 0; register < 16; register++) this.#homes.push(this.variable('i64'))
    for (const piece of PIECES) this.#flagHomes[piece] = this.variable(PIECE[piece].type)
    this.#page = this.#loaded('i64', L.RIP_PAGE)
    this.#tlb = this.#loaded('i32', L.TLB_BASE)
    this.#budget = this.#loaded('i32', L.BUDGET)
    this.#rip = this.variable('i64')
    this.#outcome = this.variable('i32')
  }

  /** Emits the region's code between the loading of what it uses and the storing of what it changes. */
  enclose(body: () => void): void {
    const code = this.collect(body, 'epilogue')
    for (const register of this.#used) this.#fill(this.#homes[register] as Value, L.GPR + register * 8)
    for (const piece of this.#usedFlags) this.#fill(this.#flagHomes[piece], PIECE[piece].address)
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
    this.assign(home, this.load(type, type === 'i64' ? 8 : 4, this.i32(0), address))
  }

  /** Returns without having done anything unless a page of the region lies where it lay. */
  requirePage(distance: number, host: number, declined: number): void {
    const linear = this.let(this.binary('add', this.#page, this.i64(distance)))
    const slot = this.wrap(this.binary('shr_u', linear, this.i64(7)))
    const inSet = this.binary('and', slot, this.i32((L.TLB_ENTRIES - 1) * L.TLB_ENTRY_SIZE))
    const entry = this.let(this.binary('add', this.#tlb, inSet))
    const tag = this.compare('ne', this.load('i64', 8, entry, L.TLB_EXECUTE), linear)
    const moved = this.binary('add', this.load('i32', 4, entry, L.TLB_ADDEND), this.wrap(linear))
    const elsewhere = this.compare('ne', moved, this.i32(host))
    this.if(this.binary('or', tag, elsewhere), () => this.return(this.i32(declined)))
  }

  /** Returns without having done anything unless there is budget for a way through the region. */
  requireBudget(instructions: number, declined: number): void {
    this.if(this.compare('lt_s', this.#budget, this.i32(instructions)), () => this.return(this.i32(declined)))
  }

  #epilogue(): void {
    for (const register of this.#written) this.setState64(L.GPR + register * 8, this.#homes[register] as Value)
    for (const piece of this.#usedFlags) {
      const { type, address } = PIECE[piece]
      this.store(type === 'i64' ? 8 : 4, this.i32(0), this.#flagHomes[piece], address)
    }
    this.setState64(L.RIP, this.#rip)
    this.setState32(L.BUDGET, this.#budget)
    this.return(this.#outcome)
  }

  // Paths

  fork(): Env {
    return { registers: new Map(this.env.registers), flags: new Map(this.env.flags), count: this.env.count }
  }

  /** All values are in their homes from here on: paths meet. */
  atHome(): void {
    this.env = { registers: new Map(), flags: new Map(), count: 0 }
    this.flags.forget()
  }

  /** Brings the homes up to date; the Env still holds for code that does not come by here. */
  goHome(extra = 0): void {
    this.scope(() => this.#moveHome(extra))
  }

  #moveHome(extra: number): void {
    const { registers, flags, count } = this.env
    const moves: { home: Value; value: Value }[] = []
    // Everything is computed before any home changes: values may be read from homes.
    for (const [piece, value] of flags) moves.push({ home: this.#flagHomes[piece], value: this.let(value) })
    for (const [register, value] of registers) {
      const home = this.#homes[register] as Value
      const isHome = this.#homes.some((other) => other.localIndex === value.localIndex && value.localIndex >= 0)
      if (value.localIndex === home.localIndex) continue
      moves.push({ home, value: isHome ? this.#copied(value) : value })
    }
    for (const { home, value } of moves) this.assign(home, value)
    const spent = count + extra
    if (spent !== 0) this.assign(this.#budget, this.binary('sub', this.#budget, this.i32(spent)))
  }

  #copied(value: Value): Value {
    const copy = this.variable(value.type)
    this.assign(copy, value)
    return copy
  }

  /** Leaves the region for the code at an offset from the page. */
  leaveFor(offset: number): void {
    this.#leave(REGION_GO, this.binary('add', this.#page, this.i64(offset)), 0)
  }

  /** Leaves by an indirect transfer, whose place is noted for the profile. */
  leaveForValue(rip: Value, site: number): void {
    this.setState32(L.EXIT_SITE, this.i32(site))
    this.#leave(REGION_GO, rip, 0)
  }

  #leave(outcome: number, rip: Value, extra: number): void {
    this.assign(this.#rip, rip)
    this.goHome(extra)
    this.assign(this.#outcome, this.i32(outcome))
    this.br('epilogue')
  }

  /** True when the budget does not suffice for another turn of a loop. */
  shortOfBudget(instructions: number): Value {
    return this.compare('lt_s', this.#budget, this.i32(instructions))
  }

  /** The instruction has raised an exception: it counts as attempted. */
  fault(): void {
    this.#leave(REGION_LEAVE, this.#ownRip(), 1)
  }

  /** The interpreter is to do this instruction. */
  #interpretThis(): void {
    const attention = this.binary('or', this.state32(L.ATTENTION), this.i32(L.ATTENTION_STEP))
    this.setState32(L.ATTENTION, attention)
    this.#leave(REGION_LEAVE, this.#ownRip(), 0)
  }

  #ownRip(): Value {
    return this.binary('add', this.#page, this.i64(this.#offset))
  }

  /** In a definition, registers and flags that a branch changes become variables, which keep their value in the other. */
  override if(condition: Value, whenTrue: () => void, whenFalse?: () => void): void {
    if (!this.#defining || condition.constant !== undefined) {
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
      else this.env.flags.set(key, variable)
    }
    if (variables.size > 0) this.flags.forget()
  }

  #branchOf(body: () => void, before: Env, variables: Map<number | FlagComponent, Value>): number {
    return this.collect(() => {
      this.env = { registers: new Map(before.registers), flags: new Map(before.flags), count: before.count }
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
    if (typeof key === 'number') return env.registers.get(key) ?? (this.#homes[key] as Value)
    return env.flags.get(key) ?? this.#flagHomes[key]
  }

  // One instruction

  /** Emits an instruction. `branch` is called instead of going on when it transfers control. */
  emit(instruction: Instruction, offset: number): void {
    this.#instruction = instruction
    this.#offset = offset
    const entry = entryOf(nameOf(instruction.name))
    if (!entry) throw new NotTranslatable(nameOf(instruction.name))
    this.#entry = entry
    this.#address = undefined
    this.#modifyHost = undefined
    this.#writeCondition = undefined
    this.size = instruction.operandSize as Size
    this.addressSize = instruction.addressSize as 16 | 32 | 64
    const count = instruction.operandCount
    this.operandSizes = Array.from({ length: count }, (_, i) => instruction.opSize[i] || this.size)
    const operands = Array.from({ length: count }, (_, index) => this.#operand(index))
    this.#defining = true
    const result = entry.define(this, ...(operands as Value[]))
    this.#defining = false
    if (Array.isArray(result)) {
      const [first, second] = result.map((value) => this.let(value)) as [Value, Value]
      this.#commit(1, second)
      this.#commit(0, first)
    } else if (result) this.#commit(0, result)
    this.env.count++
  }

  #operand(index: number): Value | undefined {
    const use = this.#entry.uses[index] ?? '-'
    const kind = this.#instruction.opKind[index]
    if (use === '-' || use === 'j') return undefined
    if (use === 'n') return this.i32(this.#instruction.opReg[index] as number)
    if (kind === OperandKind.imm) return this.#immediate()
    if (kind === OperandKind.one) return this.k(1)
    if (kind === OperandKind.imm2) return this.i32(this.#instruction.imm2)
    if (kind === OperandKind.mem) {
      if (use === 'a') return this.#ea()
      if (use === 'r') return this.read(this.#ea(), this.#bytes(index))
      if (use === 'rw') return this.#readToModify(index)
      return undefined
    }
    return use === 'w' ? undefined : this.#readRegister(index)
  }

  #immediate(): Value {
    const { immLo, immHi } = this.#instruction
    return this.k((BigInt(immHi) << 32n) | BigInt(immLo >>> 0))
  }

  #bytes(index: number): Bytes {
    return ((this.operandSizes[index] as number) / 8) as Bytes
  }

  // Registers

  #register64(register: number): Value {
    this.#used.add(register)
    return this.env.registers.get(register) ?? (this.#homes[register] as Value)
  }

  #setRegister64(register: number, value: Value): void {
    this.#written.add(register)
    this.#used.add(register)
    this.env.registers.set(register, this.let(value))
  }

  #readRegister(index: number): Value {
    const number = this.#instruction.opReg[index] as number
    const size = this.operandSizes[index] as Size
    if (number < 16) return this.#part(number, size, 0)
    return this.#part(number - 16, 8, 8)
  }

  #part(register: number, size: Size, shift: number): Value {
    const whole = this.#register64(register)
    if (size === 64) return whole
    const moved = shift ? this.binary('shr_u', whole, this.i64(shift)) : whole
    return this.let(this.cut(this.wrap(moved), size))
  }

  #writeOperandRegister(index: number, value: Value): void {
    const number = this.#instruction.opReg[index] as number
    if (number < 16) this.#writePart(number, value, this.operandSizes[index] as Size, 0)
    else this.#writePart(number - 16, value, 8, 8)
  }

  #writePart(register: number, value: Value, size: Size, shift: number): void {
    if (size === 64) this.#setRegister64(register, value.type === 'i32' ? this.extendUnsigned(value) : value)
    else if (size === 32) {
      const whole = value.type === 'i64' ? this.binary('and', value, this.i64(0xffff_ffff)) : this.extendUnsigned(value)
      this.#setRegister64(register, whole)
    } else {
      const mask = (size === 8 ? 0xffn : 0xffffn) << BigInt(shift)
      const wide = value.type === 'i32' ? this.extendUnsigned(value) : value
      const part = this.binary('and', this.binary('shl', wide, this.i64(shift)), this.i64(mask))
      const rest = this.binary('and', this.#register64(register), this.i64(BigInt.asUintN(64, ~mask)))
      this.#setRegister64(register, this.binary('or', rest, part))
    }
  }

  gpr(register: number, size: Size = this.size): Value {
    return this.#part((register - L.GPR) >> 3, size, 0)
  }

  setGpr(register: number, value: Value, size: Size = this.size): void {
    this.#writePart((register - L.GPR) >> 3, value, size, 0)
  }

  #commit(index: number, value: Value): void {
    const condition = this.#writeCondition
    if (this.#instruction.opKind[index] === OperandKind.mem) {
      this.#commitMemory(index, condition ? this.select(condition.condition, value, condition.old) : value)
      return
    }
    if (!condition) {
      this.#writeOperandRegister(index, value)
      return
    }
    const operand = this.#instruction.opReg[index] as number
    const number = operand < 16 ? operand : operand - 16
    const before = this.#register64(number)
    this.#writeOperandRegister(index, value)
    const after = this.#register64(number)
    this.#setRegister64(number, this.select(condition.condition, after, before))
  }

  #commitMemory(index: number, value: Value): void {
    if (this.#modifyHost) this.store(this.#bytes(index), this.#modifyHost, value)
    else this.write(this.#ea(), value, this.#bytes(index))
  }

  exchangeIf(condition: Value, old: Value, value: Value): Value {
    this.#writeCondition = { condition: this.let(condition), old }
    return value
  }

  // Flags

  readFlag(name: FlagComponent): Value {
    this.#usedFlags.add(name)
    return this.env.flags.get(name) ?? this.#flagHomes[name]
  }

  writeFlag(name: FlagComponent, value: Value): void {
    this.flags.forget()
    this.#usedFlags.add(name)
    this.env.flags.set(name, value.reusable ? value : this.copyable(value))
  }

  // Memory

  #ea(): Value {
    if (this.#address) return this.#address
    const i = this.#instruction
    let address = this.#baseAndDisplacement(i)
    if (i.memIndex !== NO_REGISTER) {
      const index = this.binary('shl', this.#register64(i.memIndex), this.i64(i.memScale))
      address = this.binary('add', address, index)
    }
    if (i.addressSize === 32) address = this.binary('and', address, this.i64(0xffff_ffff))
    if (this.#entry.name !== 'lea') address = this.#addSegment(address)
    if (this.#entry.bitString && i.opKind[1] === OperandKind.gpr)
      address = this.moveByBits(address, this.#readRegister(1))
    this.#address = this.let(address)
    return this.#address
  }

  #baseAndDisplacement(i: Instruction): Value {
    const displacement = (BigInt(i.dispHi) << 32n) | BigInt(i.dispLo >>> 0)
    if (i.memBase === RIP_BASE) {
      const next = BigInt(this.#offset + i.length)
      return this.binary('add', this.#page, this.i64(BigInt.asUintN(64, displacement + next)))
    }
    if (i.memBase === NO_REGISTER) return this.i64(BigInt.asUintN(64, displacement))
    // POP computes its address with RSP already moved.
    const moved = this.#entry.name === 'pop' && i.memBase === 4 ? BigInt(i.operandSize / 8) : 0n
    return this.binary('add', this.#register64(i.memBase), this.i64(BigInt.asUintN(64, displacement + moved)))
  }

  #addSegment(address: Value): Value {
    const segment = this.#instruction.memSegment
    if (segment !== Segment.fs && segment !== Segment.gs) return address
    return this.binary('add', address, this.segmentBase())
  }

  segmentBase(): Value {
    const segment = this.#instruction.memSegment
    if (segment !== Segment.fs && segment !== Segment.gs) return this.i64(0)
    return this.state64(L.SEGMENTS + segment * L.SEGMENT_SIZE + L.SEG_BASE)
  }

  accessFlags(): Value {
    return this.i32(this.#instruction.memSegment === Segment.ss ? 1 : 0)
  }

  /** TLB look-up; the miss is a call, after which the address may be anywhere in the memory. */
  #host(address: Value, bytes: Bytes, tag: number, miss: () => Value): Value {
    const slot = this.wrap(this.binary('shr_u', address, this.i64(7)))
    const inSet = this.binary('and', slot, this.i32((L.TLB_ENTRIES - 1) * L.TLB_ENTRY_SIZE))
    const entry = this.let(this.binary('add', this.#tlb, inSet))
    const host = this.variable('i32')
    const difference = this.binary('xor', this.load('i64', 8, entry, tag), address)
    this.if(
      this.compare('lt_u', difference, this.i64(4096 - (bytes - 1))),
      () => this.assign(host, this.binary('add', this.wrap(address), this.load('i32', 4, entry, L.TLB_ADDEND))),
      () => this.assign(host, miss()),
    )
    return host
  }

  read(address: Value, bytes: Bytes, access?: Access): Value {
    const linear = this.let(address)
    const host = this.#host(linear, bytes, L.TLB_READ, () => {
      const found = this.call('readMiss', 'i32', linear, this.i32(bytes), this.#access(access))
      this.if(this.eqz(found), () => this.fault())
      return found
    })
    return this.load(bytes === 8 ? 'i64' : 'i32', bytes, host)
  }

  #access(access: Access | undefined): Value {
    return access === undefined ? this.accessFlags() : this.i32(access)
  }

  /** Where an operand can be stored in place; everything that can not be is left to the interpreter. */
  #writableHost(linear: Value, bytes: Bytes, access: Access | undefined): Value {
    return this.#host(linear, bytes, L.TLB_WRITE, () => {
      const found = this.call('modifyMiss', 'i32', linear, this.i32(bytes), this.#access(access))
      this.if(this.eqz(found), () => this.fault())
      this.if(this.compare('eq', found, this.i32(L.BOUNCE)), () => this.#interpretThis())
      return found
    })
  }

  write(address: Value, value: Value, bytes: Bytes, access?: Access): void {
    const linear = this.let(address)
    const what = this.let(value)
    this.store(bytes, this.#writableHost(linear, bytes, access), what)
  }

  #readToModify(index: number): Value {
    const bytes = this.#bytes(index)
    const host = this.#writableHost(this.#ea(), bytes, undefined)
    this.#modifyHost = host
    return this.load(bytes === 8 ? 'i64' : 'i32', bytes, host)
  }

  popInto(value: Value): void {
    if (this.#instruction.opKind[0] === OperandKind.mem) {
      this.write(this.#ea(), value, (this.size / 8) as Bytes)
      this.afterPop()
      return
    }
    this.afterPop()
    this.#writeOperandRegister(0, value)
  }

  immediateOperand(operand: number): boolean {
    return this.#instruction.opKind[operand] === OperandKind.imm
  }

  // Control: the region's emitter decides where to go, see compile.ts

  /** What the terminator has asked for. */
  transfer: { readonly condition?: Value; readonly target?: Value } | undefined

  nextRip(): Value {
    return this.binary('add', this.#page, this.i64(this.#offset + this.#instruction.length))
  }

  branch(): void {
    this.transfer = {}
  }

  branchIf(condition: Value): void {
    this.transfer = { condition: this.let(condition) }
  }

  jump(target: Value): void {
    this.transfer = { target: this.let(target) }
  }

  ripAt(offset: bigint): Value {
    return this.binary('add', this.#page, this.i64(BigInt.asUintN(64, offset)))
  }

  /** Whether an RIP is the one at an offset from the page. */
  isAt(rip: Value, offset: number): Value {
    return this.compare('eq', rip, this.binary('add', this.#page, this.i64(offset)))
  }

  // What the interpreter does

  system(): never {
    throw new NotTranslatable(this.#entry.name)
  }

  string(): never {
    throw new NotTranslatable(this.#entry.name)
  }

  callWithState(): never {
    throw new NotTranslatable(this.#entry.name)
  }

  leaveOnFault(): never {
    throw new NotTranslatable(this.#entry.name)
  }

  repeat(): Value {
    return this.i32(this.#instruction.rep === 0 ? 0 : this.#instruction.rep === 0xf3 ? 1 : 2)
  }
}
