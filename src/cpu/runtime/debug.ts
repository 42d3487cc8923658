// MOV to and from the debug registers (Intel SDM volume 3, 17.2).

import * as L from '../layout'
import { raiseDebug } from './event'
import { privileged } from './flags'
import { CR4_DE, complete, cr4, faultPlain, gp0, gpr, setGpr, VECTOR_UD } from './state'
import { flushTlb } from './tlb'
import { updateBreakpoints } from './watch'

function debugAllowed(number: u32): bool {
  if (!privileged()) return false
  if ((number == 4 || number == 5) && (cr4() & CR4_DE) != 0) {
    faultPlain(VECTOR_UD)
    return false
  }
  if ((load<u32>(L.DR7) & 0x2000) != 0) {
    // General detect: the access itself is trapped, and the trap's handler may use the registers.
    store<u64>(L.DR7, load<u64>(L.DR7) & ~(0x2000 as u64))
    raiseDebug(0x2000)
    return false
  }
  return true
}

function debugRegister(number: u32): u32 {
  if (number < 4) return L.DR0 + (number << 3)
  return number == 4 || number == 6 ? L.DR6 : L.DR7
}

export function moveFromDebug(register: u32, number: u32): void {
  if (!debugAllowed(number)) return
  setGpr(register, load<u64>(debugRegister(number)) & load<u64>(L.RIP_MASK))
  complete()
}

export function moveToDebug(number: u32, register: u32): void {
  if (!debugAllowed(number)) return
  const value = gpr(register)
  const place = debugRegister(number)
  if (number >= 4 && value >> 32 != 0) {
    gp0()
    return
  }
  if (place == L.DR6) store<u64>(L.DR6, (value & 0xe00f) | 0xffff0ff0)
  else if (place == L.DR7) store<u64>(L.DR7, (value & 0xffff2fff) | 0x400)
  else store<u64>(place, value)
  if (place != L.DR6) {
    // Watched pages have no data tags.
    flushTlb(false)
    updateBreakpoints()
  }
  complete()
}
