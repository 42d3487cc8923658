/** Bit tests, scans, counts, CRC32, and the BMI field instructions. */
import type { Value } from '../wasm/emitter.ts'
import type { Builder } from './builder.ts'
import { instruction } from './table.ts'

type Change = (x: Builder, a: Value, mask: Value) => Value

/**
 * BT, BTS, BTR, BTC. With a register as bit offset a memory operand is a bit string: the operand address has already been
 * moved by offset / size (entry option bitString); the offset within it is taken modulo the size. Only CF is defined.
 */
function bitTest(name: string, change?: Change): void {
  instruction(
    name,
    change ? 'rw r' : 'r r',
    (x, a, b) => {
      const offset = x.let(x.and(b, x.k(x.size - 1)))
      const bit = x.shr(a, offset)
      x.flags.carry(x.binary('and', bit.type === 'i64' ? x.wrap(bit) : bit, x.i32(1)))
      return change?.(x, a, x.shl(x.k(1), offset))
    },
    { bitString: true, addressSized: true },
  )
}

bitTest('bt')
bitTest('bts', (x, a, mask) => x.or(a, mask))
bitTest('btr', (x, a, mask) => x.and(a, x.not(mask)))
bitTest('btc', (x, a, mask) => x.xor(a, mask))

/** Leading zeros within the operand size; `a` may be zero. */
function leadingZeros(x: Builder, a: Value): Value {
  const count = x.unary('clz', a)
  return x.size < 32 ? x.binary('sub', count, x.i32(32 - x.size)) : count
}

function trailingZeros(x: Builder, a: Value): Value {
  // A bit above the operand stops the count at 16.
  return x.unary('ctz', x.size < 32 ? x.binary('or', a, x.i32(1 << x.size)) : a)
}

/** BSF, BSR of zero set ZF and leave the destination, its upper half too. */
for (const [name, index] of [
  ['bsf', trailingZeros],
  ['bsr', (x: Builder, a: Value) => x.binary('sub', x.k(x.size - 1), leadingZeros(x, a))],
] as const) {
  instruction(name, 'rw r', (x, dst, a) => {
    // All but ZF is undefined; OF is cleared, so that the instruction depends on no flags before it.
    x.flags.result(a)
    x.flags.clearAux()
    x.flags.overflow(x.i32(0))
    return x.exchangeIf(x.bool32(a), dst, x.let(index(x, a)))
  })
}

for (const [name, count] of [
  ['tzcnt', trailingZeros],
  ['lzcnt', leadingZeros],
] as const) {
  instruction(name, 'w r', (x, _dst, a) => {
    const r = x.let(count(x, a))
    x.flags.result(r)
    x.flags.clearAux()
    x.flags.overflow(x.i32(0))
    x.flags.carry(x.eqz(a))
    return r
  })
}

instruction('popcnt', 'w r', (x, _dst, a) => {
  x.flags.zeroAndCarry(x.eqz(a), x.i32(0))
  return x.unary('popcnt', a)
})

/** CRC-32C of the low operand bytes of the source, by the runtime's table-free loop. */
instruction('crc32', 'rw r', (x, a, b) => {
  const bytes = (x.operandSizes[1] as number) / 8
  const source = b.type === 'i64' ? b : x.extendUnsigned(b)
  const crc = a.type === 'i64' ? x.wrap(a) : a
  const r = x.call('crc32c', 'i32', crc, source, x.i32(bytes))
  return a.type === 'i64' ? x.extendUnsigned(r) : r
})

// BMI1, BMI2 fields

/** The low `count` bits of a, all of them for a count at or above the size. */
function lowBits(x: Builder, a: Value, count: Value): Value {
  const mask = x.binary('sub', x.binary('shl', x.k(1), count), x.k(1))
  return x.select(x.compare('lt_u', count, x.k(x.size)), x.and(a, mask), a)
}

instruction('bextr', 'w r r', (x, _dst, a, control) => {
  const start = x.let(x.and(control, x.k(0xff)))
  const length = x.let(x.and(x.shr(control, x.k(8)), x.k(0xff)))
  const inRange = x.compare('lt_u', start, x.k(x.size))
  const shifted = x.let(x.select(inRange, x.shr(a, start), x.k(0)))
  const r = x.let(lowBits(x, shifted, length))
  x.flags.logic(r)
  return r
})

instruction('bzhi', 'w r r', (x, _dst, a, index) => {
  const count = x.let(x.and(index, x.k(0xff)))
  const r = x.let(lowBits(x, a, count))
  x.flags.logic(r)
  x.flags.carry(x.compare('ge_u', count, x.k(x.size)))
  return r
})

for (const name of ['pdep', 'pext'] as const) {
  instruction(name, 'w r r', (x, _dst, a, mask) => {
    const r = x.call(name, 'i64', x.toUnsigned64(a), x.toUnsigned64(mask))
    return x.truncate(r, x.size)
  })
}
