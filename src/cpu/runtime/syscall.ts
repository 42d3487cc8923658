// SYSCALL, SYSRET, SYSENTER, SYSEXIT, SWAPGS, as AMD has them (APM volume 3). The segments are flat, whatever the descriptor
// tables hold.

import * as L from '../layout'
import { readRflags, writeRflags } from './flags'
import { updateMode } from './mode'
import { writeSegment } from './segment'
import {
  CR0_PE,
  complete,
  cpl,
  cr0,
  EFER_SCE,
  efer,
  faultPlain,
  gp0,
  in64,
  longMode,
  RFLAGS_IF,
  RFLAGS_RF,
  RFLAGS_TF,
  RFLAGS_VM,
  systemFlags,
  VECTOR_UD,
} from './state'

const CODE_64: u32 = 0xa09b
const CODE_32: u32 = 0xc09b
const DATA: u32 = 0xc093

// CS and SS with these selectors, for a level.
function flatSegments(code: u32, ar: u32, stack: u32, level: u32): void {
  writeSegment(L.SS, (stack & 0xfffc) | level, 0, 0xffffffff, DATA | (level << 5))
  writeSegment(L.CS, (code & 0xfffc) | level, 0, 0xffffffff, ar | (level << 5))
  store<u32>(L.CPL, level)
  updateMode()
}

// A TF that is cleared on the way traps no more.
function settleTrap(): void {
  if ((systemFlags() & RFLAGS_TF) == 0) store<u32>(L.STEPPING, load<u32>(L.STEPPING) & ~L.STEP_TRAP)
}

function extensionsEnabled(): bool {
  if ((efer() & EFER_SCE) != 0) return true
  faultPlain(VECTOR_UD)
  return false
}

// What ring 0 alone may do, in protected mode.
function ring0(): bool {
  if (cpl() == 0 && (cr0() & CR0_PE) != 0) return true
  gp0()
  return false
}

export function systemCall(_size: u32): void {
  if (!extensionsEnabled()) return
  const flags = readRflags() & ~(RFLAGS_RF as u64)
  const star = load<u64>(L.STAR)
  const selector = ((star >> 32) as u32) & 0xffff
  store<u64>(L.RCX, load<u64>(L.NEXT_RIP))
  if (longMode()) {
    const entry = load<u64>(in64() ? L.LSTAR : L.CSTAR)
    store<u64>(L.R11, flags)
    flatSegments(selector, CODE_64, selector + 8, 0)
    writeRflags(flags & ~load<u64>(L.SFMASK))
    store<u64>(L.RIP, entry)
  } else {
    writeRflags(flags & ~((RFLAGS_IF | RFLAGS_VM) as u64))
    flatSegments(selector, CODE_32, selector + 8, 0)
    store<u64>(L.RIP, star & 0xffffffff)
  }
  settleTrap()
}

export function systemReturn(size: u32): void {
  if (!extensionsEnabled() || !ring0()) return
  const selector = ((load<u64>(L.STAR) >> 48) as u32) & 0xffff
  const rip = load<u64>(L.RCX)
  const to64 = size == 64
  const from64 = in64()
  flatSegments(to64 ? selector + 16 : selector, to64 ? CODE_64 : CODE_32, selector + 8, 3)
  // Out of 64-bit mode the flags come from R11; otherwise interrupts are enabled, and that is all.
  if (from64) writeRflags((load<u64>(L.R11) & 0x3c7fd7) | 2)
  else writeRflags(readRflags() | (RFLAGS_IF as u64))
  store<u64>(L.RIP, rip & load<u64>(L.RIP_MASK))
}

// AMD processors have SYSENTER and SYSEXIT outside of long mode only (APM volume 3); Intel's have them in it, too.
function sysenterExists(): bool {
  if (!longMode() || load<u32>(L.LONG_SYSENTER) != 0) return true
  faultPlain(VECTOR_UD)
  return false
}

// SYSENTER_CS without its RPL; 0, with #GP(0), when that is null.
function sysenterSelector(): u32 {
  const selector = load<u32>(L.SYSENTER_CS) & 0xfffc
  if (selector == 0) gp0()
  return selector
}

export function systemEnter(_size: u32): void {
  if (!sysenterExists()) return
  if ((cr0() & CR0_PE) == 0) {
    gp0()
    return
  }
  const selector = sysenterSelector()
  if (selector == 0) return
  writeRflags(readRflags() & ~((RFLAGS_IF | RFLAGS_RF | RFLAGS_VM) as u64))
  flatSegments(selector, longMode() ? CODE_64 : CODE_32, selector + 8, 0)
  store<u64>(L.RSP, load<u64>(L.SYSENTER_ESP) & load<u64>(L.RIP_MASK))
  store<u64>(L.RIP, load<u64>(L.SYSENTER_EIP) & load<u64>(L.RIP_MASK))
}

export function systemExit(size: u32): void {
  // The privilege check comes first, on AMD processors, too.
  if (!ring0() || !sysenterExists()) return
  const selector = sysenterSelector()
  if (selector == 0) return
  const to64 = size == 64
  const rsp = load<u64>(L.RCX)
  const rip = load<u64>(L.RDX)
  flatSegments(selector + (to64 ? 32 : 16), to64 ? CODE_64 : CODE_32, selector + (to64 ? 40 : 24), 3)
  store<u64>(L.RSP, rsp & load<u64>(L.RIP_MASK))
  store<u64>(L.RIP, rip & load<u64>(L.RIP_MASK))
}

export function swapGs(_size: u32): void {
  if (cpl() != 0) {
    gp0()
    return
  }
  const base = load<u64>(L.GS + L.SEG_BASE)
  store<u64>(L.GS + L.SEG_BASE, load<u64>(L.KERNEL_GS_BASE))
  store<u64>(L.KERNEL_GS_BASE, base)
  complete()
}
