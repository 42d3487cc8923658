// Small accessors to the CPU state, and the recording of exceptions.

import * as L from '../layout'

export const VECTOR_DE: u32 = 0
export const VECTOR_DB: u32 = 1
export const VECTOR_BP: u32 = 3
export const VECTOR_OF: u32 = 4
export const VECTOR_UD: u32 = 6
export const VECTOR_NM: u32 = 7
export const VECTOR_DF: u32 = 8
export const VECTOR_TS: u32 = 10
export const VECTOR_NP: u32 = 11
export const VECTOR_SS: u32 = 12
export const VECTOR_GP: u32 = 13
export const VECTOR_PF: u32 = 14
export const VECTOR_MF: u32 = 16
export const VECTOR_AC: u32 = 17
export const VECTOR_XM: u32 = 19

export const CR0_PE: u64 = 1
export const CR0_MP: u64 = 2
export const CR0_EM: u64 = 4
export const CR0_TS: u64 = 8
export const CR0_ET: u64 = 0x10
export const CR0_NE: u64 = 0x20
export const CR0_WP: u64 = 0x10000
export const CR0_AM: u64 = 0x40000
export const CR0_NW: u64 = 0x20000000
export const CR0_CD: u64 = 0x40000000
export const CR0_PG: u64 = 0x80000000

export const CR4_TSD: u64 = 4
export const CR4_DE: u64 = 8
export const CR4_PSE: u64 = 0x10
export const CR4_PAE: u64 = 0x20
export const CR4_PGE: u64 = 0x80
export const CR4_PCE: u64 = 0x100
export const CR4_OSFXSR: u64 = 0x200
export const CR4_OSXMMEXCPT: u64 = 0x400
export const CR4_UMIP: u64 = 0x800
export const CR4_FSGSBASE: u64 = 0x10000
export const CR4_OSXSAVE: u64 = 0x40000
export const CR4_SMEP: u64 = 0x100000
export const CR4_SMAP: u64 = 0x200000

export const EFER_SCE: u64 = 1
export const EFER_LME: u64 = 0x100
export const EFER_LMA: u64 = 0x400
export const EFER_NXE: u64 = 0x800

export const RFLAGS_TF: u32 = 0x100
export const RFLAGS_IF: u32 = 0x200
export const RFLAGS_DF: u32 = 0x400
export const RFLAGS_IOPL: u32 = 0x3000
export const RFLAGS_NT: u32 = 0x4000
export const RFLAGS_RF: u32 = 0x10000
export const RFLAGS_VM: u32 = 0x20000
export const RFLAGS_AC: u32 = 0x40000
export const RFLAGS_VIF: u32 = 0x80000
export const RFLAGS_VIP: u32 = 0x100000

export const EXIT_REASON_EXCEPTION: u32 = 0
export const EXIT_REASON_TRIPLE_FAULT: u32 = 2
export const EXIT_REASON_INT_WINDOW: u32 = 7
export const EXIT_REASON_EPT_VIOLATION: u32 = 48

// Numbers of segment registers, as instructions and runtime functions name them.
export const NUMBER_ES: u32 = 0
export const NUMBER_SS: u32 = 2
export const NUMBER_DS: u32 = 3
export const NUMBER_FS: u32 = 4

// @inline
export function cr0(): u64 {
  return load<u64>(L.CR0)
}

// @inline
export function cr4(): u64 {
  return load<u64>(L.CR4)
}

// @inline
export function efer(): u64 {
  return load<u64>(L.EFER)
}

// @inline
export function cpl(): u32 {
  return load<u32>(L.CPL)
}

// The running code is 64-bit code.
export function in64(): bool {
  return (load<u32>(L.MODE) & L.MODE_SIZE_MASK) == L.MODE_64
}

// EFER.LMA: long mode, be it 64-bit or compatibility mode.
export function longMode(): bool {
  return (load<u32>(L.EFER) & (EFER_LMA as u32)) != 0
}

export function virtual8086(): bool {
  return (load<u32>(L.RFLAGS) & RFLAGS_VM) != 0
}

// Real mode or virtual-8086 mode: a selector is a paragraph number.
export function realAddressing(): bool {
  return (load<u32>(L.CR0) & (CR0_PE as u32)) == 0 || virtual8086()
}

// Linear addresses of the running code have 64 bits or 32; those of descriptor tables and the TSS in long mode 64.
export function systemAddress(linear: u64): u64 {
  return longMode() ? linear : linear & 0xffffffff
}

// @inline
export function systemFlags(): u32 {
  return load<u32>(L.RFLAGS)
}

export function gpr(register: u32): u64 {
  return load<u64>(L.GPR + (register << 3))
}

export function setGpr(register: u32, value: u64): void {
  store<u64>(L.GPR + (register << 3), value)
}

export function count(counter: u32): void {
  store<u64>(counter, load<u64>(counter) + 1)
}

// Records an exception with an error code; the caller leaves the instruction.
export function fault(vector: u32, errorCode: u32): void {
  store<u32>(L.FAULT_VECTOR, vector)
  store<u32>(L.FAULT_ERROR, errorCode)
  store<u32>(L.FAULT_HAS_ERROR, 1)
}

// Records an exception without an error code.
export function faultPlain(vector: u32): void {
  store<u32>(L.FAULT_VECTOR, vector)
  store<u32>(L.FAULT_HAS_ERROR, 0)
}

// An exception is pending, or the access left the guest altogether (EPT violation): nothing more may be done.
export function faulted(): bool {
  return load<i32>(L.FAULT_VECTOR) >= 0 || load<u32>(L.EXIT_REASON) != L.EXIT_NONE
}

export function clearFault(): void {
  store<i32>(L.FAULT_VECTOR, -1)
}

export function gp0(): void {
  fault(VECTOR_GP, 0)
}

export function exit(reason: u32): void {
  store<u32>(L.EXIT_REASON, reason)
}

// Ends an instruction that does nothing more than go on with the next one.
export function complete(): void {
  store<u64>(L.RIP, load<u64>(L.NEXT_RIP))
}

export function isCanonical(address: u64): bool {
  return ((address as i64) << 16) >> 16 == (address as i64)
}

export function attend(bits: u32): void {
  store<u32>(L.ATTENTION, load<u32>(L.ATTENTION) | bits)
}

export function unattend(bits: u32): void {
  store<u32>(L.ATTENTION, load<u32>(L.ATTENTION) & ~bits)
}

export function segmentSelector(segment: u32): u32 {
  return load<u16>(segment + L.SEG_SELECTOR)
}
