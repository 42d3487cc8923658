/**
 * SSE, AVX, FMA and F16C floating point in both engines against the software (runtime/softfloat-sse.ts), which
 * test/cpu-softfloat.test.ts compares with exact arithmetic: the two ways that each instruction has give the same results and
 * the same flags.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as L from '../src/cpu/layout.ts'
import { runtimeModule } from '../src/cpu/modules.ts'
import { Random } from './fuzz/random.ts'
import { DOUBLE, type Format, SINGLE } from './support/exact-float.ts'
import { ordinary, related, special } from './support/float-operands.ts'
import { EXIT_HLT, LongMode, le32 } from './support/long-mode.ts'
import { TRANSLATORS } from './support/translators.ts'

const CASES = 400
/** Operands, 32 bytes each, and MXCSR. */
const A = 0x10000
const B = 0x14000
const C = 0x18000
const CONTROL = 0x1c000
const VECTORS = 0x20000
const NUMBERS = 0x24000
const STATUS = 0x28000
const CR4 = 0x406a0n

// The software

const memory = new WebAssembly.Memory({ initial: 1 })
const state = new DataView(memory.buffer)
const { exports } = new WebAssembly.Instance(runtimeModule(), { env: { memory } })

type Number_ = bigint | number

/** Calls a runtime function; operands of 64 bits are bigints. Flags gather in FLOAT_FLAGS. */
function call(name: string, bits: number, ...operands: Number_[]): bigint {
  return BigInt.asUintN(bits, BigInt((exports[name] as (...operands: Number_[]) => Number_)(...operands)))
}

const raw = (element: bigint, bits: number): Number_ => (bits === 64 ? element : Number(element))

// Instructions

interface Result {
  readonly vector?: bigint
  readonly number?: bigint
}

interface Instruction {
  readonly name: string
  /** With (X|Y)MM0 as destination and first operand, (X|Y)MM1 and 2 as the others, RAX as general register. */
  readonly code: readonly number[]
  readonly format: Format
  /** Operands and results as 256 bits. */
  readonly expected: (a: bigint, b: bigint, c: bigint) => Result
}

function elements(vector: bigint, bits: number, count: number): bigint[] {
  return Array.from({ length: count }, (_, n) => BigInt.asUintN(bits, vector >> BigInt(n * bits)))
}

function join(values: readonly bigint[], bits: number): bigint {
  return values.reduce((all, value, n) => all | (value << BigInt(n * bits)), 0n)
}

/** Replaces the low bits. */
function under(low: bigint, bits: number, above: bigint): bigint {
  return ((above >> BigInt(bits)) << BigInt(bits)) | low
}

const LOW_128 = (1n << 128n) - 1n

type Shape = { readonly letters: string; readonly format: Format; readonly isPacked: boolean; readonly prefix: number }
const SHAPES: readonly Shape[] = [
  { letters: 'ps', format: SINGLE, isPacked: true, prefix: 0 },
  { letters: 'pd', format: DOUBLE, isPacked: true, prefix: 0x66 },
  { letters: 'ss', format: SINGLE, isPacked: false, prefix: 0xf3 },
  { letters: 'sd', format: DOUBLE, isPacked: false, prefix: 0xf2 },
]
const VEX_PREFIX: Readonly<Record<number, number>> = { 0: 0, 102: 1, 243: 2, 242: 3 }

const sse = (prefix: number, ...bytes: number[]): number[] => [...(prefix ? [prefix] : []), 0x0f, ...bytes]
/** VEX.0F with the first operand in VEX.vvvv, or without it. */
const vex = (prefix: number, wide: boolean, ...bytes: number[]): number[] => [
  0xc5,
  0xf8 | (wide ? 4 : 0) | (VEX_PREFIX[prefix] as number),
  ...bytes,
]
/** VEX.66.0F38 or VEX.66.0F3A. */
const vex66 = (map: 2 | 3, w: 0 | 1, wide: boolean, vvvv: number, ...bytes: number[]): number[] => [
  0xc4,
  0xe0 | map,
  (w << 7) | ((15 - vvvv) << 3) | (wide ? 4 : 0) | 1,
  ...bytes,
]

type Elementwise = (bits: number, a: bigint, b: bigint, c: bigint, index: number) => bigint

function elementwise(format: Format, count: number, operation: Elementwise, a: bigint, b: bigint, c: bigint): bigint {
  const { bits } = format
  const [x, y, z] = [a, b, c].map((vector) => elements(vector, bits, count)) as [bigint[], bigint[], bigint[]]
  return join(
    x.map((_, n) => operation(bits, x[n] as bigint, y[n] as bigint, z[n] as bigint, n)),
    bits,
  )
}

/** The SSE form and the widest AVX form of an operation; the latter clears the bits above its own. */
function forms(
  shape: Shape,
  name: string,
  opcode: readonly number[],
  operation: Elementwise,
  immediate: readonly number[] = [],
): Instruction[] {
  const { letters, format, isPacked, prefix } = shape
  const low = isPacked ? 128 : format.bits
  const run = (width: number, a: bigint, b: bigint, c: bigint): bigint =>
    elementwise(format, width / format.bits, operation, a, b, c)
  return [
    {
      name: `${name}${letters}`,
      code: [...sse(prefix, ...opcode, 0xc1), ...immediate],
      format,
      expected: (a, b, c) => ({ vector: under(run(low, a, b, c), low, a) }),
    },
    {
      name: `v${name}${letters}`,
      code: [...vex(prefix, isPacked, ...opcode, 0xc1), ...immediate],
      format,
      expected: (a, b, c) => ({ vector: isPacked ? run(256, a, b, c) : under(run(low, a, b, c), low, a & LOW_128) }),
    },
  ]
}

const INSTRUCTIONS: Instruction[] = []

const software =
  (name: string): Elementwise =>
  (bits, a, b) =>
    call(`${name}${bits}`, bits, raw(a, bits), raw(b, bits))

for (const shape of SHAPES) {
  for (const [opcode, name, runtime] of [
    [0x58, 'add', 'sseAdd'],
    [0x59, 'mul', 'sseMul'],
    [0x5c, 'sub', 'sseSub'],
    [0x5d, 'min', 'sseMin'],
    [0x5e, 'div', 'sseDiv'],
    [0x5f, 'max', 'sseMax'],
  ] as const) {
    INSTRUCTIONS.push(...forms(shape, name, [opcode], software(runtime)))
  }
  INSTRUCTIONS.push(...forms(shape, 'sqrt', [0x51], (bits, _a, b) => call(`sseSqrt${bits}`, bits, raw(b, bits))))
  for (const predicate of [0, 1, 2, 3, 4, 5, 6, 7, 0x1d, 0x0b, 0x1f]) {
    const [legacy, wide] = forms(
      shape,
      `cmp${predicate}`,
      [0xc2],
      (bits, a, b) => call(`sseCompareMask${bits}`, bits, raw(a, bits), raw(b, bits), predicate),
      [predicate],
    ) as [Instruction, Instruction]
    if (predicate < 8) INSTRUCTIONS.push(legacy)
    INSTRUCTIONS.push(wide)
  }
}

/** Within each 128 bits: the elements of a result from those of both operands. */
function byHalves(shape: Shape, name: string, code: readonly number[][], half: (a: bigint[], b: bigint[]) => bigint[]) {
  const { letters, format } = shape
  const run = (width: number, a: bigint, b: bigint): bigint => {
    const parts = Array.from({ length: width / 128 }, (_, n) => {
      const of = (vector: bigint): bigint[] => elements(vector >> BigInt(128 * n), format.bits, 128 / format.bits)
      return join(half(of(a), of(b)), format.bits)
    })
    return join(parts, 128)
  }
  const [legacy, wide] = code as [number[], number[] | undefined]
  INSTRUCTIONS.push({
    name: `${name}${letters}`,
    code: legacy,
    format,
    expected: (a, b) => ({ vector: under(run(128, a, b), 128, a) }),
  })
  if (wide === undefined) return
  INSTRUCTIONS.push({
    name: `v${name}${letters}`,
    code: wide,
    format,
    expected: (a, b) => ({ vector: run(256, a, b) }),
  })
}

const pairs = (values: bigint[]): [bigint, bigint][] =>
  Array.from({ length: values.length / 2 }, (_, n) => [values[2 * n] as bigint, values[2 * n + 1] as bigint])
const plus = software('sseAdd')
const minus = software('sseSub')
const times = software('sseMul')

for (const shape of SHAPES.filter(({ isPacked }) => isPacked)) {
  const { bits } = shape.format
  const prefix = bits === 32 ? 0xf2 : 0x66
  const both = (...bytes: number[]): number[][] => [sse(prefix, ...bytes), vex(prefix, true, ...bytes)]
  const horizontal =
    (operation: Elementwise) =>
    (a: bigint[], b: bigint[]): bigint[] =>
      [...pairs(a), ...pairs(b)].map(([x, y]) => operation(bits, x, y, 0n, 0))
  byHalves(shape, 'hadd', both(0x7c, 0xc1), horizontal(plus))
  byHalves(shape, 'hsub', both(0x7d, 0xc1), horizontal(minus))
  byHalves(shape, 'addsub', both(0xd0, 0xc1), (a, b) =>
    a.map((x, n) => (n % 2 ? plus : minus)(bits, x, b[n] as bigint, 0n, n)),
  )
  for (const immediate of [0xff, 0x71, 0xb5, 0x3f]) {
    const opcode = bits === 32 ? 0x40 : 0x41
    const code = [sse(0x66, 0x3a, opcode, 0xc1, immediate)]
    if (bits === 32) code.push(vex66(3, 0, true, 0, opcode, 0xc1, immediate))
    byHalves(shape, `dp${immediate.toString(16)}`, code, (a, b) => {
      let sums = a.map((x, n) => ((immediate >> (4 + n)) & 1 ? times(bits, x, b[n] as bigint, 0n, n) : 0n))
      while (sums.length > 1) sums = pairs(sums).map(([x, y]) => plus(bits, x, y, 0n, 0))
      return a.map((_, n) => ((immediate >> n) & 1 ? (sums[0] as bigint) : 0n))
    })
  }
}

for (const { letters, format, isPacked } of SHAPES) {
  const { bits } = format
  const opcode = (isPacked ? 0x08 : 0x0a) + (bits === 64 ? 1 : 0)
  const width = isPacked ? 256 : bits
  for (const immediate of [0, 1, 2, 3, 4, 8, 9, 10, 11, 12]) {
    INSTRUCTIONS.push({
      name: `vround${letters}${immediate}`,
      code: vex66(3, 0, isPacked, 0, opcode, 0xc1, immediate),
      format,
      expected: (a, b) => {
        const round: Elementwise = (_bits, x) => call(`sseRound${bits}`, bits, raw(x, bits), immediate)
        const rounded = elementwise(format, width / bits, round, b, 0n, 0n)
        return { vector: isPacked ? rounded : under(rounded, bits, a & LOW_128) }
      },
    })
  }
}

// Fused multiply-add: operands 2, 3, 1, in the order in which NaNs are looked for.
for (const [low, name, product, even, odd] of [
  [0x8, 'fmadd', 0, 0, 0],
  [0xa, 'fmsub', 0, 1, 1],
  [0xc, 'fnmadd', 1, 0, 0],
  [0xe, 'fnmsub', 1, 1, 1],
  [0x6, 'fmaddsub', 0, 1, 0],
  [0x7, 'fmsubadd', 0, 0, 1],
] as const) {
  for (const { letters, format, isPacked } of SHAPES) {
    if (!isPacked && even !== odd) continue
    const { bits } = format
    const operation: Elementwise = (_bits, a, b, c, n) =>
      call(`sseMulAdd${bits}`, bits, raw(b, bits), raw(c, bits), raw(a, bits), product, n % 2 ? odd : even)
    INSTRUCTIONS.push({
      name: `v${name}231${letters}`,
      code: vex66(2, bits === 64 ? 1 : 0, isPacked, 1, 0xb0 | (isPacked ? low : low + 1), 0xc2),
      format,
      expected: (a, b, c) => {
        const count = isPacked ? 256 / bits : 1
        const sum = elementwise(format, count, operation, a, b, c)
        return { vector: isPacked ? sum : under(sum, bits, a & LOW_128) }
      },
    })
  }
}

// Conversions

function conversion(name: string, code: readonly number[], format: Format, expected: Instruction['expected']): void {
  INSTRUCTIONS.push({ name, code, format, expected })
}

/** Elements of one width to as many of another. */
function convert(vector: bigint, from: number, to: number, count: number, one: (element: bigint) => bigint): bigint {
  return join(elements(vector, from, count).map(one), to)
}

const widen = (element: bigint): bigint => call('sse32To64', 64, Number(element))
const narrow = (element: bigint): bigint => call('sse64To32', 32, element)
const toI32 =
  (bits: number, truncate: number) =>
  (element: bigint): bigint =>
    call(`sse${bits}ToI32`, 32, raw(element, bits), truncate)
const fromI32 =
  (bits: number) =>
  (element: bigint): bigint =>
    call(`sseIntegerTo${bits}`, bits, BigInt.asIntN(32, element))

conversion('cvtss2sd', sse(0xf3, 0x5a, 0xc1), SINGLE, (a, b) => ({
  vector: under(widen(BigInt.asUintN(32, b)), 64, a),
}))
conversion('cvtsd2ss', sse(0xf2, 0x5a, 0xc1), DOUBLE, (a, b) => ({
  vector: under(narrow(BigInt.asUintN(64, b)), 32, a),
}))
conversion('vcvtps2pd', vex(0, true, 0x5a, 0xc1), SINGLE, (_a, b) => ({ vector: convert(b, 32, 64, 4, widen) }))
conversion('vcvtpd2ps', vex(0x66, true, 0x5a, 0xc1), DOUBLE, (_a, b) => ({ vector: convert(b, 64, 32, 4, narrow) }))
conversion('vcvtdq2ps', vex(0, true, 0x5b, 0xc1), SINGLE, (_a, b) => ({ vector: convert(b, 32, 32, 8, fromI32(32)) }))
conversion('vcvtdq2pd', vex(0xf3, true, 0xe6, 0xc1), SINGLE, (_a, b) => ({
  vector: convert(b, 32, 64, 4, fromI32(64)),
}))
for (const [truncate, prefix32, prefix64] of [
  [0, 0x66, 0xf2],
  [1, 0xf3, 0x66],
] as const) {
  const t = truncate ? 't' : ''
  conversion(`vcvt${t}ps2dq`, vex(prefix32, true, 0x5b, 0xc1), SINGLE, (_a, b) => ({
    vector: convert(b, 32, 32, 8, toI32(32, truncate)),
  }))
  conversion(`vcvt${t}pd2dq`, vex(prefix64, true, 0xe6, 0xc1), DOUBLE, (_a, b) => ({
    vector: convert(b, 64, 32, 4, toI32(64, truncate)),
  }))
  for (const { letters, format, prefix, isPacked } of SHAPES) {
    if (isPacked) continue
    const { bits } = format
    const opcode = truncate ? 0x2c : 0x2d
    const element = (b: bigint): Number_ => raw(BigInt.asUintN(bits, b), bits)
    conversion(`cvt${t}${letters}2si32`, sse(prefix, opcode, 0xc1), format, (_a, b) => ({
      number: call(`sse${bits}ToI32`, 32, element(b), truncate),
    }))
    conversion(`cvt${t}${letters}2si64`, [prefix, 0x48, 0x0f, opcode, 0xc1], format, (_a, b) => ({
      number: call(`sse${bits}ToI64`, 64, element(b), truncate),
    }))
  }
}
for (const { letters, format, prefix, isPacked } of SHAPES) {
  if (isPacked) continue
  const { bits } = format
  for (const size of [32, 64] as const) {
    const rex = size === 64 ? [0x48] : []
    conversion(`cvtsi${size}2${letters}`, [prefix, ...rex, 0x0f, 0x2a, 0xc0], DOUBLE, (a, b) => ({
      vector: under(call(`sseIntegerTo${bits}`, bits, BigInt.asIntN(size, b)), bits, a),
    }))
  }
}
conversion('vcvtph2ps', vex66(2, 0, true, 0, 0x13, 0xc1), SINGLE, (_a, b) => ({
  vector: convert(b, 16, 32, 8, (half) => call('sse16To32', 32, Number(half))),
}))
for (const immediate of [0, 1, 4]) {
  // VCVTPS2PH has its destination in ModRM.rm.
  conversion(`vcvtps2ph${immediate}`, vex66(3, 0, true, 0, 0x1d, 0xc8, immediate), SINGLE, (_a, b) => ({
    vector: convert(b, 32, 16, 8, (element) => call('sse32To16', 16, Number(element), immediate)),
  }))
}

// Flags: by LAHF, at once or when the translated code has been left meanwhile; and conditions

const ORDER_FLAGS: Readonly<Record<number, number>> = { 0: 0x02, 1: 0x03, 2: 0x42, 4: 0x47 }
/** JE to the next instruction, FNOP. */
const LEAVE = [0x74, 0, 0xd9, 0xd0]
const LAHF_AND_CLEAR = [0x9f, 0x0f, 0xb6, 0xc4]

/** Conditions O, B, E, BE, S, P, L, LE of EFLAGS whose OF is clear. */
const CONDITIONS: readonly ((flags: number) => boolean)[] = [
  () => false,
  (flags) => (flags & 1) !== 0,
  (flags) => (flags & 0x40) !== 0,
  (flags) => (flags & 0x41) !== 0,
  (flags) => (flags & 0x80) !== 0,
  (flags) => (flags & 4) !== 0,
  (flags) => (flags & 0x80) !== 0,
  (flags) => (flags & 0xc0) !== 0,
]

for (const [opcode, name, signalling] of [
  [0x2e, 'ucomis', 0],
  [0x2f, 'comis', 1],
] as const) {
  for (const format of [SINGLE, DOUBLE]) {
    const { bits } = format
    const compare = sse(bits === 64 ? 0x66 : 0, opcode, 0xc1)
    const flags = (a: bigint, b: bigint): number => {
      const [x, y] = [a, b].map((vector) => raw(BigInt.asUintN(bits, vector), bits)) as [Number_, Number_]
      return ORDER_FLAGS[Number(call(`sseCompare${bits}`, 32, x, y, signalling))] as number
    }
    const byLahf = (a: bigint, b: bigint): Result => ({ number: BigInt(flags(a, b)) })
    conversion(`${name}${bits}, LAHF`, [...compare, ...LAHF_AND_CLEAR], format, byLahf)
    conversion(`${name}${bits}, FNOP, LAHF`, [...compare, ...LEAVE, ...LAHF_AND_CLEAR], format, byLahf)
    if (signalling) continue
    for (let code = 0; code < 16; code++) {
      // MOV EAX, 0; SETcc AL
      const set = [0xb8, 0, 0, 0, 0, 0x0f, 0x90 | code, 0xc0]
      conversion(`${name}${bits}, SETcc ${code}`, [...compare, ...set], format, (a, b) => {
        const holds = (CONDITIONS[code >> 1] as (flags: number) => boolean)(flags(a, b))
        return { number: holds === (code % 2 === 0) ? 1n : 0n }
      })
    }
  }
}

// Running them

/** All masked; PE set, PE clear, and other modes. */
const MODES = [0x1fa0, 0x1fa0, 0x1fa0, 0x1f80, 0x1f80, 0x3fa0, 0x5fa0, 0x7fa0, 0x9fa0, 0x1fe0]

/** For each case: loads MXCSR and operands, runs the instruction, stores what came out. */
function program(code: readonly number[]): number[] {
  const pointers = [
    [0xbe, A],
    [0xbf, B],
    [0xbb, C],
    [0xba, CONTROL],
    [0xbd, NUMBERS],
  ] as const
  const setUp = pointers.flatMap(([opcode, address]) => [opcode, ...le32(address)])
  const body = [
    [0x0f, 0xae, 0x12], // ldmxcsr [rdx]
    [0xc5, 0xfc, 0x10, 0x06], // vmovups ymm0, [rsi]
    [0xc5, 0xfc, 0x10, 0x0f], // vmovups ymm1, [rdi]
    [0xc5, 0xfc, 0x10, 0x13], // vmovups ymm2, [rbx]
    [0x48, 0x8b, 0x07], // mov rax, [rdi]
    code,
    [0x48, 0x89, 0x45, 0x00], // mov [rbp], rax
    [0xc5, 0xfc, 0x11, 0x85, ...le32(VECTORS - NUMBERS)], // vmovups [rbp + ...], ymm0
    [0x0f, 0xae, 0x9d, ...le32(STATUS - NUMBERS)], // stmxcsr [rbp + ...]
    ...[0xc6, 0xc7, 0xc3, 0xc2, 0xc5].map((register) => [0x48, 0x83, register, 32]), // add ..., 32
    [0xff, 0xc9], // dec ecx
  ].flat()
  return [0xb9, ...le32(CASES), ...setUp, ...body, 0x0f, 0x85, ...le32(-(body.length + 6)), 0xf4]
}

interface Case {
  readonly operands: readonly [bigint, bigint, bigint]
  readonly mxcsr: number
}

/** Vectors in which all elements are ordinary, or some make trouble, by themselves or with their counterparts. */
function cases(random: Random, format: Format): Case[] {
  const count = 256 / format.bits
  const place = BigInt(format.bits)
  return Array.from({ length: CASES }, () => {
    const rows = [0, 1, 2].map(() => Array.from({ length: count }, () => ordinary(random, format)))
    if (!random.oneIn(3)) {
      // Element 0 is the one that scalar instructions see.
      const element = random.oneIn(2) ? 0 : random.below(count)
      for (const row of rows) if (random.oneIn(2)) row[element] = special(random, format)
      const [a, b, c] = rows as [bigint[], bigint[], bigint[]]
      if (random.oneIn(3)) b[element] = related(random, format, a[element] as bigint)
      if (random.oneIn(4)) c[element] = related(random, format, b[element] as bigint)
    }
    const [a, b, c] = rows.map((row) => row.reduce((all, value, n) => all | (value << (BigInt(n) * place)), 0n))
    return { operands: [a as bigint, b as bigint, c as bigint], mxcsr: random.pick(MODES) }
  })
}

function write256(machine: LongMode, address: number, value: bigint): void {
  for (let n = 0; n < 4; n++) machine.poke(address + 8 * n, BigInt.asUintN(64, value >> BigInt(64 * n)))
}

function read256(machine: LongMode, address: number): bigint {
  return join(
    [0, 1, 2, 3].map((n) => machine.peek(address + 8 * n)),
    64,
  )
}

const hex = (value: bigint | number | undefined): string => value?.toString(16) ?? ''

function check(machine: LongMode, { name, code, expected }: Instruction, list: readonly Case[]): void {
  machine.reset()
  machine.cpu.writeU64(L.CR4, CR4)
  machine.cpu.writeU64(L.XCR0, 7n)
  machine.cpu.refresh()
  list.forEach(({ operands, mxcsr }, n) => {
    write256(machine, A + 32 * n, operands[0])
    write256(machine, B + 32 * n, operands[1])
    write256(machine, C + 32 * n, operands[2])
    machine.poke(CONTROL + 32 * n, BigInt(mxcsr))
  })
  assert.is(machine.execute(program(code), 1_000_000), EXIT_HLT, name)
  list.forEach(({ operands, mxcsr }, n) => {
    state.setUint32(L.MXCSR, mxcsr, true)
    state.setUint32(L.FLOAT_FLAGS, 0, true)
    const { vector, number } = expected(...operands)
    const what = `${name}(${operands.map(hex)}) under ${hex(mxcsr)}`
    if (vector !== undefined) assert.is(hex(read256(machine, VECTORS + 32 * n)), hex(vector), what)
    if (number !== undefined) assert.is(hex(machine.peek(NUMBERS + 32 * n)), hex(number), what)
    const flags = Number(machine.peek(STATUS + 32 * n) & 0xffffn)
    assert.is(hex(flags), hex(mxcsr | state.getUint32(L.FLOAT_FLAGS, true)), `${what}: MXCSR`)
  })
}

for (const engine of ['interpreter', 'translator'] as const) {
  test(`wasm's arithmetic and software agree: ${engine}`, () => {
    const translator = engine === 'translator' ? { translator: TRANSLATORS.translator } : {}
    const machine = new LongMode(undefined, { cr4Allowed: 0x3f07ffn, xcr0Allowed: 7n, ...translator })
    const random = new Random(engine.length)
    for (const instruction of INSTRUCTIONS) check(machine, instruction, cases(random, instruction.format))
    const counted = machine.counter(L.COUNT_TRANSLATED)
    if (engine === 'translator') assert.ok(counted > CASES * INSTRUCTIONS.length, `${counted} instructions translated`)
  })
}

test.run()
