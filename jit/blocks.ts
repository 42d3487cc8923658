/** The blocks of a region as the compiler has them: decoded, and cut where something can not be translated. */
import { Decoder } from '../src/cpu/decoder/decoder.ts'
import { DecodeStatus, Instruction } from '../src/cpu/decoder/instruction.ts'
import { codeSizeOf } from '../src/cpu/mode.ts'
import type { BlockSource, RegionSource, Terminator } from './source.ts'

export interface PlacedInstruction {
  /** From the region's page. */
  readonly offset: number
  readonly instruction: Instruction
}

export interface Block {
  readonly offset: number
  /** Without the one that is left to the interpreter, if the block ends so. */
  readonly instructions: readonly PlacedInstruction[]
  /** Behind the last of the instructions. */
  readonly end: number
  readonly terminator: Terminator
}

const LONGEST = 15

function decodeBlock(
  source: BlockSource,
  decoder: Decoder,
  isTranslatable: (instruction: Instruction) => boolean,
): Block {
  const { offset, code, terminator } = source
  const padded = new Uint8Array(code.length + LONGEST)
  padded.set(code)
  const instructions: PlacedInstruction[] = []
  let at = 0
  for (let n = 0; n < source.instructions; n++) {
    const instruction = new Instruction()
    const status = decoder.decode(padded, at, padded.length, instruction)
    if (status !== DecodeStatus.ok) throw new Error(`block at ${offset}: instruction ${n} does not decode`)
    if (!isTranslatable(instruction)) {
      return { offset, instructions, end: offset + at, terminator: { kind: 'interpret' } }
    }
    instructions.push({ offset: offset + at, instruction })
    at += instruction.length
  }
  return { offset, instructions, end: offset + at, terminator }
}

export function decodeBlocks(
  { mode, features, blocks }: RegionSource,
  isTranslatable: (instruction: Instruction) => boolean,
): readonly Block[] {
  const decoder = new Decoder(codeSizeOf(mode), features)
  return blocks.map((block) => decodeBlock(block, decoder, isTranslatable))
}

/** Blocks of the region that control can go to, by number. */
export function successorsOf({ terminator }: Block): number[] {
  const targets = (): readonly { block: number }[] => {
    switch (terminator.kind) {
      case 'goto':
        return [terminator.target]
      case 'branch':
        return [terminator.next, terminator.taken]
      case 'indirect':
        return terminator.targets
      default:
        return []
    }
  }
  return targets()
    .map(({ block }) => block)
    .filter((block) => block >= 0)
}
