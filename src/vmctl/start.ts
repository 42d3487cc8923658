/** `vmctl start -c`: a VM in the foreground, its COM1 on this terminal. */
import pc from 'picocolors'
import { BUILTIN_GUEST, readImage } from '../node/files.ts'
import { nodeHost } from '../node/host.ts'
import { Terminal } from '../node/terminal.ts'
import { LoaderError, Machine, type MachineConfig, MB, type Outcome } from '../vmd/index.ts'
import { reproducibleRandom, type Vmm, VmmError } from '../vmm/index.ts'
import { type DeviceOptions, openDevice } from './device.ts'
import { refusing, VmctlError } from './error.ts'
import { type EndingSignal, exitStatus, SIGNALS } from './exit-status.ts'
import { formatJson, formatText, type Run } from './report.ts'
import { Watch, type WatchOptions } from './watch.ts'

export interface StartOptions extends DeviceOptions, WatchOptions {
  readonly name: string
  /** Bytes. */
  readonly memory: number
  /** CPU model. */
  readonly cpu: string
  /** Path; the built-in guest when absent. */
  readonly kernel: string | undefined
  readonly commandLine: string
  readonly statistics: 'none' | 'text' | 'json'
}

/** Returns the exit status. @throws VmctlError when the VM can not be started */
export async function start(options: StartOptions): Promise<number> {
  const image = await refusing(() => readImage(options.kernel ?? BUILTIN_GUEST))
  const watch = await Watch.open(options, image)
  const vmm = await openDevice(options, watch)
  const onTerminal = process.stdin.isTTY === true && process.stdout.isTTY === true
  const terminal: Terminal = new Terminal({
    stdin: process.stdin,
    stdout: process.stdout,
    input: (bytes) => machine.input(bytes),
    inputWaiting: () => machine.inputWaiting,
    hangup: () => machine.stop(),
  })
  const output = (byte: number): void => terminal.write(byte)
  const machine = createMachine(options, { image, vmm, onTerminal, output, ...watch.machine })
  if (onTerminal) process.stderr.write(pc.dim(`Connected to console of ${options.name} (type ~. to leave)\n`))
  try {
    const { outcome, seconds, signal } = await runOn(terminal, machine).finally(() => watch.close())
    const { name, engine, clock, memory, cpu, kernel = BUILTIN_GUEST } = options
    const { format } = machine
    const { profile } = watch
    const statistics = machine.statistics()
    const run = { name, engine, clock, memory, cpu, kernel, format, outcome, seconds, statistics }
    report({ ...run, ...(profile && { profile }) }, options, onTerminal)
    await watch.reportProfile(options.statistics === 'json')
    // On its way out Node resets the terminal, and aborts when there is none any more. Nobody handles the signal now.
    if (signal === 'SIGHUP') process.kill(process.pid, signal)
    return exitStatus(outcome, signal)
  } finally {
    machine.terminate()
  }
}

type MachineParts = Pick<MachineConfig, 'image' | 'output' | 'onExit'> & { vmm: Vmm; onTerminal: boolean }

function createMachine(options: StartOptions, { onTerminal, ...parts }: MachineParts): Machine {
  const { name, memory, cpu, kernel, commandLine, clock } = options
  const words = kernel === undefined && onTerminal ? builtinGuestWords() : []
  try {
    return new Machine({
      ...parts,
      name,
      memory,
      cpu,
      host: nodeHost,
      ...(clock === 'instructions' && { random: reproducibleRandom() }),
      commandLine: [...words, commandLine].filter((word) => word !== '').join(' '),
    })
  } catch (error) {
    if (error instanceof LoaderError) throw new VmctlError(`${kernel ?? BUILTIN_GUEST}: ${error.message}`)
    if (error instanceof VmmError) throw new VmctlError(`${memory / MB} MB of memory: ${error.message} (${error.code})`)
    throw error
  }
}

/** What makes the built-in guest good company on a terminal. */
function builtinGuestWords(): string[] {
  return pc.isColorSupported ? ['shell', 'color'] : ['shell']
}

interface Ended {
  readonly outcome: Outcome
  readonly seconds: number
  readonly signal: EndingSignal | undefined
}

/** A signal ends the guest, not the process: the terminal is put back, and the statistics are printed. */
async function runOn(terminal: Terminal, machine: Machine): Promise<Ended> {
  let signal: EndingSignal | undefined
  const onSignal = (name: NodeJS.Signals): void => {
    signal ??= name as EndingSignal
    machine.stop()
  }
  const names = Object.keys(SIGNALS)
  for (const name of names) process.on(name, onSignal)
  terminal.open()
  const started = performance.now()
  try {
    const outcome = await machine.run()
    return { outcome, seconds: (performance.now() - started) / 1000, signal }
  } finally {
    terminal.close()
    for (const name of names) process.off(name, onSignal)
  }
}

function report(run: Run, { statistics }: StartOptions, onTerminal: boolean): void {
  const { message, reason } = run.outcome
  if (statistics === 'json') {
    process.stderr.write(formatJson(run))
    return
  }
  if (message !== undefined) process.stderr.write(`vmctl: start: ${run.name}: ${message}\n`)
  else if (reason === 'interrupted' && onTerminal) process.stderr.write(pc.dim('\nDisconnected\n'))
  if (statistics === 'text') process.stderr.write(`\n${formatText(run)}`)
}
