/**
 * The numbering of handlers. A handler is an instruction definition at one operand size and operand shape; all that the
 * opcode table can produce in 64-bit mode are enumerated here, the hot ones first, in the same order at build time (the
 * generator) and at run time (the record writer).
 */

import { type Instruction, OperandKind } from '../decoder/instruction.ts'
import { forEachForm, indexOf, nameOf } from '../decoder/opcodes.ts'
import { type Entry, entryOf } from '../isa/index.ts'
import { hotness } from './hot.ts'
import { SPECIAL_OPS } from './record.ts'

export interface Operation {
  readonly entry: Entry
  readonly size: 8 | 16 | 32 | 64
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
}

/** Small codes for the key; kinds that share a code behave alike. */
const KIND_CODE = new Uint8Array(16)
for (const [kind, letter] of Object.entries(SHAPE_LETTER)) KIND_CODE[Number(kind)] = ' rmijscd'.indexOf(letter)
const SIZE_CODE = new Uint8Array(513)
SIZE_CODE[16] = 1
SIZE_CODE[32] = 2
SIZE_CODE[64] = 3

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

function keyOf(
  name: number,
  size: number,
  kind0: number,
  kind1: number,
  kind2: number,
  size0: number,
  size1: number,
  addressSize: number,
): number {
  const kinds = ((KIND_CODE[kind0] as number) << 6) | ((KIND_CODE[kind1] as number) << 3) | (KIND_CODE[kind2] as number)
  const sizes = ((SIZE_CODE[size] as number) << 4) | ((SIZE_CODE[size0] as number) << 2) | (SIZE_CODE[size1] as number)
  return ((((name << 9) | kinds) << 6) | sizes) * 4 + (SIZE_CODE[addressSize] as number)
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

function enumerate(): { list: Operation[]; byKey: Map<number, number> } {
  const found = new Map<string, { operation: Operation; keys: number[] }>()
  forEachForm((name, size, kinds, sizes) => {
    const entry = entryOf(name)
    if (!entry || !inLongMode(name, size)) return
    if (kinds.some((kind) => SHAPE_LETTER[kind] === undefined)) return
    for (const addressSize of entry.addressSized ? ([32, 64] as const) : ([64] as const)) {
      const text = operationName(entry, size, kinds, sizes, addressSize)
      const key = keyOf(
        indexOf(name),
        size,
        kinds[0] ?? 0,
        kinds[1] ?? 0,
        kinds[2] ?? 0,
        sizes[0] ?? 0,
        sizes[1] ?? 0,
        addressSize,
      )
      const known = found.get(text)
      if (known) known.keys.push(key)
      else {
        const operation = {
          entry,
          size: size as Operation['size'],
          kinds: [...kinds],
          sizes: [...sizes],
          addressSize,
          name: text,
        }
        found.set(text, { operation, keys: [key] })
      }
    }
  })
  const ordered = [...found.values()].sort((a, b) => hotness(b.operation.name) - hotness(a.operation.name))
  const byKey = new Map<number, number>()
  ordered.forEach(({ keys }, index) => {
    for (const key of keys) byKey.set(key, SPECIAL_OPS + index)
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
  const kinds = i.opKind
  const count = i.operandCount
  const key = keyOf(
    name,
    i.operandSize,
    count > 0 ? (kinds[0] as number) : 0,
    count > 1 ? (kinds[1] as number) : 0,
    count > 2 ? (kinds[2] as number) : 0,
    count > 0 ? (i.opSize[0] as number) : 0,
    count > 1 ? (i.opSize[1] as number) : 0,
    sized ? i.addressSize : 64,
  )
  return byKey.get(key) ?? -1
}
