// Whether an access fits its segment (Intel SDM volume 3, 5.3 and 5.5), outside 64-bit mode. In real and virtual-8086 mode the
// same is checked of what the segment registers hold: writeReal() says what that is.

import * as R from '../interpreter/record'
import * as L from '../layout'
import { AR_DB, AR_UNUSABLE, isReadable, isWritableData, TYPE_CODE, TYPE_EXPAND_DOWN } from './descriptor'
import { fault, VECTOR_GP, VECTOR_SS } from './state'

// Offsets in a data segment with this access-rights word that has the limit. A segment of 4 GB wraps around, as processors
// have it (the manuals leave it open).
export function withinLimit(limit: u32, ar: u32, offset: u64, size: u32): bool {
  const last = offset + (size as u64) - 1
  if ((ar & (TYPE_CODE | TYPE_EXPAND_DOWN)) == TYPE_EXPAND_DOWN) {
    return offset > (limit as u64) && last <= ((ar & AR_DB) != 0 ? 0xffffffff : 0xffff)
  }
  return last <= (limit as u64) || limit == 0xffffffff
}

function typeAllows(ar: u32, write: bool): bool {
  return (ar & AR_UNUSABLE) == 0 && (write ? isWritableData(ar) : isReadable(ar))
}

// Whether an access to a segment (ES 0, CS 1, SS 2, DS 3, FS 4, GS 5) is one that the segment allows.
export function segmentAllows(number: u32, offset: u64, size: u32, write: u32): bool {
  const segment: u32 = L.SEGMENTS + number * L.SEGMENT_SIZE
  const ar = load<u32>(segment + L.SEG_AR)
  return typeAllows(ar, write != 0) && withinLimit(load<u32>(segment + L.SEG_LIMIT), ar, offset, size)
}

// Linear address of an operand in a segment; the offset has been cut to the address size. #SS(0) or #GP(0) when the segment
// does not allow the access: the caller looks at faulted().
export function segmentCheck(number: u32, offset: u64, size: u32, write: u32): u64 {
  const segment: u32 = L.SEGMENTS + number * L.SEGMENT_SIZE
  if (!segmentAllows(number, offset, size, write)) fault(segment == L.SS ? VECTOR_SS : VECTOR_GP, 0)
  return (load<u64>(segment + L.SEG_BASE) + offset) & 0xffffffff
}

// Whether the memory operand that an instruction's access flags tell of, which has been read, may be written, too: else not 0.
export function checkWritable(flags: u32): u32 {
  const segment: u32 = L.SEGMENTS + ((flags >> R.FLAG_SEGMENT_SHIFT) - 1) * L.SEGMENT_SIZE
  if (isWritableData(load<u32>(segment + L.SEG_AR))) return 0
  fault(segment == L.SS ? VECTOR_SS : VECTOR_GP, 0)
  return 1
}
