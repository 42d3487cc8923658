/**
 * The command line of vmctl(8), as far as there is something behind it. Commands may be abbreviated as long as they stay
 * unambiguous, as in vmctl(8); options that name what is still to come are known, and refused in words.
 */
import { Command } from 'commander'
import type { Engine } from '../node/engines.ts'
import { packageVersion } from '../node/files.ts'
import { cpuModel, DEFAULT_CPU, VMM_MAX_NAME_LEN, VmmError } from '../vmm/index.ts'
import { formatCpuJson, formatCpuText } from './cpu-list.ts'
import { CLOCKS, ENGINES, explained, oneOf } from './device.ts'
import { VmctlError } from './error.ts'
import { EXIT_STATUS_HELP } from './exit-status.ts'
import { parseMemorySize } from './size.ts'
import { type StartOptions, start } from './start.ts'
import { TRACE_KINDS } from './trace.ts'
import type { ProfileOptions, TraceOptions } from './watch.ts'

const START_HELP = `
The kernel is ELF (64-bit or 32-bit) or multiboot 1. It gets COM1 on stdin and stdout; nothing else is printed
there. On a terminal every key goes to the guest, and ~. at the beginning of a line leaves.
${EXIT_STATUS_HELP}

Examples:
  vmctl start -c guest                 the built-in guest; on a terminal it offers a shell
  vmctl start -c --append 'nocheck run=fib' --stats guest
  vmctl start -c -m 64M -b kernel.elf test`

/** The options of start, as commander hands them over. */
interface StartFlags {
  readonly c?: true
  readonly m: string
  readonly b?: string
  readonly i?: string
  readonly d?: string
  readonly r?: string
  readonly initrd?: string
  readonly append: string
  readonly cpu: string
  readonly engine?: string
  readonly clock: string
  readonly trace?: string
  readonly traceFile?: string
  readonly traceLimit?: string
  readonly dumpRegions?: string
  /** Path, or empty. */
  readonly profile?: string
  readonly symbols?: string
  readonly stats?: true
  readonly json?: true
}

/** Options whose devices or loaders do not exist yet. */
const TO_COME = [
  ['i', '-i', 'network interfaces'],
  ['d', '-d', 'disks'],
  ['r', '-r', 'CD-ROMs'],
  ['initrd', '--initrd', 'initial RAM disks'],
] as const

/** Parses and runs a command line. Returns the exit status. @throws VmctlError, CommanderError */
export async function runCommand(args: readonly string[]): Promise<number> {
  let status = 0
  const program = new Command('vmctl')
    .description('control virtual machines, after vmctl(8)')
    .usage('command [arg ...]')
    .version(packageVersion(), '--version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .addHelpText('after', EXIT_STATUS_HELP)
  describeStart(program.command('start')).action(async (name: string, flags: StartFlags) => {
    status = await start(startOptions(name, flags))
  })
  for (const command of [program, ...program.commands]) {
    command.exitOverride().configureOutput({ outputError: () => {} })
  }
  // The file of --profile is optional, and must not be taken for the name of the VM.
  const words = args.map((word) => (word === '--profile' ? '--profile=' : word))
  if (asksForCpus(words)) {
    process.stdout.write(words.includes('--json') ? formatCpuJson() : formatCpuText())
    return 0
  }
  await program.parseAsync(words, { from: 'user' })
  return status
}

/** `--cpu help`, whatever else is missing. */
function asksForCpus(words: readonly string[]): boolean {
  return words[0] === 'start' && (words.includes('--cpu=help') || words[words.indexOf('--cpu') + 1] === 'help')
}

/** The full names of commands, for abbreviations. */
const COMMANDS = ['start', 'help']

/** A unique beginning of a command's name stands for the command. @throws VmctlError */
export function expandCommand(args: readonly string[]): string[] {
  const [first, ...rest] = args
  if (first === undefined || first.startsWith('-')) return [...args]
  const matches = COMMANDS.filter((name) => name.startsWith(first))
  if (matches.length > 1) throw new VmctlError(`ambiguous argument: ${first}`)
  if (matches[0] === undefined) throw new VmctlError(`unknown argument: ${first} (vmctl --help lists the commands)`)
  return [matches[0], ...rest]
}

function describeStart(command: Command): Command {
  return command
    .description('start a VM')
    .argument('<name>', 'name of the VM')
    .option('-c', 'connect to the console: run in the foreground')
    .option('-m <size>', 'memory, like 64M or 1G', '512M')
    .option('-b <path>', 'kernel to boot (default: the built-in guest)')
    .option('-i <count>', 'network interfaces (to come)')
    .option('-d <disk>', 'disk image (to come)')
    .option('-r <iso>', 'CD image (to come)')
    .option('--initrd <path>', 'initial RAM disk (to come)')
    .option('--append <words>', "the kernel's command line", '')
    .option('--cpu <model>', "CPU model, like x86-64-v2,+aes,-popcnt; 'help' lists models and features", DEFAULT_CPU)
    .option('--engine <engine>', `${explained(ENGINES)}; default both`)
    .option('--clock <clock>', explained(CLOCKS), 'host')
    .option('--trace <kinds>', `what to trace, separated by commas: ${explained(TRACE_KINDS)}`)
    .option('--trace-file <path>', 'where the trace goes instead of to stderr')
    .option('--trace-limit <lines>', 'end the trace after so many lines, and go on at full speed')
    .option(
      '--dump-regions <directory>',
      'write the guest code, the control flow and the wasm of each translated region',
    )
    .option(
      '--profile [path]',
      'at the end, tell where the guest has spent its time, to a file (--profile=path) or stderr',
    )
    .option(
      '--symbols <path>',
      "names for the profile: ELF, System.map or the output of nm (default: the kernel's own)",
    )
    .option('--stats', 'at the end, print what the run has cost to stderr')
    .option('--json', 'the same, as one JSON object')
    .helpOption('-h, --help', 'print help')
    .addHelpText('after', START_HELP)
}

function startOptions(name: string, flags: StartFlags): StartOptions {
  checkName(name)
  for (const [key, option, what] of TO_COME) {
    if (flags[key] !== undefined) throw new VmctlError(`${option}: ${what} are not there yet`)
  }
  if (!flags.c) throw new VmctlError('VMs in the background are not there yet: give -c to stay on the console')
  const trace = traceOptions(flags)
  return {
    name,
    engine: engineOf(flags, trace),
    clock: oneOf(CLOCKS, '--clock', flags.clock),
    memory: memorySize(flags.m),
    cpu: checkCpu(flags.cpu),
    kernel: flags.b,
    commandLine: flags.append,
    trace,
    regions: flags.dumpRegions,
    profile: profileOptions(flags),
    statistics: flags.json ? 'json' : flags.stats ? 'text' : 'none',
  }
}

/** Instructions that are traced are interpreted; with a limit, the engine has its turn afterwards. */
function engineOf({ engine }: StartFlags, trace: TraceOptions | undefined): Engine {
  const wanted = oneOf(ENGINES, '--engine', engine ?? 'both')
  if (!trace?.kinds.includes('instructions') || trace.limit !== undefined) return wanted
  if (engine !== undefined && wanted !== 'interpreter') {
    process.stderr.write(
      `vmctl: start: --trace instructions: the guest is interpreted, --engine ${engine} is not used\n`,
    )
  }
  return 'interpreter'
}

function traceOptions({ trace, traceFile, traceLimit }: StartFlags): TraceOptions | undefined {
  if (trace === undefined) {
    if (traceFile !== undefined || traceLimit !== undefined) throw new VmctlError('nothing is traced without --trace')
    return undefined
  }
  const kinds = trace.split(',').map((kind) => oneOf(TRACE_KINDS, '--trace', kind))
  if (traceLimit !== undefined && !/^[1-9]\d*$/.test(traceLimit)) {
    throw new VmctlError(`--trace-limit ${traceLimit}: expected a number of lines`)
  }
  return { kinds, file: traceFile, limit: traceLimit === undefined ? undefined : Number(traceLimit) }
}

function profileOptions({ profile, symbols }: StartFlags): ProfileOptions | undefined {
  if (profile === undefined) {
    if (symbols !== undefined) throw new VmctlError('--symbols are of use for --profile only')
    return undefined
  }
  return { file: profile || undefined, symbols }
}

function memorySize(text: string): number {
  const { bytes, megabytes, rounded } = parseMemorySize(text)
  if (rounded) process.stderr.write(`vmctl: start: size rounded to ${megabytes} megabytes\n`)
  return bytes
}

function checkCpu(text: string): string {
  try {
    return cpuModel(text).name
  } catch (error) {
    if (error instanceof VmmError) throw new VmctlError(`--cpu ${text}: ${error.message}`)
    throw error
  }
}

function checkName(name: string): void {
  if (name.length >= VMM_MAX_NAME_LEN) throw new VmctlError('vm name too long')
  if (!/^[a-z0-9][a-z0-9._-]*$/i.test(name)) throw new VmctlError(`invalid VM name: ${name}`)
}
