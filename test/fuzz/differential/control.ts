/**
 * Control flow of programs: loops of all kinds, conditions, jump tables, calls and returns that do and do not match. Each
 * writes itself around statements that are written in turn, until the program is long enough.
 */
import { CONDITION, type Label, label, le32 } from './assembler.ts'
import { addressed, type Context, FLAGS, RAX, RCX, RDX, RSP } from './context.ts'
import { writePiece, writeThemePiece } from './pieces.ts'

/** How often loops turn, by depth. */
const TURNS = [
  [20, 60, 150, 400],
  [3, 8, 20, 40],
  [2, 3, 8],
] as const
const PIECES_IN_BLOCK = 4

type FunctionKind = 'plain' | 'argument' | 'past' | 'jump' | 'unwind' | 'recursive'
const FUNCTION_KINDS: readonly FunctionKind[] = [
  'plain',
  'plain',
  'argument',
  'past',
  'jump',
  'unwind',
  'recursive',
  'recursive',
]

interface Routine {
  readonly entry: Label
  readonly kind: FunctionKind
  /** Depth of the recursion, or where to unwind to. */
  readonly counter: number
  /** A recursive one calls itself twice. */
  readonly twice: boolean
}

export class ControlWriter {
  readonly #c: Context
  /** Statements still to be written. */
  #length: number
  readonly #routines: Routine[] = []
  /** Routines that what is written now may call: those with a higher number. */
  #callable = 0
  #inRoutine = false

  constructor(c: Context, length: number, routines: number) {
    this.#c = c
    this.#length = length
    for (let n = 0; n < routines; n++) {
      this.#routines.push({
        entry: label(),
        kind: c.random.pick(FUNCTION_KINDS),
        counter: c.counter(),
        twice: c.random.oneIn(2),
      })
    }
  }

  /** The outer loop's body, then the routines behind `leave`. */
  write(leave: () => void): void {
    const mine = Math.ceil(this.#length / (this.#routines.length + 1))
    const rest = this.#length - mine
    this.#length = mine
    this.#loop(0)
    while (this.#length > 0) this.#statement(0)
    leave()
    this.#inRoutine = true
    this.#routines.forEach((routine, index) => {
      this.#callable = index + 1
      this.#length = Math.ceil(rest / this.#routines.length)
      if (this.#c.random.oneIn(2)) this.#gap()
      this.#routine(routine)
    })
  }

  /** The program goes on in the next page, or at the end of this one. */
  #elsewhere(): void {
    const place = label()
    this.#c.asm.jump(place)
    this.#gap()
    this.#c.asm.bind(place)
    this.#block()
  }

  /** Room without code up to near a page's end. */
  #gap(): void {
    const { asm, random } = this.#c
    const next = (asm.at | 4095) + 1 - random.pick([0, random.below(40), random.below(200)])
    if (next > asm.at && next < asm.bytes.length - 4096) asm.at = next
  }

  #block(): void {
    const { random } = this.#c
    for (let left = 1 + random.below(PIECES_IN_BLOCK); left > 0; left--) writePiece(this.#c)
  }

  #statement(depth: number): void {
    const { random } = this.#c
    this.#length--
    const choice = random.below(17)
    if (this.#length <= 0 || choice < 3) this.#block()
    else if (choice === 16) this.#elsewhere()
    else if (choice < 6) this.#condition(depth)
    else if (choice < 10 && depth < TURNS.length) this.#loop(depth)
    else if (choice < 12) this.#table(depth)
    else if (choice < 15 && this.#callable < this.#routines.length) this.#call()
    else if (depth < TURNS.length && random.oneIn(2)) this.#twoEntries(depth)
    else this.#computed()
  }

  #statements(depth: number, most: number): void {
    for (let left = 1 + this.#c.random.below(most); left > 0; left--) this.#statement(depth)
  }

  // Conditions

  #condition(depth: number): void {
    const { asm, random } = this.#c
    const otherwise = label()
    const end = label()
    this.#c.instruction(FLAGS)
    if (random.oneIn(8)) {
      // JRCXZ over a JMP that leads over another one.
      asm.op(0xe3, 2)
      asm.op(0xeb, 5)
      asm.relative([0xe9], otherwise)
    } else asm.jumpIf(random.below(16), otherwise)
    if (random.oneIn(8)) asm.op(0xeb, 0)
    this.#statements(depth, 2)
    if (random.oneIn(2)) {
      asm.jump(end)
      asm.bind(otherwise)
      this.#statements(depth, 2)
    } else asm.bind(otherwise)
    asm.bind(end)
  }

  /** JMP to an address in a register, or CALL and POP. */
  #computed(): void {
    const { asm, random } = this.#c
    const next = label()
    const register = this.#c.scratch()
    switch (random.below(3)) {
      case 0:
        this.#c.loadAddress(register, next)
        this.#c.withRegister(register, false, [0xff], 0xe0)
        break
      case 1:
        this.#c.loadAddress(register, next)
        this.#c.withRegister(register, false, [], 0x50)
        asm.op(0xc3)
        break
      default:
        asm.call(next)
        asm.bind(next)
        this.#c.withRegister(register, false, [], 0x58)
        this.#block()
        return
    }
    if (random.oneIn(3)) this.#block()
    asm.bind(next)
    this.#block()
  }

  /** A jump table in the code, of addresses or of distances; its cases come in turn, or as a register has it. */
  #table(depth: number): void {
    const { asm, random } = this.#c
    const cases = random.pick([2, 4, 4, 8])
    const table = label()
    const end = label()
    const places = Array.from({ length: cases }, label)
    if (random.oneIn(2)) {
      const turn = this.#c.counter()
      this.#c.onCounter([0xff], 0, turn)
      this.#c.onCounter([0x8b], RAX, turn)
    } else this.#c.pair([0x0f, 0xb6], RAX, random.pick([RAX, RDX, RCX, 3, 8, 13]))
    asm.op(0x83, 0xe0, cases - 1)
    this.#c.loadAddress(RDX, table)
    const addresses = random.oneIn(2)
    if (addresses) asm.op(0xff, 0x24, 0xc2)
    else {
      asm.op(0x48, 0x63, 0x04, 0x82)
      asm.op(0x48, 0x01, 0xd0)
      asm.op(0xff, 0xe0)
    }
    asm.bind(table)
    for (const place of places) {
      if (addresses) asm.pointer(place)
      else asm.distance(place, table)
    }
    for (const place of places) {
      asm.bind(place)
      if (random.oneIn(4)) this.#statement(depth)
      else writePiece(this.#c)
      if (!random.oneIn(4)) asm.jump(end)
    }
    asm.bind(end)
  }

  // Loops

  #turns(depth: number): number {
    return this.#c.random.pick(
      TURNS[Math.min(depth + (this.#inRoutine ? 1 : 0), TURNS.length - 1)] as readonly number[],
    )
  }

  #loop(depth: number): void {
    const { random } = this.#c
    const free = !this.#inRoutine
    if (free && random.oneIn(3)) this.#dataLoop(depth)
    else if (free && random.oneIn(2)) this.#registerLoop(depth)
    else if (random.oneIn(2)) this.#memoryLoop(depth)
    else this.#stackLoop(depth)
  }

  #body(depth: number): void {
    if (depth === 0) writeThemePiece(this.#c)
    this.#statements(depth + 1, depth === 0 ? 4 : 2)
  }

  #registerLoop(depth: number): void {
    const c = this.#c
    const { asm, random } = c
    const counter = c.roles.counters[depth] as number
    const turns = this.#turns(depth)
    const upward = random.oneIn(4)
    c.load32(counter, upward ? 0 : turns)
    const again = asm.here()
    this.#body(depth)
    if (upward) {
      c.withRegister(counter, random.oneIn(2), [0xff], 0xc0)
      c.withRegister(counter, random.oneIn(2), [0x81], 0xf8, le32(turns))
      asm.jumpIf(random.pick([CONDITION.b, CONDITION.l, CONDITION.ne]), again)
    } else if (counter === RCX && random.oneIn(2)) {
      // LOOP reaches 128 bytes only.
      if (asm.at - again.at < 120) asm.op(0xe2, (again.at - asm.at - 2) & 255)
      else {
        asm.op(0x8d, 0x49, 0xff)
        asm.op(0xe3, 5)
        asm.relative([0xe9], again)
      }
    } else this.#countDown(counter, again)
  }

  #countDown(counter: number, again: Label): void {
    const c = this.#c
    const { asm, random } = c
    switch (random.below(4)) {
      case 0:
        c.withRegister(counter, random.oneIn(2), [0xff], 0xc8)
        asm.jumpIf(random.pick([CONDITION.ne, CONDITION.g]), again)
        return
      case 1:
        c.withRegister(counter, random.oneIn(2), [0x83], 0xe8, [1])
        asm.jumpIf(random.pick([CONDITION.ne, CONDITION.a, CONDITION.g]), again)
        return
      case 2:
        c.withRegister(counter, false, [0xff], 0xc8)
        c.withRegister(counter, false, [0x83], 0xf8, [0])
        asm.jumpIf(random.pick([CONDITION.ne, CONDITION.a, CONDITION.g]), again)
        return
      default:
        // The flags of the body live on into the next turn, all of them but those of TEST, or none.
        c.withRegister(counter, true, [0x83], 0xc0, [0xff])
        c.pair([0x85], counter, counter)
        asm.jumpIf(random.pick([CONDITION.ne, CONDITION.g]), again)
    }
  }

  #memoryLoop(depth: number): void {
    const c = this.#c
    const { asm, random } = c
    const counter = c.counter()
    c.onCounter([0xc7], 0, counter, le32(this.#turns(depth)))
    const again = asm.here()
    this.#body(depth)
    if (random.oneIn(2)) c.onCounter(random.oneIn(3) ? [0xf0, 0xff] : [0xff], 1, counter)
    else c.onCounter([0x83], 5, counter, [1])
    asm.jumpIf(random.pick([CONDITION.ne, CONDITION.g]), again)
  }

  #stackLoop(depth: number): void {
    const { asm, random } = this.#c
    asm.op(0x68, ...le32(this.#turns(depth)))
    const again = asm.here()
    const frame = this.#c.frame
    this.#c.frame = 0
    this.#body(depth)
    this.#c.frame = frame
    if (random.oneIn(2)) asm.op(0xff, 0x0c, 0x24)
    else asm.op(0x48, 0x83, 0x2c, 0x24, 1)
    asm.jumpIf(random.pick([CONDITION.ne, CONDITION.g]), again)
    this.#c.withRegister(this.#c.scratch(), false, [], 0x58)
  }

  /** A loop that ends when its own arithmetic says so: Collatz, or a linear congruence. */
  #dataLoop(depth: number): void {
    const c = this.#c
    const { asm, random } = c
    const value = c.roles.counters[depth] as number
    if (depth === 0 && random.oneIn(2)) {
      c.load32(value, 3 + random.below(3000))
      const again = asm.here()
      const even = label()
      const joined = label()
      this.#body(depth)
      c.withRegister(value, false, [0xf7], 0xc0, le32(1))
      asm.jumpIf(CONDITION.e, even)
      const { rex, bytes } = addressed((value & 7) << 3, value, value, 1, 1)
      asm.op(0x40 | rex | (value > 7 ? 4 : 0), 0x8d, ...bytes)
      asm.jump(joined)
      asm.bind(even)
      c.withRegister(value, false, [0xd1], 0xe8)
      asm.bind(joined)
      c.withRegister(value, false, [0x83], 0xf8, [1])
      asm.jumpIf(CONDITION.a, again)
      return
    }
    const again = asm.here()
    this.#body(depth)
    const low = value & 7
    const rex = value > 7 ? [0x45] : []
    asm.op(...rex, 0x69, 0xc0 | (low << 3) | low, ...le32(0x41c64e6d))
    c.withRegister(value, false, [0x81], 0xc0, le32(12345))
    c.withRegister(value, false, [0xf7], 0xc0, le32((depth === 0 ? 63 : 7) << 16))
    asm.jumpIf(CONDITION.ne, again)
  }

  /** A loop that can be entered at its middle. */
  #twoEntries(depth: number): void {
    const { asm, random } = this.#c
    const counter = this.#c.counter()
    const middle = label()
    const end = label()
    this.#c.onCounter([0xc7], 0, counter, le32(this.#turns(depth)))
    this.#c.instruction(FLAGS)
    asm.jumpIf(random.below(16), middle)
    const again = asm.here()
    this.#statement(depth + 1)
    asm.bind(middle)
    this.#statement(depth + 1)
    this.#c.onCounter([0xff], 1, counter)
    asm.jumpIf(CONDITION.le, end)
    if (random.oneIn(3)) {
      this.#c.instruction(FLAGS)
      asm.jumpIf(random.below(16), middle)
    }
    asm.jump(again)
    asm.bind(end)
  }

  // Calls

  #call(): void {
    const { asm, random } = this.#c
    const routine = this.#routines[this.#callable + random.below(this.#routines.length - this.#callable)] as Routine
    const register = this.#c.scratch()
    if (routine.kind === 'recursive') {
      this.#c.onCounter([0xc7], 0, routine.counter, le32(random.pick(routine.twice ? [1, 3, 5] : [2, 20, 60])))
    }
    if (routine.kind === 'argument') asm.op(0x68, ...le32(random.u32()))
    const unwound = label()
    if (routine.kind === 'unwind') this.#noteUnwinding(routine, unwound)
    const choice = random.below(4)
    if (choice === 0) {
      this.#c.loadAddress(register, routine.entry)
      this.#c.withRegister(register, false, [0xff], 0xd0)
    } else if (choice === 1) this.#callThroughMemory(routine)
    else asm.call(routine.entry)
    if (routine.kind === 'past') asm.op(0xff, 0xc0)
    asm.bind(unwound)
  }

  /** Where and with which RSP a routine that unwinds the stack goes on. */
  #noteUnwinding({ counter }: Routine, place: Label): void {
    this.#c.onCounter([0x48, 0x89], RSP, counter)
    this.#c.loadAddress(RAX, place)
    this.#c.onCounter([0x48, 0x89], RAX, counter + 8)
  }

  #callThroughMemory({ entry }: Routine): void {
    const { asm } = this.#c
    const over = label()
    const pointer = label()
    asm.jump(over)
    asm.bind(pointer)
    asm.pointer(entry)
    asm.bind(over)
    asm.relative([0xff, 0x15], pointer)
  }

  #routine(routine: Routine): void {
    const c = this.#c
    const { asm, random } = c
    const { entry, kind, counter } = routine
    asm.bind(entry)
    if (kind === 'recursive') {
      this.#recursion(routine)
      return
    }
    if (kind === 'jump') asm.op(0x58)
    else if (kind === 'past') {
      this.#statement(1)
      asm.op(0x48, 0x83, 0x04, 0x24, 2)
    }
    const frame = kind === 'plain' || kind === 'argument' ? random.pick([0, 0, 0x40]) : 0
    if (frame > 0) asm.op(0x48, 0x83, 0xec, frame)
    if (kind === 'jump') asm.op(0x50)
    c.frame = frame
    this.#statements(1, 3)
    if (kind === 'unwind') this.#unwind(counter)
    while (this.#length > 0) this.#statement(1)
    c.frame = 0
    if (frame > 0) asm.op(0x48, 0x83, 0xc4, frame)
    this.#return(kind)
  }

  #return(kind: FunctionKind): void {
    const { asm, random } = this.#c
    if (kind === 'argument') asm.op(0xc2, 8, 0)
    else if (kind === 'jump') {
      const register = this.#c.scratch()
      this.#c.withRegister(register, false, [], 0x58)
      this.#c.withRegister(register, false, [0xff], 0xe0)
    } else if (random.oneIn(6)) asm.op(0xf3, 0xc3)
    else asm.op(0xc3)
  }

  /** The stack is cut back to where the caller noted it, now and then. */
  #unwind(counter: number): void {
    const { asm, random } = this.#c
    const stay = label()
    this.#c.instruction(FLAGS)
    asm.jumpIf(random.below(16), stay)
    this.#c.onCounter([0x48, 0x8b], RSP, counter)
    this.#c.onCounter([0xff], 4, counter + 8)
    asm.bind(stay)
  }

  /** Calls itself as deep as the counter says, once or twice. */
  #recursion({ entry, counter, twice }: Routine): void {
    const { asm } = this.#c
    const bottom = label()
    this.#c.onCounter([0xff], 1, counter)
    asm.jumpIf(CONDITION.s, bottom)
    this.#block()
    asm.call(entry)
    if (twice) {
      this.#block()
      asm.call(entry)
    }
    this.#block()
    asm.bind(bottom)
    this.#c.onCounter([0xff], 0, counter)
    asm.op(0xc3)
  }
}
