// x87 arithmetic and comparison: what the instructions of D8, DA, DC and DE do, and the simple functions of D9.

import * as L from '../layout'
import {
  A,
  asSecond,
  B,
  Control,
  FINITE,
  IE,
  INFINITE,
  invalid,
  pack80High,
  QUIET,
  QUIET_BIT,
  raisedFlags,
  SIGNALLING,
  Status,
  setFinite,
  setInfinite,
  setInteger,
  setZero,
  swapOperands,
  takeSecond,
  UNSUPPORTED,
  unpack32,
  unpack64,
  ZE,
  ZERO,
} from './softfloat'
import { add, divide, multiply, squareRoot, subtract } from './softfloat-arithmetic'
import { compare, EQUAL, LESS, roundToInteger } from './softfloat-convert'
import { tryCompare, tryDouble, tryRegisters, trySingle, trySquareRoot, UNUSUAL } from './x87-fast'
import {
  addressOf,
  begin,
  C0,
  C1,
  C2,
  C3,
  clearC1,
  isEmpty,
  popStack,
  raise,
  roundExtended,
  roundToControl,
  STACK_FAULT,
  setConditions,
  settle,
  settleInto,
  settlePair,
  stackOverflow,
  stackUnderflow,
  statusWord,
  unpackRegister,
  unpackSecond,
} from './x87-state'

// Operations, by the reg field of their encodings.
const ADD: u32 = 0
const MULTIPLY: u32 = 1
// Odd ones from here on have their operands the other way round.
const SUBTRACT_REVERSED: u32 = 5

// NaNs

export function quiet(): void {
  Status.denormal = 0
  A.significand |= QUIET_BIT
  A.kind = QUIET
}

// Whether the only operand decides the result without being a number.
export function isNan(): bool {
  if (A.kind < QUIET) return false
  Status.denormal = 0
  if (A.kind == UNSUPPORTED) invalid()
  else {
    if (A.kind == SIGNALLING) Status.flags |= IE
    quiet()
  }
  return true
}

// The same for two operands. Of two NaNs the quiet one is the result, else the one with the larger significand, else the
// positive one (SDM volume 1, table 4-7).
export function anyNan(): bool {
  if (A.kind < QUIET && B.kind < QUIET) return false
  Status.denormal = 0
  if (A.kind == UNSUPPORTED || B.kind == UNSUPPORTED) {
    invalid()
    return true
  }
  if (A.kind == SIGNALLING || B.kind == SIGNALLING) Status.flags |= IE
  if (secondNanWins()) takeSecond()
  quiet()
  return true
}

function secondNanWins(): bool {
  if (A.kind < QUIET || B.kind < QUIET) return A.kind < QUIET
  if (A.kind != B.kind) return B.kind == QUIET
  if (A.significand != B.significand) return B.significand > A.significand
  return B.sign < A.sign
}

// Binary operations

function operate(operation: u32): void {
  if (anyNan()) return
  if (operation == ADD) add()
  else if (operation == MULTIPLY) multiply()
  else {
    if ((operation & 1) != 0) swapOperands()
    if (operation <= SUBTRACT_REVERSED) subtract()
    else divide()
  }
  roundToControl()
}

// ST(destination) = ST(destination) operation ST(source)
export function x87Arithmetic(operation: u32, destination: u32, source: u32, pop: u32): void {
  if (tryRegisters(operation, destination, source, pop)) return
  begin()
  if (isEmpty(destination) || isEmpty(source)) stackUnderflow()
  else {
    unpackSecond(source)
    unpackRegister(destination)
    operate(operation)
  }
  settleInto(destination, pop)
}

// ST(0) = ST(0) operation A
function withOperand(operation: u32): void {
  if (isEmpty(0)) stackUnderflow()
  else {
    asSecond()
    unpackRegister(0)
    operate(operation)
  }
  settleInto(0, 0)
}

export function x87ArithmeticSingle(operation: u32, operand: u32): void {
  if (trySingle(operation, operand)) return
  begin()
  unpack32(operand)
  withOperand(operation)
}

export function x87ArithmeticDouble(operation: u32, operand: u64): void {
  if (tryDouble(operation, operand)) return
  begin()
  unpack64(operand)
  withOperand(operation)
}

export function x87ArithmeticInteger(operation: u32, operand: i64): void {
  begin()
  setInteger(operand)
  withOperand(operation)
}

// Comparison

const UNORDERED_CONDITIONS: u32 = C0 | C2 | C3

// A quiet NaN is invalid, too, unless `unordered`: FUCOM and kin.
function order(unordered: u32): u32 {
  if (A.kind >= QUIET || B.kind >= QUIET) {
    Status.denormal = 0
    if (unordered == 0 || A.kind > QUIET || B.kind > QUIET) Status.flags |= IE
    return UNORDERED_CONDITIONS
  }
  const result = compare()
  if (result == EQUAL) return C3
  return result == LESS ? C0 : 0
}

// The conditions are set whether or not an exception stops the instruction.
function settleConditions(conditions: u32, pops: u32): void {
  setConditions(conditions)
  if (settle()) popTimes(pops)
}

// ST(0) with ST(source); the conditions that it comes to.
function orderWith(source: u32, unordered: u32): u32 {
  if (isEmpty(0) || isEmpty(source)) {
    stackUnderflow()
    return UNORDERED_CONDITIONS
  }
  unpackSecond(source)
  unpackRegister(0)
  return order(unordered)
}

export function x87Compare(source: u32, unordered: u32, pops: u32): void {
  const usual = tryCompare(source)
  if (usual == UNUSUAL) {
    begin()
    settleConditions(orderWith(source, unordered), pops)
    return
  }
  setConditions(usual)
  popTimes(pops)
}

function popTimes(pops: u32): void {
  for (let i: u32 = 0; i < pops; i++) popStack()
}

function compareWithOperand(pops: u32): void {
  let conditions = UNORDERED_CONDITIONS
  if (isEmpty(0)) stackUnderflow()
  else {
    asSecond()
    unpackRegister(0)
    conditions = order(0)
  }
  settleConditions(conditions, pops)
}

export function x87CompareSingle(operand: u32, pops: u32): void {
  begin()
  unpack32(operand)
  compareWithOperand(pops)
}

export function x87CompareDouble(operand: u64, pops: u32): void {
  begin()
  unpack64(operand)
  compareWithOperand(pops)
}

export function x87CompareInteger(operand: i64, pops: u32): void {
  begin()
  setInteger(operand)
  compareWithOperand(pops)
}

// FCOMI and kin: ZF, PF and CF where EFLAGS has them. C1 stays as it is, unless there is a stack fault.
export function x87CompareFlags(source: u32, unordered: u32, pop: u32): u32 {
  const usual = tryCompare(source)
  if (usual != UNUSUAL) {
    if (pop != 0) popStack()
    return usual >> 8
  }
  begin()
  const conditions = orderWith(source, unordered)
  const flags = raisedFlags()
  raise(flags, (flags & STACK_FAULT) == 0 && (statusWord() & C1) != 0)
  if (pop != 0 && (flags & Control.unmasked) == 0) popStack()
  // C0, C2 and C3 are CF, PF and ZF moved up by a byte.
  return conditions >> 8
}

// FXAM looks at anything, and nothing is an exception.
export function x87Examine(): void {
  begin()
  unpackRegister(0)
  let conditions: u32 = 0
  if (isEmpty(0)) conditions = C3 | C0
  else if (A.kind == ZERO) conditions = C3
  else if (A.kind == FINITE) conditions = Status.denormal != 0 ? C3 | C2 : C2
  else if (A.kind == INFINITE) conditions = C2 | C0
  else if (A.kind != UNSUPPORTED) conditions = C0
  setConditions(conditions | (A.sign != 0 ? C1 : 0))
}

// Functions of ST(0)

export function x87ChangeSign(): void {
  changeSign(0x8000, 0)
}

export function x87Absolute(): void {
  changeSign(0, 0x8000)
}

function changeSign(flip: u32, clear: u32): void {
  if (isEmpty(0)) {
    begin()
    stackUnderflow()
    settleInto(0, 0)
    return
  }
  const high = addressOf(0) + L.X87_EXPONENT
  store<u16>(high, (load<u16>(high) ^ flip) & ~clear)
  clearC1()
}

// Takes ST(0) apart; whether it is a number.
function takeNumber(): bool {
  begin()
  if (isEmpty(0)) {
    stackUnderflow()
    return false
  }
  unpackRegister(0)
  return !isNan()
}

export function x87SquareRoot(): void {
  if (trySquareRoot()) return
  if (takeNumber()) {
    squareRoot()
    roundToControl()
  }
  settleInto(0, 0)
}

export function x87RoundToInteger(): void {
  if (takeNumber()) roundToInteger(Control.rounding)
  settleInto(0, 0)
}

// FXTRACT: the exponent takes the place of ST(0), the significand is pushed.
export function x87Extract(): void {
  let number = takeNumber()
  if (!isEmpty(0) && !isEmpty(7)) {
    stackOverflow()
    number = false
  }
  const sign = A.sign
  const kind = A.kind
  const significand = A.significand
  if (number) extractExponent()
  const exponent = A.significand
  const high = pack80High()
  if (number) {
    if (kind == FINITE) setFinite(sign, 0, significand)
    else if (kind == ZERO) setZero(sign)
    else setInfinite(sign)
  }
  settlePair(exponent, high)
}

function extractExponent(): void {
  if (A.kind == ZERO) {
    Status.flags |= ZE
    setInfinite(1)
  } else if (A.kind == INFINITE) setInfinite(0)
  else setInteger(A.exponent as i64)
}

// FSCALE: ST(0) * 2^ST(1), ST(1) chopped to an integer.
export function x87Scale(): void {
  begin()
  if (isEmpty(0) || isEmpty(1)) stackUnderflow()
  else {
    unpackSecond(1)
    unpackRegister(0)
    if (!anyNan()) scale()
  }
  settleInto(0, 0)
}

function scale(): void {
  if (B.kind == INFINITE) {
    if (B.sign == 0) {
      if (A.kind == ZERO) invalid()
      else setInfinite(A.sign)
    } else if (A.kind == INFINITE) invalid()
    else setZero(A.sign)
    return
  }
  if (A.kind != FINITE || B.kind == ZERO || B.exponent < 0) {
    roundExtended()
    return
  }
  // Farther than 2^16 there is nothing but overflow and underflow.
  const distance = B.exponent > 15 ? 0x10000 : ((B.significand >> (63 - (B.exponent as u64))) as i32)
  A.exponent += B.sign != 0 ? -distance : distance
  roundExtended()
}
