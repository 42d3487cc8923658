// Far transfers in 64-bit mode: CALL, JMP, RET far, IRET, call gates (Intel SDM volume 3, 5.8, and the instructions' own
// pages). All is checked first; registers change only when nothing can fault any more.

import * as L from '../layout'
import { pushFrame, readData, readSystem } from './access'
import {
  AR_DB,
  AR_L,
  AR_P,
  AR_S,
  AR_UNUSABLE,
  accessRightsOf,
  dplOf,
  isCode,
  isNull,
  limitOf,
  SYSTEM_CALL_GATE,
  TYPE_ACCESSED,
  TYPE_CODE,
  TYPE_CONFORMING,
  TYPE_WRITABLE,
} from './descriptor'
import { readRflags, writeRflags } from './flags'
import {
  loadSegment,
  readDescriptor,
  readDescriptorHigh,
  setDescriptorType,
  writeCodeSegment,
  writeFromDescriptor,
  writeNull,
  writeSegment,
} from './segment'
import {
  attend,
  complete,
  cpl,
  fault,
  faulted,
  gp0,
  isCanonical,
  RFLAGS_IF,
  RFLAGS_IOPL,
  RFLAGS_NT,
  RFLAGS_RF,
  RFLAGS_VM,
  segmentSelector,
  setGpr,
  systemFlags,
  VECTOR_GP,
  VECTOR_NP,
  VECTOR_SS,
  VECTOR_TS,
} from './state'

const STACK: u32 = 1

// The code segment's own checks: present, not both L and D, and an RIP it can run. False when it faulted.
function checkTarget(selector: u32, descriptor: u64, rip: u64): bool {
  const ar = accessRightsOf(descriptor)
  if ((ar & (AR_L | AR_DB)) == (AR_L | AR_DB)) {
    fault(VECTOR_GP, selector & 0xfffc)
    return false
  }
  if ((ar & AR_P) == 0) {
    fault(VECTOR_NP, selector & 0xfffc)
    return false
  }
  const fits = (ar & AR_L) != 0 ? isCanonical(rip) : rip <= (limitOf(descriptor) as u64)
  if (!fits) gp0()
  return fits
}

// JMP and CALL straight to a code segment: no change of level.
function directAllowed(selector: u32, ar: u32): bool {
  if ((ar & TYPE_CONFORMING) != 0) return dplOf(ar) <= cpl()
  return (selector & 3) <= cpl() && dplOf(ar) == cpl()
}

function enterCode(selector: u32, descriptor: u64, rip: u64, level: u32): void {
  setDescriptorType(selector, TYPE_ACCESSED)
  if (faulted()) return
  writeCodeSegment(selector, descriptor, level)
  store<u64>(L.RIP, rip)
}

// Offset and selector from memory. AMD processors ignore REX.W here: the offset has 32 bits then.
function readPointer(address: u64, size: u32, flags: u32): u64 {
  return readData(address, size == 16 ? 2 : 4, flags)
}

function readPointerSelector(address: u64, size: u32, flags: u32): u32 {
  return readData(address + (size == 16 ? 2 : 4), 2, flags) as u32
}

// Where a far pointer in memory leads, read before anything changes.
let farRip: u64 = 0
let farSelector: u32 = 0
let farDescriptor: u64 = 0

// False when it faulted.
function readFarTarget(address: u64, size: u32, flags: u32): bool {
  farRip = readPointer(address, size, flags)
  if (faulted()) return false
  farSelector = readPointerSelector(address, size, flags)
  if (faulted()) return false
  if (isNull(farSelector)) {
    gp0()
    return false
  }
  farDescriptor = readDescriptor(farSelector, VECTOR_GP, 0)
  return !faulted()
}

// The target is a code segment that may be entered without a change of level; false when it faulted.
function checkDirect(): bool {
  if (directAllowed(farSelector, accessRightsOf(farDescriptor))) return checkTarget(farSelector, farDescriptor, farRip)
  fault(VECTOR_GP, farSelector & 0xfffc)
  return false
}

export function farJump(address: u64, size: u32, flags: u32): void {
  if (!readFarTarget(address, size, flags)) return
  if (!isCode(accessRightsOf(farDescriptor))) jumpThroughGate(farSelector, farDescriptor)
  else if (checkDirect()) enterCode(farSelector, farDescriptor, farRip, cpl())
}

export function farCall(address: u64, size: u32, flags: u32): void {
  if (!readFarTarget(address, size, flags)) return
  if (!isCode(accessRightsOf(farDescriptor))) {
    callThroughGate(farSelector, farDescriptor)
    return
  }
  if (!checkDirect()) return
  const bytes: u32 = size / 8
  if (!pushReturn(load<u64>(L.RSP), bytes, cpl())) return
  const rsp = load<u64>(L.RSP) - ((2 * bytes) as u64)
  enterCode(farSelector, farDescriptor, farRip, cpl())
  if (!faulted()) store<u64>(L.RSP, rsp)
}

// CS and RIP of the instruction after the call, `bytes` wide each.
function pushReturn(rsp: u64, bytes: u32, level: u32): bool {
  memory.fill(L.FRAME, 0, 16)
  store<u64>(L.FRAME, load<u64>(L.NEXT_RIP))
  store<u64>(L.FRAME + bytes, segmentSelector(L.CS) as u64)
  return pushFrame(rsp - ((2 * bytes) as u64), L.FRAME, 2 * bytes, level)
}

// The gate's own checks; its target selector, or 0 when it faulted.
function gateTarget(selector: u32, descriptor: u64): u32 {
  const ar = accessRightsOf(descriptor)
  if ((ar & 31) != SYSTEM_CALL_GATE || dplOf(ar) < cpl() || dplOf(ar) < (selector & 3)) {
    fault(VECTOR_GP, selector & 0xfffc)
    return 0
  }
  if ((ar & AR_P) == 0) {
    fault(VECTOR_NP, selector & 0xfffc)
    return 0
  }
  const target = ((descriptor >> 16) as u32) & 0xffff
  if (isNull(target)) gp0()
  return target
}

// The 64-bit code segment that a gate leads to; its descriptor, 0 when it faulted.
function gateCode(target: u32): u64 {
  const code = readDescriptor(target, VECTOR_GP, 0)
  if (faulted()) return 0
  const ar = accessRightsOf(code)
  if (!isCode(ar) || dplOf(ar) > cpl() || (ar & (AR_L | AR_DB)) != AR_L) {
    fault(VECTOR_GP, target & 0xfffc)
    return 0
  }
  return code
}

function gateRip(selector: u32, descriptor: u64): u64 {
  const high = readDescriptorHigh(selector, VECTOR_GP)
  if (faulted()) return 0
  if (((high >> 40) & 31) != 0) {
    fault(VECTOR_GP, selector & 0xfffc)
    return 0
  }
  return (descriptor & 0xffff) | ((descriptor >> 32) & 0xffff0000) | (high << 32)
}

function jumpThroughGate(selector: u32, descriptor: u64): void {
  const target = gateTarget(selector, descriptor)
  if (faulted()) return
  const code = gateCode(target)
  if (faulted()) return
  const ar = accessRightsOf(code)
  if ((ar & TYPE_CONFORMING) == 0 && dplOf(ar) != cpl()) {
    fault(VECTOR_GP, target & 0xfffc)
    return
  }
  const rip = gateRip(selector, descriptor)
  if (faulted() || !checkTarget(target, code, rip)) return
  enterCode(target, code, rip, cpl())
}

function callThroughGate(selector: u32, descriptor: u64): void {
  const target = gateTarget(selector, descriptor)
  if (faulted()) return
  const code = gateCode(target)
  if (faulted()) return
  const ar = accessRightsOf(code)
  const rip = gateRip(selector, descriptor)
  if (faulted() || !checkTarget(target, code, rip)) return
  const level = (ar & TYPE_CONFORMING) != 0 ? cpl() : dplOf(ar)
  if (level == cpl()) {
    if (!pushReturn(load<u64>(L.RSP), 8, level)) return
    const rsp = load<u64>(L.RSP) - 16
    enterCode(target, code, rip, level)
    if (!faulted()) store<u64>(L.RSP, rsp)
    return
  }
  callInnerLevel(target, code, rip, level)
}

// To a more privileged level: its stack from the TSS, with the caller's SS:RSP on it.
function callInnerLevel(target: u32, code: u64, rip: u64, level: u32): void {
  const offset: u32 = 4 + (level << 3)
  if (offset + 7 > load<u32>(L.TR + L.SEG_LIMIT)) {
    fault(VECTOR_TS, segmentSelector(L.TR) & 0xfffc)
    return
  }
  const rsp = readSystem(load<u64>(L.TR + L.SEG_BASE) + (offset as u64), 8)
  if (faulted()) return
  store<u64>(L.FRAME, load<u64>(L.NEXT_RIP))
  store<u64>(L.FRAME + 8, segmentSelector(L.CS) as u64)
  store<u64>(L.FRAME + 16, load<u64>(L.RSP))
  store<u64>(L.FRAME + 24, segmentSelector(L.SS) as u64)
  if (!pushFrame(rsp - 32, L.FRAME, 32, level)) return
  enterCode(target, code, rip, level)
  if (faulted()) return
  writeSegment(L.SS, level, 0, 0, AR_UNUSABLE | (level << 5))
  store<u64>(L.RSP, rsp - 32)
}

// What a return pops, read before anything changes.
let poppedRip: u64 = 0
let poppedCs: u32 = 0
let poppedRsp: u64 = 0
let poppedSs: u32 = 0

function pop(index: u32, bytes: u32, extra: u32): u64 {
  return readData(load<u64>(L.RSP) + ((index * bytes + extra) as u64), bytes, STACK)
}

// The code segment to return to: its level may be the same or an outer one. The descriptor, 0 when it faulted.
function returnCode(selector: u32, rip: u64): u64 {
  if (isNull(selector)) {
    gp0()
    return 0
  }
  const descriptor = readDescriptor(selector, VECTOR_GP, 0)
  if (faulted()) return 0
  const ar = accessRightsOf(descriptor)
  const rpl = selector & 3
  const levelFits = (ar & TYPE_CONFORMING) != 0 ? dplOf(ar) <= rpl : dplOf(ar) == rpl
  if (!isCode(ar) || rpl < cpl() || !levelFits) {
    fault(VECTOR_GP, selector & 0xfffc)
    return 0
  }
  return checkTarget(selector, descriptor, rip) ? descriptor : 0
}

// The stack segment that goes with it: null is allowed for 64-bit code outside of ring 3. False when it faulted.
function checkReturnStack(selector: u32, level: u32, toLong: bool): bool {
  if (isNull(selector)) {
    if (toLong && level != 3 && (selector & 3) == level) return true
    gp0()
    return false
  }
  const descriptor = readDescriptor(selector, VECTOR_GP, 0)
  if (faulted()) return false
  const ar = accessRightsOf(descriptor)
  const writableData = (ar & (AR_S | TYPE_CODE | TYPE_WRITABLE)) == (AR_S | TYPE_WRITABLE)
  if ((selector & 3) != level || !writableData || dplOf(ar) != level) {
    fault(VECTOR_GP, selector & 0xfffc)
    return false
  }
  if ((ar & AR_P) == 0) fault(VECTOR_SS, selector & 0xfffc)
  return !faulted()
}

function writeReturnStack(selector: u32, level: u32): void {
  if (isNull(selector)) {
    writeNull(L.SS, selector, level)
    return
  }
  setDescriptorType(selector, TYPE_ACCESSED)
  writeFromDescriptor(L.SS, selector, readDescriptor(selector, VECTOR_GP, 0))
}

// Data segments that the outer level may not use are emptied, and null selectors lose their RPL. (FS and GS bases in use
// by 64-bit code belong to null selectors and stay.)
function dropPrivilegedSegments(level: u32): void {
  for (let number: u32 = 0; number < 6; number++) {
    if (number == 1 || number == 2) continue
    const segment: u32 = L.SEGMENTS + number * L.SEGMENT_SIZE
    const ar = load<u32>(segment + L.SEG_AR)
    const conforming = (ar & (TYPE_CODE | TYPE_CONFORMING)) == (TYPE_CODE | TYPE_CONFORMING)
    if ((ar & AR_UNUSABLE) != 0) store<u32>(segment + L.SEG_SELECTOR, 0)
    else if (!conforming && dplOf(ar) < level) writeNull(segment, 0, 0)
  }
}

export function farReturn(size: u32, extra: u32): void {
  const bytes: u32 = size / 8
  poppedRip = pop(0, bytes, 0)
  if (faulted()) return
  poppedCs = (pop(1, bytes, 0) as u32) & 0xffff
  if (faulted()) return
  const code = returnCode(poppedCs, poppedRip)
  if (faulted()) return
  const level = poppedCs & 3
  if (level == cpl()) {
    const rsp = load<u64>(L.RSP) + ((2 * bytes + extra) as u64)
    enterCode(poppedCs, code, poppedRip, level)
    if (!faulted()) store<u64>(L.RSP, rsp)
    return
  }
  poppedRsp = pop(2, bytes, extra)
  if (faulted()) return
  poppedSs = (pop(3, bytes, extra) as u32) & 0xffff
  if (faulted() || !checkReturnStack(poppedSs, level, (accessRightsOf(code) & AR_L) != 0)) return
  enterCode(poppedCs, code, poppedRip, level)
  if (faulted()) return
  writeReturnStack(poppedSs, level)
  store<u64>(L.RSP, poppedRsp + (extra as u64))
  dropPrivilegedSegments(level)
}

// IRET in 64-bit mode always pops SS:RSP. Task return (NT) does not exist in long mode.
export function interruptReturn(size: u32): void {
  if ((systemFlags() & RFLAGS_NT) != 0) {
    gp0()
    return
  }
  const bytes: u32 = size / 8
  poppedRip = pop(0, bytes, 0)
  if (faulted()) return
  poppedCs = (pop(1, bytes, 0) as u32) & 0xffff
  if (faulted()) return
  const flags = pop(2, bytes, 0)
  if (faulted()) return
  poppedRsp = pop(3, bytes, 0)
  if (faulted()) return
  poppedSs = (pop(4, bytes, 0) as u32) & 0xffff
  if (faulted()) return
  const code = returnCode(poppedCs, poppedRip)
  if (faulted()) return
  const level = poppedCs & 3
  if (!checkReturnStack(poppedSs, level, (accessRightsOf(code) & AR_L) != 0)) return
  const oldLevel = cpl()
  enterCode(poppedCs, code, poppedRip, level)
  if (faulted()) return
  writeReturnStack(poppedSs, level)
  store<u64>(L.RSP, poppedRsp)
  loadFlags(flags, size, oldLevel)
  if (level != oldLevel) dropPrivilegedSegments(level)
}

// RFLAGS from a popped image as a level may change it.
function loadFlags(image: u64, size: u32, level: u32): void {
  const iopl = (systemFlags() & RFLAGS_IOPL) >> 12
  let mask: u32 = 0x254dd5
  if (size != 16) mask |= RFLAGS_RF
  if (level == 0) mask |= RFLAGS_IOPL
  if (level <= iopl) mask |= RFLAGS_IF
  if (size == 16) mask &= 0xffff
  const old = readRflags() as u32
  writeRflags(((old & ~mask) | ((image as u32) & mask & ~RFLAGS_VM)) as u64)
}

export function popFlags(size: u32): void {
  const bytes: u32 = size / 8
  const image = pop(0, bytes, 0)
  if (faulted()) return
  loadFlags(image & ~(RFLAGS_RF as u64), size, cpl())
  store<u64>(L.RSP, load<u64>(L.RSP) + (bytes as u64))
  complete()
}

// LSS, LFS, LGS: pointer to segment register and general register.
export function loadFarPointer(segment: u32, register: u32, address: u64, size: u32, flags: u32): void {
  const offset = readPointer(address, size, flags)
  if (faulted()) return
  const selector = readPointerSelector(address, size, flags)
  if (faulted() || !loadSegment(segment, selector)) return
  if (size == 16) store<u16>(L.GPR + (register << 3), offset as u16)
  else setGpr(register, offset)
  complete()
  if (segment == 2) attend(L.ATTENTION_SS_SHADOW)
}
