/**
 * A processor set up as the corpus was captured. It runs one case after the other; exceptions are intercepted before
 * delivery, as the corpus records them.
 */
import { Cpu, type TranslatorFactory } from '../../src/cpu/cpu.ts'
import * as L from '../../src/cpu/layout.ts'
import { type Case, defaultWord, type Mode } from './corpus.ts'
import { initialFlags, STATE_END, STATE_START, writeChange, writeDefaults } from './state.ts'
import {
  MEMORY_SIZE,
  type Platform,
  type Segment,
  segmentsOf,
  withNarrowEs,
  writeSegment,
  writeSystemRegisters,
  writeTables,
} from './tables.ts'

const CODE_START = 0x4000
const CODE_END = 0x7000
const DATA_START = 0x8000
const DATA_END = 0xf000
/** Everything that a case may reach: the first 64 KB. */
const WINDOW = 0x10000
const HLT = 0xf4
const EXIT_REASON_HLT = 12
const VECTOR_GP = 13

export interface Outcome {
  readonly exc: { vector: number; error: number | undefined; cr2: bigint } | null
  /** Another exit than an exception. */
  readonly exit: number | undefined
}

const SEGMENT_PLACES = [L.ES, L.CS, L.SS, L.DS, L.FS, L.GS]

export class VectorMachine {
  readonly cpu: Cpu
  readonly platform: Platform
  /** The part of the processor's state that holds what the corpus names, and its copy as the case began. */
  readonly state: Uint8Array
  readonly before = new Uint8Array(STATE_END - STATE_START)
  /** Memory as it is, as it was when the case began, and as the corpus has it by default. */
  readonly window: Uint8Array
  readonly windowBefore = new Uint8Array(WINDOW)
  readonly #defaults = new Uint8Array(WINDOW)
  readonly #words: Uint32Array
  readonly #base: number
  /** As the cases of a mode begin: as the corpus has them, and with a narrow ES. */
  readonly #segments = new Map<Mode, { whole: readonly Segment[]; narrow: readonly Segment[] }>()

  constructor(platform: Platform, memseed: number, translator?: TranslatorFactory) {
    this.platform = platform
    const cpu = new Cpu({
      ranges: [{ gpa: 0, size: MEMORY_SIZE }],
      cr4Allowed: 0x3f07ffn,
      xcr0Allowed: 7n,
      ...(translator && { translator }),
    })
    this.cpu = cpu
    this.#base = cpu.hostOf(0)
    this.state = cpu.bytes.subarray(STATE_START, STATE_END)
    this.window = cpu.bytes.subarray(this.#base, this.#base + WINDOW)
    this.#words = new Uint32Array(cpu.memory.buffer, STATE_START, (STATE_END - STATE_START) / 4)
    this.#defaults.fill(HLT, CODE_START, CODE_END)
    const words = new DataView(this.#defaults.buffer)
    for (let at = DATA_START; at < DATA_END; at += 4) words.setUint32(at, defaultWord(memseed, at >>> 2), true)
    this.reset()
  }

  /** Everything that a case does not load: tables and system registers. They need it again after one that failed. */
  reset(): void {
    writeTables(new DataView(this.cpu.bytes.buffer, this.#base, MEMORY_SIZE), this.platform)
    writeSystemRegisters(this.cpu, this.platform)
  }

  /** Loads a case's initial state; `narrow`: with an ES that is not flat. */
  load(test: Case, narrow = false): void {
    const cpu = this.cpu
    const segments = this.#segmentsOf(test.mode)[narrow ? 'narrow' : 'whole']
    SEGMENT_PLACES.forEach((at, n) => {
      writeSegment(cpu, at, segments[n] as Segment)
    })
    writeDefaults(this.#words, test, segments[1] as Segment, segments[2] as Segment)
    writeChange(this.state, test.init)
    cpu.writeU32(L.FAULT_VECTOR, 0xffffffff)
    cpu.writeU32(L.ATTENTION, 0)
    cpu.writeU32(L.PENDING_DB, 0)
    cpu.rflags = BigInt(initialFlags(test))
    this.#loadMemory(test)
    cpu.refresh()
    this.before.set(this.state)
  }

  #segmentsOf(mode: Mode): { whole: readonly Segment[]; narrow: readonly Segment[] } {
    const known = this.#segments.get(mode)
    if (known) return known
    const whole = segmentsOf(mode, this.platform)
    const segments = { whole, narrow: withNarrowEs(whole) }
    this.#segments.set(mode, segments)
    return segments
  }

  #loadMemory(test: Case): void {
    const { window } = this
    window.set(this.#defaults)
    for (const [address, bytes] of test.init.mem ?? []) window.set(Buffer.from(bytes, 'hex'), fold(address))
    window.set(Buffer.from(test.code, 'hex'), this.#codeAddress & 0xffff)
    this.windowBefore.set(window)
    this.cpu.written(this.#base, WINDOW)
  }

  /** Linear address of the next instruction, modulo 4 GB. */
  get #codeAddress(): number {
    return (this.cpu.readU32(L.CS + L.SEG_BASE) + this.cpu.readU32(L.RIP)) >>> 0
  }

  /** Runs until the case stops as it was captured: at the HLT after the code, or with an exception. */
  run(): Outcome {
    const cpu = this.cpu
    const start = cpu.readU64(L.RIP)
    const reason = cpu.run(1_000_000)
    const ended = cpu.readU64(L.RIP) !== start && this.#isHalt()
    if (reason !== 0) {
      // Real mode is privilege level 0: there HLT is no exception.
      if (reason === EXIT_REASON_HLT && ended) return { exc: null, exit: undefined }
      return { exc: null, exit: reason }
    }
    const vector = cpu.readU32(L.FAULT_VECTOR)
    const error = cpu.readU32(L.FAULT_HAS_ERROR) ? cpu.readU32(L.FAULT_ERROR) : undefined
    if (vector === VECTOR_GP && error === 0 && ended) return { exc: null, exit: undefined }
    return { exc: { vector, error, cr2: cpu.readU64(L.FAULT_CR2) }, exit: undefined }
  }

  /** The HLTs that cases end at are in the code area. */
  #isHalt(): boolean {
    const at = this.#codeAddress
    return at >= CODE_START && at < CODE_END && this.window[at] === HLT
  }
}

/** Offset of a linear address in the low 64 KB: the aliases end in the same 16 bits. */
export function fold(address: string): number {
  return Number.parseInt(address.slice(-4), 16)
}
