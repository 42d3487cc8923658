/**
 * Guest bytes to `Instruction`. Intel SDM volume 2, chapter 2: prefixes, opcode, ModRM, SIB, displacement, immediate.
 *
 * A decode is a walk over bytes and typed arrays: the opcode's decision tree (dispatch.ts) gives the encoding, the
 * encoding gives the operands. Nothing is allocated, and the position lives in the decoder object. Running out of bytes
 * is told by `pos` going past `end`; the byte read there is a zero that nobody looks at, because every step that could
 * be misled by it checks first. The last byte an instruction may have is its fifteenth.
 */

import { AxisNumber, dispatchFor, NO_ENCODING } from './dispatch.ts'
import { FEATURES, type Feature } from './features.ts'
import { DecodeStatus, type Instruction, NO_REGISTER, OperandKind, RIP_BASE, Segment } from './instruction.ts'
import { Addressing, EncodingFlag } from './notation.ts'
import {
  encodingFlags,
  encodingName,
  encodingOperandCount,
  encodingSize,
  kindOfAddressing,
  MAX_TABLE_OPERANDS,
  operandAddressing,
  operandFixed,
  operandMemorySize,
  operandRegisterSize,
} from './opcodes.ts'
import { CONTEXT_L, CONTEXT_W, type CodeSize, widthTable } from './sizes.ts'

const MAX_LENGTH = 15

/** What a byte is before the opcode: 0 an opcode, else one of these, a segment override being 16 + its number. */
const Prefix = { operandSize: 1, addressSize: 2, lock: 3, repeat: 4, rex: 5, segment: 16 } as const

const REX_W = 8
const REX_R = 4
const REX_X = 2
const REX_B = 1

/** Position of the mandatory prefixes on the `pp` axis. */
const PP_66 = 1
const PP_F3 = 2
const PP_F2 = 3

const RSP = 4
const RBP = 5

/** CR0, CR2, CR3, CR4 and CR8. */
const CONTROL_REGISTERS = 0b1_0001_1101

/** Base and index of the eight 16-bit address forms. */
const BASE_16 = Uint8Array.of(3, 3, 5, 5, 6, 7, 5, 3)
const INDEX_16 = Uint8Array.of(6, 7, 6, 7, NO_REGISTER, NO_REGISTER, NO_REGISTER, NO_REGISTER)

function prefixTable(mode: CodeSize): Uint8Array {
  const table = new Uint8Array(256)
  table[0x66] = Prefix.operandSize
  table[0x67] = Prefix.addressSize
  table[0xf0] = Prefix.lock
  table[0xf2] = Prefix.repeat
  table[0xf3] = Prefix.repeat
  table[0x26] = Prefix.segment + Segment.es
  table[0x2e] = Prefix.segment + Segment.cs
  table[0x36] = Prefix.segment + Segment.ss
  table[0x3e] = Prefix.segment + Segment.ds
  table[0x64] = Prefix.segment + Segment.fs
  table[0x65] = Prefix.segment + Segment.gs
  if (mode === 64) table.fill(Prefix.rex, 0x40, 0x50)
  return table
}

export class Decoder {
  readonly mode: CodeSize
  readonly features: readonly Feature[]
  private readonly roots: Int32Array
  private readonly nodes: Int32Array
  private readonly widths: Uint16Array
  private readonly prefixes: Uint8Array
  private readonly long: boolean

  private bytes: Uint8Array = new Uint8Array(0)
  private start = 0
  private pos = 0
  private end = 0
  /** W, R, X, B of REX or VEX. */
  private rex = 0
  private hasRex = false
  private has66 = false
  private repeat = 0
  private vex = false
  private vexL = 0
  /** The register that VEX.vvvv names: 0 when the field is 1111b. */
  private vvvv = 0
  /** VEX.W, which outside 64-bit mode still selects opcodes but no width. */
  private vexW = 0
  private pp = 0
  private map = 0
  private opcode = 0
  private modrm = 0
  private hasModrm = false
  /** Bits of the size context, see sizes.ts. */
  private context = 0

  constructor(mode: CodeSize, features: Iterable<Feature> = FEATURES) {
    this.mode = mode
    this.features = [...features]
    const { roots, nodes } = dispatchFor(mode, new Set(this.features))
    this.roots = roots
    this.nodes = nodes
    this.widths = widthTable(mode)
    this.prefixes = prefixTable(mode)
    this.long = mode === 64
  }

  /**
   * Decodes the instruction at `bytes[offset]`. `limit` is the index after the last byte that may be read. All fields
   * of `into` are set when the status is `ok`, otherwise only `status`, `length` and `mode`.
   */
  decode(bytes: Uint8Array, offset: number, limit: number, into: Instruction): DecodeStatus {
    this.bytes = bytes
    this.start = offset
    this.pos = offset
    this.end = Math.min(limit, offset + MAX_LENGTH)
    const status = this.run(into)
    into.status = status
    into.length = Math.min(this.pos, this.end) - offset
    into.mode = this.mode
    return status
  }

  private run(into: Instruction): DecodeStatus {
    if (!this.readPrefixes(into)) return this.outOfBytes()
    if (!this.readOpcode(into)) return this.pos > this.end ? this.outOfBytes() : DecodeStatus.invalid
    const found = this.select(this.roots[(this.map << 8) | this.opcode] ?? NO_ENCODING)
    if (this.pos > this.end) return this.outOfBytes()
    if (found === NO_ENCODING) return DecodeStatus.invalid
    const encoding = found - 1
    const flags = encodingFlags[encoding] ?? 0
    if ((flags & EncodingFlag.modrm) !== 0 && !this.hasModrm && !this.readModrm()) return this.outOfBytes()
    const memory = (flags & (EncodingFlag.modrm | EncodingFlag.anymod)) === EncodingFlag.modrm && this.modrm < 0xc0
    if (into.lock && !(memory && (flags & EncodingFlag.lock) !== 0)) return DecodeStatus.invalid
    if (this.vex && this.vvvv !== 0 && (flags & EncodingFlag.vvvv) === 0) return DecodeStatus.invalid
    this.setSizes(encoding, flags, into)
    if (memory) this.readMemory(flags, into)
    const valid = this.readOperands(encoding, memory, into)
    if (this.pos > this.end) return this.outOfBytes()
    if (!valid || ((flags & EncodingFlag.vsib) !== 0 && !this.isGather(into))) return DecodeStatus.invalid
    return DecodeStatus.ok
  }

  private outOfBytes(): DecodeStatus {
    return this.end - this.start === MAX_LENGTH ? DecodeStatus.tooLong : DecodeStatus.truncated
  }

  /** Legacy prefixes and REX, up to the opcode's first byte. False when the bytes end first. */
  private readPrefixes(into: Instruction): boolean {
    const { bytes, end, prefixes } = this
    let pos = this.pos
    let rex = 0
    let hasRex = false
    let address = this.mode as number
    let override: number = NO_REGISTER
    this.has66 = false
    this.repeat = 0
    into.lock = false
    for (; pos < end; pos++) {
      const byte = bytes[pos] ?? 0
      const prefix = prefixes[byte] ?? 0
      if (prefix === 0) break
      // A REX that does not stand right before the opcode has no effect.
      hasRex = prefix === Prefix.rex
      rex = hasRex ? byte & 15 : 0
      if (hasRex) continue
      if (prefix === Prefix.operandSize) this.has66 = true
      else if (prefix === Prefix.addressSize) address = this.mode === 32 ? 16 : 32
      else if (prefix === Prefix.lock) into.lock = true
      else if (prefix === Prefix.repeat) this.repeat = byte
      else if (!this.long || prefix >= Prefix.segment + Segment.fs) override = prefix - Prefix.segment
    }
    this.pos = pos
    this.rex = rex
    this.hasRex = hasRex
    into.addressSize = address
    into.segmentOverride = override
    into.memSegment = override === NO_REGISTER ? Segment.ds : override
    into.memBase = NO_REGISTER
    into.memIndex = NO_REGISTER
    into.memScale = 0
    into.dispLo = 0
    into.dispHi = 0
    into.vsib = false
    into.immLo = 0
    into.immHi = 0
    into.imm2 = 0
    return pos < end
  }

  /** Escape bytes or VEX, and the opcode. False when the bytes end or the VEX prefix may not stand here. */
  private readOpcode(into: Instruction): boolean {
    this.hasModrm = false
    this.vex = false
    this.vexL = 0
    this.vexW = 0
    let byte = this.next()
    if ((byte & 0xfe) === 0xc4 && this.isVex()) return this.pos <= this.end && this.readVex(byte, into)
    let map = 0
    if (byte === 0x0f) {
      map = 1
      byte = this.next()
      if (byte === 0x38 || byte === 0x3a) {
        map = byte === 0x38 ? 2 : 3
        byte = this.next()
      }
    }
    this.map = map
    this.opcode = byte
    this.pp = this.repeat !== 0 ? (this.repeat === 0xf3 ? PP_F3 : PP_F2) : this.has66 ? PP_66 : 0
    return this.pos <= this.end
  }

  private next(): number {
    const pos = this.pos++
    return pos < this.end ? (this.bytes[pos] ?? 0) : 0
  }

  /** Outside 64-bit mode C4 and C5 are LES and LDS unless the next byte looks like a register form. */
  private isVex(): boolean {
    if (this.long) return true
    if (this.pos < this.end) return (this.bytes[this.pos] ?? 0) >= 0xc0
    this.pos++
    return true
  }

  private readVex(first: number, into: Instruction): boolean {
    let payload = this.next()
    if (this.pos > this.end || into.lock || this.has66 || this.repeat !== 0 || this.hasRex) return false
    this.vex = true
    this.map = 5
    let rex = payload & 0x80 ? 0 : REX_R
    if (first === 0xc4) {
      const map = payload & 0x1f
      if (map === 0 || map > 3) return false
      this.map = 4 + map
      rex |= (payload & 0x40 ? 0 : REX_X) | (payload & 0x20 ? 0 : REX_B)
      payload = this.next()
      this.vexW = payload >> 7
      if (this.vexW !== 0) rex |= REX_W
    }
    this.rex = this.long ? rex : 0
    this.vvvv = ~(payload >> 3) & 15
    this.vexL = (payload >> 2) & 1
    this.pp = payload & 3
    this.opcode = this.next()
    return this.pos <= this.end
  }

  private readModrm(): boolean {
    this.modrm = this.next()
    this.hasModrm = true
    return this.pos <= this.end
  }

  /** Walks the decision tree of the opcode. */
  private select(root: number): number {
    const { nodes } = this
    let entry = root
    while (entry < 0) {
      const axis = nodes[-entry] ?? 0
      if (axis >= AxisNumber.mod && !this.hasModrm && !this.readModrm()) return NO_ENCODING
      entry = nodes[1 - entry + this.axisValue(axis)] ?? NO_ENCODING
    }
    return entry
  }

  private axisValue(axis: number): number {
    switch (axis) {
      case AxisNumber.pp:
        return this.pp
      case AxisNumber.w:
        return this.vex ? this.vexW : this.rex >> 3
      case AxisNumber.l:
        return this.vexL
      case AxisNumber.b:
        return this.rex & REX_B
      case AxisNumber.mod:
        return this.modrm >= 0xc0 ? 1 : 0
      case AxisNumber.reg:
        return (this.modrm >> 3) & 7
      default:
        return this.modrm & 7
    }
  }

  private setSizes(encoding: number, flags: number, into: Instruction): void {
    const has66 = this.has66 && (flags & EncodingFlag.mandatory66) === 0
    let operandSize = 1
    if (!this.long) operandSize = has66 === (this.mode === 32) ? 0 : 1
    else if ((this.rex & REX_W) !== 0 || (flags & EncodingFlag.f64) !== 0) operandSize = 2
    else if (has66) operandSize = 0
    else if ((flags & EncodingFlag.d64) !== 0) operandSize = 2
    const context = operandSize | (this.rex & REX_W ? CONTEXT_W : 0) | (this.vexL !== 0 ? CONTEXT_L : 0)
    this.context = context
    into.encoding = encoding
    into.name = encodingName[encoding] ?? 0
    into.operandSize = this.widths[((encodingSize[encoding] ?? 0) << 4) | context] ?? 0
    into.rep = (flags & EncodingFlag.mandatoryRepeat) === 0 ? this.repeat : 0
    into.operandCount = encodingOperandCount[encoding] ?? 0
  }

  /** The memory operand of ModRM, SIB and displacement. */
  private readMemory(flags: number, into: Instruction): void {
    if (into.addressSize === 16) {
      this.readMemory16(into)
      return
    }
    const mod = this.modrm >> 6
    const rm = this.modrm & 7
    let base = rm | ((this.rex & REX_B) << 3)
    if (rm === RSP) {
      const sib = this.next()
      const index = ((sib >> 3) & 7) | ((this.rex & REX_X) << 2)
      base = (sib & 7) | ((this.rex & REX_B) << 3)
      into.vsib = (flags & EncodingFlag.vsib) !== 0
      if (index !== RSP || into.vsib) {
        into.memIndex = index
        into.memScale = sib >> 6
      }
      if (mod === 0 && (sib & 7) === RBP) base = NO_REGISTER
    } else if (mod === 0 && rm === RBP) base = this.long ? RIP_BASE : NO_REGISTER
    into.memBase = base
    if ((base === RSP || base === RBP) && into.segmentOverride === NO_REGISTER) into.memSegment = Segment.ss
    if (mod === 1) this.setDisplacement(this.signed8(), into)
    else if (mod === 2 || base === NO_REGISTER || base === RIP_BASE) this.setDisplacement(this.signed32(), into)
  }

  private readMemory16(into: Instruction): void {
    const mod = this.modrm >> 6
    const rm = this.modrm & 7
    if (mod === 0 && rm === 6) {
      this.setDisplacement(this.signed16(), into)
      return
    }
    into.memBase = BASE_16[rm] ?? 0
    into.memIndex = INDEX_16[rm] ?? 0
    if (into.memBase === RBP && into.segmentOverride === NO_REGISTER) into.memSegment = Segment.ss
    if (mod === 1) this.setDisplacement(this.signed8(), into)
    else if (mod === 2) this.setDisplacement(this.signed16(), into)
  }

  private setDisplacement(value: number, into: Instruction): void {
    into.dispLo = value
    into.dispHi = value >> 31
  }

  private signed8(): number {
    return (this.next() << 24) >> 24
  }

  private unsigned16(): number {
    const low = this.next()
    return low | (this.next() << 8)
  }

  private signed16(): number {
    return (this.unsigned16() << 16) >> 16
  }

  private signed32(): number {
    const low = this.unsigned16()
    return low | (this.unsigned16() << 16)
  }

  private readOperands(encoding: number, memory: boolean, into: Instruction): boolean {
    const { widths, context } = this
    const first = encoding * MAX_TABLE_OPERANDS
    const { operandCount, opKind, opReg, opSize } = into
    for (let i = 0; i < operandCount; i++) {
      const slot = first + i
      const addressing = operandAddressing[slot] ?? 0
      const width = widths[((operandRegisterSize[slot] ?? 0) << 4) | context] ?? 0
      opKind[i] = kindOfAddressing[addressing] ?? 0
      opSize[i] = width
      switch (addressing) {
        case Addressing.gprRm:
          if (memory) this.memoryOperand(slot, i, into)
          else opReg[i] = this.gpr((this.modrm & 7) | ((this.rex & REX_B) << 3), width)
          break
        case Addressing.gprReg:
          opReg[i] = this.gpr(((this.modrm >> 3) & 7) | ((this.rex & REX_R) << 1), width)
          break
        case Addressing.gprOpcode:
          opReg[i] = this.gpr((this.opcode & 7) | ((this.rex & REX_B) << 3), width)
          break
        case Addressing.memory:
          this.memoryOperand(slot, i, into)
          break
        case Addressing.immediateByteSigned:
          this.setImmediate(this.signed8(), into)
          break
        case Addressing.immediateByte:
          this.byteImmediate(i, into)
          break
        case Addressing.immediateSigned:
          this.setImmediate(width === 16 ? this.signed16() : this.signed32(), into)
          break
        case Addressing.immediateFull:
          this.setImmediate(width === 16 ? this.signed16() : this.signed32(), into)
          if (width === 64) into.immHi = this.signed32()
          break
        case Addressing.relative:
          this.setImmediate(width === 8 ? this.signed8() : width === 16 ? this.signed16() : this.signed32(), into)
          break
        case Addressing.fixedGpr:
        case Addressing.fixedSreg:
        case Addressing.fixedSt:
          opReg[i] = operandFixed[slot] ?? 0
          break
        default:
          if (!this.rareOperand(addressing, slot, i, into)) return false
      }
    }
    return true
  }

  /** A gather must have a vector index, and its three registers must differ. */
  private isGather(into: Instruction): boolean {
    const { opReg, memIndex } = into
    return into.vsib && opReg[0] !== memIndex && opReg[2] !== memIndex && opReg[0] !== opReg[2]
  }

  private memoryOperand(slot: number, i: number, into: Instruction): void {
    into.opKind[i] = OperandKind.mem
    into.opReg[i] = 0
    into.opSize[i] = this.widths[((operandMemorySize[slot] ?? 0) << 4) | this.context] ?? 0
  }

  /** Without REX the byte registers 4-7 are AH, CH, DH, BH. */
  private gpr(register: number, width: number): number {
    return width === 8 && register >= 4 && register < 8 && !this.hasRex ? register + 12 : register
  }

  private setImmediate(value: number, into: Instruction): void {
    into.immLo = value
    into.immHi = value >> 31
  }

  /** The second of two (ENTER, EXTRQ, INSERTQ) has a place of its own. */
  private byteImmediate(i: number, into: Instruction): void {
    const value = this.next()
    if (i > 0 && into.opKind[i - 1] === OperandKind.imm) {
      into.opKind[i] = OperandKind.imm2
      into.imm2 = value
    } else this.setImmediate(value, into)
  }

  private rareOperand(addressing: number, slot: number, i: number, into: Instruction): boolean {
    const rm = (this.modrm & 7) | ((this.rex & REX_B) << 3)
    const reg = ((this.modrm >> 3) & 7) | ((this.rex & REX_R) << 1)
    const { opReg, opSize } = into
    switch (addressing) {
      case Addressing.gprVvvv:
      case Addressing.xmmVvvv:
        opReg[i] = this.long ? this.vvvv : this.vvvv & 7
        break
      case Addressing.moffs:
        this.memoryOperand(slot, i, into)
        this.readMoffs(into)
        break
      case Addressing.immediateWord:
        this.setImmediate(this.unsigned16(), into)
        break
      case Addressing.far:
        this.setImmediate(into.operandSize === 16 ? this.unsigned16() : this.signed32(), into)
        into.immHi = 0
        into.imm2 = this.unsigned16()
        opReg[i] = 0
        break
      case Addressing.sreg:
        opReg[i] = reg & 7
        break
      case Addressing.creg:
        opReg[i] = reg
        return ((CONTROL_REGISTERS >> reg) & 1) !== 0
      case Addressing.dreg:
        opReg[i] = reg
        return reg < 8
      case Addressing.st:
      case Addressing.mmxRm:
        if (this.modrm < 0xc0) this.memoryOperand(slot, i, into)
        else {
          opReg[i] = rm & 7
          if (addressing === Addressing.mmxRm) opSize[i] = 64
        }
        break
      case Addressing.mmxReg:
        opReg[i] = reg & 7
        opSize[i] = 64
        break
      case Addressing.xmmRm:
        if (this.modrm < 0xc0) this.memoryOperand(slot, i, into)
        else opReg[i] = rm
        break
      case Addressing.xmmReg:
        opReg[i] = reg
        break
      case Addressing.xmmIs4:
        opReg[i] = (this.next() >> 4) & (this.long ? 15 : 7)
        break
    }
    if (addressing >= Addressing.xmmRm && into.opKind[i] === OperandKind.xmm && (opSize[i] ?? 0) < 128) opSize[i] = 128
    return true
  }

  /** MOV's absolute address: as wide as the address size. */
  private readMoffs(into: Instruction): void {
    if (into.addressSize === 16) {
      into.dispLo = this.unsigned16()
      return
    }
    into.dispLo = this.signed32()
    into.dispHi = into.addressSize === 64 ? this.signed32() : 0
  }
}
