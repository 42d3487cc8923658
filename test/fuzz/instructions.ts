/**
 * Random instructions, made from the decoder's opcode table: prefixes, opcode and ModRM as a line of the table wants them,
 * operands that tend to hit something. What the decoder does not take is made anew.
 */
import { Decoder } from '../../src/cpu/decoder/decoder.ts'
import { DecodeStatus, Instruction } from '../../src/cpu/decoder/instruction.ts'
import { Addressing, EncodingFlag, type EncodingNotation } from '../../src/cpu/decoder/notation.ts'
import { ENCODINGS } from '../../src/cpu/decoder/opcodes.ts'
import { operationOf } from '../../src/cpu/interpreter/operations.ts'
import type { Random } from './random.ts'

const MAX_LENGTH = 15
const ESCAPES = [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]]
const PREFIXES = [[], [0x66], [0xf3], [0xf2]]
const BYTE_IMMEDIATES = [0, 1, 2, 7, 8, 0x10, 0x1f, 0x20, 0x3f, 0x40, 0x7f, 0x80, 0xff]
const RM = [Addressing.gprRm, Addressing.memory, Addressing.mmxRm, Addressing.xmmRm] as readonly Addressing[]

const DECODERS = { 16: new Decoder(16), 32: new Decoder(32), 64: new Decoder(64) } as const
const CODE_KINDS = { 16: 'segmented', 32: 'flat', 64: 'long' } as const
export type CodeSize = keyof typeof DECODERS
const decoded = new Instruction()

/** A memory operand: prefixes, REX.X and REX.B, and what follows the opcode. */
export interface MemoryOperand {
  readonly prefixes?: readonly number[]
  readonly rex: number
  readonly bytes: readonly number[]
}

/** What a program wants its instructions to be like. */
export interface Shape {
  /** 64 unless given. */
  readonly codeSize?: CodeSize
  /** Lines of the table to draw from. */
  readonly encodings?: readonly EncodingNotation[]
  /** A memory operand; `field` is ModRM.reg in its place. */
  memory(random: Random, field: number): MemoryOperand
  /** Whether an instruction fits in; one that does not is made anew. */
  accepts(instruction: Instruction): boolean
}

/** Lines of the table whose instructions the processor has in code of a size, and the others. */
function split(size: CodeSize): [EncodingNotation[], EncodingNotation[]] {
  const absent = size === 64 ? EncodingFlag.i64 : EncodingFlag.o64
  const encodings = ENCODINGS.filter(({ flags }) => (flags & absent) === 0)
  const known = (encoding: EncodingNotation): boolean => {
    for (const modrm of [0x00, 0xc0]) {
      const bytes = assemble(encoding, [], 0, [modrm | reg(encoding, 0)], new Array<number>(8).fill(0))
      if (decode(bytes, size) && operationOf(decoded, CODE_KINDS[size]) >= 0) return true
    }
    return false
  }
  return [encodings.filter(known), encodings.filter((encoding) => !known(encoding))]
}

const LINES = { 16: split(16), 32: split(32), 64: split(64) } as const
const [KNOWN] = LINES[64]

function decode(bytes: readonly number[], size: CodeSize): boolean {
  const padded = Uint8Array.from([...bytes, ...new Array<number>(16).fill(0)])
  return DECODERS[size].decode(padded, 0, padded.length, decoded) === DecodeStatus.ok
}

/** ModRM.reg (and rm, where it belongs to the opcode) that the line demands; `choice` is taken where it is free. */
function reg({ constraints }: EncodingNotation, choice: number): number {
  const values = [0, 1, 2, 3, 4, 5, 6, 7].filter((value) => (constraints.reg >> value) & 1)
  return (values[choice % values.length] as number) << 3
}

/** `rex` holds W, R, X and B; with VEX, where vvvv is a register in its high nibble, they go into the VEX bytes. */
function assemble(
  encoding: EncodingNotation,
  prefixes: number[],
  rex: number,
  modrm: number[],
  rest: number[],
): number[] {
  const { constraints, map, opcode } = encoding
  if ((encoding.flags & EncodingFlag.vex) !== 0) return [...vex(encoding, rex), ...modrm, ...rest]
  const choices = PREFIXES.filter((_, value) => (constraints.pp >> value) & 1)
  const mandatory = constraints.pp === 15 ? [] : (choices[0] as number[])
  const needsW = constraints.w === 2 ? 0x48 : 0
  const rexByte = rex | needsW
  const tail = (encoding.flags & EncodingFlag.modrm) !== 0 ? [...modrm, ...rest] : rest
  return [...prefixes, ...mandatory, ...(rexByte ? [rexByte] : []), ...(ESCAPES[map] as number[]), opcode, ...tail]
}

function vex({ constraints, map, opcode, flags }: EncodingNotation, rex: number): number[] {
  const first = (set: number): number => [0, 1, 2, 3].find((value) => (set >> value) & 1) as number
  const w = constraints.w === 3 ? (rex >> 3) & 1 : first(constraints.w)
  const register = (flags & EncodingFlag.vvvv) !== 0 ? rex >> 8 : 0
  const payload = (w << 7) | ((~register & 15) << 3) | (first(constraints.l) << 2) | first(constraints.pp)
  return [0xc4, ((~rex & 7) << 5) | (map - 4), payload, opcode]
}

/** ModRM, SIB and displacement. Base registers are those that `machine.ts` lets point somewhere. */
function anywhere(random: Random, field: number): number[] {
  const small = (): number[] => [random.pick([0, 1, 4, 8, 0x10, 0xf8, 0xff, 0x7f, 0x80])]
  const page = (): number[] => [random.below(256), random.below(0x80) | 0, random.oneIn(4) ? random.below(8) : 0, 0]
  switch (random.below(8)) {
    case 0:
      return [0x05 | field, ...page().slice(0, 1), random.oneIn(3) ? 0xff : random.below(0x40), 0, 0]
    case 1:
      return [0x04 | field, 0x25, random.below(256), random.below(256), random.below(4), 0]
    case 2:
      return [0x44 | field, random.below(256), ...small()]
    case 3:
      return [0x80 | random.pick([0, 1, 2, 3, 5, 6, 7]) | field, ...page()]
    default:
      return [0x40 | random.pick([0, 1, 2, 3, 5, 6, 7]) | field, ...small()]
  }
}

/** Accesses anywhere, and instructions of all kinds. */
export const WILD: Shape = {
  memory: (random, field) => ({ rex: 0, bytes: anywhere(random, field) }),
  accepts: () => true,
}

function modrm(random: Random, encoding: EncodingNotation, shape: Shape): MemoryOperand {
  const { constraints, flags } = encoding
  const field = reg(encoding, random.below(8))
  const registerForm = (constraints.mod & 2) !== 0 && ((constraints.mod & 1) === 0 || random.oneIn(2))
  if (!registerForm && (flags & EncodingFlag.anymod) === 0) return shape.memory(random, field)
  const values = [0, 1, 2, 3, 4, 5, 6, 7].filter((value) => (constraints.rm >> value) & 1)
  // REX.B only where no base register can be meant by it.
  const rex = shape.memory === WILD.memory ? 0 : random.below(2)
  return { rex, bytes: [0xc0 | field | random.pick(values)] }
}

/** Immediate bytes; branches stay near, most of the time. */
function immediates(random: Random, encoding: EncodingNotation): number[] {
  const relative = encoding.operands.some(({ addressing }) => addressing === Addressing.relative)
  if (relative && !random.oneIn(16)) {
    const back = random.oneIn(2)
    return [random.below(64) | (back ? 0xc0 : 0), ...new Array<number>(7).fill(back ? 0xff : 0)]
  }
  if (random.oneIn(3)) return [random.pick(BYTE_IMMEDIATES), ...new Array<number>(7).fill(random.pick([0, 0xff]))]
  return random.bytes(8)
}

function prefixes(random: Random, encoding: EncodingNotation): number[] {
  const list: number[] = []
  const lockable = (encoding.flags & EncodingFlag.lock) !== 0
  if (random.oneIn(lockable ? 3 : 200)) list.push(0xf0)
  if (encoding.constraints.pp === 15 && random.oneIn(5)) list.push(0x66)
  if (random.oneIn(12)) list.push(random.pick([0x64, 0x65, 0x65, 0x2e, 0x36]))
  if (random.oneIn(12)) list.push(0x67)
  if (random.oneIn(12)) list.push(random.pick([0xf2, 0xf3]))
  return list
}

/** One instruction. The table's lines are drawn evenly, so rare instructions are as frequent as common ones. */
export function randomInstruction(random: Random, shape: Shape = WILD): number[] {
  const size = shape.codeSize ?? 64
  const [known, unknown] = LINES[size]
  for (;;) {
    const encoding = random.pick(shape.encodings ?? (random.oneIn(16) ? unknown : known))
    const hasRm = encoding.operands.some(({ addressing }) => RM.includes(addressing))
    // REX.X and REX.B, where they belong to a memory operand, are chosen with it.
    const own =
      size !== 64 || random.oneIn(3)
        ? 0
        : 0x40 | (random.below(2) << 3) | (random.below(2) << 2) | (hasRm ? 0 : random.below(2))
    const before = prefixes(random, encoding)
    const operand = modrm(random, encoding, shape)
    const rex = size === 64 && hasRm && operand.rex !== 0 ? 0x40 | own | operand.rex : own
    const bytes = assemble(
      encoding,
      hasRm ? [...before, ...(operand.prefixes ?? [])] : before,
      (encoding.flags & EncodingFlag.vex) !== 0 ? (rex & 15) | (random.below(16) << 8) : rex,
      [...operand.bytes],
      immediates(random, encoding),
    )
    if (decode(bytes, size) && decoded.length <= MAX_LENGTH && shape.accepts(decoded))
      return bytes.slice(0, decoded.length)
  }
}

/** The lines that the generator draws from of the instructions that a pattern names. */
export function encodingsOf(names: RegExp): EncodingNotation[] {
  return KNOWN.filter(({ name }) => names.test(name))
}

/** MOV r64, imm64 */
export function loadRegister(register: number, value: bigint): number[] {
  const bytes = Array.from({ length: 8 }, (_, at) => Number((value >> BigInt(at * 8)) & 0xffn))
  return [register < 8 ? 0x48 : 0x49, 0xb8 | (register & 7), ...bytes]
}

/** How many of the table's lines the generator draws from; a test of it. */
export const KNOWN_ENCODINGS = KNOWN.length
