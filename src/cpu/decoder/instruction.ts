/**
 * A decoded instruction: what the decoder hands to the interpreter's record writer, to the translator and to the
 * disassembler. One object is reused for every decode (the decoder runs at about 100 ns an instruction and must not
 * allocate), so a caller copies what it wants to keep.
 */

/** Operand kinds. A register operand's number and width are in `opReg` and `opSize`. */
export const OperandKind = {
  none: 0,
  /** General register 0-15; `opSize` 8 with `opReg` 16-19 means AH, CH, DH, BH. */
  gpr: 1,
  /** Memory; base, index, scale, displacement and segment are the instruction's `mem*` fields. */
  mem: 2,
  /** Immediate, already sign- or zero-extended to 64 bits as the instruction uses it: `immLo`, `immHi`. */
  imm: 3,
  /** Second immediate (ENTER's level, EXTRQ-like forms): `imm2`. */
  imm2: 4,
  /** Relative branch: the displacement, sign-extended, in `immLo`, `immHi`; the target is next RIP + displacement. */
  rel: 5,
  /** Far pointer: offset in `immLo`, selector in `imm2`. */
  far: 6,
  /** Segment register: ES 0, CS 1, SS 2, DS 3, FS 4, GS 5. */
  sreg: 7,
  creg: 8,
  dreg: 9,
  /** x87 stack register ST(i). */
  st: 10,
  mmx: 11,
  /** XMM or YMM by `opSize` (128 or 256). */
  xmm: 12,
  /** The constant 1 of the D0/D1 shifts. */
  one: 13,
} as const
export type OperandKind = (typeof OperandKind)[keyof typeof OperandKind]

/** Segment numbers, in the order of the Sreg field. */
export const Segment = { es: 0, cs: 1, ss: 2, ds: 3, fs: 4, gs: 5 } as const

/** `memBase` and `memIndex` value for "no register". */
export const NO_REGISTER = 0xff
/** `memBase` value for RIP-relative addressing: the displacement counts from the next instruction. */
export const RIP_BASE = 0x10

/** What became of a decode. */
export const DecodeStatus = {
  ok: 0,
  /** More bytes are needed than were given: the rest lies on the next page. */
  truncated: 1,
  /** #UD: no such instruction, or LOCK where it may not stand. */
  invalid: 2,
  /** #GP(0): longer than 15 bytes. */
  tooLong: 3,
} as const
export type DecodeStatus = (typeof DecodeStatus)[keyof typeof DecodeStatus]

export const MAX_OPERANDS = 5

export class Instruction {
  status: DecodeStatus = DecodeStatus.ok
  /** Index into the opcode table's list of names. */
  name = 0
  /** Index of the opcode table's line, for `featureOf` and `encodingFlags`. */
  encoding = 0
  /** Bytes in all. For `invalid` the bytes read so far. */
  length = 0
  /** 16, 32 or 64: code size of the mode it was decoded in. */
  mode = 64
  /** Operand size in bits (8, 16, 32, 64), or vector length (128, 256) for VEX and SSE forms. */
  operandSize = 32
  /** Address size in bits: 16, 32, 64. */
  addressSize = 64
  lock = false
  /** The last of F3/F2 that is a repeat prefix rather than a mandatory one: 0, 0xf2 or 0xf3. */
  rep = 0
  /** Segment override given, or NO_REGISTER; `memSegment` already takes it into account. */
  segmentOverride: number = NO_REGISTER
  operandCount = 0
  readonly opKind = new Uint8Array(MAX_OPERANDS)
  readonly opReg = new Uint8Array(MAX_OPERANDS)
  /** Width in bits; 0 for memory operands without one (LEA, INVLPG, FXSAVE). */
  readonly opSize = new Uint16Array(MAX_OPERANDS)
  /** General register 0-15, RIP_BASE or NO_REGISTER. */
  memBase: number = NO_REGISTER
  memIndex: number = NO_REGISTER
  /** Shift count 0-3. */
  memScale = 0
  /** Displacement sign-extended to 64 bits, or the full moffs address. */
  dispLo = 0
  dispHi = 0
  /** Effective segment: SS by default for rSP/rBP bases, DS otherwise; in 64-bit mode only FS and GS have a base. */
  memSegment: number = Segment.ds
  /** Vector SIB (gathers): `memIndex` names an XMM/YMM register. */
  vsib = false
  immLo = 0
  immHi = 0
  imm2 = 0
}

/** Index of the memory operand, or -1. */
export function memoryOperandOf(i: Instruction): number {
  for (let operand = 0; operand < i.operandCount; operand++) if (i.opKind[operand] === OperandKind.mem) return operand
  return -1
}
