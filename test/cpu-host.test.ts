/** The processor seen from the host: memory, and what starting it does not load. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Cpu } from '../src/cpu/cpu.ts'
import * as L from '../src/cpu/layout.ts'
import { CODE, EXIT_HLT, HLT, LongMode, load, movEax } from './support/long-mode.ts'

const MB = 0x100000
const RANGES = [
  { gpa: 0, size: 0xa0000 },
  { gpa: 0x100000, size: 0x3000 },
  { gpa: 0x200000000, size: 0x1000 },
]

test('hostOf: each range has its place in the memory, nothing else has', () => {
  const cpu = new Cpu({ ranges: RANGES })
  const start = cpu.readU32(L.RAM_START)
  assert.is(cpu.hostOf(0), start)
  assert.is(cpu.hostOf(0x9ffff), start + 0x9ffff)
  assert.is(cpu.hostOf(0xa0000), -1)
  assert.is(cpu.hostOf(0xfffff), -1)
  assert.is(cpu.hostOf(0x100000), start + 0xa0000)
  assert.is(cpu.hostOf(0x102fff), start + 0xa2fff)
  assert.is(cpu.hostOf(0x103000), -1)
  assert.is(cpu.hostOf(0x200000000), start + 0xa3000)
  assert.is(cpu.hostOf(0x200000fff), start + 0xa3fff)
  assert.is(cpu.hostOf(0x200001000), -1)
  assert.is(cpu.hostOf(-1), -1)
  assert.is(cpu.readU32(L.RAM_END), start + 0xa4000)
})

test('the guest reaches the same bytes, above 4 GB too', () => {
  const it = new LongMode(RANGES.map((range, index) => (index === 0 ? { gpa: 0, size: MB - 0x1000 } : range)))
  it.map(0x20000, 0x200000000)
  it.put(0x200000010, 0x44, 0x33, 0x22, 0x11)
  assert.is(it.execute([...load(0x20010), 0xff, 0xc0, 0x89, 0x04, 0x25, 0x20, 0, 2, 0, HLT]), EXIT_HLT)
  assert.is(it.gpr(L.RAX), 0x11223345n)
  assert.is(it.cpu.bytes[it.cpu.hostOf(0x200000020)], 0x45)
})

test('written: spans over several pages, and over the end of a range', () => {
  const it = new LongMode()
  const { cpu } = it
  const places = [0x3000, 0x3fc0, 0x4800, 0x5ff0]
  for (const at of places) it.put(at, ...movEax(1), HLT)
  for (const at of places) assert.is(it.go(at), EXIT_HLT)
  for (const at of places) cpu.bytes[cpu.hostOf(at + 1)] = 2
  cpu.written(cpu.hostOf(0x3000), 0x3000)
  for (const at of places) {
    it.go(at)
    assert.is(it.gpr(L.RAX), 2n, at.toString(16))
  }
  cpu.written(cpu.hostOf(0x1ff000), 0x1000)
  assert.is(cpu.bytes[L.OPEN_BUS], 0xff)
})

test('written: nothing is dropped for bytes that are no code', () => {
  const it = new LongMode()
  it.execute([...movEax(1), HLT])
  const before = it.counter(L.COUNT_INVALIDATION)
  it.cpu.written(it.cpu.hostOf(CODE + 0x800), 64)
  it.cpu.written(it.cpu.hostOf(0x9000), 0x1000)
  assert.is(it.counter(L.COUNT_INVALIDATION), before)
  it.cpu.written(it.cpu.hostOf(CODE + 5), 1)
  assert.is(it.counter(L.COUNT_INVALIDATION), before + 1)
})

test('more memory than a WebAssembly memory holds is a RangeError', () => {
  assert.throws(
    () => new Cpu({ ranges: [{ gpa: 0, size: 0x100000000 }] }),
    (error: unknown) => error instanceof RangeError,
  )
})

const CHILD = fileURLToPath(new URL('support/run-vm.ts', import.meta.url))
const HOOK = new URL('support/no-binaryen.mjs', import.meta.url).href

test('a VM is created and runs without Binaryen being loaded', () => {
  const run = (...args: string[]) =>
    spawnSync(process.execPath, ['--import', 'tsx', '--import', HOOK, CHILD, ...args], { encoding: 'utf8' })
  const plain = run()
  assert.is(plain.stdout, 'exit 30, data 7\n', plain.stderr)
  assert.is(plain.status, 0)
  const loading = run('binaryen')
  assert.match(loading.stderr, /Binaryen was loaded/, 'the hook works')
  assert.is.not(loading.status, 0)
})

test.run()
