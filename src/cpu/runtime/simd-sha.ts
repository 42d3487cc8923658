// Rounds of SHA-1 and SHA-256 (FIPS 180-4), as SHA1RNDS4 and SHA256RNDS2 do them; A is in the highest dword.

function choose(x: u32, y: u32, z: u32): u32 {
  return (x & y) ^ (~x & z)
}

function majority(x: u32, y: u32, z: u32): u32 {
  return (x & y) ^ (x & z) ^ (y & z)
}

function mixed(kind: u32, b: u32, c: u32, d: u32): u32 {
  if (kind == 0) return choose(b, c, d) + 0x5a827999
  if (kind == 1) return (b ^ c ^ d) + 0x6ed9eba1
  if (kind == 2) return majority(b, c, d) + 0x8f1bbcdc
  return (b ^ c ^ d) + 0xca62c1d6
}

// Four rounds; the highest dword of the words has E added already.
export function sha1Rounds(state: v128, words: v128, kind: u32): v128 {
  let a = i32x4.extract_lane(state, 3) as u32
  let b = i32x4.extract_lane(state, 2) as u32
  let c = i32x4.extract_lane(state, 1) as u32
  let d = i32x4.extract_lane(state, 0) as u32
  let e: u32 = 0
  for (let round = 0; round < 4; round++) {
    const next = mixed(kind & 3, b, c, d) + rotl(a, 5) + (i32x4.extract_lane(words, 3) as u32) + e
    words = i8x16.shuffle(words, words, 0, 1, 2, 3, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
    e = d
    d = c
    c = rotl(b, 30)
    b = a
    a = next
  }
  return packed(a, b, c, d)
}

function packed(highest: u32, third: u32, second: u32, lowest: u32): v128 {
  const high = ((highest as u64) << 32) | (third as u64)
  const low = ((second as u64) << 32) | (lowest as u64)
  return i64x2.replace_lane(i64x2.splat(low as i64), 1, high as i64)
}

// Two rounds; a state is in two vectors, C D G H and A B E F. The words have their constants added already.
export function sha256Rounds(cdgh: v128, abef: v128, words: v128): v128 {
  let a = i32x4.extract_lane(abef, 3) as u32
  let b = i32x4.extract_lane(abef, 2) as u32
  let c = i32x4.extract_lane(cdgh, 3) as u32
  let d = i32x4.extract_lane(cdgh, 2) as u32
  let e = i32x4.extract_lane(abef, 1) as u32
  let f = i32x4.extract_lane(abef, 0) as u32
  let g = i32x4.extract_lane(cdgh, 1) as u32
  let h = i32x4.extract_lane(cdgh, 0) as u32
  for (let round = 0; round < 2; round++) {
    const word = (round == 0 ? i32x4.extract_lane(words, 0) : i32x4.extract_lane(words, 1)) as u32
    const first = choose(e, f, g) + (rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25)) + word + h
    const second = majority(a, b, c) + (rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22))
    h = g
    g = f
    f = e
    e = d + first
    d = c
    c = b
    b = a
    a = first + second
  }
  return packed(a, b, e, f)
}
