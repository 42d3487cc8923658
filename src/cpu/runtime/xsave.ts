// XSAVE, XSAVEOPT, XSAVEC and XRSTOR for the x87, SSE and AVX components of the state (SDM volume 1, chapter 13). The image is
// FXSAVE's, a header of 64 bytes, and the upper halves of the YMM registers; the compacted format of XSAVEC is no different,
// since there is nothing behind AVX that could move up.
//
// A component is in use unless it looks as after reset (SDM 13.6 lets the processor find out as it likes). What memory a
// component that is not stored would take is left alone.

import * as L from '../layout'
import { probeWrite, readBlock, readData, writeBlock } from './access'
import { INITIAL_MXCSR, resetMxcsr } from './float'
import { hasValidMxcsr, putMxcsr, putX87, putXmm, takeMxcsr, takeX87, takeXmm, xmmCount } from './fxsave'
import { CR0_TS, CR4_OSXSAVE, complete, cr0, cr4, faulted, faultPlain, gp0, VECTOR_NM, VECTOR_UD } from './state'
import { INITIAL_CONTROL, x87Initialize } from './x87-environment'

const X87: u64 = 1
const SSE: u64 = 2
const AVX: u64 = 4

const IMAGE: u32 = L.STATE_IMAGE
const MXCSR: u32 = 24
const MXCSR_SIZE: u32 = 8
const X87_REGISTERS: u32 = 32
const X87_REGISTERS_SIZE: u32 = 128
const XMM: u32 = 160
const XMM_SIZE: u32 = 16
const XSTATE_BV: u32 = 512
const XCOMP_BV: u32 = 520
const HEADER_END: u32 = 576
const YMM_HIGH: u32 = 576
const IMAGE_SIZE: u32 = 832
const ALIGNMENT: u64 = 64
const COMPACTED: u64 = 0x8000000000000000

// False when the instruction may not be run, or not there.
function allowed(address: u64): bool {
  if ((cr4() & CR4_OSXSAVE) == 0) {
    faultPlain(VECTOR_UD)
    return false
  }
  if ((cr0() & CR0_TS) != 0) {
    faultPlain(VECTOR_NM)
    return false
  }
  if ((address & (ALIGNMENT - 1)) == 0) return true
  gp0()
  return false
}

// Components that EDX:EAX asks for.
function requested(): u64 {
  return ((load<u32>(L.RAX) as u64) | (load<u64>(L.RDX) << 32)) & load<u64>(L.XCR0)
}

// What is in use

function isZero(at: u32, size: u32): bool {
  for (let offset: u32 = 0; offset < size; offset += 8) if (load<u64>(at + offset) != 0) return false
  return true
}

function x87InUse(): bool {
  if (load<u32>(L.X87_CONTROL) != INITIAL_CONTROL || load<u32>(L.X87_STATUS) != 0 || load<u32>(L.X87_TAGS) != 0)
    return true
  return !isZero(L.X87_IP, 16) || load<u32>(L.X87_OPCODE) != 0 || !isZero(L.X87, 8 * L.X87_SIZE)
}

// Whether a register has bits in the 16 bytes at an offset.
function vectorInUse(offset: u32): bool {
  for (let n: u32 = 0; n < 16; n++) if (!isZero(L.YMM + n * L.YMM_SIZE + offset, XMM_SIZE)) return true
  return false
}

// MXCSR does not count.
function inUse(components: u64): u64 {
  let used: u64 = 0
  if ((components & X87) != 0 && x87InUse()) used |= X87
  if ((components & SSE) != 0 && vectorInUse(0)) used |= SSE
  if ((components & AVX) != 0 && vectorInUse(XMM_SIZE)) used |= AVX
  return used
}

// Saving

function putYmmHigh(): void {
  for (let n: u32 = 0; n < xmmCount(); n++) {
    memory.copy(IMAGE + YMM_HIGH + n * XMM_SIZE, L.YMM + n * L.YMM_SIZE + XMM_SIZE, XMM_SIZE)
  }
}

function put(address: u64, offset: u32, size: u32, flags: u32): void {
  writeBlock(address + (offset as u64), IMAGE + offset, size, flags)
}

// Stores components, MXCSR, and so many bytes of the header that is in the image; false when nothing can be stored.
function storeImage(address: u64, components: u64, mxcsr: bool, header: u32, wide: u32, flags: u32): bool {
  if (!probeWrite(address, (components & AVX) != 0 ? IMAGE_SIZE : HEADER_END, flags)) return false
  const vector = xmmCount() * XMM_SIZE
  if ((components & X87) != 0) {
    putX87(IMAGE, wide)
    put(address, 0, MXCSR, flags)
    put(address, X87_REGISTERS, X87_REGISTERS_SIZE, flags)
  }
  if (mxcsr) {
    putMxcsr(IMAGE)
    put(address, MXCSR, MXCSR_SIZE, flags)
  }
  if ((components & SSE) != 0) {
    putXmm(IMAGE)
    put(address, XMM, vector, flags)
  }
  if ((components & AVX) != 0) {
    putYmmHigh()
    put(address, YMM_HIGH, vector, flags)
  }
  put(address, XSTATE_BV, header, flags)
  return true
}

// XSAVE stores all that is asked for, XSAVEOPT what of it is in use; the header tells what that is.
function save(address: u64, optimized: bool, wide: u32, flags: u32): void {
  if (!allowed(address)) return
  const asked = requested()
  const old = readData(address + (XSTATE_BV as u64), 8, flags)
  if (faulted()) return
  const used = inUse(asked)
  store<u64>(IMAGE, (old & ~asked) | used, XSTATE_BV)
  if (storeImage(address, optimized ? used : asked, (asked & (SSE | AVX)) != 0, 8, wide, flags)) complete()
}

export function xsave(address: u64, wide: u32, flags: u32): void {
  save(address, false, wide, flags)
}

export function xsaveopt(address: u64, wide: u32, flags: u32): void {
  save(address, true, wide, flags)
}

// MXCSR is a part of the SSE component here, and brings it into use.
export function xsavec(address: u64, wide: u32, flags: u32): void {
  if (!allowed(address)) return
  const asked = requested()
  let used = inUse(asked)
  if (load<u32>(L.MXCSR) != INITIAL_MXCSR) used |= asked & SSE
  store<u64>(IMAGE, used, XSTATE_BV)
  store<u64>(IMAGE, asked | COMPACTED, XCOMP_BV)
  if (storeImage(address, used, (used & SSE) != 0, 16, wide, flags)) complete()
}

// Restoring

// The header in the image: SDM 13.8.
function isValidHeader(held: u64, format: u64): bool {
  const enabled = load<u64>(L.XCR0)
  if ((format & COMPACTED) == 0) return (held & ~enabled) == 0 && isZero(IMAGE + XCOMP_BV, 16)
  const described = format & ~COMPACTED
  if (load<u32>(L.COMPACTED_STATE) == 0 || (described & ~enabled) != 0 || (held & ~described) != 0) return false
  return isZero(IMAGE + XCOMP_BV + 8, HEADER_END - XCOMP_BV - 8)
}

function clearVector(offset: u32): void {
  for (let n: u32 = 0; n < xmmCount(); n++) memory.fill(L.YMM + n * L.YMM_SIZE + offset, 0, XMM_SIZE)
}

function takeYmmHigh(): void {
  for (let n: u32 = 0; n < xmmCount(); n++) {
    memory.copy(L.YMM + n * L.YMM_SIZE + XMM_SIZE, IMAGE + YMM_HIGH + n * XMM_SIZE, XMM_SIZE)
  }
}

// What is asked for comes from the image, or is as after reset when the image does not hold it.
function take(asked: u64, held: u64, wide: u32): void {
  if ((asked & held & X87) != 0) takeX87(IMAGE, wide)
  else if ((asked & X87) != 0) {
    x87Initialize()
    memory.fill(L.X87, 0, 8 * L.X87_SIZE)
  }
  if ((asked & held & SSE) != 0) takeXmm(IMAGE)
  else if ((asked & SSE) != 0) clearVector(0)
  if ((asked & held & AVX) != 0) takeYmmHigh()
  else if ((asked & AVX) != 0) clearVector(XMM_SIZE)
}

export function xrstor(address: u64, wide: u32, flags: u32): void {
  if (!allowed(address) || !readBlock(address, HEADER_END, flags, IMAGE)) return
  const asked = requested()
  const held = load<u64>(IMAGE, XSTATE_BV)
  const format = load<u64>(IMAGE, XCOMP_BV)
  // The standard format has MXCSR in any case, for SSE and for AVX.
  const compacted = (format & COMPACTED) != 0
  const mxcsr = (asked & (compacted ? held & SSE : SSE | AVX)) != 0
  if (!isValidHeader(held, format) || (mxcsr && !hasValidMxcsr(IMAGE))) {
    gp0()
    return
  }
  if ((asked & held & AVX) != 0) {
    const size = xmmCount() * XMM_SIZE
    if (!readBlock(address + (YMM_HIGH as u64), size, flags, IMAGE + YMM_HIGH)) return
  }
  take(asked, held, wide)
  if (mxcsr) takeMxcsr(IMAGE)
  else if (compacted && (asked & SSE) != 0) resetMxcsr()
  complete()
}
