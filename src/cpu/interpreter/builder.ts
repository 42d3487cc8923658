/**
 * The interpreter's builder: operands come from the instruction record at run time. One instance emits one handler, either
 * as an arm of the big switch or as a function of its own; `Site` says how control leaves it in each case.
 */
import { OperandKind } from '../decoder/instruction.ts'
import { isWritten, type Use } from '../isa/table.ts'
import { VectorBuilder } from '../isa/vector-builder.ts'
import { type Access, type Bytes, type FlagComponent, type OperandBytes, type Size, Vector } from '../isa/vocabulary.ts'
import * as L from '../layout.ts'
import type { Type, Value } from '../wasm/emitter.ts'
import type { Operation } from './operations.ts'
import * as R from './record.ts'

/** How a handler ends. */
export interface Site {
  /** Go on with the record at the given address. */
  next(record: Value): void
  /** The instruction has raised an exception. */
  fault(): void
  /** Back to the dispatcher; RIP is set and the budget charged. */
  leave(): void
}

const FLAG_PLACE: Record<FlagComponent, { address: number; type: Type }> = {
  result: { address: L.FLAG_RESULT, type: 'i64' },
  carry: { address: L.FLAG_CARRY, type: 'i32' },
  overflow: { address: L.FLAG_OVERFLOW, type: 'i32' },
  aux: { address: L.FLAG_AUX, type: 'i32' },
}

const REGISTER_FIELD = [R.R_OPERAND0, R.R_OPERAND1, R.R_OPERAND2, R.R_OPERAND3] as const
const ALL_VALID = 0xff
const NOT_TOP = 0xc7ff
const WHOLE = { i32: 4, f32: 4, i64: 8, f64: 8, v128: 16 } as const
const MMX_EXPONENT = 0xffff

export class InterpreterBuilder extends VectorBuilder {
  /** The record being run: a local of run(), or a handler function's parameter. */
  record!: Value
  site!: Site
  #operation!: Operation
  /** Address of the memory operand, once computed. */
  #address: Value | undefined
  /** Host address where a read-modify-write operand is to be stored. */
  #modifyHost: Value | undefined
  #writeCondition: { condition: Value; old: Value } | undefined
  /** The definition has already sent control somewhere. */
  #ended = false

  /** Emits the whole handler of an operation. */
  handler(operation: Operation): void {
    this.#operation = operation
    this.size = operation.size as Size
    this.operandSizes = operation.sizes.map((size) => size || operation.size)
    this.addressSize = operation.addressSize
    this.codeKind = operation.codeKind
    this.#address = undefined
    this.#modifyHost = undefined
    this.#writeCondition = undefined
    this.#ended = false
    this.beginVector(operation.entry, operation.kinds, operation.size)
    if (this.#usesMmx) this.#checkPendingFloat()
    const result = this.defineHalves(() => this.#define())
    if (operation.entry.float) this.#settleFloat()
    if (Array.isArray(result)) {
      // The second destination first: MULX with both the same keeps the high half.
      this.#commit(1, result[1])
      this.#commit(0, result[0])
    } else if (result) this.#commit(0, result)
    if (this.#usesMmx && this.#storesToMemory) this.#enterMmx()
    if (!this.#ended) this.nextRecord()
  }

  #define(): ReturnType<Operation['entry']['define']> {
    const { kinds, entry } = this.#operation
    const operands = kinds.map((kind, index) => this.#operand(kind, entry.uses[index] ?? '-', index))
    // A memory operand that faults comes before it, but a floating-point exception behind it.
    if (this.#usesMmx && !this.#storesToMemory) this.#enterMmx()
    return entry.define(this, ...(operands as Value[]))
  }

  get #usesMmx(): boolean {
    return this.#operation.kinds.includes(OperandKind.mmx)
  }

  get #storesToMemory(): boolean {
    return this.#operation.kinds[0] === OperandKind.mem
  }

  #checkPendingFloat(): void {
    this.if(this.callWithState('checkPendingFloat', 'i32'), () => this.site.fault())
  }

  /** Every MMX instruction but EMMS makes all registers valid, and register 0 the top. */
  #enterMmx(): void {
    this.setState32(L.X87_TAGS, this.i32(ALL_VALID))
    this.setState32(L.X87_STATUS, this.binary('and', this.state32(L.X87_STATUS), this.i32(NOT_TOP)))
  }

  /** The exceptions that the instruction has raised: into MXCSR, and a fault if one of them is not masked. */
  #settleFloat(): void {
    this.if(this.state32(L.FLOAT_FLAGS), () => {
      this.if(this.callWithState('settleFloat', 'i32'), () => this.site.fault())
    })
  }

  nextRecord(): void {
    this.site.next(this.binary('add', this.record, this.i32(R.RECORD_SIZE)))
    this.#ended = true
  }

  #operand(kind: OperandKind, use: Use, index: number): Value | undefined {
    if (use === '-' || use === 'j') return undefined
    if (use === 'n') return this.#field16(REGISTER_FIELD[index] as number)
    if (kind === OperandKind.imm && this.vectorSize > 0) return this.load('i32', 4, this.record, R.R_VECTOR_IMMEDIATE)
    if (kind === OperandKind.imm || kind === OperandKind.one) return this.#immediate()
    if (kind === OperandKind.imm2) return this.#field16(REGISTER_FIELD[index] as number)
    if (kind === OperandKind.mem) {
      if (use === 'a' || use === 'aw' || use === 'a?' || use === 'o') return this.#ea()
      if (this.vectorSize > 0 && use !== 'w') return this.readVectorMemory(index, use)
      if (use === 'r') return this.read(this.#ea(), this.#operandBytes(index))
      if (use === 'rw') return this.#readToModify(index)
      return undefined
    }
    if (use === 'w') return undefined
    if (kind === OperandKind.xmm || kind === OperandKind.mmx) return this.readVectorRegister(index, use)
    return this.#readRegister(index)
  }

  // Vector operands

  vectorHalf(register: number, half: 0 | 1): Value {
    return this.load('v128', 16, this.i32(0), L.YMM + register * L.YMM_SIZE + half * 16)
  }

  setVectorHalf(register: number, half: 0 | 1, value: Value): void {
    this.store(16, this.i32(0), value, L.YMM + register * L.YMM_SIZE + half * 16)
  }

  protected loadVector(index: number, type: Type, bytes: 4 | 8 | 16, offset: number): Value {
    return this.load(type, bytes, this.#field16(REGISTER_FIELD[index] as number), offset)
  }

  protected storeVector(index: number, value: Value, offset: number): void {
    this.store(WHOLE[value.type], this.#field16(REGISTER_FIELD[index] as number), value, offset)
  }

  protected vectorAddress(index: number): Value {
    return this.#field16(REGISTER_FIELD[index] as number)
  }

  protected storeMmx(index: number, value: Value): void {
    const register = this.#field16(REGISTER_FIELD[index] as number)
    this.store(8, register, value)
    this.store(2, register, this.i32(MMX_EXPONENT), L.X87_EXPONENT)
  }

  protected vectorHostToRead(bytes: OperandBytes): Value {
    return this.#hostToRead(this.#ea(), bytes, undefined)
  }

  protected vectorHostToWrite(bytes: OperandBytes): Value {
    return this.#hostToModify(this.#ea(), bytes)
  }

  protected vectorWritten(host: Value, bytes: OperandBytes): void {
    this.#commitBounced(host, this.#ea(), bytes)
  }

  protected writeNarrow(value: Value, bytes: Bytes): void {
    this.write(this.#ea(), value, bytes)
  }

  rarely(condition: Value, body: () => void): void {
    this.if(condition, body)
  }

  #commitBounced(host: Value, linear: Value, bytes: number): void {
    this.if(this.compare('eq', host, this.i32(L.BOUNCE)), () => {
      this.callVoid('modifyCommit', linear, this.i32(bytes))
    })
  }

  // Operands in general registers and memory

  #operandBytes(index: number): Bytes {
    return ((this.operandSizes[index] as number) / 8) as Bytes
  }

  #field16(offset: number): Value {
    return this.load('i32', 2, this.record, offset)
  }

  #immediate(): Value {
    if (this.size === 64) return this.load('i64', 8, this.record, R.R_IMMEDIATE)
    return this.load('i32', (this.size / 8) as Bytes, this.record, R.R_IMMEDIATE)
  }

  #readRegister(index: number): Value {
    const size = this.operandSizes[index] as number
    return this.load(this.typeOf(size), (size / 8) as Bytes, this.#field16(REGISTER_FIELD[index] as number))
  }

  #ea(): Value {
    if (this.#address) return this.#address
    const base = this.load('i64', 8, this.#field16(R.R_BASE))
    const index = this.load('i64', 8, this.#field16(R.R_INDEX))
    const scale = this.load('i64', 1, this.record, R.R_SCALE)
    const displacement = this.load('i64', 8, this.record, R.R_DISPLACEMENT)
    let address = this.binary('add', this.binary('add', base, this.binary('shl', index, scale)), displacement)
    const isBitString = this.#operation.entry.bitString && this.codeKind !== 'segmented'
    if (isBitString && this.#operation.kinds[1] === OperandKind.gpr)
      address = this.moveByBits(address, this.#readRegister(1))
    this.#address = this.let(address)
    if (this.mustBeAligned) this.#checkAlignment(this.#address)
    return this.#address
  }

  #checkAlignment(address: Value): void {
    const low = this.binary('and', this.wrap(address), this.i32(this.memoryBytes - 1))
    this.if(low, () => this.raise(Vector.gp, 0))
  }

  #commit(index: number, value: Value): void {
    const kind = this.#operation.kinds[index]
    const use = this.#operation.entry.uses[index]
    if (!isWritten(use) && use !== 'a?') {
      throw new Error(`${this.#operation.name} gives a result, but operand ${index} is not written`)
    }
    if (this.vectorSize > 0 && kind !== OperandKind.gpr) this.commitVector(index, value)
    else if (kind === OperandKind.mem) this.#commitMemory(index, value)
    else this.#commitRegister(index, value)
  }

  #commitRegister(index: number, value: Value): void {
    const set = () =>
      this.#store(this.#field16(REGISTER_FIELD[index] as number), value, this.operandSizes[index] as Size)
    if (this.#writeCondition) this.if(this.#writeCondition.condition, set)
    else set()
  }

  #commitMemory(index: number, value: Value): void {
    const bytes = this.#operandBytes(index)
    if (!this.#modifyHost) {
      this.write(this.#ea(), value, bytes)
      return
    }
    const condition = this.#writeCondition
    const stored = condition ? this.select(condition.condition, value, condition.old) : value
    this.store(bytes, this.#modifyHost, stored)
    this.#commitBounced(this.#modifyHost, this.#ea(), bytes)
  }

  #store(place: Value, value: Value, size: Size, offset = 0): void {
    if (size === 32) {
      const whole = value.type === 'i64' ? this.binary('and', value, this.i64(0xffff_ffff)) : this.extendUnsigned(value)
      this.store(8, place, whole, offset)
    } else if (size === 64) this.store(8, place, value.type === 'i32' ? this.extendUnsigned(value) : value, offset)
    else this.store((size / 8) as Bytes, place, value, offset)
  }

  // Builder

  gpr(register: number, size: Size = this.size): Value {
    return this.load(this.typeOf(size), (size / 8) as Bytes, this.i32(0), register)
  }

  setGpr(register: number, value: Value, size: Size = this.size): void {
    this.#store(this.i32(0), value, size, register)
  }

  readFlag(name: FlagComponent): Value {
    const { address, type } = FLAG_PLACE[name]
    return this.load(type, type === 'i64' ? 8 : 4, this.i32(0), address)
  }

  writeFlag(name: FlagComponent, value: Value): void {
    const { address, type } = FLAG_PLACE[name]
    this.store(type === 'i64' ? 8 : 4, this.i32(0), value, address)
  }

  accessFlags(): Value {
    return this.load('i32', 1, this.record, R.R_FLAGS)
  }

  repeat(): Value {
    const flags = this.load('i32', 1, this.record, R.R_FLAGS)
    return this.binary('and', this.binary('shr_u', flags, this.i32(R.FLAG_REPEAT_SHIFT)), this.i32(3))
  }

  segmentBase(): Value {
    return this.load('i64', 8, this.#field16(R.R_BASE))
  }

  farOffset(): Value {
    return this.load('i64', 8, this.record, R.R_IMMEDIATE)
  }

  segment(): Value {
    return this.#field16(R.R_INDEX)
  }

  scattering(): Value {
    return this.load('i32', 4, this.record, R.R_VECTOR_IMMEDIATE)
  }

  indices(): Value {
    return this.#field16(R.R_OPERAND3)
  }

  #access(access: Access | undefined): Value {
    return access === undefined ? this.accessFlags() : this.i32(access)
  }

  /** Looks the address up in the TLB: on a hit `hit` gets the host address, else `miss` runs. */
  #translate(address: Value, bytes: OperandBytes, tag: number, hit: (host: Value) => void, miss: () => void): void {
    const slot = this.wrap(this.binary('shr_u', address, this.i64(7)))
    const inSet = this.binary('and', slot, this.i32((L.TLB_ENTRIES - 1) * L.TLB_ENTRY_SIZE))
    const entry = this.let(this.binary('add', this.state32(L.TLB_BASE), inSet))
    const difference = this.binary('xor', this.load('i64', 8, entry, tag), address)
    this.if(
      this.compare('lt_u', difference, this.i64(4096 - (bytes - 1))),
      () => hit(this.binary('add', this.wrap(address), this.load('i32', 4, entry, L.TLB_ADDEND))),
      miss,
    )
  }

  read(address: Value, bytes: Bytes, access?: Access): Value {
    return this.load(bytes === 8 ? 'i64' : 'i32', bytes, this.#hostToRead(address, bytes, access))
  }

  /** Where an operand can be loaded. */
  #hostToRead(address: Value, bytes: OperandBytes, access: Access | undefined): Value {
    const linear = this.let(address)
    const host = this.variable('i32')
    const hit = (at: Value) => this.assign(host, at)
    this.#translate(linear, bytes, L.TLB_READ, hit, () => {
      this.assign(host, this.call('readMiss', 'i32', linear, this.i32(bytes), this.#access(access)))
      this.if(this.eqz(host), () => this.site.fault())
    })
    return host
  }

  write(address: Value, value: Value, bytes: Bytes, access?: Access): void {
    const linear = this.let(address)
    const what = this.let(value)
    const hit = (at: Value) => this.store(bytes, at, what)
    this.#translate(linear, bytes, L.TLB_WRITE, hit, () => {
      const wide = what.type === 'i32' ? this.extendUnsigned(what) : what
      const failed = this.call('writeMiss', 'i32', linear, wide, this.i32(bytes), this.#access(access))
      this.if(failed, () => this.site.fault())
    })
  }

  #readToModify(index: number): Value {
    const bytes = this.#operandBytes(index)
    this.#modifyHost = this.#hostToModify(this.#ea(), bytes)
    return this.load(bytes === 8 ? 'i64' : 'i32', bytes, this.#modifyHost)
  }

  /** Where an operand can be loaded and stored; with BOUNCE, #commitBounced must follow. */
  #hostToModify(linear: Value, bytes: OperandBytes): Value {
    const host = this.variable('i32')
    const hit = (at: Value) => this.assign(host, at)
    this.#translate(linear, bytes, L.TLB_WRITE, hit, () => {
      this.assign(host, this.call('modifyMiss', 'i32', linear, this.i32(bytes), this.accessFlags()))
      this.if(this.eqz(host), () => this.site.fault())
    })
    return host
  }

  exchangeIf(condition: Value, old: Value, value: Value): Value {
    this.#writeCondition = { condition: this.let(condition), old }
    return value
  }

  popInto(value: Value): void {
    if (this.#operation.kinds[0] === OperandKind.mem) {
      this.write(this.#ea(), value, (this.size / 8) as Bytes)
      this.afterPop()
      return
    }
    this.afterPop()
    this.#store(this.#field16(R.R_OPERAND0), value, this.size)
  }

  immediateOperand(operand: number): boolean {
    return this.#operation.kinds[operand] === OperandKind.imm
  }

  fault(): void {
    this.site.fault()
  }

  leaveOnFault(): void {
    this.if(this.compare('ge_s', this.state32(L.FAULT_VECTOR), this.i32(0)), () => this.site.fault())
  }

  callWithState(name: string, result: Type, ...operands: Value[]): Value {
    return this.call(name, result, ...operands)
  }

  system(name: string, ...operands: Value[]): void {
    this.callVoid('sync', this.record)
    this.callVoid(name, ...operands)
    this.site.leave()
    this.#ended = true
  }

  string(name: string, ...operands: Value[]): void {
    const outcome = this.call(name, 'i32', ...operands)
    this.if(outcome, () => {
      this.if(this.compare('eq', outcome, this.i32(1)), () => this.site.fault())
      this.callVoid('sync', this.record)
      this.site.leave()
    })
  }

  // Control transfer

  nextRip(): Value {
    const position = this.#field16(R.R_POSITION)
    const length = this.binary('and', position, this.i32(15))
    const linear = this.#addressAt(this.binary('add', this.binary('shr_u', position, this.i32(4)), length))
    return this.codeKind === 'segmented' ? this.binary('sub', linear, this.state64(L.CODE_BASE)) : linear
  }

  ownAddress(): Value {
    return this.#addressAt(this.binary('shr_u', this.#field16(R.R_POSITION), this.i32(4)))
  }

  /** Linear address of an offset in the page. */
  #addressAt(offset: Value): Value {
    return this.binary('add', this.state64(L.RIP_PAGE), this.extendUnsigned(offset))
  }

  /** Linear address where a relative branch leads; where the base of CS is 0 or the branch stays in its page. */
  #linearTarget(): Value {
    return this.binary('add', this.state64(L.RIP_PAGE), this.load('i64', 8, this.record, R.R_IMMEDIATE))
  }

  branchTarget(): Value {
    const rip = this.binary('sub', this.#linearTarget(), this.state64(L.CODE_BASE))
    return this.binary('and', rip, this.i64(this.size === 16 ? 0xffff : 0xffff_ffff))
  }

  /** Charges the instructions up to here, `own` more for the branch itself; gives what is left. */
  charge(own: number): Value {
    const spent = this.binary('add', this.#field16(R.R_COUNT), this.i32(own))
    const left = this.let(this.binary('sub', this.state32(L.BUDGET), spent))
    this.setState32(L.BUDGET, left)
    return left
  }

  branch(): void {
    this.#branchOn(this.charge(1))
  }

  branchIf(condition: Value): void {
    const taken = this.let(condition)
    const left = this.charge(1)
    this.if(taken, () => this.#branchOn(left))
    this.#ended = false
  }

  #branchOn(left: Value): void {
    if (this.codeKind === 'segmented') this.#goToRip(this.let(this.branchTarget()), left)
    else this.branchCharged(left)
  }

  /** Along the link when there is one and budget to go on. */
  branchCharged(left: Value): void {
    const link = this.load('i32', 4, this.record, R.R_LINK)
    const enough = this.compare('ge_s', left, this.i32(R.MAX_TRACE))
    this.if(this.select(enough, link, this.i32(0)), () => this.site.next(link))
    const target = this.let(this.binary('and', this.#linearTarget(), this.state64(L.RIP_MASK)))
    this.if(
      this.load('i32', 1, this.record, R.R_LINKABLE),
      () => {
        this.setState32(L.LINK_FROM, this.record)
        this.#leaveFor(target)
      },
      () => this.goTo(target, left),
    )
    this.#ended = true
  }

  jump(target: Value): void {
    const left = this.charge(1)
    if (this.codeKind === 'segmented') this.#goToRip(target, left)
    else this.goTo(target, left)
  }

  /** Goes to an RIP of segmented code; where the page is not whole within the limit of CS, instructions run one by one. */
  #goToRip(rip: Value, left: Value): void {
    const linear = this.let(
      this.binary('and', this.binary('add', rip, this.state64(L.CODE_BASE)), this.i64(0xffff_ffff)),
    )
    this.if(
      this.compare('lt_u', rip, this.state64(L.CODE_WHOLE)),
      () => this.goTo(linear, left),
      () => this.#leaveFor(linear),
    )
    this.#ended = true
  }

  /** Finds the record of a linear address in the target table, without leaving the module. */
  goTo(target: Value, left: Value): void {
    const low = this.binary('xor', this.wrap(target), this.wrap(this.binary('shr_u', target, this.i64(12))))
    const offset = this.binary('shl', this.binary('and', low, this.i32(L.TARGET_ENTRIES - 1)), this.i32(4))
    const entry = this.let(this.binary('add', this.state32(L.TARGET_BASE), offset))
    const known = this.compare('eq', this.load('i64', 8, entry), target)
    const enough = this.compare('ge_s', left, this.i32(R.MAX_TRACE))
    this.if(this.binary('and', known, enough), () => {
      this.setState64(L.RIP_PAGE, this.binary('and', target, this.i64(-4096)))
      this.site.next(this.load('i32', 4, entry, L.TARGET_RECORD))
    })
    this.#leaveFor(target)
  }

  /** Back to the dispatcher, with the RIP of a linear address. */
  #leaveFor(linear: Value): void {
    const rip = this.binary('sub', linear, this.state64(L.CODE_BASE))
    this.setState64(L.RIP, this.binary('and', rip, this.state64(L.RIP_MASK)))
    this.site.leave()
    this.#ended = true
  }
}
