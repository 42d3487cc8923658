/**
 * The code that the translator makes of small regions, kept as text in test/golden/: guest code beside the wasm of its blocks,
 * control flow, and the whole module. A change in code quality is seen in review this way. When a change is meant:
 *
 *     GOLDEN=write npx tsx test/golden.test.ts
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { compileRegions } from '../jit/compile.ts'
import { regionDumper } from '../jit/dump.ts'
import { LARGE, RegionFinder } from '../jit/region.ts'
import { FEATURES } from '../src/cpu/decoder/features.ts'
import { Decoders } from '../src/cpu/decoders.ts'
import { MODE_64 } from '../src/cpu/layout.ts'

/** Where the pages of the code lie in memory; the page after it is the next one, too. */
const HOST = 0x2000
const RIP = 0x401000n

interface Golden {
  /** What it shows. */
  readonly about: string
  /** Bytes in hexadecimal, by instruction. */
  readonly code: string
  /** Offset of the code in its page. */
  readonly at?: number
  /** Where the profile has seen indirect transfers lead, as offsets from the code. */
  readonly targets?: readonly number[]
}

const REGIONS: Readonly<Record<string, Golden>> = {
  'counted-loop': {
    about: 'a store in a loop: one comparison for the page, flags that nobody makes, CMP and JNE fused',
    code: '48 c7 00 00 00 00 00 | 48 83 c0 08 | 48 39 c8 | 75 f0 | c3',
  },
  'load-add': { about: 'a memory operand that is read', code: '48 03 43 08 | c3' },
  'read-modify-write': { about: 'a memory operand that is read and written: looked up once', code: 'ff 03 | c3' },
  'flags-put-off': {
    about: 'flags of a SUB at a way out: its result and second operand are kept, nothing is computed',
    code: '48 29 d8 | 48 89 01 | c3',
  },
  'carry-chain': {
    about: 'ADC over the back edge of a loop: here the pieces must be there',
    code: '48 8b 04 ce | 48 11 04 cf | 48 8d 49 01 | 48 ff ca | 75 ef | c3',
  },
  'byte-registers': { about: 'AH, and a byte that leaves the rest alone', code: '00 e0 | 0f 94 c1 | c3' },
  'rip-relative': { about: 'an address that is known but for the page', code: '8b 05 10 00 00 00 | 90 | c3' },
  'call-and-return': {
    about: 'a call that is taken in: RET is compared with the one place it leads to',
    code: 'e8 03 00 00 00 | 01 d8 | c3 | 8d 04 37 | c3',
  },
  'two-calls': {
    about: 'the same function called twice is taken in twice',
    code: 'e8 08 00 00 00 | e8 03 00 00 00 | c3 | 90 90 | ff c0 | c3',
  },
  'jump-table': {
    about: 'an indirect jump with five known targets: a table over the bits that differ',
    code: 'ff e0 | ff c1 | c3 | ff c2 | c3 | ff c3 | c3 | ff c6 | c3 | ff c7 | c3',
    targets: [2, 5, 8, 11, 14],
  },
  irreducible: {
    about: 'a loop with two entries: through the dispatch node',
    code: '85 c0 | 74 03 | ff c1 | 90 | ff ca | 75 f9 | c3',
  },
  'across-pages': { about: 'an instruction in two pages', code: '48 83 c0 08 | c3', at: 0xffe },
  'shift-by-cl': { about: 'a count of zero changes no flag', code: 'd3 e0 | 72 01 | 90 | c3' },
  'vector-loop': {
    about: 'XMM registers live in locals; an operand that must be aligned costs no more than a comparison of its page',
    code: '66 0f fe 06 | 66 0f 70 c8 4e | 48 83 c6 10 | 66 0f ef c1 | 48 39 ce | 75 ea | c3',
  },
  'vector-halves': {
    about: 'YMM registers: the halves apart, those above XMM0 cleared; an operand that may lie anywhere',
    code: 'c5 fd fe 06 | c5 f9 ef c1 | c3',
  },
  'partly-translated': { about: 'CPUID is left to the interpreter', code: '01 d8 | 0f a2 | 01 d8 | c3' },
}

function bytesOf(code: string): number[] {
  return code
    .split(/[ |]+/)
    .filter((text) => text !== '')
    .map((text) => Number.parseInt(text, 16))
}

/** Finds and compiles the region, as the translator does, and puts it on paper. */
async function translated({ code, at = 0, targets = [] }: Golden): Promise<string> {
  const memory = new Uint8Array(0x5000)
  memory.set(bytesOf(code), HOST + at)
  const finder = new RegionFinder(memory, new Decoders(FEATURES), LARGE)
  const found = finder.find(at, {
    pageAt: (distance) => (distance === 0 || distance === 0x1000 ? HOST + distance : 0),
    wasReached: () => true,
    modeFloat: 0,
    mode: MODE_64,
    targetsOf: () => targets.map((target) => at + target),
  })
  assert.ok(found, 'there is a region')
  const { wasm, regions } = compileRegions([{ ...found.source, marked: true }])
  assert.not.ok('failure' in (regions[0] ?? {}))
  assert.ok(WebAssembly.validate(wasm as BufferSource))
  const { blocks } = found.source
  const dump = await regionDumper()
  const { text } = dump({
    ...{ id: 1, rip: RIP + BigInt(at), mode: MODE_64, features: FEATURES, milliseconds: 0, bytes: wasm.length },
    blocks: blocks.length,
    instructions: blocks.reduce((sum, { instructions }) => sum + instructions, 0),
    source: blocks,
    wasm,
  })
  // The module as a whole says nothing more.
  return text.slice(0, text.indexOf('\n--- wasm'))
}

for (const [name, golden] of Object.entries(REGIONS)) {
  test(`${name}: ${golden.about}`, async () => {
    const file = new URL(`./golden/${name}.txt`, import.meta.url)
    const text = `${golden.about}\n\n${await translated(golden)}`
    if (process.env.GOLDEN === 'write') writeFileSync(file, text)
    assert.snapshot(text, readFileSync(file, 'utf8'))
  })
}

test.run()
