/** vmctl from outside: a process with arguments, pipes, signals, and once a terminal. */
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { kernel64, out } from './support/vmd-images.ts'

const MAIN = fileURLToPath(new URL('../src/vmctl/main.ts', import.meta.url))
const AS_IS = new URL('support/binaryen-as-is.mjs', import.meta.url).href
const NODE = ['--import', 'tsx', '--import', AS_IS, MAIN]
const QUICK = 'nocheck nobench'

interface Ended {
  status: number | null
  stdout: string
  stderr: string
}

interface RunOptions {
  input?: string
  /** Called when this has been printed. */
  when?: string
  then?: (child: ReturnType<typeof spawn>) => void
}

function vmctl(args: string[], { input, when, then }: RunOptions = {}): Promise<Ended> {
  const child = spawn(process.execPath, [...NODE, ...args])
  const seen = { stdout: '', stderr: '' }
  child.stdout.on('data', (data) => {
    seen.stdout += data
    if (when === undefined || !seen.stdout.includes(when)) return
    when = undefined
    then?.(child)
  })
  child.stderr.on('data', (data) => {
    seen.stderr += data
  })
  if (input !== undefined) child.stdin.end(input)
  return new Promise((resolve) => child.on('close', (status) => resolve({ status, ...seen })))
}

async function refused(args: string[], message: RegExp): Promise<void> {
  const { status, stdout, stderr } = await vmctl(args, { input: '' })
  assert.is(status, 1, args.join(' '))
  assert.is(stdout, '')
  assert.match(stderr, message)
  assert.is(stderr.split('\n').length, 2, `one line: ${stderr}`)
}

test('start -c: the built-in guest on pipes', async () => {
  const { status, stdout, stderr } = await vmctl(['start', '-c', '--append', QUICK, 'guest'], { input: '' })
  assert.is(status, 0)
  assert.match(stdout, /^\r?\nvmmjit guest64: .* 511 MB.*power off: all is well\r?\n$/s)
  assert.is(stderr, '', 'vmctl adds nothing')
})

test('the shell of the guest, through a pipe that ends early', async () => {
  const args = ['start', '-c', '-m', '64M', '--append', `${QUICK} shell`, 'guest']
  const { status, stdout } = await vmctl(args, { input: 'mem 0x100000 4\nbench no-such\npoweroff\n' })
  assert.is(status, 0)
  assert.match(stdout, / 63 MB/)
  assert.match(stdout, /guest64> mem 0x100000 4\r?\n {2}0000000000100000 {2}02 b0 ad 1b/)
})

test('the end of the input ends nothing; SIGINT does', async () => {
  const args = ['start', '-c', '--stats', '--append', `${QUICK} shell`, 'guest']
  const then = (child: ReturnType<typeof spawn>): void => void setTimeout(() => child.kill('SIGINT'), 300)
  const { status, stderr } = await vmctl(args, { input: '', when: 'guest64> ', then })
  assert.is(status, 130)
  assert.match(stderr, /ended +interrupted/)
})

test('a triple fault: status, and the registers on stderr', async () => {
  const args = ['start', '-c', '--append', `${QUICK} shell`, 'guest']
  const { status, stderr } = await vmctl(args, { input: 'fault triple\n' })
  assert.is(status, 101)
  assert.match(stderr, /^vmctl: start: guest: triple fault: .*\n {2}64-bit mode\n {2}rip /)
})

test('the status of the guest, and one JSON object', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'vmctl-'))
  const kernel = join(directory, 'kernel')
  writeFileSync(kernel, kernel64(out(0x3f8, 0x2a), out(0x501, 42)))
  const args = ['start', '-c', '-m', '4M', '-b', kernel, '--engine', 'interpreter', '--json', 'mine']
  const { status, stdout, stderr } = await vmctl(args, { input: '' })
  rmSync(directory, { recursive: true })
  assert.is(status, 42)
  assert.is(stdout, '*')
  const { seconds, mips, counters, ...rest } = JSON.parse(stderr)
  assert.ok(seconds >= 0 && mips >= 0 && counters.pageWalks > 0)
  assert.equal(rest, {
    name: 'mine',
    kernel,
    format: 'ELF64',
    engine: 'interpreter',
    clock: 'host',
    memory: 4 << 20,
    cpu: 'max',
    reason: 'poweroff',
    status: 42,
    instructions: 6,
    exits: { IO: 2 },
    consoleIn: 0,
    consoleOut: 1,
    unclaimedReads: 0,
    unclaimedWrites: 0,
  })
})

test('every engine gives the same run on virtual time', async () => {
  const run = async (engine: string) => {
    const words = QUICK
    const args = [
      'start',
      '-c',
      '-m',
      '32M',
      '--engine',
      engine,
      '--clock',
      'instructions',
      '--append',
      words,
      '--json',
      'g',
    ]
    const { status, stdout, stderr } = await vmctl(args, { input: '' })
    assert.is(status, 0, stderr)
    const { instructions, exits, translator } = JSON.parse(stderr)
    assert.is(translator?.regions > 0, engine === 'translator', engine)
    return { stdout, instructions, exits }
  }
  const [interpreted, translated] = await Promise.all([run('interpreter'), run('translator')])
  assert.equal(translated, interpreted)
})

test('the interpreter does without Binaryen', async () => {
  const hook = new URL('support/no-binaryen.mjs', import.meta.url).href
  const main = [...NODE.slice(0, -1), '--import', hook, MAIN, 'start', '-c', '--append', QUICK]
  const run = (engine: string) =>
    spawnSync(process.execPath, [...main, '--engine', engine, 'x'], { input: '', encoding: 'utf8' })
  assert.is(run('interpreter').status, 0)
})

test('a trace, as long as it was asked for, and then the guest goes on', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'vmctl-'))
  const file = join(directory, 'trace')
  const args = ['start', '-c', '-m', '32M', '--append', QUICK, '--engine', 'interpreter']
  const traced = [...args, '--trace', 'instructions,exits', '--trace-limit', '20', '--trace-file', file, 'x']
  const { status, stdout, stderr } = await vmctl(traced, { input: '' })
  const lines = readFileSync(file, 'utf8').split('\n')
  rmSync(directory, { recursive: true })
  assert.is(status, 0)
  assert.match(stdout, /power off: all is well/)
  assert.is(stderr, '')
  assert.is(lines.length, 21)
  assert.is(lines[1], '00101000: fa                       cli')
  const [, at = ''] = /^(\w{8}): ee +out dx, al$/.exec(lines[16] ?? '') ?? []
  const next = (Number.parseInt(at, 16) + 1).toString(16).padStart(8, '0')
  assert.is(lines[17], `exit IO: out 3f9, 1 byte: 0, at ${next}`)
})

test('a guest that is traced to its end is interpreted, which is said to whoever wanted it otherwise', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'vmctl-'))
  const kernel = join(directory, 'kernel')
  writeFileSync(kernel, kernel64(out(0x501, 0)))
  const args = ['start', '-c', '-m', '4M', '-b', kernel, '--trace', 'instructions', '--engine', 'both', 'x']
  const { status, stderr } = await vmctl(args, { input: '' })
  rmSync(directory, { recursive: true })
  assert.is(status, 0)
  const [note, , first, , last] = stderr.split('\n')
  assert.is(note, 'vmctl: start: --trace instructions: the guest is interpreted, --engine both is not used')
  assert.match(first ?? '', /^00100000: 66 ba 01 05 +mov dx, 0x501 +rdx=501$/)
  assert.match(last ?? '', /^00100006: ee +out dx, al$/)
})

test('a profile: to a file for people, in the JSON for programs', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'vmctl-'))
  const [file, symbols, kernel] = ['profile', 'map', 'kernel'].map((name) => join(directory, name)) as string[]
  // MOV ECX, 1000000; DEC ECX; JNE
  const count = [0xb9, 0x40, 0x42, 0x0f, 0, 0xff, 0xc9, 0x75, 0xfc]
  writeFileSync(kernel as string, kernel64(count, out(0x501, 0)))
  writeFileSync(symbols as string, '00100000 T start\n00100005 t count\n00100009 t end\n')
  const args = ['start', '-c', '-m', '4M', '-b', kernel, `--profile=${file}`, '--symbols', symbols, '--json', 'x']
  const { status, stderr } = await vmctl(args as string[], { input: '' })
  const table = readFileSync(file as string, 'utf8').split('\n')
  rmSync(directory, { recursive: true })
  assert.is(status, 0)
  const { profile } = JSON.parse(stderr)
  const [{ milliseconds, ...row }] = profile
  assert.is(profile.length, 1)
  assert.ok(milliseconds > 0)
  const [first, last] = [row.first, row.last].sort()
  assert.equal(row, { percent: 100, samples: 6, instructions: 6 * 299_993, ring: 0, symbol: 'count', first, last })
  assert.match(table[1] ?? '', /^ 100\.00 .* count\+/)
})

test('--profile needs no file, and takes none of the words behind it', async () => {
  const args = ['start', '-c', '-m', '32M', '--engine', 'interpreter', '--append', QUICK, '--profile', 'guest']
  const { status, stderr } = await vmctl(args, { input: '' })
  assert.is(status, 0)
  assert.is(stderr, '\nprofile: the guest ended before the first sample\n')
})

test('a reader that goes away ends the guest', async () => {
  const args = ['start', '-c', '--append', `${QUICK} shell`, 'guest']
  const then = (child: ReturnType<typeof spawn>): void => {
    child.stdout?.destroy()
    child.stdin?.write('help\n')
  }
  const { status } = await vmctl(args, { when: 'guest64> ', then })
  assert.is(status, 130)
})

test('help and version', async () => {
  const help = await vmctl(['start', '--help'])
  assert.is(help.status, 0)
  for (const word of ['-m <size>', '-b <path>', '--append', '--engine', '--trace <kinds>', '~.', '101 ', '130 ']) {
    assert.ok(help.stdout.includes(word), word)
  }
  const version = await vmctl(['--version'])
  assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/)
})

test('mistakes are told in one line, with status 1', async () => {
  await Promise.all([
    refused(['frobnicate'], /^vmctl: unknown argument: frobnicate/),
    refused(['start', '--wrong', 'x'], /^vmctl: start: unknown option '--wrong'/),
    refused(['start', '-c', '-m', '16M', 'x'], /^vmctl: start: .*guest64.elf: segment 0 .* 16 MB of memory/),
  ])
})

/** A terminal, made by script(1): keys go to the guest one by one, and the settings come back. */
function onTerminal(keys: string): string {
  const command = `stty -a >&2; ${process.execPath} ${NODE.join(' ')} start -c --append '${QUICK}' guest; echo status $?; stty -a >&2`
  const run = spawnSync('script', ['-qec', command, '/dev/null'], { input: keys, encoding: 'utf8', timeout: 20_000 })
  return run.stdout
}

const hasScript = spawnSync('script', ['--version']).status === 0

if (hasScript) {
  test('on a terminal: the shell in colour, ~. leaves, the terminal is restored', () => {
    const output = onTerminal('\r~.')
    assert.match(output, /Connected to console of guest \(type ~\. to leave\)/)
    assert.match(output, /status 130/)
    const settings = output.match(/speed .*?-?extproc/gs) ?? []
    assert.is(settings.length, 2)
    assert.is(settings[0], settings[1])
  })
}

test.run()
