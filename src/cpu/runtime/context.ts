// Which TLB set and target table the running code uses: it depends on privilege, SMAP and alignment checking.

import * as L from '../layout'
import { CR0_AM, CR4_SMAP, cpl, cr0, cr4, RFLAGS_AC, systemFlags } from './state'
import { dropSlots } from './tlb'

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

// To be called when CPL, AC, CR0.AM or CR4.SMAP changed.
export function contextChanged(): void {
  const base = contextBase(currentContext())
  if (base != load<u32>(L.TLB_BASE)) dropSlots()
  store<u32>(L.TLB_BASE, base)
  store<u32>(L.TARGET_BASE, L.TARGETS + (cpl() == 3 ? L.TARGET_SET_SIZE : 0))
}

export function setCpl(level: u32): void {
  store<u32>(L.CPL, level)
  contextChanged()
}
