/**
 * What an instruction's definition is written against. A definition says what the instruction does in terms of values of
 * its operand size, registers, flags, memory and control; the two engines say what those are: the interpreter's builder
 * reads registers through byte offsets in the instruction record, the translator's makes them wasm locals and constants.
 *
 * Values of 8, 16 and 32 bits are i32, zero-extended; 64-bit values are i64. `size` is the operand size of the instruction
 * being defined, so `x.add(a, b)` is an addition modulo 2^size.
 *
 * Order matters for precise faults: read everything, compute, then commit. What a definition returns is written to the
 * first operand at the very end; a memory operand that is read and written has been probed for writing before the
 * definition runs, so the commit can not fault.
 */
import type { OperandKind } from '../decoder/instruction.ts'
import * as L from '../layout.ts'
import { Emitter, type Type, type Value } from '../wasm/emitter.ts'
import { Flags } from './flags.ts'
import { Access, type Bytes, type CodeKind, type FlagComponent, type Size, Vector } from './vocabulary.ts'

export abstract class Builder extends Emitter {
  /** Operand size in bits of the instruction being defined; that of vector instructions is in `vectorSize`. */
  size: Size = 64
  /** 128 or 256 of a vector instruction, 64 of one with MMX registers, else 0. */
  vectorSize = 0
  /** Only meaningful for definitions marked `modal`. */
  codeKind: CodeKind = 'long'
  /** Width in bits of each explicit operand. */
  operandSizes: readonly number[] = []
  /** Address size in bits; only meaningful for definitions marked `addressSized`. */
  addressSize: 16 | 32 | 64 = 64
  /** Which 128-bit half a definition by lanes is about: 0, or 1 for bits 255:128. */
  half: 0 | 1 = 0
  readonly flags: Flags

  constructor(...parameters: ConstructorParameters<typeof Emitter>) {
    super(...parameters)
    this.flags = this.makeFlags()
  }

  protected makeFlags(): Flags {
    return new Flags(this)
  }

  // What an engine provides

  /** A general register by its layout address (L.RAX ...); the value is a snapshot. */
  abstract gpr(register: number, size?: Size): Value
  /** Writes a general register: 32 bits clear the upper half, 8 and 16 bits leave the rest alone. */
  abstract setGpr(register: number, value: Value, size?: Size): void
  abstract readFlag(name: FlagComponent): Value
  abstract writeFlag(name: FlagComponent, value: Value): void
  /** Reads guest memory at a linear address; faults leave the instruction. */
  abstract read(address: Value, bytes: Bytes, access?: Access): Value
  abstract write(address: Value, value: Value, bytes: Bytes, access?: Access): void
  /** RIP of the next instruction, i64. */
  abstract nextRip(): Value
  /** Linear address of this instruction, i64. */
  abstract ownAddress(): Value
  /** Leaves the instruction, whose exception has been recorded. */
  abstract fault(): void
  abstract kindOf(operand: number): OperandKind
  /** Whether an operand is an immediate. */
  abstract immediateOperand(operand: number): boolean
  /** Takes the branch to the relative operand. */
  abstract branch(): void
  /** Takes the branch when the condition holds, else goes on with the next instruction. */
  abstract branchIf(condition: Value): void
  /** Jumps to an RIP computed by the guest, which has been checked. */
  abstract jump(target: Value): void
  /** The offset of a far pointer in the instruction; i64. */
  abstract farOffset(): Value
  /** RIP that a relative branch leads to; i64. */
  abstract branchTarget(): Value
  /** Calls a runtime function that does the whole instruction, RIP included, and leaves the trace. */
  abstract system(name: string, ...operands: Value[]): void
  /**
   * Calls a runtime function that does one or more steps of a string instruction and says how it went: 0 the instruction
   * is complete, 1 it faulted, 2 it has to be run again.
   */
  abstract string(name: string, ...operands: Value[]): void
  /** Calls a runtime function that reads or writes registers or flags in memory. */
  abstract callWithState(name: string, result: Type, ...operands: Value[]): Value
  /** Leaves the instruction when the runtime function just called has raised an exception. */
  abstract leaveOnFault(): void
  /** The effective segment of an instruction without memory operand (string source, XLAT): its number, i32. */
  abstract segment(): Value
  /** The base of the effective segment; i64. */
  abstract segmentBase(): Value
  /** The segment, scale and address size of a memory operand of use o, for runtime/simd-memory.ts; i32. */
  abstract scattering(): Value
  /** The place in the CPU state of the vector register that a memory operand has its indices in; i32. */
  abstract indices(): Value
  /** The repeat prefix: 0, 1 for REP and REPE, 2 for REPNE; i32. */
  abstract repeat(): Value
  /** ACCESS_ flags of the memory operand, for runtime functions; i32. */
  abstract accessFlags(): Value
  /**
   * The value to return when the first operand is written only under a condition: a register keeps all its bits
   * otherwise, memory is written with its old value.
   */
  abstract exchangeIf(condition: Value, old: Value, value: Value): Value
  /** Bits 127:0 (half 0) or 255:128 (half 1) of a vector register by its number. */
  abstract vectorHalf(register: number, half: 0 | 1): Value
  abstract setVectorHalf(register: number, half: 0 | 1, value: Value): void
  /** Bits 127:0 of a vector register operand, whatever its use. */
  abstract current(operand: number): Value
  /** Bits 255:128 of a vector operand that is read. */
  abstract high(operand: number): Value
  /** What goes to bits 255:128 of the first operand; they become 0 otherwise when the instruction is one of AVX. */
  abstract setHigh(value: Value): void
  /**
   * What the common case can not do: under the condition the body gives the variables their values by other means, or the
   * whole instruction is left to who can.
   */
  abstract rarely(condition: Value, body: () => void): void
  /** Ends POP: stores the value in the operand and moves RSP, in the order that the operand asks for. */
  abstract popInto(value: Value): void

  // State outside the general registers

  state32(address: number): Value {
    return this.load('i32', 4, this.i32(0), address)
  }

  state64(address: number): Value {
    return this.load('i64', 8, this.i32(0), address)
  }

  setState32(address: number, value: Value): void {
    this.store(4, this.i32(0), value, address)
  }

  setState64(address: number, value: Value): void {
    this.store(8, this.i32(0), value, address)
  }

  /** An XMM register that the instruction implies. */
  xmm(register: number): Value {
    return this.vectorHalf(register, 0)
  }

  /** Raises an exception at this instruction and leaves it. */
  raise(vector: number, errorCode?: number): void {
    this.setState32(L.FAULT_VECTOR, this.i32(vector))
    this.setState32(L.FAULT_HAS_ERROR, this.i32(errorCode === undefined ? 0 : 1))
    if (errorCode !== undefined) this.setState32(L.FAULT_ERROR, this.i32(errorCode))
    this.fault()
  }

  /** BT and kin: a bit offset of the operand size, a signed number, moves the address by whole operands. */
  protected moveByBits(address: Value, bitOffset: Value): Value {
    const log2 = Math.log2(this.size)
    const operands = this.binary('shr_s', this.toSigned64(bitOffset), this.i64(log2))
    const sum = this.binary('add', address, this.binary('shl', operands, this.i64(log2 - 3)))
    return this.addressSize === 64 ? sum : this.binary('and', sum, this.i64(2 ** this.addressSize - 1))
  }

  // Arithmetic modulo 2^size

  typeOf(size: number = this.size): Type {
    return size === 64 ? 'i64' : 'i32'
  }

  /** A constant of the operand size. */
  k(value: number | bigint, size: number = this.size): Value {
    return this.constant(this.typeOf(size), BigInt.asUintN(size, BigInt(value)))
  }

  /** Cuts an i32 that holds more than `size` bits. */
  cut(value: Value, size: number = this.size): Value {
    return size < 32 ? this.binary('and', value, this.i32(size === 8 ? 0xff : 0xffff)) : value
  }

  add(a: Value, b: Value): Value {
    return this.cut(this.binary('add', a, b))
  }

  sub(a: Value, b: Value): Value {
    return this.cut(this.binary('sub', a, b))
  }

  and(a: Value, b: Value): Value {
    return this.binary('and', a, b)
  }

  or(a: Value, b: Value): Value {
    return this.binary('or', a, b)
  }

  xor(a: Value, b: Value): Value {
    return this.binary('xor', a, b)
  }

  not(a: Value): Value {
    return this.cut(
      this.binary('xor', a, this.constant(a.type, a.type === 'i64' ? 0xffff_ffff_ffff_ffffn : 0xffff_ffffn)),
    )
  }

  shl(a: Value, count: Value): Value {
    return this.cut(this.binary('shl', a, count))
  }

  shr(a: Value, count: Value): Value {
    return this.binary('shr_u', a, count)
  }

  /** The value as a signed number of its wasm type. */
  signed(a: Value, size: number = this.size): Value {
    return size < 32 ? this.extendLow(a, size as 8 | 16) : a
  }

  /** Sign-extends a value of `from` bits to the operand size. */
  signExtend(a: Value, from: number, to: number = this.size): Value {
    if (from === to) return a
    if (to === 64) return this.extendSigned(from < 32 ? this.extendLow(a, from as 8 | 16) : a)
    return this.cut(this.extendLow(a, from as 8 | 16), to)
  }

  zeroExtend(a: Value, from: number, to: number = this.size): Value {
    return to === 64 && from < 64 ? this.extendUnsigned(a) : a
  }

  /** The low `size` bits of a value of the operand size, or of a wider one. */
  truncate(a: Value, size: number): Value {
    if (size === 64) return a
    return this.cut(a.type === 'i64' ? this.wrap(a) : a, size)
  }

  /** A value of the operand size as i64: sign-extended. */
  toSigned64(a: Value, size: number = this.size): Value {
    return this.signExtend(a, size, 64)
  }

  /** A value of the operand size as i64: zero-extended. */
  toUnsigned64(a: Value, size: number = this.size): Value {
    return this.zeroExtend(a, size, 64)
  }

  /** A bool (i32) as a number of the operand size. */
  fromBool(bool: Value): Value {
    return this.size === 64 ? this.extendUnsigned(bool) : bool
  }

  /** The most significant bit of a value, as i32 0 or 1. */
  msb(a: Value, size: number = this.size): Value {
    const bit = this.binary('shr_u', a, this.constant(a.type, size - 1))
    return a.type === 'i64' ? this.wrap(bit) : bit
  }

  /** Puts bit size-1 where flags want the sign of an overflow vector: bit 31 of an i32. */
  signPosition(a: Value): Value {
    if (this.size === 64) return this.wrap(this.binary('shr_u', a, this.i64(32)))
    return this.binary('shl', a, this.i32(32 - this.size))
  }

  bool32(value: Value): Value {
    return this.compare('ne', value, this.constant(value.type, 0))
  }

  // Registers and stack of the operand size

  /** The accumulator of the operand size. */
  get accumulator(): Value {
    return this.gpr(L.RAX)
  }

  /** Width of a stack slot: the operand size. */
  push(value: Value): void {
    const bytes = this.size / 8
    if (this.codeKind === 'segmented') {
      this.callWithState('pushSegmented', 'i32', this.toUnsigned64(value), this.i32(bytes))
      this.leaveOnFault()
      return
    }
    const pointer = this.let(this.binary('sub', this.stackPointer(), this.stackConstant(bytes)))
    this.write(this.linearOfStack(pointer), value, bytes as Bytes, Access.stack)
    this.setGpr(L.RSP, pointer, this.stackWidth)
  }

  /** Reads the top of the stack; `afterPop` then gives RSP its new value, when nothing can fault any more. */
  top(): Value {
    const bytes = this.size / 8
    if (this.codeKind !== 'segmented') {
      return this.read(this.linearOfStack(this.stackPointer()), bytes as Bytes, Access.stack)
    }
    const value = this.callWithState('topSegmented', 'i64', this.i32(bytes))
    this.leaveOnFault()
    return this.truncate(value, this.size)
  }

  /** `extra` more bytes are freed; i64. */
  afterPop(extra: Value = this.i64(0)): void {
    const distance = this.binary('add', extra, this.i64(this.size / 8))
    if (this.codeKind === 'segmented') {
      this.callVoid('movePointer', distance)
      return
    }
    const wide = this.codeKind === 'long' ? distance : this.wrap(distance)
    this.setGpr(L.RSP, this.binary('add', this.stackPointer(), wide), this.stackWidth)
  }

  /** Bits of the stack pointer where the stack is flat. */
  get stackWidth(): 32 | 64 {
    return this.codeKind === 'long' ? 64 : 32
  }

  stackPointer(): Value {
    return this.gpr(L.RSP, this.stackWidth)
  }

  stackConstant(value: number): Value {
    return this.k(value, this.stackWidth)
  }

  linearOfStack(pointer: Value): Value {
    return this.zeroExtend(pointer, this.stackWidth, 64)
  }

  /** Linear address of an offset that a definition has made itself, in the effective segment; `bytes` are read there. */
  linearOf(offset: Value, bytes: number): Value {
    if (this.codeKind === 'long') return this.binary('add', offset, this.segmentBase())
    const linear = this.callWithState('segmentCheck', 'i64', this.segment(), offset, this.i32(bytes), this.i32(0))
    this.leaveOnFault()
    return linear
  }

  /** #GP(0) unless code can be at an RIP: the target of a branch. `before` is emitted ahead of the exception. */
  checkTarget(rip: Value, before?: () => void): void {
    if (this.codeKind === 'long') this.checkCanonical(rip, before)
    if (this.codeKind !== 'segmented') return
    const limit = this.state32(L.CS + L.SEG_LIMIT)
    this.if(this.compare('gt_u', rip, this.extendUnsigned(limit)), () => {
      before?.()
      this.raise(Vector.gp, 0)
    })
  }

  /** #GP(0) unless the address is canonical (bits 63:47 equal); `before` is emitted ahead of it. */
  checkCanonical(address: Value, before?: () => void): void {
    const extended = this.binary('shr_s', this.binary('shl', address, this.i64(16)), this.i64(16))
    this.if(this.compare('ne', extended, address), () => {
      before?.()
      this.raise(Vector.gp, 0)
    })
  }
}
