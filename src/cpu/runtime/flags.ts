// RFLAGS as one word: gathered from the lazy pieces (isa/flags.ts) and spread over them.

import * as L from '../layout'
import { contextChanged } from './context'
import {
  attend,
  fault,
  RFLAGS_AC,
  RFLAGS_IF,
  RFLAGS_IOPL,
  RFLAGS_RF,
  RFLAGS_TF,
  systemFlags,
  unattend,
  VECTOR_GP,
  virtual8086,
} from './state'

const CF: u32 = 1
const PF: u32 = 4
const AF: u32 = 0x10
const ZF: u32 = 0x40
const SF: u32 = 0x80
const OF: u32 = 0x800
const ARITHMETIC: u32 = 0x8d5
// Bits that exist: CF PF AF ZF SF TF IF DF OF IOPL NT RF VM AC VIF VIP ID.
const DEFINED: u32 = 0x3f7fd5
// CF PF AF ZF SF TF DF OF NT AC ID.
const ANY_LEVEL: u32 = 0x244dd5

export function readRflags(): u64 {
  const result = load<i64>(L.FLAG_RESULT)
  const aux = load<u32>(L.FLAG_AUX)
  let flags = load<u32>(L.RFLAGS) | 2
  flags |= load<u32>(L.FLAG_CARRY) & CF
  if (result == 0) flags |= ZF
  if (((result < 0 ? SF : 0) ^ (aux & SF)) != 0) flags |= SF
  const even: u32 = (popcnt((result as u32) & 0xff) & 1) == 0 ? PF : 0
  flags |= (even ^ aux) & PF
  flags |= aux & AF
  if (load<i32>(L.FLAG_OVERFLOW) < 0) flags |= OF
  return flags as u64
}

export function setArithmetic(flags: u32): void {
  const zero = (flags & ZF) != 0
  store<u32>(L.FLAG_CARRY, flags & CF)
  store<u64>(L.FLAG_RESULT, zero ? 0 : 1)
  store<u32>(L.FLAG_OVERFLOW, (flags & OF) << 20)
  // A result of 0 has PF set and SF clear, a result of 1 neither.
  store<u32>(L.FLAG_AUX, (flags & (AF | PF | SF)) ^ (zero ? PF : 0))
}

export function writeRflags(value: u64): void {
  const flags = (value as u32) & DEFINED
  setArithmetic(flags)
  store<u64>(L.RFLAGS, ((flags & ~ARITHMETIC) | 2) as u64)
  if (flags & RFLAGS_TF) attend(L.ATTENTION_TRAP_FLAG)
  else unattend(L.ATTENTION_TRAP_FLAG)
  if (flags & RFLAGS_RF) attend(L.ATTENTION_RESUME)
  else unattend(L.ATTENTION_RESUME)
  contextChanged()
}

export function setZero(zero: bool): void {
  const flags = readRflags() as u32
  setArithmetic(zero ? flags | ZF : flags & ~ZF)
}

export function ioPrivilege(): u32 {
  return (systemFlags() & RFLAGS_IOPL) >> 12
}

// Virtual-8086 mode, and the instruction (CLI, STI, PUSHF, POPF, INT n, IRET) is left to a monitor in the guest.
export function virtualTrap(): bool {
  return virtual8086() && ioPrivilege() < 3
}

// The image PUSHF pushes: VM and RF are cleared. (0 says #GP, for virtual-8086 mode.)
export function pushedFlags(): u64 {
  return virtualTrap() ? 0 : readRflags() & 0xfcffff
}

// RFLAGS from an image that POPF or IRET has popped, as a privilege level may change it; `more` names flags beyond those that
// any level may.
export function loadFlags(image: u64, size: u32, level: u32, more: u32): void {
  let mask: u32 = ANY_LEVEL | more
  if (level == 0) mask |= RFLAGS_IOPL
  if (level <= ioPrivilege()) mask |= RFLAGS_IF
  if (size == 16) mask &= 0xffff
  const old = readRflags() as u32
  writeRflags(((old & ~mask) | ((image as u32) & mask)) as u64)
}

// CLAC and STAC: only at CPL 0, and only when CPUID has SMAP.
export function setAccessCheck(on: bool): void {
  const flags = load<u32>(L.RFLAGS)
  store<u32>(L.RFLAGS, on ? flags | RFLAGS_AC : flags & ~RFLAGS_AC)
  contextChanged()
}

export function privileged(): bool {
  if (load<u32>(L.CPL) == 0) return true
  fault(VECTOR_GP, 0)
  return false
}
