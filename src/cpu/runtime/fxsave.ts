// FXSAVE and FXRSTOR: x87, MMX, XMM registers and MXCSR in an image of 512 bytes (SDM volume 1, 10.5.1). XSAVE's image begins
// with the same bytes.

import * as L from '../layout'
import { readBlock, writeBlock } from './access'
import { mxcsrChanged } from './float'
import { gp0 } from './state'
import { instructionOffset, instructionSelector, setInstructionOffset } from './x87-pointers'
import { addressOf, setControlWord, setStatusWord, statusWord } from './x87-state'

const FSW: u32 = 2
const FTW: u32 = 4
const FOP: u32 = 6
const FIP: u32 = 8
const FCS: u32 = 12
const FDP: u32 = 16
const FDS: u32 = 20
const IMAGE_MXCSR: u32 = 24
const IMAGE_MXCSR_MASK: u32 = 28
const REGISTERS: u32 = 32
const REGISTER_SIZE: u32 = 10
const SLOT: u32 = 16
const XMM: u32 = 160
// What the processor writes; behind it lie reserved bytes and some for software.
const WRITTEN_32: u32 = 288
const WRITTEN_64: u32 = 416

// Bits of MXCSR that are there.
export const MXCSR_MASK: u32 = 0xffff

// XMM registers that there are in the present mode.
export function xmmCount(): u32 {
  return (load<u32>(L.MODE) & L.MODE_SIZE_MASK) == L.MODE_64 ? 16 : 8
}

// `wide` says that FIP and FDP have 64 bits and no selectors (REX.W).
export function putX87(image: u32, wide: u32): void {
  memory.fill(image, 0, XMM)
  store<u16>(image, load<u32>(L.X87_CONTROL))
  store<u16>(image, statusWord(), FSW)
  store<u8>(image, load<u32>(L.X87_TAGS), FTW)
  store<u16>(image, load<u32>(L.X87_OPCODE), FOP)
  store<u64>(image, instructionOffset(), FIP)
  store<u64>(image, load<u64>(L.X87_DP), FDP)
  if (wide == 0) {
    store<u32>(image, instructionSelector(), FCS)
    store<u32>(image, 0, FDS)
  }
  for (let i: u32 = 0; i < 8; i++) memory.copy(image + REGISTERS + i * SLOT, addressOf(i), REGISTER_SIZE)
}

export function takeX87(image: u32, wide: u32): void {
  setControlWord(load<u16>(image))
  setStatusWord(load<u16>(image, FSW))
  store<u32>(L.X87_TAGS, load<u8>(image, FTW))
  store<u32>(L.X87_OPCODE, load<u16>(image, FOP) & 0x7ff)
  setInstructionOffset(wide != 0 ? load<u64>(image, FIP) : (load<u32>(image, FIP) as u64))
  store<u64>(L.X87_DP, wide != 0 ? load<u64>(image, FDP) : (load<u32>(image, FDP) as u64))
  store<u32>(L.X87_CS, wide != 0 ? 0 : load<u16>(image, FCS))
  store<u32>(L.X87_CODE_BASE, load<u32>(L.CODE_BASE))
  for (let i: u32 = 0; i < 8; i++) memory.copy(addressOf(i), image + REGISTERS + i * SLOT, REGISTER_SIZE)
}

export function putMxcsr(image: u32): void {
  store<u32>(image, load<u32>(L.MXCSR), IMAGE_MXCSR)
  store<u32>(image, MXCSR_MASK, IMAGE_MXCSR_MASK)
}

export function takeMxcsr(image: u32): void {
  store<u32>(L.MXCSR, load<u32>(image, IMAGE_MXCSR))
  mxcsrChanged()
}

// Whether MXCSR of an image has none but bits that are there.
export function hasValidMxcsr(image: u32): bool {
  return (load<u32>(image, IMAGE_MXCSR) & ~MXCSR_MASK) == 0
}

export function putXmm(image: u32): void {
  for (let n: u32 = 0; n < xmmCount(); n++) memory.copy(image + XMM + n * SLOT, L.YMM + n * L.YMM_SIZE, SLOT)
}

export function takeXmm(image: u32): void {
  for (let n: u32 = 0; n < xmmCount(); n++) memory.copy(L.YMM + n * L.YMM_SIZE, image + XMM + n * SLOT, SLOT)
}

function isAligned16(address: u64): bool {
  if ((address & 15) == 0) return true
  gp0()
  return false
}

// Both give 0, or 1 when they have faulted.

export function fxsave(address: u64, wide: u32, flags: u32): u32 {
  if (!isAligned16(address)) return 1
  putX87(L.STATE_IMAGE, wide)
  putMxcsr(L.STATE_IMAGE)
  putXmm(L.STATE_IMAGE)
  return writeBlock(address, L.STATE_IMAGE, xmmCount() == 16 ? WRITTEN_64 : WRITTEN_32, flags) ? 0 : 1
}

export function fxrstor(address: u64, wide: u32, flags: u32): u32 {
  if (!isAligned16(address) || !readBlock(address, WRITTEN_64, flags, L.STATE_IMAGE)) return 1
  if (!hasValidMxcsr(L.STATE_IMAGE)) {
    gp0()
    return 1
  }
  takeX87(L.STATE_IMAGE, wide)
  takeMxcsr(L.STATE_IMAGE)
  takeXmm(L.STATE_IMAGE)
  return 0
}
