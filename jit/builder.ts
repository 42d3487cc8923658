/**
 * The translator's builder: the same definitions as the interpreter's, but operands are wasm locals and constants. This part
 * knows the operands of one instruction; paths.ts has the state, and how control leaves.
 */
import type { Instruction } from '../src/cpu/decoder/instruction.ts'
import { NO_REGISTER, OperandKind, RIP_BASE, Segment } from '../src/cpu/decoder/instruction.ts'
import { nameOf } from '../src/cpu/decoder/opcodes.ts'
import { type Entry, entryOf } from '../src/cpu/isa/index.ts'
import { Access, type Bytes, type OperandBytes, type Size } from '../src/cpu/isa/vocabulary.ts'
import * as L from '../src/cpu/layout.ts'
import type { Type, Value } from '../src/cpu/wasm/emitter.ts'
import { STACK_SLOT, slotOf } from './pages.ts'
import { PathBuilder } from './paths.ts'

/** Of a segment's access rights: unusable, S, code, expand-down, writable. */
const DATA_RIGHTS = 0x1001e
const WRITABLE_DATA = 0x12

/** A vector of elements of a type. */
const SHAPE = { i32: 'i32x4', i64: 'i64x2', f32: 'f32x4', f64: 'f64x2' } as const

/** A definition needs something that only the interpreter does. */
export class NotTranslatable extends Error {}

export class TranslatorBuilder extends PathBuilder {
  #instruction!: Instruction
  #entry!: Entry
  #offset = 0
  #address: Value | undefined
  #modifyHost: Value | undefined
  #writeCondition: { condition: Value; old: Value } | undefined

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
    this.beginVector(entry, instruction.opKind, instruction.operandSize)
    const result = this.defineHalves(() => this.#define())
    if (Array.isArray(result)) {
      const [first, second] = result.map((value) => this.let(value)) as [Value, Value]
      this.#commit(1, second)
      this.#commit(0, first)
    } else if (result) this.#commit(0, result)
    this.env.count++
  }

  #define(): ReturnType<Entry['define']> {
    const operands = Array.from({ length: this.#instruction.operandCount }, (_, index) => this.#operand(index))
    this.defining = true
    const result = this.#entry.define(this, ...(operands as Value[]))
    this.defining = false
    return result
  }

  #operand(index: number): Value | undefined {
    const use = this.#entry.uses[index] ?? '-'
    const kind = this.#instruction.opKind[index]
    if (use === '-' || use === 'j') return undefined
    if (use === 'n') return this.i32(this.#instruction.opReg[index] as number)
    if (kind === OperandKind.imm) return this.vectorSize > 0 ? this.i32(this.#instruction.immLo) : this.#immediate()
    if (kind === OperandKind.one) return this.k(1)
    if (kind === OperandKind.imm2) return this.i32(this.#instruction.imm2)
    if (kind === OperandKind.mem) {
      if (use === 'a' || use === 'aw' || use === 'o') return this.#ea()
      if (this.vectorSize > 0 && use !== 'w') return this.readVectorMemory(index, use)
      if (use === 'r') return this.read(this.#ea(), this.#bytes(index))
      if (use === 'rw') return this.#readToModify(index)
      return undefined
    }
    if (use === 'w') return undefined
    if (kind === OperandKind.mmx) throw new NotTranslatable(this.#entry.name)
    return kind === OperandKind.xmm ? this.readVectorRegister(index, use) : this.#readRegister(index)
  }

  #immediate(): Value {
    const { immLo, immHi } = this.#instruction
    return this.k((BigInt(immHi) << 32n) | BigInt(immLo >>> 0))
  }

  #bytes(index: number): Bytes {
    return ((this.operandSizes[index] as number) / 8) as Bytes
  }

  // Registers

  #readRegister(index: number): Value {
    const number = this.#instruction.opReg[index] as number
    const size = this.operandSizes[index] as Size
    if (number < 16) return this.#part(number, size, 0)
    return this.#part(number - 16, 8, 8)
  }

  #part(register: number, size: Size, shift: number): Value {
    const whole = this.register(register)
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
    if (size === 64) this.setRegister(register, value.type === 'i32' ? this.extendUnsigned(value) : value)
    else if (size === 32) {
      const whole = value.type === 'i64' ? this.binary('and', value, this.i64(0xffff_ffff)) : this.extendUnsigned(value)
      this.setRegister(register, whole)
    } else {
      const mask = (size === 8 ? 0xffn : 0xffffn) << BigInt(shift)
      const wide = value.type === 'i32' ? this.extendUnsigned(value) : value
      const part = this.binary('and', this.binary('shl', wide, this.i64(shift)), this.i64(mask))
      const rest = this.binary('and', this.register(register), this.i64(BigInt.asUintN(64, ~mask)))
      this.setRegister(register, this.binary('or', rest, part))
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
    if (this.vectorSize > 0 && this.#instruction.opKind[index] !== OperandKind.gpr) {
      this.commitVector(index, value)
      return
    }
    if (this.#instruction.opKind[index] === OperandKind.mem) {
      this.#commitMemory(index, condition ? this.select(condition.condition, value, condition.old) : value)
      return
    }
    if (!condition) {
      this.#writeOperandRegister(index, value)
      this.#noteDestination(index, value)
      return
    }
    const operand = this.#instruction.opReg[index] as number
    const number = operand < 16 ? operand : operand - 16
    const before = this.register(number)
    this.#writeOperandRegister(index, value)
    const after = this.register(number)
    this.setRegister(number, this.select(condition.condition, after, before))
  }

  /** The result that flags were made of is to be found in a register, as long as nothing else is written there. */
  #noteDestination(index: number, result: Value): void {
    const { lazy } = this.env
    const register = this.#instruction.opReg[index] as number
    if (lazy?.result !== result || register >= 16) return
    lazy.destination = { register, value: this.register(register) }
  }

  #commitMemory(index: number, value: Value): void {
    if (this.#modifyHost) this.store(this.#bytes(index), this.#modifyHost, value)
    else this.write(this.#ea(), value, this.#bytes(index))
  }

  exchangeIf(condition: Value, old: Value, value: Value): Value {
    this.#writeCondition = { condition: this.let(condition), old }
    return value
  }

  protected loadVector(index: number, type: Type, _bytes: 4 | 8 | 16, offset: number): Value {
    const half = this.vectorHalf(this.#instruction.opReg[index] as number, offset === 0 ? 0 : 1)
    return type === 'v128' ? half : this.let(this.lane(SHAPE[type], half, 0))
  }

  /** A scalar goes to the lowest element, the rest is kept. */
  protected storeVector(index: number, value: Value, offset: number): void {
    const register = this.#instruction.opReg[index] as number
    const half = offset === 0 ? 0 : 1
    const { type } = value
    const whole = type === 'v128' ? value : this.withLane(SHAPE[type], this.vectorHalf(register, half), 0, value)
    this.setVectorHalf(register, half, whole)
  }

  /** Only who writes registers in memory asks for it. */
  protected vectorAddress(): never {
    throw new NotTranslatable(this.#entry.name)
  }

  protected storeMmx(): never {
    throw new NotTranslatable(this.#entry.name)
  }

  protected vectorHostToRead(bytes: OperandBytes): Value {
    return this.let(this.#host(this.#ea(), bytes, false, undefined))
  }

  protected vectorHostToWrite(bytes: OperandBytes): Value {
    return this.let(this.#host(this.#ea(), bytes, true, undefined))
  }

  protected vectorWritten(): void {}

  protected writeNarrow(value: Value, bytes: Bytes): void {
    this.write(this.#ea(), value, bytes)
  }

  rarely(condition: Value): void {
    this.#leaveIf(condition)
  }

  // Memory

  #ea(): Value {
    if (this.#address) return this.#address
    const i = this.#instruction
    let address = this.#baseAndDisplacement(i)
    if (i.memIndex !== NO_REGISTER) {
      const index = this.binary('shl', this.register(i.memIndex), this.i64(i.memScale))
      address = this.binary('add', address, index)
    }
    if (i.addressSize !== 64)
      address = this.binary('and', address, this.i64(i.addressSize === 16 ? 0xffff : 0xffff_ffff))
    if (this.#entry.name !== 'lea') address = this.#addSegment(address)
    if (this.#entry.bitString && i.opKind[1] === OperandKind.gpr)
      address = this.moveByBits(address, this.#readRegister(1))
    this.#address = this.let(address)
    return this.#address
  }

  #baseAndDisplacement(i: Instruction): Value {
    const displacement = (BigInt(i.dispHi) << 32n) | BigInt(i.dispLo >>> 0)
    if (i.memBase === RIP_BASE) {
      return this.ripAt(displacement + BigInt(this.#offset + i.length))
    }
    if (i.memBase === NO_REGISTER) return this.i64(BigInt.asUintN(64, displacement))
    // POP computes its address with RSP already moved.
    const moved = this.#entry.name === 'pop' && i.memBase === 4 ? BigInt(i.operandSize / 8) : 0n
    return this.binary('add', this.register(i.memBase), this.i64(BigInt.asUintN(64, displacement + moved)))
  }

  #addSegment(address: Value): Value {
    const segment = this.#instruction.memSegment
    if (this.codeKind === 'flat' && segment === Segment.cs) throw new NotTranslatable('code segment')
    if (segment !== Segment.fs && segment !== Segment.gs) return address
    if (this.codeKind === 'long') return this.binary('add', address, this.segmentBase())
    if (this.#entry.bitString) throw new NotTranslatable(this.#entry.name)
    const offset = this.let(address)
    this.#checkSegment(L.SEGMENTS + segment * L.SEGMENT_SIZE, offset)
    return this.binary('and', this.binary('add', offset, this.segmentBase()), this.i64(0xffff_ffff))
  }

  /** Leaves the region unless the segment is an ordinary data segment and the operand lies within its limit. */
  #checkSegment(segment: number, offset: Value): void {
    const rights = this.binary('and', this.state32(segment + L.SEG_AR), this.i32(DATA_RIGHTS))
    const last = this.binary('add', offset, this.i64(Math.max(1, this.memoryBytes) - 1))
    const beyond = this.compare('gt_u', last, this.extendUnsigned(this.state32(segment + L.SEG_LIMIT)))
    const other = this.compare('ne', rights, this.i32(WRITABLE_DATA))
    this.if(this.binary('or', beyond, other), () => this.leaveToInterpret(this.#offset))
  }

  segmentBase(): Value {
    const segment = this.#instruction.memSegment
    if (segment !== Segment.fs && segment !== Segment.gs) return this.i64(0)
    return this.state64(L.SEGMENTS + segment * L.SEGMENT_SIZE + L.SEG_BASE)
  }

  segment(): Value {
    return this.i32(this.#instruction.memSegment)
  }

  accessFlags(): Value {
    return this.i32(this.#instruction.memSegment === Segment.ss ? 1 : 0)
  }

  fault(): void {
    this.leaveFaulting(this.#offset)
  }

  /**
   * Host address of an operand: by the slot of its page, or else through the TLB. What is not there, or can not be done in
   * place, is left to the interpreter.
   */
  #host(linear: Value, bytes: OperandBytes, write: boolean, access: Access | undefined): Value {
    const slot = this.#slot(access)
    if (slot === undefined) return this.binary('add', this.wrap(linear), this.#lookUp(linear, bytes, write).addend)
    const isVector = bytes >= 16
    // A vector often is not aligned; where it must be, that is looked at when the tag is another one.
    const lowBits = isVector && !this.mustBeAligned ? 0 : bytes - 1
    const key = this.binary('and', linear, this.i64(BigInt.asUintN(64, BigInt(-4096 | lowBits))))
    const tag = this.state64(slot + (write ? L.SLOT_WRITE : L.SLOT_READ))
    this.if(this.compare('ne', key, tag), () => {
      if (isVector && lowBits !== 0) this.#leaveIf(this.binary('and', this.wrap(linear), this.i32(lowBits)))
      this.#fillSlot(slot, linear, bytes, write)
    })
    if (isVector && lowBits === 0) {
      const inPage = this.binary('and', this.wrap(linear), this.i32(4095))
      this.#leaveIf(this.compare('gt_u', inPage, this.i32(4096 - bytes)))
    }
    return this.binary('add', this.wrap(linear), this.state32(slot + L.SLOT_ADDEND))
  }

  #leaveIf(condition: Value): void {
    this.if(condition, () => this.leaveToInterpret(this.#offset))
  }

  /** The slot of the operand's page; definitions that compute an address of their own have none. */
  #slot(access: Access | undefined): number | undefined {
    if (access === Access.stack) return STACK_SLOT
    const hasOperand = this.#instruction.opKind.subarray(0, this.#instruction.operandCount).includes(OperandKind.mem)
    return hasOperand ? slotOf(this.#instruction, this.#offset) : undefined
  }

  /** Looks an operand up in the TLB. */
  #lookUp(linear: Value, bytes: OperandBytes, write: boolean): { tag: Value; addend: Value } {
    const entry = this.tlbEntry(linear)
    const tag = this.load('i64', 8, entry, write ? L.TLB_WRITE : L.TLB_READ)
    const outside = this.compare('ge_u', this.binary('xor', tag, linear), this.i64(4096 - (bytes - 1)))
    this.#leaveIf(outside)
    return { tag, addend: this.load('i32', 4, entry, L.TLB_ADDEND) }
  }

  /** The addend goes by way of the slot: a value that comes from two places would cost a register more. */
  #fillSlot(slot: number, linear: Value, bytes: OperandBytes, write: boolean): void {
    const { tag, addend } = this.#lookUp(linear, bytes, write)
    this.setState32(slot + L.SLOT_ADDEND, addend)
    this.setState64(slot + L.SLOT_READ, tag)
    // What may be written may be read; the other way round the next write finds out.
    this.setState64(slot + L.SLOT_WRITE, write ? tag : this.i64(L.NO_PAGE))
  }

  read(address: Value, bytes: Bytes, access?: Access): Value {
    const host = this.#host(this.let(address), bytes, false, access)
    return this.load(bytes === 8 ? 'i64' : 'i32', bytes, host)
  }

  write(address: Value, value: Value, bytes: Bytes, access?: Access): void {
    const linear = this.let(address)
    const what = this.let(value)
    this.store(bytes, this.#host(linear, bytes, true, access), what)
  }

  #readToModify(index: number): Value {
    const bytes = this.#bytes(index)
    const host = this.let(this.#host(this.#ea(), bytes, true, undefined))
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

  /** The fault, and what has to be looked at before it, is the interpreter's. */
  override checkCanonical(address: Value): void {
    const extended = this.binary('shr_s', this.binary('shl', address, this.i64(16)), this.i64(16))
    this.if(this.compare('ne', extended, address), () => this.leaveToInterpret(this.#offset))
  }

  // Control: the region's emitter decides where to go, see compile.ts

  #transfer: { readonly condition?: Value; readonly target?: Value } | undefined

  /** What the transfer of control just emitted has asked for. */
  takeTransfer(): { readonly condition?: Value; readonly target?: Value } | undefined {
    const transfer = this.#transfer
    this.#transfer = undefined
    return transfer
  }

  nextRip(): Value {
    return this.ripAt(BigInt(this.#offset + this.#instruction.length))
  }

  ownAddress(): Value {
    return this.ripAt(BigInt(this.#offset))
  }

  branch(): void {
    this.#transfer = {}
  }

  branchIf(condition: Value): void {
    this.#transfer = { condition: this.let(condition) }
  }

  jump(target: Value): void {
    this.#transfer = { target: this.let(target) }
  }

  /** Whether an RIP is the one at an offset from the page. */
  isAt(rip: Value, offset: number): Value {
    return this.compare('eq', rip, this.ripAt(BigInt(offset)))
  }

  // What the interpreter does

  farOffset(): never {
    throw new NotTranslatable(this.#entry.name)
  }

  branchTarget(): never {
    throw new NotTranslatable(this.#entry.name)
  }

  system(): never {
    throw new NotTranslatable(this.#entry.name)
  }

  string(): never {
    throw new NotTranslatable(this.#entry.name)
  }

  scattering(): never {
    throw new NotTranslatable(this.#entry.name)
  }

  indices(): never {
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
