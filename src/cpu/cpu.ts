/**
 * The processor as its owner (the vmm) sees it: one WebAssembly.Memory with CPU state, caches and guest RAM, and the two
 * modules that work on it. Everything that a guest instruction does happens in WebAssembly; this class enters it, decodes
 * instructions when asked (exit EXIT_DECODE never leaves run()), and gives the owner registers, memory and exits.
 */
import { FEATURES, type Feature } from './decoder/features.ts'
import { MAX_PATH, MAX_TRACE } from './interpreter/record.ts'
import { TraceDecoder } from './interpreter/trace.ts'
import * as L from './layout.ts'
import { interpreterModule, type Runtime, runtimeModule } from './modules.ts'
import { type ProcessorStatistics, readCounters } from './statistics.ts'
import type { Translator, TranslatorFactory } from './translator.ts'

export type { Translator, TranslatorFactory, TranslatorHost } from './translator.ts'

/** A piece of guest-physical memory; both numbers are multiples of 4096 bytes. */
export interface MemoryRange {
  readonly gpa: number
  readonly size: number
}

export interface CpuOptions {
  /** Ascending, not overlapping, 1 to 16 of them. */
  readonly ranges: readonly MemoryRange[]
  /** Instructions of other features are #UD. Default: all features, as far as they are implemented. */
  readonly features?: Iterable<Feature>
  /** A page-directory-pointer entry may map 1 GB. Default true. */
  readonly gigabytePages?: boolean
  /** CR4 bits that a guest may set; writing another one is #GP. */
  readonly cr4Allowed?: bigint
  /** EFER bits that a guest may set. */
  readonly eferAllowed?: bigint
  /** XCR0 bits that a guest may set. */
  readonly xcr0Allowed?: bigint
  /** Width of a guest-physical address (CPUID 80000008 EAX); bits above are reserved in page tables. */
  readonly physicalBits?: number
  /** SYSENTER and SYSEXIT work in long mode, as on Intel processors; on AMD's they are #UD there (the default). */
  readonly longModeSysenter?: boolean
  /** Makes the translator; without it everything is interpreted. */
  readonly translator?: TranslatorFactory
}

const WASM_PAGE = 65536
/** A wasm memory has at most 65536 pages of 64 KB; V8 allows 65536. */
const MAX_MEMORY = 65536 * WASM_PAGE

/** TSD DE PSE PAE MCE PGE PCE FSGSBASE SMEP SMAP. */
const DEFAULT_CR4 = 0x3101fcn
/** SCE, LME, LMA, NXE. */
const DEFAULT_EFER = 0xd01n

export class Cpu {
  readonly memory: WebAssembly.Memory
  /** All of the memory as bytes; guest RAM is reached with `hostOf`. */
  readonly bytes: Uint8Array
  /** The functions of the runtime module. */
  readonly runtime: Runtime
  /** Those that instructions depend on. */
  protected readonly features: readonly Feature[]
  readonly #view: DataView
  readonly #u32: Uint32Array
  readonly #run: () => number
  readonly #decoder: TraceDecoder
  readonly #ranges: readonly (MemoryRange & { host: number })[]
  readonly #translator: Translator | undefined
  #retired = 0n

  /** @throws RangeError when the host has not that much memory. */
  constructor(options: CpuOptions) {
    const ram = options.ranges.reduce((sum, range) => sum + range.size, 0)
    const pages = ram / 4096
    const ramStart = align(L.PAGES + (pages << L.PAGE_SIZE_LOG2), WASM_PAGE)
    const total = align(ramStart + ram, WASM_PAGE)
    if (total > MAX_MEMORY) throw new RangeError(`${ram} bytes of guest memory do not fit a 4 GB WebAssembly memory`)
    this.memory = new WebAssembly.Memory({ initial: total / WASM_PAGE, maximum: total / WASM_PAGE })
    this.bytes = new Uint8Array(this.memory.buffer)
    this.#view = new DataView(this.memory.buffer)
    this.#u32 = new Uint32Array(this.memory.buffer)
    this.#ranges = placeRanges(options.ranges, ramStart)
    this.#writeRanges(ramStart, ram)
    this.writeU64(L.CR4_ALLOWED, options.cr4Allowed ?? DEFAULT_CR4)
    this.writeU64(L.EFER_ALLOWED, options.eferAllowed ?? DEFAULT_EFER)
    this.writeU64(L.XCR0_ALLOWED, options.xcr0Allowed ?? 1n)
    this.writeU32(L.PHYSICAL_BITS, options.physicalBits ?? 40)
    this.writeU32(L.LONG_SYSENTER, options.longModeSysenter ? 1 : 0)
    this.writeU32(L.GIGABYTE_PAGES, (options.gigabytePages ?? true) ? 1 : 0)
    this.features = [...(options.features ?? FEATURES)]
    this.writeU32(L.COMPACTED_STATE, this.features.includes('xsavec') ? 1 : 0)
    const runtime = new WebAssembly.Instance(runtimeModule(), { env: { memory: this.memory } })
    this.runtime = runtime.exports as unknown as Runtime
    const regions = new WebAssembly.Table({ element: 'anyfunc', initial: L.MAX_REGIONS })
    const interpreter = new WebAssembly.Instance(interpreterModule(), {
      env: { memory: this.memory, regions },
      runtime: runtime.exports,
    })
    this.#run = interpreter.exports.run as () => number
    this.runtime.initialize()
    this.#decoder = new TraceDecoder(this.bytes, this.runtime, this.features)
    const { memory, bytes, features } = this
    this.#translator = options.translator?.({ memory, bytes, features, runtime: this.runtime, regions })
  }

  /**
   * Runs the guest until something must be done outside.
   *
   * @param budget instructions (attempted ones and delivered exceptions count) before it returns EXIT_BUDGET; at most 2^31 - 1
   * @param exact the budget is met to the instruction; otherwise the run may end early: by less than MAX_PATH
   *   instructions with a translator, MAX_TRACE without
   * @returns a VMX basic exit reason or EXIT_BUDGET; details are in the EXIT_ fields of the state
   */
  run(budget: number, exact = false): number {
    const translator = this.#translator
    if (translator === undefined) return this.#runSlice(budget, exact)
    let left = budget
    for (;;) {
      // The last instructions of an exact run are interpreted; where it ends says nothing of what is hot.
      const last = left <= MAX_PATH
      const slice = last ? left : Math.min(translator.interval, exact ? left - MAX_PATH : left)
      const reason = this.#runSlice(slice, last && exact)
      left -= slice - ((this.#u32[L.BUDGET >> 2] as number) | 0)
      if (!last && reason === L.EXIT_BUDGET) translator.sample()
      if (reason !== L.EXIT_BUDGET || left <= 0 || (left < MAX_PATH && !exact)) {
        this.#u32[L.BUDGET >> 2] = left
        return reason
      }
    }
  }

  #runSlice(budget: number, exact: boolean): number {
    const u32 = this.#u32
    u32[L.BUDGET >> 2] = budget
    // Less than that could not be spent at all otherwise.
    const least = this.#translator === undefined ? MAX_TRACE : MAX_PATH
    u32[L.EXACT >> 2] = exact || budget < least ? 1 : 0
    u32[L.EXIT_REASON >> 2] = L.EXIT_NONE
    let reason = this.#run()
    while (reason === L.EXIT_DECODE) {
      u32[L.EXIT_REASON >> 2] = L.EXIT_NONE
      this.#decoder.decode()
      this.#translator?.decoded()
      reason = this.#run()
    }
    this.#retired += BigInt(budget - ((u32[L.BUDGET >> 2] as number) | 0))
    return reason
  }

  /** Instructions run since the beginning; exact in every engine. */
  get instructions(): bigint {
    return this.#retired
  }

  statistics(): ProcessorStatistics {
    const translator = this.#translator?.statistics
    return {
      instructions: this.#retired,
      counters: readCounters((address) => this.readU64(address)),
      ...(translator && { translator: { ...translator } }),
    }
  }

  readU64(address: number): bigint {
    return this.#view.getBigUint64(address, true)
  }

  writeU64(address: number, value: bigint): void {
    this.#view.setBigUint64(address, value, true)
  }

  readU32(address: number): number {
    return this.#u32[address >> 2] as number
  }

  writeU32(address: number, value: number): void {
    this.#u32[address >> 2] = value
  }

  get rflags(): bigint {
    return BigInt.asUintN(64, this.runtime.readRflags())
  }

  set rflags(value: bigint) {
    this.runtime.writeRflags(value)
  }

  /** To be called after registers were written from outside: derives mode, privilege level and access context anew. */
  refresh(): void {
    this.runtime.refresh()
  }

  /** Completes an exiting instruction that was emulated outside: RIP moves past it, the shadow ends, TF traps. */
  advance(): void {
    this.runtime.advance()
  }

  /** Gives an IN (or the element of an INS) its data. */
  completeIn(value: number): void {
    this.runtime.completeIn(value)
  }

  /** Delivers an exception through the guest's IDT at the present RIP; with an error code when one is given. */
  raise(vector: number, errorCode = -1): void {
    this.runtime.raiseException(vector, errorCode)
  }

  /** Delivers an external interrupt. The caller has looked at `interruptible`. */
  interrupt(vector: number): void {
    this.runtime.externalInterrupt(vector)
  }

  /** RFLAGS.IF is set and no STI or MOV SS shadow is active. */
  get interruptible(): boolean {
    const shadow = this.readU32(L.ATTENTION) & L.ATTENTION_SHADOW
    return (this.readU32(L.RFLAGS) & 0x200) !== 0 && shadow === 0
  }

  /** Leave run() with INT_WINDOW as soon as the guest can take an interrupt. */
  set interruptWindow(wanted: boolean) {
    const attention = this.readU32(L.ATTENTION) & ~L.ATTENTION_WINDOW
    this.writeU32(L.ATTENTION, wanted ? attention | L.ATTENTION_WINDOW : attention)
  }

  /** Host address (offset in `bytes`) of a guest-physical address, or -1 where nothing backs it. */
  hostOf(gpa: number): number {
    for (const range of this.#ranges) {
      if (gpa >= range.gpa && gpa - range.gpa < range.size) return range.host + (gpa - range.gpa)
    }
    return -1
  }

  /** The VM is gone: nothing that was asked for in its name is waited for any more. */
  dispose(): void {
    this.#translator?.dispose()
  }

  /** Tells the processor that `length` bytes from the host address on were written from outside. */
  written(host: number, length: number): void {
    this.runtime.codeWritten(host, length)
  }

  /** Takes EPT rights (PAGE_DENY_ bits) from one page of guest RAM, or gives them back. */
  protect(host: number, denied: number): void {
    this.runtime.protectPage(host, denied)
  }

  #writeRanges(ramStart: number, ram: number): void {
    this.writeU32(L.RAM_START, ramStart)
    this.writeU32(L.RAM_END, ramStart + ram)
    this.writeU32(L.RANGE_COUNT, this.#ranges.length)
    this.#ranges.forEach((range, index) => {
      const at = L.RANGES + index * L.RANGE_SIZE
      this.writeU64(at, BigInt(range.gpa))
      this.writeU64(at + L.RANGE_BYTES, BigInt(range.size))
      this.writeU32(at + L.RANGE_HOST, range.host)
    })
  }
}

function placeRanges(ranges: readonly MemoryRange[], start: number): (MemoryRange & { host: number })[] {
  let host = start
  return ranges.map((range) => {
    const placed = { gpa: range.gpa, size: range.size, host }
    host += range.size
    return placed
  })
}

function align(value: number, to: number): number {
  return Math.ceil(value / to) * to
}
