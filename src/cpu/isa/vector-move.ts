/** Moves between vector registers, memory and general registers. */
import { OperandKind } from '../decoder/instruction.ts'
import type { Value } from '../wasm/emitter.ts'
import type { Builder } from './builder.ts'
import { bitsSet, element, pick, shapeOf, type Width, withElement } from './element.ts'
import { instruction } from './table.ts'

/** Whole registers: the destination is as wide as the source. */
for (const [name, aligned] of [
  ['movups', false],
  ['movupd', false],
  ['movdqu', false],
  ['lddqu', false],
  ['movaps', true],
  ['movapd', true],
  ['movdqa', true],
  ['movntps', true],
  ['movntpd', true],
  ['movntdq', true],
  ['movntdqa', true],
] as const) {
  instruction(name, 'w r', (_x, _dst, value) => value, { aligned })
  instruction(`v${name}`, 'w r', (_x, _dst, value) => value, { aligned, lanes: true })
}

// One element. What goes to a vector register clears the rest, but between XMM registers only MOVQ does

/** A dword or qword between general registers, memory, MMX and XMM registers. */
function moveElement(x: Builder, width: 4 | 8, value: Value): Value {
  const shape = shapeOf(width)
  const from = x.kindOf(1)
  if (from === OperandKind.gpr) return x.withLane(shape, x.v128(0n), 0, value)
  if (x.kindOf(0) === OperandKind.gpr) return x.lane(shape, value, 0)
  return from === OperandKind.xmm && x.kindOf(0) === OperandKind.xmm ? pick(x, 8, value, x.v128(0n), [0, 2]) : value
}
for (const name of ['movd', 'vmovd']) instruction(name, 'w r', (x, _dst, value) => moveElement(x, 4, value))
for (const name of ['movq', 'vmovq']) instruction(name, 'w r', (x, _dst, value) => moveElement(x, 8, value))
for (const name of ['movntq', 'movq2dq', 'movdq2q']) instruction(name, 'w r', (_x, _dst, value) => value)

for (const [name, width] of [
  ['movss', 4],
  ['movsd', 8],
] as const) {
  instruction(name, 'w r', (x, _dst, value) => {
    const isMove = x.kindOf(0) === OperandKind.mem || x.kindOf(1) === OperandKind.mem
    return isMove ? value : withLowest(x, width, x.current(0), value)
  })
  instruction(`v${name}`, 'w r r', (x, _dst, a, b?: Value) => (b ? withLowest(x, width, a, b) : a))
}

/** a with the lowest element of b. */
function withLowest(x: Builder, width: 4 | 8, a: Value, b: Value): Value {
  return pick(x, width, b, a, width === 4 ? [0, 5, 6, 7] : [0, 3])
}

// Halves of XMM registers

for (const suffix of ['ps', 'pd']) {
  instruction(`movl${suffix}`, 'w i64', (_x, _dst, value) => value)
  instruction(`vmovl${suffix}`, 'w r r', (x, _dst, a, b?: Value) => (b ? withLowest(x, 8, a, b) : a))
  instruction(`movh${suffix}`, 'w r', (x, _dst, value) => {
    const isStore = x.kindOf(0) === OperandKind.mem
    return isStore ? x.lane('i64x2', value, 1) : pick(x, 8, x.current(0), value, [0, 2])
  })
  instruction(`vmovh${suffix}`, 'w r r', (x, _dst, a, b?: Value) => {
    return b ? pick(x, 8, a, b, [0, 2]) : x.lane('i64x2', a, 1)
  })
}
instruction('movlhps', 'rw r', (x, a, b) => pick(x, 8, a, b, [0, 2]))
instruction('vmovlhps', 'w r r', (x, _dst, a, b) => pick(x, 8, a, b, [0, 2]))
instruction('movhlps', 'rw r', (x, a, b) => pick(x, 8, b, a, [1, 3]))
instruction('vmovhlps', 'w r r', (x, _dst, a, b) => pick(x, 8, b, a, [1, 3]))

// Signs as bits of a general register

for (const [name, shape, count] of [
  ['movmskps', 'i32x4', 4],
  ['movmskpd', 'i64x2', 2],
  ['pmovmskb', 'i8x16', 16],
] as const) {
  const signs = (x: Builder, a: Value) => x.apply(`${shape}.bitmask`, 'i32', a)
  instruction(name, 'w r', (x, _dst, a) => signs(x, a))
  instruction(`v${name}`, 'w r', (x, _dst, a) => {
    if (x.vectorSize !== 256) return signs(x, a)
    return x.binary('or', signs(x, a), x.binary('shl', signs(x, x.high(1)), x.i32(count)))
  })
}

// An element whose number is an immediate

/** MMX registers have half as many elements. */
function numberIn(x: Builder, index: Value): Value {
  return x.vectorSize === 64 ? x.binary('and', index, x.i32(3)) : index
}

for (const [name, width] of [
  ['pextrb', 1],
  ['pextrw', 2],
  ['pextrd', 4],
  ['pextrq', 8],
  ['extractps', 4],
] as const) {
  for (const prefix of ['', 'v']) {
    instruction(prefix + name, 'w r r', (x, _dst, a, index) => element(x, width, a, numberIn(x, index)))
  }
}

for (const [name, width] of [
  ['pinsrb', 1],
  ['pinsrw', 2],
  ['pinsrd', 4],
  ['pinsrq', 8],
] as const) {
  const insert = (x: Builder, a: Value, value: Value, index: Value) => {
    const narrow = value.type === 'i64' && width < 8 ? x.wrap(value) : value
    return withElement(x, width, a, numberIn(x, index), narrow)
  }
  instruction(name, 'rw int r', insert)
  instruction(`v${name}`, 'w r int r', (x, _dst, a, value, index) => insert(x, a, value, index))
}

/** INSERTPS: which element of a register (memory has one only), where to, and which become 0. */
function insertSingle(x: Builder, a: Value, b: Value, control: Value, source: number): Value {
  const field = (shift: number) => x.binary('shr_u', control, x.i32(shift))
  const value = x.kindOf(source) === OperandKind.mem ? x.lane('i32x4', b, 0) : element(x, 4, b, field(6))
  const inserted = withElement(x, 4, a, field(4), value)
  if (control.constant !== undefined && (control.constant & 15n) === 0n) return inserted
  return x.simd('v128.andnot', inserted, bitsSet(x, 4, control))
}
instruction('insertps', 'rw r r', (x, a, b, control) => insertSingle(x, a, b, control, 1))
instruction('vinsertps', 'w r r r', (x, _dst, a, b, control) => insertSingle(x, a, b, control, 2))

// Halves of YMM registers

for (const letter of ['f', 'i']) {
  instruction(`vinsert${letter}128`, 'w r r r', (x, _dst, a, b, index) => {
    const high = x.high(1)
    const isHigh = x.let(x.binary('and', index, x.i32(1)))
    x.setHigh(x.select(isHigh, b, high))
    return x.select(isHigh, a, b)
  })
  instruction(`vextract${letter}128`, 'w r r', (x, _dst, a, index) => {
    return x.select(x.binary('and', index, x.i32(1)), x.high(1), a)
  })
  instruction(`vbroadcast${letter}128`, 'w r', (x, _dst, a) => {
    x.setHigh(a)
    return a
  })
}

for (const [name, width] of [
  ['vbroadcastss', 4],
  ['vbroadcastsd', 8],
  ['vpbroadcastb', 1],
  ['vpbroadcastw', 2],
  ['vpbroadcastd', 4],
  ['vpbroadcastq', 8],
] as const satisfies readonly (readonly [string, Width])[]) {
  instruction(name, 'w r', (x, _dst, a) => {
    const everywhere = x.let(pick(x, width, a, a, Array(16 / width).fill(0)))
    if (x.vectorSize === 256) x.setHigh(everywhere)
    return everywhere
  })
}

// Clearing of upper halves, or all, of the registers that the mode has

for (const [name, halves] of [
  ['vzeroupper', [1]],
  ['vzeroall', [0, 1]],
] as const) {
  instruction(
    name,
    '',
    (x) => {
      const count = x.codeKind === 'long' ? 16 : 8
      for (let register = 0; register < count; register++) {
        for (const half of halves) x.setVectorHalf(register, half, x.v128(0n))
      }
    },
    { modal: 'address' },
  )
}
