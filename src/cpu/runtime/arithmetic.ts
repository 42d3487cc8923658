// 128-bit multiplication, division and square root, bit deposit and extract, CRC-32C: what wasm has no instruction for.

import * as L from '../layout'

function setResult(quotient: u64, remainder: u64): void {
  store<u64>(L.QUOTIENT, quotient)
  store<u64>(L.REMAINDER, remainder)
}

// The upper half of a product.
export function mulHigh(a: u64, b: u64): u64 {
  const aHigh = a >> 32
  const aLow = a & 0xffffffff
  const bHigh = b >> 32
  const bLow = b & 0xffffffff
  const middle = aHigh * bLow + ((aLow * bLow) >> 32)
  return aHigh * bHigh + (middle >> 32) + (((middle & 0xffffffff) + aLow * bHigh) >> 32)
}

const TWO_64: f64 = 4294967296.0 * 4294967296.0

// Square root of high:low, of whose first two bits one is set, into QUOTIENT. What is left over is given as a fraction of 64
// bits of which the first says more or less than a half, and the last that there is anything at all.
//
// An estimate by f64 is right to some 52 bits, and one step of Newton's method makes that more than 64: then it is less than
// a unit off. Taken too small on purpose, it is counted up.
export function root(high: u64, low: u64): u64 {
  const estimate = Math.sqrt(high as f64) * 4294967296
  let result: u64 = estimate >= TWO_64 ? 0xffffffffffffffff : (estimate as u64)
  let square = result * result
  // high:low - result^2 = error:rest
  let error = (high - mulHigh(result, result) - (low < square ? 1 : 0)) as i64
  let rest = low - square
  const step = ((error as f64) * TWO_64 + (rest as f64)) / (2 * (result as f64))
  result += ((Math.floor(step) as i64) - 1) as u64
  square = result * result
  error = (high - mulHigh(result, result) - (low < square ? 1 : 0)) as i64
  rest = low - square
  while (error > ((result >> 63) as i64) || (error == ((result >> 63) as i64) && rest > result << 1)) {
    const gap = (result << 1) | 1
    error -= ((result >> 63) as i64) + (rest < gap ? 1 : 0)
    rest -= gap
    result++
  }
  store<u64>(L.QUOTIENT, result)
  // Above the middle, (result + 1/2)^2, is what is greater than result^2 + result; on it is no integer.
  if (error == 0 && rest == 0) return 0
  return error > 0 || rest > result ? 0x8000000000000001 : 1
}

// Divides high:low; the quotient must fit 64 bits (high < divisor). Knuth's algorithm D with two 32-bit digits.
export function divideWide(low: u64, high: u64, divisor: u64): void {
  if (high == 0) {
    const quotient = low / divisor
    setResult(quotient, low - quotient * divisor)
    return
  }
  const shift = clz(divisor)
  const d = divisor << shift
  const dHigh = d >> 32
  const dLow = d & 0xffffffff
  const top = shift == 0 ? high : (high << shift) | (low >> (64 - shift))
  const bottom = low << shift
  const q1 = quotientDigit(top, bottom >> 32, dHigh, dLow)
  const rest = ((top << 32) | (bottom >> 32)) - q1 * d
  const q0 = quotientDigit(rest, bottom & 0xffffffff, dHigh, dLow)
  const remainder = ((rest << 32) | (bottom & 0xffffffff)) - q0 * d
  setResult((q1 << 32) | q0, remainder >> shift)
}

// One 32-bit digit of (top : next) / (dHigh : dLow).
function quotientDigit(top: u64, next: u64, dHigh: u64, dLow: u64): u64 {
  let digit = top / dHigh
  let rest = top - digit * dHigh
  while (digit >= 0x100000000 || digit * dLow > ((rest << 32) | next)) {
    digit--
    rest += dHigh
    if (rest >= 0x100000000) break
  }
  return digit
}

// RDX:RAX / divisor into QUOTIENT and REMAINDER; 0 for #DE.
export function divideUnsigned(low: u64, high: u64, divisor: u64): u32 {
  if (divisor == 0 || high >= divisor) return 0
  divideWide(low, high, divisor)
  return 1
}

export function divideSigned(low: u64, high: u64, divisor: u64): u32 {
  if (divisor == 0) return 0
  const negativeDividend = (high as i64) < 0
  const negativeDivisor = (divisor as i64) < 0
  const absoluteLow = negativeDividend ? 0 - low : low
  const absoluteHigh = negativeDividend ? ~high + (low == 0 ? 1 : 0) : high
  const absoluteDivisor = negativeDivisor ? 0 - divisor : divisor
  if (absoluteHigh >= absoluteDivisor) return 0
  divideWide(absoluteLow, absoluteHigh, absoluteDivisor)
  const quotient = load<u64>(L.QUOTIENT)
  const negative = negativeDividend != negativeDivisor
  const limit: u64 = negative ? 0x8000000000000000 : 0x7fffffffffffffff
  if (quotient > limit) return 0
  const remainder = load<u64>(L.REMAINDER)
  setResult(negative ? 0 - quotient : quotient, negativeDividend ? 0 - remainder : remainder)
  return 1
}

export function pdep(source: u64, mask: u64): u64 {
  let result: u64 = 0
  let rest = mask
  for (let bit: u64 = 1; rest != 0; bit <<= 1) {
    const lowest = rest & (0 - rest)
    if ((source & bit) != 0) result |= lowest
    rest &= rest - 1
  }
  return result
}

export function pext(source: u64, mask: u64): u64 {
  let result: u64 = 0
  let rest = mask
  for (let bit: u64 = 1; rest != 0; bit <<= 1) {
    const lowest = rest & (0 - rest)
    if ((source & lowest) != 0) result |= bit
    rest &= rest - 1
  }
  return result
}

// CRC-32C, reflected polynomial 82F63B78, of the low bytes of the source.
export function crc32c(crc: u32, source: u64, bytes: u32): u32 {
  let result = crc
  for (let i: u32 = 0; i < bytes; i++) {
    result ^= ((source >> ((i as u64) << 3)) as u32) & 0xff
    for (let bit = 0; bit < 8; bit++) result = (result >> 1) ^ (0x82f63b78 & (0 - (result & 1)))
  }
  return result
}
