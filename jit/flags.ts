/**
 * Flags as the translator has them. The formulas are those of the table (isa/flags.ts); what is added here is that a
 * condition is fused with the instruction that produced it, when that is known (`cmp a, b; jl` becomes a < b), and that the
 * pieces can be put off: where paths meet, the producer's number and operands are kept instead. Only a way out of the
 * region ever makes them.
 */
import { Flags } from '../src/cpu/isa/flags.ts'
import type { Size } from '../src/cpu/isa/vocabulary.ts'
import type { Value } from '../src/cpu/wasm/emitter.ts'
import type { Producer } from './env.ts'
import type { PathBuilder } from './paths.ts'

/** What is known of a producer whose flags were put off. */
export interface LazyKind {
  readonly kind: Producer['kind']
  readonly size: Size
  /** The first value kept is the result, not the first operand. */
  readonly fromResult: boolean
  /** The second operand, where it is a constant. */
  readonly second: bigint | undefined
}

/**
 * What is to be kept of a producer, so that the flags can be made of it. Values that are still in registers cost nothing: of
 * an addition or subtraction that is the result as long as its register holds it (the first operand is gone then).
 */
export function putOff(
  { kind, a, b, result, size, destination }: Producer,
  registers: ReadonlyMap<number, Value>,
): { kind: LazyKind; first: Value; second: Value | undefined } {
  if (kind === 'float') {
    return { kind: { kind, size: size as Size, fromResult: false, second: undefined }, first: a, second: b }
  }
  const held = destination !== undefined && registers.get(destination.register) === destination.value
  const first = held ? destination.value : result
  if (kind !== 'sub' && kind !== 'add') {
    return { kind: { kind, size: size as Size, fromResult: true, second: undefined }, first, second: undefined }
  }
  const lazy: LazyKind = { kind, size: size as Size, fromResult: held, second: b.constant }
  return { kind: lazy, first: held ? first : a, second: b.constant === undefined ? b : undefined }
}

export class TranslatorFlags extends Flags {
  readonly #x: PathBuilder

  constructor(builder: PathBuilder) {
    super(builder)
    this.#x = builder
  }

  #produced(kind: Producer['kind'], a: Value, b: Value, result: Value, size: number = this.#x.size): void {
    const producer = { kind, a, b, result, size }
    this.#x.env.producer = producer
    this.#x.env.lazy = producer
  }

  override sub(a: Value, b: Value, result: Value): void {
    super.sub(a, b, result)
    this.#produced('sub', a, b, result)
  }

  override logic(result: Value): void {
    super.logic(result)
    this.#produced('logic', result, result, result)
  }

  override add(a: Value, b: Value, result: Value): void {
    super.add(a, b, result)
    this.#produced('add', a, b, result)
  }

  override inc(a: Value, result: Value): void {
    super.inc(a, result)
    this.#produced('inc', a, a, result)
  }

  override dec(a: Value, result: Value): void {
    super.dec(a, result)
    this.#produced('dec', a, a, result)
  }

  override compareFloats(a: Value, b: Value): void {
    super.compareFloats(a, b)
    this.#produced('float', a, b, a, a.type === 'f32' ? 32 : 64)
  }

  /** Computes the pieces of a producer that was put off, from what was kept of it, as i64. */
  revive({ kind, size, fromResult, second }: LazyKind, first: Value, other: Value): void {
    const x = this.#x
    if (kind === 'float') {
      this.compareFloats(x.let(x.floatOf(first, size)), x.let(x.floatOf(other, size)))
      return
    }
    x.size = size
    const narrow = (value: Value): Value => (size === 64 ? value : x.let(x.cut(x.wrap(value), size)))
    const kept = narrow(first)
    if (kind === 'logic') this.logic(kept)
    else if (kind === 'inc') this.inc(x.let(x.sub(kept, x.k(1))), kept)
    else if (kind === 'dec') this.dec(x.let(x.add(kept, x.k(1))), kept)
    else {
      const b = second === undefined ? narrow(other) : x.k(second)
      const a = fromResult ? x.let(kind === 'sub' ? x.add(kept, b) : x.sub(kept, b)) : kept
      this[kind](a, b, fromResult ? kept : x.let(x[kind](a, b)))
    }
  }

  override condition(code: number): Value {
    const positive = this.#fused(code >> 1)
    if (positive === undefined) return super.condition(code)
    return code & 1 ? this.#x.eqz(positive) : positive
  }

  #fused(test: number): Value | undefined {
    const p = this.#x.env.producer
    if (!p) return undefined
    if (p.kind === 'float') return this.#ordered(test, p)
    const x = this.#x
    const zero = x.constant(p.result.type, 0)
    if (test === 2) return p.kind === 'sub' ? x.compare('eq', p.a, p.b) : x.eqz(p.result)
    if (test === 4) return x.compare('lt_s', x.signed(p.result, p.size), zero)
    if (p.kind === 'sub') return this.#compared(test, p)
    if (p.kind !== 'logic') return undefined
    if (test === 1 || test === 0) return x.i32(0)
    if (test === 3) return x.eqz(p.result)
    if (test === 6) return x.compare('lt_s', x.signed(p.result, p.size), zero)
    return test === 7 ? x.compare('le_s', x.signed(p.result, p.size), zero) : undefined
  }

  /** Of numbers that are not NaNs: OF, SF and PF are clear. */
  #ordered(test: number, { a, b }: Producer): Value {
    const x = this.#x
    const name = [undefined, 'lt', 'eq', 'le', undefined, undefined, undefined, 'eq'][test]
    return name === undefined ? x.i32(0) : x.apply(`${a.type}.${name}`, 'i32', a, b)
  }

  #compared(test: number, { a, b, size }: Producer): Value | undefined {
    const x = this.#x
    if (test === 1) return x.compare('lt_u', a, b)
    if (test === 3) return x.compare('le_u', a, b)
    if (test === 6) return x.compare('lt_s', x.signed(a, size), x.signed(b, size))
    return test === 7 ? x.compare('le_s', x.signed(a, size), x.signed(b, size)) : undefined
  }
}
