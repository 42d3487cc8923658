/**
 * Does memory stay? Virtual machines are created, run and terminated in one process, one after the other and now and then
 * two at once: all engines, several sizes, the built-in guest with changing words. Every result is checked.
 *
 *   node --expose-gc --import tsx bench/soak.ts [--minutes N] [--vms N]
 *
 * After each VM memory is looked at, after a garbage collection when one can be asked for; a minute is a line of the table.
 * At the end the median of the last quarter is held against the median around half time: status 1 when it has grown by more
 * than 5 %. A leak of a tenth of a percent a VM would show.
 */
import { setTimeout } from 'node:timers/promises'
import { Command } from 'commander'
import { ENGINES, type Engine, translatorOf } from '../src/node/engines.ts'
import { BUILTIN_GUEST, readImage } from '../src/node/files.ts'
import { nodeHost } from '../src/node/host.ts'
import { Machine, MB } from '../src/vmd/index.ts'
import { openVmm, type Vmm } from '../src/vmm/index.ts'

const MAX_GROWTH = 0.05

/** What the guest is told to do. */
const WORDS = [
  'nobench',
  'nocheck rounds=1 run=sieve,sha256,crc32',
  'nocheck rounds=2 run=fib,calls',
  'nocheck rounds=1 run=matrix,quicksort,bytecode',
  'nocheck rounds=1 run=chase,stride,memcpy,repmovs',
  'nobench nocheck',
  'nocheck rounds=1 run=smc',
]
/** Megabytes. */
const SIZES = [32, 64, 48, 256, 128]
/** Every so many VMs, two run at once. */
const PAIR = 5

interface Load {
  readonly engine: Engine
  readonly megabytes: number
  readonly words: string
}

/** Megabytes of this process after a VM. */
interface Sample {
  readonly minute: number
  readonly rss: number
  readonly heap: number
  readonly external: number
  readonly arrayBuffers: number
}

type Kind = Exclude<keyof Sample, 'minute'>
const KINDS: readonly Kind[] = ['rss', 'heap', 'external', 'arrayBuffers']

const image = readImage(BUILTIN_GUEST)
const vmms = Object.fromEntries(
  await Promise.all(
    ENGINES.map(async (engine) => [engine, openVmm({ translator: await translatorOf(engine) })] as const),
  ),
) as Record<Engine, Vmm>

/** The n-th load: the numbers of engines, sizes and words have no common divisor, so every combination comes. */
function loadOf(n: number): Load {
  return {
    engine: ENGINES[n % ENGINES.length] as Engine,
    megabytes: SIZES[n % SIZES.length] as number,
    words: WORDS[n % WORDS.length] as string,
  }
}

/** @throws Error when the guest does not end as it should */
async function runVm({ engine, megabytes, words }: Load): Promise<void> {
  let printed = ''
  const machine = new Machine({
    name: 'soak',
    memory: megabytes * MB,
    image,
    commandLine: `machine ${words}`,
    host: nodeHost,
    vmm: vmms[engine],
    output: (byte) => {
      printed += String.fromCharCode(byte)
    },
  })
  const outcome = await machine.run()
  machine.terminate()
  const failures = printed.match(/^@(?:check|bench) \S+ (?!ok|skipped).*$/gm) ?? []
  const expected = outcome.reason === 'poweroff' && outcome.status === 0 && printed.includes('power off: all is well')
  if (expected && failures.length === 0) return
  const what = `${engine}, ${megabytes} MB, ${words}: ${JSON.stringify(outcome)}`
  throw new Error(`${what}\n${failures.join('\n')}\n${printed.slice(-2000)}`)
}

async function measure(started: number): Promise<Sample> {
  // Memories are let go of by finalizers and by other threads, after a collection.
  for (let round = 0; round < 3; round++) {
    globalThis.gc?.()
    await setTimeout(10)
  }
  const { rss, heapUsed, external, arrayBuffers } = process.memoryUsage()
  const minute = (performance.now() - started) / 60_000
  return { minute, rss: rss / MB, heap: heapUsed / MB, external: external / MB, arrayBuffers: arrayBuffers / MB }
}

function median(samples: readonly Sample[], kind: Kind): number {
  const values = samples.map((sample) => sample[kind]).sort((a, b) => a - b)
  return values[values.length >> 1] ?? 0
}

function row(label: string, count: string, values: readonly string[]): string {
  return label.padEnd(8) + [count, ...values].map((text) => text.padStart(14)).join('')
}

function printMinute(minute: number, samples: readonly Sample[]): void {
  const medians = KINDS.map((kind) => median(samples, kind).toFixed(1))
  console.log(row(`${minute}`, `${samples.length}`, medians))
}

/** Runs loads for some minutes, and at least so many. */
async function soak(minutes: number, vms: number): Promise<Sample[]> {
  const started = performance.now()
  const samples: Sample[] = []
  let printed = 0
  for (let n = 0; n < vms || performance.now() - started < minutes * 60_000; n++) {
    const pair = n % PAIR === PAIR - 1 ? [runVm(loadOf(n + 1))] : []
    await Promise.all([runVm(loadOf(n)), ...pair])
    const sample = await measure(started)
    if (Math.floor(sample.minute) > Math.floor(samples.at(-1)?.minute ?? 0)) {
      printMinute(Math.floor(sample.minute), samples.slice(printed))
      printed = samples.length
    }
    samples.push(sample)
  }
  return samples
}

/** Returns whether memory has grown. */
function compare(samples: readonly Sample[]): boolean {
  const part = (from: number, to: number): Sample[] =>
    samples.slice(Math.floor(samples.length * from), Math.ceil(samples.length * to))
  const [half, end] = [part(3 / 8, 5 / 8), part(3 / 4, 1)]
  const growth = KINDS.map((kind) => median(end, kind) / median(half, kind) - 1)
  const medians = (of: readonly Sample[]): string[] => KINDS.map((kind) => median(of, kind).toFixed(1))
  console.log(row('half', `${half.length}`, medians(half)))
  console.log(row('end', `${end.length}`, medians(end)))
  const percent = growth.map((value) => `${value < 0 ? '' : '+'}${(100 * value).toFixed(1)} %`)
  console.log(row('growth', '', percent))
  return growth.some((value) => value > MAX_GROWTH)
}

const options = new Command('soak')
  .option('--minutes <n>', 'how long', '20')
  .option('--vms <n>', 'at least so many', '100')
  .parse()
  .opts<{ minutes: string; vms: string }>()
if (globalThis.gc === undefined) console.log('without --expose-gc: garbage is counted, too')
console.log(row('minute', 'VMs', ['rss MB', 'heap MB', 'external MB', 'buffers MB']))
const samples = await soak(Number(options.minutes), Number(options.vms))
console.log(`${samples.length} VMs and ${Math.floor(samples.length / PAIR)} beside them, all as they should be`)
process.exitCode = compare(samples) ? 1 : 0
