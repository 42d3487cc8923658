/**
 * Slots of pages that have just been used (L.PAGE_SLOTS), one for each base register of a memory operand and some for pages of
 * constant addresses. Programs stay on a page for a while, by the register that they go through it with; then the look-up
 * in the TLB, ten instructions with two loads that depend on each other, is an AND and a comparison.
 *
 * The slots lie in memory, not in locals: locals that a rare path changes cost a move at each meeting of paths (a loop that
 * stores one word a turn had seven moves between stack slots).
 *
 * A slot's tag is compared with the address without its offset but with the bits that an aligned operand has clear: so one
 * comparison also says that the operand does not cross into the next page, and L.NO_PAGE, which has one of the bits in
 * between set, compares equal with no address. What is not aligned goes through the TLB; of a vector that need not be aligned
 * the page alone is compared, and then whether it crosses.
 */
import { type Instruction, NO_REGISTER, RIP_BASE, Segment } from '../src/cpu/decoder/instruction.ts'
import * as L from '../src/cpu/layout.ts'

const REGISTERS = 16
const OTHERS = L.PAGE_SLOT_COUNT - REGISTERS
const RSP_NUMBER = 4
const PAGE = 4096

function slot(number: number): number {
  return L.PAGE_SLOTS + number * L.PAGE_SLOT_SIZE
}

/** The slot of pushes, pops, calls and returns: that of RSP. */
export const STACK_SLOT = slot(RSP_NUMBER)

/** The slot of an instruction's memory operand; it lies at `offset` from the region's page. */
export function slotOf(i: Instruction, offset: number): number {
  const page = (address: number): number => slot(REGISTERS + ((address >>> 12) % OTHERS))
  if (i.memSegment === Segment.fs || i.memSegment === Segment.gs) return page(i.dispLo)
  if (i.memBase === RIP_BASE) return page(offset + i.length + i.dispLo)
  // The base of an array is in the displacement, or in the base register.
  const isFar = Math.abs(i.dispLo) >= PAGE
  return i.memBase === NO_REGISTER || isFar ? page(i.dispLo) : slot(i.memBase)
}
