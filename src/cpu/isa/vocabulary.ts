/** Words that definitions and builders share. Free of Binaryen, so that the table can be read without loading it. */

export type Size = 8 | 16 | 32 | 64
export type Bytes = 1 | 2 | 4 | 8
/** Of an operand in memory. */
export type OperandBytes = Bytes | 16 | 32

/**
 * How code reaches its operands and stack: in 64-bit mode; in 32-bit mode with flat segments (L.MODE_32); or with a look at each
 * segment, as all other 16- and 32-bit code does.
 */
export type CodeKind = 'long' | 'flat' | 'segmented'

/** A non-canonical or over-limit stack address is #SS, another one #GP. */
export const Access = { data: 0, stack: 1 } as const
export type Access = (typeof Access)[keyof typeof Access]

export const Vector = {
  de: 0,
  db: 1,
  bp: 3,
  of: 4,
  br: 5,
  ud: 6,
  nm: 7,
  df: 8,
  ts: 10,
  np: 11,
  ss: 12,
  gp: 13,
  pf: 14,
  mf: 16,
  ac: 17,
  xm: 19,
} as const

/** The pieces that the arithmetic flags are kept in, see flags.ts. */
export type FlagComponent = 'result' | 'carry' | 'overflow' | 'aux'
