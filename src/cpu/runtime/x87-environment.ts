// The x87 environment: control instructions, and FNSTENV, FLDENV, FNSAVE, FRSTOR in their four formats (SDM volume 1, 8.1.10):
// 16 and 32 bits, real mode and protected mode.

import * as L from '../layout'
import { isAligned, readBlock, writeBlock } from './access'
import { CR0_PE, cr0, RFLAGS_VM, systemFlags } from './state'
import { instructionOffset, instructionSelector, setInstructionOffset } from './x87-pointers'
import { addressOf, controlWord, setControlWord, setStatusWord, statusWord } from './x87-state'

export const INITIAL_CONTROL: u32 = 0x37f
const ALL_MASKED: u32 = 0x3f
const REGISTER_SIZE: u32 = 10

// FNINIT
export function x87Initialize(): void {
  store<u32>(L.X87_CONTROL, INITIAL_CONTROL)
  store<u32>(L.X87_STATUS, 0)
  store<u32>(L.X87_TAGS, 0)
  store<u32>(L.X87_OPCODE, 0)
  store<u64>(L.X87_IP, 0)
  store<u64>(L.X87_DP, 0)
}

// FNCLEX
export function x87ClearExceptions(): void {
  store<u32>(L.X87_STATUS, statusWord() & 0x7f00)
}

// FLDCW
export function x87LoadControl(value: u32): void {
  setControlWord(value)
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

// One field of the environment in the image: 16 bits, or 32.
function put(index: u32, width: u32, value: u32): void {
  const at = L.STATE_IMAGE + index * width
  if (width == 4) store<u32>(at, value)
  else store<u16>(at, value)
}

function get(index: u32, width: u32): u32 {
  const at = L.STATE_IMAGE + index * width
  return width == 4 ? load<u32>(at) : load<u16>(at)
}

const FIELDS: u32 = 7

// FDS is always 0: this processor does not keep it (CPUID.7.EBX[13]), as newer ones do not.
function putEnvironment(width: u32): void {
  // The upper halves of fields of 16 bits are ones.
  const ones: u32 = 0xffff0000
  put(0, width, controlWord() | ones)
  put(1, width, statusWord() | ones)
  put(2, width, fullTags() | ones)
  const data = load<u32>(L.X87_DP)
  const opcode = load<u32>(L.X87_OPCODE)
  if (hasSelectors()) {
    put(3, width, instructionOffset() as u32)
    put(4, width, instructionSelector() | (opcode << 16))
    put(5, width, data)
    put(6, width, ones)
    return
  }
  // Linear addresses: 20 bits in the short format, 32 in the long one.
  const code = load<u32>(L.X87_IP)
  const limit: u32 = width == 4 ? 0xffff : 0xf
  put(3, width, (code & 0xffff) | ones)
  put(4, width, opcode | (((code >> 16) & limit) << 12))
  put(5, width, (data & 0xffff) | ones)
  put(6, width, ((data >> 16) & limit) << 12)
}

function takeEnvironment(width: u32): void {
  setControlWord(get(0, width))
  setStatusWord(get(1, width))
  setFullTags(get(2, width))
  const code = get(4, width)
  const ip = get(3, width)
  const data = get(5, width)
  if (hasSelectors()) {
    setInstructionOffset(ip as u64)
    store<u32>(L.X87_CS, code & 0xffff)
    store<u32>(L.X87_CODE_BASE, load<u32>(L.CODE_BASE))
    // The short format has no room for the opcode.
    store<u32>(L.X87_OPCODE, (code >> 16) & 0x7ff)
    store<u64>(L.X87_DP, data as u64)
    return
  }
  store<u64>(L.X87_IP, ((ip & 0xffff) | ((code >> 12) << 16)) as u64)
  store<u32>(L.X87_OPCODE, code & 0x7ff)
  store<u64>(L.X87_DP, ((data & 0xffff) | ((get(6, width) >> 12) << 16)) as u64)
}

// Fields of 2 or 4 bytes are aligned as such under alignment checking. All four give 0, or 1 when they have faulted.

// FNSTENV
export function x87StoreEnvironment(address: u64, width: u32, flags: u32): u32 {
  if (!isAligned(address, width)) return 1
  putEnvironment(width)
  if (!writeBlock(address, L.STATE_IMAGE, width * FIELDS, flags)) return 1
  // All exceptions are masked, so that the handler may use the FPU.
  setControlWord(controlWord() | ALL_MASKED)
  return 0
}

// FLDENV
export function x87LoadEnvironment(address: u64, width: u32, flags: u32): u32 {
  if (!readAligned(address, width, width * FIELDS, flags)) return 1
  takeEnvironment(width)
  return 0
}

function readAligned(address: u64, width: u32, size: u32, flags: u32): bool {
  return isAligned(address, width) && readBlock(address, size, flags, L.STATE_IMAGE)
}

// FNSAVE: the environment, then ST(0) to ST(7).
export function x87Save(address: u64, width: u32, flags: u32): u32 {
  if (!isAligned(address, width)) return 1
  putEnvironment(width)
  const registers = L.STATE_IMAGE + width * FIELDS
  for (let i: u32 = 0; i < 8; i++) memory.copy(registers + i * REGISTER_SIZE, addressOf(i), REGISTER_SIZE)
  if (!writeBlock(address, L.STATE_IMAGE, width * FIELDS + 8 * REGISTER_SIZE, flags)) return 1
  x87Initialize()
  return 0
}

// FRSTOR
export function x87Restore(address: u64, width: u32, flags: u32): u32 {
  if (!readAligned(address, width, width * FIELDS + 8 * REGISTER_SIZE, flags)) return 1
  takeEnvironment(width)
  const registers = L.STATE_IMAGE + width * FIELDS
  for (let i: u32 = 0; i < 8; i++) memory.copy(addressOf(i), registers + i * REGISTER_SIZE, REGISTER_SIZE)
  return 0
}
