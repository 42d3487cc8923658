/** What the user wants to see of a run besides the console: a trace, the regions translated, a profile. */
import type { TranslationObserver } from '../node/engines.ts'
import { readImage, writeText } from '../node/files.ts'
import { TextOutput } from '../node/output.ts'
import { regionWriter } from '../node/regions.ts'
import { type CodeSymbol, codeSymbols, type MachineConfig } from '../vmd/index.ts'
import type { VmmOptions } from '../vmm/index.ts'
import { refusing } from './error.ts'
import { formatProfile, Profile, type ProfileRow } from './profile.ts'
import { parseSymbols, SymbolMap } from './symbols.ts'
import { Trace, type TraceKind } from './trace.ts'

export interface WatchOptions {
  readonly trace: TraceOptions | undefined
  /** Directory for translated regions. */
  readonly regions: string | undefined
  readonly profile: ProfileOptions | undefined
}

export interface TraceOptions {
  readonly kinds: readonly TraceKind[]
  /** stderr when absent. */
  readonly file: string | undefined
  /** Lines. */
  readonly limit: number | undefined
}

export interface ProfileOptions {
  /** stderr when absent. */
  readonly file: string | undefined
  /** A file of symbols; the kernel's own when absent. */
  readonly symbols: string | undefined
}

export class Watch {
  readonly device: Pick<VmmOptions, 'onInstruction' | 'onSample'>
  readonly machine: Pick<MachineConfig, 'onExit'>
  /** Of the translator. */
  readonly observer: TranslationObserver | undefined
  readonly #options: WatchOptions
  readonly #output: TextOutput | undefined
  readonly #profile: Profile | undefined

  /** @throws VmctlError when a file can not be opened */
  static async open(options: WatchOptions, kernel: Uint8Array): Promise<Watch> {
    const { trace, regions, profile } = options
    const output = trace && (await refusing(() => new TextOutput(trace.file)))
    const writer = regions === undefined ? undefined : await refusing(() => regionWriter(regions))
    const symbols = profile && new SymbolMap(await readSymbols(profile.symbols, kernel))
    return new Watch(options, output, writer, symbols && new Profile(symbols))
  }

  private constructor(
    options: WatchOptions,
    output: TextOutput | undefined,
    writer: TranslationObserver | undefined,
    profile: Profile | undefined,
  ) {
    this.#options = options
    this.#output = output
    this.#profile = profile
    const trace = output && new Trace((text) => output.write(text), options.trace?.limit)
    const wants = (kind: TraceKind): boolean => options.trace?.kinds.includes(kind) ?? false
    this.device = {
      ...(trace && wants('instructions') && { onInstruction: (instruction) => trace.instruction(instruction) }),
      ...(profile && { onSample: (sample) => profile.add(sample) }),
    }
    this.machine = trace && wants('exits') ? { onExit: (event) => trace.exit(event) } : {}
    const lines = trace && wants('translations') ? observerOf(trace) : undefined
    this.observer = both(lines, writer)
  }

  /** The run is over: writes what is left of the trace. */
  close(): void {
    this.#output?.close()
  }

  /** Undefined when it was not asked for. */
  get profile(): ProfileRow[] | undefined {
    return this.#profile?.rows()
  }

  /** Prints the profile for people; to stderr only when `quiet` is not set. */
  async reportProfile(quiet: boolean): Promise<void> {
    if (this.#profile === undefined) return
    const text = formatProfile(this.#profile.rows())
    const file = this.#options.profile?.file
    if (file !== undefined) await refusing(() => writeText(file, text))
    else if (!quiet) process.stderr.write(`\n${text}`)
  }
}

function observerOf(trace: Trace): TranslationObserver {
  return { translated: (event) => trace.translated(event), dropped: (event) => trace.dropped(event) }
}

/** One observer out of two. */
function both(
  first: TranslationObserver | undefined,
  second: TranslationObserver | undefined,
): TranslationObserver | undefined {
  if (first === undefined || second === undefined) return first ?? second
  return {
    marks: first.marks === true || second.marks === true,
    translated: (event) => {
      first.translated?.(event)
      second.translated?.(event)
    },
    dropped: (event) => {
      first.dropped?.(event)
      second.dropped?.(event)
    },
  }
}

async function readSymbols(path: string | undefined, kernel: Uint8Array): Promise<CodeSymbol[]> {
  if (path === undefined) return refusing(() => codeSymbols(kernel))
  const file = await refusing(() => readImage(path))
  const symbols = await refusing(() => codeSymbols(file))
  return symbols.length > 0 ? symbols : parseSymbols(Buffer.from(file).toString('latin1'), path)
}
