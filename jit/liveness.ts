/** Who can see the flags that a block is entered with: instructions of the region, ways out of it, or nobody. */
import { type Block, successorsOf } from './blocks.ts'
import { effectsOf } from './effects.ts'
import type { FlagsNeed } from './paths.ts'

/** What a block does with them until it has set them all; `through` when it never does. */
function needOf({ instructions }: Block): { need: FlagsNeed; through: boolean } {
  let left = false
  for (const { instruction } of instructions) {
    const { readsFlags, setsFlags, mayLeave } = effectsOf(instruction)
    if (readsFlags) return { need: 'pieces', through: false }
    left ||= mayLeave
    if (setsFlags) return { need: left ? 'any' : 'none', through: false }
  }
  return { need: left ? 'any' : 'none', through: true }
}

/** Whether control may leave the region at the block's end. */
function leavesAtEnd({ terminator }: Block, isLoopHeader: (block: number) => boolean): boolean {
  const out = ({ block }: { block: number }): boolean => block < 0 || isLoopHeader(block)
  switch (terminator.kind) {
    case 'goto':
      return out(terminator.target)
    case 'branch':
      return out(terminator.next) || out(terminator.taken)
    default:
      return true
  }
}

/**
 * The need for each block's entry.
 *
 * @param checksBudget whether a jump to a block may leave the region for want of budget
 */
export function flagsNeededAt(
  blocks: readonly Block[],
  checksBudget: (block: number) => boolean,
): readonly FlagsNeed[] {
  const uses = blocks.map((block) => {
    const use = needOf(block)
    return use.through && use.need === 'none' && leavesAtEnd(block, checksBudget)
      ? { ...use, need: 'any' as const }
      : use
  })
  const needs = uses.map(({ need }) => need)
  const rank = { none: 0, any: 1, pieces: 2 } as const
  for (let changed = true; changed; ) {
    changed = false
    for (let block = blocks.length - 1; block >= 0; block--) {
      if (!uses[block]?.through) continue
      for (const to of successorsOf(blocks[block] as Block)) {
        const need = needs[to] as FlagsNeed
        if (rank[need] <= rank[needs[block] as FlagsNeed]) continue
        needs[block] = need
        changed = true
      }
    }
  }
  return needs
}
