// Hardware task switches (Intel SDM volume 3, chapter 7), which long mode does not have.
//
// What may fault in the old task is done first: the new TSS is read, and what will be written is probed. Then the state is
// saved and the new one loaded; what fails from there on - the segments of the new task - does so in the new task.

import * as L from '../layout'
import { probeSystem, readSystem, writeSystem } from './access'
import { loadCr3 } from './control'
import {
  AR_P,
  accessRightsOf,
  baseOf,
  dplOf,
  gateSelector,
  isCode,
  isConforming,
  isNull,
  limitOf,
  SYSTEM_LDT,
  SYSTEM_TSS,
  SYSTEM_TSS_16,
  TYPE_ACCESSED,
  TYPE_BUSY,
  TYPE_WIDE,
} from './descriptor'
import { readRflags, writeRflags } from './flags'
import { updateMode } from './mode'
import {
  clearDescriptorType,
  dataDescriptor,
  descriptorAddress,
  readDescriptor,
  readSelector,
  setDescriptorType,
  stackDescriptor,
  writeFromDescriptor,
  writeNull,
  writeReal,
  writeSegment,
} from './segment'
import {
  attend,
  CR0_PG,
  CR0_TS,
  cpl,
  cr0,
  fault,
  faulted,
  RFLAGS_NT,
  RFLAGS_VM,
  segmentSelector,
  unattend,
  VECTOR_GP,
  VECTOR_NP,
  VECTOR_TS,
} from './state'
import { flushTlb } from './tlb'
import { updateBreakpoints } from './watch'

// How a task is entered: JMP; CALL or an event, which nest it in the old one; IRET, which ends a nested one.
export const TASK_JUMP: u32 = 0
export const TASK_CALL: u32 = 1
export const TASK_RETURN: u32 = 2

const LINK: u32 = 0
const DR6_BT: u32 = 0x8000
// L0-L3 and LE of DR7.
const LOCAL_BREAKPOINTS: u64 = 0x155

// Where a TSS of 32 bits has its fields, and one of 16 bits. EIP, EFLAGS, the eight general registers and the segment
// registers in the order of Sreg follow one another.
const CR3_32: u32 = 0x1c
const EIP_32: u32 = 0x20
const LDT_32: u32 = 0x60
const TRAP_32: u32 = 0x64
const SIZE_32: u32 = 0x68
const IP_16: u32 = 0x0e
const LDT_16: u32 = 0x2a
const SIZE_16: u32 = 0x2c

// The task to go to.
let target: u32 = 0
let targetDescriptor: u64 = 0

// The TSS that a task gate names, for switchTask(); false when it faulted.
export function taskGateTarget(gate: u64, external: u32): bool {
  return taskTarget(gateSelector(gate), external)
}

// A TSS that is to be entered; false when it faulted.
export function taskTarget(selector: u32, external: u32): bool {
  return findTask(selector, 0, VECTOR_GP, external)
}

// The TSS with a selector must be in the GDT, busy or not as wanted, and present.
function findTask(selector: u32, busy: u32, vector: u32, external: u32): bool {
  if ((selector & 4) != 0 || isNull(selector)) {
    fault(vector, (selector & 0xfffc) | external)
    return false
  }
  target = selector
  targetDescriptor = readDescriptor(selector, vector, external)
  if (faulted()) return false
  const ar = accessRightsOf(targetDescriptor)
  const type = ar & 31
  if (type != (SYSTEM_TSS | busy) && type != (SYSTEM_TSS_16 | busy)) fault(vector, (selector & 0xfffc) | external)
  else if ((ar & AR_P) == 0) fault(VECTOR_NP, (selector & 0xfffc) | external)
  return !faulted()
}

// IRET with NT set: back to the task in the link field of this one.
export function returnToTask(): void {
  const link = readSystem(load<u64>(L.TR + L.SEG_BASE), 2) as u32
  if (!faulted() && findTask(link, TYPE_BUSY, VECTOR_TS, 0)) switchTask(TASK_RETURN, load<u64>(L.NEXT_RIP), 0, 0)
}

function isWide(ar: u32): bool {
  return (ar & TYPE_WIDE) != 0
}

// The new TSS comes to FRAME; false when it faulted.
function readImage(base: u64, size: u32): bool {
  for (let at: u32 = 0; at < size; at += 4) {
    store<u32>(L.FRAME + at, readSystem(base + (at as u64), 4) as u32)
    if (faulted()) return false
  }
  return true
}

// A field of the new TSS, by its number from EIP on.
function field(wide: bool, number: u32): u32 {
  if (!wide) return load<u16>(L.FRAME + IP_16 + (number << 1))
  const value = load<u32>(L.FRAME + EIP_32 + (number << 2))
  return number < FIELD_SEGMENTS ? value : value & 0xffff
}

const FIELD_EIP: u32 = 0
const FIELD_EFLAGS: u32 = 1
const FIELD_REGISTERS: u32 = 2
const FIELD_SEGMENTS: u32 = 10

// What will be written before the old task is left can be; false when it faulted.
function probe(kind: u32): bool {
  const old = load<u64>(L.TR + L.SEG_BASE)
  const wide = isWide(load<u32>(L.TR + L.SEG_AR))
  const saved = wide
    ? probeSystem(old + (EIP_32 as u64), LDT_32 - EIP_32)
    : probeSystem(old + (IP_16 as u64), LDT_16 - IP_16)
  if (!saved) return false
  if (kind != TASK_CALL && !probeSystem(typeAddress(segmentSelector(L.TR)), 1)) return false
  if (kind != TASK_RETURN && !probeSystem(typeAddress(target), 1)) return false
  return kind != TASK_CALL || probeSystem(baseOf(targetDescriptor), 2)
}

function typeAddress(selector: u32): u64 {
  return descriptorAddress(selector, 8) - 1 + 5
}

// Goes to the task that was found, at the end of an instruction or for an event; `resume` is RF for the saved flags. False
// when it faulted, in the old task or in the new one.
export function switchTask(kind: u32, rip: u64, external: u32, resume: u32): bool {
  const wide = isWide(accessRightsOf(targetDescriptor))
  const size: u32 = wide ? SIZE_32 : SIZE_16
  if (limitOf(targetDescriptor) < size - 1) {
    fault(VECTOR_TS, (target & 0xfffc) | external)
    return false
  }
  if (!readImage(baseOf(targetDescriptor), size) || !probe(kind)) return false
  const flags = readRflags() as u32
  saveState(rip, (kind == TASK_RETURN ? flags & ~RFLAGS_NT : flags) | resume)
  if (kind == TASK_CALL) writeSystem(baseOf(targetDescriptor) + (LINK as u64), segmentSelector(L.TR) as u64, 2)
  else clearDescriptorType(segmentSelector(L.TR), TYPE_BUSY)
  if (kind != TASK_RETURN) setDescriptorType(target, TYPE_BUSY)
  loadState(wide, kind)
  const loaded = loadSegments(wide, external)
  updateMode()
  if (loaded && wide && (load<u32>(L.FRAME + TRAP_32) & 1) != 0) {
    store<u32>(L.PENDING_DB, load<u32>(L.PENDING_DB) | DR6_BT)
    attend(L.ATTENTION_PENDING_DB)
  }
  return loaded
}

function saveState(rip: u64, flags: u32): void {
  const wide = isWide(load<u32>(L.TR + L.SEG_AR))
  const bytes: u32 = wide ? 4 : 2
  const first = load<u64>(L.TR + L.SEG_BASE) + ((wide ? EIP_32 : IP_16) as u64)
  writeSystem(first, rip, bytes)
  writeSystem(first + (bytes as u64), flags as u64, bytes)
  for (let i: u32 = 0; i < 8; i++) {
    writeSystem(first + (((FIELD_REGISTERS + i) * bytes) as u64), load<u64>(L.GPR + (i << 3)), bytes)
  }
  // A TSS of 16 bits has no room for FS and GS.
  const segments: u32 = wide ? 6 : 4
  for (let i: u32 = 0; i < segments; i++) {
    writeSystem(first + (((FIELD_SEGMENTS + i) * bytes) as u64), readSelector(i) as u64, 2)
  }
}

// Everything but the segments: from here on the new task runs.
function loadState(wide: bool, kind: u32): void {
  const ar = accessRightsOf(targetDescriptor) | TYPE_BUSY
  writeSegment(L.TR, target, baseOf(targetDescriptor), limitOf(targetDescriptor), ar)
  store<u64>(L.CR0, cr0() | CR0_TS)
  store<u64>(L.RIP, field(wide, FIELD_EIP) as u64)
  writeRflags((field(wide, FIELD_EFLAGS) | (kind == TASK_CALL ? RFLAGS_NT : 0)) as u64)
  for (let i: u32 = 0; i < 8; i++) store<u64>(L.GPR + (i << 3), field(wide, FIELD_REGISTERS + i) as u64)
  for (let i: u32 = 0; i < 6; i++) writeNull(L.SEGMENTS + i * L.SEGMENT_SIZE, selectorField(wide, i), 0)
  writeNull(L.LDTR, wide ? load<u16>(L.FRAME + LDT_32) : load<u16>(L.FRAME + LDT_16), 0)
  const virtual = (field(wide, FIELD_EFLAGS) & RFLAGS_VM) != 0
  store<u32>(L.CPL, virtual ? 3 : selectorField(wide, 1) & 3)
  // No single-step trap follows the switch, and local breakpoints are those of the old task.
  store<u32>(L.STEPPING, load<u32>(L.STEPPING) & ~L.STEP_TRAP)
  unattend(L.ATTENTION_SHADOW)
  if ((load<u64>(L.DR7) & LOCAL_BREAKPOINTS) == 0) return
  store<u64>(L.DR7, load<u64>(L.DR7) & ~LOCAL_BREAKPOINTS)
  updateBreakpoints()
  flushTlb(false)
}

function selectorField(wide: bool, number: u32): u32 {
  return wide || number < 4 ? field(wide, FIELD_SEGMENTS + number) : 0
}

// CR3, LDTR and the segment registers; false when it faulted.
function loadSegments(wide: bool, external: u32): bool {
  if (wide && (cr0() & CR0_PG) != 0 && !loadCr3(load<u32>(L.FRAME + CR3_32) as u64)) {
    if (!faulted()) fault(VECTOR_TS, (target & 0xfffc) | external)
    return false
  }
  if (!loadTaskLdt(external)) return false
  if ((load<u32>(L.RFLAGS) & RFLAGS_VM) != 0) {
    for (let i: u32 = 0; i < 6; i++) writeReal(L.SEGMENTS + i * L.SEGMENT_SIZE, readSelector(i))
  } else if (!loadTaskCode(external) || !loadTaskStack(external) || !loadTaskData(external)) return false
  if (load<u64>(L.RIP) <= (load<u32>(L.CS + L.SEG_LIMIT) as u64)) return true
  fault(VECTOR_GP, external)
  return false
}

function loadTaskLdt(external: u32): bool {
  const selector = segmentSelector(L.LDTR)
  if (isNull(selector)) return true
  if ((selector & 4) == 0) {
    const descriptor = readDescriptor(selector, VECTOR_TS, external)
    if (faulted()) return false
    const ar = accessRightsOf(descriptor)
    if ((ar & (AR_P | 31)) == (AR_P | SYSTEM_LDT)) {
      writeSegment(L.LDTR, selector, baseOf(descriptor), limitOf(descriptor), ar)
      return true
    }
  }
  fault(VECTOR_TS, (selector & 0xfffc) | external)
  return false
}

function loadTaskCode(external: u32): bool {
  const selector = segmentSelector(L.CS)
  const error = (selector & 0xfffc) | external
  if (isNull(selector)) {
    fault(VECTOR_TS, error)
    return false
  }
  const descriptor = readDescriptor(selector, VECTOR_TS, external)
  if (faulted()) return false
  const ar = accessRightsOf(descriptor)
  const levelFits = isConforming(ar) ? dplOf(ar) <= (selector & 3) : dplOf(ar) == (selector & 3)
  if (!isCode(ar) || !levelFits) fault(VECTOR_TS, error)
  else if ((ar & AR_P) == 0) fault(VECTOR_NP, error)
  return !faulted() && loadRegister(L.CS, selector, descriptor)
}

function loadTaskStack(external: u32): bool {
  const selector = segmentSelector(L.SS)
  if (isNull(selector)) {
    fault(VECTOR_TS, external)
    return false
  }
  const descriptor = stackDescriptor(selector, cpl(), VECTOR_TS, external)
  return !faulted() && loadRegister(L.SS, selector, descriptor)
}

// ES, DS, FS, GS
function loadTaskData(external: u32): bool {
  for (let number: u32 = 0; number < 6; number++) {
    if (number == 1 || number == 2) continue
    const selector = readSelector(number)
    if (isNull(selector)) continue
    const descriptor = dataDescriptor(selector, VECTOR_TS, external)
    if (faulted() || !loadRegister(L.SEGMENTS + number * L.SEGMENT_SIZE, selector, descriptor)) return false
  }
  return true
}

function loadRegister(segment: u32, selector: u32, descriptor: u64): bool {
  setDescriptorType(selector, TYPE_ACCESSED)
  if (faulted()) return false
  writeFromDescriptor(segment, selector, descriptor)
  return true
}
