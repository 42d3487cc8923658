/**
 * The numbering of handlers. A handler is an instruction definition at one operand size and operand shape; all that the
 * opcode table can produce in 64-bit mode are enumerated here, the hot ones first, in the same order at build time (the
 * generator) and at run time (the record writer).
 */

import { type Instruction, OperandKind, Segment } from '../decoder/instruction.ts'
import { forEachForm, indexOf, NAMES, nameOf } from '../decoder/opcodes.ts'
import { type Entry, entryOf } from '../isa/index.ts'
import type { CodeKind } from '../isa/vocabulary.ts'
import { hotness } from './hot.ts'
import { SPECIAL_OPS } from './record.ts'

export interface Operation {
  readonly entry: Entry
  /** Of vector instructions the length, 128 or 256. */
  readonly size: number
  readonly kinds: readonly OperandKind[]
  readonly sizes: readonly number[]
  readonly addressSize: 16 | 32 | 64
  /** Only told apart where the definition asks for it. */
  readonly codeKind: CodeKind
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
  [OperandKind.far]: 'f',
  [OperandKind.mmx]: 'q',
  [OperandKind.xmm]: 'x',
}
const LETTERS = ' rmijscdtqxf'

/** Small codes for the key; kinds that share a code behave alike. */
const KIND_CODE = new Uint8Array(16)
for (const [kind, letter] of Object.entries(SHAPE_LETTER)) KIND_CODE[Number(kind)] = LETTERS.indexOf(letter)
const SIZE_CODE = new Uint8Array(257)
for (const [code, size] of [8, 16, 32, 64, 128, 256, 80].entries()) SIZE_CODE[size] = code

/** Kinds of code in which a form occurs whose definition asks for the kind. */
function kindsOfCode({ modal }: Entry, size: number): readonly CodeKind[] {
  if (modal === undefined) return ['long']
  if (modal === 'address') return ['long', 'flat', 'segmented']
  if (size === 64) return ['long']
  if (size === 32) return ['flat', 'segmented']
  // In flat code a branch with operands of 16 bits is a rare thing, and cuts EIP.
  return modal === 'stack' ? ['long', 'flat', 'segmented'] : ['segmented']
}

/** The kind as far as the operation's definition tells it from others: direct branches are the same in 64-bit and in flat code. */
function handlerKind({ modal }: Entry, kind: CodeKind): CodeKind {
  return modal === 'branch' && kind === 'flat' ? 'long' : kind
}

/** Address sizes as far as the definition depends on them. */
function addressSizes({ addressSized, modal }: Entry, kind: CodeKind): readonly (16 | 32 | 64)[] {
  if (!addressSized) return [64]
  if (modal === undefined) return [16, 32, 64]
  return kind === 'long' ? [32, 64] : [16, 32]
}

const KINDS: readonly CodeKind[] = ['long', 'flat', 'segmented']

/** The forms of one name, told apart: 4 bits for each of four kinds, 3 for the operand size and those of three operands, 2 each for address and code. */
function keyOf(
  kinds: ArrayLike<number>,
  count: number,
  sizes: ArrayLike<number>,
  size: number,
  address: number,
  code: number,
): number {
  let key = SIZE_CODE[address] as number
  for (let operand = 0; operand < count; operand++) {
    key |= (KIND_CODE[kinds[operand] as number] as number) << (2 + operand * 4)
  }
  const sizeOf = (operand: number): number => (operand < count ? (SIZE_CODE[sizes[operand] as number] as number) : 0)
  key |= (sizeOf(0) << 18) | (sizeOf(1) << 21) | (sizeOf(2) << 29)
  return key | ((SIZE_CODE[size] as number) << 24) | (code << 27)
}

function operationName({ entry, size, kinds, sizes, addressSize, codeKind }: Omit<Operation, 'name'>): string {
  const shape = kinds.map((kind, i) => {
    const letter = SHAPE_LETTER[kind] ?? '?'
    // Immediates and branch distances are kept extended to the operand size, so their width in the encoding makes no difference.
    return letter !== 'i' && letter !== 'j' && sizes[i] && sizes[i] !== size ? `${letter}${sizes[i]}` : letter
  })
  const isNear = entry.modal === 'branch' && codeKind === 'long'
  const address = entry.addressSized && addressSize !== 64 ? [`a${addressSize}`] : []
  return [entry.name, isNear ? 'near' : size, ...shape, ...address, ...(codeKind === 'long' ? [] : [codeKind])].join(
    '.',
  )
}

function enumerate(): { list: Operation[]; byKey: Map<number, number>[] } {
  const found = new Map<string, { operation: Operation; keys: number[] }>()
  const add = (form: Omit<Operation, 'name'>): void => {
    const { entry, size, kinds, sizes, addressSize, codeKind } = form
    const handler = { ...form, codeKind: handlerKind(entry, codeKind) }
    const name = operationName(handler)
    const code = entry.modal ? KINDS.indexOf(codeKind) : 0
    const key = keyOf(kinds, kinds.length, sizes, size, addressSize, code)
    const known = found.get(name)
    if (known) known.keys.push(key)
    else found.set(name, { operation: { ...handler, name }, keys: [key] })
  }
  forEachForm((name, size, kinds, sizes) => {
    const entry = entryOf(name)
    if (!entry || kinds.some((kind) => SHAPE_LETTER[kind] === undefined)) return
    for (const codeKind of kindsOfCode(entry, size)) {
      for (const addressSize of addressSizes(entry, codeKind)) {
        add({ entry, size, kinds: [...kinds], sizes: [...sizes], addressSize, codeKind })
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

/** What the name's handlers depend on, by name index. */
const traits: { readonly addressSized: boolean; readonly modal: Entry['modal'] }[] = []

/** The op number for a decoded instruction in code of a kind, or -1 when no definition serves it. */
export function operationOf(i: Instruction, code: CodeKind): number {
  const name = i.name
  const entry = (traits[name] ??= entryOf(nameOf(name)) ?? { addressSized: false, modal: undefined })
  const address = entry.addressSized ? i.addressSize : 64
  const key = keyOf(i.opKind, i.operandCount, i.opSize, i.operandSize, address, codeOf(i, entry.modal, code))
  return byKey[name]?.get(key) ?? -1
}

function codeOf(i: Instruction, modal: Entry['modal'], code: CodeKind): number {
  if (modal === undefined || code === 'long') return 0
  const cutsRip = i.operandSize === 16 && (modal === 'branch' || modal === 'call')
  const segmented = cutsRip || (modal === 'address' && isChecked(i, code))
  return code === 'segmented' || segmented ? 2 : 1
}

/** Whether a memory operand has to be compared with the limit of its segment. */
export function isChecked({ memSegment }: Instruction, code: CodeKind): boolean {
  if (code === 'segmented') return true
  return code === 'flat' && (memSegment === Segment.cs || memSegment === Segment.fs || memSegment === Segment.gs)
}
