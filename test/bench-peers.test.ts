/** The machines to compare with: those that are missing say so, and those that are here run the guest. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { IMAGES } from '../bench/images.ts'
import { openNative } from '../bench/peers/native.ts'
import { type MissingPeer, type Peer, resultsOf } from '../bench/peers/peer.ts'
import { run, runModule } from '../bench/peers/process.ts'
import { openQemu } from '../bench/peers/qemu.ts'
import { openV86, v86Wasm } from '../bench/peers/v86.ts'
import { GROUPS, parseResults, skipped, WORKLOADS } from '../bench/workloads.ts'

const LIMITS = { milliseconds: 60_000 }

async function fails(promise: Promise<unknown>, message: RegExp): Promise<void> {
  const error = await promise.then(
    () => undefined,
    (error: unknown) => error,
  )
  assert.instance(error, Error)
  assert.match((error as Error).message, message)
}

test('what is missing is named, with where it comes from', () => {
  assert.equal(openQemu(IMAGES.plain, 'no-such-qemu'), {
    name: 'qemu',
    missing: 'no-such-qemu not found (Debian package qemu-system-x86)',
  })
  assert.equal(openV86('no-such-v86'), {
    name: 'v86',
    missing: 'package no-such-v86 not found (npm ci installs it)',
  })
  assert.equal(openNative('no-such-gcc'), { name: 'native', missing: 'no-such-gcc not found (Debian package gcc)' })
})

test('a program that fails: its status and its last words; one that hangs is killed', async () => {
  const node = (script: string, milliseconds = 60_000) => run(process.execPath, ['-e', script], { milliseconds })
  assert.equal(await node('console.log("out")'), { stdout: 'out\n', stderr: '' })
  await fails(node('console.error("first\\nlast"); process.exit(3)'), /^ended with status 3: last$/)
  await fails(node('setInterval(() => {}, 1000)', 500), /^not done after 0.5 s$/)
  await fails(run('no-such-program', [], LIMITS), /ENOENT/)
  assert.is((await run(process.execPath, ['-e', 'process.exit(1)'], { ...LIMITS, statuses: [1] })).stdout, '')
})

test('a guest that says nothing is an error, with what the program said', () => {
  const output = { stdout: '@bench sieve ok 1 1\n', stderr: 'no KVM\n' }
  assert.throws(() => resultsOf(['fib'], output), /^no result of fib in the output: no KVM$/)
  const skips = { stdout: '@skipped x87 CPUID has no FPU\n', stderr: '' }
  assert.throws(() => resultsOf(['x87'], skips), /^x87 skipped: CPUID has no FPU$/)
})

function measures(name: string, peer: Peer | MissingPeer): void {
  if ('missing' in peer) {
    console.log(`bench-peers.test.ts: ${peer.name} is not tried: ${peer.missing}`)
    return
  }
  test(`${name} runs a workload`, async () => {
    const [result] = await peer.run(['sieve'], 1)
    assert.is(result?.name, 'sieve')
    assert.ok((result?.milliseconds ?? 0) > 0)
    assert.ok((result?.instructions ?? 0) > 100e6)
  })
}

test('the 32-bit build gives the same checksums', async () => {
  const { stdout } = await runModule('v86-child', [v86Wasm(), IMAGES.code32, 'machine rounds=1'], LIMITS)
  const names = parseResults(stdout).map(({ name }) => name)
  const missing = WORKLOADS.filter((name) => !names.includes(name))
  assert.equal(missing, GROUPS['AVX2, FMA'], 'v86 has no AVX')
  for (const name of missing) assert.match(skipped(stdout, name) ?? '', /^CPUID has no /)
})

measures('QEMU', openQemu(IMAGES.plain))
measures('v86', openV86())
measures('this machine', openNative())

test.run()
