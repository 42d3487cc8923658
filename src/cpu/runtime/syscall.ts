// SYSCALL, SYSRET, SYSENTER, SYSEXIT, SWAPGS (Intel SDM volume 3, 5.8.7 and 5.8.8). The segments are flat, whatever the
// descriptor tables hold.

import * as L from '../layout'
import { readRflags, writeRflags } from './flags'
import { updateMode } from './mode'
import { writeSegment } from './segment'
import {
  complete,
  cpl,
  EFER_SCE,
  efer,
  faultPlain,
  gp0,
  RFLAGS_IF,
  RFLAGS_RF,
  RFLAGS_TF,
  systemFlags,
  VECTOR_UD,
} from './state'

const CODE_64: u32 = 0xa09b
const CODE_32: u32 = 0xc09b
const DATA: u32 = 0xc093
const R11: u32 = 0x158

function flatCode(selector: u32, ar: u32, level: u32): void {
  writeSegment(L.CS, (selector & 0xfffc) | level, 0, 0xffffffff, ar | (level << 5))
  store<u32>(L.CPL, level)
  updateMode()
}

function flatStack(selector: u32, level: u32): void {
  writeSegment(L.SS, (selector & 0xfffc) | level, 0, 0xffffffff, DATA | (level << 5))
}

export function systemCall(_size: u32): void {
  if ((efer() & EFER_SCE) == 0) {
    faultPlain(VECTOR_UD)
    return
  }
  const flags = readRflags() & ~(RFLAGS_RF as u64)
  store<u64>(L.RCX, load<u64>(L.NEXT_RIP))
  store<u64>(R11, flags)
  const selector = ((load<u64>(L.STAR) >> 32) as u32) & 0xffff
  flatCode(selector, CODE_64, 0)
  flatStack(selector + 8, 0)
  writeRflags(flags & ~load<u64>(L.SFMASK))
  // A TF that SFMASK clears traps no more.
  if ((systemFlags() & RFLAGS_TF) == 0) store<u32>(L.STEPPING, load<u32>(L.STEPPING) & ~L.STEP_TRAP)
  store<u64>(L.RIP, load<u64>(L.LSTAR))
}

export function systemReturn(size: u32): void {
  if ((efer() & EFER_SCE) == 0) {
    faultPlain(VECTOR_UD)
    return
  }
  if (cpl() != 0) {
    gp0()
    return
  }
  const selector = ((load<u64>(L.STAR) >> 48) as u32) & 0xffff
  const rip = load<u64>(L.RCX)
  if (size == 64) flatCode(selector + 16, CODE_64, 3)
  else flatCode(selector, CODE_32, 3)
  flatStack(selector + 8, 3)
  writeRflags((load<u64>(R11) & 0x3c7fd7) | 2)
  store<u64>(L.RIP, size == 64 ? rip : rip & 0xffffffff)
}

// AMD processors have SYSENTER and SYSEXIT outside of long mode only (APM volume 3); Intel's have them in it, too.
function sysenterExists(): bool {
  if (load<u32>(L.LONG_SYSENTER) != 0) return true
  faultPlain(VECTOR_UD)
  return false
}

export function systemEnter(_size: u32): void {
  if (!sysenterExists()) return
  const selector = (load<u32>(L.SYSENTER_CS) as u32) & 0xfffc
  if (selector == 0) {
    gp0()
    return
  }
  writeRflags(readRflags() & ~((RFLAGS_IF | RFLAGS_RF) as u64))
  flatCode(selector, CODE_64, 0)
  flatStack(selector + 8, 0)
  store<u64>(L.RSP, load<u64>(L.SYSENTER_ESP))
  store<u64>(L.RIP, load<u64>(L.SYSENTER_EIP))
}

export function systemExit(size: u32): void {
  // The privilege check comes first, on AMD processors, too.
  if (cpl() != 0) {
    gp0()
    return
  }
  if (!sysenterExists()) return
  const selector = (load<u32>(L.SYSENTER_CS) as u32) & 0xfffc
  if (selector == 0) {
    gp0()
    return
  }
  const wide = size == 64
  flatCode(selector + (wide ? 32 : 16), wide ? CODE_64 : CODE_32, 3)
  flatStack(selector + (wide ? 40 : 24), 3)
  const rsp = load<u64>(L.RCX)
  const rip = load<u64>(L.RDX)
  store<u64>(L.RSP, wide ? rsp : rsp & 0xffffffff)
  store<u64>(L.RIP, wide ? rip : rip & 0xffffffff)
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
