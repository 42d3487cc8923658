// Numbers of 128 bits: what the transcendental functions of the x87 compute with. Results are in Wide, and correct to the last
// bit or two.

import * as L from '../layout'
import { divideWide, mulHigh } from './arithmetic'

export namespace Wide {
  export let high: u64 = 0
  export let low: u64 = 0
}

export function setWide(high: u64, low: u64): void {
  Wide.high = high
  Wide.low = low
}

// The upper half of Wide * (high:low)
export function multiplyBy(high: u64, low: u64): void {
  const first = Wide.high * low
  const second = Wide.low * high
  let carry = mulHigh(Wide.low, low) + first
  let carries: u64 = carry < first ? 1 : 0
  carry += second
  if (carry < second) carries++
  const top = Wide.high * high
  let result = top + carries
  let up: u64 = result < top ? 1 : 0
  const firstHigh = mulHigh(Wide.high, low)
  result += firstHigh
  if (result < firstHigh) up++
  const secondHigh = mulHigh(Wide.low, high)
  result += secondHigh
  if (result < secondHigh) up++
  Wide.high = mulHigh(Wide.high, high) + up
  Wide.low = result
}

export function divideBySmall(divisor: u64): void {
  const high = Wide.high / divisor
  divideWide(Wide.low, Wide.high % divisor, divisor)
  Wide.high = high
  Wide.low = load<u64>(L.QUOTIENT)
}

// One - Wide, where one is 2^127.
export function complementToOne(): void {
  const borrow: u64 = Wide.low != 0 ? 1 : 0
  Wide.high = 0x8000000000000000 - Wide.high - borrow
  Wide.low = 0 - Wide.low
}

export function addToWide(high: u64, low: u64): void {
  Wide.low += low
  Wide.high += high + (Wide.low < low ? 1 : 0)
}

export function subtractFromWide(high: u64, low: u64): void {
  const borrow: u64 = Wide.low < low ? 1 : 0
  Wide.low -= low
  Wide.high -= high + borrow
}

export function negateWide(): void {
  Wide.high = 0 - Wide.high - (Wide.low != 0 ? 1 : 0)
  Wide.low = 0 - Wide.low
}

export function isWideBelow(high: u64, low: u64): bool {
  return Wide.high < high || (Wide.high == high && Wide.low < low)
}

export function shiftWideRight(count: i32): void {
  const by = count as u64
  if (count == 0) return
  if (count >= 128) setWide(0, 0)
  else if (count >= 64) setWide(0, Wide.high >> (by - 64))
  else setWide(Wide.high >> by, (Wide.low >> by) | (Wide.high << (64 - by)))
}

// One digit of 64 bits of a quotient: (Wide : next) / divisor, where Wide is less than the divisor, whose first bit is set. The
// remainder is left in Wide. Knuth's algorithm D: estimated by the divisor's upper half, the digit is at most two too large.
export function divideStep(next: u64, high: u64, low: u64): u64 {
  let digit: u64 = 0xffffffffffffffff
  if (Wide.high < high) {
    divideWide(Wide.low, Wide.high, high)
    digit = load<u64>(L.QUOTIENT)
  }
  const product = digit * low
  const middle = mulHigh(digit, low)
  const upper = digit * high
  const sum = middle + upper
  const top = mulHigh(digit, high) + (sum < upper ? 1 : 0)
  // Wide : next - digit * divisor, of which only the lower 128 bits remain when the digit is right.
  const restLow = next - product
  const borrow: u64 = next < product ? 1 : 0
  let over = Wide.high - top - (Wide.low < sum || (Wide.low == sum && borrow != 0) ? 1 : 0)
  setWide(Wide.low - sum - borrow, restLow)
  while ((over as i64) < 0) {
    digit--
    addToWide(high, low)
    if (isWideBelow(high, low)) over++
  }
  return digit
}

// Wide * 2^128 / (high:low), where Wide is the smaller one and the first bit of the divisor is set.
export function divideByWide(high: u64, low: u64): void {
  const first = divideStep(0, high, low)
  const second = divideStep(0, high, low)
  setWide(first, second)
}
