// ENTER, and the exchanges of register pairs: instructions with too many steps for a definition of their own.

import * as L from '../layout'
import { modifyCommit, modifyMiss, probeWrite, readData, writeData } from './access'
import { setZero } from './flags'
import { complete, fault, faulted, VECTOR_GP } from './state'

const STACK: u32 = 1

// ENTER size, level with 16- or 64-bit slots. The new frame's lowest byte must be writable, else it faults as a whole.
export function enter(size: u32, level: u32, slotBits: u32): void {
  const slot = (slotBits / 8) as u64
  const frame = load<u64>(L.RSP) - slot
  let at = frame
  writeData(at, load<u64>(L.RBP), slot as u32, STACK)
  if (faulted()) return
  for (let i: u32 = 1; i < level; i++) {
    const value = readData(load<u64>(L.RBP) - (i as u64) * slot, slot as u32, STACK)
    if (faulted()) return
    at -= slot
    writeData(at, value, slot as u32, STACK)
    if (faulted()) return
  }
  if (level > 0) {
    at -= slot
    writeData(at, frame, slot as u32, STACK)
    if (faulted()) return
  }
  const rsp = at - (size as u64)
  if (!probeWrite(rsp, slot as u32, STACK)) return
  if (slotBits == 16) store<u16>(L.RBP, frame as u16)
  else store<u64>(L.RBP, frame)
  store<u64>(L.RSP, rsp)
  complete()
}

// Whether a push would fault.
export function probeStack(bytes: u32): u32 {
  return probeWrite(load<u64>(L.RSP) - (bytes as u64), bytes, STACK) ? 0 : 1
}

export function compareExchange8(address: u64, flags: u32): u32 {
  const host = modifyMiss(address, 8, flags)
  if (host == 0) return 1
  const old = load<u64>(host)
  const expected = (load<u32>(L.RAX) as u64) | (load<u64>(L.RDX) << 32)
  const equal = old == expected
  store<u64>(host, equal ? (load<u32>(L.RBX) as u64) | (load<u64>(L.RCX) << 32) : old)
  if (host == L.BOUNCE) modifyCommit(address, 8)
  if (!equal) {
    store<u64>(L.RAX, old & 0xffffffff)
    store<u64>(L.RDX, old >> 32)
  }
  setZero(equal)
  return 0
}

// CMPXCHG16B: an operand that is not aligned to 16 bytes is #GP(0).
export function compareExchange16(address: u64, flags: u32): u32 {
  if ((address & 15) != 0) {
    fault(VECTOR_GP, 0)
    return 1
  }
  const host = modifyMiss(address, 16, flags)
  if (host == 0) return 1
  const low = load<u64>(host)
  const high = load<u64>(host, 8)
  const equal = low == load<u64>(L.RAX) && high == load<u64>(L.RDX)
  store<u64>(host, equal ? load<u64>(L.RBX) : low)
  store<u64>(host, equal ? load<u64>(L.RCX) : high, 8)
  if (host == L.BOUNCE) modifyCommit(address, 16)
  if (!equal) {
    store<u64>(L.RAX, low)
    store<u64>(L.RDX, high)
  }
  setZero(equal)
  return 0
}
