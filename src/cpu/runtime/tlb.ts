// The soft TLB: one direct-mapped set for each access context, an entry for each page with separate tags for reading and
// writing (fetches have a TLB of their own), and the difference between linear and host address. Instructions test
// (tag xor address) <u 4096 - (size - 1), which checks page and page crossing at once; whatever must not be done in place
// (code pages, watched pages, pages the EPT forbids, unbacked addresses) never gets the tag.

import * as L from '../layout'
import { count } from './state'

// A tag that no address looked up in the slot has: its page number differs in the bits that chose the slot.
function invalidTag(slot: u32): u64 {
  return ((slot ^ 1) as u64) << 12
}

export function tlbEntry(set: u32, linear: u64): u32 {
  return set + (((linear >> 12) as u32) & (L.TLB_ENTRIES - 1)) * L.TLB_ENTRY_SIZE
}

export function itlbEntry(context: u32, linear: u64): u32 {
  return L.ITLB + context * L.ITLB_SET_SIZE + (((linear >> 12) as u32) & (L.ITLB_ENTRIES - 1)) * L.ITLB_ENTRY_SIZE
}

function clearEntry(entry: u32, slot: u32): void {
  const invalid = invalidTag(slot)
  store<u64>(entry, invalid, L.TLB_READ)
  store<u64>(entry, invalid, L.TLB_WRITE)
  store<u32>(entry, 0, L.TLB_FLAGS)
}

// Not canonical, so no page.
const NO_CODE: u64 = 0x8000000000000000

function clearCode(entry: u32): void {
  store<u64>(entry, NO_CODE)
  store<u32>(entry, 0, L.ITLB_FLAGS)
}

function flushCode(keepGlobal: bool): void {
  const end: u32 = L.ITLB + L.CONTEXTS * L.ITLB_SET_SIZE
  for (let entry: u32 = L.ITLB; entry < end; entry += L.ITLB_ENTRY_SIZE) {
    if (!keepGlobal || (load<u32>(entry, L.ITLB_FLAGS) & L.TLB_GLOBAL) == 0) clearCode(entry)
  }
}

function flushCodePage(linear: u64): void {
  const end: u32 = L.ITLB + L.CONTEXTS * L.ITLB_SET_SIZE
  for (let entry: u32 = L.ITLB; entry < end; entry += L.ITLB_ENTRY_SIZE) {
    const page = load<u64>(entry)
    const piece = (load<u32>(entry, L.ITLB_FLAGS) & L.TLB_LARGE) != 0 && page >> 30 == linear >> 30
    if (page == (linear & ~(4095 as u64)) || piece) clearCode(entry)
  }
}

// The slots hold what the TLB holds: they are emptied with it, and when the context changes.
export function dropSlots(): void {
  const end: u32 = L.PAGE_SLOTS + L.PAGE_SLOT_COUNT * L.PAGE_SLOT_SIZE
  for (let slot: u32 = L.PAGE_SLOTS; slot < end; slot += L.PAGE_SLOT_SIZE) {
    store<u64>(slot, L.NO_PAGE, L.SLOT_READ)
    store<u64>(slot, L.NO_PAGE, L.SLOT_WRITE)
  }
}

// An entry of the TLB is about to hold another page.
export function replaced(entry: u32): void {
  const page = load<u64>(entry, L.TLB_READ)
  const end: u32 = L.PAGE_SLOTS + L.PAGE_SLOT_COUNT * L.PAGE_SLOT_SIZE
  for (let slot: u32 = L.PAGE_SLOTS; slot < end; slot += L.PAGE_SLOT_SIZE) {
    if (load<u64>(slot, L.SLOT_READ) != page) continue
    store<u64>(slot, L.NO_PAGE, L.SLOT_READ)
    store<u64>(slot, L.NO_PAGE, L.SLOT_WRITE)
  }
}

export function flushTlbSet(context: u32): void {
  const set: u32 = L.TLB + context * L.TLB_SET_SIZE
  for (let slot: u32 = 0; slot < (L.TLB_ENTRIES as u32); slot++) clearEntry(set + slot * L.TLB_ENTRY_SIZE, slot)
  dropSlots()
}

function flushWalks(): void {
  memory.fill(L.WALK_CACHE, 0, L.WALKS * 32)
}

// Drops all entries, or all but those of global pages.
export function flushTlb(keepGlobal: bool): void {
  count(L.COUNT_TLB_FLUSH)
  for (let context: u32 = 0; context < (L.CONTEXTS as u32); context++) {
    const set: u32 = L.TLB + context * L.TLB_SET_SIZE
    for (let slot: u32 = 0; slot < (L.TLB_ENTRIES as u32); slot++) {
      const entry = set + slot * L.TLB_ENTRY_SIZE
      if (keepGlobal && (load<u32>(entry, L.TLB_FLAGS) & L.TLB_GLOBAL) != 0) continue
      clearEntry(entry, slot)
    }
  }
  flushCode(keepGlobal)
  flushWalks()
  flushTargets()
  dropSlots()
}

// INVLPG. Of a large page all pieces go; which page a piece belongs to is not kept, so all pieces in the gigabyte do.
export function flushTlbPage(linear: u64): void {
  const page = ((linear >> 12) as u32) & (L.TLB_ENTRIES - 1)
  for (let context: u32 = 0; context < (L.CONTEXTS as u32); context++) {
    const set: u32 = L.TLB + context * L.TLB_SET_SIZE
    for (let slot: u32 = 0; slot < (L.TLB_ENTRIES as u32); slot++) {
      const entry = set + slot * L.TLB_ENTRY_SIZE
      const piece = (load<u32>(entry, L.TLB_FLAGS) & L.TLB_LARGE) != 0 && sameGigabyte(entry, slot, linear)
      if (slot == page || piece) clearEntry(entry, slot)
    }
  }
  flushCodePage(linear)
  flushWalks()
  flushTargets()
  dropSlots()
}

// Whether the page of an entry lies in the gigabyte of an address; its valid tags, one at least, all hold the page.
function sameGigabyte(entry: u32, slot: u32, linear: u64): bool {
  const invalid = invalidTag(slot) & 0x3ff000
  for (let tag: u32 = L.TLB_READ; tag <= (L.TLB_WRITE as u32); tag += 8) {
    const page = load<u64>(entry + tag)
    if ((page & 0x3ff000) != invalid && page >> 30 == linear >> 30) return true
  }
  return false
}

// The target table says which record an address has; it must forget whenever a mapping may have changed.
export function flushTargets(): void {
  flushTargetTable(0)
  flushTargetTable(1)
}

// One of the two tables: that of supervisor code, or that of user code.
export function flushTargetTable(table: u32): void {
  const first: u32 = L.TARGETS + table * L.TARGET_SET_SIZE
  for (let entry = first; entry < first + L.TARGET_SET_SIZE; entry += L.TARGET_ENTRY_SIZE) {
    // Not canonical, so no address of code.
    store<u64>(entry, 0x8000000000000000)
  }
}

// The page at a host address is no longer to be written in place.
export function dropWriteTags(page: u32): void {
  dropSlots()
  const end: u32 = L.TLB + L.CONTEXTS * L.TLB_SET_SIZE
  for (let entry: u32 = L.TLB; entry < end; entry += L.TLB_ENTRY_SIZE) {
    const tag = load<u64>(entry, L.TLB_WRITE)
    if ((tag as u32) + load<u32>(entry, L.TLB_ADDEND) == page) {
      store<u64>(entry, invalidTag(((entry - L.TLB) / L.TLB_ENTRY_SIZE) & (L.TLB_ENTRIES - 1)), L.TLB_WRITE)
    }
  }
}
