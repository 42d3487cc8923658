/**
 * Cold code: how long the first 100 million instructions of the built-in guest take, boot and checks included, with the
 * translator and without it, by turns, each in a process of its own. `npm run bench:cold [-- ROUNDS]`.
 */
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { type Engine, translatorOf } from '../src/node/engines.ts'
import { BUILTIN_GUEST, readImage } from '../src/node/files.ts'
import { nodeHost } from '../src/node/host.ts'
import { Machine, MB } from '../src/vmd/index.ts'
import { openVmm } from '../src/vmm/index.ts'
import { median } from './statistics.ts'

const INSTRUCTIONS = 100_000_000n
const ENGINES: readonly Engine[] = ['interpreter', 'both']

/** Milliseconds from the start of the guest on. */
async function measure(engine: Engine): Promise<number> {
  const vmm = openVmm({ translator: await translatorOf(engine), slice: 1_000_000 })
  const image = readImage(BUILTIN_GUEST)
  const machine: Machine = new Machine({
    name: 'cold',
    memory: 64 * MB,
    image,
    host: nodeHost,
    vmm,
    output: () => {},
    onExit: () => {
      if (vmm.instructions(machine.vmId) >= INSTRUCTIONS) machine.stop()
    },
  })
  const started = performance.now()
  await machine.run()
  const milliseconds = performance.now() - started
  machine.terminate()
  return milliseconds
}

function measureApart(engine: Engine): number {
  return Number(execFileSync(process.execPath, [fileURLToPath(import.meta.url), 'of', engine], { encoding: 'utf8' }))
}

const [what, engine] = process.argv.slice(2)
if (what === 'of') console.log(await measure(engine as Engine))
else {
  const rounds = Array.from({ length: Number(what ?? 5) }, () => ENGINES.map(measureApart))
  const [interpreter, both] = ENGINES.map((_, n) => median(rounds.map((round) => round[n] as number)))
  const ratio = median(rounds.map(([alone = Number.NaN, translated = Number.NaN]) => translated / alone))
  console.log(`first ${INSTRUCTIONS / 1_000_000n} million instructions, medians of ${rounds.length} rounds:`)
  console.log(`interpreter ${interpreter?.toFixed(0)} ms, both ${both?.toFixed(0)} ms, ratio ${ratio.toFixed(2)}`)
}
