// Which TLB set and target table the running code uses: it depends on privilege, SMAP and alignment checking.

import * as L from '../layout'
import { CR0_AM, CR4_SMAP, cpl, cr0, cr4, in64, RFLAGS_AC, systemFlags } from './state'
import { dropSlots, flushTargetTable, flushTlbSet } from './tlb'

export function currentContext(): u32 {
  const ac = (systemFlags() & RFLAGS_AC) != 0
  if (cpl() == 3) return ac && (cr0() & CR0_AM) != 0 ? L.CONTEXT_USER_ALIGNED : L.CONTEXT_USER
  return (cr4() & CR4_SMAP) != 0 && !ac ? L.CONTEXT_SUPERVISOR_SMAP : L.CONTEXT_SUPERVISOR
}

// Context of accesses that the processor makes for itself (descriptor tables, TSS, event stacks).
export function systemContext(): u32 {
  return (cr4() & CR4_SMAP) != 0 ? L.CONTEXT_SUPERVISOR_SMAP : L.CONTEXT_SUPERVISOR
}

export function contextBase(context: u32): u32 {
  return L.TLB + context * L.TLB_SET_SIZE
}

// To be called when CPL, AC, CR0.AM or CR4.SMAP changed, or the mode.
export function contextChanged(): void {
  const context = currentContext()
  const base = contextBase(context)
  const wide = load<u32>(L.TLB_WIDE)
  if (((wide >> context) & 1) != (in64() ? 1 : 0)) {
    store<u32>(L.TLB_WIDE, wide ^ (1 << context))
    flushTlbSet(context)
  }
  if (base != load<u32>(L.TLB_BASE)) dropSlots()
  store<u32>(L.TLB_BASE, base)
  const table: u32 = cpl() == 3 ? 1 : 0
  store<u32>(L.TARGET_BASE, L.TARGETS + table * L.TARGET_SET_SIZE)
  // A table holds code of one mode, so that a kernel and its 32-bit processes do not drive each other's out.
  const mode = load<u32>(L.MODE)
  if (load<u32>(L.TARGET_MODES + (table << 2)) == mode) return
  store<u32>(L.TARGET_MODES + (table << 2), mode)
  flushTargetTable(table)
}
