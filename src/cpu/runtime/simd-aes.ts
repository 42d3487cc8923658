// AES (FIPS 197): the steps of a round on a state whose columns are the dwords of a vector, and carry-less multiplication.

import * as L from '../layout'

const BOX: u32 = 256

function timesTwo(value: u32): u32 {
  return ((value << 1) ^ ((value >> 7) * 0x11b)) & 0xff
}

// Makes both substitution tables: powers of 3 and of its inverse run through all numbers but 0 together.
export function makeAesTables(): void {
  let power: u32 = 1
  let inverse: u32 = 1
  do {
    power ^= timesTwo(power)
    // Division by 3.
    inverse ^= inverse << 1
    inverse ^= inverse << 2
    inverse ^= inverse << 4
    inverse &= 0xff
    if ((inverse & 0x80) != 0) inverse ^= 9
    setBox(power, inverse)
  } while (power != 1)
  setBox(0, 0)
}

function setBox(value: u32, inverse: u32): void {
  const rotated = inverse | (inverse << 8)
  const box = (inverse ^ (rotated >> 7) ^ (rotated >> 6) ^ (rotated >> 5) ^ (rotated >> 4) ^ 0x63) & 0xff
  store<u8>(L.AES_BOXES + value, box as u8)
  store<u8>(L.AES_BOXES + BOX + box, value as u8)
}

// Looks each byte up in a table of 256, 16 of which a swizzle can do: what is not in a row gives 0 there.
function substitute(table: u32, state: v128): v128 {
  let result = i64x2.splat(0)
  for (let row: u32 = 0; row < BOX; row += 16) {
    result = v128.or(result, i8x16.swizzle(v128.load(table + row), state))
    state = i8x16.sub(state, i8x16.splat(16))
  }
  return result
}

function subBytes(state: v128): v128 {
  return substitute(L.AES_BOXES, state)
}

function inverseSubBytes(state: v128): v128 {
  return substitute(L.AES_BOXES + BOX, state)
}

function shiftRows(state: v128): v128 {
  return i8x16.shuffle(state, state, 0, 5, 10, 15, 4, 9, 14, 3, 8, 13, 2, 7, 12, 1, 6, 11)
}

function inverseShiftRows(state: v128): v128 {
  return i8x16.shuffle(state, state, 0, 13, 10, 7, 4, 1, 14, 11, 8, 5, 2, 15, 12, 9, 6, 3)
}

function doubled(state: v128): v128 {
  const carried = i8x16.lt_s(state, i64x2.splat(0))
  return v128.xor(i8x16.shl(state, 1), v128.and(carried, i8x16.splat(0x1b)))
}

function rotatedByOne(state: v128): v128 {
  return i8x16.shuffle(state, state, 1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12)
}

function rotatedByTwo(state: v128): v128 {
  return i8x16.shuffle(state, state, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13)
}

// Each byte: twice itself, three times the next one, and the other two.
function mixColumns(state: v128): v128 {
  const next = rotatedByOne(state)
  const pairs = v128.xor(state, next)
  return v128.xor(v128.xor(doubled(pairs), next), rotatedByTwo(pairs))
}

// The inverse matrix is that of MixColumns times one with 5 and, two bytes on, 4.
export function inverseMixColumns(state: v128): v128 {
  const fourTimes = doubled(doubled(v128.xor(state, rotatedByTwo(state))))
  return mixColumns(v128.xor(state, fourTimes))
}

export function aesEncrypt(state: v128, key: v128): v128 {
  return v128.xor(mixColumns(subBytes(shiftRows(state))), key)
}

export function aesEncryptLast(state: v128, key: v128): v128 {
  return v128.xor(subBytes(shiftRows(state)), key)
}

export function aesDecrypt(state: v128, key: v128): v128 {
  return v128.xor(inverseMixColumns(inverseSubBytes(inverseShiftRows(state))), key)
}

export function aesDecryptLast(state: v128, key: v128): v128 {
  return v128.xor(inverseSubBytes(inverseShiftRows(state)), key)
}

// AESKEYGENASSIST: of dwords 1 and 3 the substitution, and the same rotated and with the round constant.
export function aesKeyGeneration(key: v128, constant: u32): v128 {
  const words = subBytes(key)
  const placed = i8x16.shuffle(words, words, 4, 5, 6, 7, 5, 6, 7, 4, 12, 13, 14, 15, 13, 14, 15, 12)
  return v128.xor(placed, i64x2.splat(((constant as u64) << 32) as i64))
}

// Bits of every fourth position are multiplied by the ordinary multiplication: up to 15 of them add up without reaching the
// next position that counts, and 16 only in the topmost one.
function lowProduct(a: u64, b: u64): u64 {
  const every: u64 = 0x1111111111111111
  const a0 = a & every
  const a1 = a & (every << 1)
  const a2 = a & (every << 2)
  const a3 = a & (every << 3)
  const b0 = b & every
  const b1 = b & (every << 1)
  const b2 = b & (every << 2)
  const b3 = b & (every << 3)
  const p0 = (a0 * b0) ^ (a1 * b3) ^ (a2 * b2) ^ (a3 * b1)
  const p1 = (a0 * b1) ^ (a1 * b0) ^ (a2 * b3) ^ (a3 * b2)
  const p2 = (a0 * b2) ^ (a1 * b1) ^ (a2 * b0) ^ (a3 * b3)
  const p3 = (a0 * b3) ^ (a1 * b2) ^ (a2 * b1) ^ (a3 * b0)
  return (p0 & every) | (p1 & (every << 1)) | (p2 & (every << 2)) | (p3 & (every << 3))
}

function swapped(value: u64, mask: u64, distance: u64): u64 {
  return ((value >> distance) & mask) | ((value & mask) << distance)
}

function reversed(value: u64): u64 {
  value = swapped(value, 0x5555555555555555, 1)
  value = swapped(value, 0x3333333333333333, 2)
  value = swapped(value, 0x0f0f0f0f0f0f0f0f, 4)
  value = swapped(value, 0x00ff00ff00ff00ff, 8)
  value = swapped(value, 0x0000ffff0000ffff, 16)
  return rotl(value, 32)
}

// PCLMULQDQ. The high half is the low half of the product of the numbers read backwards.
export function carrylessProduct(a: u64, b: u64): v128 {
  const high = reversed(lowProduct(reversed(a), reversed(b))) >> 1
  return i64x2(lowProduct(a, b) as i64, high as i64)
}
