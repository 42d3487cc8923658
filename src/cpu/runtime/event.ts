// Exceptions and interrupts: what is delivered, double and triple fault (Intel SDM volume 3, 6.15), INT n and its kin. How an
// event gets to its handler is in gate.ts and real.ts.

import * as L from '../layout'
import { readRflags, virtualTrap } from './flags'
import { deliverThroughGate, gateOpen, readGate } from './gate'
import { deliverReal } from './real'
import {
  CR0_PE,
  clearFault,
  complete,
  count,
  cr0,
  EXIT_REASON_EXCEPTION,
  EXIT_REASON_TRIPLE_FAULT,
  exit,
  fault,
  faultPlain,
  gp0,
  unattend,
  VECTOR_BP,
  VECTOR_DB,
  VECTOR_DE,
  VECTOR_DF,
  VECTOR_GP,
  VECTOR_OF,
  VECTOR_PF,
  VECTOR_TS,
} from './state'

const OVERFLOW: u64 = 0x800

// The event is a fault: its saved RFLAGS image has RF set.
let resume = false

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
    if (deliver(vector, hasError != 0, errorCode, false, load<u64>(L.RIP))) return
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
  // Real mode knows no error codes.
  if ((cr0() & CR0_PE) == 0) store<u32>(L.FAULT_HAS_ERROR, 0)
  if ((load<u32>(L.EXCEPTION_BITMAP) & (1 << vector)) == 0) return false
  exit(EXIT_REASON_EXCEPTION)
  return true
}

// Takes one event to its handler. Nothing has changed when it gives false (but the task, when that was switched): another
// fault is recorded then.
function deliver(vector: u32, hasError: bool, errorCode: u32, software: bool, returnRip: u64): bool {
  const delivered =
    (cr0() & CR0_PE) != 0
      ? deliverThroughGate(vector, hasError, errorCode, software, returnRip, resume)
      : deliverReal(vector, returnRip)
  if (!delivered) return false
  count(L.COUNT_EVENT)
  unattend(L.ATTENTION_SHADOW)
  return true
}

// #DB with its causes in DR6. A trap unless it is an instruction breakpoint, which comes before its instruction.
export function raiseDebug(causes: u32): void {
  // B0-B3 of this event only; BS and BD stay until software clears them.
  store<u64>(L.DR6, ((load<u32>(L.DR6) & ~15) | causes | 0xffff0ff0) as u64)
  faultPlain(VECTOR_DB)
}

// INT n, which virtual-8086 mode leaves to a monitor in the guest unless IOPL is 3.
export function softwareInterrupt(vector: u32): void {
  if (virtualTrap()) gp0()
  else interrupt(vector)
}

// The RIP saved is the next one, and the gate's DPL is checked.
function interrupt(vector: u32): void {
  if (softwareIntercepted(vector)) return
  resume = false
  // Delivery clears TF, and no single-step trap follows.
  if (deliver(vector, false, 0, true, load<u64>(L.NEXT_RIP))) {
    store<u32>(L.STEPPING, load<u32>(L.STEPPING) & ~L.STEP_TRAP)
  }
}

export function breakpoint(_size: u32): void {
  interrupt(VECTOR_BP)
}

export function interruptOnOverflow(_size: u32): void {
  if ((readRflags() & OVERFLOW) != 0) interrupt(VECTOR_OF)
  else complete()
}

// INT1 (ICEBP). The manuals call it a trap, but the vectors, captured on Zen 5, have the RIP of INT1 itself.
export function interrupt1(_size: u32): void {
  faultPlain(VECTOR_DB)
}

// The monitor intercepts software interrupts like exceptions, but only those that the gate would let through.
function softwareIntercepted(vector: u32): bool {
  if (vector > 31 || (load<u32>(L.EXCEPTION_BITMAP) & (1 << vector)) == 0) return false
  if ((cr0() & CR0_PE) != 0 && (!readGate(vector) || !gateOpen())) return false
  complete()
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
  deliver(vector, false, 0, false, load<u64>(L.RIP))
}
