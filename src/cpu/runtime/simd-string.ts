// The comparison of PCMPESTRI, PCMPESTRM, PCMPISTRI and PCMPISTRM (Intel SDM volume 2, 4.1). Elements of b are compared in
// parallel; a is gone through one by one. Sets of elements are bit masks, bit 0 for the lowest element.

const WORDS: u32 = 1
const SIGNED: u32 = 2
const AGGREGATION: u32 = 0xc
const EQUAL_ANY: u32 = 0
const RANGES: u32 = 4
const EQUAL_EACH: u32 = 8
const NEGATIVE: u32 = 0x10
const MASKED: u32 = 0x20
const EXPANDED: u32 = 0x40

// EFLAGS, moved up beside the 16 bits of the result.
const FLAG_CF: u32 = 0x10000
const FLAG_ZF: u32 = 0x400000
const FLAG_SF: u32 = 0x800000

function elements(control: u32): u32 {
  return (control & WORDS) != 0 ? 8 : 16
}

// The lowest so many.
function lowest(count: u32): u32 {
  return ((1 as u32) << count) - 1
}

function asBits(vector: v128, control: u32): u32 {
  return (control & WORDS) != 0 ? (i16x8.bitmask(vector) as u32) : (i8x16.bitmask(vector) as u32)
}

function everywhere(vector: v128, element: u32, control: u32): v128 {
  if ((control & WORDS) == 0) return i8x16.swizzle(vector, i8x16.splat(element as i8))
  return i8x16.swizzle(vector, i16x8.splat((element * 0x202 + 0x100) as i16))
}

function equal(a: v128, b: v128, control: u32): u32 {
  return asBits((control & WORDS) != 0 ? i16x8.eq(a, b) : i8x16.eq(a, b), control)
}

function atMost(a: v128, b: v128, control: u32): u32 {
  if ((control & SIGNED) != 0) return asBits((control & WORDS) != 0 ? i16x8.le_s(a, b) : i8x16.le_s(a, b), control)
  return asBits((control & WORDS) != 0 ? i16x8.le_u(a, b) : i8x16.le_u(a, b), control)
}

// Elements of b that are one of those of a.
function equalAny(a: v128, b: v128, lengthA: u32, control: u32): u32 {
  let found: u32 = 0
  for (let i: u32 = 0; i < lengthA; i++) found |= equal(everywhere(a, i, control), b, control)
  return found
}

// Elements of b that lie between a pair of a.
function inRanges(a: v128, b: v128, lengthA: u32, control: u32): u32 {
  let found: u32 = 0
  for (let i: u32 = 0; i + 1 < lengthA; i += 2) {
    found |= atMost(everywhere(a, i, control), b, control) & atMost(b, everywhere(a, i + 1, control), control)
  }
  return found
}

// Elements that are equal, or beyond both ends.
function equalEach(a: v128, b: v128, lengthA: u32, lengthB: u32, control: u32): u32 {
  const inBoth = lowest(min(lengthA, lengthB))
  const inAny = lowest(max(lengthA, lengthB))
  return (equal(a, b, control) & inBoth) | (lowest(elements(control)) & ~inAny)
}

// Elements of b where a begins; what would lie beyond the register counts as equal.
function equalOrdered(a: v128, b: v128, lengthA: u32, lengthB: u32, control: u32): u32 {
  const all = lowest(elements(control))
  let begins = all
  for (let i: u32 = 0; i < lengthA; i++) {
    const found = equal(everywhere(a, i, control), b, control) & lowest(lengthB)
    begins &= (found >> i) | ~(all >> i)
  }
  return begins
}

function aggregate(a: v128, b: v128, lengthA: u32, lengthB: u32, control: u32): u32 {
  const kind = control & AGGREGATION
  if (kind == EQUAL_ANY) return equalAny(a, b, lengthA, control) & lowest(lengthB)
  if (kind == RANGES) return inRanges(a, b, lengthA, control) & lowest(lengthB)
  if (kind == EQUAL_EACH) return equalEach(a, b, lengthA, lengthB, control)
  return equalOrdered(a, b, lengthA, lengthB, control)
}

// IntRes2 of the manual in bits 15:0, and CF, ZF and SF in bits 23:16.
function compare(a: v128, b: v128, lengthA: u32, lengthB: u32, control: u32): u32 {
  let result = aggregate(a, b, lengthA, lengthB, control)
  if ((control & NEGATIVE) != 0) result ^= (control & MASKED) != 0 ? lowest(lengthB) : lowest(elements(control))
  const all = elements(control)
  if (result != 0) result |= FLAG_CF
  if (lengthB < all) result |= FLAG_ZF
  return lengthA < all ? result | FLAG_SF : result
}

// Elements before the first zero.
function implicitLength(vector: v128, control: u32): u32 {
  return min(ctz(equal(vector, i64x2.splat(0), control) | 0x10000), elements(control))
}

// The absolute value of a register, at most the number of elements.
function explicitLength(register: i64, control: u32): u32 {
  const length = (register < 0 ? 0 - register : register) as u64
  return min(length, elements(control) as u64) as u32
}

export function compareImplicit(a: v128, b: v128, control: u32): u32 {
  return compare(a, b, implicitLength(a, control), implicitLength(b, control), control)
}

export function compareExplicit(a: v128, b: v128, control: u32, rax: i64, rdx: i64): u32 {
  return compare(a, b, explicitLength(rax, control), explicitLength(rdx, control), control)
}

// A result as PCMPESTRM and PCMPISTRM give it: bits, or elements of ones.
export function comparisonMask(result: u32, control: u32): v128 {
  if ((control & EXPANDED) == 0) return i64x2(result as i64, 0)
  if ((control & WORDS) != 0) {
    const bits = i16x8(1, 2, 4, 8, 16, 32, 64, 128)
    return i16x8.eq(v128.and(i16x8.splat(result as i16), bits), bits)
  }
  const bits = i8x16(1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32, 64, -128)
  const bytes = i8x16.swizzle(i16x8.splat(result as i16), i64x2(0, 0x0101010101010101))
  return i8x16.eq(v128.and(bytes, bits), bits)
}
