// IN, OUT, INS, OUTS: permission (Intel SDM volume 1, 19.5), then an exit for the monitor with RIP already past the
// instruction. String forms leave once for each element, with RSI, RDI and RCX moved on; the element of an INS is stored
// when the monitor brings it.

import * as L from '../layout'
import { probeWrite, readData, readSystem, writeData } from './access'
import { TYPE_WIDE } from './descriptor'
import { ioPrivilege } from './flags'
import { clearFault, complete, cpl, exit, faulted, gp0, NUMBER_ES, virtual8086 } from './state'
import { addressMask, elementAddress, moveIndex, setIndex } from './string'
import { watchPorts } from './watch'

const REASON_IO: u32 = 30
const TSS_BITMAP: u32 = 0x66

// CPL <= IOPL, or clear bits in the I/O permission bitmap of a 32- or 64-bit TSS, on which virtual-8086 mode depends always.
// False when it faulted.
function allowed(port: u32, size: u32): bool {
  if (!virtual8086() && cpl() <= ioPrivilege()) return true
  if ((load<u32>(L.TR + L.SEG_AR) & TYPE_WIDE) == 0) {
    gp0()
    return false
  }
  const limit = load<u32>(L.TR + L.SEG_LIMIT)
  const tss = load<u64>(L.TR + L.SEG_BASE)
  if (limit >= TSS_BITMAP + 1) {
    const bitmap = readSystem(tss + (TSS_BITMAP as u64), 2) as u32
    if (faulted()) return false
    const at = bitmap + (port >> 3)
    // Two bytes are read always, and both must lie in the segment.
    if (at + 1 <= limit) {
      const bits = readSystem(tss + (at as u64), 2) as u32
      if (faulted()) return false
      if (((bits >> (port & 7)) & ((1 << size) - 1)) == 0) return true
    }
  }
  gp0()
  return false
}

function exitIo(port: u32, size: u32, flags: u32, value: u64): void {
  store<u32>(L.EXIT_LENGTH, (load<u64>(L.NEXT_RIP) - load<u64>(L.RIP)) as u32)
  store<u32>(L.EXIT_PORT, port)
  store<u32>(L.EXIT_SIZE, size)
  store<u32>(L.EXIT_IO_FLAGS, flags)
  store<u64>(L.EXIT_VALUE, value & 0xffffffff)
  watchPorts(port, size)
  exit(REASON_IO)
}

export function input(port: u32, size: u32, immediate: u32): void {
  if (!allowed(port, size)) return
  exitIo(port, size, L.IO_IN | (immediate != 0 ? L.IO_IMMEDIATE : 0), load<u64>(L.RAX))
  store<u32>(L.IO_PENDING, L.IO_TO_RAX)
  complete()
}

export function output(port: u32, size: u32, immediate: u32): void {
  if (!allowed(port, size)) return
  exitIo(port, size, immediate != 0 ? L.IO_IMMEDIATE : 0, load<u64>(L.RAX))
  complete()
}

// After an element: RCX counted, and RIP past the instruction when it was the last.
function elementDone(repeat: u32, addressSize: u32): void {
  if (repeat == 0) {
    complete()
    return
  }
  const left = (load<u64>(L.RCX) & addressMask(addressSize)) - 1
  setIndex(L.RCX, left, addressSize)
  if (left == 0) complete()
}

function nothingToDo(repeat: u32, addressSize: u32): bool {
  if (repeat == 0 || (load<u64>(L.RCX) & addressMask(addressSize)) != 0) return false
  complete()
  return true
}

export function stringInput(size: u32, addressSize: u32, repeat: u32, _segment: u32): void {
  const port = load<u32>(L.RDX) & 0xffff
  if (!allowed(port, size) || nothingToDo(repeat, addressSize)) return
  const destination = elementAddress(NUMBER_ES, L.RDI, size, addressMask(addressSize), 1)
  if (faulted() || !probeWrite(destination, size, 0)) return
  store<u64>(L.IO_LINEAR, destination)
  store<u32>(L.IO_PENDING, L.IO_TO_MEMORY)
  exitIo(port, size, L.IO_IN | L.IO_STRING | (repeat != 0 ? L.IO_REP : 0), 0)
  moveIndex(L.RDI, 1, size, addressSize)
  elementDone(repeat, addressSize)
}

export function stringOutput(size: u32, addressSize: u32, repeat: u32, segment: u32): void {
  const port = load<u32>(L.RDX) & 0xffff
  if (!allowed(port, size) || nothingToDo(repeat, addressSize)) return
  const source = elementAddress(segment, L.RSI, size, addressMask(addressSize), 0)
  if (faulted()) return
  const value = readData(source, size, 0)
  if (faulted()) return
  exitIo(port, size, L.IO_STRING | (repeat != 0 ? L.IO_REP : 0), value)
  moveIndex(L.RSI, 1, size, addressSize)
  elementDone(repeat, addressSize)
}

// The data of an IN: RAX takes all 32 bits zero-extended whatever the access size, as vmm(4) has it; the element of an INS
// goes to memory.
export function completeIn(value: u32): void {
  const pending = load<u32>(L.IO_PENDING)
  store<u32>(L.IO_PENDING, 0)
  if (pending == L.IO_TO_RAX) store<u64>(L.RAX, value as u64)
  if (pending != L.IO_TO_MEMORY) return
  store<u32>(L.EXIT_REASON, L.EXIT_NONE)
  writeData(load<u64>(L.IO_LINEAR), value as u64, load<u32>(L.EXIT_SIZE), 0)
  // Probed when the instruction ran; should the monitor have taken the page away since, the data is lost.
  clearFault()
}
