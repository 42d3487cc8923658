/** Writes decoded instructions as records. */
import { type Instruction, NO_REGISTER, OperandKind, RIP_BASE, Segment } from '../decoder/instruction.ts'
import { indexOf } from '../decoder/opcodes.ts'
import { isWritten, type Use } from '../isa/table.ts'
import type { CodeKind } from '../isa/vocabulary.ts'
import * as L from '../layout.ts'
import { floatKind, needsFloatCheck } from './float-kind.ts'
import { isChecked } from './operations.ts'
import * as R from './record.ts'

const NAME_POP = indexOf('pop')
const NAME_LEA = indexOf('lea')
const RSP_NUMBER = 4

/** Views of the wasm memory, wide enough for every field. */
export interface RecordViews {
  readonly u8: Uint8Array
  readonly u16: Uint16Array
  readonly u32: Uint32Array
}

/** What the instruction table says of an instruction's operands. */
export interface OperandTraits {
  readonly uses: readonly Use[]
  readonly bitString: boolean
}

/** Where the record lies in the trace and in its page. */
export interface Place {
  /** Instructions since the last charge. */
  count: number
  /** Offset of the instruction in its page. */
  offset: number
  /** Host address of the page. */
  page: number
}

function registerAddress(register: number): number {
  // 16-19 are AH CH DH BH: the second byte of the first four registers.
  return register < 16 ? L.GPR + register * 8 : L.GPR + (register - 16) * 8 + 1
}

function operandField(i: Instruction, operand: number): number {
  const register = i.opReg[operand] as number
  switch (i.opKind[operand]) {
    case OperandKind.gpr:
      return registerAddress(register)
    case OperandKind.imm2:
    case OperandKind.far:
      return i.imm2
    case OperandKind.xmm:
      return L.YMM + register * L.YMM_SIZE
    case OperandKind.mmx:
      return L.X87 + register * L.X87_SIZE
    default:
      return register
  }
}

/** Address of the base of a segment, or of the zero slot where 64-bit mode ignores it. */
function segmentBaseAddress(segment: number): number {
  return segment === Segment.fs || segment === Segment.gs ? L.SEGMENTS + segment * L.SEGMENT_SIZE + L.SEG_BASE : L.ZERO
}

function isVector(i: Instruction): boolean {
  for (let operand = 0; operand < i.operandCount; operand++) {
    const kind = i.opKind[operand]
    if (kind === OperandKind.xmm || kind === OperandKind.mmx) return true
  }
  return false
}

export class RecordWriter {
  readonly #u8: Uint8Array
  readonly #u16: Uint16Array
  readonly #u32: Uint32Array
  readonly #traits: (name: number) => OperandTraits
  codeKind: CodeKind = 'long'
  /** Instructions of x87, MMX, SSE and AVX are checked before they run. */
  modeFloat = 0

  constructor(views: RecordViews, traits: (name: number) => OperandTraits) {
    this.#u8 = views.u8
    this.#u16 = views.u16
    this.#u32 = views.u32
    this.#traits = traits
  }

  /** A record that is not an instruction. */
  special(at: number, op: number, place: Place, length = 0): void {
    this.#u32.fill(0, at >> 2, (at + R.RECORD_SIZE) >> 2)
    this.#header(at, op, place, length)
  }

  /** A transfer to an offset relative to the page (the end of a trace, or a relative branch). */
  target(at: number, relativeLo: number, relativeHi: number, page: number): void {
    const u32 = this.#u32
    u32[(at + R.R_HOST_PAGE) >> 2] = page
    u32[(at + R.R_IMMEDIATE) >> 2] = relativeLo
    u32[(at + R.R_IMMEDIATE + 4) >> 2] = relativeHi
    u32[(at + R.R_LINK) >> 2] = 0
    this.#u8[at + R.R_LINKABLE] = relativeHi === 0 && relativeLo >>> 0 < 4096 ? 1 : 0
  }

  /** CROSS: the host address that the next page must have. */
  cross(at: number, place: Place, host: number): void {
    this.special(at, R.OP_CROSS, place)
    this.#u32[(at + R.R_IMMEDIATE) >> 2] = host
  }

  /**
   * Writes one instruction, as one to three records.
   * @returns the address behind them
   */
  instruction(at: number, op: number, i: Instruction, place: Place): number {
    let record = at
    if (needsFloatCheck(i, this.modeFloat)) record = this.#floatCheck(record, i, place)
    const memory = this.#memoryOperand(i)
    const scattered = memory && this.#isScattered(i)
    const separate = memory && !scattered && this.#addressBefore(record, i, place)
    if (separate) record += R.RECORD_SIZE
    this.#header(record, op, place, i.length)
    const u16 = this.#u16
    for (let operand = 0; operand < 2; operand++) this.#operand(record, i, operand)
    if (separate) this.#address(record, L.EA, L.ZERO, 0, 0, 0)
    else if (scattered) this.#scattered(record, i, place)
    else if (memory) this.#plainAddress(record, i, place)
    else {
      u16[(record + R.R_BASE) >> 1] = segmentBaseAddress(i.memSegment)
      u16[(record + R.R_INDEX) >> 1] = i.memSegment
      this.#u8[record + R.R_SCALE] = 0
    }
    const stack = memory && i.memSegment === Segment.ss ? R.FLAG_STACK : 0
    const segment = memory ? (i.memSegment + 1) << R.FLAG_SEGMENT_SHIFT : 0
    const repeat = i.rep === 0 ? 0 : i.rep === 0xf3 ? 1 : 2
    this.#u8[record + R.R_FLAGS] = stack | (repeat << R.FLAG_REPEAT_SHIFT) | segment
    if (!scattered) this.#immediate(record, i, place)
    return record + R.RECORD_SIZE
  }

  #floatCheck(at: number, i: Instruction, place: Place): number {
    this.special(at, R.OP_CHECK_FLOAT, place)
    this.#u16[(at + R.R_OPERAND0) >> 1] = floatKind(i)
    return at + R.RECORD_SIZE
  }

  #header(at: number, op: number, place: Place, length: number): void {
    this.#u16[(at + R.R_OP) >> 1] = op
    this.#u16[(at + R.R_COUNT) >> 1] = place.count
    this.#u16[(at + R.R_POSITION) >> 1] = (place.offset << 4) | length
  }

  #memoryOperand(i: Instruction): boolean {
    for (let operand = 0; operand < i.operandCount; operand++) if (i.opKind[operand] === OperandKind.mem) return true
    return false
  }

  #usesOf(name: number): readonly Use[] {
    return this.#traits(name).uses
  }

  #operand(record: number, i: Instruction, operand: number): void {
    // Registers used as plain numbers must not become addresses.
    const isPlain = this.#usesOf(i.name)[operand] === 'n' && i.opKind[operand] !== OperandKind.far
    const field = isPlain ? (i.opReg[operand] as number) : operandField(i, operand)
    this.#u16[(record + R.R_OPERAND0 + operand * 2) >> 1] = operand < i.operandCount ? field : 0
  }

  #immediate(record: number, i: Instruction, place: Place): void {
    const u32 = this.#u32
    if (i.operandCount > 0 && i.opKind[0] === OperandKind.rel) {
      const lo = (i.immLo >>> 0) + place.offset + i.length
      this.target(record, lo | 0, (i.immHi + (lo > 0xffffffff ? 1 : 0)) | 0, place.page)
      return
    }
    if (isVector(i)) {
      this.#vectorOperands(record, i)
      u32[(record + R.R_VECTOR_IMMEDIATE) >> 2] = i.immLo
      return
    }
    u32[(record + R.R_IMMEDIATE) >> 2] = i.immLo
    u32[(record + R.R_IMMEDIATE + 4) >> 2] = i.immHi
    if (i.operandCount > 2 && i.opKind[2] === OperandKind.gpr) {
      this.#u16[(record + R.R_OPERAND2) >> 1] = operandField(i, 2)
    }
    for (let operand = 0; operand < i.operandCount; operand++) {
      if (i.opKind[operand] === OperandKind.one) {
        u32[(record + R.R_IMMEDIATE) >> 2] = 1
        u32[(record + R.R_IMMEDIATE + 4) >> 2] = 0
      }
    }
  }

  #vectorOperands(record: number, i: Instruction): void {
    for (let operand = 2; operand < Math.min(i.operandCount, 4); operand++) {
      const kind = i.opKind[operand]
      if (kind !== OperandKind.xmm && kind !== OperandKind.gpr) continue
      this.#u16[(record + R.R_OPERAND2 + (operand - 2) * 2) >> 1] = operandField(i, operand)
    }
  }

  #address(record: number, base: number, index: number, scale: number, lo: number, hi: number): void {
    this.#u16[(record + R.R_BASE) >> 1] = base
    this.#u16[(record + R.R_INDEX) >> 1] = index
    this.#u8[record + R.R_SCALE] = scale
    this.#u32[(record + R.R_DISPLACEMENT) >> 2] = lo
    this.#u32[(record + R.R_DISPLACEMENT + 4) >> 2] = hi
  }

  /** Base, index and displacement as they stand; a segment base takes the place of a missing register. */
  #plainAddress(record: number, i: Instruction, place: Place): void {
    let base = baseAddress(i)
    let index = i.memIndex === NO_REGISTER ? L.ZERO : L.GPR + i.memIndex * 8
    let scale = i.memIndex === NO_REGISTER ? 0 : i.memScale
    const segment = i.name === NAME_LEA ? L.ZERO : segmentBaseAddress(i.memSegment)
    if (segment !== L.ZERO) {
      if (base === L.ZERO) base = segment
      else {
        index = segment
        scale = 0
      }
    }
    const { lo, hi } = displacement(i, place)
    // A 32-bit address without registers has no sign.
    const isAbsolute = this.codeKind !== 'long' && i.memBase === NO_REGISTER && i.memIndex === NO_REGISTER
    this.#address(record, base, index, scale, lo, isAbsolute ? 0 : hi)
  }

  #isScattered(i: Instruction): boolean {
    return this.#usesOf(i.name)[i.opKind.indexOf(OperandKind.mem)] === 'o'
  }

  /** The offset in the segment without vector indices, not cut yet; the rest of the address is told apart. */
  #scattered(record: number, i: Instruction, place: Place): void {
    this.#vectorOperands(record, i)
    const index = i.memIndex === NO_REGISTER || i.vsib ? L.ZERO : L.GPR + i.memIndex * 8
    const { lo, hi } = displacement(i, place)
    this.#address(record, baseAddress(i), index, i.vsib ? 0 : i.memScale, lo, hi)
    this.#u32[(record + R.R_VECTOR_IMMEDIATE) >> 2] = i.memSegment | (i.memScale << 4) | (i.addressSize << 8)
    if (i.vsib) this.#u16[(record + R.R_OPERAND3) >> 1] = L.YMM + i.memIndex * L.YMM_SIZE
  }

  /** Writes the record that computes the address, if the instruction's own can not; else gives false. */
  #addressBefore(record: number, i: Instruction, place: Place): boolean {
    const operand = i.opKind.indexOf(OperandKind.mem)
    const use = this.#usesOf(i.name)[operand]
    if (i.name !== NAME_LEA && use !== '-' && isChecked(i, this.codeKind))
      this.#segmentRecord(record, i, place, operand)
    else if (needsAddressRecord(i, this.codeKind)) this.#addressRecord(record, i, place)
    else return false
    return true
  }

  #segmentRecord(record: number, i: Instruction, place: Place, operand: number): void {
    this.#addressRecord(record, i, place)
    const u16 = this.#u16
    u16[(record + R.R_OP) >> 1] = R.OP_SEGMENT
    u16[(record + R.R_OPERAND0) >> 1] = i.memSegment
    u16[(record + R.R_OPERAND1) >> 1] = extentOf(i, operand)
    const isBitString = this.#traits(i.name).bitString && i.opKind[1] === OperandKind.gpr
    const flags = (isWritten(this.#usesOf(i.name)[operand]) ? R.SEGMENT_WRITE : 0) | (isBitString ? R.SEGMENT_BITS : 0)
    u16[(record + R.R_SEGMENT_FLAGS) >> 1] = flags
    u16[(record + R.R_BITS) >> 1] = isBitString ? operandField(i, 1) : 0
  }

  #addressRecord(record: number, i: Instruction, place: Place): void {
    this.special(record, R.OP_ADDRESS, place)
    const index = i.memIndex === NO_REGISTER ? L.ZERO : L.GPR + i.memIndex * 8
    const { lo, hi } = displacement(i, place)
    this.#address(record, baseAddress(i), index, i.memScale, lo, hi)
    const base = i.name === NAME_LEA || this.codeKind !== 'long' ? L.ZERO : segmentBaseAddress(i.memSegment)
    this.#u16[(record + R.R_OPERAND0) >> 1] = base
    this.#u32[(record + R.R_IMMEDIATE) >> 2] = i.addressSize === 16 ? 0xffff : 0xffffffff
    this.#u32[(record + R.R_IMMEDIATE + 4) >> 2] = i.addressSize === 64 ? 0xffffffff : 0
  }
}

/** Bytes below which a displacement hardly ever takes an address beyond 4 GB or below 0. */
const SMALL = 0x10000

/** Narrow addresses wrap, and a segment base may find no free place in base + index * scale. */
function needsAddressRecord(i: Instruction, code: CodeKind): boolean {
  if (code !== 'long') return mayWrap(i)
  if (i.addressSize !== 64) return true
  if (i.name === NAME_LEA || segmentBaseAddress(i.memSegment) === L.ZERO) return false
  return i.memBase !== NO_REGISTER && i.memIndex !== NO_REGISTER
}

/**
 * Whether the sum of a 32-bit address may be another one than the sum modulo 2^32, oftener than hardly ever: an operand that is not
 * found there wraps around (runtime/access.ts), a result of LEA is cut.
 */
function mayWrap(i: Instruction): boolean {
  if (i.addressSize === 16) return true
  if (i.name === NAME_LEA) return false
  if (i.memIndex !== NO_REGISTER) return true
  return i.memBase !== NO_REGISTER && Math.abs(i.dispLo) >= SMALL
}

const TABLES = new Set(['lgdt', 'lidt', 'sgdt', 'sidt'].map(indexOf))
const ENVIRONMENTS = new Set(['fldenv', 'fnstenv'].map(indexOf))
const STATES = new Set(['fnsave', 'frstor'].map(indexOf))
const IMAGES = new Set(['fxsave', 'fxrstor'].map(indexOf))
const XSAVE_IMAGES = new Set(['xsave', 'xsaveopt', 'xsavec', 'xrstor'].map(indexOf))

/** Bytes of a memory operand, also where the operand has no width of its own. */
function extentOf(i: Instruction, operand: number): number {
  const bits = i.opSize[operand] as number
  if (bits !== 0) return bits / 8
  if (TABLES.has(i.name)) return 6
  const wide = i.operandSize !== 16
  if (ENVIRONMENTS.has(i.name)) return wide ? 28 : 14
  if (STATES.has(i.name)) return wide ? 108 : 94
  // With the header; whether the part for AVX is accessed is known when it runs.
  if (XSAVE_IMAGES.has(i.name)) return 576
  return IMAGES.has(i.name) ? 512 : 1
}

function baseAddress(i: Instruction): number {
  if (i.memBase === NO_REGISTER) return L.ZERO
  return i.memBase === RIP_BASE ? L.RIP_PAGE : L.GPR + i.memBase * 8
}

/** The displacement: from the page for RIP-relative operands; POP computes its address with RSP already moved. */
function displacement(i: Instruction, place: Place): { lo: number; hi: number } {
  let extra = 0
  if (i.memBase === RIP_BASE) extra = place.offset + i.length
  else if (i.name === NAME_POP && i.memBase === RSP_NUMBER) extra = i.operandSize / 8
  if (extra === 0) return { lo: i.dispLo, hi: i.dispHi }
  const lo = (i.dispLo >>> 0) + extra
  return { lo: lo | 0, hi: (i.dispHi + (lo > 0xffffffff ? 1 : 0)) | 0 }
}
