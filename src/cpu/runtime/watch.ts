// Hardware breakpoints in DR0-DR3 (Intel SDM volume 3, 17.2). While any is enabled the dispatcher single-steps; data
// accesses to a watched page take the slow path, which notes hits in PENDING_DB for the trap after the instruction. Ports are
// watched when CR4.DE is set.

import * as L from '../layout'
import { attend, CR4_DE, cr4, unattend } from './state'

const EXECUTE_BREAK: u32 = 0
const WRITE_BREAK: u32 = 1
const IO_BREAK: u32 = 2
const ACCESS_BREAK: u32 = 3

function enabled(index: u32): bool {
  return (load<u32>(L.DR7) & (3 << (index << 1))) != 0
}

function kind(index: u32): u32 {
  return (load<u32>(L.DR7) >> (16 + (index << 2))) & 3
}

// Length in bytes: codes 0, 1, 3, 2 are 1, 2, 4, 8.
function lengthOf(index: u32): u64 {
  const code = (load<u32>(L.DR7) >> (18 + (index << 2))) & 3
  return code == 2 ? 8 : (code as u64) + 1
}

export function anyBreakpoint(): bool {
  return (load<u32>(L.DR7) & 0xff) != 0
}

// The breakpoint's address, aligned to its length.
function breakAddress(index: u32): u64 {
  return load<u64>(L.DR0 + (index << 3)) & ~(lengthOf(index) - 1)
}

// DR7 was written.
export function updateBreakpoints(): void {
  if (anyBreakpoint()) attend(L.ATTENTION_BREAKPOINTS)
  else unattend(L.ATTENTION_BREAKPOINTS)
}

export function pageWatched(page: u64): bool {
  if (!anyBreakpoint()) return false
  for (let i: u32 = 0; i < 4; i++) {
    if (enabled(i) && kind(i) != EXECUTE_BREAK && (breakAddress(i) & ~(4095 as u64)) == page) return true
  }
  return false
}

// Notes data breakpoints that an access hits.
export function watchAccess(linear: u64, size: u64, write: bool): void {
  if (!anyBreakpoint()) return
  for (let i: u32 = 0; i < 4; i++) {
    const type = kind(i)
    if (type == ACCESS_BREAK || (type == WRITE_BREAK && write)) noteHit(i, linear, size)
  }
}

// Notes I/O breakpoints that an access to ports hits.
export function watchPorts(port: u32, size: u32): void {
  if (!anyBreakpoint() || (cr4() & CR4_DE) == 0) return
  for (let i: u32 = 0; i < 4; i++) if (kind(i) == IO_BREAK) noteHit(i, port as u64, size as u64)
}

function noteHit(index: u32, address: u64, size: u64): void {
  const first = breakAddress(index)
  if (!enabled(index) || address >= first + lengthOf(index) || first >= address + size) return
  store<u32>(L.PENDING_DB, load<u32>(L.PENDING_DB) | (1 << index))
}

// DR6 bits of the instruction breakpoints at a linear address.
export function instructionBreaks(linear: u64): u32 {
  let hits: u32 = 0
  for (let i: u32 = 0; i < 4; i++) {
    if (enabled(i) && kind(i) == EXECUTE_BREAK && load<u64>(L.DR0 + (i << 3)) == linear) hits |= 1 << i
  }
  return hits
}
