/** The sample of the vector corpus (test/vectors/sample.ts) on the interpreter. */
import { fileURLToPath } from 'node:url'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Case, type Group, groupNames, readGroup } from './vectors/corpus.ts'
import { type GroupResult, runGroup } from './vectors/runner.ts'
import { sampleLines } from './vectors/sample.ts'

const SAMPLE = fileURLToPath(new URL('vectors/sample/', import.meta.url))
const AT_LEAST = 12000

const groups = groupNames(SAMPLE)
const results = new Map<string, GroupResult>()

function describe({ failed, failures }: GroupResult): string {
  const shown = failures
    .slice(0, 3)
    .map(({ test: { id, asm, code }, problems }) => `${id} ${asm} [${code}] ${problems}`)
  return `${failed} failed:\n${shown.join('\n')}`
}

for (const name of groups) {
  test(name, () => {
    const result = runGroup(readGroup(SAMPLE, name))
    results.set(name, result)
    assert.is(result.failed, 0, describe(result))
  })
}

test('all groups are there, and most of the integer cases ran', () => {
  assert.is(groups.length, 59)
  const passed = [...results.values()].reduce((sum, result) => sum + result.passed, 0)
  assert.ok(passed >= AT_LEAST, `${passed} passed`)
  for (const [name, result] of results) {
    if (!/^(int64-.*|int..-(alu|bit|bmi|branch|mov|muldiv|shift|str)|(addr|seq|ud)..)$/.test(name)) continue
    assert.is(result.skipped, 0, `${name}: ${[...result.reasons.keys()]}`)
    assert.ok(result.passed > 0, name)
  }
})

test('no case is skipped', () => {
  assert.equal(
    [...results.values()].flatMap(({ reasons }) => [...reasons.keys()]),
    [],
  )
})

test('a wrong result is noticed', () => {
  const group = readGroup(SAMPLE, 'int64-alu')
  const sound = group.cases.find(({ exc, final }) => exc === null && typeof final.rax === 'string') as Case
  const wrong = (final: Case['final']): Group => ({
    ...group,
    cases: [{ ...sound, final: { ...sound.final, ...final } }],
  })
  assert.is(runGroup(wrong({})).passed, 1)
  const flipped = (BigInt(`0x${sound.final.rax}`) ^ 1n).toString(16)
  assert.is(runGroup(wrong({ rax: flipped })).failed, 1)
  assert.is(runGroup(wrong({ mem: [['8000', '00']] })).failed + runGroup(wrong({ mem: [['8000', 'ff']] })).failed, 2)
})

test('the sample holds every form in every mode, evenly', () => {
  const line = (asm: string, id: number, mode = 'prot16'): string => JSON.stringify({ id: String(id), asm, mode })
  const lines = Array.from({ length: 1000 }, (_, id) => line(id === 100 ? 'rare' : id % 2 ? 'odd' : 'even', id))
  lines.push(line('rare', 1000, 'prot32'))
  const chosen = sampleLines(lines).map((text) => JSON.parse(text) as Case)
  const ids = (asm: string): number[] => chosen.filter((item) => item.asm === asm).map((item) => Number(item.id))
  assert.equal(ids('rare'), [100, 1000])
  assert.is(ids('odd').length, 10)
  const gaps = ids('odd')
    .slice(1)
    .map((id, n) => id - (ids('odd')[n] as number))
  assert.ok(
    gaps.every((gap) => gap === 100),
    String(gaps),
  )
})

test.run()
