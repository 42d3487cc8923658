/** The software floating point of SSE (runtime/softfloat*.ts) against exact arithmetic and against JavaScript's own. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as L from '../src/cpu/layout.ts'
import { runtimeModule } from '../src/cpu/modules.ts'
import { Random } from './fuzz/random.ts'
import * as E from './support/exact-float.ts'

const memory = new WebAssembly.Memory({ initial: 1 })
const view = new DataView(memory.buffer)
const { exports } = new WebAssembly.Instance(runtimeModule(), { env: { memory } })

/** Calls a runtime function under an MXCSR; gives the result as an unsigned number of `bits` bits and the flags. */
function call(
  name: string,
  mxcsr: number,
  bits: number,
  ...operands: (bigint | number)[]
): { bits: bigint; flags: number } {
  view.setUint32(L.MXCSR, mxcsr, true)
  view.setUint32(L.FLOAT_FLAGS, 0, true)
  const result = (exports[name] as (...operands: (bigint | number)[]) => bigint | number)(...operands)
  return { bits: BigInt.asUintN(bits, BigInt(result)), flags: view.getUint32(L.FLOAT_FLAGS, true) }
}

/** i32 parameters are numbers, i64 ones bigints. */
function raw(bits: bigint, format: E.Format): bigint | number {
  return format.bits === 32 ? Number(bits) : bits
}

function hex(bits: bigint): string {
  return bits.toString(16)
}

/** Finite operands that make trouble: exponents at the ends and close to each other, significands of few bits or nearly all ones. */
function operand(random: Random, format: E.Format, near: bigint): bigint {
  const fractionBits = format.precision - 1
  const mask = (1n << BigInt(fractionBits)) - 1n
  const top = 2 * format.bias + 1
  const exponent = random.pick([
    random.below(top),
    random.below(top),
    0,
    1 + random.below(3),
    top - 1 - random.below(3),
    format.bias + random.below(5) - 2,
    Number((near >> BigInt(fractionBits)) & BigInt(top)) + random.below(5) - 2,
    Number((near >> BigInt(fractionBits)) & BigInt(top)) + random.below(2 * fractionBits) - fractionBits,
  ])
  const fraction = random.pick([
    random.u64() & mask,
    random.u64() & mask,
    0n,
    mask,
    mask ^ 1n,
    1n,
    (1n << BigInt(random.below(fractionBits))) & mask,
    mask ^ (1n << BigInt(random.below(fractionBits))),
    near & mask,
  ])
  const biased = BigInt(Math.min(Math.max(exponent, 0), top - 1))
  const sign = BigInt(random.below(2)) << BigInt(format.bits - 1)
  return sign | (biased << BigInt(fractionBits)) | fraction
}

interface Operation {
  readonly name: string
  readonly operands: number
  readonly extra?: readonly number[]
  readonly exact: (a: E.Rational, b: E.Rational, c: E.Rational) => E.Rational
}

const OPERATIONS: readonly Operation[] = [
  { name: 'sseAdd', operands: 2, exact: E.add },
  { name: 'sseSub', operands: 2, exact: (a, b) => E.add(a, { ...b, numerator: -b.numerator }) },
  { name: 'sseMul', operands: 2, exact: E.multiply },
  { name: 'sseDiv', operands: 2, exact: E.divide },
  { name: 'sseSqrt', operands: 1, exact: E.squareRoot },
  { name: 'sseMulAdd', operands: 3, extra: [0, 0], exact: (a, b, c) => E.add(E.multiply(a, b), c) },
  {
    name: 'sseMulAdd',
    operands: 3,
    extra: [1, 1],
    exact: (a, b, c) => E.add(E.multiply({ ...a, numerator: -a.numerator }, b), { ...c, numerator: -c.numerator }),
  },
]

for (const format of [E.SINGLE, E.DOUBLE]) {
  for (const operation of OPERATIONS) {
    test(`${operation.name}${format.bits}(${operation.extra ?? ''}) rounds the exact result in every mode`, () => {
      const random = new Random(format.bits + operation.operands)
      let compared = 0
      for (let round = 0; round < 6000; round++) {
        const first = operand(random, format, BigInt(format.bias) << BigInt(format.precision - 1))
        const operands = [first, operand(random, format, first), operand(random, format, first)].slice(
          0,
          operation.operands,
        )
        const mode = random.below(4)
        const daz = random.oneIn(3)
        const ftz = random.oneIn(3)
        const decoded = operands.map((bits) => E.decode(bits, format)) as { value: E.Rational; denormal: boolean }[]
        const values = decoded.map(({ value, denormal }) => (daz && denormal ? { ...value, numerator: 0n } : value))
        const [a, b, c] = values as [E.Rational, E.Rational, E.Rational]
        if (operation.name === 'sseDiv' && b.numerator === 0n) continue
        if (operation.name === 'sseSqrt' && a.numerator < 0n) continue
        const exact = operation.exact(a, b, c)
        // The sign of a zero is another matter.
        if (exact.numerator === 0n) continue
        const expected = E.encode(exact, format, mode, ftz)
        const denormal = !daz && decoded.some((one) => one.denormal) ? E.DE : 0
        const mxcsr = 0x1f80 | (mode << 13) | (daz ? 0x40 : 0) | (ftz ? 0x8000 : 0)
        const name = `${operation.name}${format.bits}`
        const got = call(
          name,
          mxcsr,
          format.bits,
          ...operands.map((bits) => raw(bits, format)),
          ...(operation.extra ?? []),
        )
        const what = `${name}(${operands.map(hex)}) under ${mxcsr.toString(16)}`
        assert.is(hex(got.bits), hex(expected.bits), what)
        assert.is(got.flags, expected.flags | denormal, `${what}: flags`)
        compared++
      }
      assert.ok(compared > 2000)
    })
  }
}

test("to nearest, f64 and f32 arithmetic is JavaScript's", () => {
  const random = new Random(5)
  const bytes = new DataView(new ArrayBuffer(8))
  const number = (bits: bigint) => {
    bytes.setBigUint64(0, bits)
    return bytes.getFloat64(0)
  }
  const single = (bits: bigint) => {
    bytes.setUint32(0, Number(bits))
    return bytes.getFloat32(0)
  }
  const toDouble = (value: number) => {
    bytes.setFloat64(0, value)
    return bytes.getBigUint64(0)
  }
  const toSingle = (value: number) => {
    bytes.setFloat32(0, value)
    return BigInt(bytes.getUint32(0))
  }
  for (let round = 0; round < 20000; round++) {
    const a = operand(random, E.DOUBLE, 0x3ffn << 52n)
    const b = operand(random, E.DOUBLE, a)
    const results: [string, number][] = [
      ['sseAdd64', number(a) + number(b)],
      ['sseSub64', number(a) - number(b)],
      ['sseMul64', number(a) * number(b)],
    ]
    if (number(b) !== 0) results.push(['sseDiv64', number(a) / number(b)])
    for (const [name, expected] of results) {
      assert.is(hex(call(name, 0x1f80, 64, a, b).bits), hex(toDouble(expected)), `${name}(${hex(a)}, ${hex(b)})`)
    }
    if (number(a) >= 0) assert.is(call('sseSqrt64', 0x1f80, 64, a).bits, toDouble(Math.sqrt(number(a))), hex(a))
    const f = operand(random, E.SINGLE, 0x7fn << 23n)
    const g = operand(random, E.SINGLE, f)
    assert.is(call('sseAdd32', 0x1f80, 32, Number(f), Number(g)).bits, toSingle(single(f) + single(g)))
    assert.is(call('sseMul32', 0x1f80, 32, Number(f), Number(g)).bits, toSingle(single(f) * single(g)))
    assert.is(call('sse64To32', 0x1f80, 32, a).bits, toSingle(number(a)), hex(a))
    assert.is(call('sse32To64', 0x1f80, 64, Number(f)).bits, toDouble(single(f)), hex(f))
  }
})

test('conversions to integers round in every mode, and give the integer indefinite for what does not fit', () => {
  const random = new Random(6)
  for (let round = 0; round < 20000; round++) {
    const format = random.pick([E.SINGLE, E.DOUBLE])
    const bits = random.pick([32, 64])
    const exponent = BigInt(format.bias + random.below(70) - 3)
    const bitsOf = operand(random, format, 0n) & ~(BigInt(2 * format.bias + 1) << BigInt(format.precision - 1))
    const a = bitsOf | (exponent << BigInt(format.precision - 1))
    const mode = random.below(4)
    const truncate = random.below(2)
    const { value } = E.decode(a, format) as { value: E.Rational }
    const { result, inexact } = E.toInteger(value, truncate ? E.TOWARD_ZERO : mode)
    const fits = BigInt.asIntN(bits, result) === result
    const expected = fits ? BigInt.asUintN(bits, result) : 1n << BigInt(bits - 1)
    const name = `sse${format.bits}ToI${bits}`
    const got = call(name, 0x1f80 | (mode << 13), bits, raw(a, format), truncate)
    assert.is(hex(got.bits), hex(expected), `${name}(${hex(a)}, ${truncate}) in mode ${mode}`)
    assert.is(got.flags, fits ? (inexact ? E.PE : 0) : E.IE)
    if (!fits || truncate) continue
    // The other way: the integer as a number.
    const back = E.encode({ numerator: result === 0n ? 1n : result, denominator: 1n }, format, mode)
    const integer = call(`sseIntegerTo${format.bits}`, 0x1f80 | (mode << 13), format.bits, result)
    assert.is(hex(integer.bits), result === 0n ? '0' : hex(back.bits))
    assert.is(integer.flags, result === 0n ? 0 : back.flags)
    // And as a number right away.
    const rounded = call(`sseRound${format.bits}`, 0x1f80, format.bits, raw(a, format), mode)
    if (result !== 0n) {
      assert.is(hex(rounded.bits), hex(E.encode({ numerator: result, denominator: 1n }, format, mode).bits))
    } else assert.is(rounded.bits, a & (1n << BigInt(format.bits - 1)), 'a zero keeps the sign')
    assert.is(rounded.flags, inexact ? E.PE : 0)
  }
})

test('comparison, MIN and MAX', () => {
  const random = new Random(7)
  for (let round = 0; round < 5000; round++) {
    const a = operand(random, E.SINGLE, 0n)
    const b = random.oneIn(4) ? a : operand(random, E.SINGLE, a)
    const bytes = new DataView(new ArrayBuffer(8))
    bytes.setUint32(0, Number(a))
    bytes.setUint32(4, Number(b))
    const [x, y] = [bytes.getFloat32(0), bytes.getFloat32(4)]
    const order = call('sseCompare32', 0x1f80, 32, Number(a), Number(b), 0).bits
    assert.is(order, x < y ? 1n : x === y ? 2n : 0n)
    assert.is(hex(call('sseMin32', 0x1f80, 32, Number(a), Number(b)).bits), hex(x < y ? a : b))
    assert.is(hex(call('sseMax32', 0x1f80, 32, Number(a), Number(b)).bits), hex(x > y ? a : b))
  }
})

test.run()
