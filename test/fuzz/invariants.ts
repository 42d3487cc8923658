/** What must hold of a VM's memory whatever the guest did: a guest can not reach anything but its own RAM. */
import type { Cpu } from '../../src/cpu/cpu.ts'
import { Decoder } from '../../src/cpu/decoder/decoder.ts'
import { DecodeStatus, Instruction, OperandKind } from '../../src/cpu/decoder/instruction.ts'
import { OPERATIONS, operationOf } from '../../src/cpu/interpreter/operations.ts'
import * as R from '../../src/cpu/interpreter/record.ts'
import * as L from '../../src/cpu/layout.ts'
import { codeKindOf } from '../../src/cpu/mode.ts'

const PAGE = 4096
const NO_RIP = 0x80000000
/** The header before a trace (runtime/code.ts). */
const HEADER_NEXT = 0
const HEADER_FIRST = 4
const HEADER_COUNT = 8
const HEADER_KEY = 12
const HEADER_SIZE = 32
const KNOWN_PAGE_FLAGS = L.PAGE_DENY_ALL | L.PAGE_HAS_CODE | L.PAGE_TOUCHED

/** Spans that nothing writes after the VM was made, as [start, end, what]. */
function constantSpans(cpu: Cpu): [number, number, string][] {
  const pagesEnd = L.PAGES + (((cpu.readU32(L.RAM_END) - cpu.readU32(L.RAM_START)) >>> 12) << L.PAGE_SIZE_LOG2)
  return [
    [0, L.GPR, 'the null page'],
    [L.ZERO, L.ZERO + 8, 'the zero slot'],
    [L.CR4_ALLOWED, L.CODE_BASE, 'the ranges and allowed bits'],
    [L.RECORD_END, L.FETCH_HOST, 'the map'],
    [L.RAM_END, L.RAM_END + 4, 'the end of RAM'],
    [L.STATE_IMAGE + 1024, L.AES_BOXES, 'the gap behind the images of floating-point state'],
    [L.AES_BOXES + 512, L.TLB, 'the rest of the state'],
    [L.OPEN_BUS, L.OPEN_BUS + PAGE, 'the open bus page'],
    [L.OPEN_BUS + PAGE, L.SCRATCH_PAGE, 'the gap behind the open bus page'],
    [L.SCRATCH_PAGE + PAGE, L.INDIRECT_RING, 'the gap behind the scratch page'],
    [L.ITLB + L.CONTEXTS * L.ITLB_SET_SIZE, L.RECORDS, 'the gap behind the code TLB'],
    [pagesEnd, cpu.readU32(L.RAM_START), 'the gap before RAM'],
    [cpu.readU32(L.RAM_END), cpu.bytes.length, 'what lies behind RAM'],
  ]
}

export class Invariants {
  readonly #cpu: Cpu
  readonly #u32: Uint32Array
  readonly #ramStart: number
  readonly #ramEnd: number
  readonly #constants: { start: number; bytes: Uint8Array; what: string }[]
  /** By code mode. */
  readonly #decoders = [new Decoder(16), new Decoder(32), new Decoder(64), new Decoder(32)]
  readonly #instruction = new Instruction()

  /** To be made with the VM, before the guest runs. */
  constructor(cpu: Cpu) {
    this.#cpu = cpu
    this.#u32 = new Uint32Array(cpu.bytes.buffer)
    this.#ramStart = cpu.readU32(L.RAM_START)
    this.#ramEnd = cpu.readU32(L.RAM_END) >>> 0
    this.#constants = constantSpans(cpu).map(([start, end, what]) => ({
      start,
      bytes: cpu.bytes.slice(start, end),
      what,
    }))
  }

  /** What is broken, in words. */
  check(): string[] {
    return [
      ...this.#changedConstants(),
      ...this.#tlb(),
      ...this.#pages(),
      ...this.#targets(),
      ...this.#code(),
      ...this.#links(),
      ...this.#state(),
    ]
  }

  #word(at: number): number {
    return this.#u32[at >>> 2] as number
  }

  #inRam(host: number): boolean {
    return host >= this.#ramStart && host < this.#ramEnd
  }

  #pageFlags(host: number): number {
    return this.#word(L.PAGES + (((host - this.#ramStart) >>> 12) << L.PAGE_SIZE_LOG2) + L.PAGE_FLAGS)
  }

  /** A record in the part of the arena that is in use. */
  #isRecord(at: number): boolean {
    return at >= L.RECORDS && at < this.#word(L.RECORD_NEXT) && at % R.RECORD_SIZE === 0
  }

  #changedConstants(): string[] {
    const { bytes } = this.#cpu
    return this.#constants
      .filter(({ start, bytes: before }) => Buffer.compare(bytes.subarray(start, start + before.length), before) !== 0)
      .map(({ what }) => `${what} changed`)
  }

  #tlb(): string[] {
    const broken: string[] = []
    for (let entry = L.TLB; entry < L.TLB + L.CONTEXTS * L.TLB_SET_SIZE; entry += L.TLB_ENTRY_SIZE) {
      const slot = ((entry - L.TLB) / L.TLB_ENTRY_SIZE) & (L.TLB_ENTRIES - 1)
      for (const tag of [L.TLB_READ, L.TLB_WRITE]) {
        const low = this.#word(entry + tag)
        if (((low >>> 12) & (L.TLB_ENTRIES - 1)) !== slot) continue
        const host = (low + this.#word(entry + L.TLB_ADDEND)) >>> 0
        const problem = this.#tlbTag(tag, low, this.#word(entry + tag + 4) | 0, host)
        if (problem !== undefined) broken.push(`TLB entry 0x${entry.toString(16)}: ${problem}`)
      }
    }
    return [...broken, ...this.#itlb(), ...this.#slots()]
  }

  #itlb(): string[] {
    const broken: string[] = []
    for (let entry = L.ITLB; entry < L.ITLB + L.CONTEXTS * L.ITLB_SET_SIZE; entry += L.ITLB_ENTRY_SIZE) {
      const low = this.#word(entry)
      const high = this.#word(entry + 4)
      if (high === NO_RIP) continue
      const problem = this.#tlbTag('execute', low, high | 0, (low + this.#word(entry + L.ITLB_ADDEND)) >>> 0)
      if (problem !== undefined) broken.push(`ITLB entry 0x${entry.toString(16)}: ${problem}`)
    }
    return broken
  }

  /** What a slot holds, the TLB of the current context holds. */
  #slots(): string[] {
    const broken: string[] = []
    for (let n = 0; n < L.PAGE_SLOT_COUNT; n++) {
      const slot = L.PAGE_SLOTS + n * L.PAGE_SLOT_SIZE
      for (const [tag, own] of [
        [L.TLB_READ, L.SLOT_READ],
        [L.TLB_WRITE, L.SLOT_WRITE],
      ] as const) {
        const low = this.#word(slot + own)
        if (low === L.NO_PAGE && this.#word(slot + own + 4) === 0) continue
        const entry = this.#word(L.TLB_BASE) + ((low >>> 12) & (L.TLB_ENTRIES - 1)) * L.TLB_ENTRY_SIZE
        const same = this.#word(entry + tag) === low && this.#word(entry + tag + 4) === this.#word(slot + own + 4)
        if (same && this.#word(entry + L.TLB_ADDEND) === this.#word(slot + L.SLOT_ADDEND)) continue
        broken.push(`slot ${n} holds page ${low.toString(16)}, which the TLB does not`)
      }
    }
    return broken
  }

  #tlbTag(tag: number | 'execute', low: number, high: number, host: number): string | undefined {
    if ((low & (PAGE - 1)) !== 0 || host % PAGE !== 0) return 'is not of a page'
    if ((high << 16) >> 16 !== high) return 'is of an address that is not canonical'
    if (!this.#inRam(host)) {
      if (tag === 'execute' && host === L.OPEN_BUS) return undefined
      return `leads to 0x${host.toString(16)}, outside of guest RAM`
    }
    const flags = this.#pageFlags(host)
    const right = tag === L.TLB_READ ? L.PAGE_DENY_READ : tag === L.TLB_WRITE ? L.PAGE_DENY_WRITE : L.PAGE_DENY_EXECUTE
    if ((flags & right) !== 0) return 'gives a right that the EPT denies'
    if (tag === L.TLB_WRITE && (flags & L.PAGE_HAS_CODE) !== 0) return 'writes to a page of decoded code'
    return undefined
  }

  #pages(): string[] {
    const broken: string[] = []
    for (let host = this.#ramStart; host < this.#ramEnd; host += PAGE) {
      const entry = L.PAGES + (((host - this.#ramStart) >>> 12) << L.PAGE_SIZE_LOG2)
      const traces = this.#word(entry + L.PAGE_TRACES)
      const flags = this.#word(entry + L.PAGE_FLAGS)
      if (traces !== 0 && !this.#isRecord(traces)) broken.push(`page 0x${host.toString(16)} lists a trace that is none`)
      if (traces !== 0 && (flags & L.PAGE_HAS_CODE) === 0) broken.push(`page 0x${host.toString(16)} has unwatched code`)
      if ((flags & ~KNOWN_PAGE_FLAGS) !== 0) broken.push(`page 0x${host.toString(16)} has flags ${flags.toString(16)}`)
    }
    return broken
  }

  #targets(): string[] {
    const broken: string[] = []
    for (let at = L.TARGETS; at < L.TARGETS + 2 * L.TARGET_SET_SIZE; at += L.TARGET_ENTRY_SIZE) {
      if (this.#word(at + 4) === NO_RIP && this.#word(at) === 0) continue
      if (!this.#isRecord(this.#word(at + L.TARGET_RECORD)))
        broken.push(`target 0x${at.toString(16)} leads to no record`)
    }
    return broken
  }

  /** Every trace that can be found begins with the instruction that its address holds now. */
  #code(): string[] {
    const broken: string[] = []
    for (let slot = L.CODE_HASH; slot < L.CODE_HASH + L.CODE_HASH_SIZE; slot += 8) {
      const host = this.#word(slot)
      if (host === 0) continue
      const record = (this.#word(slot + 4) & ~31) >>> 0
      const problem = this.#trace(host, record, this.#word(slot + 4) & L.MODE_SIZE_MASK)
      if (problem !== undefined) broken.push(`code at 0x${host.toString(16)}: ${problem}`)
    }
    return broken
  }

  #trace(host: number, record: number, mode: number): string | undefined {
    if (!this.#inRam(host) && (host & ~(PAGE - 1)) !== L.OPEN_BUS) return 'is not in guest RAM'
    if (!this.#isRecord(record)) return 'has no record'
    const head = this.#word(record) & 0xffff
    // The head of a region: what stood there is in its copy.
    const op = head === R.OP_REGION ? this.#word(this.#word(record + R.HEADER_COPY)) & 0xffff : head
    if ([R.OP_STALE, R.OP_CROSS, R.OP_TOO_LONG].includes(op)) return undefined
    const page = host & ~(PAGE - 1)
    const status = this.#decoders[mode]?.decode(this.#cpu.bytes, host, page + PAGE, this.#instruction)
    const operation = status === DecodeStatus.ok ? operationOf(this.#instruction, codeKindOf(mode)) : -1
    if (operation < 0)
      return op === R.OP_UNDEFINED || op === R.OP_GOTO ? undefined : 'is no instruction, but has a record'
    // What is done before the instruction.
    if ([R.OP_ADDRESS, R.OP_SEGMENT, R.OP_CHECK_FLOAT].includes(op)) return undefined
    const length = (this.#word(record + 12) >>> 16) & 15
    if (op === operation && length === this.#instruction.length) return undefined
    return `has the record of another instruction (${op}, ${length} bytes)`
  }

  /** Branches that are linked lead to the trace of the address that they branch to. */
  #links(): string[] {
    const broken: string[] = []
    for (let host = this.#ramStart; host < this.#ramEnd; host += PAGE) {
      let header = this.#word(L.PAGES + (((host - this.#ramStart) >>> 12) << L.PAGE_SIZE_LOG2) + L.PAGE_TRACES)
      for (; header !== 0; header = this.#word(header + HEADER_NEXT)) {
        const first = this.#word(header + HEADER_FIRST)
        const page = this.#word(header + HEADER_KEY) & ~(PAGE - 1)
        for (let n = this.#word(header + HEADER_COUNT) - 1; n >= 0; n--) {
          const problem = this.#link(first + n * R.RECORD_SIZE, page)
          if (problem !== undefined) broken.push(problem)
        }
      }
    }
    return broken
  }

  #link(record: number, page: number): string | undefined {
    const op = this.#word(record) & 0xffff
    const branches = op === R.OP_GOTO || OPERATIONS[op - R.SPECIAL_OPS]?.kinds[0] === OperandKind.rel
    const link = this.#word(record + R.R_LINK)
    if (!branches || link === 0) return undefined
    if (!this.#isRecord(link)) return `branch 0x${record.toString(16)} is linked to no record`
    const target = page + this.#word(record + R.R_IMMEDIATE)
    const key = this.#word(link - HEADER_SIZE + HEADER_KEY)
    if ((this.#word(link) & 0xffff) === R.OP_STALE || key === target) return undefined
    return `branch 0x${record.toString(16)} to 0x${target.toString(16)} is linked to the code at 0x${key.toString(16)}`
  }

  #state(): string[] {
    const broken: string[] = []
    const next = this.#word(L.RECORD_NEXT)
    if (next < L.RECORDS || next > this.#word(L.RECORD_END)) broken.push(`RECORD_NEXT is 0x${next.toString(16)}`)
    if (this.#word(L.CPL) > 3) broken.push(`CPL is ${this.#word(L.CPL)}`)
    const set = this.#word(L.TLB_BASE) - L.TLB
    if (set % L.TLB_SET_SIZE !== 0 || set >= L.CONTEXTS * L.TLB_SET_SIZE) broken.push('TLB_BASE is no TLB set')
    return broken
  }
}
