// Linear to physical: the page walk (Intel SDM volume 3, chapter 4) and the TLB fill after it. There are three kinds of paging:
// 4-level (long mode), PAE (CR4.PAE), whose top level is in the four PDPTE registers, and legacy 32-bit paging, with 4 MB
// pages when CR4.PSE is set.
//
// A walk first goes down and gathers the rights of all levels, then decides, and only then sets accessed and dirty bits,
// so that a faulting access leaves the tables alone.

import * as L from '../layout'
import { isRam, pageEntry } from './code'
import { contextBase, currentContext, systemContext } from './context'
import {
  EXECUTE,
  eptAllows,
  eptDenied,
  hostOf,
  READ,
  readPhysical32,
  readPhysical64,
  WRITE,
  writePhysical32,
  writePhysical64,
} from './physical'
import {
  CR0_PG,
  CR0_WP,
  CR4_PAE,
  CR4_PGE,
  CR4_PSE,
  CR4_SMEP,
  clearFault,
  count,
  cr0,
  cr4,
  EFER_NXE,
  efer,
  fault,
  faulted,
  isCanonical,
  longMode,
  VECTOR_PF,
} from './state'
import { itlbEntry, replaced, tlbEntry } from './tlb'
import { pageWatched } from './watch'

const P: u64 = 1
const RW: u64 = 2
const US: u64 = 4
const A: u64 = 0x20
const D: u64 = 0x40
const PS: u64 = 0x80
const G: u64 = 0x100
const NX: u64 = 0x8000000000000000
const ADDRESS: u64 = 0x000ffffffffff000

const ERROR_PRESENT: u32 = 1
const ERROR_WRITE: u32 = 2
const ERROR_USER: u32 = 4
const ERROR_RESERVED: u32 = 8
const ERROR_FETCH: u32 = 16

// What the last walk found.
let walkedPage: u64 = 0
let walkedRights: u64 = 0
let walkedLeaf: u64 = 0
let walkedLarge = false

// The tables have entries of 32 bits: legacy paging.
function legacy(): bool {
  return (cr4() & CR4_PAE) == 0
}

// Whether there is a right to execute.
function noExecute(): bool {
  return (efer() & EFER_NXE) != 0 && !legacy()
}

// Where the entries of the walk lie and what they hold, top level first; for the accessed bits.
let levels: u32 = 0
const TRAIL: u32 = L.WALK_TRAIL

function note(gpa: u64, entry: u64): void {
  store<u64>(TRAIL + (levels << 4), gpa)
  store<u64>(TRAIL + (levels << 4), entry, 8)
  levels++
}

function pageFault(linear: u64, error: u32, access: u32, user: bool): void {
  let code = error
  if (access == WRITE) code |= ERROR_WRITE
  if (user) code |= ERROR_USER
  if (access == EXECUTE && (noExecute() || (cr4() & CR4_SMEP) != 0)) code |= ERROR_FETCH
  store<u64>(L.FAULT_CR2, linear)
  fault(VECTOR_PF, code)
}

// The bits of an address that the processor has not got.
function beyondPhysical(): u64 {
  return ADDRESS & ~(((1 as u64) << (load<u32>(L.PHYSICAL_BITS) as u64)) - 1)
}

// Bits that must be zero in an entry of PAE and 4-level paging: above the physical address, NX without NXE, the low bits of a
// large page's address, and those that only 4-level paging leaves to software.
function reservedBits(level: u32, entry: u64): bool {
  let reserved = beyondPhysical()
  if (!longMode()) reserved |= 0x7ff0000000000000
  if ((efer() & EFER_NXE) == 0) reserved |= NX
  if ((entry & PS) != 0) {
    if (level == 3) reserved |= PS
    if (level == 2) reserved |= load<u32>(L.GIGABYTE_PAGES) != 0 ? 0x3fffe000 : PS
    if (level == 1) reserved |= 0x1fe000
  }
  return (entry & reserved) != 0
}

// Where walks of the 2 MB around an address are remembered. The processor may do so (Intel SDM volume 3, 4.10.3); it is
// flushed with the TLB. Only what has its accessed bits set is kept, so that a shortened walk has none to set but its own.
function walkSlot(linear: u64): u32 {
  return L.WALK_CACHE + (((linear >> 21) as u32) & (L.WALKS - 1)) * 32
}

function remember(linear: u64, entry: u64, rights: u64, large: bool): void {
  const slot = walkSlot(linear)
  store<u64>(slot, (linear >> 21) + 1)
  store<u64>(slot, entry, 8)
  store<u64>(slot, rights, 16)
  store<u32>(slot, large ? 1 : 0, 24)
}

function found(linear: u64, entry: u64, rights: u64, shift: u64): void {
  const offset = ((1 as u64) << shift) - 1
  walkedPage = ((entry & ADDRESS & ~offset) | (linear & offset)) & ~(4095 as u64)
  walkedLeaf = entry
  walkedRights = rights
  walkedLarge = shift != 12
}

// Goes down the tables; false when it faulted.
function walk(linear: u64, access: u32, user: bool): bool {
  count(L.COUNT_PAGE_WALK)
  levels = 0
  const slot = walkSlot(linear)
  if (load<u64>(slot) != (linear >> 21) + 1) return walkFromTop(linear, access, user)
  const entry = load<u64>(slot, 8)
  const rights = load<u64>(slot, 16)
  if (load<u32>(slot, 24) == 0) {
    if (legacy()) return walkLegacyTable(entry, rights, linear, access, user)
    return walkFrom(entry & ADDRESS, rights, 0, linear, access, user)
  }
  // A large page that is not dirty yet is to be written: the whole walk finds the entry to mark.
  if (access == WRITE && (entry & D) == 0) return walkFromTop(linear, access, user)
  found(linear, entry, rights, legacy() ? 22 : 21)
  return true
}

// RW and US of all levels are anded, NX is ored: NX is kept inverted while anding.
function walkFromTop(linear: u64, access: u32, user: bool): bool {
  const all = RW | US | NX
  if (longMode()) return walkFrom(load<u64>(L.CR3) & ADDRESS, all, 3, linear, access, user)
  if (legacy()) return walkLegacyDirectory(linear, access, user)
  const pointer = load<u64>(L.PDPTE + (((linear >> 30) as u32) & 3) * 8)
  if ((pointer & P) != 0) return walkFrom(pointer & ADDRESS, all, 1, linear, access, user)
  pageFault(linear, 0, access, user)
  return false
}

// An entry of 32 bits; 0 when it is not present or reading it faulted.
function readLegacyEntry(gpa: u64, linear: u64, access: u32, user: bool): u64 {
  const entry = readPhysical32(gpa) as u64
  if (faulted()) return 0
  if ((entry & P) == 0) {
    pageFault(linear, 0, access, user)
    return 0
  }
  note(gpa, entry)
  return entry
}

function walkLegacyDirectory(linear: u64, access: u32, user: bool): bool {
  const entry = readLegacyEntry((load<u64>(L.CR3) & 0xfffff000) + ((linear >> 22) << 2), linear, access, user)
  if (entry == 0) return false
  const rights = (entry & (RW | US)) | NX
  if ((entry & PS) == 0 || (cr4() & CR4_PSE) == 0) {
    if ((entry & A) != 0) remember(linear, entry, rights, false)
    return walkLegacyTable(entry, rights, linear, access, user)
  }
  // PSE-36: bits 32-39 of the address are in bits 13-20, and bit 21 is reserved.
  const address = (entry & 0xffc00000) | ((entry & 0x1fe000) << 19)
  if ((entry & 0x200000) != 0 || (address & beyondPhysical()) != 0) {
    pageFault(linear, ERROR_PRESENT | ERROR_RESERVED, access, user)
    return false
  }
  const leaf = address | (entry & 0xfff)
  if ((entry & A) != 0) remember(linear, leaf, rights, true)
  found(linear, leaf, rights, 22)
  return true
}

function walkLegacyTable(directory: u64, above: u64, linear: u64, access: u32, user: bool): bool {
  const gpa = (directory & 0xfffff000) + (((linear >> 12) & 1023) << 2)
  const entry = readLegacyEntry(gpa, linear, access, user)
  if (entry == 0) return false
  found(linear, entry, above & (entry | NX), 12)
  return true
}

function walkFrom(table: u64, above: u64, top: u32, linear: u64, access: u32, user: bool): bool {
  let rights = above
  let accessed = A
  let level = top
  let shift: u64 = 12 + 9 * (top as u64)
  while (shift >= 12) {
    const gpa = table + (((linear >> shift) & 511) << 3)
    const entry = readPhysical64(gpa)
    if (faulted()) return false
    if ((entry & P) == 0) {
      pageFault(linear, 0, access, user)
      return false
    }
    if (reservedBits(level, entry)) {
      pageFault(linear, ERROR_PRESENT | ERROR_RESERVED, access, user)
      return false
    }
    note(gpa, entry)
    rights &= entry ^ NX
    accessed &= entry
    const leaf = level == 0 || (entry & PS) != 0
    if (level == 1 && accessed != 0) remember(linear, entry, rights, leaf)
    if (leaf) {
      found(linear, entry, rights, shift)
      return true
    }
    table = entry & ADDRESS
    shift -= 9
    level--
  }
  return false
}

// Whether the rights of the walk allow the access from a context.
function allowed(access: u32, context: u32): bool {
  const userPage = (walkedRights & US) != 0
  const user = context == L.CONTEXT_USER || context == L.CONTEXT_USER_ALIGNED
  if (user && !userPage) return false
  if (access == EXECUTE) {
    if ((walkedRights & NX) == 0 && noExecute()) return false
    return user || !userPage || (cr4() & CR4_SMEP) == 0
  }
  if (!user && userPage && context == L.CONTEXT_SUPERVISOR_SMAP) return false
  if (access == WRITE && (walkedRights & RW) == 0) return !user && (cr0() & CR0_WP) == 0
  return true
}

function setAccessed(dirty: bool): bool {
  for (let i: u32 = 0; i < levels; i++) {
    const gpa = load<u64>(TRAIL + (i << 4))
    const entry = load<u64>(TRAIL + (i << 4), 8)
    const wanted = entry | A | (dirty && i == levels - 1 ? D : 0)
    if (wanted == entry) continue
    if (legacy()) writePhysical32(gpa, wanted as u32)
    else writePhysical64(gpa, wanted)
    if (faulted()) return false
    if (i == levels - 1) walkedLeaf |= wanted & (A | D)
  }
  return true
}

// The walk, and what its rights say of the access; false when it faulted.
function permitted(linear: u64, access: u32, context: u32, user: bool): bool {
  if (!walk(linear, access, user)) return false
  if (allowed(access, context)) return true
  pageFault(linear, ERROR_PRESENT, access, user)
  return false
}

// Without paging every page is its own. (Linear addresses have 32 bits then.)
function unpaged(linear: u64): void {
  walkedPage = linear & ~(4095 as u64)
  walkedRights = RW | US | NX
  walkedLeaf = D
  walkedLarge = false
}

// Host address for an access, filling the TLB; 0 when it faulted.
function walkAndFill(linear: u64, access: u32, context: u32): u32 {
  const user = context == L.CONTEXT_USER || context == L.CONTEXT_USER_ALIGNED
  if ((cr0() & CR0_PG) != 0) {
    if (!permitted(linear, access, context, user)) {
      // What was remembered may be out of date: a page fault forgets it (4.10.4.1), and only a whole walk may raise one.
      const slot = walkSlot(linear)
      if (load<u64>(slot) != (linear >> 21) + 1 || load<i32>(L.FAULT_VECTOR) < 0) return 0
      store<u64>(slot, 0)
      clearFault()
      if (!permitted(linear, access, context, user)) return 0
    }
    if (!setAccessed(access == WRITE)) return 0
  } else unpaged(linear)
  const host = hostOf(walkedPage)
  if (!eptAllows(host, walkedPage | (linear & 4095), access)) return 0
  fill(linear & ~(4095 as u64), host, access, context)
  return host + ((linear as u32) & 4095)
}

// What is kept of the leaf besides the address.
function leafFlags(): u32 {
  const global = (cr4() & CR4_PGE) != 0 && (walkedLeaf & G) != 0
  return (global ? L.TLB_GLOBAL : 0) | (walkedLarge ? L.TLB_LARGE : 0)
}

function fill(page: u64, host: u32, access: u32, context: u32): void {
  if (access == EXECUTE) fillCode(page, host, context)
  else fillData(page, host, context)
}

function fillCode(page: u64, host: u32, context: u32): void {
  const entry = itlbEntry(context, page)
  store<u64>(entry, page)
  store<u32>(entry, host - (page as u32), L.ITLB_ADDEND)
  store<u32>(entry, leafFlags(), L.ITLB_FLAGS)
}

function fillData(page: u64, host: u32, context: u32): void {
  const entry = tlbEntry(contextBase(context), page)
  const addend = host - (page as u32)
  if (load<u32>(entry, L.TLB_ADDEND) != addend || !holds(entry, page)) {
    replaced(entry)
    const other = page ^ 0x1000
    store<u64>(entry, other, L.TLB_READ)
    store<u64>(entry, other, L.TLB_WRITE)
    store<u32>(entry, addend, L.TLB_ADDEND)
  }
  store<u32>(entry, leafFlags(), L.TLB_FLAGS)
  const denied = eptDenied(host)
  // The tags stay away where every access has to be looked at.
  if (!isRam(host) || context == L.CONTEXT_USER_ALIGNED || pageWatched(page)) return
  if ((denied & L.PAGE_DENY_READ) != 0 || !allowed(READ, context)) return
  store<u64>(entry, page, L.TLB_READ)
  const clean = (walkedLeaf & D) == 0
  if (clean || (denied & L.PAGE_DENY_WRITE) != 0 || !allowed(WRITE, context)) return
  if ((load<u32>(pageEntry(host), L.PAGE_FLAGS) & L.PAGE_HAS_CODE) == 0) store<u64>(entry, page, L.TLB_WRITE)
}

function holds(entry: u32, page: u64): bool {
  return load<u64>(entry, L.TLB_READ) == page || load<u64>(entry, L.TLB_WRITE) == page
}

// Host address for a data access or fetch of the running code, through the TLB; 0 when it faulted.
export function translate(linear: u64, access: u32): u32 {
  return translateIn(linear, access, currentContext())
}

// The same for an access that the processor makes by itself.
export function translateSystem(linear: u64, access: u32): u32 {
  return translateIn(linear, access, systemContext())
}

function translateIn(linear: u64, access: u32, context: u32): u32 {
  const page = linear & ~(4095 as u64)
  if (access == EXECUTE) {
    const code = itlbEntry(context, linear)
    if (load<u64>(code) == page) return (linear as u32) + load<u32>(code, L.ITLB_ADDEND)
  } else {
    const data = tlbEntry(contextBase(context), linear)
    const tag = access == READ ? L.TLB_READ : L.TLB_WRITE
    if (load<u64>(data + tag) == page) return (linear as u32) + load<u32>(data, L.TLB_ADDEND)
  }
  return walkAndFill(linear, access, context)
}

// The four PDPTE registers from the table at CR3, as MOV to CR3 and changes of the paging mode load them (4.4.1); false, and
// none loaded, when one of them is present and has a reserved bit set, or the EPT forbids to read them.
export function loadPointers(cr3: u64): bool {
  const table = cr3 & 0xffffffe0
  const reserved = beyondPhysical() | 0xfff00000000001e6
  // The monitor emulates MOV to a control register, whose exit still stands.
  const reason = load<u32>(L.EXIT_REASON)
  for (let i: u32 = 0; i < 4; i++) {
    const entry = readPhysical64(table + ((i << 3) as u64))
    if (load<u32>(L.EXIT_REASON) != reason) return false
    if ((entry & P) != 0 && (entry & reserved) != 0) return false
    store<u64>(L.SCRATCH + (i << 3), entry)
  }
  memory.copy(L.PDPTE, L.SCRATCH, 32)
  return true
}

const NOT_MAPPED: u64 = 0xffffffffffffffff

// Looks a linear address up without faults, rights or traces, for the monitor: guest-physical address or -1.
export function lookUp(linear: u64): u64 {
  if ((cr0() & CR0_PG) == 0) return linear
  if (longMode()) return lookUpFrom(load<u64>(L.CR3) & ADDRESS, 39, linear)
  if (legacy()) return lookUpLegacy(linear)
  const pointer = load<u64>(L.PDPTE + (((linear >> 30) as u32) & 3) * 8)
  return (pointer & P) != 0 ? lookUpFrom(pointer & ADDRESS, 21, linear) : NOT_MAPPED
}

function lookUpFrom(top: u64, first: u64, linear: u64): u64 {
  let table = top
  let shift = first
  while (shift >= 12) {
    const host = hostOf(table + (((linear >> shift) & 511) << 3))
    const entry = load<u64>(host)
    if ((entry & P) == 0 || !isRam(host)) return NOT_MAPPED
    if (shift == 12 || ((entry & PS) != 0 && shift < 39)) {
      const offset = ((1 as u64) << shift) - 1
      return (entry & ADDRESS & ~offset) | (linear & offset)
    }
    table = entry & ADDRESS
    shift -= 9
  }
  return NOT_MAPPED
}

function lookUpLegacy(linear: u64): u64 {
  const directory = hostOf((load<u64>(L.CR3) & 0xfffff000) + (((linear >> 22) & 1023) << 2))
  const entry = load<u32>(directory) as u64
  if ((entry & P) == 0 || !isRam(directory)) return NOT_MAPPED
  if ((entry & PS) != 0 && (cr4() & CR4_PSE) != 0) {
    return (entry & 0xffc00000) | ((entry & 0x1fe000) << 19) | (linear & 0x3fffff)
  }
  const table = hostOf((entry & 0xfffff000) + (((linear >> 12) & 1023) << 2))
  const leaf = load<u32>(table) as u64
  return (leaf & P) != 0 && isRam(table) ? (leaf & 0xfffff000) | (linear & 4095) : NOT_MAPPED
}

// Host address of a page that the running code may execute, else 0. Nothing is raised and no accessed bit set: a page
// that has yet to be marked as accessed does not count.
export function executableHost(page: u64): u32 {
  const context = currentContext()
  const entry = itlbEntry(context, page)
  if (load<u64>(entry) == page) return (page as u32) + load<u32>(entry, L.ITLB_ADDEND)
  // An exception that is still to be delivered must not be lost.
  if (faulted() || !isCanonical(page) || page > load<u64>(L.RIP_MASK)) return 0
  const found = probeExecute(page, context)
  if (faulted()) clearFault()
  store<u32>(L.EXIT_REASON, L.EXIT_NONE)
  return found
}

function probeExecute(page: u64, context: u32): u32 {
  const user = context == L.CONTEXT_USER || context == L.CONTEXT_USER_ALIGNED
  if ((cr0() & CR0_PG) != 0) {
    if (!walk(page, EXECUTE, user) || !allowed(EXECUTE, context)) return 0
    for (let i: u32 = 0; i < levels; i++) {
      if ((load<u64>(TRAIL + (i << 4), 8) & A) == 0) return 0
    }
  } else unpaged(page)
  const host = hostOf(walkedPage)
  if ((eptDenied(host) & L.PAGE_DENY_EXECUTE) != 0 || !isRam(host)) return 0
  fill(page, host, EXECUTE, context)
  return host
}
