// Guest-physical memory: the ranges of the VM, and the soft EPT. An address that no range backs behaves as an open bus:
// it reads as ones, and stores to it are dropped.

import * as L from '../layout'
import { codeWritten, isRam, pageEntry, touchPage } from './code'
import { count, EXIT_REASON_EPT_VIOLATION, exit } from './state'

export const READ: u32 = 0
export const WRITE: u32 = 1
export const EXECUTE: u32 = 2

// Host address of a guest-physical address, in the open-bus page where nothing backs it.
export function hostOf(gpa: u64): u32 {
  const ranges = load<u32>(L.RANGE_COUNT)
  for (let i: u32 = 0; i < ranges; i++) {
    const range = L.RANGES + i * L.RANGE_SIZE
    const offset = gpa - load<u64>(range)
    if (offset < load<u64>(range, L.RANGE_BYTES)) return load<u32>(range, L.RANGE_HOST) + (offset as u32)
  }
  count(L.COUNT_OPEN_BUS)
  return L.OPEN_BUS + ((gpa as u32) & 4095)
}

// Rights that the EPT denies on the page at a host address.
export function eptDenied(host: u32): u32 {
  return isRam(host) ? load<u32>(pageEntry(host), L.PAGE_FLAGS) & L.PAGE_DENY_ALL : 0
}

export function eptAllows(host: u32, gpa: u64, access: u32): bool {
  if (isRam(host)) touchPage(pageEntry(host))
  if ((eptDenied(host) & (1 << access)) == 0) return true
  store<u64>(L.EXIT_GPA, gpa)
  store<u64>(L.EXIT_VALUE, (1 as u64) << (access as u64))
  exit(EXIT_REASON_EPT_VIOLATION)
  return false
}

// An entry of a paging structure; the caller looks at faulted() for an EPT violation.
export function readPhysical64(gpa: u64): u64 {
  const host = hostOf(gpa)
  return eptAllows(host, gpa, READ) ? load<u64>(host) : 0
}

export function readPhysical32(gpa: u64): u32 {
  const host = hostOf(gpa)
  return eptAllows(host, gpa, READ) ? load<u32>(host) : 0
}

export function writePhysical32(gpa: u64, value: u32): void {
  const host = hostOf(gpa)
  if (!isRam(host) || !eptAllows(host, gpa, WRITE)) return
  store<u32>(host, value)
  codeWritten(host, 4)
}

export function writePhysical64(gpa: u64, value: u64): void {
  const host = hostOf(gpa)
  if (!isRam(host) || !eptAllows(host, gpa, WRITE)) return
  store<u64>(host, value)
  codeWritten(host, 8)
}
