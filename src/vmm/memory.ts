import type { MemoryRange } from '../cpu/cpu.ts'
import type { Processor } from './platform.ts'

/**
 * A VM's RAM at guest-physical addresses (numbers: they end at 32 GB).
 *
 * vmm(4) maps pages of the monitor's address space into the guest, at `vmr_va`. A library has no address space to map
 * from, so the memory is the VM's own WebAssembly.Memory; the monitor reaches it here, both see each other's stores at
 * once, and `vmr_va` is checked but means nothing. It starts zeroed.
 *
 * Accesses may cross from one range into another that begins where the first ends. Anything else outside the ranges is a
 * RangeError. After TERM every access throws.
 */
export class GuestMemory {
  readonly ranges: readonly MemoryRange[]
  #cpu: Processor | undefined

  constructor(cpu: Processor, ranges: readonly MemoryRange[]) {
    this.ranges = ranges
    this.#cpu = cpu
  }

  /** Whether all of [gpa, gpa + length) is memory. */
  has(gpa: number, length = 1): boolean {
    return this.#contiguous(gpa) >= length
  }

  /** A copy of guest memory. */
  read(gpa: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length)
    const cpu = this.#require(gpa, length)
    this.#pieces(cpu, gpa, length, (host, at, size) => bytes.set(cpu.bytes.subarray(host, host + size), at))
    return bytes
  }

  /** Stores bytes; code in them is decoded anew when the guest runs it. */
  write(gpa: number, bytes: Uint8Array): void {
    const cpu = this.#require(gpa, bytes.length)
    this.#pieces(cpu, gpa, bytes.length, (host, at, size) => {
      cpu.bytes.set(bytes.subarray(at, at + size), host)
      cpu.written(host, size)
    })
  }

  /**
   * Guest memory itself, not a copy; must lie in one range. After writing through it call `written`, or the guest may
   * run instructions decoded before. Keeping a view keeps the memory of a terminated VM alive.
   */
  view(gpa: number, length: number): Uint8Array {
    const cpu = this.#require(gpa, length)
    const range = this.#rangeOf(gpa)
    if (range !== undefined && gpa + length > range.gpa + range.size) {
      throw new RangeError(`${span(gpa, length)} crosses the end of the memory range at ${hex(range.gpa)}`)
    }
    const host = cpu.hostOf(gpa)
    return cpu.bytes.subarray(host, host + length)
  }

  /** Guest memory was written through a view. */
  written(gpa: number, length: number): void {
    const cpu = this.#require(gpa, length)
    this.#pieces(cpu, gpa, length, (host, _at, size) => cpu.written(host, size))
  }

  readU8(gpa: number): number {
    return dataView(this.read(gpa, 1)).getUint8(0)
  }

  readU16(gpa: number): number {
    return dataView(this.read(gpa, 2)).getUint16(0, true)
  }

  readU32(gpa: number): number {
    return dataView(this.read(gpa, 4)).getUint32(0, true)
  }

  readU64(gpa: number): bigint {
    return dataView(this.read(gpa, 8)).getBigUint64(0, true)
  }

  writeU8(gpa: number, value: number): void {
    this.write(gpa, Uint8Array.of(value))
  }

  writeU16(gpa: number, value: number): void {
    const bytes = new Uint8Array(2)
    dataView(bytes).setUint16(0, value, true)
    this.write(gpa, bytes)
  }

  writeU32(gpa: number, value: number): void {
    const bytes = new Uint8Array(4)
    dataView(bytes).setUint32(0, value, true)
    this.write(gpa, bytes)
  }

  writeU64(gpa: number, value: bigint): void {
    const bytes = new Uint8Array(8)
    dataView(bytes).setBigUint64(0, value, true)
    this.write(gpa, bytes)
  }

  /** The VM is gone: lets go of its memory. @internal */
  detach(): void {
    this.#cpu = undefined
  }

  #require(gpa: number, length: number): Processor {
    if (this.#cpu === undefined) throw new RangeError('the VM of this memory was terminated')
    const available = this.#contiguous(gpa)
    if (available < length || available === 0) {
      const known = this.ranges.map((range) => span(range.gpa, range.size)).join(', ')
      throw new RangeError(`${span(gpa, length)} is not guest memory (there is ${known})`)
    }
    return this.#cpu
  }

  #rangeOf(gpa: number): MemoryRange | undefined {
    return this.ranges.find((range) => gpa >= range.gpa && gpa < range.gpa + range.size)
  }

  /** Bytes of memory from gpa on, up to the next gap. */
  #contiguous(gpa: number): number {
    let end = gpa
    for (const range of this.ranges) {
      if (end >= range.gpa && end < range.gpa + range.size) end = range.gpa + range.size
    }
    return end - gpa
  }

  #pieces(cpu: Processor, gpa: number, length: number, visit: (host: number, at: number, size: number) => void): void {
    let at = 0
    while (at < length) {
      const range = this.#rangeOf(gpa + at)
      if (range === undefined) return
      const size = Math.min(length - at, range.gpa + range.size - (gpa + at))
      visit(cpu.hostOf(gpa + at), at, size)
      at += size
    }
  }
}

function dataView(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function hex(value: number): string {
  return `0x${value.toString(16)}`
}

function span(gpa: number, length: number): string {
  return `[${hex(gpa)}, ${hex(gpa + length)})`
}
