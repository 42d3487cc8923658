/**
 * Flags as the translator has them: the formulas are those of the table (isa/flags.ts); here a condition is fused with the
 * instruction that produced it, when that is known: `cmp a, b; jl` becomes a < b.
 */
import { Flags } from '../src/cpu/isa/flags.ts'
import type { Value } from '../src/cpu/wasm/emitter.ts'
import type { TranslatorBuilder } from './builder.ts'

interface Producer {
  readonly kind: 'sub' | 'logic' | 'result'
  readonly a: Value
  readonly b: Value
  readonly result: Value
  readonly size: number
}

export class TranslatorFlags extends Flags {
  readonly #builder: TranslatorBuilder
  #producer: Producer | undefined

  constructor(builder: TranslatorBuilder) {
    super(builder)
    this.#builder = builder
  }

  /** The flags are not those of the last producer any more. */
  forget(): void {
    this.#producer = undefined
  }

  /** For a path that starts where this one is. */
  save(): unknown {
    return this.#producer
  }

  restore(saved: unknown): void {
    this.#producer = saved as Producer | undefined
  }

  override sub(a: Value, b: Value, result: Value): void {
    super.sub(a, b, result)
    this.#producer = { kind: 'sub', a, b, result, size: this.#builder.size }
  }

  override logic(result: Value): void {
    super.logic(result)
    this.#producer = { kind: 'logic', a: result, b: result, result, size: this.#builder.size }
  }

  override add(a: Value, b: Value, result: Value): void {
    super.add(a, b, result)
    this.#producer = { kind: 'result', a, b, result, size: this.#builder.size }
  }

  override inc(a: Value, result: Value): void {
    super.inc(a, result)
    this.#producer = { kind: 'result', a, b: a, result, size: this.#builder.size }
  }

  override dec(a: Value, result: Value): void {
    super.dec(a, result)
    this.#producer = { kind: 'result', a, b: a, result, size: this.#builder.size }
  }

  override condition(code: number): Value {
    const positive = this.#fused(code >> 1)
    if (positive === undefined) return super.condition(code)
    return code & 1 ? this.#builder.eqz(positive) : positive
  }

  #fused(test: number): Value | undefined {
    const p = this.#producer
    if (!p) return undefined
    const x = this.#builder
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

  #compared(test: number, { a, b, size }: Producer): Value | undefined {
    const x = this.#builder
    if (test === 1) return x.compare('lt_u', a, b)
    if (test === 3) return x.compare('le_u', a, b)
    if (test === 6) return x.compare('lt_s', x.signed(a, size), x.signed(b, size))
    return test === 7 ? x.compare('le_s', x.signed(a, size), x.signed(b, size)) : undefined
  }
}
