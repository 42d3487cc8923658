// Guest memory accesses that the fast path in the instruction does not do: TLB misses, page crossings, code pages, watched
// pages, alignment checks, and the processor's own accesses to tables and stacks.

import { FLAG_STACK } from '../interpreter/record'
import * as L from '../layout'
import { codeWritten, isRam, pageEntry } from './code'
import { currentContext } from './context'
import { translate, translateSystem } from './paging'
import { READ, WRITE } from './physical'
import { count, fault, isCanonical, systemAddress, VECTOR_AC, VECTOR_GP, VECTOR_SS } from './state'
import { watchAccess } from './watch'

// Outside 64-bit mode the sum of an address wraps around at 4 GB; the fast path of an instruction leaves that to the miss.
function wrapped(address: u64): u64 {
  return address & load<u64>(L.RIP_MASK)
}

// Canonical and aligned as need be; false when it faulted.
function checkAddress(linear: u64, size: u32, flags: u32): bool {
  if (!isCanonical(linear) || !isCanonical(linear + (size as u64) - 1)) {
    fault((flags & FLAG_STACK) != 0 ? VECTOR_SS : VECTOR_GP, 0)
    return false
  }
  return size > 8 || isAligned(linear, size)
}

// False, and #AC, when alignment is checked and the address is no multiple of the size, a power of two.
export function isAligned(linear: u64, size: u32): bool {
  if (currentContext() != L.CONTEXT_USER_ALIGNED || (linear & ((size as u64) - 1)) == 0) return true
  fault(VECTOR_AC, 0)
  return false
}

function crosses(linear: u64, size: u32): bool {
  return ((linear as u32) & 4095) + size > 4096
}

// Linear address of the page after that of an operand of the running code; outside 64-bit mode 0 follows 4 GB.
function nextPage(linear: u64): u64 {
  return ((linear & ~(4095 as u64)) + 4096) & load<u64>(L.RIP_MASK)
}

// Copies bytes of two pages to a place, or back.
function gather(first: u32, second: u32, room: u32, size: u32, to: u32): void {
  memory.copy(to, first, room)
  memory.copy(to + room, second, size - room)
}

// Address from which the operand can be loaded, 0 when it faulted.
export function readMiss(address: u64, size: u32, flags: u32): u32 {
  const linear = wrapped(address)
  count(L.COUNT_TLB_MISS)
  if (!checkAddress(linear, size, flags)) return 0
  watchAccess(linear, size as u64, false)
  const host = translate(linear, READ)
  if (host == 0 || !crosses(linear, size)) return host
  const room: u32 = 4096 - ((linear as u32) & 4095)
  const second = translate(nextPage(linear), READ)
  if (second == 0) return 0
  gather(host, second, room, size, L.BOUNCE)
  return L.BOUNCE
}

function put(host: u32, from: u32, size: u32): void {
  if (!isRam(host)) return
  memory.copy(host, from, size)
  codeWritten(host, size)
}

// Stores the low bytes of a value; not 0 when it faulted.
export function writeMiss(address: u64, value: u64, size: u32, flags: u32): u32 {
  const linear = wrapped(address)
  count(L.COUNT_TLB_MISS)
  if (!checkAddress(linear, size, flags)) return 1
  store<u64>(L.BOUNCE, value)
  return writeChecked(linear, L.BOUNCE, size) ? 0 : 1
}

// Stores to both pages or to none.
function writeChecked(linear: u64, from: u32, size: u32): bool {
  const first = translate(linear, WRITE)
  if (first == 0) return false
  if (!crosses(linear, size)) {
    watchAccess(linear, size as u64, true)
    put(first, from, size)
    return true
  }
  const room: u32 = 4096 - ((linear as u32) & 4095)
  const second = translate(nextPage(linear), WRITE)
  if (second == 0) return false
  watchAccess(linear, size as u64, true)
  put(first, from, room)
  put(second, from + room, size - room)
  return true
}

// Probes an operand for writing: the address where it can be loaded and stored in place, or BOUNCE with its bytes, to be
// followed by modifyCommit; 0 when it faulted.
export function modifyMiss(address: u64, size: u32, flags: u32): u32 {
  const linear = wrapped(address)
  count(L.COUNT_TLB_MISS)
  if (!checkAddress(linear, size, flags)) return 0
  const host = translate(linear, WRITE)
  if (host == 0) return 0
  watchAccess(linear, size as u64, true)
  if (crosses(linear, size)) {
    const room: u32 = 4096 - ((linear as u32) & 4095)
    const second = translate(nextPage(linear), WRITE)
    if (second == 0) return 0
    gather(host, second, room, size, L.BOUNCE)
    return L.BOUNCE
  }
  if (isRam(host) && (load<u32>(pageEntry(host), L.PAGE_FLAGS) & L.PAGE_HAS_CODE) == 0) return host
  memory.copy(L.BOUNCE, host, size)
  return L.BOUNCE
}

export function modifyCommit(address: u64, size: u32): void {
  writeChecked(wrapped(address), L.BOUNCE, size)
}

// Accesses of the running code from within the runtime. After each, faulted() says whether to go on.

export function readData(linear: u64, size: u32, flags: u32): u64 {
  const host = readMiss(linear, size, flags)
  if (host == 0) return 0
  return loadSized(host, size)
}

export function writeData(linear: u64, value: u64, size: u32, flags: u32): void {
  writeMiss(linear, value, size, flags)
}

export function loadSized(host: u32, size: u32): u64 {
  if (size == 8) return load<u64>(host)
  if (size == 4) return load<u32>(host) as u64
  return size == 2 ? (load<u16>(host) as u64) : (load<u8>(host) as u64)
}

// Accesses that the processor makes by itself, as supervisor whatever the CPL (descriptor tables, TSS).

export function readSystem(address: u64, size: u32): u64 {
  const linear = systemAddress(address)
  let value: u64 = 0
  if (!isCanonical(linear) || !isCanonical(linear + (size as u64) - 1)) {
    fault(VECTOR_GP, 0)
    return 0
  }
  if (!crosses(linear, size)) {
    const host = translateSystem(linear, READ)
    return host == 0 ? 0 : loadSized(host, size)
  }
  for (let i: u32 = 0; i < size; i++) {
    const host = translateSystem(systemAddress(linear + (i as u64)), READ)
    if (host == 0) return 0
    value |= (load<u8>(host) as u64) << ((i as u64) << 3)
  }
  return value
}

export function writeSystem(linear: u64, value: u64, size: u32): void {
  for (let i: u32 = 0; i < size; i++) {
    const host = translateSystem(systemAddress(linear + (i as u64)), WRITE)
    if (host == 0) return
    store<u8>(L.SCRATCH, (value >> ((i as u64) << 3)) as u8)
    put(host, L.SCRATCH, 1)
  }
}

// Whether the processor could write there; a fault otherwise.
export function probeSystem(address: u64, size: u32): bool {
  const linear = systemAddress(address)
  if (translateSystem(linear, WRITE) == 0) return false
  return !crosses(linear, size) || translateSystem(systemAddress(linear + (size as u64) - 1), WRITE) != 0
}

// Where a frame for a privilege level may be written; 0 when it faulted.
function translateFrame(linear: u64, level: u32): u32 {
  return level != 3 ? translateSystem(linear, WRITE) : translate(linear, WRITE)
}

// Whether a frame (or a piece of one, at most a page) may be stored for a privilege level; a fault otherwise. In long mode
// stacks of events have addresses of 64 bits.
export function probeFrame(linear: u64, size: u32, level: u32): bool {
  if (!isCanonical(linear) || !isCanonical(linear + (size as u64) - 1)) {
    fault(VECTOR_SS, 0)
    return false
  }
  if (translateFrame(linear, level) == 0) return false
  return !crosses(linear, size) || translateFrame(systemAddress(linear + (size as u64) - 1), level) != 0
}

// Stores it; nothing when it faulted.
export function storeFrame(linear: u64, from: u32, size: u32, level: u32): bool {
  if (!probeFrame(linear, size, level)) return false
  watchAccess(linear, size as u64, true)
  const room: u32 = crosses(linear, size) ? 4096 - ((linear as u32) & 4095) : size
  put(translateFrame(linear, level), from, room)
  if (room != size) put(translateFrame(systemAddress(linear + (room as u64)), level), from + room, size - room)
  return true
}

// Whether the running code could write there; used to make an instruction fault before it changes anything.
export function probeWrite(linear: u64, size: u32, flags: u32): bool {
  if (!checkAddress(linear, size, flags)) return false
  if (translate(linear, WRITE) == 0) return false
  return !crosses(linear, size) || translate(nextPage(linear), WRITE) != 0
}

// The same for a handler: not 0 when it faulted.
export function probeOperand(address: u64, size: u32, flags: u32): u32 {
  return probeWrite(wrapped(address), size, flags) ? 0 : 1
}

// Reads as many bytes as two pages may hold to a place outside guest memory; false when it faulted, and nothing was read.
// Of a page that begins within the block the last byte is what is looked at.
export function readBlock(address: u64, size: u32, flags: u32, to: u32): bool {
  const linear = wrapped(address)
  if (!checkAddress(linear, size, flags)) return false
  const first = translate(linear, READ)
  if (first == 0) return false
  watchAccess(linear, size as u64, false)
  if (!crosses(linear, size)) {
    memory.copy(to, first, size)
    return true
  }
  const room: u32 = 4096 - ((linear as u32) & 4095)
  const last = translate(wrapped(linear + (size as u64) - 1), READ)
  if (last == 0) return false
  gather(first, last - (size - room - 1), room, size, to)
  return true
}

// Writes a block; false when it faulted, and nothing was written.
export function writeBlock(address: u64, from: u32, size: u32, flags: u32): bool {
  const linear = wrapped(address)
  return checkAddress(linear, size, flags) && writeChecked(linear, from, size)
}

// Stores an x87 register, or a decimal number, across two pages; not 0 when it faulted.
export function storeTenBytes(address: u64, low: u64, high: u32, flags: u32): u32 {
  store<u64>(L.BOUNCE, low)
  store<u16>(L.BOUNCE + 8, high)
  // 8 bytes are what it is aligned to.
  return isAligned(address, 8) && writeBlock(address, L.BOUNCE, 10, flags) ? 0 : 1
}
