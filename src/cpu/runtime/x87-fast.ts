// What nearly all x87 instructions of a program come to: operands that are normal numbers, rounding to nearest, every exception
// masked. Then neither kinds nor flags have to be looked at, and all of it stays in locals: an addition takes a third of the time
// that the general way takes (x87-arithmetic.ts, x87-transfer.ts), which does what is left undone here and gives the same.

import * as L from '../layout'
import { divideWide, mulHigh, root } from './arithmetic'
import { Control, clearStatus, PE, Status, TOP } from './softfloat'
import { C0, C1, C3, TOP_MASK, TOP_SHIFT } from './x87-state'

const BIAS: i32 = 16383
const EXPONENT: u32 = 0x7fff
const SIGN: u32 = 0x8000
// Rounding control, precision control and the masks; with them 64 and 53 bits to nearest.
const CONTROLS: u32 = 0xf3f
const EXTENDED_NEAREST: u32 = 0x33f
const DOUBLE_NEAREST: u32 = 0x23f
const DOUBLE_UNIT: u64 = 0x800

// The last place of a significand under the control word, or 0 when that asks for something else.
function unit(): u64 {
  const control = load<u32>(L.X87_CONTROL) & CONTROLS
  if (control == EXTENDED_NEAREST) return 1
  return control == DOUBLE_NEAREST ? DOUBLE_UNIT : 0
}

// Neither zero or denormal, nor infinite or NaN, nor an unsupported encoding.
function isNormal(significand: u64, high: u32): bool {
  return (high & EXPONENT) - 1 < EXPONENT - 1 && (significand as i64) < 0
}

// Physical number of ST(i) when it is not empty, else 8.
function filled(i: u32): u32 {
  const register = ((load<u32>(L.X87_STATUS) >> TOP_SHIFT) + i) & 7
  return ((load<u32>(L.X87_TAGS) >> register) & 1) != 0 ? register : 8
}

// ST(destination) = ST(destination) operation ST(source), see x87Arithmetic; false when nothing was done.
export function tryRegisters(operation: u32, destination: u32, source: u32, pop: u32): bool {
  const register = filled(source)
  if (register == 8) return false
  const address = L.X87 + register * L.X87_SIZE
  return tryOperand(operation, destination, load<u64>(address), load<u16>(address, L.X87_EXPONENT), pop)
}

// ST(0) = ST(0) operation an f64
export function tryDouble(operation: u32, bits: u64): bool {
  const biased = ((bits >> 52) as u32) & 0x7ff
  if (biased - 1 >= 0x7fe) return false
  const high = (((bits >> 48) as u32) & SIGN) | (biased + (BIAS - 1023))
  return tryOperand(operation, 0, (bits << 11) | TOP, high, 0)
}

// ... or an f32
export function trySingle(operation: u32, bits: u32): bool {
  const biased = (bits >> 23) & 0xff
  if (biased - 1 >= 0xfe) return false
  const high = ((bits >> 16) & SIGN) | (biased + (BIAS - 127))
  return tryOperand(operation, 0, ((bits as u64) << 40) | TOP, high, 0)
}

// ST(destination) = ST(destination) operation b
function tryOperand(operation: u32, destination: u32, b: u64, bHigh: u32, pop: u32): bool {
  const last = unit()
  const register = filled(destination)
  if (last == 0 || register == 8 || !isNormal(b, bHigh)) return false
  const address = L.X87 + register * L.X87_SIZE
  const a = load<u64>(address)
  const aHigh = load<u16>(address, L.X87_EXPONENT) as u32
  if (!isNormal(a, aHigh)) return false
  let done: bool
  if (operation == 0) done = add(address, last, a, aHigh, b, bHigh)
  else if (operation == 1) done = multiply(address, last, a, aHigh, b, bHigh)
  else if (operation == 4) done = add(address, last, a, aHigh, b, bHigh ^ SIGN)
  else if (operation == 5) done = add(address, last, a, aHigh ^ SIGN, b, bHigh)
  else if (operation == 6) done = divide(address, last, a, aHigh, b, bHigh)
  else done = divide(address, last, b, bHigh, a, aHigh)
  if (done && pop != 0) dropTop()
  return done
}

function add(address: u32, last: u64, a: u64, aHigh: u32, b: u64, bHigh: u32): bool {
  let exponent = aHigh & EXPONENT
  let distance = (exponent - (bHigh & EXPONENT)) as i32
  let large = a
  let small = b
  let sign = aHigh & SIGN
  if (distance < 0 || (distance == 0 && a < b)) {
    exponent = bHigh & EXPONENT
    distance = -distance
    large = b
    small = a
    sign = bHigh & SIGN
  }
  if (distance > 63) return false
  let rest: u64 = 0
  if (distance != 0) {
    rest = small << (64 - (distance as u64))
    small >>= distance as u64
  }
  if (((aHigh ^ bHigh) & SIGN) == 0) {
    const sum = large + small
    if (sum >= small) return finish(address, last, sum, rest, exponent as i32, sign)
    return finish(address, last, (sum >> 1) | TOP, (sum << 63) | (rest >> 1) | (rest & 1), (exponent as i32) + 1, sign)
  }
  const difference = large - small - (rest != 0 ? 1 : 0)
  if (difference == 0) return false
  rest = 0 - rest
  const shift = clz(difference)
  if (shift == 0) return finish(address, last, difference, rest, exponent as i32, sign)
  const moved = (difference << shift) | (rest >> (64 - shift))
  return finish(address, last, moved, rest << shift, (exponent as i32) - (shift as i32), sign)
}

function multiply(address: u32, last: u64, a: u64, aHigh: u32, b: u64, bHigh: u32): bool {
  const exponent = ((aHigh & EXPONENT) + (bHigh & EXPONENT)) as i32
  const sign = (aHigh ^ bHigh) & SIGN
  const high = mulHigh(a, b)
  const low = a * b
  if ((high as i64) < 0) return finish(address, last, high, low, exponent - BIAS + 1, sign)
  return finish(address, last, (high << 1) | (low >> 63), low << 1, exponent - BIAS, sign)
}

function divide(address: u32, last: u64, a: u64, aHigh: u32, b: u64, bHigh: u32): bool {
  let exponent = (((aHigh & EXPONENT) - (bHigh & EXPONENT)) as i32) + BIAS
  if (a < b) {
    divideWide(0, a, b)
    exponent--
  } else divideWide(a << 63, a >> 1, b)
  // A quotient never lies in the middle between two numbers.
  const rest = load<u64>(L.REMAINDER)
  const above = rest > b - rest ? TOP : 0
  return finish(address, last, load<u64>(L.QUOTIENT), rest == 0 ? 0 : above | 1, exponent, (aHigh ^ bHigh) & SIGN)
}

// FSQRT
export function trySquareRoot(): bool {
  const last = unit()
  const register = filled(0)
  if (last == 0 || register == 8) return false
  const address = L.X87 + register * L.X87_SIZE
  const significand = load<u64>(address)
  const high = load<u16>(address, L.X87_EXPONENT) as u32
  if (!isNormal(significand, high) || (high & SIGN) != 0) return false
  // Of two exponents that differ by one the root has the same: the bias is odd.
  const odd = (high & 1) == 0
  const rest = root(odd ? significand : significand >> 1, odd ? 0 : significand << 63)
  return finish(address, last, load<u64>(L.QUOTIENT), rest, ((high as i32) + BIAS) >> 1, 0)
}

export const UNUSUAL: u32 = 0xffffffff

// ST(0) compared with ST(source): C0, C2 and C3, or UNUSUAL.
export function tryCompare(source: u32): u32 {
  const first = filled(0)
  const second = filled(source)
  if (first == 8 || second == 8) return UNUSUAL
  const aAddress = L.X87 + first * L.X87_SIZE
  const bAddress = L.X87 + second * L.X87_SIZE
  const a = load<u64>(aAddress)
  const b = load<u64>(bAddress)
  const aHigh = load<u16>(aAddress, L.X87_EXPONENT) as u32
  const bHigh = load<u16>(bAddress, L.X87_EXPONENT) as u32
  if (!isNormal(a, aHigh) || !isNormal(b, bHigh)) return UNUSUAL
  if (((aHigh ^ bHigh) & SIGN) != 0) return (aHigh & SIGN) != 0 ? C0 : 0
  if (aHigh == bHigh && a == b) return C3
  const below = aHigh == bHigh ? a < b : aHigh < bHigh
  return below != ((aHigh & SIGN) != 0) ? C0 : 0
}

// Rounds significand:rest to the last place and stores it; not when the exponent would leave the range of normal numbers.
function finish(address: u32, last: u64, significand: u64, rest: u64, exponent: i32, sign: u32): bool {
  if (last != 1) {
    rest = (significand << 53) | (rest != 0 ? 1 : 0)
    significand &= 0 - last
  }
  let status = load<u32>(L.X87_STATUS) & ~C1
  if (rest != 0) {
    status |= PE
    if (rest > TOP || (rest == TOP && (significand & last) != 0)) {
      status |= C1
      significand += last
      if (significand < last) {
        significand = TOP
        exponent++
      }
    }
  }
  if ((exponent as u32) - 1 >= EXPONENT - 1) return false
  store<u64>(address, significand)
  store<u16>(address, (exponent as u32) | sign, L.X87_EXPONENT)
  store<u32>(L.X87_STATUS, status)
  return true
}

function dropTop(): void {
  const status = load<u32>(L.X87_STATUS)
  const top = (status >> TOP_SHIFT) & 7
  store<u32>(L.X87_TAGS, load<u32>(L.X87_TAGS) & ~((1 as u32) << top))
  store<u32>(L.X87_STATUS, (status & ~TOP_MASK) | ((status + (1 << TOP_SHIFT)) & TOP_MASK))
}

// FLD m64
export function tryLoadDouble(bits: u64): bool {
  const biased = ((bits >> 52) as u32) & 0x7ff
  if (biased - 1 >= 0x7fe) return false
  return tryPush((bits << 11) | TOP, (((bits >> 48) as u32) & SIGN) | (biased + (BIAS - 1023)))
}

// FLD m32
export function tryLoadSingle(bits: u32): bool {
  const biased = (bits >> 23) & 0xff
  if (biased - 1 >= 0xfe) return false
  return tryPush(((bits as u64) << 40) | TOP, ((bits >> 16) & SIGN) | (biased + (BIAS - 127)))
}

// FILD
export function tryLoadInteger(value: i64): bool {
  if (value == 0) return false
  const magnitude: u64 = value < 0 ? 0 - (value as u64) : (value as u64)
  const shift = clz(magnitude)
  return tryPush(magnitude << shift, (value < 0 ? SIGN : 0) | ((BIAS + 63 - (shift as i32)) as u32))
}

function tryPush(significand: u64, high: u32): bool {
  const status = load<u32>(L.X87_STATUS) & ~C1
  const register = ((status >> TOP_SHIFT) - 1) & 7
  const tags = load<u32>(L.X87_TAGS)
  if (((tags >> register) & 1) != 0) return false
  const address = L.X87 + register * L.X87_SIZE
  store<u64>(address, significand)
  store<u16>(address, high, L.X87_EXPONENT)
  store<u32>(L.X87_TAGS, tags | ((1 as u32) << register))
  store<u32>(L.X87_STATUS, (status & ~TOP_MASK) | (register << TOP_SHIFT))
  return true
}

// ST(0) as an f64 for FST m64, or 0 when nothing was done; what x87Stored() then looks at is set.
export function tryToDouble(): u64 {
  const register = filled(0)
  if (register == 8 || unit() == 0) return 0
  const address = L.X87 + register * L.X87_SIZE
  const significand = load<u64>(address)
  const high = load<u16>(address, L.X87_EXPONENT) as u32
  const biased = (high & EXPONENT) - (BIAS - 1023)
  // Rounding up may carry into the exponent, but not out of it.
  if (biased - 1 >= 0x7fd || (significand as i64) >= 0) return 0
  const rest = significand << 53
  const fraction = (significand << 1) >> 12
  const up = rest > TOP || (rest == TOP && (fraction & 1) != 0)
  clearStatus()
  Control.unmasked = 0
  if (rest != 0) Status.flags = PE
  Status.roundedUp = up
  store<u32>(L.X87_STORES, 1)
  const sign = ((high & SIGN) as u64) << 48
  return sign | (((biased as u64) << 52) + fraction + (up ? 1 : 0))
}
