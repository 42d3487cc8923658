/** Pieces of programs without control flow that matters: a few instructions that go on behind themselves. */
import { CONDITION, label, le32, little } from './assembler.ts'
import {
  ANY,
  addressed,
  COMMON,
  CONDITIONAL,
  type Context,
  FLAGS,
  LOCKED,
  R11,
  RAX,
  RCX,
  RDI,
  RDX,
  RSI,
  RSP,
  SHIFTS,
  type SiteKind,
  VECTORS,
} from './context.ts'
import { VECTOR_FLIP, VECTOR_NOTHING, VECTOR_UNMAP } from './kernel.ts'
import { LOW_DATA } from './layout.ts'

type Piece = (c: Context) => void

/** Where the sequence of `shake` is kept. */
const SEQUENCE = LOW_DATA + 0x3ff0

const RFLAGS_TF = 0x100
const RFLAGS_AC = 0x40000

function several(c: Context, most: number, piece: () => void): void {
  for (let left = 1 + c.random.below(most); left > 0; left--) piece()
}

/** DIV and IDIV of a dividend that is small enough. */
const division: Piece = (c) => {
  const divisor = c.scratch()
  const signed = c.random.oneIn(2)
  c.withRegister(divisor, true, [0x81], 0xc8, le32(c.random.pick([1, 0x100, 0x10001])))
  c.op(0xb8, ...le32(c.random.u32()))
  c.pair([0x31], RDX, RDX)
  c.withRegister(divisor, c.random.oneIn(2), [0xf7], signed ? 0xf8 : 0xf0)
}

const common: Piece = (c) => several(c, 3, () => c.instruction(COMMON))
const any: Piece = (c) => c.instruction(ANY)
const flags: Piece = (c) => several(c, 5, () => c.instruction(FLAGS))
const locked: Piece = (c) => c.instruction(LOCKED)

/** Writes that depend on something, of a register that is zero more often than others. */
const conditional: Piece = (c) => {
  const register = c.scratch()
  c.pair([0x31], register, register, false)
  several(c, 3, () => c.instruction(CONDITIONAL))
}

/** Shifts by CL, with counts of zero and of the operand size. */
const shifts: Piece = (c) => {
  if (!c.isReserved(RCX)) c.op(0xb1, c.random.pick([0, 0, 1, 8, 31, 32, 33, 63, 64, 255]))
  several(c, 3, () => c.instruction(SHIFTS))
}

/** Both halves of a register's low word, and the whole of it. */
const parts: Piece = (c) => {
  const register = c.random.pick([0, 1, 2, 3].filter((number) => !c.isReserved(number)))
  const high = register | 4
  const writes: (() => void)[] = [
    () => c.op(0xb0 | high, c.random.below(256)),
    () => c.op(0xb0 | register, c.random.below(256)),
    () => c.op(0x00 | c.random.pick([0, 0x10, 0x28, 0x30]), 0xc0 | (register << 3) | high),
    () => c.op(0x66, 0x81, 0xc0 | register, ...le32(c.random.u32()).slice(0, 2)),
    () => c.op(0x0f, 0xb6, 0xc0 | (register << 3) | high),
    () => c.op(0x86, 0xc0 | (register << 3) | high),
    () => c.op(0xfe, 0xc0 | high),
    () => c.op(0x0f, 0x90 | c.random.below(16), 0xc0 | high),
    () => c.op(0x48, 0xff, 0xc0 | register),
  ]
  several(c, 4, () => c.random.pick(writes)())
}

/** MMX, SSE and AVX; a pointer is aligned before, or not. */
const vectors: Piece = (c) => {
  const alignment = c.random.pick([0xf0, 0xe0])
  if (c.random.oneIn(2)) c.withRegister(c.random.pick(c.roles.pointers), true, [0x83], 0xe0, [alignment])
  several(c, 6, () => c.instruction(VECTORS))
}

/** RFLAGS through the stack: kept over a few instructions, read, or written. */
const pushedFlags: Piece = (c) => {
  const { random } = c
  const register = c.scratch()
  switch (random.below(4)) {
    case 0:
      c.op(0x9c)
      several(c, 3, () => c.instruction(FLAGS))
      c.op(0x9d)
      return
    case 1:
      c.op(0x9c)
      c.withRegister(register, false, [], 0x58)
      return
    case 2:
      c.op(0x66, 0x9c)
      c.op(0x66, ...(register > 7 ? [0x41] : []), 0x58 | (register & 7))
      return
    default: {
      const rare = random.oneIn(16) ? random.pick([RFLAGS_TF, RFLAGS_AC]) : 0
      c.op(0x68, ...le32((random.u32() & (random.oneIn(4) ? 0xcd5 : 0x8d5)) | 0x202 | rare))
      c.op(0x9d)
    }
  }
}

const stack: Piece = (c) => {
  const { random } = c
  const pushes: (() => void)[] = [
    () => c.withRegister(random.below(16), false, [], 0x50),
    () => c.op(0x6a, random.below(256)),
    () => c.op(0x68, ...le32(random.u32())),
    () => {
      const { rex, bytes, prefixes = [] } = c.memory(6 << 3)
      c.op(...prefixes, ...(rex ? [0x40 | rex] : []), 0xff, ...bytes)
    },
  ]
  random.pick(pushes)()
  if (random.oneIn(2)) c.instruction(COMMON)
  if (random.oneIn(3)) {
    // POP computes an address with RSP already moved.
    const place = random.oneIn(3) ? addressed(0, RSP, -1, 0, random.pick([-8, -16, -24])) : c.memory(0)
    const { rex, bytes, prefixes = [] } = place
    c.op(...prefixes, ...(rex ? [0x40 | rex] : []), 0x8f, ...bytes)
  } else c.withRegister(c.scratch(), false, [], 0x58)
}

/** MOVS, CMPS, STOS, LODS, SCAS of all sizes, mostly repeated. */
const string: Piece = (c) => {
  const { random } = c
  const saved = [RCX, RSI, RDI].filter((register) => c.isReserved(register))
  for (const register of saved) c.withRegister(register, false, [], 0x50)
  c.load(RSI, c.dataAddress())
  c.load(RDI, c.dataAddress())
  c.load32(RCX, random.pick([0, 1, 2, 7, 40, 300, 1100]))
  const backward = random.oneIn(4)
  if (backward) c.op(0xfd)
  const prefixes = [...random.pick([[], [0xf3], [0xf3], [0xf2]]), ...random.pick([[], [], [0x66], [0x48]])]
  c.op(...prefixes, random.pick([0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf]))
  if (backward) c.op(0xfc)
  for (const register of saved.reverse()) c.withRegister(register, false, [], 0x58)
}

/** A pointer goes on, or begins anew; the index is made small again. */
const move: Piece = (c) => {
  const { random, roles } = c
  const pointer = random.pick(roles.pointers)
  switch (random.below(4)) {
    case 0:
      c.load(pointer, c.dataAddress())
      return
    case 1:
      c.withRegister(pointer, true, [0x83], 0xc0, [random.pick([1, 4, 8, 24, 64, 0xf8])])
      return
    case 2:
      c.pair([0x0f, 0xb6], roles.index, random.below(16))
      return
    default:
      c.withRegister(roles.index, false, [0x81], 0xe0, le32(random.pick([0xff, 0x1f8, 0x7])))
  }
}

/** A register gets the next number of a sequence, so that programs do not settle in one state. */
export const shake: Piece = (c) => {
  const register = c.scratch()
  const field = (register & 7) << 3
  const rex = 0x48 | (register > 7 ? 4 : 0)
  const seed = [field | 4, 0x25, ...le32(SEQUENCE)]
  c.op(rex, 0x69, ...seed, ...le32(0x5851f42d))
  c.op(rex | (register > 7 ? 1 : 0), 0x81, 0xc0 | (register & 7), ...le32(0x14057b7f))
  c.op(rex, 0x89, ...seed)
  c.op(rex | (register > 7 ? 1 : 0), 0xc1, 0xc8 | (register & 7), c.random.pick([8, 17, 32, 40]))
}

/** Instructions that may be overwritten. */
const patchable: Piece = (c) => {
  const { random } = c
  const register = c.scratch()
  switch (random.below(5)) {
    case 0:
      c.addSite(register > 7 ? 2 : 1, 'doubleword')
      c.load32(register, random.u32())
      return
    case 1:
      c.addSite(3, 'byte')
      c.withRegister(register, true, [0x83], random.pick([0xc0, 0xe8, 0xf0, 0xd0]), [random.below(256)])
      return
    case 2:
      c.addSite(3, 'doubleword')
      c.withRegister(register, true, [0x81], random.pick([0xc0, 0xf8, 0xe0]), le32(random.u32()))
      return
    case 3:
      c.addSite(2, 'byte')
      c.op(0x66, 0xb8 | RDX, random.below(256), random.below(256))
      return
    default: {
      const over = label()
      const from = c.asm.at
      c.addSite(0, 'condition')
      c.op(0x70 | random.below(16), 0)
      several(c, 2, () => c.instruction(COMMON))
      c.asm.bind(over)
      c.asm.bytes[from + 1] = over.at - from - 2
    }
  }
}

/** Every so often, by a counter. */
function sometimes(c: Context, body: () => void): void {
  const over = label()
  const mask = c.random.pick(c.manner.patchMasks)
  const counter = c.counter()
  if (mask !== 0) {
    c.onCounter([0xff], 0, counter)
    c.onCounter([0xf7], 0, counter, le32(mask))
    c.asm.jumpIf(CONDITION.ne, over)
  }
  body()
  c.asm.bind(over)
}

/** Overwrites a piece of the code. */
const patch: Piece = (c) => {
  patchable(c)
  sometimes(c, () => overwrite(c, c.random.pick<SiteKind>(['byte', 'byte', 'doubleword', 'condition'])))
  if (c.random.oneIn(2)) patchable(c)
}

/** Shows the other version of a code page. */
const flip: Piece = (c) => sometimes(c, () => c.op(0xcd, VECTOR_FLIP))

function overwrite(c: Context, kind: SiteKind): void {
  const { random, asm } = c
  const place = c.target(kind)
  const field = random.below(8) << 3
  if (kind === 'condition') asm.relative([0x80, 0x35], place, [1], c.alias())
  else if (kind === 'doubleword') {
    const choices: (() => void)[] = [
      () => asm.relative([0x89, 0x05 | field], place, [], c.alias()),
      () => asm.relative([0xc7, 0x05], place, le32(random.u32()), c.alias()),
      () => asm.relative([0xf0, 0xff, 0x05], place, [], c.alias()),
      () => asm.relative([0xf0, 0x0f, 0xc1, 0x05 | (c.isReserved(RDX) ? 0 : RDX << 3)], place, [], c.alias()),
    ]
    random.pick(choices)()
  } else {
    const choices: (() => void)[] = [
      () => asm.relative([0xc6, 0x05], place, [random.below(256)], c.alias()),
      () => asm.relative([0x88, 0x05 | field], place, [], c.alias()),
      () => asm.relative([0x80, 0x05], place, [random.below(256)], c.alias()),
      () => asm.relative([0x0f, 0x90 | random.below(16), 0x05], place, [], c.alias()),
    ]
    random.pick(choices)()
  }
}

/** What leaves the program for the kernel or for the monitor. */
const system: Piece = (c) => {
  const { random } = c
  const wide = (opcode: number, register: number): void =>
    c.op(0xf3, 0x48 | (register > 7 ? 1 : 0), 0x0f, 0xae, opcode | (register & 7))
  const choices: (() => void)[] = [
    () => c.op(0xcd, VECTOR_NOTHING),
    () => c.op(0xcd, VECTOR_UNMAP),
    () => c.op(0x0f, 0xa2),
    () => c.op(0x0f, 0x31),
    () => c.op(0xf4),
    () => c.op(0xcc),
    () => c.op(0xe6, random.below(256)),
    () => c.op(0xed),
    () => wide(random.pick([0xd0, 0xd8]), random.pick(c.roles.pointers)),
    () => wide(random.pick([0xc0, 0xc8]), c.scratch()),
    () => {
      if (c.isReserved(RCX) || c.isReserved(R11)) c.op(0xcd, VECTOR_NOTHING)
      else c.op(0x0f, 0x05)
    },
    () => {
      c.op(0xfa)
      several(c, 2, () => c.instruction(COMMON))
      c.op(0xfb)
    },
  ]
  random.pick(choices)()
}

/** #DE, #UD, #GP, #SS, #PF, and accesses that make them only now and then. */
const faults: Piece = (c) => {
  const { random } = c
  const register = c.scratch()
  const place = random.pick([
    0x50000000n,
    0x7ffffffffffcn,
    0xffff7fffffffffffn,
    0x800000000000n,
    c.placement.codeBase + 0x7ffen,
  ])
  switch (random.below(6)) {
    case 0:
      c.pair([0x31], register, register, false)
      c.withRegister(register, random.oneIn(2), [0xf7], random.pick([0xf0, 0xf8]))
      return
    case 1:
      c.withRegister(c.scratch(), random.oneIn(2), [0xf7], random.pick([0xf0, 0xf8]))
      return
    case 2:
      c.op(0x0f, 0x0b)
      return
    case 3:
      c.op(0x48, 0xb8, ...little(place, 8))
      c.op(0x48, random.pick([0x8b, 0x89, 0x01, 0x3b]), 0x10)
      return
    case 4:
      c.op(0xa1, ...little(place, 8))
      return
    default:
      // RSP, RBP and their likes would mean other operands.
      if ((register & 6) === 4) return
      c.load(register, place)
      c.withRegister(register, true, [random.pick([0x8b, 0x39])], 0)
  }
}

const PIECES: readonly (readonly [weight: number, piece: Piece])[] = [
  [24, common],
  [14, any],
  [16, flags],
  [5, shifts],
  [8, vectors],
  [5, parts],
  [4, locked],
  [4, pushedFlags],
  [4, stack],
  [3, string],
  [5, move],
  [3, patchable],
  [6, shake],
  [2, division],
  [3, conditional],
]
/** What a program may have in particular. */
const THEMES: readonly (readonly Piece[])[] = [
  [system, faults, patch, flip],
  [patch, patch, patch, flip],
  [patch, flip],
  [system],
  [faults],
]
export const THEME_COUNT = THEMES.length

const WEIGHT = PIECES.reduce((sum, [weight]) => sum + weight, 0)

export function writeThemePiece(c: Context): void {
  c.random.pick(THEMES[c.manner.theme] as readonly Piece[])(c)
}

export function writePiece(c: Context): void {
  if (c.random.oneIn(c.manner.rareness)) {
    writeThemePiece(c)
    return
  }
  let choice = c.random.below(WEIGHT)
  for (const [weight, piece] of PIECES) {
    choice -= weight
    if (choice < 0) {
      piece(c)
      return
    }
  }
}

/** One of each instruction that may be overwritten, for those who look for one. */
export function writeSites(c: Context): void {
  c.addSite(1, 'doubleword')
  c.op(0xb8 | RAX, 0, 0, 0, 0)
  c.addSite(1, 'byte')
  c.op(0xb0 | RAX, 0)
  c.addSite(0, 'condition')
  c.op(0x74, 0)
}
