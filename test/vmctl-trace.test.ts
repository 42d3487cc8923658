/** The tools that watch a VM, on made-up events: trace, region dump, symbols, profile. */
import binaryen from 'binaryen'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { regionDumper } from '../jit/dump.ts'
import { BLOCK_MARK, type RegionEvent } from '../jit/observer.ts'
import { FEATURES } from '../src/cpu/decoder/features.ts'
import { formatProfile, Profile } from '../src/vmctl/profile.ts'
import { parseSymbols, SymbolMap } from '../src/vmctl/symbols.ts'
import { Trace } from '../src/vmctl/trace.ts'
import { VEI_DIR_IN, VEI_DIR_OUT, type VmExitInout, vm_exit } from '../src/vmm/index.ts'

class Lines {
  text = ''
  readonly write = (text: string): void => {
    this.text += text
  }
}

const NOTHING = { changes: [], outside: [], event: false }

test('instructions', () => {
  const lines = new Lines()
  const trace = new Trace(lines.write)
  const bytes = Uint8Array.of(0x48, 0x8b, 0x07)
  const changes = [{ name: 'rax', value: 0x1234n }]
  trace.instruction({ ...NOTHING, rip: 0x1000n, bytes, text: 'mov rax, qword ptr [rdi]', changes })
  trace.instruction({
    ...NOTHING,
    rip: 0xffffffff81000003n,
    bytes: bytes.subarray(0, 1),
    text: 'nop',
    outside: changes,
  })
  trace.instruction({ ...NOTHING, rip: 0x7n, bytes: new Uint8Array(), text: '(gone)', changes, event: true })
  assert.is(
    lines.text,
    `00001000: 48 8b 07                 mov rax, qword ptr [rdi]             rax=1234
          from outside: rax=1234
ffffffff81000003: 48                       nop
00000007:                          (gone)                               event rax=1234
`,
  )
})

test('exits', () => {
  const lines = new Lines()
  const trace = new Trace(lines.write)
  const exit = (reason: string, vei: Partial<VmExitInout> = {}): void => {
    const buffer = vm_exit.zero()
    Object.assign(buffer.vei, vei)
    buffer.vee.vee_fault_type = 2
    trace.exit({ reason, exit: buffer, rip: 0x101000n })
  }
  exit('IO', { vei_port: 0x3f8, vei_size: 1, vei_dir: VEI_DIR_OUT, vei_data: 0x1234 })
  exit('IO', { vei_port: 0x70, vei_size: 2, vei_dir: VEI_DIR_IN, vei_data: 0x9876 })
  exit('IO', { vei_port: 0x1f0, vei_size: 4, vei_dir: VEI_DIR_IN, vei_data: -1, vei_string: 1, vei_rep: 1 })
  exit('EPT_VIOLATION')
  exit('NONE')
  assert.equal(lines.text.split('\n'), [
    'exit IO: out 3f8, 1 byte: 34, at 00101000',
    'exit IO: in 70, 2 bytes: 9876, at 00101000',
    'exit IO: rep ins 1f0, 4 bytes: ffffffff, at 00101000',
    'exit EPT_VIOLATION: fault type 2, at 00101000',
    'exit NONE, at 00101000',
    '',
  ])
})

/** A loop, a branch out of it, a call; in the middle of a page. */
const REGION: RegionEvent = {
  id: 7,
  rip: 0xffffffff81000010n,
  mode: 2,
  features: FEATURES,
  blocks: 3,
  instructions: 6,
  bytes: 99,
  milliseconds: 1.5,
  source: [
    { offset: 0x10, code: Uint8Array.of(0xff, 0xc8, 0x75, 0xfc) }, // dec eax; jne 10
    { offset: 0x14, code: Uint8Array.of(0xe8, 0xe7, 0x0f, 0, 0) }, // call 1000
    { offset: 0x19, code: Uint8Array.of(0x90, 0x31, 0xc0, 0xc3) }, // nop; xor eax, eax; ret
  ],
}

test('translations', () => {
  const lines = new Lines()
  const trace = new Trace(lines.write)
  trace.translated(REGION)
  trace.dropped({ id: 7, rip: REGION.rip, reason: 'written' })
  assert.equal(lines.text.split('\n'), [
    'translated region 7 at ffffffff81000010, 64-bit: 3 blocks, 6 instructions, 99 bytes of wasm, 1.500 ms',
    'dropped region 7 at ffffffff81000010: written',
    '',
  ])
})

test('a trace ends after so many lines, and says so to whoever makes them', () => {
  const lines = new Lines()
  const trace = new Trace(lines.write, 3)
  const instruction = { ...NOTHING, rip: 0n, bytes: Uint8Array.of(0x90), text: 'nop' }
  assert.is(trace.instruction(instruction), true)
  trace.translated(REGION)
  assert.is(trace.instruction(instruction), false)
  trace.dropped({ id: 7, rip: 0n, reason: 'flushed' })
  assert.is(lines.text.split('\n').length, 4)
})

/** A module with a mark before each of the region's blocks. */
function markedWasm(): Uint8Array {
  const mark = (index: number): string => `(drop (i32.const ${BLOCK_MARK + index}))`
  const module = binaryen.parseText(`(module
    (func (export "region") (param $x i32)
      (local.set $x (i32.const 100))
      (loop $again
        ${mark(0)}
        (local.set $x (i32.sub (local.get $x) (i32.const 1)))
        (br_if $again (local.get $x))
        ${mark(1)}
        (local.set $x (i32.const 11)))
      ${mark(2)}
      (local.set $x (i32.const 22))))`)
  try {
    return module.emitBinary()
  } finally {
    module.dispose()
  }
}

test('a region on paper: guest code beside its wasm, control flow, the module', async () => {
  const dump = await regionDumper()
  const { text } = dump({ ...REGION, wasm: markedWasm() })
  const [head, sides = '', flow = '', wasm = ''] = text.split(/^--- .*$/m)
  assert.match(
    head ?? '',
    /^region 7 at ffffffff81000010, 64-bit: 3 blocks, 6 instructions, 99 bytes of wasm, 1.500 ms\n/,
  )
  assert.match(
    sides,
    /^ffffffff81000010: ff c8 +dec eax +\| \(local\.set \$0 \(i32\.sub \(local\.get \$0\) \(i32\.const 1\)\)\)$/m,
  )
  assert.match(sides, /^ffffffff81000012: 75 fc +jne 0xffffffff81000010 +\| \(br_if \$label \(local\.get \$0\)\)$/m)
  assert.match(sides, /^ffffffff81000014: e8 e7 0f 00 00 +call 0xffffffff81001000 +\| .*i32\.const 11/m)
  assert.match(sides, /^ffffffff81000019: 90 +nop +\| .*i32\.const 22/m)
  assert.equal(flow.trim().split('\n'), [
    'ffffffff81000010 -> ffffffff81000014, ffffffff81000010 (back)',
    'ffffffff81000014 -> ffffffff81000019, ffffffff81001000 (outside)',
    'ffffffff81000019 -> a computed address',
  ])
  assert.match(wasm, /^\(module$/m)
  assert.match(wasm, /^ +\(local\.set \$0 \(i32\.const 100\)\)$/m)
  assert.not.match(wasm, new RegExp(`${BLOCK_MARK}`))
})

test('a region on paper, without marks and without wasm', async () => {
  const dump = await regionDumper()
  const { text } = dump(REGION)
  assert.match(text, /^--- guest code -+$/m)
  assert.match(text, /^ffffffff8100001a: 31 c0 +xor eax, eax$/m)
})

test('a region as a graph; the translator may know where a return goes', async () => {
  const dump = await regionDumper()
  const [first, second, third] = REGION.source
  const known = { ...third, successors: [0x14] } as (typeof REGION.source)[number]
  const { dot } = dump({ ...REGION, source: [first, second, known] as RegionEvent['source'] })
  const edges = dot.match(/"\w+" -> "\w+"/g) ?? []
  assert.equal(edges, [
    '"ffffffff81000010" -> "ffffffff81000014"',
    '"ffffffff81000010" -> "ffffffff81000010"',
    '"ffffffff81000014" -> "ffffffff81000019"',
    '"ffffffff81000014" -> "ffffffff81001000"',
    '"ffffffff81000019" -> "ffffffff81000014"',
    '"ffffffff81000019" -> "computed"',
  ])
  assert.match(dot, /^digraph region_7 \{\n/)
  assert.match(dot, /"ffffffff81001000" \[shape=ellipse/)
})

const SYSTEM_MAP = `0000000000000000 A fixed_percpu_data
0000000000001000 T start
0000000000001040 0000000000000010 t small
0000000000001800 d data
ffffffff81000000 T _text
`

test('symbols: System.map and nm, with sizes or without', () => {
  const map = new SymbolMap(parseSymbols(SYSTEM_MAP, 'map'))
  const at = (address: bigint): string | undefined => map.find(address)?.name
  assert.equal([0xfffn, 0x1000n, 0x103fn, 0x1040n, 0x104fn, 0x1050n].map(at), [
    undefined,
    'start',
    'start',
    'small',
    'small',
    undefined,
  ])
  assert.is(at(0xffffffff81000fffn), '_text')
  assert.is(at(0xffffffff82000000n), undefined, 'too far from any symbol')
  assert.throws(() => parseSymbols('hello\n', 'readme'), /^readme: no symbols of code in it/)
})

test('a profile: by symbol and ring, the rest by address; what took longest first', () => {
  const profile = new Profile(new SymbolMap(parseSymbols(SYSTEM_MAP, 'map')))
  const add = (address: bigint, milliseconds: number, cpl = 0): void =>
    profile.add({ address, cpl, instructions: 1000, milliseconds })
  add(0x1004n, 1)
  add(0x1010n, 1)
  add(0x1010n, 1, 3)
  add(0x5010n, 3)
  add(0x50f0n, 2)
  assert.equal(profile.rows(), [
    { percent: 62.5, milliseconds: 5, samples: 2, instructions: 2000, ring: 0, first: '5010', last: '50f0' },
    { percent: 25, milliseconds: 2, samples: 2, instructions: 2000, ring: 0, symbol: 'start', first: '4', last: '10' },
    {
      percent: 12.5,
      milliseconds: 1,
      samples: 1,
      instructions: 1000,
      ring: 3,
      symbol: 'start',
      first: '10',
      last: '10',
    },
  ])
  assert.is(
    formatProfile(profile.rows()),
    `percent        ms samples ring  where
  62.50       5.0       2    0  5010-50f0
  25.00       2.0       2    0  start+4-10
  12.50       1.0       1    3  start+10
`,
  )
  assert.match(formatProfile([]), /before the first sample/)
})

test.run()
