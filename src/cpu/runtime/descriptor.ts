// What the bits of a segment descriptor mean (Intel SDM volume 3, 3.4.5 and 3.5).
//
// An access-rights word has the VMX layout: bits 40-47 and 52-55 of the descriptor in bits 0-7 and 12-15, bit 16 for a
// register that holds no segment.

export const AR_TYPE: u32 = 15
export const AR_S: u32 = 0x10
export const AR_P: u32 = 0x80
export const AR_L: u32 = 0x2000
export const AR_DB: u32 = 0x4000
export const AR_G: u32 = 0x8000
export const AR_UNUSABLE: u32 = 0x10000
export const TYPE_ACCESSED: u32 = 1
export const TYPE_WRITABLE: u32 = 2
export const TYPE_READABLE: u32 = 2
export const TYPE_CONFORMING: u32 = 4
export const TYPE_EXPAND_DOWN: u32 = 4
export const TYPE_CODE: u32 = 8

export const SYSTEM_TSS_16: u32 = 1
export const SYSTEM_LDT: u32 = 2
export const SYSTEM_CALL_GATE_16: u32 = 4
export const SYSTEM_TASK_GATE: u32 = 5
export const SYSTEM_INTERRUPT_GATE_16: u32 = 6
export const SYSTEM_TRAP_GATE_16: u32 = 7
export const SYSTEM_TSS: u32 = 9
export const SYSTEM_CALL_GATE: u32 = 12
export const SYSTEM_INTERRUPT_GATE: u32 = 14
export const SYSTEM_TRAP_GATE: u32 = 15
// In the types of a TSS.
export const TYPE_BUSY: u32 = 2
// In the types of a TSS and of a gate: 32 bits (64 in long mode).
export const TYPE_WIDE: u32 = 8

// All segments of real and virtual-8086 mode: data, writable, accessed, present.
export const AR_REAL: u32 = 0x93
export const AR_VIRTUAL_8086: u32 = 0xf3

export function accessRightsOf(descriptor: u64): u32 {
  return ((descriptor >> 40) as u32) & 0xf0ff
}

export function dplOf(ar: u32): u32 {
  return (ar >> 5) & 3
}

export function baseOf(descriptor: u64): u64 {
  return ((descriptor >> 16) & 0xffffff) | ((descriptor >> 32) & 0xff000000)
}

// The limit in bytes.
export function limitOf(descriptor: u64): u32 {
  const raw = ((descriptor as u32) & 0xffff) | (((descriptor >> 32) as u32) & 0xf0000)
  return (accessRightsOf(descriptor) & AR_G) != 0 ? (raw << 12) | 0xfff : raw
}

// Of a gate: the selector of its code segment, or TSS.
export function gateSelector(gate: u64): u32 {
  return ((gate >> 16) as u32) & 0xffff
}

export function gateIsWide(gate: u64): bool {
  return (accessRightsOf(gate) & TYPE_WIDE) != 0
}

// The offset, of 16 or 32 bits; a gate of long mode has more in its upper half.
export function gateOffset(gate: u64): u64 {
  return gateIsWide(gate) ? (gate & 0xffff) | ((gate >> 32) & 0xffff0000) : gate & 0xffff
}

export function isNull(selector: u32): bool {
  return (selector & 0xfffc) == 0
}

export function isCode(ar: u32): bool {
  return (ar & (AR_S | TYPE_CODE)) == (AR_S | TYPE_CODE)
}

export function isConforming(ar: u32): bool {
  return (ar & (AR_S | TYPE_CODE | TYPE_CONFORMING)) == (AR_S | TYPE_CODE | TYPE_CONFORMING)
}

export function isWritableData(ar: u32): bool {
  return (ar & (AR_S | TYPE_CODE | TYPE_WRITABLE)) == (AR_S | TYPE_WRITABLE)
}

export function isReadable(ar: u32): bool {
  return (ar & AR_S) != 0 && ((ar & TYPE_CODE) == 0 || (ar & TYPE_READABLE) != 0)
}
