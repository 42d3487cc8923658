// LAR, LSL, VERR, VERW: what may be known of a selector. They never fault over it, and are undefined in real and
// virtual-8086 mode.

import { readSystem } from './access'
import {
  AR_S,
  AR_TYPE,
  accessRightsOf,
  dplOf,
  isConforming,
  isNull,
  isReadable,
  isWritableData,
  limitOf,
  SYSTEM_CALL_GATE,
  SYSTEM_CALL_GATE_16,
  SYSTEM_LDT,
  SYSTEM_TASK_GATE,
  SYSTEM_TSS,
  SYSTEM_TSS_16,
  TYPE_BUSY,
} from './descriptor'
import { setZero } from './flags'
import { descriptorAddress } from './segment'
import { complete, cpl, faulted, faultPlain, longMode, realAddressing, VECTOR_UD } from './state'

const NOT_VISIBLE: u64 = 0xffffffffffffffff

// Instructions that exist in protected mode only: false, with #UD, in real and virtual-8086 mode.
export function inProtectedMode(): bool {
  if (!realAddressing()) return true
  faultPlain(VECTOR_UD)
  return false
}

// The same for a definition: not 0 when it faulted.
export function checkProtectedMode(): u32 {
  return inProtectedMode() ? 0 : 1
}

let inspected: u64 = 0

function inspect(selector: u32): bool {
  if (isNull(selector)) return false
  const address = descriptorAddress(selector, 8)
  if (address == 0) return false
  inspected = readSystem(address - 1, 8)
  return !faulted()
}

function withinReach(selector: u32, ar: u32): bool {
  return isConforming(ar) || (cpl() <= dplOf(ar) && (selector & 3) <= dplOf(ar))
}

// Long mode has neither 16-bit system segments nor task gates.
function systemTypeVisible(ar: u32, forLimit: bool): bool {
  const type = ar & AR_TYPE
  if (type == SYSTEM_LDT || (type & ~TYPE_BUSY) == SYSTEM_TSS) return true
  if (!longMode() && (type & ~TYPE_BUSY) == SYSTEM_TSS_16) return true
  if (forLimit) return false
  return type == SYSTEM_CALL_GATE || (!longMode() && (type == SYSTEM_CALL_GATE_16 || type == SYSTEM_TASK_GATE))
}

function visible(selector: u32, forLimit: bool): bool {
  if (!inProtectedMode() || !inspect(selector)) return false
  const ar = accessRightsOf(inspected)
  if ((ar & AR_S) == 0 && !systemTypeVisible(ar, forLimit)) return false
  return withinReach(selector, ar)
}

// LAR: bits 8-23 of the descriptor's upper half, or -1.
export function accessRights(selector: u32): u64 {
  const ok = visible(selector, false)
  if (faulted()) return 0
  setZero(ok)
  return ok ? (inspected >> 32) & 0xffff00 : NOT_VISIBLE
}

// LSL: the limit in bytes, or -1.
export function segmentLimit(selector: u32): u64 {
  const ok = visible(selector, true)
  if (faulted()) return 0
  setZero(ok)
  return ok ? (limitOf(inspected) as u64) : NOT_VISIBLE
}

function verify(selector: u32, write: bool): void {
  if (!inProtectedMode()) return
  let ok = false
  if (inspect(selector)) {
    const ar = accessRightsOf(inspected)
    ok = (write ? isWritableData(ar) : isReadable(ar)) && withinReach(selector, ar)
  }
  if (faulted()) return
  setZero(ok)
  complete()
}

export function verifyRead(selector: u32): void {
  verify(selector, false)
}

export function verifyWrite(selector: u32): void {
  verify(selector, true)
}
