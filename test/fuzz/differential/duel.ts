/** Two processors with the same program, one of which interprets everything. Whatever can be seen of them must be the same. */
import { Cpu, type TranslatorFactory } from '../../../src/cpu/cpu.ts'
import * as L from '../../../src/cpu/layout.ts'
import { VMX_EXIT } from '../../../src/vmm/index.ts'
import { enter } from './image.ts'
import { MEMORY_SIZE } from './layout.ts'
import type { Program } from './program.ts'

/** What the host does between two runs. */
export type Action =
  | { readonly kind: 'nothing' }
  /** An external interrupt, if the guest can take one; with `window`, when it can. */
  | { readonly kind: 'interrupt'; readonly vector: number; readonly window: boolean }
  | { readonly kind: 'write'; readonly gpa: number; readonly bytes: readonly number[] }
  | { readonly kind: 'flip'; readonly gpa: number }
  | { readonly kind: 'protect'; readonly gpa: number; readonly denied: number }
  | { readonly kind: 'register'; readonly register: number; readonly value: bigint }

export interface Step {
  /** Instructions to run, exactly. */
  readonly slice: number
  readonly action: Action
}

/** A step ends with so many exits: each costs what thousands of instructions do. */
const MAX_EXITS = 300

/** Pieces of the state that a guest or the monitor can see: name, address, bytes. */
const STATE: readonly (readonly [name: string, at: number, bytes: number])[] = [
  ...['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi'].map((name, n) => [name, L.GPR + n * 8, 8] as const),
  ...[8, 9, 10, 11, 12, 13, 14, 15].map((n) => [`r${n}`, L.GPR + n * 8, 8] as const),
  ['rip', L.RIP, 8],
  ['system flags', L.RFLAGS, 8],
  ...['es', 'cs', 'ss', 'ds', 'fs', 'gs', 'ldtr', 'tr'].map(
    (name, n) => [name, L.SEGMENTS + n * L.SEGMENT_SIZE, 20] as const,
  ),
  ['gdtr', L.GDTR, 12],
  ['idtr', L.IDTR, 12],
  ['cr0', L.CR0, 8],
  ['cr2', L.CR2, 8],
  ['cr3', L.CR3, 8],
  ['cr4', L.CR4, 8],
  ['model-specific registers', L.EFER, L.DR0 - L.EFER],
  ['debug registers', L.DR0, 48],
  ['cpl', L.CPL, 4],
  ['mode', L.MODE, 4],
  ['pending fault', L.FAULT_VECTOR, 4],
  ['vector registers', L.YMM, L.MXCSR + 4 - L.YMM],
]

/** Exit details by reason; other reasons have a length. */
const DETAILS: Record<number, readonly (readonly [name: string, at: number, bytes: number])[]> = {
  [L.EXIT_BUDGET]: [],
  [VMX_EXIT.INT_WINDOW]: [],
  [VMX_EXIT.TRIPLE_FAULT]: [],
  [VMX_EXIT.EPT_VIOLATION]: [
    ['qualification', L.EXIT_VALUE, 8],
    ['guest-physical address', L.EXIT_GPA, 8],
  ],
  [VMX_EXIT.IO]: [
    ['length', L.EXIT_LENGTH, 4],
    ['value', L.EXIT_VALUE, 8],
    ['port', L.EXIT_PORT, 4],
    ['size', L.EXIT_SIZE, 4],
    ['flags', L.EXIT_IO_FLAGS, 4],
    ['pending', L.IO_PENDING, 4],
  ],
}
const LENGTH = [['length', L.EXIT_LENGTH, 4]] as const

export class Contestant {
  readonly cpu: Cpu
  readonly memory: Buffer
  readonly state: Buffer

  constructor(program: Program, translator?: TranslatorFactory) {
    this.cpu = new Cpu({ ranges: [{ gpa: 0, size: MEMORY_SIZE }], ...(translator && { translator }) })
    enter(this.cpu, program.image, program.start)
    this.memory = Buffer.from(this.cpu.bytes.buffer, this.cpu.hostOf(0), MEMORY_SIZE)
    this.state = Buffer.from(this.cpu.bytes.buffer, 0, 0x1000)
  }

  /** Interruptible, and no exception of the last instruction still to be delivered. */
  get takesInterrupt(): boolean {
    const debugTrap = (this.cpu.readU32(L.ATTENTION) & L.ATTENTION_PENDING_DB) !== 0
    return this.cpu.interruptible && !debugTrap && (this.cpu.readU32(L.FAULT_VECTOR) | 0) < 0
  }

  /** Makes the guest go on after an exit. False when it can not. */
  settle(reason: number): boolean {
    const { cpu } = this
    switch (reason) {
      case L.EXIT_BUDGET:
        return true
      case VMX_EXIT.TRIPLE_FAULT:
        return false
      case VMX_EXIT.EPT_VIOLATION:
        this.allowAll()
        return true
      case VMX_EXIT.IO:
        if ((cpu.readU32(L.EXIT_IO_FLAGS) & L.IO_IN) !== 0) cpu.completeIn(cpu.readU32(L.EXIT_PORT) * 0x1357)
        return true
      case VMX_EXIT.INT_WINDOW:
        cpu.interruptWindow = false
        cpu.interrupt(0x33)
        return true
      default:
        cpu.advance()
        return true
    }
  }

  allowAll(): void {
    for (let gpa = 0; gpa < MEMORY_SIZE; gpa += 4096) this.cpu.protect(this.cpu.hostOf(gpa), 0)
  }

  #write(gpa: number, bytes: readonly number[]): void {
    const host = this.cpu.hostOf(gpa)
    this.cpu.bytes.set(bytes, host)
    this.cpu.written(host, bytes.length)
  }

  perform(action: Action): void {
    const { cpu } = this
    switch (action.kind) {
      case 'interrupt':
        if (this.takesInterrupt) {
          cpu.interrupt(action.vector)
          // The stack may lie in a page that the host has protected.
          if (cpu.readU32(L.EXIT_REASON) !== L.EXIT_NONE) this.allowAll()
        } else if (action.window) cpu.interruptWindow = true
        return
      case 'write':
        this.#write(action.gpa, action.bytes)
        return
      case 'flip':
        this.#write(action.gpa, [(this.memory[action.gpa] as number) ^ 1])
        return
      case 'protect':
        cpu.protect(cpu.hostOf(action.gpa), action.denied)
        return
      case 'register':
        cpu.writeU64(L.GPR + action.register * 8, action.value)
    }
  }
}

function hex(buffer: Buffer, at: number, bytes: number): string {
  if (bytes === 8) return `0x${buffer.readBigUInt64LE(at).toString(16)}`
  if (bytes === 4) return `0x${buffer.readUInt32LE(at).toString(16)}`
  return buffer.subarray(at, at + bytes).toString('hex')
}

export class Duel {
  readonly left: Contestant
  readonly right: Contestant
  /** The guest can not go on. */
  over = false

  constructor(program: Program, translator: TranslatorFactory) {
    this.left = new Contestant(program)
    this.right = new Contestant(program, translator)
  }

  /** Takes both through a step. @returns what differs, in words; nothing as it should be */
  step({ slice, action }: Step): string[] {
    try {
      const problems = this.#run(slice)
      if (problems.length > 0) return problems
      this.left.perform(action)
      this.right.perform(action)
      return [...this.#compareState(), ...this.#compareMemory()]
    } catch (error) {
      return [`the translator's processor throws ${error instanceof Error ? (error.stack ?? error.message) : error}`]
    }
  }

  #run(slice: number): string[] {
    let left = slice
    for (let exits = 0; left > 0 && !this.over && exits < MAX_EXITS; exits++) {
      const before = this.left.cpu.instructions
      const reason = this.left.cpu.run(left, true)
      const other = this.right.cpu.run(left, true)
      const problems = [...this.#compareExit(reason, other), ...this.#compareState()]
      if (problems.length > 0) return problems
      left -= Number(this.left.cpu.instructions - before)
      const goesOn = this.left.settle(reason)
      this.right.settle(reason)
      this.over = !goesOn
    }
    return []
  }

  #compareExit(reason: number, other: number): string[] {
    if (reason !== other) return [`exit reason ${reason} in the interpreter, ${other} in the translator`]
    return this.#fields(DETAILS[reason] ?? LENGTH)
  }

  #fields(fields: readonly (readonly [name: string, at: number, bytes: number])[]): string[] {
    const { left, right } = this
    return fields
      .filter(([, at, bytes]) => left.state.compare(right.state, at, at + bytes, at, at + bytes) !== 0)
      .map(
        ([name, at, bytes]) =>
          `${name}: ${hex(left.state, at, bytes)} in the interpreter, ${hex(right.state, at, bytes)}`,
      )
  }

  #compareState(): string[] {
    const [a, b] = [this.left.cpu, this.right.cpu]
    const problems = this.#fields(STATE)
    const same = (name: string, one: unknown, other: unknown): void => {
      if (one !== other) problems.push(`${name}: ${one} in the interpreter, ${other}`)
    }
    same('rflags', a.rflags.toString(16), b.rflags.toString(16))
    same('instructions', a.instructions, b.instructions)
    same('takes interrupts', this.left.takesInterrupt, this.right.takesInterrupt)
    return problems
  }

  #compareMemory(): string[] {
    const [a, b] = [this.left.memory, this.right.memory]
    if (a.compare(b) === 0) return []
    const problems: string[] = []
    for (let gpa = 0; gpa < MEMORY_SIZE && problems.length < 8; gpa += 8) {
      const [one, other] = [hex(a, gpa, 8), hex(b, gpa, 8)]
      if (one !== other) problems.push(`memory at 0x${gpa.toString(16)}: ${one} in the interpreter, ${other}`)
    }
    return problems
  }
}
