/**
 * THE opcode table, put into flat typed arrays: every encoding is one line of the opcodes-*.ts files, and nothing else
 * in the project knows an opcode, an operand form or the feature an instruction needs.
 */

import type { Feature } from './features.ts'
import { OperandKind } from './instruction.ts'
import {
  Addressing,
  EncodingFlag,
  type EncodingNotation,
  MEMORY_FORM,
  parseTable,
  REGISTER_FORM,
  SIZE_LETTERS,
  type SizeLetter,
} from './notation.ts'
import { INTEGER_OPCODES } from './opcodes-integer.ts'
import { PACKED_OPCODES } from './opcodes-packed.ts'
import { SSE_OPCODES } from './opcodes-sse.ts'
import { SYSTEM_OPCODES } from './opcodes-system.ts'
import { VEX_OPCODES } from './opcodes-vex.ts'
import { X87_OPCODES } from './opcodes-x87.ts'
import { contextsOf, widthOf } from './sizes.ts'

export const MAX_TABLE_OPERANDS = 5

export const ENCODINGS: readonly EncodingNotation[] = [
  INTEGER_OPCODES,
  SYSTEM_OPCODES,
  X87_OPCODES,
  SSE_OPCODES,
  PACKED_OPCODES,
  VEX_OPCODES,
].flatMap(parseTable)

/** The names of all instructions: the mnemonic, with a dotted suffix where one mnemonic has several meanings. */
export const NAMES: readonly string[] = [...new Set(ENCODINGS.map((encoding) => encoding.name))]

const NAME_INDEX = new Map(NAMES.map((name, index) => [name, index]))

export function nameOf(name: number): string {
  const text = NAMES[name]
  if (text === undefined) throw new Error(`no instruction name ${name}`)
  return text
}

export function indexOf(name: string): number {
  const index = NAME_INDEX.get(name)
  if (index === undefined) throw new Error(`no instruction is called ${name}`)
  return index
}

const count = ENCODINGS.length
export const encodingName = new Uint16Array(count)
/** `EncodingFlag` bits. */
export const encodingFlags = new Uint16Array(count)
/** Index into SIZE_LETTERS of the operand size. */
export const encodingSize = new Uint8Array(count)
export const encodingOperandCount = new Uint8Array(count)
/** Entry 5 * encoding + operand of the next four. */
export const operandAddressing = new Uint8Array(count * MAX_TABLE_OPERANDS)
export const operandRegisterSize = new Uint8Array(count * MAX_TABLE_OPERANDS)
export const operandMemorySize = new Uint8Array(count * MAX_TABLE_OPERANDS)
export const operandFixed = new Uint8Array(count * MAX_TABLE_OPERANDS)

ENCODINGS.forEach((encoding, index) => {
  encodingName[index] = indexOf(encoding.name)
  encodingFlags[index] = encoding.flags
  encodingSize[index] = SIZE_LETTERS.indexOf(encoding.size)
  encodingOperandCount[index] = encoding.operands.length
  encoding.operands.forEach((operand, position) => {
    const slot = index * MAX_TABLE_OPERANDS + position
    operandAddressing[slot] = operand.addressing
    operandRegisterSize[slot] = SIZE_LETTERS.indexOf(operand.registerSize)
    operandMemorySize[slot] = SIZE_LETTERS.indexOf(operand.memorySize)
    operandFixed[slot] = operand.fixed
  })
})

/** The CPUID features that an encoding (`Instruction.encoding`) needs. */
export function featuresOf(encoding: number): readonly Feature[] {
  return ENCODINGS[encoding]?.features ?? []
}

const vexNames = new Set(ENCODINGS.filter(({ flags }) => flags & EncodingFlag.vex).map(({ name }) => name))

/** Whether an instruction has VEX encodings (and then no others). */
export function isVex(name: string): boolean {
  return vexNames.has(name)
}

/** Whether an encoding is #UD in real and virtual-8086 mode, which the decoder takes for 16-bit protected mode. */
export function isProtectedModeOnly(encoding: number): boolean {
  return ((encodingFlags[encoding] ?? 0) & (EncodingFlag.pm | EncodingFlag.vex)) !== 0
}

const KIND_OF_ADDRESSING: Record<Addressing, OperandKind> = {
  [Addressing.gprRm]: OperandKind.gpr,
  [Addressing.gprReg]: OperandKind.gpr,
  [Addressing.gprVvvv]: OperandKind.gpr,
  [Addressing.gprOpcode]: OperandKind.gpr,
  [Addressing.memory]: OperandKind.mem,
  [Addressing.moffs]: OperandKind.mem,
  [Addressing.immediateByte]: OperandKind.imm,
  [Addressing.immediateWord]: OperandKind.imm,
  [Addressing.immediateByteSigned]: OperandKind.imm,
  [Addressing.immediateSigned]: OperandKind.imm,
  [Addressing.immediateFull]: OperandKind.imm,
  [Addressing.relative]: OperandKind.rel,
  [Addressing.far]: OperandKind.far,
  [Addressing.one]: OperandKind.one,
  [Addressing.fixedGpr]: OperandKind.gpr,
  [Addressing.fixedSreg]: OperandKind.sreg,
  [Addressing.sreg]: OperandKind.sreg,
  [Addressing.creg]: OperandKind.creg,
  [Addressing.dreg]: OperandKind.dreg,
  [Addressing.st]: OperandKind.st,
  [Addressing.fixedSt]: OperandKind.st,
  [Addressing.mmxRm]: OperandKind.mmx,
  [Addressing.mmxReg]: OperandKind.mmx,
  [Addressing.xmmRm]: OperandKind.xmm,
  [Addressing.xmmReg]: OperandKind.xmm,
  [Addressing.xmmVvvv]: OperandKind.xmm,
  [Addressing.xmmIs4]: OperandKind.xmm,
}

/** Kind of a register operand (or immediate), by addressing; memory takes the place of the `...Rm` ones. */
export const kindOfAddressing = Uint8Array.from(
  Object.values(Addressing),
  (addressing) => KIND_OF_ADDRESSING[addressing],
)

/** Width of a register operand: an XMM register is 128 bits wide whatever part of it is used, an MMX register 64. */
export function registerWidth(kind: OperandKind, width: number): number {
  if (kind === OperandKind.mmx) return 64
  return kind === OperandKind.xmm && width < 128 ? 128 : width
}

type FormCallback = (name: string, operandSize: number, kinds: readonly OperandKind[], sizes: readonly number[]) => void

/**
 * Every combination of name, operand size, operand kinds and operand widths that a decoder of any mode can give, once
 * each: what an interpreter needs handlers for.
 */
export function forEachForm(callback: FormCallback): void {
  const seen = new Set<string>()
  for (const encoding of ENCODINGS) {
    const hasRm = encoding.operands.some((operand) => isRm(operand.addressing))
    for (const form of [REGISTER_FORM, MEMORY_FORM]) {
      const allowed = encoding.flags & EncodingFlag.anymod ? REGISTER_FORM : encoding.constraints.mod
      const reachable = hasRm ? (allowed & form) !== 0 : form === REGISTER_FORM
      if (reachable) forEachWidth(encoding, form === MEMORY_FORM, seen, callback)
    }
  }
}

function isRm(addressing: Addressing): boolean {
  return addressing === Addressing.gprRm || addressing === Addressing.mmxRm || addressing === Addressing.xmmRm
}

function forEachWidth(encoding: EncodingNotation, memory: boolean, seen: Set<string>, callback: FormCallback): void {
  let immediates = 0
  const kinds = encoding.operands.map(({ addressing }) => {
    if (memory && isRm(addressing)) return OperandKind.mem
    const kind = KIND_OF_ADDRESSING[addressing]
    return kind === OperandKind.imm && immediates++ > 0 ? OperandKind.imm2 : kind
  })
  for (const { context, mode } of contextsOf(encoding)) {
    const width = (letter: SizeLetter): number => widthOf(letter, context, mode)
    const sizes = encoding.operands.map((operand, i) =>
      kinds[i] === OperandKind.mem
        ? width(operand.memorySize)
        : registerWidth(kinds[i] ?? OperandKind.none, width(operand.registerSize)),
    )
    const operandSize = width(encoding.size)
    const key = `${encoding.name} ${operandSize} ${kinds.join()} ${sizes.join()}`
    if (seen.has(key)) continue
    seen.add(key)
    callback(encoding.name, operandSize, kinds, sizes)
  }
}
