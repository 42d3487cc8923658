/** The guest code of a region, disassembled by blocks, and where each block leads. */
import type { Decoder } from '../src/cpu/decoder/decoder.ts'
import { disassemble } from '../src/cpu/decoder/disassemble.ts'
import { DecodeStatus, Instruction, OperandKind } from '../src/cpu/decoder/instruction.ts'
import { nameOf } from '../src/cpu/decoder/opcodes.ts'
import { Decoders } from '../src/cpu/decoders.ts'
import { entryOf } from '../src/cpu/isa/index.ts'
import type { RegionEvent, SourceBlock } from './observer.ts'

export interface ListedBlock {
  /** Linear. */
  readonly address: bigint
  /** Address, bytes and disassembly of each instruction. */
  readonly lines: readonly string[]
  /** Linear addresses of the region's blocks that control may go to from here ... */
  readonly successors: readonly bigint[]
  /** ... and of other places; `computed` stands for those that the guest computes. */
  readonly exits: readonly (bigint | 'computed')[]
}

const PAGE_OFFSET = 0xfffn
const BYTES_WIDTH = 23

export function listBlocks({ rip, mode, features, source }: RegionEvent): ListedBlock[] {
  const decoder = new Decoders(features).of(mode)
  const page = rip & ~PAGE_OFFSET
  const heads = new Set(source.map(({ offset }) => offset))
  return source.map((block) => listBlock(block, decoder, page, heads))
}

function listBlock(block: SourceBlock, decoder: Decoder, page: bigint, heads: ReadonlySet<number>): ListedBlock {
  const { offset, code } = block
  const at = (distance: number): bigint => BigInt.asUintN(64, page + BigInt(distance))
  const instruction = new Instruction()
  const lines: string[] = []
  let next = 0
  while (next < code.length) {
    const ok = decoder.decode(code, next, code.length, instruction) === DecodeStatus.ok
    const end = ok ? next + instruction.length : code.length
    const address = at(offset + next)
    const text = ok ? disassemble(instruction, address) : '(undefined)'
    lines.push(`${hex(address)}: ${hexBytes(code.subarray(next, end)).padEnd(BYTES_WIDTH)} ${text}`)
    next = end
  }
  const targets = lines.length === 0 ? [] : targetsOf(instruction, offset + next)
  const inside = block.successors ?? targets.filter((target) => target !== 'computed' && heads.has(target))
  const outside = targets.filter((target) => target === 'computed' || !heads.has(target))
  return {
    address: at(offset),
    lines,
    successors: (inside as readonly number[]).map(at),
    exits: outside.map((target) => (target === 'computed' ? target : at(target))),
  }
}

/** Where control may go after an instruction, as far as it tells; `next` is the offset behind it. */
function targetsOf(instruction: Instruction, next: number): (number | 'computed')[] {
  const name = nameOf(instruction.name)
  if (instruction.operandCount > 0 && instruction.opKind[0] === OperandKind.rel) {
    const target = next + instruction.immLo
    if (name === 'jmp.rel') return [target]
    return name === 'call.rel' ? [target, next] : [next, target]
  }
  if (!entryOf(name)?.ends) return [next]
  return name === 'call.ind' ? ['computed', next] : ['computed']
}

export function hex(value: bigint): string {
  return value.toString(16).padStart(8, '0')
}

function hexBytes(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ')
}
