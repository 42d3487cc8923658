/**
 * A processor without instructions, for tests of the vmm above it: state lies where layout.ts says, and each run() plays
 * the next step of a script. What the vmm asks of it is written down.
 */
import type { CpuOptions } from '../../src/cpu/cpu.ts'
import * as L from '../../src/cpu/layout.ts'
import { type ProcessorStatistics, readCounters } from '../../src/cpu/statistics.ts'
import type { Processor } from '../../src/vmm/platform.ts'

/** What the guest "does" until it exits; returns the exit reason. */
export type Step = (puppet: Puppet) => number

export class Puppet implements Processor {
  readonly memory = new WebAssembly.Memory({ initial: 1 })
  readonly bytes: Uint8Array
  readonly options: CpuOptions
  readonly script: Step[] = []
  /** Everything the vmm did to the processor besides writing state. */
  readonly log: string[] = []
  instructions = 0n
  interruptWindow = false
  lastBudget = 0
  lastExact = false
  /** Answer of writeCr0 and the like: 1 is #GP. */
  refuse = 0
  readonly #view: DataView
  readonly #ramStart: number

  constructor(options: CpuOptions) {
    this.options = options
    const ram = options.ranges.reduce((sum, range) => sum + range.size, 0)
    this.#ramStart = L.PAGES + (ram / 4096) * 16
    this.bytes = new Uint8Array(this.#ramStart + ram)
    this.#view = new DataView(this.bytes.buffer)
    this.writeU64(L.CR4_ALLOWED, options.cr4Allowed ?? 0n)
    this.writeU64(L.EFER_ALLOWED, options.eferAllowed ?? 0xd01n)
    this.writeU64(L.XCR0_ALLOWED, options.xcr0Allowed ?? 1n)
    this.writeU32(L.PHYSICAL_BITS, options.physicalBits ?? 40)
    this.writeU32(L.FAULT_VECTOR, -1)
  }

  readonly runtime = {
    writeCr0: (value: bigint) => this.#control('cr0', L.CR0, value),
    writeCr4: (value: bigint) => this.#control('cr4', L.CR4, value),
    writeXcr0: (value: bigint) => this.#control('xcr0', L.XCR0, value),
    writeEfer: (value: bigint) => this.#control('efer', L.EFER, value),
  } as unknown as Processor['runtime']

  run(budget: number, exact = false): number {
    this.lastBudget = budget
    this.lastExact = exact
    this.writeU32(L.FAULT_VECTOR, -1)
    const step = this.script.shift()
    const spent = step === undefined ? budget : 1
    this.writeU32(L.BUDGET, budget - spent)
    this.instructions += BigInt(spent)
    return step === undefined ? L.EXIT_BUDGET : step(this)
  }

  statistics(): ProcessorStatistics {
    return { instructions: this.instructions, counters: readCounters((address) => this.readU64(address)) }
  }

  readU64(address: number): bigint {
    return this.#view.getBigUint64(address, true)
  }

  writeU64(address: number, value: bigint): void {
    this.#view.setBigUint64(address, value, true)
  }

  readU32(address: number): number {
    return this.#view.getUint32(address, true)
  }

  writeU32(address: number, value: number): void {
    this.#view.setUint32(address, value, true)
  }

  get rflags(): bigint {
    return this.readU64(L.RFLAGS)
  }

  set rflags(value: bigint) {
    this.writeU64(L.RFLAGS, value)
  }

  refresh(): void {
    this.log.push('refresh')
  }

  advance(): void {
    this.log.push('advance')
    this.writeU64(L.RIP, this.readU64(L.RIP) + BigInt(this.readU32(L.EXIT_LENGTH)))
  }

  completeIn(value: number): void {
    if (this.readU32(L.IO_PENDING) === L.IO_TO_RAX) this.writeU64(L.RAX, BigInt(value >>> 0))
    else if (this.readU32(L.IO_PENDING) === L.IO_TO_MEMORY) this.log.push(`completeIn ${value}`)
  }

  raise(vector: number, errorCode = -1): void {
    this.log.push(`raise ${vector} ${errorCode}`)
    this.writeU32(L.FAULT_VECTOR, vector)
  }

  interrupt(vector: number): void {
    this.log.push(`interrupt ${vector}`)
    this.writeU32(L.EXIT_REASON, L.EXIT_NONE)
    this.rflags &= ~0x200n
  }

  get interruptible(): boolean {
    return (this.rflags & 0x200n) !== 0n && (this.readU32(L.ATTENTION) & L.ATTENTION_SHADOW) === 0
  }

  hostOf(gpa: number): number {
    let host = this.#ramStart
    for (const range of this.options.ranges) {
      if (gpa >= range.gpa && gpa < range.gpa + range.size) return host + gpa - range.gpa
      host += range.size
    }
    return -1
  }

  written(host: number, length: number): void {
    this.log.push(`written ${host - this.#ramStart} ${length}`)
  }

  dispose(): void {}

  protect(host: number, denied: number): void {
    this.log.push(`protect ${host - this.#ramStart} ${denied}`)
  }

  #control(name: string, address: number, value: bigint): number {
    this.log.push(`${name} ${value.toString(16)}`)
    if (this.refuse === 0) this.writeU64(address, value)
    return this.refuse
  }
}
