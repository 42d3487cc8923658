/** The benchmark's figures: what the guest printed, ratios and means, and the table, JSON and chart made of them. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { chart } from '../bench/chart.ts'
import { type Comparison, compare } from '../bench/compare.ts'
import type { MissingPeer, Peer } from '../bench/peers/peer.ts'
import { comparisonTable, workloadTable } from '../bench/report.ts'
import { geometricMean, median } from '../bench/statistics.ts'
import { commandLine, GROUPS, MEASURED, mipsOf, parseResults, skipped, WORKLOADS } from '../bench/workloads.ts'

const OUTPUT = [
  '  workload    checksum  instructions          ms        MIPS\r',
  '  fib         ok           157552172       225.1       699.8\r',
  '@bench fib ok 157552172 225100000\r',
  '@bench smc ok 0 394700000\r',
  'power off: all is well\r',
  '',
].join('\n')

test('results are read off the lines for programs', () => {
  assert.equal(parseResults(OUTPUT), [
    { name: 'fib', instructions: 157552172, milliseconds: 225.1 },
    { name: 'smc', instructions: 0, milliseconds: 394.7 },
  ])
  assert.equal(parseResults('nothing of that kind\n'), [])
})

test('a wrong checksum and an unknown time are errors that name the workload', () => {
  assert.throws(() => parseResults('@bench fib bad 157552172 225100000\n'), /^fib: wrong checksum$/)
  assert.throws(() => parseResults('@bench fib ok 157552172 0\n'), /^fib: .*time$/)
})

test('MIPS are known only where instructions are counted', () => {
  const [fib, smc] = parseResults(OUTPUT)
  assert.is(Math.round((fib && mipsOf(fib)) ?? 0), 700)
  assert.is(smc && mipsOf(smc), undefined)
})

test("the guest's words", () => {
  assert.is(commandLine([], 1), 'guest machine nocheck scale=1')
  assert.is(commandLine(['fib', 'smc'], 8), 'guest machine nocheck scale=8 run=fib,smc')
})

test('every workload is in one group, and all groups but one have a mean', () => {
  assert.is(new Set(WORKLOADS).size, WORKLOADS.length)
  assert.is(GROUPS.integer.length, 11)
  assert.equal([...MEASURED, 'apart'], Object.keys(GROUPS))
})

test('what the guest skips, and why', () => {
  const text = '@skipped x87 CPUID has no FPU\r\n@bench fib ok 1 1\r\n'
  assert.is(skipped(text, 'x87'), 'CPUID has no FPU')
  assert.is(skipped(text, 'fib'), undefined)
})

test('medians and geometric means', () => {
  assert.is(median([3, 1, 2]), 2)
  assert.is(median([4, 1, 3, 2]), 2.5)
  assert.throws(() => median([]))
  assert.is(geometricMean([1, 4, 16])?.toFixed(9), '4.000000000')
  assert.is(geometricMean([]), undefined)
})

/** A machine whose workloads take these times, round after round; an Error is a failure. */
function machine(name: string, times: Readonly<Record<string, readonly (number | Error)[]>>, note?: string): Peer {
  const rounds: Record<string, number> = {}
  const one = (workload: string) => {
    const round = rounds[workload] ?? 0
    const time = times[workload]?.[round] ?? new Error('asked too often')
    if (time instanceof Error) throw time
    return { name: workload, instructions: name === 'here' ? 150e6 : 0, milliseconds: time }
  }
  const run = async (workloads: readonly string[]) => {
    calls.push(`${name} ${workloads.join()}`)
    const results = workloads.map(one)
    for (const workload of workloads) rounds[workload] = (rounds[workload] ?? 0) + 1
    return results
  }
  return { name, version: `${name} 1.0`, run, ...(note === undefined ? {} : { note }) }
}

let calls: string[] = []
const MISSING: MissingPeer = { name: 'v86', missing: 'package v86 not found (npm ci installs it)' }

/** fib is twice as fast as on the peer, sieve four times as slow; smc is reported apart, and crc32 fails there. */
async function example(): Promise<Comparison> {
  calls = []
  const here = machine('here', { fib: [10, 20, 30], sieve: [40, 40, 40], crc32: [5, 5, 5], smc: [1, 1, 1] })
  const peer = machine(
    'qemu',
    { fib: [20, 40, 600], sieve: [10, 10, 10], crc32: [new Error('no <such> device')], smc: [8, 8, 8] },
    'another build',
  )
  return compare({ here, peers: [peer, MISSING], workloads: ['fib', 'sieve', 'crc32', 'smc'], scale: 8, rounds: 3 })
}

test('machines take turns, and one that fails is not asked again', async () => {
  await example()
  const all = 'fib,sieve,crc32,smc'
  assert.equal(calls.slice(0, 6), [`here ${all}`, `qemu ${all}`, 'qemu fib', 'qemu sieve', 'qemu crc32', 'qemu smc'])
  assert.equal(calls.slice(6), [`here ${all}`, 'qemu fib,sieve,smc', `here ${all}`, 'qemu fib,sieve,smc'])
})

test('ratios are of one round, and the median of them counts', async () => {
  const { workloads } = await example()
  const [fib, , crc32] = workloads
  assert.equal(fib?.here, { milliseconds: 20, rounds: [10, 20, 30] })
  assert.is(fib?.mips, 7500)
  assert.equal(fib?.peers.qemu, { milliseconds: 40, rounds: [20, 40, 600], ratio: 2, ratios: [2, 2, 20] })
  assert.equal(crc32?.peers.qemu, { failed: 'no <such> device' })
})

test('a mean is over the workloads of a group that ran; the worst come first', async () => {
  const { peers } = await example()
  const [qemu, v86] = peers
  if (qemu === undefined || 'missing' in qemu) throw new Error('qemu is there')
  assert.ok(Math.abs((qemu.means.integer ?? 0) - Math.sqrt(2 * 0.25)) < 1e-12)
  assert.equal(Object.keys(qemu.means), ['integer'])
  assert.equal(qemu.worst, ['sieve', 'fib'])
  assert.equal(v86, MISSING)
})

test('a workload that fails here ends the comparison, by its name', async () => {
  const here = machine('here', { fib: [new Error('wrong checksum')] })
  const plan = { here, peers: [], workloads: ['fib'], scale: 1, rounds: 1 }
  try {
    await compare(plan)
    assert.unreachable()
  } catch (error) {
    assert.is((error as Error).message, 'the workloads fail here: wrong checksum')
  }
})

test('the table of a comparison', async () => {
  assert.equal(
    comparisonTable(await example()).map((line) => line.trimEnd()),
    [
      'workload                 MIPS         ms    qemu ms      times',
      'fib                     7,500       20.0       40.0       2.00',
      'sieve                   3,750       40.0       10.0      0.250',
      'crc32                  30,000       5.00     failed          -',
      'mean integer                                             0.707',
      '',
      'smc                   150,000       1.00       8.00       8.00',
      '',
      'here: here 1.0; scale 8; rounds, of which these are medians: 3',
      "times: the other machine's time divided by ours, so many times as fast are we",
      'qemu: qemu 1.0',
      'qemu: another build',
      'qemu: worst for us are sieve, fib',
      'qemu: crc32 failed: no <such> device',
      'v86: package v86 not found (npm ci installs it)',
    ],
  )
})

test('the table of our own figures', () => {
  assert.equal(
    workloadTable(parseResults(OUTPUT)).map((line) => line.trimEnd()),
    [
      'workload               Minstr         ms       MIPS',
      'fib                       158        225        700',
      'mean integer                                    700',
      '',
      'smc                      0.00        395          -',
      '',
    ],
  )
})

test('the comparison is JSON as it stands', async () => {
  const comparison = await example()
  assert.equal(JSON.parse(JSON.stringify(comparison)), comparison)
})

test('the chart: a bar for each ratio on a logarithmic axis, with the line at 1', async () => {
  const svg = chart(await example())
  assert.match(svg, /^<svg xmlns="http:\/\/www.w3.org\/2000\/svg" viewBox="0 0 \d+ \d+"/)
  const line = /<line x1="([\d.]+)"[^>]*stroke="#7d8590"/.exec(svg)?.[1]
  const one = Number(line)
  const bars = [...svg.matchAll(/<rect x="([\d.]+)" y="\d+" width="([\d.]+)" height="8"/g)]
  // The axis is from 1/4 to 8, five doublings of 122 units.
  assert.equal(
    bars.map(([, x, width]) => [Number(x), Number(width)]),
    [
      [one, 122],
      [one - 244, 244],
      [one - 61, 61],
      [one, 366],
    ],
    'fib twice as fast, sieve a quarter, the mean, smc eight times; crc32 failed',
  )
  for (const label of ['fib', 'sieve', 'crc32', 'mean integer', 'smc', 'failed', '2.00', '0.25', '8.00'])
    assert.ok(svg.includes(`>${label}</text>`), label)
  assert.ok(svg.includes('v86: package v86 not found (npm ci installs it)'))
})

test('the chart escapes what it is told', async () => {
  const comparison = { ...(await example()), here: 'a <b> & c' }
  assert.ok(chart(comparison).includes('a &lt;b&gt; &amp; c'))
})

test('a chart without any peer has its rows and the reasons', async () => {
  const { workloads, ...rest } = await example()
  const svg = chart({ ...rest, workloads: workloads.map((workload) => ({ ...workload, peers: {} })), peers: [MISSING] })
  assert.ok(svg.includes('>fib</text>') && svg.includes('v86: package'))
  assert.not.match(svg, /NaN|Infinity|undefined/)
})

test.run()
