// CMPXCHG8B and CMPXCHG16B: exchanges of register pairs.

import * as L from '../layout'
import { modifyCommit, modifyMiss } from './access'
import { setZero } from './flags'
import { fault, VECTOR_GP } from './state'

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
