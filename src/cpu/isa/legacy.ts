/** What 64-bit mode has lost: BCD arithmetic, PUSHA and POPA, BOUND, INTO, ARPL, LDS and LES, far pointers in the instruction. */
import * as L from '../layout.ts'
import type { Value } from '../wasm/emitter.ts'
import type { Builder } from './builder.ts'
import { instruction } from './table.ts'
import { type Bytes, Vector } from './vocabulary.ts'

const ENDS = { ends: true } as const

// BCD arithmetic, in AL and AH whatever the operand size

const AF = 0x10

/** SF, ZF and PF from AL, and AF. */
function decimalFlags(x: Builder, al: Value, adjusted: Value): void {
  x.writeFlag('result', x.signExtend(al, 8, 64))
  x.writeFlag('aux', x.select(adjusted, x.i32(AF), x.i32(0)))
}

/** Whether the low digit of AL has to be adjusted. */
function lowDigitWrong(x: Builder, al: Value): Value {
  const beyond9 = x.compare('gt_u', x.binary('and', al, x.i32(15)), x.i32(9))
  return x.let(x.binary('or', beyond9, x.flags.af()))
}

for (const [name, operation] of [
  ['daa', 'add'],
  ['das', 'sub'],
] as const) {
  instruction(name, '', (x) => {
    const al = x.gpr(L.RAX, 8)
    const low = lowDigitWrong(x, al)
    const high = x.let(x.binary('or', x.compare('gt_u', al, x.i32(0x99)), x.flags.cf()))
    const adjustment = x.binary('or', x.select(low, x.i32(6), x.i32(0)), x.select(high, x.i32(0x60), x.i32(0)))
    const result = x.let(x.cut(x.binary(operation, al, adjustment), 8))
    // DAA carries out of the low digit only where the high one is adjusted, too.
    const borrow = x.binary('and', low, x.compare('lt_u', al, x.i32(6)))
    x.flags.carry(operation === 'add' ? high : x.binary('or', high, borrow))
    decimalFlags(x, result, low)
    x.setGpr(L.RAX, result, 8)
  })
}

for (const [name, operation] of [
  ['aaa', 'add'],
  ['aas', 'sub'],
] as const) {
  instruction(name, '', (x) => {
    const ax = x.gpr(L.RAX, 16)
    const wrong = lowDigitWrong(x, ax)
    const adjusted = x.binary(operation, ax, x.select(wrong, x.i32(0x106), x.i32(0)))
    const result = x.let(x.binary('and', adjusted, x.i32(0xff0f)))
    x.flags.carry(wrong)
    decimalFlags(x, x.cut(result, 8), wrong)
    x.setGpr(L.RAX, result, 16)
  })
}

/** The base is 10 as a rule, but any byte will do; AAM divides by it. */
instruction('aam', 'r', (x, immediate) => {
  const base = x.let(x.cut(immediate, 8))
  x.if(x.eqz(base), () => x.raise(Vector.de))
  const al = x.gpr(L.RAX, 8)
  const digit = x.let(x.binary('rem_u', al, base))
  const rest = x.binary('div_u', al, base)
  x.flags.logic(x.let(x.signExtend(digit, 8)))
  x.setGpr(L.RAX, x.binary('or', x.binary('shl', rest, x.i32(8)), digit), 16)
})

instruction('aad', 'r', (x, immediate) => {
  const ax = x.gpr(L.RAX, 16)
  const high = x.binary('mul', x.binary('shr_u', ax, x.i32(8)), x.cut(immediate, 8))
  const al = x.let(x.cut(x.binary('add', ax, high), 8))
  x.flags.logic(x.let(x.signExtend(al, 8)))
  x.setGpr(L.RAX, al, 16)
})

/** SALC, which only AMD's manuals name: AL is filled with CF. */
instruction('salc', '', (x) => x.setGpr(L.RAX, x.select(x.flags.cf(), x.i32(0xff), x.i32(0)), 8))

// Stack and checks

instruction('pusha', '', (x) => x.system('pushAll', x.i32(x.size)), ENDS)
instruction('popa', '', (x) => x.system('popAll', x.i32(x.size)), ENDS)
instruction('into', '', (x) => x.system('interruptOnOverflow', x.i32(x.size)), ENDS)

/** #BR unless the signed index lies between the two bounds in memory, inclusive. */
instruction('bound', 'r a', (x, index, address) => {
  const bytes = (x.size / 8) as Bytes
  const signed = x.let(x.signed(index))
  const lower = x.let(x.signed(x.read(address, bytes)))
  const upper = x.signed(x.read(x.binary('add', address, x.i64(bytes)), bytes))
  const outside = x.binary('or', x.compare('lt_s', signed, lower), x.compare('gt_s', signed, upper))
  x.if(outside, () => x.raise(Vector.br))
})

/**
 * The destination's RPL is raised to the source's; ZF tells whether it had to be. Memory that need not be written may be
 * read-only.
 */
instruction('arpl', 'a? r', (x, destination, other) => {
  x.callWithState('checkProtectedMode', 'i32')
  x.leaveOnFault()
  const isMemory = destination.type === 'i64'
  const selector = isMemory ? x.read(destination, 2) : destination
  const level = x.let(x.binary('and', other, x.i32(3)))
  const raised = x.let(x.compare('lt_u', x.binary('and', selector, x.i32(3)), level))
  const result = x.let(x.binary('or', x.binary('and', selector, x.i32(0xfffc)), level))
  if (isMemory) {
    x.if(raised, () => {
      x.callWithState('checkWritable', 'i32', x.accessFlags())
      x.leaveOnFault()
      x.write(destination, result, 2)
    })
  }
  const others = x.binary('and', x.flags.lowByte(), x.i32(0xbf))
  x.flags.setLowByte(x.let(x.binary('or', others, x.binary('shl', raised, x.i32(6)))))
  return isMemory ? undefined : x.exchangeIf(raised, selector, result)
})

// Far pointers

for (const [name, segment] of [
  ['les', 0],
  ['lds', 3],
] as const) {
  instruction(
    name,
    'n a',
    (x, register, address) => {
      x.system('loadFarPointer', x.i32(segment), register, address, x.i32(x.size), x.accessFlags())
    },
    ENDS,
  )
}

instruction('jmp.far_ptr', 'n', (x, selector) => x.system('farJumpDirect', selector, x.wrap(x.farOffset())), ENDS)
instruction(
  'call.far_ptr',
  'n',
  (x, selector) => x.system('farCallDirect', selector, x.wrap(x.farOffset()), x.i32(x.size)),
  ENDS,
)
