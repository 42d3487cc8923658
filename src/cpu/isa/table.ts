/**
 * The registry of instruction definitions. Each name of the opcode table has one entry, which serves every operand size
 * and operand shape in both engines. See builder.ts for what a definition may use.
 */
import type { Value } from '../wasm/emitter.ts'
import type { Builder } from './builder.ts'

/**
 * How each explicit operand is used: r read, w written, rw both, a address only (LEA, INVLPG), n a plain number (segment,
 * control and debug registers), j a relative branch target, - ignored.
 */
export type Use = 'r' | 'w' | 'rw' | 'a' | 'n' | 'j' | '-'

/**
 * Operands that are read or addressed come as values, the others as undefined. The value returned goes to the first
 * written operand, a pair to the first and the second.
 */
export type Definition = (x: Builder, ...operands: Value[]) => Value | [Value, Value] | undefined | void

export interface Entry {
  readonly name: string
  readonly uses: readonly Use[]
  readonly define: Definition
  /** Control does not simply go on with the next instruction: the trace ends here. */
  readonly ends: boolean
  /** The meaning depends on the address size beyond the memory operand (string instructions, LOOP). */
  readonly addressSized: boolean
  /** A register as second operand moves the memory operand by whole operand sizes (BT and kin). */
  readonly bitString: boolean
}

const entries = new Map<string, Entry>()

type Options = Partial<Pick<Entry, 'ends' | 'addressSized' | 'bitString'>>

/** Adds an instruction; `uses` is its operands' uses separated by spaces, empty when it has none. */
export function instruction(name: string, uses: string, define: Definition, options: Options = {}): void {
  if (entries.has(name)) throw new Error(`instruction ${name} is defined twice`)
  entries.set(name, {
    name,
    uses: uses === '' ? [] : (uses.split(' ') as Use[]),
    define,
    ends: options.ends ?? false,
    addressSized: options.addressSized ?? false,
    bitString: options.bitString ?? false,
  })
}

export function entryOf(name: string): Entry | undefined {
  return entries.get(name)
}

export function allEntries(): Iterable<Entry> {
  return entries.values()
}
