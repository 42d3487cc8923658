// The x87 environment: control instructions, and FNSTENV, FLDENV, FNSAVE, FRSTOR in their four formats (SDM volume 1, 8.1.10):
// 16 and 32 bits, real mode and protected mode.

import * as L from '../layout'
import { probeWrite, readData, writeData } from './access'
import { CR0_PE, cr0, faulted, RFLAGS_VM, systemFlags } from './state'
import { ERROR_SUMMARY, BUSY, setControlWord, setStatusWord, statusWord, TOP_SHIFT } from './x87-state'

const INITIAL_CONTROL: u32 = 0x37f
const REGISTERS_SIZE: u32 = 80

// FNINIT
export function x87Initialize(): void {
  store<u32>(L.X87_CONTROL, INITIAL_CONTROL)
  store<u32>(L.X87_STATUS, 0)
  store<u32>(L.X87_TAGS, 0)
  store<u32>(L.X87_OPCODE, 0)
  store<u64>(L.X87_IP, 0)
  store<u64>(L.X87_DP, 0)
  store<u32>(L.X87_CS, 0)
  store<u32>(L.X87_DS, 0)
}

// FNCLEX
export function x87ClearExceptions(): void {
  store<u32>(L.X87_STATUS, statusWord() & 0x7f00)
}

// FLDCW
export function x87LoadControl(value: u32): void {
  setControlWord(value)
}

// EMMS
export function x87Empty(): void {
  store<u32>(L.X87_TAGS, 0)
}

// What every MMX instruction but EMMS does: all registers are in use, and MM0 is the top of the stack.
export function mmxEnter(): void {
  store<u32>(L.X87_TAGS, 0xff)
  store<u32>(L.X87_STATUS, statusWord() & ~(7 << TOP_SHIFT))
}

// The tag word, two bits a register: 0 a number, 1 zero, 2 anything else, 3 empty.
function fullTags(): u32 {
  let tags: u32 = 0
  for (let n: u32 = 0; n < 8; n++) tags |= tagOf(n) << (n * 2)
  return tags
}

function tagOf(n: u32): u32 {
  if (((load<u32>(L.X87_TAGS) >> n) & 1) == 0) return 3
  const address = L.X87 + n * L.X87_SIZE
  const significand = load<u64>(address)
  const exponent = load<u16>(address, L.X87_EXPONENT) & 0x7fff
  if (exponent == 0 && significand == 0) return 1
  return exponent == 0 || exponent == 0x7fff || (significand as i64) >= 0 ? 2 : 0
}

function setFullTags(tags: u32): void {
  let filled: u32 = 0
  for (let n: u32 = 0; n < 8; n++) if (((tags >> (n * 2)) & 3) != 3) filled |= (1 as u32) << n
  store<u32>(L.X87_TAGS, filled)
}

function hasSelectors(): bool {
  return (cr0() & CR0_PE) != 0 && (systemFlags() & RFLAGS_VM) == 0
}

// One field of the environment: 16 bits, or 32 of which the upper half is ones unless the field fills it.
function put(address: u64, index: u32, width: u32, value: u32, flags: u32): void {
  writeData(address + ((index * width) as u64), value as u64, width, flags)
}

function get(address: u64, index: u32, width: u32, flags: u32): u32 {
  return readData(address + ((index * width) as u64), width, flags) as u32
}

function environmentSize(width: u32): u32 {
  return width * 7
}

function storeEnvironment(address: u64, width: u32, flags: u32): void {
  const ones: u32 = width == 4 ? 0xffff0000 : 0
  put(address, 0, width, load<u32>(L.X87_CONTROL) | ones, flags)
  put(address, 1, width, statusWord() | ones, flags)
  put(address, 2, width, fullTags() | ones, flags)
  const ip = load<u32>(L.X87_IP)
  const dp = load<u32>(L.X87_DP)
  const opcode = load<u32>(L.X87_OPCODE)
  if (hasSelectors()) {
    put(address, 3, width, ip, flags)
    put(address, 4, width, load<u32>(L.X87_CS) | (opcode << 16), flags)
    put(address, 5, width, dp, flags)
    put(address, 6, width, load<u32>(L.X87_DS) | ones, flags)
    return
  }
  // Linear addresses: 20 bits in the short format, 32 in the long one.
  const code = ip + (load<u32>(L.X87_CS) << 4)
  const data = dp + (load<u32>(L.X87_DS) << 4)
  const limit: u32 = width == 4 ? 0xffff : 0xf
  put(address, 3, width, (code & 0xffff) | ones, flags)
  put(address, 4, width, opcode | (((code >> 16) & limit) << 12), flags)
  put(address, 5, width, (data & 0xffff) | ones, flags)
  put(address, 6, width, ((data >> 16) & limit) << 12, flags)
}

// FNSTENV: `bytes` is 14 or 28.
export function x87StoreEnvironment(address: u64, bytes: u32, flags: u32): void {
  if (!probe(address, bytes, flags)) return
  storeEnvironment(address, bytes / 7, flags)
  // All exceptions are masked, so that the handler may use the FPU.
  store<u32>(L.X87_CONTROL, load<u32>(L.X87_CONTROL) | 0x3f)
  store<u32>(L.X87_STATUS, statusWord() & ~(ERROR_SUMMARY | BUSY))
}
