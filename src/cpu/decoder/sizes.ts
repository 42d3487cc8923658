/**
 * Operand widths. A size letter of the table means a width that depends on the operand size, REX.W or VEX.W, VEX.L and
 * the mode. The first three make a four-bit "size context"; a decoder holds one array of widths, by letter and context.
 */

import { EncodingFlag, type EncodingNotation, SIZE_LETTERS, type SizeLetter } from './notation.ts'

export type CodeSize = 16 | 32 | 64

/** Operand size in bits 1:0 of the size context: 0 = 16, 1 = 32, 2 = 64. */
export const CONTEXT_W = 4
export const CONTEXT_L = 8
export const CONTEXTS = 16

const FIXED: Partial<Record<SizeLetter, number>> = { '': 0, b: 8, w: 16, d: 32, q: 64, dq: 128, qq: 256, t: 80 }

/** Width in bits of a size letter. */
export function widthOf(letter: SizeLetter, context: number, mode: CodeSize): number {
  const operandSize = 16 << (context & 3)
  const vector = context & CONTEXT_L ? 256 : 128
  switch (letter) {
    case 'v':
      return operandSize
    case 'z':
      return Math.min(operandSize, 32)
    case 'y':
      return context & CONTEXT_W ? 64 : 32
    case 'n':
      return mode === 64 ? 64 : 32
    case 'p':
      return operandSize + 16
    case 'a':
      return operandSize * 2
    case 's':
      return mode === 64 ? 80 : 48
    case 'x':
      return vector
    case 'h':
      return vector / 2
    case 'f':
      return vector / 4
    case 'e':
      return vector / 8
    default:
      return FIXED[letter] ?? 0
  }
}

/** Widths by `letter index << 4 | context`. */
export function widthTable(mode: CodeSize): Uint16Array {
  const table = new Uint16Array(SIZE_LETTERS.length * CONTEXTS)
  SIZE_LETTERS.forEach((letter, index) => {
    for (let context = 0; context < CONTEXTS; context++) {
      table[index * CONTEXTS + context] = widthOf(letter, context, mode)
    }
  })
  return table
}

/** The modes and size contexts in which an encoding can be met. */
export function contextsOf(encoding: EncodingNotation): { context: number; mode: CodeSize }[] {
  const { flags, constraints } = encoding
  const contexts: { context: number; mode: CodeSize }[] = []
  for (const mode of [16, 32, 64] as const) {
    if (flags & (mode === 64 ? EncodingFlag.i64 : EncodingFlag.o64)) continue
    for (let context = 0; context < CONTEXTS; context++) {
      const w = context & CONTEXT_W ? 1 : 0
      const l = context & CONTEXT_L ? 1 : 0
      if (((constraints.w >> w) & 1) === 0 || ((constraints.l >> l) & 1) === 0) continue
      if (l === 1 && (flags & EncodingFlag.vex) === 0) continue
      if (operandSizesOf(flags, mode, w).includes(context & 3)) contexts.push({ context, mode })
    }
  }
  return contexts
}

/** The operand sizes (0 = 16, 1 = 32, 2 = 64) that prefixes can choose. */
function operandSizesOf(flags: number, mode: CodeSize, w: number): number[] {
  const prefixed = (flags & (EncodingFlag.mandatory66 | EncodingFlag.vex)) === 0
  if (mode === 64) {
    if (w === 1 || flags & EncodingFlag.f64) return [2]
    const size = flags & EncodingFlag.d64 ? 2 : 1
    return prefixed ? [0, size] : [size]
  }
  if (w === 1 && (flags & EncodingFlag.vex) === 0) return []
  if (prefixed) return [0, 1]
  return mode === 16 ? [0] : [1]
}
