// Exceptions and interrupts: through the IDT in 64-bit mode (Intel SDM volume 3, 6.14), double and triple fault (6.15).

import * as L from '../layout'
import { pushFrame, readSystem } from './access'
import {
  AR_DB,
  AR_L,
  AR_P,
  AR_S,
  AR_UNUSABLE,
  accessRightsOf,
  dplOf,
  isNull,
  TYPE_CODE,
  TYPE_CONFORMING,
} from './descriptor'
import { readRflags, writeRflags } from './flags'
import { readDescriptor, writeCodeSegment, writeSegment } from './segment'
import {
  clearFault,
  count,
  cpl,
  EXIT_REASON_EXCEPTION,
  EXIT_REASON_TRIPLE_FAULT,
  exit,
  fault,
  faulted,
  faultPlain,
  isCanonical,
  RFLAGS_IF,
  RFLAGS_NT,
  RFLAGS_RF,
  RFLAGS_TF,
  RFLAGS_VM,
  segmentSelector,
  unattend,
  VECTOR_BP,
  VECTOR_DB,
  VECTOR_DE,
  VECTOR_DF,
  VECTOR_GP,
  VECTOR_NP,
  VECTOR_PF,
  VECTOR_SS,
  VECTOR_TS,
} from './state'

// Where an event comes from.
export const HARDWARE: u32 = 0
export const SOFTWARE: u32 = 1
export const EXTERNAL: u32 = 2

// The event is a fault: its saved RFLAGS image has RF set.
let resume = false

const GATE_INTERRUPT: u32 = 14
const GATE_TRAP: u32 = 15
const ERROR_IDT: u32 = 2
const TSS_RSP0: u32 = 4
const TSS_IST1: u32 = 36

function contributory(vector: u32): bool {
  return vector == VECTOR_DE || (vector >= VECTOR_TS && vector <= VECTOR_GP)
}

// Delivers the exception in FAULT_VECTOR, or leaves with it when the monitor intercepts it.
export function deliverPending(): void {
  const first = load<u32>(L.FAULT_VECTOR)
  if (intercepted(first)) return
  let vector = first
  for (;;) {
    const errorCode = load<u32>(L.FAULT_ERROR)
    const hasError = load<u32>(L.FAULT_HAS_ERROR)
    const address = load<u64>(L.FAULT_CR2)
    clearFault()
    if (vector == VECTOR_PF) store<u64>(L.CR2, address)
    resume = vector != VECTOR_DB
    if (deliver(vector, hasError != 0, errorCode, HARDWARE, load<u64>(L.RIP))) return
    if (load<i32>(L.FAULT_VECTOR) < 0) {
      // The EPT stopped it: the event stays pending and is delivered again when the guest goes on.
      store<u32>(L.FAULT_VECTOR, vector)
      store<u32>(L.FAULT_ERROR, errorCode)
      store<u32>(L.FAULT_HAS_ERROR, hasError)
      return
    }
    if (!escalate(vector)) return
    vector = load<u32>(L.FAULT_VECTOR)
  }
}

// A second exception while delivering the first: what becomes of the two. False for a triple fault.
function escalate(first: u32): bool {
  const second = load<u32>(L.FAULT_VECTOR)
  if (first == VECTOR_DF) {
    clearFault()
    exit(EXIT_REASON_TRIPLE_FAULT)
    return false
  }
  const double = contributory(first)
    ? contributory(second)
    : first == VECTOR_PF && (contributory(second) || second == VECTOR_PF)
  if (double) fault(VECTOR_DF, 0)
  return true
}

function intercepted(vector: u32): bool {
  if ((load<u32>(L.EXCEPTION_BITMAP) & (1 << vector)) == 0) return false
  exit(EXIT_REASON_EXCEPTION)
  return true
}

// Takes one event through its gate. Nothing has changed when it gives false: another fault is recorded then.
function deliver(vector: u32, hasError: bool, errorCode: u32, source: u32, returnRip: u64): bool {
  const external: u32 = source == SOFTWARE ? 0 : 1
  const gateError = (vector << 3) | ERROR_IDT | external
  if ((vector << 4) + 15 > load<u32>(L.IDTR + L.SEG_LIMIT)) {
    fault(VECTOR_GP, gateError)
    return false
  }
  const gate = load<u64>(L.IDTR + L.SEG_BASE) + ((vector << 4) as u64)
  const low = readSystem(gate, 8)
  if (faulted()) return false
  const high = readSystem(gate + 8, 8)
  if (faulted()) return false
  const ar = accessRightsOf(low)
  const type = ar & 31
  if ((type != GATE_INTERRUPT && type != GATE_TRAP) || (source == SOFTWARE && dplOf(ar) < cpl())) {
    fault(VECTOR_GP, gateError)
    return false
  }
  if ((ar & AR_P) == 0) {
    fault(VECTOR_NP, gateError)
    return false
  }
  const rip = (low & 0xffff) | ((low >> 32) & 0xffff0000) | (high << 32)
  const selector = ((low >> 16) as u32) & 0xffff
  const ist = ((low >> 32) as u32) & 7
  const maskInterrupts = type == GATE_INTERRUPT
  return enterHandler(selector, rip, ist, maskInterrupts, external, hasError, errorCode, returnRip)
}

function enterHandler(
  selector: u32,
  rip: u64,
  ist: u32,
  maskInterrupts: bool,
  external: u32,
  hasError: bool,
  errorCode: u32,
  returnRip: u64,
): bool {
  if (isNull(selector)) {
    fault(VECTOR_GP, external)
    return false
  }
  const descriptor = readDescriptor(selector, VECTOR_GP, external)
  if (faulted()) return false
  const ar = accessRightsOf(descriptor)
  const isCode = (ar & (AR_S | TYPE_CODE)) == (AR_S | TYPE_CODE)
  if (!isCode || (ar & (AR_L | AR_DB)) != AR_L || dplOf(ar) > cpl()) {
    fault(VECTOR_GP, (selector & 0xfffc) | external)
    return false
  }
  if ((ar & AR_P) == 0) {
    fault(VECTOR_NP, (selector & 0xfffc) | external)
    return false
  }
  if (!isCanonical(rip)) {
    fault(VECTOR_GP, external)
    return false
  }
  const level = (ar & TYPE_CONFORMING) != 0 ? cpl() : dplOf(ar)
  const oldLevel = cpl()
  let rsp = load<u64>(L.RSP)
  if (ist != 0 || level != oldLevel) {
    rsp = stackFromTss(ist != 0 ? TSS_IST1 + ((ist - 1) << 3) : TSS_RSP0 + (level << 3), external)
    if (faulted()) return false
  }
  rsp &= ~(15 as u64)
  const size: u32 = hasError ? 48 : 40
  buildFrame(hasError, errorCode, returnRip)
  if (!pushFrame(rsp - (size as u64), hasError ? L.FRAME : L.FRAME + 8, size, level)) {
    if (load<u32>(L.FAULT_VECTOR) == VECTOR_SS) fault(VECTOR_SS, external)
    return false
  }
  count(L.COUNT_EVENT)
  // A new privilege level runs on a null SS of its own (64-bit mode).
  if (level != oldLevel) writeSegment(L.SS, level, 0, 0, AR_UNUSABLE | (level << 5))
  store<u64>(L.RSP, rsp - (size as u64))
  store<u64>(L.RIP, rip)
  writeCodeSegment(selector, descriptor, level)
  let flags = (readRflags() as u32) & ~(RFLAGS_TF | RFLAGS_NT | RFLAGS_RF | RFLAGS_VM)
  if (maskInterrupts) flags &= ~RFLAGS_IF
  writeRflags(flags as u64)
  unattend(L.ATTENTION_SHADOW)
  return true
}

function stackFromTss(offset: u32, external: u32): u64 {
  if (offset + 7 > load<u32>(L.TR + L.SEG_LIMIT)) {
    fault(VECTOR_TS, (segmentSelector(L.TR) & 0xfffc) | external)
    return 0
  }
  const rsp = readSystem(load<u64>(L.TR + L.SEG_BASE) + (offset as u64), 8)
  if (!faulted() && !isCanonical(rsp)) fault(VECTOR_SS, external)
  return rsp
}

// Error code, RIP, CS, RFLAGS, RSP, SS, from low to high addresses.
function buildFrame(hasError: bool, errorCode: u32, rip: u64): void {
  // Faults are resumed past instruction breakpoints: RF is set in their image.
  const flags = readRflags() | (resume ? (RFLAGS_RF as u64) : 0)
  store<u64>(L.FRAME, hasError ? (errorCode as u64) : 0)
  store<u64>(L.FRAME + 8, rip)
  store<u64>(L.FRAME + 16, segmentSelector(L.CS) as u64)
  store<u64>(L.FRAME + 24, flags)
  store<u64>(L.FRAME + 32, load<u64>(L.RSP))
  store<u64>(L.FRAME + 40, segmentSelector(L.SS) as u64)
}

// #DB with its causes in DR6. A trap unless it is an instruction breakpoint, which comes before its instruction.
export function raiseDebug(causes: u32): void {
  // B0-B3 of this event only; BS and BD stay until software clears them.
  store<u64>(L.DR6, ((load<u32>(L.DR6) & ~15) | causes | 0xffff0ff0) as u64)
  faultPlain(VECTOR_DB)
}

// INT n and INT3: the RIP saved is the next one, and the gate's DPL is checked.
export function softwareInterrupt(vector: u32): void {
  if (softwareIntercepted(vector)) return
  resume = false
  // Delivery clears TF, and no single-step trap follows.
  if (deliver(vector, false, 0, SOFTWARE, load<u64>(L.NEXT_RIP))) {
    store<u32>(L.STEPPING, load<u32>(L.STEPPING) & ~L.STEP_TRAP)
  }
}

export function breakpoint(_size: u32): void {
  softwareInterrupt(VECTOR_BP)
}

// INT1 (ICEBP). The manuals call it a trap, but the vectors, captured on Zen 5, have the RIP of INT1 itself.
export function interrupt1(_size: u32): void {
  faultPlain(VECTOR_DB)
}

// The monitor intercepts software interrupts like exceptions, but only those that the gate would let through.
function softwareIntercepted(vector: u32): bool {
  if (vector > 31 || (load<u32>(L.EXCEPTION_BITMAP) & (1 << vector)) == 0) return false
  if ((vector << 4) + 15 > load<u32>(L.IDTR + L.SEG_LIMIT)) return false
  const low = readSystem(load<u64>(L.IDTR + L.SEG_BASE) + ((vector << 4) as u64), 8)
  if (faulted() || dplOf(accessRightsOf(low)) < cpl()) return false
  store<u64>(L.RIP, load<u64>(L.NEXT_RIP))
  faultPlain(vector)
  exit(EXIT_REASON_EXCEPTION)
  return true
}

// An exception from outside at the present RIP; errorCode is below 0 for none.
export function raiseException(vector: u32, errorCode: i32): void {
  if (errorCode < 0) faultPlain(vector)
  else fault(vector, errorCode as u32)
}

// An external interrupt, delivered at once. What goes wrong on the way becomes the pending exception.
export function externalInterrupt(vector: u32): void {
  store<u32>(L.EXIT_REASON, L.EXIT_NONE)
  resume = false
  deliver(vector, false, 0, EXTERNAL, load<u64>(L.RIP))
}
