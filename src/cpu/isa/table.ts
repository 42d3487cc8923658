/**
 * The registry of instruction definitions. Each name of the opcode table has one entry, which serves every operand size
 * and operand shape in both engines. See builder.ts for what a definition may use.
 */
import { isVex } from '../decoder/opcodes.ts'
import type { Value } from '../wasm/emitter.ts'
import type { Builder } from './builder.ts'

/**
 * How each explicit operand is used: r read, w written, rw both, a address only (LEA, INVLPG), aw the same of memory that is
 * written, a? the address of memory that may or may not be written, but a register's value, which may be written, o the
 * offset in its segment of memory whose elements are accessed one by one, n a plain number (segment, control, debug and x87
 * registers, the selector of a far pointer), j a relative branch target, - ignored.
 *
 * A vector operand that is read is a v128, from memory zero-extended; i32, i64, f32, f64 read its lowest element, as a
 * number, and +f32, +f64 write that, too. int reads a general register or as many bytes of memory, as a number.
 * a and o of a vector register give its place in the CPU state.
 */
export type Use =
  | 'r'
  | 'w'
  | 'rw'
  | 'a'
  | 'aw'
  | 'a?'
  | 'o'
  | 'n'
  | 'j'
  | '-'
  | 'i32'
  | 'i64'
  | 'f32'
  | 'f64'
  | '+f32'
  | '+f64'
  | 'int'

/** Whether a definition gets the address of a memory operand of this use, not its value. */
export function isAddress(use: Use): boolean {
  return use === 'a' || use === 'aw' || use === 'a?' || use === 'o'
}

/** Whether an operand of this use is written. */
export function isWritten(use: Use | undefined): boolean {
  return use !== undefined && (use.includes('w') || use.startsWith('+'))
}

/**
 * Operands that are read or addressed come as values, the others as undefined. The value returned goes to the first
 * operand, a pair to the first and the second. A scalar goes to the lowest element of a vector register, which keeps the rest.
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
  /**
   * The definition asks for the kind of the code (Builder.codeKind): for its stack, for its branch target, for both, or for an
   * address that it makes itself.
   */
  readonly modal: 'stack' | 'branch' | 'call' | 'address' | undefined
  /** A register as second operand moves the memory operand by whole operand sizes (BT and kin). */
  readonly bitString: boolean
  /** A 256-bit operation is the 128-bit one done on each half: the definition runs once for each (Builder.half). */
  readonly lanes: boolean
  /** A memory operand of 128 or 256 bits must be aligned; the default for SSE, but not for AVX. */
  readonly aligned: boolean
  /** May raise SIMD floating-point exceptions, which have been gathered in L.FLOAT_FLAGS when the definition ends. */
  readonly float: boolean
}

const entries = new Map<string, Entry>()

type Options = Partial<Omit<Entry, 'name' | 'uses' | 'define'>>

/** Adds an instruction; `uses` is its operands' uses separated by spaces, empty when it has none. */
export function instruction(name: string, uses: string, define: Definition, options: Options = {}): void {
  if (entries.has(name)) throw new Error(`instruction ${name} is defined twice`)
  entries.set(name, {
    name,
    uses: uses === '' ? [] : (uses.split(' ') as Use[]),
    define,
    ends: options.ends ?? false,
    addressSized: options.addressSized ?? false,
    modal: options.modal ?? (options.bitString ? 'address' : undefined),
    bitString: options.bitString ?? false,
    lanes: options.lanes ?? false,
    aligned: options.aligned ?? !isVex(name),
    float: options.float ?? false,
  })
}

export function entryOf(name: string): Entry | undefined {
  return entries.get(name)
}

export function allEntries(): Iterable<Entry> {
  return entries.values()
}
