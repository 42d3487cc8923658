/** The guests that check themselves, on our processor with both engines; and their tables of checks. */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { packageFile, readImage } from '../src/node/files.ts'
import { nodeHost } from '../src/node/host.ts'
import { Machine, MB } from '../src/vmd/index.ts'
import { openVmm } from '../src/vmm/index.ts'
import { TRANSLATORS } from './support/translators.ts'

/** Images, and how many checks each has at least. */
const GUESTS = [
  ['guest64', 170],
  ['guest32-check', 210],
  ['guest16', 50],
] as const

const ENGINES = [
  ['interpreter', undefined],
  ['all translated', TRANSLATORS.translator],
] as const

for (const [name, least] of GUESTS) {
  for (const [engine, translator] of ENGINES) {
    test(`${name}: no check fails, ${engine}`, async () => {
      const printed: number[] = []
      const machine = new Machine({
        name,
        memory: 32 * MB,
        image: readImage(packageFile(`guests/images/${name}.elf`)),
        commandLine: 'machine nobench',
        host: nodeHost,
        output: (byte) => printed.push(byte),
        vmm: openVmm(translator && { translator }),
      })
      const outcome = await machine.run()
      machine.terminate()
      const text = Buffer.from(printed).toString('latin1')
      const failed = text.split('\n').filter((line) => line.includes('FAILED:'))
      assert.equal(failed, [])
      assert.equal(outcome, { reason: 'poweroff', status: 0 }, text.slice(-500))
      const [, total = '', failures] = /(\d+) checks: \d+ ok, (\d+) failed/.exec(text) ?? []
      assert.is(failures, '0')
      assert.ok(Number(total) >= least, `${total} checks`)
    })
  }
}

test('more than 300 checks, each with a name of its own in its kernel and with the section of the manual', () => {
  let count = 0
  for (const folder of ['checks', 'protected', 'real']) {
    const path = fileURLToPath(new URL(`../guests/kernel/${folder}/`, import.meta.url))
    const sources = readdirSync(path).filter((file) => file.endsWith('.c'))
    const rows = sources.flatMap((file) => [
      ...readFileSync(path + file, 'utf8').matchAll(/^\t\{ "([a-z0-9-]+)", "([^"]*)", \w+ \},$/gm),
    ])
    for (const [, name, section = ''] of rows) assert.match(section, /^(SDM [123]|APM [23]), \w/, name)
    assert.is(new Set(rows.map(([, name]) => name)).size, rows.length, folder)
    count += rows.length
  }
  assert.ok(count > 300, `${count} checks`)
})

test.run()
