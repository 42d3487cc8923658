/**
 * Shifts and rotates. The count is masked to 5 bits (6 for 64-bit operands); a masked count of zero changes no flag, any
 * other sets CF, and OF as the manuals define it for a count of one (for other counts, where it is undefined, the same
 * formula serves). Shifts of 8, 16 and 32 bits are done in 64, where no bit falls off the end.
 */
import type { Value } from '../wasm/emitter.ts'
import type { Builder } from './builder.ts'
import { instruction } from './table.ts'

/** The count as i64 or i32 of the operand's type, masked. */
function maskedCount(x: Builder, count: Value): Value {
  const wide = count.type === 'i64' ? x.wrap(count) : count
  return x.let(x.binary('and', wide, x.i32(x.size === 64 ? 63 : 31)))
}

function wide(x: Builder, count: Value): Value {
  return x.extendUnsigned(count)
}

/** Runs `body` for a count that is not zero and gives its result, else the operand unchanged. */
function unlessZero(x: Builder, count: Value, a: Value, body: () => Value): Value {
  if (count.constant !== undefined) return count.constant === 0n ? a : body()
  const result = x.variable(a.type)
  x.assign(result, a)
  x.if(count, () => x.assign(result, body()))
  return result
}

function shiftFlags(x: Builder, result: Value, carry: Value, overflow: Value): void {
  x.flags.result(result)
  x.flags.clearAux()
  x.flags.carry(carry)
  x.flags.overflow(overflow)
}

function bit0(x: Builder, value: Value): Value {
  return x.binary('and', value.type === 'i64' ? x.wrap(value) : value, x.i32(1))
}

instruction('shl', 'rw r', (x, a, b) => {
  const count = maskedCount(x, b)
  return unlessZero(x, count, a, () => {
    const n = x.let(wide(x, count))
    const before = x.let(x.binary('shl', x.toUnsigned64(a), x.binary('sub', n, x.i64(1))))
    const carry = x.let(bit0(x, x.binary('shr_u', before, x.i64(x.size - 1))))
    const r = x.let(x.truncate(x.binary('shl', before, x.i64(1)), x.size))
    shiftFlags(x, r, carry, x.binary('xor', x.msb(r), carry))
    return r
  })
})

instruction('shr', 'rw r', (x, a, b) => {
  const count = maskedCount(x, b)
  return unlessZero(x, count, a, () => {
    const n = x.let(wide(x, count))
    const before = x.let(x.binary('shr_u', x.toUnsigned64(a), x.binary('sub', n, x.i64(1))))
    const r = x.let(x.truncate(x.binary('shr_u', before, x.i64(1)), x.size))
    shiftFlags(x, r, bit0(x, before), x.msb(a))
    return r
  })
})

instruction('sar', 'rw r', (x, a, b) => {
  const count = maskedCount(x, b)
  return unlessZero(x, count, a, () => {
    const n = x.let(wide(x, count))
    const before = x.let(x.binary('shr_s', x.toSigned64(a), x.binary('sub', n, x.i64(1))))
    const r = x.let(x.truncate(x.binary('shr_s', before, x.i64(1)), x.size))
    shiftFlags(x, r, bit0(x, before), x.i32(0))
    return r
  })
})

/** `a` rotated by a count that may exceed the operand size. */
function rotate(x: Builder, direction: 'left' | 'right', a: Value, count: Value): Value {
  const op = direction === 'left' ? 'rotl' : 'rotr'
  if (x.size === 64) return x.binary(op, a, x.extendUnsigned(count))
  if (x.size === 32) return x.binary(op, a, count)
  const n = x.let(x.binary('and', count, x.i32(x.size - 1)))
  const back = x.binary('sub', x.i32(x.size), n)
  const [first, second] = direction === 'left' ? (['shl', 'shr_u'] as const) : (['shr_u', 'shl'] as const)
  return x.cut(x.or(x.binary(first, a, n), x.binary(second, a, back)))
}

instruction('rol', 'rw r', (x, a, b) => {
  const count = maskedCount(x, b)
  return unlessZero(x, count, a, () => {
    const r = x.let(rotate(x, 'left', a, count))
    const carry = x.let(bit0(x, r))
    x.flags.carry(carry)
    x.flags.overflow(x.binary('xor', x.msb(r), carry))
    return r
  })
})

instruction('ror', 'rw r', (x, a, b) => {
  const count = maskedCount(x, b)
  return unlessZero(x, count, a, () => {
    const r = x.let(rotate(x, 'right', a, count))
    const carry = x.let(x.msb(r))
    x.flags.carry(carry)
    x.flags.overflow(x.binary('xor', carry, bit0(x, x.shr(r, x.k(x.size - 2)))))
    return r
  })
})

/**
 * Rotation through carry of size + 1 bits: bit `size` is CF. The result and the new CF for a count of 1 to size.
 * Up to 32 bits the whole ring fits an i64; at 64 bits CF is put in by hand.
 */
function rotateThroughCarry(
  x: Builder,
  direction: 'left' | 'right',
  a: Value,
  count: Value,
): { r: Value; carry: Value } {
  const cf = x.let(x.extendUnsigned(x.flags.cf()))
  const n = x.let(wide(x, count))
  const [out, back] = direction === 'left' ? (['shl', 'shr_u'] as const) : (['shr_u', 'shl'] as const)
  if (x.size === 64) {
    // Bits that come round: shifted by 65 - n in two steps, since 64 is too far for one.
    const around = x.binary(back, x.binary(back, a, x.i64(1)), x.binary('sub', x.i64(64), n))
    const aroundOrNone = x.select(x.compare('eq', n, x.i64(1)), x.i64(0), around)
    const cfAt = direction === 'left' ? x.binary('sub', n, x.i64(1)) : x.binary('sub', x.i64(64), n)
    const r = x.let(x.or(x.or(x.binary(out, a, n), aroundOrNone), x.binary('shl', cf, cfAt)))
    const lastOut = direction === 'left' ? x.binary('sub', x.i64(64), n) : x.binary('sub', n, x.i64(1))
    return { r, carry: x.let(bit0(x, x.binary('shr_u', a, lastOut))) }
  }
  const ring = x.let(x.or(x.toUnsigned64(a), x.binary('shl', cf, x.i64(x.size))))
  const turned = x.or(x.binary(out, ring, n), x.binary(back, ring, x.binary('sub', x.i64(x.size + 1), n)))
  const whole = x.let(turned)
  const carry = x.let(bit0(x, x.binary('shr_u', whole, x.i64(x.size))))
  return { r: x.let(x.truncate(whole, x.size)), carry }
}

/** The count modulo size + 1; 32- and 64-bit counts are already smaller. */
function ringCount(x: Builder, count: Value): Value {
  return x.size >= 32 ? count : x.let(x.binary('rem_u', count, x.i32(x.size + 1)))
}

instruction('rcl', 'rw r', (x, a, b) => {
  const count = ringCount(x, maskedCount(x, b))
  return unlessZero(x, count, a, () => {
    const { r, carry } = rotateThroughCarry(x, 'left', a, count)
    x.flags.carry(carry)
    x.flags.overflow(x.binary('xor', x.msb(r), carry))
    return r
  })
})

instruction('rcr', 'rw r', (x, a, b) => {
  const count = ringCount(x, maskedCount(x, b))
  return unlessZero(x, count, a, () => {
    const { r, carry } = rotateThroughCarry(x, 'right', a, count)
    x.flags.carry(carry)
    x.flags.overflow(x.binary('xor', x.msb(r), bit0(x, x.shr(r, x.k(x.size - 2)))))
    return r
  })
})

/**
 * SHLD and SHRD. At 16 bits a count above 16 is undefined; the operands then act as one ring a:b:a, as processors do.
 * OF for a count of one: the sign changed.
 */
function doubleShift(x: Builder, direction: 'left' | 'right', a: Value, b: Value, count: Value): Value {
  const n = x.let(wide(x, count))
  const less = x.let(x.binary('sub', n, x.i64(1)))
  let r: Value
  let carry: Value
  if (x.size === 64) {
    const [out, back] = direction === 'left' ? (['shl', 'shr_u'] as const) : (['shr_u', 'shl'] as const)
    r = x.let(x.or(x.binary(out, a, n), x.binary(back, b, x.binary('sub', x.i64(64), n))))
    carry = bit0(x, x.binary('shr_u', a, direction === 'left' ? x.binary('sub', x.i64(64), n) : less))
  } else {
    const size = x.i64(x.size)
    const high = x.toUnsigned64(direction === 'left' ? a : b)
    const low = x.toUnsigned64(direction === 'left' ? b : a)
    let both = x.binary('or', x.binary('shl', high, size), low)
    if (x.size === 16) {
      // The third part of the ring: below for SHLD, above for SHRD.
      const again = x.toUnsigned64(a)
      both =
        direction === 'left'
          ? x.binary('or', x.binary('shl', both, size), again)
          : x.binary('or', both, x.binary('shl', again, x.i64(32)))
    }
    const ring = x.let(both)
    if (direction === 'left') {
      const before = x.let(x.binary('shl', ring, less))
      carry = bit0(x, x.binary('shr_u', before, x.i64(x.size === 16 ? 47 : 63)))
      r = x.let(x.truncate(x.binary('shr_u', x.binary('shl', before, x.i64(1)), x.i64(32)), x.size))
    } else {
      const before = x.let(x.binary('shr_u', ring, less))
      carry = bit0(x, before)
      r = x.let(x.truncate(x.binary('shr_u', before, x.i64(1)), x.size))
    }
  }
  shiftFlags(x, r, carry, x.binary('xor', x.msb(r), x.msb(a)))
  return r
}

for (const [name, direction] of [
  ['shld', 'left'],
  ['shrd', 'right'],
] as const) {
  instruction(name, 'rw r r', (x, a, b, c) => {
    const count = maskedCount(x, c)
    return unlessZero(x, count, a, () => doubleShift(x, direction, a, b, count))
  })
}

// BMI2: no flags; the count is masked to the operand size.

function plainCount(x: Builder, count: Value): Value {
  return x.and(count, x.k(x.size - 1))
}

instruction('shlx', 'w r r', (x, _dst, a, count) => x.shl(a, plainCount(x, count)))
instruction('shrx', 'w r r', (x, _dst, a, count) => x.shr(a, plainCount(x, count)))
instruction('sarx', 'w r r', (x, _dst, a, count) => x.binary('shr_s', a, plainCount(x, count)))
instruction('rorx', 'w r r', (x, _dst, a, count) => x.binary('rotr', a, plainCount(x, count)))
