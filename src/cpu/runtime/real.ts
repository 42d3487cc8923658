// Far transfers and interrupts in real mode, and the far transfers of virtual-8086 mode, which are the same: a selector is a
// paragraph number, and nothing is looked up (Intel SDM volume 3, chapter 20).

import * as L from '../layout'
import { readSystem } from './access'
import { loadFlags, readRflags, virtualTrap, writeRflags } from './flags'
import { commitFrame, onPresentStack, push, takeFrame } from './frame'
import { updateMode } from './mode'
import { writeReal } from './segment'
import { movePointer, pointerAt, readStack } from './stack'
import {
  cpl,
  fault,
  faulted,
  gp0,
  RFLAGS_AC,
  RFLAGS_IF,
  RFLAGS_RF,
  RFLAGS_TF,
  segmentSelector,
  VECTOR_GP,
  virtual8086,
} from './state'

// Whether the limit that CS will have allows an RIP; false with #GP(0).
function ripFits(rip: u64): bool {
  const limit = virtual8086() ? 0xffff : (load<u32>(L.CS + L.SEG_LIMIT) as u64)
  if (rip > limit) gp0()
  return rip <= limit
}

function enter(selector: u32, rip: u64): void {
  writeReal(L.CS, selector)
  updateMode()
  store<u64>(L.RIP, rip)
}

export function farJumpReal(selector: u32, rip: u64): void {
  if (ripFits(rip)) enter(selector, rip)
}

export function farCallReal(selector: u32, rip: u64, bytes: u32): void {
  onPresentStack()
  push(segmentSelector(L.CS) as u64, bytes)
  push(load<u64>(L.NEXT_RIP), bytes)
  if (!ripFits(rip) || !commitFrame(bytes, 0)) return
  takeFrame()
  enter(selector, rip)
}

let poppedRip: u64 = 0
let poppedCs: u32 = 0

// RIP and CS from the top of the stack; false when it faulted.
function popTarget(bytes: u32): bool {
  poppedRip = readStack(pointerAt(0), bytes)
  if (faulted()) return false
  poppedCs = (readStack(pointerAt(bytes as i64), bytes) as u32) & 0xffff
  return !faulted()
}

export function farReturnReal(bytes: u32, extra: u32): void {
  if (!popTarget(bytes) || !ripFits(poppedRip)) return
  movePointer((2 * bytes + extra) as i64)
  enter(poppedCs, poppedRip)
}

export function interruptReturnReal(size: u32): void {
  const bytes = size / 8
  if (virtualTrap()) {
    gp0()
    return
  }
  if (!popTarget(bytes)) return
  const flags = readStack(pointerAt((2 * bytes) as i64), bytes)
  if (faulted() || !ripFits(poppedRip)) return
  movePointer((3 * bytes) as i64)
  enter(poppedCs, poppedRip)
  loadFlags(flags, size, cpl(), RFLAGS_RF)
}

// Through the interrupt vector table, with three words on the stack and never an error code. False when it faulted.
export function deliverReal(vector: u32, returnRip: u64): bool {
  const offset = vector << 2
  if (offset + 3 > load<u32>(L.IDTR + L.SEG_LIMIT)) {
    fault(VECTOR_GP, (vector << 3) | 2)
    return false
  }
  const entry = readSystem(load<u64>(L.IDTR + L.SEG_BASE) + (offset as u64), 4) as u32
  if (faulted()) return false
  const flags = readRflags() as u32
  onPresentStack()
  push(flags as u64, 2)
  push(segmentSelector(L.CS) as u64, 2)
  push(returnRip, 2)
  if (!commitFrame(2, 0)) return false
  takeFrame()
  enter(entry >> 16, (entry & 0xffff) as u64)
  writeRflags((flags & ~(RFLAGS_IF | RFLAGS_TF | RFLAGS_AC | RFLAGS_RF)) as u64)
  return true
}
