/** The x87: arithmetic against exact numbers, functions against series, and what its exceptions leave behind. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as L from '../src/cpu/layout.ts'
import { Random } from './fuzz/random.ts'
import * as E from './support/exact-float.ts'
import { HLT, LongMode, le32 } from './support/long-mode.ts'
import * as T from './support/transcendental.ts'

const { memory, runtime: exports } = new LongMode().cpu
const view = new DataView(memory.buffer)

interface Extended {
  readonly significand: bigint
  /** Sign and exponent. */
  readonly high: number
}

const BIAS = 16383
const TOP = 1n << 63n

/** ST(0), ST(1), ... are filled from the front; TOP is 0. */
function fill(control: number, ...registers: readonly Extended[]): void {
  view.setUint32(L.X87_CONTROL, control, true)
  view.setUint32(L.X87_STATUS, 0, true)
  view.setUint32(L.X87_TAGS, (1 << registers.length) - 1, true)
  registers.forEach(({ significand, high }, i) => {
    view.setBigUint64(L.X87 + i * L.X87_SIZE, significand, true)
    view.setUint16(L.X87 + i * L.X87_SIZE + L.X87_EXPONENT, high, true)
  })
}

function run(name: string, ...operands: (number | bigint)[]): void {
  ;(exports[name] as (...operands: (number | bigint)[]) => void)(...operands)
}

function status(): number {
  return view.getUint32(L.X87_STATUS, true)
}

function register(i: number): Extended {
  const at = L.X87 + (((status() >> 11) + i) & 7) * L.X87_SIZE
  return { significand: view.getBigUint64(at, true), high: view.getUint16(at + L.X87_EXPONENT, true) }
}

function show({ high, significand }: Extended): string {
  return `${high.toString(16).padStart(4, '0')}${significand.toString(16).padStart(16, '0')}`
}

function rational({ significand, high }: Extended): E.Rational {
  const exponent = Math.max(high & 0x7fff, 1) - BIAS - 63
  const magnitude = exponent >= 0 ? significand << BigInt(exponent) : significand
  return {
    numerator: high & 0x8000 ? -magnitude : magnitude,
    denominator: exponent >= 0 ? 1n : 1n << BigInt(-exponent),
  }
}

/** A number rounded to `precision` bits in the range of the registers. */
function rounded(exact: E.Rational, precision: number, mode: number): Extended & { flags: number } {
  const format = { bits: 15 + precision, precision, bias: BIAS }
  const { bits, flags } = E.encode(exact, format, mode)
  const fraction = (bits & ((1n << BigInt(precision - 1)) - 1n)) << BigInt(64 - precision)
  const high = Number(bits >> BigInt(precision - 1))
  return { significand: (high & 0x7fff) === 0 ? fraction : fraction | TOP, high, flags }
}

/** Normal and denormal numbers, near to another one more often than not. */
function operand(random: Random, near: Extended): Extended {
  const exponent = random.pick([
    1 + random.below(0x7ffe),
    (near.high & 0x7fff) + random.below(5) - 2,
    (near.high & 0x7fff) + random.below(150) - 75,
    BIAS + random.below(9) - 4,
    random.below(3),
    0x7ffe - random.below(3),
  ])
  const fraction = random.pick([
    random.u64(),
    near.significand,
    0n,
    ~0n,
    1n,
    1n << BigInt(random.below(63)),
    random.u64() << 40n,
  ])
  const high = Math.min(Math.max(exponent, 0), 0x7ffe)
  const significand = BigInt.asUintN(63, fraction)
  return { significand: high === 0 ? significand : significand | TOP, high: high | (random.below(2) << 15) }
}

const negate = (a: E.Rational): E.Rational => ({ ...a, numerator: -a.numerator })
const OPERATIONS: readonly [number, (a: E.Rational, b: E.Rational) => E.Rational][] = [
  [0, E.add],
  [1, E.multiply],
  [4, (a, b) => E.add(a, negate(b))],
  [5, (a, b) => E.add(b, negate(a))],
  [6, E.divide],
  [7, (a, b) => E.divide(b, a)],
]
const PRECISIONS: readonly [number, number][] = [
  [0, 24],
  [2, 53],
  [3, 64],
]

test('arithmetic rounds the exact result to each precision in each mode', () => {
  const random = new Random(1)
  for (let round = 0; round < 40_000; round++) {
    const a = operand(random, { significand: TOP, high: BIAS })
    const b = operand(random, a)
    const [operation, exactly] = random.pick(OPERATIONS)
    if ((a.significand === 0n || b.significand === 0n) && operation >= 6) continue
    const exact = exactly(rational(a), rational(b))
    if (exact.numerator === 0n) continue
    const [code, precision] = random.pick(random.oneIn(2) ? PRECISIONS : ([[3, 64]] as const))
    const mode = random.oneIn(2) ? E.NEAREST : random.below(4)
    // With an invalid operation not masked, which there is none, the general way is taken.
    const control = (random.oneIn(3) ? 0x7e : 0x7f) | (code << 8) | (mode << 10)
    const expected = rounded(exact, precision, mode)
    const denormal = [a, b].some(({ high, significand }) => (high & 0x7fff) === 0 && significand !== 0n) ? E.DE : 0
    fill(control, a, b)
    run('x87Arithmetic', operation, 0, 1, 0)
    const what = `operation ${operation} of ${show(a)} and ${show(b)} under ${control.toString(16)}`
    assert.is(show(register(0)), show(expected), what)
    assert.is(status() & 0x3f, expected.flags | denormal, `${what}: flags`)
  }
})

test('square roots', () => {
  const random = new Random(2)
  for (let round = 0; round < 5000; round++) {
    const { significand, high } = operand(random, { significand: TOP, high: BIAS })
    if (significand === 0n) continue
    const mode = random.below(4)
    const a = { significand, high: high & 0x7fff }
    const value = rational(a)
    // The root of a number far from 1 has its bits, too, when both halves of the exponent are taken off.
    const even = Math.trunc(((high & 0x7fff) - BIAS) / 2) * 2
    const scale = (x: E.Rational, by: number): E.Rational =>
      by >= 0 ? { ...x, denominator: x.denominator << BigInt(by) } : { ...x, numerator: x.numerator << BigInt(-by) }
    const expected = rounded(scale(E.squareRoot(scale(value, even)), -even / 2), 64, mode)
    fill(0x37f | (mode << 10), a)
    run('x87SquareRoot')
    assert.is(show(register(0)), show(expected), `${show(a)} in mode ${mode}`)
  }
})

test('FPREM and FPREM1 come to the remainder, one step after the other', () => {
  const random = new Random(3)
  for (let round = 0; round < 3000; round++) {
    const a = operand(random, { significand: TOP, high: BIAS })
    const b = operand(random, a)
    if (a.significand === 0n || b.significand === 0n) continue
    const nearest = random.oneIn(2)
    fill(0x37f, a, b)
    let steps = 0
    do {
      run(nearest ? 'x87RemainderNearest' : 'x87Remainder')
      assert.ok(++steps < 1200)
    } while (status() & 0x400)
    // Both as multiples of the least denormal number.
    const whole = (x: Extended) => BigInt.asUintN(64, x.significand) << BigInt(Math.max(x.high & 0x7fff, 1) - 1)
    const divisor = whole(b)
    let quotient = whole(a) / divisor
    let rest = whole(a) % divisor
    let negative = (a.high & 0x8000) !== 0
    if (nearest && (rest * 2n > divisor || (rest * 2n === divisor && quotient & 1n))) {
      quotient++
      rest = divisor - rest
      negative = !negative
    }
    const what = `${show(a)}, ${show(b)}, ${nearest}`
    assert.is(whole(register(0)), rest, what)
    if (rest !== 0n) assert.is((register(0).high & 0x8000) !== 0, negative, what)
    const bits = status()
    const low = ((bits >> 6) & 4) | ((bits >> 13) & 2) | ((bits >> 9) & 1)
    assert.is(low, Number(quotient & 7n), `${what}: quotient`)
  }
})

test('FSCALE: what does not fit with its exponent moved is infinite or zero, though unmasked', () => {
  const one = { significand: TOP, high: BIAS }
  const distance = { significand: 60000n << 48n, high: BIAS + 15 }
  const away = (control: number, by: Extended) => {
    fill(control, one, by)
    run('x87Scale')
    return show(register(0))
  }
  assert.is(away(0x377, { ...distance, significand: 40000n << 48n }), '7c3f8000000000000000', '40000 - 24576')
  assert.is(away(0x377, distance), '7fff8000000000000000')
  assert.is(status() & 0x3f, E.OE)
  assert.is(away(0x36f, { ...distance, high: distance.high | 0x8000 }), '00000000000000000000')
  assert.is(status() & 0x3f, E.UE)
})

// Functions

function fixed(x: Extended): bigint {
  const { numerator, denominator } = rational(x)
  return (numerator * T.ONE) / denominator
}

/** Distance of a result from the exact value, in units of its last place. */
function distance(result: Extended, exact: bigint): number {
  const unit = rational({ significand: 1n, high: result.high & 0x7fff })
  return Number(((fixed(result) - exact) * 1000n * unit.denominator) / (unit.numerator * T.ONE)) / 1000
}

/** Between 2^least and 2^(least + range), of either sign. */
function argument(random: Random, least: number, range: number): Extended {
  return { significand: random.u64() | TOP, high: (BIAS + least + random.below(range)) | (random.below(2) << 15) }
}

function floor(numerator: bigint, denominator: bigint): bigint {
  const quotient = numerator / denominator
  return quotient * denominator > numerator ? quotient - 1n : quotient
}

// Half a unit is what rounding takes; these functions are to be right but for a thousandth more.
const TOLERANCE = 0.501

test('FSIN, FCOS, FSINCOS and FPTAN round correctly, with a pi of 66 bits', () => {
  const random = new Random(4)
  const half = 0x3243f6a8885a308d3n << (T.FRACTION_BITS - 65n)
  for (let round = 0; round < 500; round++) {
    const x = argument(random, -40, 103)
    const value = fixed(x)
    // What is left is between -pi / 4 and pi / 4, or the pi of the functions themselves would come in.
    const quotient = floor(2n * value + half, 2n * half)
    const reduced = value - quotient * half
    const [sine, cosine] = [T.sine(reduced), T.cosine(reduced)]
    const quadrant = Number(BigInt.asUintN(2, quotient))
    const wanted = [sine, cosine, -sine, -cosine][quadrant] as bigint
    const other = [cosine, -sine, -cosine, sine][quadrant] as bigint
    const check = (what: string, got: Extended, exact: bigint) =>
      assert.ok(
        Math.abs(distance(got, exact)) < TOLERANCE,
        `${what} of ${show(x)} is ${show(got)}, ${distance(got, exact)} off`,
      )
    fill(0x37f, x)
    run('x87Sine')
    check('sine', register(0), wanted)
    fill(0x37f, x)
    run('x87Cosine')
    check('cosine', register(0), other)
    fill(0x37f, x)
    run('x87SineCosine')
    check('sine', register(1), wanted)
    check('cosine', register(0), other)
    fill(0x37f, x)
    run('x87Tangent')
    check('tangent', register(1), T.divide(wanted, other))
    assert.is(show(register(0)), '3fff8000000000000000')
  }
})

test('F2XM1, FYL2X, FYL2XP1 and FPATAN round correctly', () => {
  const random = new Random(5)
  for (let round = 0; round < 400; round++) {
    const y = argument(random, -20, 40)
    const check = (what: string, exact: bigint, ...operands: readonly Extended[]) => {
      fill(0x37f, ...operands)
      run(what)
      const got = register(0)
      const off = distance(got, exact)
      assert.ok(Math.abs(off) < TOLERANCE, `${what} of ${operands.map(show)} is ${show(got)}, ${off} off`)
    }
    const small = argument(random, -60, 60)
    check('x87PowerLessOne', T.powerLessOne(fixed(small)), small)
    const near = { significand: random.u64() | TOP, high: BIAS - 1 + random.below(2) }
    const positive = random.oneIn(2) ? near : { ...near, high: BIAS - 30 + random.below(60) }
    check('x87Logarithm', T.multiply(fixed(y), T.logarithm2(fixed(positive))), positive, y)
    const addend = argument(random, -40, 39)
    if (T.ONE + fixed(addend) > 0n) {
      const exact = T.multiply(fixed(y), T.logarithm2(T.ONE + fixed(addend)))
      check('x87LogarithmOfSuccessor', exact, addend, y)
    }
    const x = argument(random, -20, 40)
    check('x87Arctangent', angle(fixed(x), fixed(y)), x, y)
  }
})

function angle(x: bigint, y: bigint): bigint {
  const [a, b] = [x < 0n ? -x : x, y < 0n ? -y : y]
  let result = a > b ? T.arctangent(T.divide(b, a)) : T.PI / 2n - T.arctangent(T.divide(a, b))
  if (x < 0n) result = T.PI - result
  return y < 0n ? -result : result
}

// Decimal numbers

test('FBLD and FBSTP: what was stored is loaded again', () => {
  const random = new Random(6)
  for (let round = 0; round < 500; round++) {
    const digits = (random.u64() % 10n ** BigInt(1 + random.below(18))).toString().padStart(18, '0')
    const negative = random.below(2)
    const bytes = BigInt(`0x${digits}`)
    const high = Number(bytes >> 64n) | (negative << 15)
    fill(0x37f)
    view.setUint32(L.X87_TAGS, 0, true)
    run('x87LoadDecimal', BigInt.asIntN(64, bytes), high)
    const expected = BigInt(digits) === 0n ? 0n : BigInt(digits)
    assert.equal(rational(register(0)).numerator, (negative ? -expected : expected) * rational(register(0)).denominator)
    const low = (exports.x87ToDecimal as () => bigint)()
    assert.is(BigInt.asUintN(64, low), BigInt.asUintN(64, bytes))
    assert.is(view.getUint32(L.X87_HIGH, true), high)
  }
})

// Exceptions, in programs

const AREA = 0x4000
/** FNINIT; FLDCW [4100], which unmasks division by zero */
const UNMASKED = [0xdb, 0xe3, 0xd9, 0x2c, 0x25, ...le32(0x4100)]
/** FLD1; FLDZ; FDIVP: at an offset of 4 behind the beginning */
const DIVIDE_BY_ZERO = [0xd9, 0xe8, 0xd9, 0xee, 0xde, 0xf9]
/** FNSTENV [4000] */
const STORE_ENVIRONMENT = [0xd9, 0x34, 0x25, ...le32(AREA)]

function machine(): LongMode {
  const m = new LongMode()
  m.put(0x4100, 0x7b, 0x03)
  return m
}

test('an exception is raised by the next instruction that waits, and until then nothing but the environment tells', () => {
  const m = machine()
  const store = [...STORE_ENVIRONMENT.slice(0, 3), ...le32(AREA)]
  assert.is(m.execute([...UNMASKED, ...DIVIDE_BY_ZERO, ...store, 0xdb, 0xe2, 0x9b, HLT]), 12, 'FNCLEX came in time')
  const word = (at: number) => Number(m.peek(AREA + at) & 0xffff_ffffn)
  const begin = 0x1000 + UNMASKED.length
  assert.is(word(0), 0xffff037b)
  assert.is(word(4), 0xffffb084, 'ZE, ES and B; two registers in use')
  assert.is(word(12), begin + 4, 'FIP')
  assert.is(word(16), 0x06f9_0008, 'FOP of DE F9, and FCS')
  m.reset()
  assert.is(m.execute([...UNMASKED, ...DIVIDE_BY_ZERO, 0xd9, 0xe8, HLT]), 0)
  assert.is(m.exception.vector, 16)
  assert.is(m.rip, begin + 6, 'at FLD1')
})

test('FNSTENV masks what is pending, and FLDENV brings it back', () => {
  const m = machine()
  const loadEnvironment = [0xd9, 0x24, 0x25, ...le32(AREA)]
  const wait = [0x9b]
  assert.is(m.execute([...UNMASKED, ...DIVIDE_BY_ZERO, ...STORE_ENVIRONMENT, ...wait, HLT]), 12)
  m.reset()
  assert.is(m.execute([...UNMASKED, ...DIVIDE_BY_ZERO, ...STORE_ENVIRONMENT, ...loadEnvironment, ...wait, HLT]), 0)
  assert.is(m.exception.vector, 16)
})

test('a store of an exception that is not masked leaves memory alone, but faults where it must', () => {
  const m = machine()
  // FLDCW with invalid operations unmasked; FSTP QWORD [4000] of an empty register.
  m.put(0x4100, 0x7e, 0x03)
  m.poke(AREA, 0x1122334455667788n)
  const store = (at: number) => [0xdd, 0x1c, 0x25, ...le32(at)]
  assert.is(m.execute([...UNMASKED, ...store(AREA), 0xdb, 0xe2, HLT]), 12)
  assert.is(m.peek(AREA), 0x1122334455667788n)
  m.map(0x5000, 0, 0n)
  m.reset()
  assert.is(m.execute([...UNMASKED, ...store(0x5000), 0xdb, 0xe2, HLT]), 0)
  assert.is(m.exception.vector, 14)
})

test('a ten-byte store across two pages does both or nothing', () => {
  const m = machine()
  m.map(0x5000, 0, 0n)
  m.poke(0x4ff8, -1n)
  const code = [0xdb, 0xe3, 0xd9, 0xeb, 0xdb, 0x3c, 0x25, ...le32(0x4ffa), HLT]
  assert.is(m.execute(code), 0)
  assert.is(m.exception.vector, 14)
  assert.is(m.peek(0x4ff8), 0xffffffffffffffffn)
  m.forget()
  m.map(0x5000, 0x5000)
  m.cpu.refresh()
  assert.is(m.go(m.rip), 12)
  assert.is(m.peek(0x4ff8) >> 16n, 0xdaa22168c235n)
  assert.is(m.peek(0x5000) & 0xffffffffn, 0x4000c90fn)
})

test('FWAIT is #NM with MP and TS, x87 instructions with TS or EM', () => {
  for (const [cr0, code, vector] of [
    [0x8001003bn, [0x9b, HLT], 7],
    [0x80010039n, [0x9b, HLT], undefined],
    [0x80010039n, [0xd9, 0xe8, HLT], 7],
    [0x80010035n, [0xd9, 0xe8, HLT], 7],
    [0x80010035n, [0x9b, HLT], undefined],
  ] as const) {
    const m = new LongMode()
    m.cpu.writeU64(L.CR0, cr0)
    m.cpu.refresh()
    const reason = m.execute(code)
    assert.is(reason, vector === undefined ? 12 : 0, cr0.toString(16))
    if (vector !== undefined) assert.is(m.exception.vector, vector)
  }
})

test.run()
