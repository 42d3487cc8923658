/** AES-NI, PCLMULQDQ and SHA. Rounds are done by the runtime (simd-aes.ts, simd-sha.ts). */
import type { Value } from '../wasm/emitter.ts'
import type { Builder } from './builder.ts'
import { element, pick } from './element.ts'
import { type Definition, instruction } from './table.ts'
import { binary, binaryImmediate, unary, unaryImmediate } from './vector-forms.ts'

for (const [name, round] of [
  ['aesenc', 'aesEncrypt'],
  ['aesenclast', 'aesEncryptLast'],
  ['aesdec', 'aesDecrypt'],
  ['aesdeclast', 'aesDecryptLast'],
] as const) {
  binary(name, (x, state, key) => x.call(round, 'v128', state, key))
}
unary('aesimc', (x, key) => x.call('inverseMixColumns', 'v128', key))
unaryImmediate('aeskeygenassist', (x, key, constant) => x.call('aesKeyGeneration', 'v128', key, constant))

binaryImmediate('pclmulqdq', (x, a, b, which) => {
  const ofA = element(x, 8, a, which)
  return x.call('carrylessProduct', 'v128', ofA, element(x, 8, b, x.binary('shr_u', which, x.i32(4))))
})

/** SHA: operands in memory need not be aligned, as AMD's processors have it. */
function sha(name: string, uses: string, define: Definition): void {
  instruction(name, uses, define, { aligned: false })
}

// SHA-1

sha('sha1rnds4', 'rw r r', (x, state, words, kind) => x.call('sha1Rounds', 'v128', state, words, kind))

sha('sha1nexte', 'rw r', (x, state, words) => {
  const e = x.binary('rotl', x.lane('i32x4', state, 3), x.i32(30))
  return x.withLane('i32x4', words, 3, x.binary('add', x.lane('i32x4', words, 3), e))
})

sha('sha1msg1', 'rw r', (x, a, b) => x.simd('v128.xor', a, pick(x, 8, b, a, [1, 2])))

/** The last word depends on the first one, which is in the highest dword. */
sha('sha1msg2', 'rw r', (x, a, b) => {
  const known = x.let(x.simd('v128.xor', a, pick(x, 4, x.v128(0n), b, [0, 4, 5, 6])))
  const words = x.let(rotated(x, known, 1))
  const last = x.binary('rotl', x.binary('xor', x.lane('i32x4', a, 0), x.lane('i32x4', words, 3)), x.i32(1))
  return x.withLane('i32x4', words, 0, last)
})

// SHA-256

sha('sha256rnds2', 'rw r', (x, cdgh, abef) => x.call('sha256Rounds', 'v128', cdgh, abef, x.xmm(0)))

sha('sha256msg1', 'rw r', (x, a, b) => x.simd('i32x4.add', a, small(x, pick(x, 4, a, b, [1, 2, 3, 4]), 25, 14, 3)))

/** The upper two words depend on the lower two. */
sha('sha256msg2', 'rw r', (x, a, b) => {
  const sigma = (words: Value) => small(x, words, 15, 13, 10)
  const none = x.v128(0n)
  const lower = x.let(x.simd('i32x4.add', a, sigma(pick(x, 8, b, none, [1, 2]))))
  return x.simd('i32x4.add', lower, sigma(pick(x, 8, none, lower, [0, 2])))
})

/** The small sigma of words: two rotations to the left and a shift to the right. */
function small(x: Builder, words: Value, first: number, second: number, shift: number): Value {
  const w = x.let(words)
  const rotations = x.simd('v128.xor', rotated(x, w, first), rotated(x, w, second))
  return x.simd('v128.xor', rotations, x.simd('i32x4.shr_u', w, x.i32(shift)))
}

/** Dwords rotated to the left. */
function rotated(x: Builder, words: Value, by: number): Value {
  return x.simd('v128.or', x.simd('i32x4.shl', words, x.i32(by)), x.simd('i32x4.shr_u', words, x.i32(32 - by)))
}
