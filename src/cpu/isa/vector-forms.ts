/**
 * The forms that most vector instructions have: with MMX and SSE registers the first operand is the destination, too; with
 * AVX (`v` before the name) it is one of its own, and 256 bits are the same for each half.
 */
import type { Value } from '../wasm/emitter.ts'
import type { Builder } from './builder.ts'
import { instruction } from './table.ts'

export type Unary = (x: Builder, a: Value) => Value
export type Binary = (x: Builder, a: Value, b: Value) => Value
/** The last operand is an immediate. */
export type UnaryImmediate = (x: Builder, a: Value, immediate: Value) => Value
export type BinaryImmediate = (x: Builder, a: Value, b: Value, immediate: Value) => Value

export function unary(name: string, operation: Unary): void {
  instruction(name, 'w r', (x, _dst, a) => operation(x, a))
  instruction(`v${name}`, 'w r', (x, _dst, a) => operation(x, a), { lanes: true })
}

export function binary(name: string, operation: Binary): void {
  instruction(name, 'rw r', operation)
  instruction(`v${name}`, 'w r r', (x, _dst, a, b) => operation(x, a, b), { lanes: true })
}

export function unaryImmediate(name: string, operation: UnaryImmediate): void {
  instruction(name, 'w r r', (x, _dst, a, immediate) => operation(x, a, immediate))
  instruction(`v${name}`, 'w r r', (x, _dst, a, immediate) => operation(x, a, immediate), { lanes: true })
}

export function binaryImmediate(name: string, operation: BinaryImmediate): void {
  instruction(name, 'rw r r', operation)
  instruction(`v${name}`, 'w r r r', (x, _dst, a, b, immediate) => operation(x, a, b, immediate), { lanes: true })
}
