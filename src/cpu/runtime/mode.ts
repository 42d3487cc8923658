// What follows from the segment registers and control registers: the code mode, where code lies, and which TLB set and target
// table are in use.

import * as L from '../layout'
import { contextChanged } from './context'
import { AR_DB, AR_L, AR_UNUSABLE, dplOf, isReadable, isWritableData, TYPE_CODE, TYPE_EXPAND_DOWN } from './descriptor'
import { floatModeChanged, mxcsrChanged } from './float'
import { in64, longMode } from './state'
import { flushTlb } from './tlb'
import { updateBreakpoints } from './watch'

// The whole 4 GB, and a type that allows what MODE_32 does not check.
function flat(segment: u32): bool {
  return load<u64>(segment + L.SEG_BASE) == 0 && load<u32>(segment + L.SEG_LIMIT) == 0xffffffff
}

function flatData(segment: u32): bool {
  const ar = load<u32>(segment + L.SEG_AR)
  return (ar & (AR_UNUSABLE | TYPE_CODE | TYPE_EXPAND_DOWN)) == 0 && isWritableData(ar) && flat(segment)
}

function legacyMode(ar: u32): u32 {
  if ((ar & AR_DB) == 0) return L.MODE_16
  const wide = isReadable(ar) && flat(L.CS) && (load<u32>(L.SS + L.SEG_AR) & AR_DB) != 0
  return wide && flatData(L.SS) && flatData(L.DS) && flatData(L.ES) ? L.MODE_32 : L.MODE_32_SEGMENTED
}

// RIPs whose page lies within the limit of CS.
function wholePages(base: u64, limit: u32): u64 {
  if (limit == 0xffffffff) return 0x100000000
  const end = (base + (limit as u64) + 1) & ~(4095 as u64)
  return end > base ? end - base : 0
}

// Outside 64-bit mode registers have 32 bits; what was above is not kept (APM volume 1, 3.1.2).
function cutRegisters(): void {
  const end: u32 = L.GPR + 64
  for (let register: u32 = L.GPR; register < end; register += 8) {
    store<u64>(register, load<u32>(register) as u64)
  }
}

// To be called when CS, SS, DS, ES, CPL, EFER.LMA or CR0.PE changed. What is cached of code by its linear address depends on
// the mode and CPL alone; contextChanged() sees to it.
export function updateMode(): void {
  const ar = load<u32>(L.CS + L.SEG_AR)
  if (longMode() && (ar & AR_L) != 0) {
    store<u32>(L.MODE, L.MODE_64)
    store<u64>(L.CODE_BASE, 0)
    store<u64>(L.RIP_MASK, 0xffffffffffffffff)
    store<u64>(L.CODE_WHOLE, 0xffffffffffffffff)
  } else {
    if (in64()) cutRegisters()
    const base = load<u64>(L.CS + L.SEG_BASE)
    store<u32>(L.MODE, legacyMode(ar))
    store<u64>(L.CODE_BASE, base)
    store<u64>(L.RIP_MASK, 0xffffffff)
    store<u64>(L.CODE_WHOLE, wholePages(base, load<u32>(L.CS + L.SEG_LIMIT)))
  }
  contextChanged()
  floatModeChanged()
}

// A data segment register or SS changed: in 64-bit mode nothing follows from that.
export function dataSegmentChanged(): void {
  if (!in64()) updateMode()
}

// Registers were written from outside: everything derived from them is derived anew.
export function refresh(): void {
  store<u32>(L.CPL, dplOf(load<u32>(L.SS + L.SEG_AR)))
  updateMode()
  mxcsrChanged()
  flushTlb(false)
  updateBreakpoints()
}
