/** Multiplication and division. 128 / 64 is an algorithm of the runtime. */
import * as L from '../layout.ts'
import type { Value } from '../wasm/emitter.ts'
import type { Builder } from './builder.ts'
import { instruction } from './table.ts'
import { Vector } from './vocabulary.ts'

type Signedness = 'signed' | 'unsigned'

function extend(x: Builder, a: Value, signedness: Signedness, size: number = x.size): Value {
  return signedness === 'signed' ? x.toSigned64(a, size) : x.toUnsigned64(a, size)
}

/** High half of the unsigned product of two 64-bit numbers, by halves. */
function multiplyHigh(x: Builder, a: Value, b: Value): Value {
  const low = (value: Value) => x.binary('and', value, x.i64(0xffff_ffff))
  const high = (value: Value) => x.binary('shr_u', value, x.i64(32))
  const [al, ah, bl, bh] = [x.let(low(a)), x.let(high(a)), x.let(low(b)), x.let(high(b))]
  const middle = x.let(x.binary('add', x.binary('mul', ah, bl), high(x.binary('mul', al, bl))))
  const other = x.binary('add', x.binary('mul', al, bh), low(middle))
  return x.binary('add', x.binary('add', x.binary('mul', ah, bh), high(middle)), high(other))
}

/** The signed one: a negative factor takes the other one away. */
function multiplyHighSigned(x: Builder, a: Value, b: Value): Value {
  const negative = (value: Value) => x.binary('shr_s', value, x.i64(63))
  const excess = x.binary('add', x.binary('and', negative(a), b), x.binary('and', negative(b), a))
  return x.binary('sub', multiplyHigh(x, a, b), excess)
}

/** Low and high half of the full product. */
function product(x: Builder, a: Value, b: Value, signedness: Signedness): { low: Value; high: Value } {
  if (x.size === 64) {
    const high = x.let(signedness === 'signed' ? multiplyHighSigned(x, a, b) : multiplyHigh(x, a, b))
    return { low: x.let(x.binary('mul', a, b)), high }
  }
  const full = x.let(x.binary('mul', extend(x, a, signedness), extend(x, b, signedness)))
  const high = x.binary('shr_u', full, x.i64(x.size))
  return { low: x.let(x.truncate(full, x.size)), high: x.let(x.truncate(high, x.size)) }
}

/**
 * CF and OF: the high half is not just the extension of the low one. SF ZF AF PF are undefined: they follow the low half,
 * so that the instruction depends on no flags before it.
 */
function productFlags(x: Builder, low: Value, high: Value, signedness: Signedness): void {
  const extension = signedness === 'signed' ? x.sub(x.k(0), x.shr(low, x.k(x.size - 1))) : x.k(0)
  const significant = x.let(x.compare('ne', high, extension))
  x.flags.result(low)
  x.flags.clearAux()
  x.flags.carry(significant)
  x.flags.overflow(significant)
}

/** rDX:rAX, or AX for bytes. */
function writeDouble(x: Builder, low: Value, high: Value): void {
  if (x.size === 8) {
    x.setGpr(L.RAX, x.binary('or', low, x.binary('shl', high, x.i32(8))), 16)
    return
  }
  x.setGpr(L.RAX, low)
  x.setGpr(L.RDX, high)
}

for (const [name, signedness] of [
  ['mul', 'unsigned'],
  ['imul.1', 'signed'],
] as const) {
  instruction(name, 'r', (x, b) => {
    const { low, high } = product(x, x.gpr(L.RAX), b, signedness)
    productFlags(x, low, high, signedness)
    writeDouble(x, low, high)
  })
}

function multiplyTruncated(x: Builder, a: Value, b: Value): Value {
  const { low, high } = product(x, a, b, 'signed')
  productFlags(x, low, high, 'signed')
  return low
}

instruction('imul.2', 'rw r', (x, a, b) => multiplyTruncated(x, a, b))
instruction('imul.3', 'w r r', (x, _dst, a, b) => multiplyTruncated(x, a, b))

instruction('mulx', 'w w r', (x, _high, _low, b) => {
  const { low, high } = product(x, x.gpr(L.RDX), b, 'unsigned')
  // Both destinations may be the same register: the high half wins.
  return [high, low]
})

/** Up to 32 bits: the dividend fits an i64. */
function divideNarrow(x: Builder, divisor: Value, signedness: Signedness): void {
  const dividend = narrowDividend(x, signedness)
  const by = x.let(extend(x, divisor, signedness))
  x.if(x.eqz(by), () => x.raise(Vector.de))
  if (signedness === 'signed') {
    // -2^63 / -1 overflows in wasm, too: it would trap.
    const overflow = x.binary(
      'and',
      x.eqz(x.binary('xor', by, x.i64(-1))),
      x.eqz(x.binary('xor', dividend, x.i64(1n << 63n))),
    )
    x.if(overflow, () => x.raise(Vector.de))
  }
  const quotient = x.let(x.binary(signedness === 'signed' ? 'div_s' : 'div_u', dividend, by))
  const remainder = x.let(x.binary(signedness === 'signed' ? 'rem_s' : 'rem_u', dividend, by))
  const fits = extend(x, x.let(x.truncate(quotient, x.size)), signedness)
  x.if(x.compare('ne', fits, quotient), () => x.raise(Vector.de))
  writeDouble(x, x.truncate(quotient, x.size), x.truncate(remainder, x.size))
}

function narrowDividend(x: Builder, signedness: Signedness): Value {
  if (x.size === 8) return x.let(extend(x, x.gpr(L.RAX, 16), signedness, 16))
  const high = x.binary('shl', x.extendUnsigned(x.gpr(L.RDX)), x.i64(x.size))
  const both = x.binary('or', high, x.extendUnsigned(x.gpr(L.RAX)))
  if (x.size === 32) return x.let(both)
  return x.let(signedness === 'signed' ? x.extendLow(both, 32) : both)
}

for (const [name, signedness] of [
  ['div', 'unsigned'],
  ['idiv', 'signed'],
] as const) {
  instruction(name, 'r', (x, b) => {
    if (x.size !== 64) return divideNarrow(x, b, signedness)
    // The runtime divides RDX:RAX in place and says whether it could.
    const ok = x.call(signedness === 'signed' ? 'divideSigned' : 'divideUnsigned', 'i32', x.gpr(L.RAX), x.gpr(L.RDX), b)
    x.if(x.eqz(ok), () => x.raise(Vector.de))
    x.setGpr(L.RAX, x.state64(L.QUOTIENT))
    x.setGpr(L.RDX, x.state64(L.REMAINDER))
  })
}
