// Fused multiply-add of f64 in f64 arithmetic, which has no wider format to compute in. Product and sum are split into a
// rounded number and its exact error (Dekker 1971, Knuth); the errors are added with rounding to odd, so that the last
// addition rounds as if it had all bits (Boldo and Melquiond 2008, "Emulation of a FMA and correctly rounded sums").

// Where all of that is exact: no error term is denormal, nothing overflows, nor can the result be denormal.
const LEAST_FACTOR: f64 = 3.522101828684134e-133 // 2^-440
const GREATEST_FACTOR: f64 = 2.8392137667797144e132 // 2^440
const LEAST_NORMAL: f64 = 2.2250738585072014e-308
const GREATEST_ADDEND: f64 = 8.452712498170644e270 // 2^900
// 2^27 + 1: splits 53 bits into 26 and 26, and a sign.
const SPLITTER: f64 = 134217729

function isFactor(a: f64): bool {
  const magnitude = abs(a)
  return magnitude >= LEAST_FACTOR && magnitude <= GREATEST_FACTOR
}

// What x + y = sum lacks.
function errorOfSum(x: f64, y: f64, sum: f64): f64 {
  const yRounded = sum - x
  return x - (sum - yRounded) + (y - yRounded)
}

function errorOfProduct(a: f64, b: f64, product: f64): f64 {
  const aScaled = a * SPLITTER
  const aHigh = aScaled - (aScaled - a)
  const aLow = a - aHigh
  const bScaled = b * SPLITTER
  const bHigh = bScaled - (bScaled - b)
  const bLow = b - bHigh
  return aLow * bLow - (product - aHigh * bHigh - aLow * bHigh - aHigh * bLow)
}

// x + y; when that is not exact, the one of the two nearest numbers whose last bit is set.
function addToOdd(x: f64, y: f64): f64 {
  const sum = x + y
  const error = errorOfSum(x, y, sum)
  const bits = reinterpret<i64>(sum)
  if (error == 0 || (bits & 1) != 0) return sum
  return reinterpret<f64>(error > 0 == sum > 0 ? bits + 1 : bits - 1)
}

// a * b + c, rounded once to nearest, when neither the operands nor the result need a look at exceptions but PE; else NaN.
export function fusedMultiplyAdd(a: f64, b: f64, c: f64): f64 {
  const addend = abs(c)
  if (!(addend <= GREATEST_ADDEND) || (addend < LEAST_NORMAL && addend != 0)) return NaN
  if (!isFactor(a) || !isFactor(b)) return NaN
  const product = a * b
  if (addend == 0) return product
  const error = errorOfProduct(a, b, product)
  const low = c + error
  const high = product + low
  const rest = addToOdd(errorOfSum(product, low, high), errorOfSum(c, error, low))
  return high + rest
}
