/** The translator against hardware vectors, and against the interpreter on a whole guest: they may never differ. */
import { fileURLToPath } from 'node:url'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Cpu, type TranslatorFactory } from '../src/cpu/cpu.ts'
import { BUILTIN_GUEST, readImage } from '../src/node/files.ts'
import { nodeHost } from '../src/node/host.ts'
import { Machine, MB } from '../src/vmd/index.ts'
import { openVmm } from '../src/vmm/index.ts'
import { TRANSLATORS } from './support/translators.ts'
import { type Group, groupNames, readGroup } from './vectors/corpus.ts'
import { runGroup } from './vectors/runner.ts'

const SAMPLE = fileURLToPath(new URL('./vectors/sample/', import.meta.url))
const CASES = 150

/** Some cases of a group, evenly spread. */
function some(group: Group): Group {
  const step = Math.max(1, Math.floor(group.cases.length / CASES))
  return { ...group, cases: group.cases.filter((_, index) => index % step === 0) }
}

test('vectors: 64-bit integer groups, translated at first sight', () => {
  let passed = 0
  for (const name of groupNames(SAMPLE)) {
    if (!/^(int64-|seq64|addr64|sys)/.test(name)) continue
    const result = runGroup(some(readGroup(SAMPLE, name)), {
      translator: TRANSLATORS.translator,
      environments: ['long64'],
    })
    const first = result.failures[0]
    assert.is(result.failed, 0, first && `${first.test.id} ${first.test.asm}: ${first.problems.join('; ')}`)
    passed += result.passed
  }
  assert.ok(passed > 1000, `${passed} cases`)
})

interface Run {
  printed: string
  instructions: bigint
  memory: bigint
}

/** The built-in guest on virtual time; `memory` is a hash of its RAM at the end. */
async function runGuest(commandLine: string, translator?: TranslatorFactory): Promise<Run> {
  let cpu: Cpu | undefined
  const vmm = openVmm({
    clock: 'instructions',
    createCpu: (options) => {
      cpu = new Cpu({ ...options, ...(translator && { translator }) })
      return cpu
    },
  })
  let printed = ''
  const output = (byte: number): void => {
    printed += String.fromCharCode(byte)
  }
  const image = readImage(BUILTIN_GUEST)
  const machine = new Machine({ name: 'guest', memory: 32 * MB, image, commandLine, host: nodeHost, output, vmm })
  const outcome = await machine.run()
  assert.is(outcome.reason, 'poweroff', outcome.message)
  assert.is(outcome.status, 0, printed)
  const instructions = vmm.instructions(machine.vmId)
  const memory = hashOf(vmm.memory(machine.vmId).read(0x100000, 31 * MB))
  machine.terminate()
  return { printed, instructions, memory }
}

/** FNV-1a over 64-bit words. */
function hashOf(bytes: Uint8Array): bigint {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 2)
  let low = 0x811c9dc5
  let high = 0x9dc5811c
  for (const word of words) {
    low = Math.imul(low ^ word, 0x01000193)
    high = Math.imul(high ^ (word >>> 7) ^ low, 0x01000193)
  }
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)
}

/** The checks have all that is rare; the workloads loop long enough to be found hot. smc is left out: it only recompiles. */
const RUNS: readonly (readonly [words: string, translator: TranslatorFactory])[] = [
  ['nobench', TRANSLATORS.translator],
  [
    'nocheck rounds=1 run=sieve,sha256,crc32,matrix,quicksort,bytecode,fib,chase,memcpy,calls,repmovs',
    TRANSLATORS.both,
  ],
]

for (const [words, translator] of RUNS) {
  test(`the built-in guest runs bit for bit as in the interpreter: ${words.split(' ')[0]}`, async () => {
    const interpreted = await runGuest(words)
    assert.equal(await runGuest(words, translator), interpreted)
  })
}

test.run()
