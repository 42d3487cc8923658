/** The vector runner itself: what the corpus says passes, and what differs from it does not. No instruction is run. */
import { fileURLToPath } from 'node:url'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { compare, type Tolerance } from './vectors/compare.ts'
import { type Case, groupNames, readGroup, type StateChange } from './vectors/corpus.ts'
import { fold, type Outcome, VectorMachine } from './vectors/machine.ts'
import { PLACES, STATE_START, writeChange } from './vectors/state.ts'
import type { Platform } from './vectors/tables.ts'

const SAMPLE = fileURLToPath(new URL('vectors/sample/', import.meta.url))
const MEMSEED = 1
const PLATFORMS: readonly Platform[] = ['long', 'legacy', 'real']
const machines = new Map(PLATFORMS.map((platform) => [platform, new VectorMachine(platform, MEMSEED)]))

interface Results {
  final: StateChange
  exc: Case['exc']
}

/** Compares as if a processor had left these results. */
function judge(platform: Platform, item: Case, { final, exc }: Results, tolerance: Tolerance = 'exact'): string[] {
  const machine = machines.get(platform) as VectorMachine
  machine.load(item)
  writeChange(machine.state, final)
  if (typeof final.rflags === 'string') machine.cpu.rflags = BigInt(`0x${final.rflags}`)
  for (const [address, bytes] of final.mem ?? []) machine.window.set(Buffer.from(bytes, 'hex'), fold(address))
  const raised = exc && { vector: exc.vector, error: exc.error, cr2: BigInt(`0x${exc.cr2 ?? '0'}`) }
  const outcome: Outcome = { exc: raised, exit: undefined }
  return compare(machine, item, outcome, tolerance)
}

/** A null selector becomes another one that is not null. */
function flipped(digits: string): string {
  return (BigInt(`0x${digits}`) ^ 4n).toString(16)
}

function makeCase(fields: Partial<Case>): Case {
  const final = { rip: '5001' }
  return { id: 'made', mode: 'long64', code: '90', asm: 'nop', seed: 7, init: {}, final, exc: null, ...fields }
}

test('of every group: what the corpus says is accepted, and a bit more or less of it is not', () => {
  const seen = new Set<string>()
  for (const name of groupNames(SAMPLE)) {
    const { cases } = readGroup(SAMPLE, name)
    for (const item of cases.filter((_, index) => index % 7 === 0)) {
      for (const platform of item.mode === 'long64' ? (['long'] as const) : (['long', 'legacy'] as const)) {
        assert.equal(judge(platform, item, item), [], item.id)
        for (const [register, value] of Object.entries(item.final)) {
          if (typeof value !== 'string' || item.undef || item.undefFsw || item.undefReg) continue
          const problems = judge(platform, item, { ...item, final: { ...item.final, [register]: flipped(value) } })
          assert.ok(problems.length > 0, `${item.id} ${register}`)
          seen.add(register.replace(/\d+$/, ''))
        }
      }
    }
  }
  for (const kind of ['r', 'fp', 'xmm', 'ymm', 'rflags', 'fsw', 'ftw', 'mxcsr', 'cs', 'ds', 'ds_base', 'fs_limit']) {
    assert.ok(seen.has(kind), kind)
  }
})

test('a register that should not have changed is noticed in every mode', () => {
  for (const mode of ['long64', 'prot32', 'prot16', 'prot16b'] as const) {
    for (const platform of PLATFORMS) {
      if (platform !== 'long' && (mode === 'long64' || (platform === 'real' && mode === 'prot32'))) continue
      const item = makeCase({ mode })
      const machine = machines.get(platform) as VectorMachine
      for (const { name, at } of PLACES.values()) {
        if (/^rip$|_limit$|_attr$/.test(name)) continue
        assert.equal(judge(platform, item, item), [])
        const offset = at - STATE_START
        machine.state[offset] = (machine.state[offset] as number) ^ 4
        const problems = compare(machine, item, { exc: null, exit: undefined }, 'exact')
        assert.ok(problems.length > 0, `${platform} ${mode} ${name}`)
      }
    }
  }
})

test('memory: a changed byte, a byte that did not change, bytes to be ignored', () => {
  const stored = makeCase({ final: { rip: '5001', mem: [['8001', '0102']] } })
  assert.equal(judge('long', stored, stored), [])
  assert.match(String(judge('long', stored, makeCase({}))), /memory at 8001/)
  const alias = makeCase({ final: { rip: '5001', mem: [['7fffffff8001', '0102']] } })
  assert.equal(judge('long', stored, alias), [])
  const other = { ...stored, final: { rip: '5001', mem: [['8001', '0103']] } } as const
  assert.match(String(judge('long', stored, other)), /memory at 8002/)
  assert.equal(judge('long', { ...stored, memIgnore: [['8002', 1]] }, other), [])
  const astray = makeCase({ final: { rip: '5001', mem: [['3000', 'ff']] } })
  assert.match(String(judge('real', makeCase({ mode: 'prot16' }), astray)), /memory at 3000/)
})

test('exceptions: vector, error code and CR2; none of the code in real mode', () => {
  const exc = { vector: 14, error: 6, cr2: 'b123' }
  const item = makeCase({ mode: 'prot16', final: { rip: '5000' }, exc })
  const results = (exception: Case['exc']): Results => ({ final: item.final, exc: exception })
  assert.equal(judge('legacy', item, results(exc)), [])
  assert.match(String(judge('legacy', item, results({ ...exc, vector: 13 }))), /exception: 0xd/)
  assert.match(String(judge('legacy', item, results({ ...exc, error: 4 }))), /error code: 0x4/)
  assert.match(String(judge('legacy', item, results({ ...exc, cr2: 'b120' }))), /cr2/)
  assert.match(String(judge('legacy', item, results(null))), /exception: undefined/)
  assert.match(String(judge('real', item, results(exc))), /error code: 0x6, expected undefined/)
  const { error: _, ...plain } = exc
  assert.equal(judge('real', item, results(plain)), [])
})

test('what is undefined is ignored, unless a fault has kept the instruction from changing it', () => {
  const item = makeCase({ init: { rflags: '202', fsw: '0' }, undef: 0x10, undefFsw: 0x4500, undefReg: 'rdx' })
  const final = { rip: '5001', rflags: '212', fsw: '4500', rdx: '1' }
  assert.equal(judge('long', item, { final, exc: null }), [])
  assert.is(judge('long', item, { final: { ...final, rflags: '213', fsw: '4501' }, exc: null }).length, 2)
  const faulted: Case = { ...item, final: { rip: '5000' }, exc: { vector: 13, error: 0 } }
  const problems = judge('long', faulted, { final: { ...final, rip: '5000' }, exc: faulted.exc })
  assert.is(problems.length, 2, String(problems))
})

test('transcendental results: a neighbour is as good, C1 and PE are not looked at', () => {
  const good = (wanted: string, actual: string): boolean => {
    const item = makeCase({ final: { rip: '5001', fp3: wanted } })
    return judge('long', item, { final: { rip: '5001', fp3: actual, fsw: '220' }, exc: null }, 'ulp').length === 0
  }
  assert.ok(good('3fff8000000000000001', '3fff8000000000000000'))
  assert.ok(good('3fff8000000000000000', '3ffeffffffffffffffff'))
  assert.ok(good('bffe8000000000000007', 'bffe8000000000000008'))
  assert.ok(good('00018000000000000000', '00007fffffffffffffff'))
  assert.ok(good('00000000000000000001', '00000000000000000000'))
  assert.not(good('3fff8000000000000002', '3fff8000000000000000'))
  assert.not(good('3fff8000000000000000', '3ffefffffffffffffffe'))
  assert.not(good('3fff8000000000000000', 'bfff8000000000000000'))
  assert.not(good('00000000000000000000', '80000000000000000000'))
  assert.not(good('7ffeffffffffffffffff', '7fff8000000000000000'))
  assert.not(good('7fffc000000000000000', '7fffc000000000000001'))
  const item = makeCase({})
  assert.is(judge('long', item, { final: { rip: '5001', fsw: '1' }, exc: null }, 'ulp').length, 1)
})

test('approximations: each lane to 1.5 * 2^-12', () => {
  const good = (wanted: string, actual: string): boolean => {
    const item = makeCase({ final: { rip: '5001', xmm2: wanted } })
    return judge('long', item, { final: { rip: '5001', xmm2: actual }, exc: null }, 'relative').length === 0
  }
  const ones = '3f8000003f8000003f800000'
  assert.ok(good(`${ones}3f800000`, `${ones}3f800c00`))
  assert.not(good(`${ones}3f800000`, `${ones}3f800c01`))
  assert.ok(good(`3f800000${ones}`, `3f7ff000${ones}`))
  assert.not(good(`3f800000${ones}`, `bf800000${ones}`))
  assert.not(good(`00000000${ones}`, `80000000${ones}`))
  assert.not(good(`00000001${ones}`, `00000000${ones}`))
  assert.not(good(`7fc00000${ones}`, `7fc00001${ones}`))
  assert.not(good(`3f800000${ones}`, `7fc00000${ones}`))
  assert.not(good(`7f800000${ones}`, `7f7fffff${ones}`))
})

test.run()
