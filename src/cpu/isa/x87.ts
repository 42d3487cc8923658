/**
 * The x87 FPU, EMMS, FXSAVE and FXRSTOR. What an instruction computes is an algorithm of the runtime (runtime/x87-*.ts), which
 * knows the register stack; here stands what it has to do with the rest of the processor: a pending exception is raised
 * first, memory is accessed in place, and the pointers to the last instruction are kept (SDM volume 1, 8.1.8).
 */
import * as L from '../layout.ts'
import type { Value } from '../wasm/emitter.ts'
import type { Builder } from './builder.ts'
import { instruction } from './table.ts'
import { type Bytes, Vector } from './vocabulary.ts'

const ERROR_SUMMARY = 0x80
const NOT_TOP = 0xc7ff

/** An exception that an earlier instruction left pending is raised by the next one that waits. */
function wait(x: Builder): void {
  const pending = x.binary('and', x.state32(L.X87_STATUS), x.i32(ERROR_SUMMARY))
  x.if(pending, () => x.raise(Vector.mf))
}

/** Keeps the pointers to an instruction that may raise an exception; when nothing can fault any more. */
function remember(x: Builder, data?: Value): void {
  x.setState64(L.X87_IP, x.ownAddress())
  if (data) x.setState64(L.X87_DP, data)
}

function begin(x: Builder): void {
  wait(x)
  remember(x)
}

/** The memory operand of an instruction that waits; integers come as i64. */
function operand(x: Builder, address: Value, integer = false): Value {
  wait(x)
  const bytes = ((x.operandSizes[0] as number) / 8) as Bytes
  const value = x.let(x.read(address, bytes))
  remember(x, address)
  return integer ? x.let(x.signExtend(value, bytes * 8, 64)) : value
}

/** The second part of a name of a runtime function that takes a memory operand. */
function typeName(x: Builder): string {
  return x.operandSizes[0] === 32 ? 'Single' : 'Double'
}

// Without operands

for (const [name, run, ...operands] of [
  ['fchs', 'x87ChangeSign'],
  ['fabs', 'x87Absolute'],
  ['fxam', 'x87Examine'],
  ['ftst', 'x87CompareSingle', 0, 0],
  ['fsqrt', 'x87SquareRoot'],
  ['frndint', 'x87RoundToInteger'],
  ['fscale', 'x87Scale'],
  ['fxtract', 'x87Extract'],
  ['fprem', 'x87Remainder'],
  ['fprem1', 'x87RemainderNearest'],
  ['f2xm1', 'x87PowerLessOne'],
  ['fyl2x', 'x87Logarithm'],
  ['fyl2xp1', 'x87LogarithmOfSuccessor'],
  ['fptan', 'x87Tangent'],
  ['fpatan', 'x87Arctangent'],
  ['fsin', 'x87Sine'],
  ['fcos', 'x87Cosine'],
  ['fsincos', 'x87SineCosine'],
  ['fld1', 'x87LoadConstant', 0],
  ['fldl2t', 'x87LoadConstant', 1],
  ['fldl2e', 'x87LoadConstant', 2],
  ['fldpi', 'x87LoadConstant', 3],
  ['fldlg2', 'x87LoadConstant', 4],
  ['fldln2', 'x87LoadConstant', 5],
  ['fldz', 'x87LoadConstant', 6],
  ['fincstp', 'x87MoveTop', 1],
  ['fdecstp', 'x87MoveTop', 7],
  ['fcompp', 'x87Compare', 1, 0, 2],
  ['fucompp', 'x87Compare', 1, 1, 2],
] as const) {
  instruction(name, '', (x) => {
    begin(x)
    x.callVoid(run, ...operands.map((value) => x.i32(value)))
  })
}

instruction('fnop', '', (x) => begin(x))

// Arithmetic: the numbers are the reg fields of the encodings.

for (const [name, operation] of [
  ['fadd', 0],
  ['fmul', 1],
  ['fsub', 4],
  ['fsubr', 5],
  ['fdiv', 6],
  ['fdivr', 7],
] as const) {
  for (const [suffix, pop] of [
    ['', 0],
    ['p', 1],
  ] as const) {
    instruction(`${name}${suffix}`, 'n n', (x, destination, source) => {
      begin(x)
      x.callVoid('x87Arithmetic', x.i32(operation), destination, source, x.i32(pop))
    })
  }
  instruction(`${name}.mem`, 'a', (x, address) => {
    const value = operand(x, address)
    x.callVoid(`x87Arithmetic${typeName(x)}`, x.i32(operation), value)
  })
  instruction(`fi${name.slice(1)}`, 'a', (x, address) => {
    const value = operand(x, address, true)
    x.callVoid('x87ArithmeticInteger', x.i32(operation), value)
  })
}

// Comparison

for (const [name, unordered, pops] of [
  ['fcom', 0, 0],
  ['fcomp', 0, 1],
  ['fucom', 1, 0],
  ['fucomp', 1, 1],
] as const) {
  instruction(name, '- n', (x, _st, source) => {
    begin(x)
    x.callVoid('x87Compare', source, x.i32(unordered), x.i32(pops))
  })
  if (unordered) continue
  instruction(`${name}.mem`, 'a', (x, address) => {
    const value = operand(x, address)
    x.callVoid(`x87Compare${typeName(x)}`, value, x.i32(pops))
  })
  instruction(`fi${name.slice(1)}`, 'a', (x, address) => {
    const value = operand(x, address, true)
    x.callVoid('x87CompareInteger', value, x.i32(pops))
  })
}

for (const [name, unordered, pop] of [
  ['fcomi', 0, 0],
  ['fcomip', 0, 1],
  ['fucomi', 1, 0],
  ['fucomip', 1, 1],
] as const) {
  instruction(name, '- n', (x, _st, source) => {
    begin(x)
    x.flags.setLowByte(x.let(x.call('x87CompareFlags', 'i32', source, x.i32(unordered), x.i32(pop))))
    x.flags.overflow(x.i32(0))
  })
}

/** Conditions by their codes (Flags.condition). */
for (const [suffix, condition] of [
  ['b', 2],
  ['e', 4],
  ['be', 6],
  ['u', 10],
  ['nb', 3],
  ['ne', 5],
  ['nbe', 7],
  ['nu', 11],
] as const) {
  instruction(`fcmov${suffix}`, '- n', (x, _st, source) => {
    begin(x)
    x.callVoid('x87MoveIf', source, x.flags.condition(condition))
  })
}

// Registers

instruction('fld', 'n', (x, source) => {
  begin(x)
  x.callVoid('x87Load', source)
})

for (const [name, pop] of [
  ['fst', 0],
  ['fstp', 1],
] as const) {
  instruction(name, 'n', (x, destination) => {
    begin(x)
    x.callVoid('x87StoreRegister', destination, x.i32(pop))
  })
}

instruction('fstp.nce', 'n', (x, destination) => {
  begin(x)
  x.callVoid('x87StoreNonEmpty', destination)
})

instruction('fxch', '- n', (x, _st, other) => {
  begin(x)
  x.callVoid('x87Exchange', other)
})

for (const [name, pop] of [
  ['ffree', 0],
  ['ffreep', 1],
] as const) {
  instruction(name, 'n', (x, register) => {
    begin(x)
    x.callVoid('x87Free', register, x.i32(pop))
  })
}

// Loads

instruction('fld.mem', 'a', (x, address) => {
  if (x.operandSizes[0] !== 80) {
    const value = operand(x, address)
    x.callVoid(`x87Load${typeName(x)}`, value)
    return
  }
  const [low, high] = readTenBytes(x, address)
  x.callVoid('x87LoadExtended', low, high)
})

instruction('fbld', 'a', (x, address) => {
  const [low, high] = readTenBytes(x, address)
  x.callVoid('x87LoadDecimal', low, high)
})

instruction('fild', 'a', (x, address) => {
  const value = operand(x, address, true)
  x.callVoid('x87LoadInteger', value)
})

function readTenBytes(x: Builder, address: Value): [Value, Value] {
  wait(x)
  const low = x.let(x.read(address, 8))
  const high = x.let(x.read(x.let(x.binary('add', address, x.i64(8))), 2))
  remember(x, address)
  return [low, high]
}

// Stores. The runtime gives the bytes and says whether there is anything to store at all; when they are stored, it goes on.

function store(x: Builder, address: Value, pop: number, value: () => Value, bytes: Bytes): void {
  wait(x)
  const bits = x.let(value())
  whenStored(x, address, bytes, () => x.write(address, x.truncate(bits, bytes * 8), bytes))
  remember(x, address)
  x.callVoid('x87Stored', x.i32(pop))
}

function storeTenBytes(x: Builder, address: Value, run: string): void {
  wait(x)
  const low = x.let(x.call(run, 'i64'))
  const high = x.let(x.state32(L.X87_HIGH))
  whenStored(x, address, 10, () => {
    // The two parts must not lie in two pages, of which one may not be there.
    const offset = x.binary('and', x.wrap(address), x.i32(4095))
    const apart = x.let(x.compare('gt_u', offset, x.i32(4096 - 10)))
    leaveRarely(x, apart, () => x.callWithState('storeTenBytes', 'i32', address, low, high, x.accessFlags()))
    x.if(x.eqz(apart), () => {
      x.write(address, low, 8)
      x.write(x.let(x.binary('add', address, x.i64(8))), high, 2)
    })
  })
  remember(x, address)
  x.callVoid('x87Stored', x.i32(1))
}

/** Where an exception keeps the result back, the operand must be writable all the same. */
function whenStored(x: Builder, address: Value, bytes: number, write: () => void): void {
  const stores = x.let(x.state32(L.X87_STORES))
  leaveRarely(x, x.eqz(stores), () => x.callWithState('probeOperand', 'i32', address, x.i32(bytes), x.accessFlags()))
  x.if(stores, write)
}

/** A call that is hardly ever made, and gives something else than 0 when it faults. */
function leaveRarely(x: Builder, condition: Value, call: () => Value): void {
  x.rarely(condition, () => x.if(call(), () => x.fault()))
}

for (const [name, pop] of [
  ['fst', 0],
  ['fstp', 1],
] as const) {
  instruction(`${name}.mem`, 'aw', (x, address) => {
    const size = x.operandSizes[0] as number
    if (size === 80) storeTenBytes(x, address, 'x87ToExtended')
    else if (size === 64) store(x, address, pop, () => x.call('x87ToDouble', 'i64'), 8)
    else store(x, address, pop, () => x.call('x87ToSingle', 'i32'), 4)
  })
}

for (const [name, pop, truncate] of [
  ['fist', 0, 0],
  ['fistp', 1, 0],
  ['fisttp', 1, 1],
] as const) {
  instruction(name, 'aw', (x, address) => {
    const size = x.operandSizes[0] as number
    const value = () => x.call('x87ToInteger', 'i64', x.i32(size), x.i32(truncate))
    store(x, address, pop, value, (size / 8) as Bytes)
  })
}

instruction('fbstp', 'aw', (x, address) => storeTenBytes(x, address, 'x87ToDecimal'))

// Control

instruction('fwait', '', (x) => wait(x))

instruction('fninit', '', (x) => x.callVoid('x87Initialize'))
instruction('fnclex', '', (x) => x.callVoid('x87ClearExceptions'))
for (const name of ['fneni', 'fndisi', 'fnsetpm']) instruction(name, '', () => {})

instruction('fldcw', 'a', (x, address) => {
  wait(x)
  x.callVoid('x87LoadControl', x.read(address, 2))
})

instruction('fnstcw', 'w', (x) => x.state32(L.X87_CONTROL))
instruction('fnstsw', 'w', (x) => x.state32(L.X87_STATUS))

/** Fields have the width of the operand, 32 bits at most. */
for (const [name, run, use] of [
  ['fldenv', 'x87LoadEnvironment', 'a'],
  ['fnstenv', 'x87StoreEnvironment', 'aw'],
  ['frstor', 'x87Restore', 'a'],
  ['fnsave', 'x87Save', 'aw'],
] as const) {
  instruction(name, use, (x, address) => {
    // Those that store do not wait.
    if (use === 'a') wait(x)
    const failed = x.callWithState(run, 'i32', address, x.i32(x.size === 16 ? 2 : 4), x.accessFlags())
    x.if(failed, () => x.fault())
  })
}

/** All registers are empty, and register 0 is the top as after any MMX instruction. */
instruction('emms', '', (x) => {
  wait(x)
  x.setState32(L.X87_TAGS, x.i32(0))
  x.setState32(L.X87_STATUS, x.binary('and', x.state32(L.X87_STATUS), x.i32(NOT_TOP)))
})

// The whole floating-point state, and MXCSR

for (const [name, use] of [
  ['fxsave', 'aw'],
  ['fxrstor', 'a'],
] as const) {
  instruction(name, use, (x, address) => {
    const failed = x.callWithState(name, 'i32', address, x.i32(x.size === 64 ? 1 : 0), x.accessFlags())
    x.if(failed, () => x.fault())
  })
}

/** Bits that MXCSR has not. */
const MXCSR_RESERVED = 0xffff_0000

for (const name of ['ldmxcsr', 'vldmxcsr']) {
  instruction(name, 'r', (x, value) => {
    x.if(x.binary('and', value, x.i32(MXCSR_RESERVED)), () => x.raise(Vector.gp, 0))
    x.setState32(L.MXCSR, value)
    x.callVoid('mxcsrChanged')
  })
}

for (const name of ['stmxcsr', 'vstmxcsr']) instruction(name, 'w', (x) => x.state32(L.MXCSR))
