/**
 * The arithmetic flags, kept lazily.
 *
 * An instruction that sets flags stores four pieces; the flags are worked out of them where somebody asks (Intel SDM
 * volume 1, 3.4.3.1). The pieces are chosen so that no consumer needs to know which instruction produced them:
 *
 *   result    i64, the result sign-extended from the operand size: ZF = (result = 0), SF = its sign, PF = parity of its
 *             low byte
 *   carry     i32, CF itself, 0 or 1
 *   overflow  i32, OF is its sign bit
 *   aux       i32, in EFLAGS positions: bit 4 is AF; bits 2 and 7 are corrections, xored to the PF and SF of `result`
 *
 * The corrections exist because POPF and SAHF can set combinations that no result has, such as ZF and SF together; an
 * arithmetic instruction leaves them 0. With carry and overflow as pieces of their own, the partial writers (INC, rotates,
 * BT) simply leave the others alone, and ADC reads CF with one load. Computing all of EFLAGS eagerly costs 40 % of the
 * interpreter's speed; keeping the kind of the operation and its operands instead was no faster (703 against 692 million
 * instructions a second) and makes every consumer branch on the kind.
 *
 * Worked example, 8 bits: 0x7f + 1 = 0x80. result = -128, so SF = 1, ZF = 0, and 0x80 has odd parity: PF = 0. carry =
 * (0x80 <u 0x7f) = 0. overflow = (a ^ r) & (b ^ r) = (0xff & 0x81) = 0x81, bit 7 moved to bit 31: OF = 1. aux = (a ^ b ^ r)
 * & 0x10 = (0x7f ^ 0x01 ^ 0x80) & 0x10 = 0x10: AF = 1.
 */
import type { Value } from '../wasm/emitter.ts'
import type { Builder } from './builder.ts'

const AF = 0x10

export class Flags {
  readonly #x: Builder

  constructor(builder: Builder) {
    this.#x = builder
  }

  // Producers. Operands and results are values of the operand size, reusable (bound by let).

  add(a: Value, b: Value, result: Value): void {
    const x = this.#x
    this.#arithmetic(a, b, result, x.compare('lt_u', result, a), 'add')
  }

  /** `carry` is the carry that went in, an i32. */
  adc(a: Value, b: Value, carry: Value, result: Value): void {
    const x = this.#x
    const wrapped = x.binary('and', carry, x.compare('eq', result, a))
    this.#arithmetic(a, b, result, x.binary('or', x.compare('lt_u', result, a), wrapped), 'add')
  }

  sub(a: Value, b: Value, result: Value): void {
    this.#arithmetic(a, b, result, this.#x.compare('lt_u', a, b), 'sub')
  }

  sbb(a: Value, b: Value, carry: Value, result: Value): void {
    const x = this.#x
    const wrapped = x.binary('and', carry, x.compare('eq', a, b))
    this.#arithmetic(a, b, result, x.binary('or', x.compare('lt_u', a, b), wrapped), 'sub')
  }

  inc(a: Value, result: Value): void {
    this.#arithmetic(a, this.#x.k(1), result, undefined, 'add')
  }

  dec(a: Value, result: Value): void {
    this.#arithmetic(a, this.#x.k(1), result, undefined, 'sub')
  }

  /** AND, OR, XOR, TEST: CF and OF are cleared, AF (undefined) too. */
  logic(result: Value): void {
    const x = this.#x
    this.result(result)
    x.writeFlag('carry', x.i32(0))
    x.writeFlag('overflow', x.i32(0))
    x.writeFlag('aux', x.i32(0))
  }

  /**
   * How floating-point numbers compare, which are f32 or f64: CF less, ZF equal, and both and PF when one is a NaN. A result
   * of 0 has PF, which equal numbers have not.
   */
  compareFloats(a: Value, b: Value): void {
    const x = this.#x
    const is = (name: string): Value => x.apply(`${a.type}.${name}`, 'i32', a, b)
    x.writeFlag('result', x.extendUnsigned(x.binary('or', is('lt'), is('gt'))))
    x.writeFlag('carry', x.eqz(is('ge')))
    x.writeFlag('overflow', x.i32(0))
    x.writeFlag('aux', x.binary('shl', is('eq'), x.i32(2)))
  }

  // Pieces

  /** ZF, SF and PF from a result of the operand size. */
  result(value: Value): void {
    this.#x.writeFlag('result', this.#x.toSigned64(value))
  }

  /** CF from an i32 0 or 1. */
  carry(bool: Value): void {
    this.#x.writeFlag('carry', bool)
  }

  /** OF from an i32 0 or 1. */
  overflow(bool: Value): void {
    this.#x.writeFlag('overflow', this.#x.binary('shl', bool, this.#x.i32(31)))
  }

  /** ZF and CF from i32 0 or 1, the others cleared. */
  zeroAndCarry(zf: Value, cf: Value): void {
    const x = this.#x
    const zero = x.let(zf)
    this.carry(cf)
    this.overflow(x.i32(0))
    // A result of 1 has no flag, a result of 0 would have PF, too.
    x.writeFlag('result', x.extendUnsigned(x.eqz(zero)))
    x.writeFlag('aux', x.binary('shl', zero, x.i32(2)))
  }

  /** AF cleared, and PF and SF taken from the result alone. */
  clearAux(): void {
    this.#x.writeFlag('aux', this.#x.i32(0))
  }

  #arithmetic(a: Value, b: Value, result: Value, carry: Value | undefined, kind: 'add' | 'sub'): void {
    const x = this.#x
    this.result(result)
    if (carry) x.writeFlag('carry', carry)
    const changed = x.binary('xor', a, result)
    const other = kind === 'add' ? x.binary('xor', b, result) : x.binary('xor', a, b)
    x.writeFlag('overflow', x.signPosition(x.binary('and', changed, other)))
    const low = [a, b, result].map((value) => (value.type === 'i64' ? x.wrap(value) : value)) as [Value, Value, Value]
    const sum = x.binary('xor', x.binary('xor', low[0], low[1]), low[2])
    x.writeFlag('aux', x.binary('and', sum, x.i32(AF)))
  }

  // Consumers; all give i32 0 or 1.

  cf(): Value {
    return this.#x.readFlag('carry')
  }

  zf(): Value {
    return this.#x.eqz(this.#x.readFlag('result'))
  }

  sf(): Value {
    const x = this.#x
    const sign = x.wrap(x.binary('shr_u', x.readFlag('result'), x.i64(63)))
    const correction = x.binary('and', x.binary('shr_u', x.readFlag('aux'), x.i32(7)), x.i32(1))
    return x.binary('xor', sign, correction)
  }

  of(): Value {
    const x = this.#x
    return x.binary('shr_u', x.readFlag('overflow'), x.i32(31))
  }

  af(): Value {
    const x = this.#x
    return x.binary('and', x.binary('shr_u', x.readFlag('aux'), x.i32(4)), x.i32(1))
  }

  pf(): Value {
    const x = this.#x
    const low = x.binary('and', x.wrap(x.readFlag('result')), x.i32(0xff))
    const odd = x.binary('and', x.unary('popcnt', low), x.i32(1))
    const correction = x.binary('and', x.binary('shr_u', x.readFlag('aux'), x.i32(2)), x.i32(1))
    return x.binary('xor', x.eqz(odd), correction)
  }

  /** One of the sixteen conditions by its code in the opcode: O B E BE S P L LE, odd codes negated. */
  condition(code: number): Value {
    const positive = this.#positive(code >> 1)
    return code & 1 ? this.#x.eqz(positive) : positive
  }

  #positive(code: number): Value {
    const x = this.#x
    switch (code) {
      case 0:
        return this.of()
      case 1:
        return this.cf()
      case 2:
        return this.zf()
      case 3:
        return x.binary('or', this.cf(), this.zf())
      case 4:
        return this.sf()
      case 5:
        return this.pf()
      case 6:
        return this.#less()
      default:
        return x.binary('or', this.#less(), this.zf())
    }
  }

  /** SF <> OF. */
  #less(): Value {
    return this.#x.binary('xor', this.sf(), this.of())
  }

  /** The low byte of EFLAGS, as LAHF gives it. */
  lowByte(): Value {
    const x = this.#x
    const bit = (value: Value, position: number) => x.binary('shl', value, x.i32(position))
    let byte = x.binary('or', this.cf(), x.i32(2))
    byte = x.binary('or', byte, bit(this.pf(), 2))
    byte = x.binary('or', byte, bit(this.af(), 4))
    byte = x.binary('or', byte, bit(this.zf(), 6))
    return x.binary('or', byte, bit(this.sf(), 7))
  }

  /** Sets SF ZF AF PF CF from a byte in EFLAGS positions (SAHF). */
  setLowByte(byte: Value): void {
    const x = this.#x
    const zf = x.let(x.binary('and', byte, x.i32(0x40)))
    const wanted = x.let(x.binary('and', byte, x.i32(0x94)))
    x.writeFlag('carry', x.binary('and', byte, x.i32(1)))
    // A result of 0 has PF set and SF clear, a result of 1 neither: the corrections make up the difference.
    x.writeFlag('result', x.extendUnsigned(x.eqz(zf)))
    x.writeFlag('aux', x.binary('xor', wanted, x.select(zf, x.i32(4), x.i32(0))))
  }
}
