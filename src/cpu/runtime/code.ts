// The code cache: records, the hash that finds them by host address, and what becomes of them when code is written.
//
// A trace is an array of 32-byte records with two 32-byte headers before it, one for each page it was decoded from:
//   u32 next header in the page's list, u32 first record, u32 number of records, u32 key (host address of the code), u32 mode
// Dropping a trace turns the op of each of its records into OP_STALE (0). So whatever still points at it - a link, the
// target table, the running instruction's successor - finds out when it gets there, and the running instruction itself
// can finish: a store into its own block takes effect before the next instruction, exactly, and costs hot code nothing.
// The memory is reused only when all records are dropped at once, which happens outside of any trace.

import * as R from '../interpreter/record'
import * as L from '../layout'
import { count } from './state'
import { dropWriteTags, flushTargets } from './tlb'

const RECORD_SIZE: u32 = R.RECORD_SIZE
const HEADERS: u32 = 64
const HEADER_NEXT: u32 = 0
const HEADER_FIRST: u32 = 4
const HEADER_COUNT: u32 = 8
const HEADER_KEY: u32 = 12
const HEADER_MODE: u32 = 16
const MODE_MASK: u32 = 31

export function isRam(host: u32): bool {
  return host >= load<u32>(L.RAM_START) && host < load<u32>(L.RAM_END)
}

// The page's entry in PAGES; only for guest RAM.
export function pageEntry(host: u32): u32 {
  return L.PAGES + (((host - load<u32>(L.RAM_START)) >> 12) << L.PAGE_SIZE_LOG2)
}

function hashSlot(host: u32, mode: u32): u32 {
  const hash = (host ^ (host >> 13)) + mode * 0x9e3
  return L.CODE_HASH + ((hash & (L.CODE_HASH_ENTRIES - 1)) << 3)
}

// The record for code at a host address in a mode, or 0.
export function findRecord(host: u32, mode: u32): u32 {
  const slot = hashSlot(host, mode)
  const record = load<u32>(slot, 4)
  return load<u32>(slot) == host && (record & MODE_MASK) == mode ? record & ~MODE_MASK : 0
}

// Room for a trace of at most that many records.
export function allocateTrace(records: u32): u32 {
  const needed = HEADERS + records * RECORD_SIZE
  if (load<u32>(L.RECORD_NEXT) + needed > load<u32>(L.RECORD_END)) flushRecords()
  const trace = load<u32>(L.RECORD_NEXT) + HEADERS
  memory.fill(trace - HEADERS, 0, HEADERS)
  return trace
}

// Enters a decoded trace for the code at FETCH_HOST in the present mode.
export function enterTrace(trace: u32, end: u32): void {
  const host = load<u32>(L.FETCH_HOST)
  const mode = codeMode()
  store<u32>(L.RECORD_NEXT, end)
  const slot = hashSlot(host, mode)
  store<u32>(slot, host)
  store<u32>(slot, trace | mode, 4)
  const records = (end - trace) / RECORD_SIZE
  addHeader(trace - RECORD_SIZE, trace, records, host, host, mode)
  const second = load<u32>(trace - HEADERS, HEADER_KEY)
  if (second != 0) addHeader(trace - HEADERS, trace, records, second, host, mode)
}

// The trace holds an instruction whose end lies in the page at `second`.
export function trackSecondPage(trace: u32, second: u32): void {
  store<u32>(trace - HEADERS, second, HEADER_KEY)
}

function addHeader(header: u32, trace: u32, records: u32, page: u32, host: u32, mode: u32): void {
  store<u32>(header, trace, HEADER_FIRST)
  store<u32>(header, records, HEADER_COUNT)
  store<u32>(header, host, HEADER_KEY)
  store<u32>(header, mode, HEADER_MODE)
  if (!isRam(page)) return
  const entry = pageEntry(page)
  store<u32>(header, load<u32>(entry, L.PAGE_TRACES), HEADER_NEXT)
  store<u32>(entry, header, L.PAGE_TRACES)
}

export function codeMode(): u32 {
  return load<u32>(L.MODE) | load<u32>(L.MODE_FLOAT) | ((load<u32>(L.STEPPING) & L.STEP_ONE) != 0 ? L.MODE_STEP : 0)
}

// Notes that the bytes are code: from now on stores to their page are looked at.
export function markCode(host: u32, length: u32): void {
  if (!isRam(host) || length == 0) return
  const entry = pageEntry(host)
  store<u64>(entry, load<u64>(entry) | lineMask(host, length))
  const flags = load<u32>(entry, L.PAGE_FLAGS)
  if ((flags & L.PAGE_HAS_CODE) != 0) return
  store<u32>(entry, flags | L.PAGE_HAS_CODE, L.PAGE_FLAGS)
  dropWriteTags(host & ~4095)
}

// The 64-byte lines of a page that a span inside it touches.
function lineMask(host: u32, length: u32): u64 {
  const first = (host & 4095) >> 6
  const last = min<u32>(((host & 4095) + length - 1) >> 6, 63)
  const width = last - first + 1
  return ((width == 64 ? 0 : (1 as u64) << (width as u64)) - 1) << (first as u64)
}

// Must be told of every store to guest RAM that did not go through a write tag. The span may cross pages.
export function codeWritten(host: u32, length: u32): void {
  let at = host
  let left = length
  while (left != 0) {
    const room: u32 = 4096 - (at & 4095)
    const here = left < room ? left : room
    if (isRam(at)) {
      const entry = pageEntry(at)
      touchPage(entry)
      if ((load<u32>(entry, L.PAGE_FLAGS) & L.PAGE_HAS_CODE) != 0) {
        count(L.COUNT_CODE_WRITE)
        if ((load<u64>(entry) & lineMask(at, here)) != 0) dropPage(entry)
      }
    }
    at += here
    left -= here
  }
}

export function touchPage(entry: u32): void {
  const flags = load<u32>(entry, L.PAGE_FLAGS)
  if ((flags & L.PAGE_TOUCHED) != 0) return
  store<u32>(entry, flags | L.PAGE_TOUCHED, L.PAGE_FLAGS)
  store<u32>(L.RESIDENT_PAGES, load<u32>(L.RESIDENT_PAGES) + 1)
}

// Drops all traces that hold code of the page; it may then be written freely again.
export function dropPage(entry: u32): void {
  count(L.COUNT_INVALIDATION)
  let header = load<u32>(entry, L.PAGE_TRACES)
  while (header != 0) {
    const first = load<u32>(header, HEADER_FIRST)
    const end = first + load<u32>(header, HEADER_COUNT) * RECORD_SIZE
    for (let record = first; record < end; record += RECORD_SIZE) store<u16>(record, 0)
    forget(first, load<u32>(header, HEADER_KEY), load<u32>(header, HEADER_MODE))
    header = load<u32>(header, HEADER_NEXT)
  }
  store<u64>(entry, 0)
  store<u32>(entry, 0, L.PAGE_TRACES)
  store<u32>(entry, load<u32>(entry, L.PAGE_FLAGS) & ~L.PAGE_HAS_CODE, L.PAGE_FLAGS)
}

function forget(trace: u32, host: u32, mode: u32): void {
  const slot = hashSlot(host, mode)
  if (load<u32>(slot, 4) == (trace | mode)) store<u64>(slot, 0)
}

// Drops one trace that has turned out wrong (its second page is mapped elsewhere now).
export function dropTrace(trace: u32): void {
  const header = trace - RECORD_SIZE
  store<u16>(trace, 0)
  forget(trace, load<u32>(header, HEADER_KEY), load<u32>(header, HEADER_MODE))
}

// Drops everything. Pages keep their code mark: it costs a slow store, which clears it.
export function flushRecords(): void {
  count(L.COUNT_RECORD_FLUSH)
  memory.fill(L.CODE_HASH, 0, L.CODE_HASH_SIZE)
  const pages = (load<u32>(L.RAM_END) - load<u32>(L.RAM_START)) >> 12
  for (let page: u32 = 0; page < pages; page++) {
    const entry = L.PAGES + (page << L.PAGE_SIZE_LOG2)
    if (load<u32>(entry, L.PAGE_TRACES) != 0) store<u32>(entry, 0, L.PAGE_TRACES)
  }
  flushTargets()
  store<u32>(L.LINK_FROM, 0)
  store<u32>(L.RECORD_NEXT, L.RECORDS)
}

// A region whose head is the record also has code in the page at a host address: the head goes stale with that page.
export function watchPage(record: u32, page: u32): void {
  const header = load<u32>(L.RECORD_NEXT)
  store<u32>(L.RECORD_NEXT, header + RECORD_SIZE)
  const own = record - RECORD_SIZE
  addHeader(header, record, 1, page, load<u32>(own, HEADER_KEY), load<u32>(own, HEADER_MODE))
}

// Whether that many more records fit before everything has to be dropped.
export function hasRoom(records: u32): u32 {
  return load<u32>(L.RECORD_NEXT) + records * RECORD_SIZE <= load<u32>(L.RECORD_END) ? 1 : 0
}

// A copy of the record that a region is about to take the place of, for when the region declines: followed by the way back
// to the record behind it. The caller has seen to it that there is room.
export function copyHead(record: u32): u32 {
  const copy = load<u32>(L.RECORD_NEXT)
  const back = copy + RECORD_SIZE
  store<u32>(L.RECORD_NEXT, back + RECORD_SIZE)
  memory.copy(copy, record, RECORD_SIZE)
  memory.fill(back, 0, RECORD_SIZE)
  store<u16>(back, R.OP_RESUME, R.R_OP)
  store<u32>(back, record + RECORD_SIZE, R.R_LINK)
  return copy
}
