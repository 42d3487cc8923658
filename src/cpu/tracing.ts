/**
 * A processor that tells what it does: each instruction with its bytes, its disassembly and the registers it changed. It
 * runs one instruction at a time, a thousand times slower than Cpu, until its observer has seen enough. Nothing that the
 * guest can notice is different: looking at an instruction sets no accessed bit and fills no TLB entry.
 */
import { Cpu, type CpuOptions } from './cpu.ts'
import { disassemble } from './decoder/disassemble.ts'
import { DecodeStatus, Instruction } from './decoder/instruction.ts'
import { Decoders } from './decoders.ts'
import * as L from './layout.ts'

export interface RegisterChange {
  readonly name: string
  readonly value: bigint
}

export interface ExecutedInstruction {
  /** Offset in CS. */
  readonly rip: bigint
  /** None when they can not be fetched. */
  readonly bytes: Uint8Array
  /** In Intel syntax, or in parentheses why there is no instruction. */
  readonly text: string
  readonly changes: readonly RegisterChange[]
  /** Made between the instruction before and this one: the results of what the vmm emulates, an event's delivery. */
  readonly outside: readonly RegisterChange[]
  /** An exception or a software interrupt was delivered: its own, or one that comes before the next instruction. */
  readonly event: boolean
}

/** Returns whether it wants to hear of the next one. */
export type InstructionObserver = (instruction: ExecutedInstruction) => boolean

const MAX_LENGTH = 15
const PAGE = 4096n
const NOT_MAPPED = 0xffffffffffffffffn

export class TracingCpu extends Cpu {
  readonly #registers: RegisterWatch
  readonly #decoders: Decoders
  readonly #instruction = new Instruction()
  #observer: InstructionObserver | undefined

  constructor(options: CpuOptions, observer: InstructionObserver) {
    super(options)
    this.#observer = observer
    this.#decoders = new Decoders(this.features)
    this.#registers = new RegisterWatch(this)
  }

  /** As Cpu's, but always exact as long as there is an observer. */
  override run(budget: number, exact = false): number {
    let left = budget
    while (this.#observer !== undefined && left > 0) {
      const piece = this.#eventIsDue() ? 0 : 1
      const reason = piece === 0 ? super.run(0, true) : this.#step(this.#observer)
      left -= piece - (this.readU32(L.BUDGET) | 0)
      this.writeU32(L.BUDGET, left)
      if (reason !== L.EXIT_BUDGET) return reason
    }
    return left > 0 || budget <= 0 ? super.run(left, exact) : L.EXIT_BUDGET
  }

  /** An exception or a debug trap comes before the next instruction; a run of no instructions delivers it. */
  #eventIsDue(): boolean {
    if ((this.readU32(L.FAULT_VECTOR) | 0) >= 0) return true
    const attention = this.readU32(L.ATTENTION)
    return (attention & L.ATTENTION_PENDING_DB) !== 0 && (attention & L.ATTENTION_SS_SHADOW) === 0
  }

  /** One instruction. BUDGET is 0 afterwards, or 1 when an exit came before it. */
  #step(observer: InstructionObserver): number {
    const outside = this.#registers.changes()
    const rip = this.readU64(L.RIP)
    const code = this.#look(rip)
    const events = this.readU64(L.COUNT_EVENT)
    const reason = super.run(1, true)
    if ((this.readU32(L.BUDGET) | 0) > 0) return reason
    const changes = this.#registers.changes()
    const event = this.readU64(L.COUNT_EVENT) !== events
    if (!observer({ rip, ...code, changes, outside, event })) this.#observer = undefined
    return reason
  }

  /** What the processor is about to run. */
  #look(rip: bigint): { bytes: Uint8Array; text: string } {
    const mode = this.readU32(L.MODE)
    const linear = mode === L.MODE_64 ? rip : BigInt.asUintN(32, this.readU64(L.CS + L.SEG_BASE) + rip)
    const bytes = this.#fetch(linear)
    const decoder = this.#decoders.of(mode)
    const instruction = this.#instruction
    const status = decoder.decode(bytes, 0, bytes.length, instruction)
    const read = bytes.subarray(0, Math.max(1, instruction.length))
    switch (status) {
      case DecodeStatus.ok:
        return { bytes: read, text: disassemble(instruction, rip) }
      case DecodeStatus.truncated:
        return { bytes, text: '(not all of it can be fetched)' }
      case DecodeStatus.tooLong:
        return { bytes, text: '(too long)' }
      default:
        return { bytes: read, text: '(undefined)' }
    }
  }

  #fetch(linear: bigint): Uint8Array {
    const code: number[] = []
    for (let at = linear; code.length < MAX_LENGTH; at = (at / PAGE + 1n) * PAGE) {
      const host = this.#hostOfLinear(at)
      if (host < 0) break
      const here = Math.min(Number(PAGE - (at % PAGE)), MAX_LENGTH - code.length)
      code.push(...this.bytes.subarray(host, host + here))
    }
    return Uint8Array.from(code)
  }

  #hostOfLinear(linear: bigint): number {
    const gpa = BigInt.asUintN(64, this.runtime.lookUp(linear))
    return gpa === NOT_MAPPED ? -1 : this.hostOf(Number(gpa))
  }
}

interface Register {
  readonly name: string
  /** Of its lowest word. */
  readonly address: number
  /** Of 32 bits. */
  readonly words: number
}

const register = (name: string, address: number, words = 2): Register => ({ name, address, words })
const numbered = (count: number, name: (index: number) => string, address: number, size: number, words = 2) =>
  Array.from({ length: count }, (_, index) => register(name(index), address + index * size, words))

const GPR_NAMES = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi']
const SEGMENT_NAMES = ['es', 'cs', 'ss', 'ds', 'fs', 'gs', 'ldtr', 'tr']

/** In the order in which they are told. RFLAGS, which is kept in pieces, comes last. */
const REGISTERS: readonly Register[] = [
  ...numbered(16, (index) => GPR_NAMES[index] ?? `r${index}`, L.GPR, 8),
  ...numbered(8, (index) => SEGMENT_NAMES[index] as string, L.SEGMENTS + L.SEG_SELECTOR, L.SEGMENT_SIZE, 1),
  register('fs.base', L.FS),
  register('gs.base', L.GS),
  register('gdtr', L.GDTR),
  register('idtr', L.IDTR),
  register('cr0', L.CR0),
  register('cr2', L.CR2),
  register('cr3', L.CR3),
  register('cr4', L.CR4),
  register('cr8', L.CR8),
  register('xcr0', L.XCR0),
  register('efer', L.EFER),
  register('kernel_gs_base', L.KERNEL_GS_BASE),
  ...numbered(4, (index) => `dr${index}`, L.DR0, 8),
  register('dr6', L.DR6),
  register('dr7', L.DR7),
  ...numbered(16, (index) => `xmm${index}`, L.YMM, 32, 4),
  ...numbered(16, (index) => `ymm${index}.high`, L.YMM + 16, 32, 4),
  register('mxcsr', L.MXCSR, 1),
]

/** Finds out which registers have changed since it last looked. */
class RegisterWatch {
  readonly #cpu: Cpu
  readonly #state: Uint32Array
  readonly #seen: Uint32Array
  #rflags = 0n

  constructor(cpu: Cpu) {
    this.#cpu = cpu
    this.#state = new Uint32Array(cpu.memory.buffer, 0, L.WALK_CACHE >> 2)
    this.#seen = this.#state.slice()
    this.#rflags = cpu.rflags
  }

  changes(): RegisterChange[] {
    const changed = REGISTERS.filter((register) => this.#differs(register)).map((register) => this.#read(register))
    const rflags = this.#cpu.rflags
    if (rflags !== this.#rflags) changed.push({ name: 'rflags', value: rflags })
    this.#rflags = rflags
    this.#seen.set(this.#state)
    return changed
  }

  #differs({ address, words }: Register): boolean {
    const first = address >> 2
    for (let at = first; at < first + words; at++) if (this.#state[at] !== this.#seen[at]) return true
    return false
  }

  #read({ name, address, words }: Register): RegisterChange {
    let value = 0n
    for (let at = (address >> 2) + words - 1; at >= address >> 2; at--) {
      value = (value << 32n) | BigInt(this.#state[at] as number)
    }
    return { name, value }
  }
}
