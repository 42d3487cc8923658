/**
 * The numbering of handlers. A handler is an instruction definition at one operand size and operand shape; all that the
 * opcode table can produce in 64-bit mode are enumerated here, the hot ones first, in the same order at build time (the
 * generator) and at run time (the record writer).
 */

import { type Instruction, OperandKind } from '../decoder/instruction.ts'
import { forEachForm, indexOf, NAMES, nameOf } from '../decoder/opcodes.ts'
import { type Entry, entryOf } from '../isa/index.ts'
import { hotness } from './hot.ts'
import { SPECIAL_OPS } from './record.ts'

export interface Operation {
  readonly entry: Entry
  /** Of vector instructions the length, 128 or 256. */
  readonly size: number
  readonly kinds: readonly OperandKind[]
  readonly sizes: readonly number[]
  readonly addressSize: 16 | 32 | 64
  readonly name: string
}

const SHAPE_LETTER: Partial<Record<OperandKind, string>> = {
  [OperandKind.gpr]: 'r',
  [OperandKind.mem]: 'm',
  [OperandKind.imm]: 'i',
  [OperandKind.imm2]: 'i',
  [OperandKind.one]: 'i',
  [OperandKind.rel]: 'j',
  [OperandKind.sreg]: 's',
  [OperandKind.creg]: 'c',
  [OperandKind.dreg]: 'd',
  [OperandKind.st]: 't',
  [OperandKind.mmx]: 'q',
  [OperandKind.xmm]: 'x',
}
const LETTERS = ' rmijscdtqx'

/** Small codes for the key; kinds that share a code behave alike. */
const KIND_CODE = new Uint8Array(16)
for (const [kind, letter] of Object.entries(SHAPE_LETTER)) KIND_CODE[Number(kind)] = LETTERS.indexOf(letter)
const SIZE_CODE = new Uint8Array(257)
for (const [code, size] of [8, 16, 32, 64, 128, 256, 80].entries()) SIZE_CODE[size] = code

/** What a stack operation or near branch can be in 64-bit mode: 64 bits, or 16 where a 66h prefix applies. */
const STACK_NAMES = new Set([
  'push',
  'pop',
  'push.sreg',
  'pop.sreg',
  'pushf',
  'popf',
  'enter',
  'leave',
  'call.rel',
  'call.ind',
  'ret',
  'jmp.rel',
  'jmp.ind',
])

function inLongMode(name: string, size: number): boolean {
  return size !== 32 || !STACK_NAMES.has(name)
}

/** The forms of one name, told apart: 4 bits for each of four kinds, 3 for the operand size and those of two operands, 2 for the address. */
function keyOf(
  kinds: ArrayLike<number>,
  count: number,
  sizes: ArrayLike<number>,
  size: number,
  address: number,
): number {
  let key = SIZE_CODE[address] as number
  for (let operand = 0; operand < count; operand++) {
    key |= (KIND_CODE[kinds[operand] as number] as number) << (2 + operand * 4)
  }
  const size0 = count > 0 ? (SIZE_CODE[sizes[0] as number] as number) : 0
  const size1 = count > 1 ? (SIZE_CODE[sizes[1] as number] as number) : 0
  return key | (size0 << 18) | (size1 << 21) | ((SIZE_CODE[size] as number) << 24)
}

function operationName(
  entry: Entry,
  size: number,
  kinds: readonly number[],
  sizes: readonly number[],
  address: number,
): string {
  const shape = kinds.map((kind, i) => {
    const letter = SHAPE_LETTER[kind as OperandKind] ?? '?'
    // Immediates and branch distances are kept extended to the operand size, so their width in the encoding makes no difference.
    return letter !== 'i' && letter !== 'j' && sizes[i] && sizes[i] !== size ? `${letter}${sizes[i]}` : letter
  })
  return [entry.name, size, ...shape, ...(entry.addressSized && address !== 64 ? [`a${address}`] : [])].join('.')
}

function enumerate(): { list: Operation[]; byKey: Map<number, number>[] } {
  const found = new Map<string, { operation: Operation; keys: number[] }>()
  forEachForm((name, size, kinds, sizes) => {
    const entry = entryOf(name)
    if (!entry || !inLongMode(name, size)) return
    if (kinds.some((kind) => SHAPE_LETTER[kind] === undefined)) return
    for (const addressSize of entry.addressSized ? ([32, 64] as const) : ([64] as const)) {
      const text = operationName(entry, size, kinds, sizes, addressSize)
      const key = keyOf(kinds, kinds.length, sizes, size, addressSize)
      const known = found.get(text)
      if (known) known.keys.push(key)
      else {
        const operation = { entry, size, kinds: [...kinds], sizes: [...sizes], addressSize, name: text }
        found.set(text, { operation, keys: [key] })
      }
    }
  })
  const ordered = [...found.values()].sort((a, b) => hotness(b.operation.name) - hotness(a.operation.name))
  const byKey: Map<number, number>[] = NAMES.map(() => new Map())
  ordered.forEach(({ operation, keys }, index) => {
    for (const key of keys) byKey[indexOf(operation.entry.name)]?.set(key, SPECIAL_OPS + index)
  })
  return { list: ordered.map(({ operation }) => operation), byKey }
}

const { list, byKey } = enumerate()

/** All handlers; the op number is the index plus SPECIAL_OPS. */
export const OPERATIONS: readonly Operation[] = list

/** Whether the name's handlers depend on the address size, by name index. */
const addressSized: boolean[] = []

/** The op number for a decoded instruction, or -1 when no definition serves it. */
export function operationOf(i: Instruction): number {
  const name = i.name
  const sized = (addressSized[name] ??= entryOf(nameOf(name))?.addressSized ?? false)
  const key = keyOf(i.opKind, i.operandCount, i.opSize, i.operandSize, sized ? i.addressSize : 64)
  return byKey[name]?.get(key) ?? -1
}
