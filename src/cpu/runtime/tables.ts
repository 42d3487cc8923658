// The registers of the descriptor tables and of the task: LGDT, LIDT, SGDT, SIDT, LLDT, LTR.

import * as L from '../layout'
import { probeWrite, readData, writeData } from './access'
import {
  AR_P,
  accessRightsOf,
  baseOf,
  isNull,
  limitOf,
  SYSTEM_LDT,
  SYSTEM_TSS,
  SYSTEM_TSS_16,
  TYPE_BUSY,
} from './descriptor'
import { privileged } from './flags'
import { readDescriptor, readDescriptorHigh, setDescriptorType, writeNull, writeSegment } from './segment'
import {
  CR4_UMIP,
  complete,
  cpl,
  cr4,
  fault,
  faulted,
  gp0,
  in64,
  isCanonical,
  longMode,
  VECTOR_GP,
  VECTOR_NP,
} from './state'
import { inProtectedMode } from './verify'

// SGDT, SIDT, SMSW outside of ring 0 when CR4.UMIP is set: #GP.
export function checkUserModePrevention(): u32 {
  if (cpl() == 0 || (cr4() & CR4_UMIP) == 0) return 0
  gp0()
  return 1
}

// The same for SLDT and STR, which exist in protected mode only.
export function checkSelectorAccess(): u32 {
  return inProtectedMode() ? checkUserModePrevention() : 1
}

// The base has 64 bits in 64-bit mode, else 32, or 24 when the operand size is 16.
function loadTable(table: u32, address: u64, size: u32, flags: u32): void {
  if (!privileged()) return
  const limit = readData(address, 2, flags) as u32
  if (faulted()) return
  const base = readData(address + 2, in64() ? 8 : 4, flags)
  if (faulted()) return
  if (!isCanonical(base)) {
    gp0()
    return
  }
  store<u64>(table + L.SEG_BASE, size == 16 ? base & 0xffffff : base)
  store<u32>(table + L.SEG_LIMIT, limit)
  complete()
}

export function loadGlobalTable(address: u64, size: u32, flags: u32): void {
  loadTable(L.GDTR, address, size, flags)
}

export function loadInterruptTable(address: u64, size: u32, flags: u32): void {
  loadTable(L.IDTR, address, size, flags)
}

// All bits of the base are stored, whatever the operand size (APM volume 3, SGDT).
function storeTable(table: u32, address: u64, flags: u32): void {
  const bytes: u32 = in64() ? 8 : 4
  if (checkUserModePrevention() != 0 || !probeWrite(address, 2 + bytes, flags)) return
  writeData(address, load<u32>(table + L.SEG_LIMIT) as u64, 2, flags)
  if (faulted()) return
  writeData(address + 2, load<u64>(table + L.SEG_BASE), bytes, flags)
  if (!faulted()) complete()
}

export function storeGlobalTable(address: u64, _size: u32, flags: u32): void {
  storeTable(L.GDTR, address, flags)
}

export function storeInterruptTable(address: u64, _size: u32, flags: u32): void {
  storeTable(L.IDTR, address, flags)
}

// A system descriptor for LLDT and LTR, of 16 bytes in long mode; its base with all bits is in systemBase afterwards. False
// when it faulted.
let systemLow: u64 = 0
let systemBase: u64 = 0

function readSystemDescriptor(selector: u32): bool {
  systemLow = 0
  if ((selector & 4) != 0) {
    fault(VECTOR_GP, selector & 0xfffc)
    return false
  }
  const low = readDescriptor(selector, VECTOR_GP, 0)
  if (faulted()) return false
  const high = longMode() ? readDescriptorHigh(selector, VECTOR_GP) : 0
  if (faulted()) return false
  systemLow = low
  systemBase = baseOf(low) | (high << 32)
  return true
}

// The descriptor is of a type that the register takes, present, and has a base that exists; false when it faulted.
function checkSystemDescriptor(selector: u32, typeFits: bool): bool {
  if (!typeFits || !isCanonical(systemBase)) fault(VECTOR_GP, selector & 0xfffc)
  else if ((accessRightsOf(systemLow) & AR_P) == 0) fault(VECTOR_NP, selector & 0xfffc)
  return !faulted()
}

export function loadLocalTable(selector: u32): void {
  if (!inProtectedMode() || !privileged()) return
  if (isNull(selector)) {
    writeNull(L.LDTR, selector, 0)
    complete()
    return
  }
  if (!readSystemDescriptor(selector)) return
  const ar = accessRightsOf(systemLow)
  if (!checkSystemDescriptor(selector, (ar & 31) == SYSTEM_LDT)) return
  writeSegment(L.LDTR, selector, systemBase, limitOf(systemLow), ar)
  complete()
}

export function loadTask(selector: u32): void {
  if (!inProtectedMode() || !privileged()) return
  if (isNull(selector)) {
    gp0()
    return
  }
  if (!readSystemDescriptor(selector)) return
  const ar = accessRightsOf(systemLow)
  const available = (ar & 31) == SYSTEM_TSS || (!longMode() && (ar & 31) == SYSTEM_TSS_16)
  if (!checkSystemDescriptor(selector, available)) return
  setDescriptorType(selector, TYPE_BUSY)
  if (faulted()) return
  writeSegment(L.TR, selector, systemBase, limitOf(systemLow), ar | TYPE_BUSY)
  complete()
}
