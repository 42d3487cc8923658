import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { EscapeFilter } from '../src/node/escape.ts'
import { expandCommand, runCommand } from '../src/vmctl/commands.ts'
import { formatCpuJson, formatCpuText } from '../src/vmctl/cpu-list.ts'
import { exitStatus } from '../src/vmctl/exit-status.ts'
import { formatJson, formatText, type Run } from '../src/vmctl/report.ts'
import { parseMemorySize } from '../src/vmctl/size.ts'
import { MB } from '../src/vmd/index.ts'

/** What comes of keys typed in these pieces; '.' at the end when the connection was given up. */
function typed(...pieces: string[]): string[] {
  const filter = new EscapeFilter()
  return pieces.map((piece) => {
    const { data, disconnect } = filter.filter(Buffer.from(piece))
    return Buffer.from(data).toString() + (disconnect ? ' <gone>' : '')
  })
}

test('~. at the beginning of a line gives up the connection', () => {
  assert.equal(typed('~.'), [' <gone>'])
  assert.equal(typed('ls\r~.'), ['ls\r <gone>'])
  assert.equal(typed('ls\r', '~', '.rest'), ['ls\r', '', ' <gone>'])
  assert.equal(typed('ls\n~.'), ['ls\n <gone>'])
})

test('~ elsewhere is a ~', () => {
  assert.equal(typed('a~.b'), ['a~.b'])
  assert.equal(typed('~~.'), ['~.'])
  assert.equal(typed('~', 'x'), ['', '~x'])
  assert.equal(typed('~x~.'), ['~x~.'])
  assert.equal(typed('~\r~.'), ['~\r <gone>'])
})

test('memory sizes', () => {
  assert.equal(parseMemorySize('64M'), { bytes: 64 * MB, megabytes: 64, rounded: false })
  assert.equal(parseMemorySize('1g'), { bytes: 1024 * MB, megabytes: 1024, rounded: false })
  assert.is(parseMemorySize('1.5G').bytes, 1536 * MB)
  assert.is(parseMemorySize('1048576').megabytes, 1)
  assert.equal(parseMemorySize('2049K'), { bytes: 2 * MB, megabytes: 2, rounded: true })
  for (const text of ['', 'M', '1T', '1MB', '-1M', '0x10M', '1e3M']) {
    assert.throws(() => parseMemorySize(text), /invalid size/)
  }
  assert.throws(() => parseMemorySize('512'), /size must be at least one megabyte/)
})

test('commands may be abbreviated', () => {
  assert.equal(expandCommand(['sta', '-c', 'x']), ['start', '-c', 'x'])
  assert.equal(expandCommand(['--help']), ['--help'])
  assert.throws(() => expandCommand(['destroy']), /unknown argument: destroy/)
})

async function refused(args: string[], message: RegExp): Promise<void> {
  try {
    await runCommand(['start', ...args])
  } catch (error) {
    assert.match((error as Error).message, message)
    return
  }
  assert.unreachable(args.join(' '))
}

test('start refuses what it can not do', async () => {
  await refused(['-c'], /missing required argument 'name'/)
  await refused(['-c', 'x', 'y'], /too many arguments/)
  await refused(['-c', '-m', '1T', 'x'], /^invalid size: 1T/)
  await refused(['-c', '-m', '33G', 'x'], /33792 MB of memory: .* ends beyond 32 GB \(EINVAL\)/)
  await refused(['-c', '-b', '/no/kernel', 'x'], /^\/no\/kernel: No such file or directory/)
  await refused(['-c', '-b', import.meta.dirname, 'x'], /: Is a directory/)
  await refused(['-c', '-b', import.meta.filename, 'x'], /the image is of no known format; expected an ELF/)
  await refused(['-c', '.x'], /^invalid VM name: .x/)
  await refused(['-c', 'x'.repeat(64)], /^vm name too long/)
  await refused(['x'], /^VMs in the background are not there yet: give -c/)
  await refused(['-c', '--engine', 'warp', 'x'], /^--engine warp: expected interpreter, translator or both$/)
  await refused(['-c', '--clock', 'sun', 'x'], /^--clock sun: expected host or instructions$/)
  await refused(['-c', '--cpu', 'z80', 'x'], /^--cpu z80: there is no CPU model 'z80'; there are max, /)
  await refused(['-c', '--cpu', 'max,+mmmx', 'x'], /^--cpu max,\+mmmx: there is no CPU feature 'mmmx'; there are adx, /)
})

test('--cpu help: models and features, for people and for programs', () => {
  const text = formatCpuText()
  assert.match(text, /^CPU models:\n {2}max +everything that there is \(default\)\n {2}x86-64-v3 /)
  assert.match(text, /max has:\n {2}adx .*bmi1 bmi2 /)
  for (const line of text.split('\n')) assert.ok(line.length <= 100, line)
  const { default: preset, models } = JSON.parse(formatCpuJson())
  assert.is(preset, 'max')
  assert.equal(Object.keys(models), ['max', 'x86-64-v3', 'x86-64-v2', 'x86-64', 'i686', 'i486'])
  assert.ok(models['x86-64-v2'].features.includes('popcnt'))
  assert.not.ok(models['x86-64'].features.includes('popcnt'))
})

test('what is still to come is refused in words', async () => {
  const cases = [
    ['-d', 'disk'],
    ['-r', 'iso'],
    ['-i', '1'],
    ['--initrd', 'file'],
  ] as const
  for (const [option, value] of cases) {
    await refused(['-c', option, value, 'x'], new RegExp(`^${option}.* not there yet`))
  }
})

test('options that do not go together, or are not what they should be', async () => {
  await refused(['-c', '--trace', 'exits,jumps', 'x'], /^--trace jumps: expected instructions, exits or translations$/)
  await refused(['-c', '--trace', '', 'x'], /^--trace : expected/)
  await refused(['-c', '--trace', 'exits', '--trace-limit', '0', 'x'], /^--trace-limit 0: expected a number of lines$/)
  await refused(['-c', '--trace-limit', '5', 'x'], /^nothing is traced without --trace$/)
  await refused(['-c', '--trace', 'exits', '--trace-file', '/no/file', 'x'], /^\/no\/file: No such file or directory$/)
  await refused(['-c', '--dump-regions', import.meta.filename, 'x'], /vmctl-parts.test.ts: File exists$/)
  await refused(['-c', '--symbols', 'map', 'x'], /^--symbols are of use for --profile only$/)
  await refused(['-c', '--profile', '--symbols', '/no/map', 'x'], /^\/no\/map: No such file or directory$/)
  await refused(['-c', '--profile', '--symbols', import.meta.filename, 'x'], /: no symbols of code in it/)
})

test('exit statuses', () => {
  assert.is(exitStatus({ reason: 'poweroff', status: 0 }, undefined), 0)
  assert.is(exitStatus({ reason: 'poweroff', status: 2 }, 'SIGINT'), 2, 'the guest was faster')
  assert.is(exitStatus({ reason: 'poweroff', status: 255 }, undefined), 99)
  assert.is(exitStatus({ reason: 'halt' }, undefined), 100)
  assert.is(exitStatus({ reason: 'triple fault' }, undefined), 101)
  assert.is(exitStatus({ reason: 'error' }, undefined), 102)
  assert.is(exitStatus({ reason: 'interrupted' }, undefined), 130)
  assert.is(exitStatus({ reason: 'interrupted' }, 'SIGTERM'), 143)
})

const RUN: Run = {
  name: 'x',
  kernel: '/k',
  format: 'ELF64',
  engine: 'both',
  clock: 'host',
  memory: 32 * MB,
  cpu: 'max',
  outcome: { reason: 'poweroff', status: 0 },
  seconds: 2,
  statistics: {
    instructions: 3_000_000n,
    exits: { NONE: 1, IO: 12345 },
    consoleIn: 3,
    consoleOut: 4567,
    unclaimedReads: 0,
    unclaimedWrites: 2,
    counters: {
      tlbMisses: 1200,
      pageWalks: 7,
      tlbFlushes: 0,
      codeWrites: 0,
      invalidations: 0,
      recordFlushes: 0,
      events: 2,
      openBus: 0,
    },
    translator: { regions: 12, codeBytes: 34567, milliseconds: 8.76543 },
  },
}

test('statistics for people', () => {
  assert.is(
    formatText(RUN),
    `  ended           powered off with status 0
  instructions    3,000,000
  wall time       2.000 s
  speed           1.5 MIPS
  exits           12,346
    IO            12,345
    NONE          1
  console         3 bytes in, 4,567 out
  processor
    tlb misses    1,200
    page walks    7
    events        2
  translator
    regions       12
    code bytes    34,567
    milliseconds  8.8
`,
  )
})

test('statistics for programs', () => {
  assert.equal(JSON.parse(formatJson(RUN)), {
    name: 'x',
    kernel: '/k',
    format: 'ELF64',
    engine: 'both',
    clock: 'host',
    memory: 32 * MB,
    cpu: 'max',
    reason: 'poweroff',
    status: 0,
    seconds: 2,
    instructions: 3_000_000,
    mips: 1.5,
    exits: { NONE: 1, IO: 12345 },
    consoleIn: 3,
    consoleOut: 4567,
    unclaimedReads: 0,
    unclaimedWrites: 2,
    counters: RUN.statistics.counters,
    translator: { regions: 12, codeBytes: 34567, milliseconds: 8.765 },
  })
  assert.is(formatJson(RUN).split('\n').length, 2, 'one line')
})

test.run()
