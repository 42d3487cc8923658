/**
 * What the pieces of a program are written with: the assembler, the roles of the registers, and the places in the code that
 * the program (or the host) may overwrite.
 */
import { type Instruction, NO_REGISTER, OperandKind, Segment } from '../../../src/cpu/decoder/instruction.ts'
import { Addressing, type EncodingNotation } from '../../../src/cpu/decoder/notation.ts'
import { nameOf } from '../../../src/cpu/decoder/opcodes.ts'
import { operationOf } from '../../../src/cpu/interpreter/operations.ts'
import { entryOf } from '../../../src/cpu/isa/index.ts'
import { encodingsOf, type MemoryOperand, randomInstruction, type Shape } from '../instructions.ts'
import type { Random } from '../random.ts'
import { type Assembler, type Label, label, le32, little } from './assembler.ts'
import type { Placement } from './image.ts'
import { CODE_ALIAS, DATA_SIZE, LOW_DATA, NEAR_DATA } from './layout.ts'

export const RAX = 0
export const RCX = 1
export const RDX = 2
export const RSP = 4
export const RSI = 6
export const RDI = 7
export const R11 = 11

/** Bytes of LOW_DATA that operands may use; counters lie behind. */
const LOW_OPERANDS = 0x2000
const COUNTERS = LOW_DATA + 0x2400

/** A piece of an instruction that may be overwritten. */
export interface Site {
  readonly place: Label
  readonly kind: SiteKind
}

/** An immediate of one or four bytes, or the opcode of a short Jcc whose lowest bit may be turned. */
export type SiteKind = 'byte' | 'doubleword' | 'condition'

/** How a program is to be. */
export interface Manner {
  /** Accesses go where something is; other programs spend most of their time with exceptions. */
  readonly tidy: boolean
  /** One piece in so many is one that costs much time. */
  readonly rareness: number
  /** Number of the list of such pieces. */
  readonly theme: number
  /** How rarely code is overwritten or mapped elsewhere, as masks of a counter. */
  readonly patchMasks: readonly number[]
}

export interface Roles {
  /** They point into the data. */
  readonly pointers: readonly number[]
  /** Kept small. */
  readonly index: number
  /** Counters of loops by depth, outside of functions. */
  readonly counters: readonly number[]
}

const NEVER = /^(push|pop|pushf|popf|leave|movs|cmps|stos|lods|scas|loop|loope|loopne|jcxz|std|cld)(\.|$)/
/** Their addresses or operands are what registers happen to hold. */
const WILD = /^(xlat|div|idiv|v?maskmov(q|dqu))$/
/** They have a result in RCX. */
const TO_RCX = /^v?pcmp[ei]stri/
export const ANY = encodingsOf(/./).filter(({ name }) => entryOf(name)?.ends === false && !NEVER.test(name))
export const COMMON = encodingsOf(
  /^(add|or|adc|sbb|and|sub|xor|cmp|test|mov|lea|inc|dec|neg|not|imul\.[23]|movzx|movsx|movsxd|xchg|shl|shr|sar|rol|ror)$/,
)
export const FLAGS = encodingsOf(
  /^(adc|sbb|rcl|rcr|adcx|adox|inc|dec|lahf|sahf|stc|clc|cmc|set.*|cmov.*|bt|add|sub|cmp)$/,
)
export const CONDITIONAL = encodingsOf(/^(bsf|bsr|tzcnt|lzcnt|cmpxchg|cmov.*|lar|lsl)$/)
export const SHIFTS = encodingsOf(/^(sh[lr]|sar|ro[lr]|rc[lr]|sh[lr]d)$/)
export const LOCKED = encodingsOf(/^(xadd|cmpxchg|cmpxchg8b|cmpxchg16b|xchg|add|or|sbb|inc|neg|bts|btr|btc)$/)
const VECTOR_OPERANDS: readonly Addressing[] = [Addressing.xmmReg, Addressing.xmmRm, Addressing.xmmVvvv]
export const VECTORS = ANY.filter(({ operands }) => {
  return operands.some(({ addressing }) => VECTOR_OPERANDS.includes(addressing))
})

/** ModRM, SIB and displacement of base and index, either of which may be absent (-1), and REX.X and REX.B. */
export function addressed(
  field: number,
  base: number,
  index: number,
  scale: number,
  displacement: number,
): MemoryOperand {
  const short = displacement >= -128 && displacement < 128
  const offset = short ? [displacement & 255] : le32(displacement)
  const rex = (index > 7 ? 2 : 0) | (base > 7 ? 1 : 0)
  if (base < 0) {
    const sib = (scale << 6) | ((index < 0 ? 4 : index & 7) << 3) | 5
    return { rex, bytes: [0x04 | field, sib, ...le32(displacement)] }
  }
  const mod = short ? 0x40 : 0x80
  if (index < 0 && (base & 7) !== RSP) return { rex, bytes: [mod | field | (base & 7), ...offset] }
  const sib = (scale << 6) | ((index < 0 ? 4 : index & 7) << 3) | (base & 7)
  return { rex, bytes: [mod | field | 4, sib, ...offset] }
}

export class Context {
  readonly random: Random
  readonly asm: Assembler
  readonly placement: Placement
  readonly roles: Roles
  readonly sites: Site[] = []
  /** Bytes above RSP that operands may use. */
  frame = 0
  readonly manner: Manner
  readonly #reserved: ReadonlySet<number>
  /** Places ahead that something before them overwrites. */
  readonly #wanted: Site[] = []
  readonly #shape: Shape
  #segmented = false
  #counters = 0

  constructor(random: Random, asm: Assembler, placement: Placement, roles: Roles, manner: Manner) {
    this.random = random
    this.asm = asm
    this.placement = placement
    this.roles = roles
    this.manner = manner
    this.#reserved = new Set([RSP, roles.index, ...roles.pointers, ...roles.counters])
    this.#shape = {
      memory: (_, field) => this.memory(field),
      accepts: (instruction) => this.#accepts(instruction),
    }
  }

  isReserved(register: number): boolean {
    return this.#reserved.has(register)
  }

  /** A register that anything may be written to. */
  scratch(): number {
    for (;;) {
      const register = this.random.below(16)
      if (!this.isReserved(register)) return register
    }
  }

  /** Two quadwords of its own, at an absolute 32-bit address. */
  counter(): number {
    this.#counters = (this.#counters + 1) & 0xff
    return COUNTERS + this.#counters * 16
  }

  op(...bytes: readonly number[]): void {
    this.asm.op(...bytes)
  }

  /** An instruction of one register in ModRM.rm or the opcode: REX as needed. */
  withRegister(
    register: number,
    wide: boolean,
    before: readonly number[],
    last: number,
    after: readonly number[] = [],
  ): void {
    const rex = 0x40 | (wide ? 8 : 0) | (register > 7 ? 1 : 0)
    this.op(...(rex === 0x40 ? [] : [rex]), ...before, last | (register & 7), ...after)
  }

  /** Opcode with ModRM of register and register. */
  pair(opcode: readonly number[], reg: number, rm: number, wide = true): void {
    const rex = 0x40 | (wide ? 8 : 0) | (reg > 7 ? 4 : 0) | (rm > 7 ? 1 : 0)
    this.op(rex, ...opcode, 0xc0 | ((reg & 7) << 3) | (rm & 7))
  }

  load(register: number, value: bigint): void {
    this.withRegister(register, true, [], 0xb8, little(BigInt.asUintN(64, value), 8))
  }

  /** MOV r32, imm32 */
  load32(register: number, value: number): void {
    this.withRegister(register, false, [], 0xb8, le32(value))
  }

  /** LEA r64, [place] */
  loadAddress(register: number, place: Label): void {
    this.asm.relative([0x48 | (register > 7 ? 4 : 0), 0x8d, 0x05 | ((register & 7) << 3)], place)
  }

  /** An opcode with a counter's absolute address. */
  onCounter(opcode: readonly number[], field: number, address: number, after: readonly number[] = []): void {
    this.op(...opcode, 0x04 | (field << 3), 0x25, ...le32(address), ...after)
  }

  instruction(encodings: readonly EncodingNotation[]): void {
    this.op(...randomInstruction(this.random, { ...this.#shape, encodings }))
  }

  /** An address among the data, near the end of a page more often than not. */
  dataAddress(): bigint {
    const { random, placement } = this
    const page = BigInt(random.below(DATA_SIZE / 4096)) * 4096n
    const offset = random.oneIn(2) ? BigInt(random.below(4096)) : BigInt((4096 - random.below(24)) & 4095)
    const base = random.oneIn(3) ? placement.codeBase + BigInt(NEAR_DATA) : placement.dataBase
    return BigInt.asUintN(64, base + page + offset)
  }

  memory(field: number): MemoryOperand {
    const { random, roles } = this
    this.#segmented = false
    const small = (): number => random.pick([0, 1, 4, 8, 0x10, -1, -8, 0x7f, random.below(256), random.below(0x1000)])
    switch (random.below(12)) {
      case 0:
        return { rex: 0, bytes: [0x05 | field, ...le32(NEAR_DATA - this.asm.at + random.below(DATA_SIZE - 64))] }
      case 1:
        return addressed(field, -1, -1, 0, LOW_DATA + random.below(LOW_OPERANDS))
      case 2:
        return addressed(field, -1, roles.index, random.below(4), LOW_DATA + random.below(LOW_OPERANDS / 2))
      case 3:
        return this.#onStack(field)
      case 4:
        return this.#throughSegment(field, small())
      case 5:
      case 6:
        return addressed(field, random.pick(roles.pointers), roles.index, random.below(4), small())
      case 7:
        if (!this.manner.tidy && random.oneIn(4)) return addressed(field, this.scratch(), -1, 0, small())
    }
    return addressed(field, random.pick(roles.pointers), -1, 0, small())
  }

  /** In the frame, or below RSP, where nothing is kept that matters. */
  #onStack(field: number): MemoryOperand {
    const { random } = this
    const inFrame = this.frame >= 16 && random.oneIn(2)
    return addressed(field, RSP, -1, 0, inFrame ? random.below(this.frame - 8) : -8 - random.below(0x100))
  }

  #throughSegment(field: number, displacement: number): MemoryOperand {
    const { random, roles } = this
    this.#segmented = true
    const index = random.oneIn(2) ? roles.index : -1
    const operand = addressed(field, -1, index, random.below(index < 0 ? 1 : 4), displacement + random.below(0x4000))
    return { ...operand, prefixes: [random.pick([0x64, 0x65])] }
  }

  #accepts(i: Instruction): boolean {
    const name = nameOf(i.name)
    const entry = entryOf(name)
    if (!entry || entry.ends || operationOf(i, 'long') < 0 || NEVER.test(name)) return false
    if (this.manner.tidy && WILD.test(name)) return false
    if (TO_RCX.test(name) && this.isReserved(RCX)) return false
    for (let operand = 0; operand < i.operandCount; operand++) {
      const kind = i.opKind[operand]
      if (kind === OperandKind.rel) return false
      if (kind === OperandKind.mem && !this.#reaches(i, entry.bitString)) return false
      // What is wide would reach return addresses.
      const bits = i.opSize[operand] as number
      if (kind === OperandKind.mem && i.memBase === RSP && (bits === 0 || bits > 64)) return false
      const register = i.opReg[operand] as number
      const written = entry.uses[operand] === 'w' || entry.uses[operand] === 'rw'
      if (kind === OperandKind.gpr && written && this.isReserved(register < 16 ? register : register - 16)) return false
    }
    return true
  }

  /** The prefixes have left the memory operand what it was meant to be. */
  #reaches(i: Instruction, bitString: boolean): boolean {
    if (i.vsib || (this.manner.tidy && bitString && i.opKind[1] === OperandKind.gpr)) return false
    if (i.addressSize !== 64 && (i.memBase !== NO_REGISTER || this.placement.dataBase >> 32n !== 0n)) return false
    return i.memSegment >= Segment.fs === this.#segmented
  }

  // Code that is overwritten

  /** The instruction to be written next has, at a distance from its start, a piece that may be overwritten. */
  addSite(offset: number, kind: SiteKind): void {
    const site = { place: label(), kind }
    for (const { place } of [site, ...this.#wanted.filter((wanted) => wanted.kind === kind)]) {
      if (place.at < 0) place.at = this.asm.at + offset
    }
    this.sites.push(site)
  }

  /** A place to overwrite, behind or before what is written now. */
  target(kind: SiteKind): Label {
    const known = this.sites.filter((site) => site.kind === kind)
    if (known.length > 0 && this.random.oneIn(2)) return this.random.pick(known).place
    const ahead = { place: label(), kind }
    this.#wanted.push(ahead)
    return ahead.place
  }

  /** The distance of the code under the address by which it is written. */
  alias(): number {
    return this.random.oneIn(3) ? CODE_ALIAS : 0
  }
}
