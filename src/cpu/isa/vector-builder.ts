/**
 * Operands of MMX, SSE and AVX instructions, as both engines have them: halves of YMM registers, elements of vectors, operands
 * in memory of up to 32 bytes. The engines say where registers are and how memory is reached.
 */
import { OperandKind } from '../decoder/instruction.ts'
import { isVex } from '../decoder/opcodes.ts'
import type { Type, Value } from '../wasm/emitter.ts'
import { Builder } from './builder.ts'
import type { Definition, Entry, Use } from './table.ts'
import type { Bytes, OperandBytes } from './vocabulary.ts'

const HALF = 16

export abstract class VectorBuilder extends Builder {
  #entry!: Entry
  #kinds: ArrayLike<number> = []
  /** Host address of the memory operand, once known; of one that is only written, if that may come too late. */
  #host: Value | undefined
  #high: Value | undefined

  /** A register operand, from a byte offset on; MMX registers zero-extended. */
  protected abstract loadVector(index: number, type: Type, bytes: 4 | 8 | 16, offset: number): Value
  protected abstract storeVector(index: number, value: Value, offset: number): void
  /** Where a register operand lies in the CPU state. */
  protected abstract vectorAddress(index: number): Value
  protected abstract storeMmx(index: number, value: Value): void
  /** Host address of the memory operand. */
  protected abstract vectorHostToRead(bytes: OperandBytes): Value
  /** The same for writing; when it has been written, `vectorWritten` follows. */
  protected abstract vectorHostToWrite(bytes: OperandBytes): Value
  protected abstract vectorWritten(host: Value, bytes: OperandBytes): void
  protected abstract writeNarrow(value: Value, bytes: Bytes): void

  /** To be called for every instruction before its operands are read; operandSizes are set. */
  protected beginVector(entry: Entry, kinds: ArrayLike<number>, size: number): void {
    this.#entry = entry
    this.#kinds = kinds
    this.#host = undefined
    this.#high = undefined
    this.half = 0
    // Conversions from memory to a general register have no vector operand.
    this.vectorSize = entry.float || this.#has(OperandKind.xmm) || this.#has(OperandKind.mmx) ? size : 0
  }

  #has(kind: OperandKind): boolean {
    return this.#indexOf(kind) >= 0
  }

  #indexOf(kind: OperandKind): number {
    return this.operandSizes.findIndex((_, index) => this.#kinds[index] === kind)
  }

  /** Runs a definition, once for each half if it is one by lanes. */
  protected defineHalves(define: () => ReturnType<Definition>): ReturnType<Definition> {
    // A page fault comes before floating-point exceptions.
    if (this.#entry.float && this.#kinds[0] === OperandKind.mem) this.#host = this.vectorHostToWrite(this.memoryBytes)
    if (!this.#entry.lanes || this.vectorSize !== 256) return define()
    const low = this.let(define() as Value)
    this.half = 1
    this.#high = this.let(define() as Value)
    this.half = 0
    return low
  }

  /** Bytes of the memory operand. */
  protected get memoryBytes(): OperandBytes {
    return this.#bytes(this.#indexOf(OperandKind.mem))
  }

  /** Whether a memory operand that is not aligned to its size is #GP(0). */
  protected get mustBeAligned(): boolean {
    return this.vectorSize > 0 && this.#entry.aligned && this.memoryBytes >= HALF
  }

  #bytes(index: number): OperandBytes {
    return ((this.operandSizes[index] as number) / 8) as OperandBytes
  }

  protected readVectorRegister(index: number, use: Use): Value {
    if (use === 'a' || use === 'o') return this.vectorAddress(index)
    if (use !== 'r' && use !== 'rw') return this.loadVector(index, scalarType(use), scalarBytes(use), 0)
    if (this.#kinds[index] === OperandKind.mmx) return this.loadVector(index, 'v128', 8, 0)
    return this.loadVector(index, 'v128', HALF, this.operandSizes[index] === 256 ? this.half * HALF : 0)
  }

  protected readVectorMemory(index: number, use: Use): Value {
    const bytes = this.#bytes(index)
    this.#host ??= this.vectorHostToRead(bytes)
    const host = this.#host
    if (use === 'int') return this.load(bytes === 8 ? 'i64' : 'i32', bytes as Bytes, host)
    if (use !== 'r') return this.load(scalarType(use), scalarBytes(use), host)
    if (bytes === 32) return this.load('v128', HALF, host, this.half * HALF)
    if (bytes > 2) return this.load('v128', bytes as 4 | 8 | 16, host)
    return this.let(this.withLane('i32x4', this.v128(0n), 0, this.load('i32', bytes as Bytes, host)))
  }

  kindOf(operand: number): OperandKind {
    return (this.#kinds[operand] ?? OperandKind.none) as OperandKind
  }

  current(operand: number): Value {
    return this.loadVector(operand, 'v128', HALF, 0)
  }

  high(operand: number): Value {
    if (this.#kinds[operand] !== OperandKind.mem) return this.loadVector(operand, 'v128', HALF, HALF)
    return this.load('v128', HALF, this.#host as Value, HALF)
  }

  setHigh(value: Value): void {
    this.#high = this.let(value)
  }

  protected commitVector(index: number, value: Value): void {
    if (this.#kinds[index] === OperandKind.mem) this.#commitMemory(index, value)
    else if (this.#kinds[index] === OperandKind.mmx) this.storeMmx(index, this.#lowest(value, 8))
    else {
      this.storeVector(index, value, 0)
      if (isVex(this.#entry.name)) this.storeVector(index, this.#high ?? this.v128(0n), HALF)
    }
  }

  #commitMemory(index: number, value: Value): void {
    const bytes = this.#bytes(index)
    if (bytes < HALF && this.#host === undefined) {
      this.writeNarrow(this.#lowest(value, bytes), bytes as Bytes)
      return
    }
    const host = this.#host ?? this.vectorHostToWrite(bytes)
    if (bytes < HALF) this.store(bytes as Bytes, host, this.#lowest(value, bytes))
    else this.store(HALF, host, value)
    if (bytes === 32) this.store(HALF, host, this.#high ?? this.v128(0n), HALF)
    this.vectorWritten(host, bytes)
  }

  /** The lowest bytes of a result as a number. */
  #lowest(value: Value, bytes: OperandBytes): Value {
    if (value.type === 'v128') return bytes === 8 ? this.lane('i64x2', value, 0) : this.lane('i32x4', value, 0)
    if (value.type === 'f64') return this.apply('i64.reinterpret', 'i64', value)
    return value.type === 'f32' ? this.apply('i32.reinterpret', 'i32', value) : value
  }
}

function scalarType(use: Use): Type {
  return use.replace('+', '') as Type
}

function scalarBytes(use: Use): 4 | 8 {
  return use.endsWith('32') ? 4 : 8
}
