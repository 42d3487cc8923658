/** What is known of the machine at a point of translated code. */
import type { FlagComponent } from '../src/cpu/isa/vocabulary.ts'
import type { Value } from '../src/cpu/wasm/emitter.ts'

/** The instruction that set the arithmetic flags: what it did, with its operands. */
export interface Producer {
  /** 'float' is a comparison of two floating-point numbers, which are not NaNs. */
  readonly kind: 'sub' | 'add' | 'inc' | 'dec' | 'logic' | 'float'
  readonly a: Value
  readonly b: Value
  readonly result: Value
  /** Operand size in bits. */
  readonly size: number
  /** The register that the result went to, and its value since. */
  destination?: { readonly register: number; readonly value: Value }
}

export interface Env {
  /** Registers whose value is not in their home. */
  readonly registers: Map<number, Value>
  /** Pieces of the flags whose value is not in their home. */
  readonly flags: Map<FlagComponent, Value>
  /** Who set the flags last, as long as they are as it left them: conditions are made of its operands. */
  producer: Producer | undefined
  /** The same, if the pieces in `flags` can be put off with it. */
  lazy: Producer | undefined
  /** The home of the flags may be a producer instead of the pieces. */
  lazyHome: boolean
  /** Instructions run since the budget was last charged. */
  count: number
}

export function emptyEnv(): Env {
  return { registers: new Map(), flags: new Map(), producer: undefined, lazy: undefined, lazyHome: false, count: 0 }
}

export function copyEnv(env: Env): Env {
  return { ...env, registers: new Map(env.registers), flags: new Map(env.flags) }
}
