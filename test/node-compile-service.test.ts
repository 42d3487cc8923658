/** The compiler thread: it answers, it does not keep the process alive, and when it fails guests go on without it. */
import { spawnSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { type MessagePort, Worker } from 'node:worker_threads'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { CompileOutcome } from '../jit/service.ts'
import type { RegionSource } from '../jit/source.ts'
import { FEATURES } from '../src/cpu/decoder/features.ts'
import { MODE_64 } from '../src/cpu/layout.ts'
import { WorkerCompileService } from '../src/node/compile-service.ts'

/** ADD RAX, RBX; then something that is not translated. */
const ADD: RegionSource = {
  mode: MODE_64,
  features: FEATURES,
  blocks: [{ offset: 0, code: Uint8Array.of(0x48, 0x01, 0xd8), instructions: 1, terminator: { kind: 'interpret' } }],
  pages: [{ distance: 0, host: 0x10000 }],
}
/** CPUID alone. */
const NOTHING: RegionSource = {
  mode: MODE_64,
  features: FEATURES,
  blocks: [{ offset: 0, code: Uint8Array.of(0x0f, 0xa2), instructions: 1, terminator: { kind: 'interpret' } }],
  pages: [{ distance: 0, host: 0x10000 }],
}
const PATIENCE_MS = 60_000

/** Polls until so many answers are there. */
async function answers(
  service: WorkerCompileService,
  outcomes: readonly CompileOutcome[],
  count: number,
): Promise<void> {
  const end = performance.now() + PATIENCE_MS
  while (outcomes.length < count && performance.now() < end) {
    service.poll()
    await sleep(5)
  }
  assert.is(outcomes.length, count, 'no answer')
}

test('regions come back as modules, each answer to its question', async () => {
  const service = new WorkerCompileService()
  const outcomes: CompileOutcome[] = []
  const note = (n: number) => (outcome: CompileOutcome) => (outcomes[n] = outcome)
  service.submit(ADD, note(0))
  service.submit(NOTHING, note(1))
  service.submit(ADD, note(2))
  await answers(service, outcomes, 3)
  const [first, second, third] = outcomes
  assert.ok(first !== undefined && 'module' in first && first.module instanceof WebAssembly.Module)
  assert.ok(second !== undefined && 'failure' in second && second.expected)
  assert.ok(third !== undefined && 'module' in third)
})

test('a thread that can not start: one warning, and every question is answered', async () => {
  const warnings: string[] = []
  const broken = (port: MessagePort) =>
    new Worker("throw new Error('no Binaryen here')", { eval: true, workerData: port, transferList: [port] })
  const service = new WorkerCompileService((message) => warnings.push(message), broken)
  const outcomes: CompileOutcome[] = []
  service.submit(ADD, (outcome) => outcomes.push(outcome))
  await answers(service, outcomes, 1)
  service.submit(ADD, (outcome) => outcomes.push(outcome))
  assert.is(outcomes.length, 2, 'at once now')
  for (const outcome of outcomes) assert.match('failure' in outcome ? outcome.failure : '', /no Binaryen here/)
  assert.is(warnings.length, 1)
  assert.match(warnings[0] ?? '', /guests run on without further translation/)
})

test('the thread does not keep the process alive', () => {
  const program = `
    import { compileService } from ${JSON.stringify(new URL('../src/node/compile-service.ts', import.meta.url).href)}
    compileService.submit({ mode: 2, features: [], blocks: [], pages: [] }, () => {})
    console.log('end of the program')
  `
  const argv = ['--import', 'tsx', '--input-type=module', '--eval', program]
  const { status, stdout, error } = spawnSync(process.execPath, argv, { timeout: PATIENCE_MS, encoding: 'utf8' })
  assert.is(error, undefined)
  assert.is(status, 0)
  assert.match(stdout, /end of the program/)
})

test.run()
