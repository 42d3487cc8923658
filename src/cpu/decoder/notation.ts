/**
 * Reads one line of the opcode table. The notation is that of the opcode maps in Intel SDM volume 2, appendix A:
 *
 *     00 add Eb,Gb lock                     one-byte map
 *     80/0 add Eb,Ib lock                   opcode extension in ModRM.reg
 *     0f.01/7/0 swapgs o64                  ModRM.rm too: the register forms (mod = 11b) only
 *     8e/0,2-5 mov.to_sreg Sw,Ew            several values of ModRM.reg
 *     50+r push Zv d64                      register in the low three bits of the opcode
 *     70+cc j{cc} Jb f64                    sixteen conditions
 *     f3.0f.b8 popcnt Gv,Ev popcnt          mandatory prefix; `np` none of 66/F3/F2, `nfx` neither F3 nor F2
 *     vex.l0.np.0f38.f2 andn Gy,By,Ey bmi1  VEX, with VEX.L and VEX.W where they are part of the opcode
 *
 * An operand is an addressing letter and a size letter of the appendix; `R`, `U`, `N` take only registers and `M` only
 * memory, so they split the encodings of an opcode too. `Rv/Mw` has another width in memory. Letters that the appendix
 * lacks: `L` a register in imm8[7:4], `MX` and `MD` a vector SIB (index as wide as VEX.L says, or always XMM). Sizes
 * that it lacks: `h`, `f`, `e` a half, a quarter, an eighth of the vector; `n` 64 bits in 64-bit mode, else 32.
 * Attributes follow: `lock`, `i64` (invalid in 64-bit mode), `o64` (only there), `d64` and `f64` (operand size defaults
 * to, or is forced to, 64 bits there), `pm` (#UD in real and virtual-8086 mode), `anymod` (ModRM.mod is ignored), `o8`,
 * `oz`, `oy`, `ov`, `ox` (operand size of an instruction whose operands do not tell it), and the CPUID features;
 * `avx/avx2` is one feature for VEX.L = 0 and another for VEX.L = 1.
 */

import { CONDITIONS, FEATURES, type Feature } from './features.ts'

/** How an operand is encoded. */
export const Addressing = {
  gprRm: 0,
  gprReg: 1,
  gprVvvv: 2,
  gprOpcode: 3,
  memory: 4,
  moffs: 5,
  /** One byte or one word, zero-extended. */
  immediateByte: 6,
  immediateWord: 7,
  /** One byte, or two or four, sign-extended to the operand size. */
  immediateByteSigned: 8,
  immediateSigned: 9,
  /** As wide as the operand size: MOV only. */
  immediateFull: 10,
  relative: 11,
  far: 12,
  one: 13,
  fixedGpr: 14,
  fixedSreg: 15,
  sreg: 16,
  creg: 17,
  dreg: 18,
  st: 19,
  fixedSt: 20,
  mmxRm: 21,
  mmxReg: 22,
  xmmRm: 23,
  xmmReg: 24,
  xmmVvvv: 25,
  xmmIs4: 26,
} as const
export type Addressing = (typeof Addressing)[keyof typeof Addressing]

/** The size letters; `sizeOf` in sizes.ts gives the widths. */
export const SIZE_LETTERS = [
  '',
  'b',
  'w',
  'd',
  'q',
  'dq',
  'qq',
  't',
  'v',
  'z',
  'y',
  'n',
  'p',
  'a',
  's',
  'x',
  'h',
  'f',
  'e',
] as const
export type SizeLetter = (typeof SIZE_LETTERS)[number]

/** Which decode-time facts select among the encodings of one opcode, and how many values each has. */
export const AXES = { pp: 4, w: 2, l: 2, b: 2, mod: 2, reg: 8, rm: 8 } as const
export type Axis = keyof typeof AXES
export const AXIS_NAMES: readonly Axis[] = ['pp', 'w', 'l', 'b', 'mod', 'reg', 'rm']

/** The two values of the `mod` axis, as a set. */
export const MEMORY_FORM = 1
export const REGISTER_FORM = 2

export const EncodingFlag = {
  lock: 1,
  i64: 2,
  o64: 4,
  d64: 8,
  f64: 16,
  pm: 32,
  anymod: 64,
  modrm: 128,
  mandatory66: 256,
  mandatoryRepeat: 512,
  vex: 1024,
  vvvv: 2048,
  vsib: 4096,
  vsibXmm: 8192,
} as const

export interface OperandNotation {
  addressing: Addressing
  registerSize: SizeLetter
  memorySize: SizeLetter
  /** Number of a register that the opcode implies. */
  fixed: number
}

export interface EncodingNotation {
  /** 0 the one-byte map, 1 0F, 2 0F38, 3 0F3A; 4 more for VEX. */
  map: number
  opcode: number
  name: string
  /** For every axis the set of its values, as a bit mask. */
  constraints: Record<Axis, number>
  operands: OperandNotation[]
  flags: number
  /** Size letter that `operandSize` is taken from. */
  size: SizeLetter
  features: Feature[]
}

const MAPS = ['', '0f', '0f38', '0f3a']
const PREFIX_SETS: Record<string, number> = { np: 1, '66': 2, f3: 4, f2: 8, nfx: 3 }
const FIXED_GPRS: Record<string, [number, SizeLetter]> = {
  AL: [0, 'b'],
  CL: [1, 'b'],
  AX: [0, 'w'],
  DX: [2, 'w'],
  rAX: [0, 'v'],
  eAX: [0, 'z'],
}
/** Addressing and the width after extension. */
const IMMEDIATES: Record<string, [Addressing, SizeLetter]> = {
  Ib: [Addressing.immediateByte, 'b'],
  Iw: [Addressing.immediateWord, 'w'],
  sIb: [Addressing.immediateByteSigned, 'v'],
  Iz: [Addressing.immediateSigned, 'v'],
  Iv: [Addressing.immediateFull, 'v'],
}
const FIXED_SREGS = ['ES', 'CS', 'SS', 'DS', 'FS', 'GS']
const LETTERS: Record<string, Addressing> = {
  E: Addressing.gprRm,
  R: Addressing.gprRm,
  G: Addressing.gprReg,
  B: Addressing.gprVvvv,
  Z: Addressing.gprOpcode,
  M: Addressing.memory,
  MX: Addressing.memory,
  MD: Addressing.memory,
  O: Addressing.moffs,
  J: Addressing.relative,
  A: Addressing.far,
  S: Addressing.sreg,
  C: Addressing.creg,
  D: Addressing.dreg,
  Q: Addressing.mmxRm,
  N: Addressing.mmxRm,
  P: Addressing.mmxReg,
  W: Addressing.xmmRm,
  U: Addressing.xmmRm,
  V: Addressing.xmmReg,
  H: Addressing.xmmVvvv,
  L: Addressing.xmmIs4,
}

function fail(line: string, why: string): never {
  throw new Error(`opcode table: ${why}: ${line}`)
}

function sizeLetter(text: string, line: string): SizeLetter {
  const letter = SIZE_LETTERS.find((candidate) => candidate === text)
  return letter ?? fail(line, `size ${text}`)
}

/** `0,2-5` as a bit mask. */
function valueSet(text: string): number {
  let set = 0
  for (const range of text.split(',')) {
    const [first = 0, last = first] = range.split('-').map(Number)
    for (let value = first; value <= last; value++) set |= 1 << value
  }
  return set
}

function parseOperand(text: string, encoding: EncodingNotation, line: string): OperandNotation {
  const fixedGpr = FIXED_GPRS[text]
  if (fixedGpr) {
    return { addressing: Addressing.fixedGpr, registerSize: fixedGpr[1], memorySize: '', fixed: fixedGpr[0] }
  }
  const immediate = IMMEDIATES[text]
  if (immediate) return { addressing: immediate[0], registerSize: immediate[1], memorySize: '', fixed: 0 }
  if (FIXED_SREGS.includes(text)) {
    return { addressing: Addressing.fixedSreg, registerSize: 'w', memorySize: '', fixed: FIXED_SREGS.indexOf(text) }
  }
  if (text === '1') return { addressing: Addressing.one, registerSize: 'b', memorySize: '', fixed: 0 }
  if (text === 'ST') return { addressing: Addressing.fixedSt, registerSize: 't', memorySize: '', fixed: 0 }
  if (text === 'STi') {
    encoding.constraints.mod &= REGISTER_FORM
    return { addressing: Addressing.st, registerSize: 't', memorySize: '', fixed: 0 }
  }
  const [first = '', second] = text.split('/')
  const match = /^([A-Z]+)([a-z]*)$/.exec(first) ?? fail(line, `operand ${text}`)
  const [, letter = '', size = ''] = match
  const addressing = LETTERS[letter] ?? fail(line, `operand ${text}`)
  if ('RUN'.includes(letter) && second === undefined) encoding.constraints.mod &= REGISTER_FORM
  if (addressing === Addressing.memory) encoding.constraints.mod &= MEMORY_FORM
  if (letter === 'MX') encoding.flags |= EncodingFlag.vsib
  if (letter === 'MD') encoding.flags |= EncodingFlag.vsib | EncodingFlag.vsibXmm
  if ('BH'.includes(letter)) encoding.flags |= EncodingFlag.vvvv
  if ('ERGMSCDQNPWUV'.includes(letter.charAt(0))) encoding.flags |= EncodingFlag.modrm
  const registerSize = sizeLetter(size, line)
  return { addressing, registerSize, memorySize: second ? sizeLetter(second.slice(1), line) : registerSize, fixed: 0 }
}

/** Operands whose width says nothing about the operation's width. */
const UNSIZED: readonly Addressing[] = [
  Addressing.immediateByte,
  Addressing.immediateWord,
  Addressing.immediateByteSigned,
  Addressing.immediateSigned,
  Addressing.immediateFull,
  Addressing.relative,
  Addressing.far,
  Addressing.one,
  Addressing.fixedSreg,
]
const VECTOR: readonly Addressing[] = [
  Addressing.xmmRm,
  Addressing.xmmReg,
  Addressing.xmmVvvv,
  Addressing.mmxRm,
  Addressing.mmxReg,
]

function operationSize(operands: OperandNotation[]): SizeLetter {
  const vector = operands.filter((operand) => VECTOR.includes(operand.addressing))
  if (vector.length > 0) {
    if (vector.some((operand) => 'xhfe'.includes(operand.registerSize))) return 'x'
    if (vector.some((operand) => operand.registerSize === 'qq')) return 'qq'
    return vector.some((operand) => operand.addressing >= Addressing.xmmRm) ? 'dq' : 'q'
  }
  const isPort = (operand: OperandNotation): boolean =>
    operand.addressing === Addressing.fixedGpr && operand.fixed === 2
  const sized = operands.filter((operand) => !UNSIZED.includes(operand.addressing) && !isPort(operand))
  const letters = sized.map((operand) => operand.registerSize)
  if (letters.some((letter) => ['v', 'p', 'a'].includes(letter))) return 'v'
  return letters.find((letter) => letter !== '') ?? 'v'
}

function parseAttribute(text: string, encoding: EncodingNotation, line: string): void {
  const flag = Object.entries(EncodingFlag).find(([name]) => name === text)
  const feature = FEATURES.find((name) => name === text)
  if (flag) encoding.flags |= flag[1]
  else if (/^o[8dzyvx]$/.test(text)) encoding.size = sizeLetter(text === 'o8' ? 'b' : text.slice(1), line)
  else if (feature) encoding.features.push(feature)
  else fail(line, `attribute ${text}`)
}

function parseKey(key: string, encoding: EncodingNotation, line: string): void {
  const parts = key.split('.')
  const [opcode = '', reg, rm] = (parts.pop() ?? '').split('/')
  for (const part of parts) {
    const prefixes = PREFIX_SETS[part]
    if (part === 'vex') {
      encoding.map += 4
      encoding.flags |= EncodingFlag.vex
    } else if (MAPS.includes(part)) encoding.map += MAPS.indexOf(part)
    else if (prefixes !== undefined) encoding.constraints.pp = prefixes
    else if (part === 'l0' || part === 'l1') encoding.constraints.l = 1 << Number(part[1])
    else if (part === 'w0' || part === 'w1') encoding.constraints.w = 1 << Number(part[1])
    else if (part === 'b0') encoding.constraints.b = 1
    else fail(line, `prefix ${part}`)
  }
  encoding.opcode = Number.parseInt(opcode, 16)
  if (reg !== undefined) {
    encoding.constraints.reg = valueSet(reg)
    encoding.flags |= EncodingFlag.modrm
  }
  if (rm !== undefined) {
    encoding.constraints.rm = valueSet(rm)
    encoding.constraints.mod = REGISTER_FORM
  }
  const { pp } = encoding.constraints
  if ((encoding.flags & EncodingFlag.vex) === 0) {
    if (pp === PREFIX_SETS['66']) encoding.flags |= EncodingFlag.mandatory66
    if (pp === PREFIX_SETS.f3 || pp === PREFIX_SETS.f2) encoding.flags |= EncodingFlag.mandatoryRepeat
  }
}

function parseEncoding(line: string): EncodingNotation {
  const [key = '', name = '', ...rest] = line.split(/\s+/)
  const constraints = { pp: 15, w: 3, l: 3, b: 3, mod: 3, reg: 255, rm: 255 }
  const encoding: EncodingNotation = {
    map: 0,
    opcode: 0,
    name,
    constraints,
    operands: [],
    flags: 0,
    size: 'v',
    features: [],
  }
  parseKey(key, encoding, line)
  const operands = rest[0] !== undefined && /[A-Z]/.test(rest[0]) ? (rest.shift() ?? '') : ''
  if (operands !== '') encoding.operands = operands.split(',').map((text) => parseOperand(text, encoding, line))
  encoding.size = operationSize(encoding.operands)
  for (const attribute of rest) parseAttribute(attribute, encoding, line)
  if (encoding.flags & EncodingFlag.anymod) encoding.constraints.mod = 3
  return encoding
}

/** One line for each value of `+r`, `+cc`, `a/b`. */
function expand(line: string): string[] {
  const feature = /\s([a-z]\w*)\/([a-z]\w*)$/.exec(line)
  if (feature) {
    const plain = line.slice(0, feature.index)
    return [`l0.${plain} ${feature[1]}`, `l1.${plain} ${feature[2]}`]
  }
  const match = /^(.*?)([0-9a-f]{2})\+(r|cc)(.*)$/.exec(line)
  if (!match) return [line]
  const [, before = '', opcode = '', kind, after = ''] = match
  const count = kind === 'cc' ? 16 : 8
  return Array.from({ length: count }, (_, i) => {
    const hex = (Number.parseInt(opcode, 16) + i).toString(16).padStart(2, '0')
    return `${before}${hex}${after.replace('{cc}', CONDITIONS[i] ?? '')}`
  })
}

/** The encodings of a part of the table, in its order. */
export function parseTable(text: string): EncodingNotation[] {
  const lines = text.split('\n').map((line) => line.trim())
  return lines
    .filter((line) => line !== '' && !line.startsWith('#'))
    .flatMap(expand)
    .map(parseEncoding)
}
