// What happens between traces: pending events, debug conditions, the budget, and finding the record for RIP.

import * as R from '../interpreter/record'
import * as L from '../layout'
import { codeMode, dropTrace, findRecord } from './code'
import { currentContext } from './context'
import { deliverPending, raiseDebug } from './event'
import { translate } from './paging'
import { EXECUTE } from './physical'
import {
  attend,
  complete,
  EXIT_REASON_INT_WINDOW,
  exit,
  faulted,
  gp0,
  in64,
  isCanonical,
  RFLAGS_IF,
  RFLAGS_RF,
  RFLAGS_TF,
  systemFlags,
  unattend,
} from './state'
import { itlbEntry } from './tlb'
import { anyBreakpoint, instructionBreaks } from './watch'

const DR6_BS: u32 = 0x4000

// RIP of a record's instruction: its linear address without the base of CS.
function ripOf(record: u32): u64 {
  const linear = load<u64>(L.RIP_PAGE) + ((load<u16>(record, R.R_POSITION) as u64) >> 4)
  return (linear - load<u64>(L.CODE_BASE)) & load<u64>(L.RIP_MASK)
}

// Linear address of the page after the running one.
function nextPage(): u64 {
  return (load<u64>(L.RIP_PAGE) + 4096) & load<u64>(L.RIP_MASK)
}

// Leaves a trace at a record: RIP is that of its instruction, NEXT_RIP the one behind it, and the budget is charged with
// all instructions up to and including it.
export function sync(record: u32): void {
  const rip = ripOf(record)
  const length = load<u16>(record, R.R_POSITION) & 15
  store<u64>(L.RIP, rip)
  store<u64>(L.NEXT_RIP, (rip + (length as u64)) & load<u64>(L.RIP_MASK))
  charge((load<u16>(record, R.R_COUNT) as i32) + 1)
}

function charge(instructions: i32): void {
  store<i32>(L.BUDGET, load<i32>(L.BUDGET) - instructions)
}

// Back to the RIP of a record that is not to be run: its code was overwritten, or the budget is short.
export function staleRecord(record: u32): void {
  store<u64>(L.RIP, ripOf(record))
}

// First record of an instruction that crosses a page: 0 when the second page is what it was, else the trace is left.
export function crossPage(record: u32): u32 {
  const rip = ripOf(record)
  store<u64>(L.RIP, rip)
  if (!in64() && !fetchable(rip, lengthAt(record))) return 1
  const next = nextPage()
  const entry = itlbEntry(currentContext(), next)
  const expected = load<u32>(record, R.R_IMMEDIATE)
  if (load<u64>(entry) == next && (next as u32) + load<u32>(entry, L.ITLB_ADDEND) == expected) return 0
  const host = translate(next, EXECUTE)
  if (host == expected) return 0
  if (host == 0) charge(1)
  else dropTrace(record)
  return 1
}

// Host address of the page after the one that FETCH_HOST lies in, for an instruction that goes on there; 0 when it faults.
export function fetchNextPage(): u32 {
  const inThisPage: u32 = 4096 - (load<u32>(L.FETCH_HOST) & 4095)
  if (!fetchable(load<u64>(L.RIP), inThisPage + 1)) return 0
  const host = translate(nextPage(), EXECUTE)
  if (host == 0) charge(1)
  return host
}

// Whether code of so many bytes may lie at an RIP; false with #GP(0) when it is not canonical or beyond the limit of CS.
function fetchable(rip: u64, length: u32): bool {
  const limit = load<u32>(L.CS + L.SEG_LIMIT)
  const fits = in64() ? isCanonical(rip) : limit == 0xffffffff || rip + (length as u64) - 1 <= (limit as u64)
  if (!fits) {
    charge(1)
    gp0()
  }
  return fits
}

// Length of the instruction that begins with a record: that of the first record which has one.
function lengthAt(record: u32): u32 {
  let at = record
  while ((load<u16>(at, R.R_POSITION) & 15) == 0) at += R.RECORD_SIZE
  return load<u16>(at, R.R_POSITION) & 15
}

// The record to go on with, or 0: then EXIT_REASON says why not.
export function next(): u32 {
  if (load<u32>(L.DECODING) != 0 && !faulted()) {
    // Back from decoding: everything else was settled before.
    store<u32>(L.DECODING, 0)
    const record = resolve()
    if (record != 0) return record
  } else {
    store<u32>(L.DECODING, 0)
    endStep()
  }
  while (load<u32>(L.EXIT_REASON) == L.EXIT_NONE) {
    if (load<i32>(L.FAULT_VECTOR) >= 0) {
      store<u32>(L.LINK_FROM, 0)
      endStep()
      deliverPending()
      continue
    }
    let step = load<u32>(L.ATTENTION) != 0 ? attention() : 0
    if (faulted()) continue
    if (load<u64>(L.RIP) >= load<u64>(L.CODE_WHOLE)) step |= L.STEP_ONE
    const left = load<i32>(L.BUDGET)
    if (left < R.MAX_TRACE) {
      if (left <= 0 || (load<u32>(L.EXACT) == 0 && step == 0)) {
        exit(L.EXIT_BUDGET)
        break
      }
      step |= L.STEP_ONE
    }
    settleShadow()
    if (step != 0) beginStep(step)
    const record = resolve()
    if (record != 0) return record
  }
  if (load<u32>(L.EXIT_REASON) != L.EXIT_DECODE) {
    stopStepping()
    // RIP may be another one when the guest goes on.
    store<u32>(L.LINK_FROM, 0)
  }
  return 0
}

// Conditions that keep the processor from simply going on. Gives STEP_ bits; the caller looks at faulted().
function attention(): u32 {
  const bits = load<u32>(L.ATTENTION)
  const shadow = (bits & L.ATTENTION_SHADOW) != 0
  if ((bits & L.ATTENTION_PENDING_DB) != 0 && (bits & L.ATTENTION_SS_SHADOW) == 0) {
    unattend(L.ATTENTION_PENDING_DB)
    const causes = load<u32>(L.PENDING_DB)
    store<u32>(L.PENDING_DB, 0)
    if (causes != 0) {
      raiseDebug(causes)
      return 0
    }
  }
  if ((bits & L.ATTENTION_WINDOW) != 0 && !shadow && (systemFlags() & RFLAGS_IF) != 0) {
    exit(EXIT_REASON_INT_WINDOW)
    return 0
  }
  let step: u32 = 0
  if (shadow && (bits & L.ATTENTION_WINDOW) != 0) step |= L.STEP_ONE
  if ((bits & L.ATTENTION_TRAP_FLAG) != 0) step |= L.STEP_ONE | L.STEP_TRAP
  if (anyBreakpoint()) {
    step |= L.STEP_ONE
    const hits = instructionBreaks(linearRip())
    if (hits != 0 && (bits & (L.ATTENTION_RESUME | L.ATTENTION_SS_SHADOW)) == 0) {
      charge(1)
      raiseDebug(hits)
      return 0
    }
  }
  return step
}

// The instruction about to run ends the interrupt shadow and RF.
function settleShadow(): void {
  const bits = load<u32>(L.ATTENTION)
  if ((bits & (L.ATTENTION_SHADOW | L.ATTENTION_RESUME)) == 0) return
  unattend(L.ATTENTION_SHADOW | L.ATTENTION_RESUME)
  store<u64>(L.RFLAGS, (systemFlags() & ~RFLAGS_RF) as u64)
}

// The next instruction runs alone: its records are those of a trace of one.
function beginStep(bits: u32): void {
  store<i32>(L.HELD_BUDGET, load<i32>(L.BUDGET) - 1)
  store<i32>(L.BUDGET, 1)
  store<u32>(L.STEPPING, bits | L.STEP_ONE)
}

// The budget is whole again.
function stopStepping(): void {
  if (load<u32>(L.STEPPING) == 0) return
  store<i32>(L.BUDGET, load<i32>(L.BUDGET) + load<i32>(L.HELD_BUDGET))
  store<u32>(L.STEPPING, 0)
}

// After a step: single-step and data breakpoint traps are due.
function endStep(): void {
  const stepping = load<u32>(L.STEPPING)
  if (stepping == 0) return
  stopStepping()
  if (load<i32>(L.FAULT_VECTOR) >= 0) {
    // What was noted of an instruction that did not complete is void.
    store<u32>(L.PENDING_DB, 0)
    return
  }
  const inShadow = (load<u32>(L.ATTENTION) & L.ATTENTION_SS_SHADOW) != 0
  if ((stepping & L.STEP_TRAP) != 0 && !inShadow) store<u32>(L.PENDING_DB, load<u32>(L.PENDING_DB) | DR6_BS)
  if (load<u32>(L.PENDING_DB) != 0) attend(L.ATTENTION_PENDING_DB)
}

function linearRip(): u64 {
  return (load<u64>(L.CODE_BASE) + load<u64>(L.RIP)) & load<u64>(L.RIP_MASK)
}

// The record for RIP: through the execute tag of its page and the code hash. 0 when the fetch faults, or when the code is
// to be decoded first (EXIT_DECODE).
function resolve(): u32 {
  const rip = load<u64>(L.RIP)
  const link = load<u32>(L.LINK_FROM)
  store<u32>(L.LINK_FROM, 0)
  if (!fetchable(rip, 1)) return 0
  const linear = linearRip()
  const host = translate(linear, EXECUTE)
  if (host == 0) {
    charge(1)
    return 0
  }
  store<u64>(L.RIP_PAGE, linear & ~(4095 as u64))
  const record = findRecord(host, codeMode())
  if (record == 0) {
    store<u32>(L.FETCH_HOST, host)
    store<u32>(L.LINK_FROM, link)
    store<u32>(L.DECODING, 1)
    exit(L.EXIT_DECODE)
    return 0
  }
  if (rip >= load<u64>(L.CODE_WHOLE) && !fetchable(rip, lengthAt(record))) return 0
  const interpret = (load<u32>(L.ATTENTION) & L.ATTENTION_INTERPRET) != 0
  unattend(L.ATTENTION_INTERPRET)
  if (load<u32>(L.STEPPING) != 0) return record
  if (interpret && load<u16>(record, R.R_OP) == R.OP_REGION) return load<u32>(record + (R.HEADER_COPY as u32))
  const hash = (linear as u32) ^ ((linear >> 12) as u32)
  const target = load<u32>(L.TARGET_BASE) + (hash & (L.TARGET_ENTRIES - 1)) * L.TARGET_ENTRY_SIZE
  store<u64>(target, linear)
  store<u32>(target, record, L.TARGET_RECORD)
  // The page may have been mapped elsewhere since the branch was entered; a link must stay within the page itself.
  if (link != 0 && load<u32>(link, R.R_HOST_PAGE) == (host & ~4095)) store<u32>(link, record, R.R_LINK)
  return record
}

// An exiting instruction was emulated outside: RIP goes past it.
export function advance(): void {
  complete()
  unattend(L.ATTENTION_SHADOW)
  if ((systemFlags() & RFLAGS_TF) != 0) {
    store<u32>(L.PENDING_DB, load<u32>(L.PENDING_DB) | DR6_BS)
    attend(L.ATTENTION_PENDING_DB)
  }
}
