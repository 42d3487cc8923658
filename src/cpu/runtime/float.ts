// Whether x87, MMX, SSE and AVX may be used, MXCSR, and the exceptions of SIMD floating point (Intel SDM volume 1, 11.5 and
// volume 3, 2.5 and 13.1).

import * as R from '../interpreter/record'
import * as L from '../layout'
import { DE, IE, PE, ZE } from './softfloat'
import {
  CR0_EM,
  CR0_MP,
  CR0_TS,
  CR4_OSXSAVE,
  cr0,
  cr4,
  faultPlain,
  realAddressing,
  VECTOR_MF,
  VECTOR_NM,
  VECTOR_UD,
  VECTOR_XM,
} from './state'
import { flushTargets } from './tlb'

const CR4_OSFXSR: u64 = 0x200
const CR4_OSXMMEXCPT: u64 = 0x400
const XCR0_SSE_AVX: u64 = 6

const FLAGS: u32 = 0x3f
const BEFORE_COMPUTING: u32 = IE | DE | ZE
const MASKS_SHIFT: u32 = 7
// DAZ, rounding control, FTZ.
const NOT_STANDARD: u32 = 0xe040
const ALL_MASKED: u32 = 0x1f80
// FSW: an exception is pending.
const STATUS_ES: u32 = 0x80

const TWICE_INFINITY_32: u32 = 0xff000000
const TWICE_INFINITY_64: u64 = 0xffe0000000000000
// See isa/float-elements.ts.
const LEAST_32: u64 = 0x8100000081000000
const LEAST_64: u64 = 0x8020000000000000
const NEVER: u64 = 0x7fffffff7fffffff

function avxEnabled(): bool {
  if (realAddressing()) return false
  return (cr4() & CR4_OSXSAVE) != 0 && (load<u64>(L.XCR0) & XCR0_SSE_AVX) == XCR0_SSE_AVX
}

// To be called when CR0, CR4, XCR0 or RFLAGS.VM changed: which instructions are to be checked is part of a record's key.
export function floatModeChanged(): void {
  let mode: u32 = 0
  if ((cr0() & (CR0_EM | CR0_TS)) != 0) mode = L.MODE_FLOAT_CHECKED
  else if ((cr4() & CR4_OSFXSR) == 0) mode = L.MODE_SSE_CHECKED
  else if (!avxEnabled()) mode = L.MODE_AVX_CHECKED
  if (mode == load<u32>(L.MODE_FLOAT)) return
  store<u32>(L.MODE_FLOAT, mode)
  flushTargets()
}

// Whether an instruction of a kind (FLOAT_) may not be run now: then not 0, and the exception is recorded.
export function checkFloat(kind: u32): u32 {
  const emulate = (cr0() & CR0_EM) != 0
  let absent = false
  if (kind == R.FLOAT_MMX) absent = emulate
  else if (kind == R.FLOAT_SSE) absent = emulate || (cr4() & CR4_OSFXSR) == 0
  else if (kind == R.FLOAT_AVX) absent = !avxEnabled()
  else if (kind == R.FLOAT_VEX) {
    if (!realAddressing()) return 0
    absent = true
  }
  if (absent) {
    faultPlain(VECTOR_UD)
    return 1
  }
  let unavailable = (cr0() & CR0_TS) != 0
  if (kind == R.FLOAT_X87) unavailable = unavailable || emulate
  else if (kind == R.FLOAT_WAIT) unavailable = unavailable && (cr0() & CR0_MP) != 0
  if (!unavailable) return 0
  faultPlain(VECTOR_NM)
  return 1
}

// #MF, when an x87 exception that is not masked is pending; then not 0.
export function checkPendingFloat(): u32 {
  if ((load<u32>(L.X87_STATUS) & STATUS_ES) == 0) return 0
  faultPlain(VECTOR_MF)
  return 1
}

function fill(vector: u32, element: u64): void {
  store<u64>(vector, element)
  store<u64>(vector, element, 8)
}

export function initializeFloat(): void {
  fill(L.PACKED_CONSTANT_LEAST_32, LEAST_32)
  fill(L.PACKED_CONSTANT_LEAST_64, LEAST_64)
  fill(L.PACKED_OPERAND_32, 0x7fffffff7fffffff)
  fill(L.PACKED_OPERAND_64, 0x7fffffffffffffff)
  fill(L.PACKED_RESULT_32, LEAST_32)
  fill(L.PACKED_RESULT_64, LEAST_64)
}

// As after reset: rounds to nearest, all exceptions are masked.
export const INITIAL_MXCSR: u32 = 0x1f80

export function resetMxcsr(): void {
  store<u32>(L.MXCSR, INITIAL_MXCSR)
  mxcsrChanged()
}

// To be called when MXCSR was written.
export function mxcsrChanged(): void {
  const mxcsr = load<u32>(L.MXCSR)
  const standard = (mxcsr & (NOT_STANDARD | ALL_MASKED)) == ALL_MASKED
  const fast = standard && (mxcsr & PE) != 0
  store<u32>(L.FLOAT_STANDARD, standard ? 1 : 0)
  store<u32>(L.FLOAT_FAST, fast ? TWICE_INFINITY_32 : 0)
  store<u64>(L.FLOAT_FAST_64, fast ? TWICE_INFINITY_64 : 0)
  fill(L.PACKED_LEAST_32, fast ? LEAST_32 : NEVER)
  fill(L.PACKED_LEAST_64, fast ? LEAST_64 : NEVER)
}

// The exceptions that the instruction has raised go to MXCSR; not 0 when one of them is not masked, which is then recorded.
// When one that is found before computing is not masked, nothing was computed, so there are none of those that computing
// finds (SDM volume 1, 11.5.2.2).
export function settleFloat(): u32 {
  let flags = load<u32>(L.FLOAT_FLAGS)
  store<u32>(L.FLOAT_FLAGS, 0)
  const mxcsr = load<u32>(L.MXCSR)
  const unmasked = ~(mxcsr >> MASKS_SHIFT) & FLAGS
  if ((flags & unmasked & BEFORE_COMPUTING) != 0) flags &= BEFORE_COMPUTING
  if ((flags & ~mxcsr) != 0) {
    store<u32>(L.MXCSR, mxcsr | flags)
    mxcsrChanged()
  }
  if ((flags & unmasked) == 0) return 0
  faultPlain((cr4() & CR4_OSXMMEXCPT) != 0 ? VECTOR_XM : VECTOR_UD)
  return 1
}
