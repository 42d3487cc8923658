/**
 * Decodes guest code into traces of records. A trace begins at an address that control reached, runs past conditional
 * branches, and ends at an instruction that transfers control or changes the machine's state, at the end of the page, or
 * after MAX_TRACE instructions. An instruction that lies across a page boundary is a trace of its own, whose first record
 * checks that the second page is still the one it was decoded from.
 */
import type { Feature } from '../decoder/features.ts'
import { DecodeStatus, Instruction, OperandKind } from '../decoder/instruction.ts'
import { nameOf } from '../decoder/opcodes.ts'
import { Decoders } from '../decoders.ts'
import { entryOf } from '../isa/index.ts'
import type { CodeKind } from '../isa/vocabulary.ts'
import * as L from '../layout.ts'
import { codeKindOf } from '../mode.ts'
import type { Runtime } from '../modules.ts'
import { type OperandTraits, type Place, RecordWriter } from './encode.ts'
import { operationOf } from './operations.ts'
import * as R from './record.ts'

const PAGE = 4096
const MAX_LENGTH = 15

/** What the instruction table says of a name, by name index. */
interface Traits extends OperandTraits {
  readonly ends: boolean
}

const traitsByName: Traits[] = []

function traitsOf(name: number): Traits {
  return (traitsByName[name] ??= entryOf(nameOf(name)) ?? { ends: true, uses: [], bitString: false })
}

export class TraceDecoder {
  readonly #bytes: Uint8Array
  readonly #u32: Uint32Array
  readonly #runtime: Runtime
  readonly #writer: RecordWriter
  readonly #decoders: Decoders
  readonly #instruction = new Instruction()
  readonly #place: Place = { count: 0, offset: 0, page: 0 }
  #code: CodeKind = 'long'
  /** The bytes of an instruction that crosses a page. */
  readonly #buffer = new Uint8Array(16)

  constructor(bytes: Uint8Array, runtime: Runtime, features: readonly Feature[]) {
    this.#bytes = bytes
    this.#decoders = new Decoders(features)
    this.#u32 = new Uint32Array(bytes.buffer)
    this.#runtime = runtime
    const u16 = new Uint16Array(bytes.buffer)
    this.#writer = new RecordWriter({ u8: bytes, u16, u32: this.#u32 }, traitsOf)
  }

  /** Decodes the trace at L.FETCH_HOST, which run() has left with EXIT_DECODE, and enters it into the code cache. */
  decode(): void {
    const host = this.#u32[L.FETCH_HOST >> 2] as number
    const step = ((this.#u32[L.STEPPING >> 2] as number) & L.STEP_ONE) !== 0
    const trace = this.#runtime.allocateTrace(step ? 5 : 3 * R.MAX_TRACE + 2)
    const limit = step ? 1 : R.MAX_TRACE
    this.#code = codeKindOf(this.#u32[L.MODE >> 2] as number)
    this.#writer.codeKind = this.#code
    this.#writer.modeFloat = this.#u32[L.MODE_FLOAT >> 2] as number
    const offset = host & (PAGE - 1)
    const status = this.#decode(this.#bytes, host, host - offset + PAGE)
    const end =
      status === DecodeStatus.truncated
        ? this.#crossing(trace, host)
        : this.#straight(trace, host - offset, offset, limit)
    if (end !== 0) this.#runtime.enterTrace(trace, end)
  }

  #decode(code: Uint8Array, at: number, end: number): DecodeStatus {
    return this.#decoders.of(this.#u32[L.MODE >> 2] as number).decode(code, at, end, this.#instruction)
  }

  /** Writes records from the offset on; gives the end of the records. */
  #straight(trace: number, page: number, start: number, limit: number): number {
    const i = this.#instruction
    const place = this.#place
    place.count = 0
    place.offset = start
    place.page = page
    let at = trace
    for (let done = 0; done < limit; done++) {
      const status = this.#decode(this.#bytes, page + place.offset, page + PAGE)
      if (status === DecodeStatus.truncated) break
      if (status !== DecodeStatus.ok) return this.#invalid(at, status, 1, page)
      const op = operationOf(i, this.#code)
      if (op < 0) return this.#invalid(at, DecodeStatus.invalid, i.length, page)
      at = this.#writer.instruction(at, op, i, place)
      this.#runtime.markCode(page + place.offset, i.length)
      place.offset += i.length
      if (traitsOf(i.name).ends) return at
      // A conditional branch charges what came before it.
      place.count = isBranch(i) ? 0 : place.count + 1
      if (place.offset >= PAGE) break
    }
    return this.#goto(at)
  }

  #goto(at: number): number {
    this.#writer.special(at, R.OP_GOTO, { ...this.#place, offset: Math.min(this.#place.offset, PAGE - 1) })
    this.#writer.target(at, this.#place.offset, 0, this.#place.page)
    // In segmented code the dispatcher looks whether the next page lies within the limit.
    if (this.#code === 'segmented') this.#bytes[at + R.R_LINKABLE] = 1
    return at + R.RECORD_SIZE
  }

  #invalid(at: number, status: DecodeStatus, length: number, page: number): number {
    const op = status === DecodeStatus.tooLong ? R.OP_TOO_LONG : R.OP_UNDEFINED
    this.#writer.special(at, op, this.#place, Math.min(length, MAX_LENGTH))
    // The bytes that were looked at lie in this page or, if it was the last, the invalid ones do.
    this.#runtime.markCode(page + this.#place.offset, Math.min(MAX_LENGTH, PAGE - this.#place.offset))
    return at + R.RECORD_SIZE
  }

  /** The instruction at `host` goes on in the next page; 0 when fetching there faults. */
  #crossing(trace: number, host: number): number {
    const second = this.#runtime.fetchNextPage()
    if (second === 0) return 0
    const offset = host & (PAGE - 1)
    const first = PAGE - offset
    this.#buffer.set(this.#bytes.subarray(host, host + first), 0)
    this.#buffer.set(this.#bytes.subarray(second, second + this.#buffer.length - first), first)
    const i = this.#instruction
    const status = this.#decode(this.#buffer, 0, this.#buffer.length)
    this.#place.count = 0
    this.#place.offset = offset
    this.#place.page = host - offset
    this.#writer.cross(trace, this.#place, second)
    let at = trace + R.RECORD_SIZE
    const op = status === DecodeStatus.ok ? operationOf(i, this.#code) : -1
    const length = status === DecodeStatus.ok ? i.length : MAX_LENGTH
    this.#runtime.markCode(host, first)
    this.#runtime.markCode(second, length - first)
    this.#runtime.trackSecondPage(trace, second)
    if (op < 0) {
      const why = status === DecodeStatus.tooLong ? R.OP_TOO_LONG : R.OP_UNDEFINED
      this.#writer.special(at, why, this.#place, length)
      return at + R.RECORD_SIZE
    }
    at = this.#writer.instruction(at, op, i, this.#place)
    if (traitsOf(i.name).ends) return at
    this.#place.offset += i.length
    this.#place.count = isBranch(i) ? 0 : 1
    return this.#goto(at)
  }
}

function isBranch(i: Instruction): boolean {
  return i.operandCount > 0 && i.opKind[0] === OperandKind.rel
}
