/**
 * The decoder against iced-x86: byte strings from the whole opcode space must decode alike (validity, length,
 * mnemonic, operands), or differ in one of the ways that decoder/differences.ts describes. DECODER_CASES sets how many
 * strings are tried in each of the three modes.
 */

import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { classOf } from './decoder/differences.ts'
import { Generator, SLOT } from './decoder/generator.ts'
import { Comparison, type Difference } from './decoder/iced.ts'

const CASES = Number(process.env.DECODER_CASES ?? 1_500_000)
const SEED = Number(process.env.DECODER_SEED ?? 1)
const BATCH = 4096

const hex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')

function describe(difference: Difference): string {
  const { mode, bytes, what, name, code, features } = difference
  return `${mode}-bit ${hex(bytes)}: ${what} (ours ${name || 'invalid'}, iced ${code} ${features.join()})`
}

for (const mode of [16, 32, 64] as const) {
  test(`${mode}-bit mode agrees with iced-x86`, () => {
    const generator = new Generator(SEED + mode, mode)
    const comparison = new Comparison(mode, SLOT)
    const bytes = new Uint8Array(SLOT * BATCH)
    const counts = new Map<string, number>()
    const unexplained: string[] = []
    let cases = 0
    for (; cases < CASES; cases += BATCH) {
      for (let i = 0; i < BATCH; i++) generator.fill(bytes, i * SLOT)
      comparison.run(bytes, (difference) => {
        const name = classOf(difference)?.name
        if (name !== undefined) counts.set(name, (counts.get(name) ?? 0) + 1)
        else if (unexplained.length < 20) unexplained.push(describe(difference))
      })
    }
    console.log(`\n${mode}-bit: ${cases} byte strings, ${comparison.valid} of them instructions`)
    for (const [name, count] of [...counts].sort()) console.log(`  ${String(count).padStart(7)} ${name}`)
    assert.equal(unexplained, [])
    assert.ok(comparison.valid > cases / 8, 'the generator makes instructions')
  })
}

test.run()
