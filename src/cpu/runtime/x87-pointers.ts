// Where the last x87 instruction was: FIP, FDP, FCS and FOP (SDM volume 1, 8.1.8). Each instruction keeps but two linear
// addresses; what else a handler of #MF may want to know is looked up when an exception becomes pending.

import * as L from '../layout'
import { executableHost } from './paging'

const MAX_LENGTH: u64 = 15

function codeByte(linear: u64): u32 {
  const address = linear & load<u64>(L.RIP_MASK)
  const host = executableHost(address & ~(4095 as u64))
  return host == 0 ? 0 : load<u8>(host + ((address as u32) & 4095))
}

// To be called when an exception becomes pending.
export function rememberOpcode(): void {
  store<u32>(L.X87_CS, load<u16>(L.CS + L.SEG_SELECTOR))
  store<u32>(L.X87_CODE_BASE, load<u32>(L.CODE_BASE))
  const linear = load<u64>(L.X87_IP)
  for (let at: u64 = 0; at < MAX_LENGTH; at++) {
    // Behind the prefixes, none of which looks like it, the first byte is D8 to DF.
    const byte = codeByte(linear + at)
    if ((byte & 0xf8) != 0xd8) continue
    store<u32>(L.X87_OPCODE, ((byte & 7) << 8) | codeByte(linear + at + 1))
    return
  }
}

// Whether what was remembered is of the last instruction; else that is thought to have run in the segment that runs now.
function isPending(): bool {
  return (load<u32>(L.X87_STATUS) & 0x80) != 0
}

export function instructionSelector(): u32 {
  return isPending() ? load<u32>(L.X87_CS) : load<u16>(L.CS + L.SEG_SELECTOR)
}

// Offset in the code segment
export function instructionOffset(): u64 {
  const base = isPending() ? (load<u32>(L.X87_CODE_BASE) as u64) : load<u64>(L.CODE_BASE)
  return (load<u64>(L.X87_IP) - base) & load<u64>(L.RIP_MASK)
}

export function setInstructionOffset(offset: u64): void {
  store<u64>(L.X87_IP, (offset + load<u64>(L.CODE_BASE)) & load<u64>(L.RIP_MASK))
}
