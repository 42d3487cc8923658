/**
 * Machine code with labels. Besides the bytes it keeps the length of each instruction, by which a handler skips one that
 * has faulted, and the instruction boundaries are what programs are cut down at.
 */

/** A place in the code; -1 until it is bound. */
export interface Label {
  at: number
}

export const label = (): Label => ({ at: -1 })

/** Condition codes, as in the low four bits of Jcc. */
export const CONDITION = { b: 2, ae: 3, e: 4, ne: 5, be: 6, a: 7, s: 8, ns: 9, l: 12, ge: 13, le: 14, g: 15 } as const

interface Fixup {
  readonly at: number
  readonly size: 4 | 8
  readonly label: Label
  /** What a relative offset counts from; -1 for an absolute address. */
  readonly from: number
  readonly extra: number
}

export function little(value: bigint, bytes: number): number[] {
  return Array.from({ length: bytes }, (_, at) => Number((value >> BigInt(at * 8)) & 0xffn))
}

export function le32(value: number): number[] {
  return [value & 255, (value >> 8) & 255, (value >> 16) & 255, (value >>> 24) & 255]
}

export class Assembler {
  /** Linear address of the first byte. */
  readonly base: bigint
  readonly bytes: Uint8Array
  /** Length of the instruction that begins at an offset; 0 elsewhere. */
  readonly lengths: Uint8Array
  at = 0
  readonly #fixups: Fixup[] = []

  constructor(base: bigint, size: number) {
    this.base = base
    this.bytes = new Uint8Array(size)
    this.lengths = new Uint8Array(size)
  }

  get room(): number {
    return this.bytes.length - this.at
  }

  /** One instruction. @throws RangeError when there is no room */
  op(...bytes: readonly number[]): void {
    if (bytes.length > this.room) throw new RangeError('the code does not fit')
    this.bytes.set(bytes, this.at)
    this.lengths[this.at] = bytes.length
    this.at += bytes.length
  }

  bind(place: Label): void {
    place.at = this.at
  }

  here(): Label {
    return { at: this.at }
  }

  address(place: Label): bigint {
    return BigInt.asUintN(64, this.base + BigInt(place.at))
  }

  /** An instruction with a 32-bit offset from its end to a place; `after` follows the offset. */
  relative(before: readonly number[], target: Label, after: readonly number[] = [], extra = 0): void {
    const end = this.at + before.length + 4 + after.length
    this.#fixups.push({ at: this.at + before.length, size: 4, label: target, from: end, extra })
    this.op(...before, 0, 0, 0, 0, ...after)
  }

  jump(target: Label): void {
    if (target.at >= 0 && this.at - target.at < 120) this.op(0xeb, (target.at - this.at - 2) & 255)
    else this.relative([0xe9], target)
  }

  jumpIf(condition: number, target: Label): void {
    if (target.at >= 0 && this.at - target.at < 120) this.op(0x70 | condition, (target.at - this.at - 2) & 255)
    else this.relative([0x0f, 0x80 | condition], target)
  }

  call(target: Label): void {
    this.relative([0xe8], target)
  }

  /** A quadword of data: the linear address of a place. */
  pointer(target: Label): void {
    this.#fixups.push({ at: this.at, size: 8, label: target, from: -1, extra: 0 })
    this.at += 8
  }

  /** A doubleword of data: the distance of a place from another. */
  distance(target: Label, from: Label): void {
    this.#fixups.push({ at: this.at, size: 4, label: target, from: from.at, extra: 0 })
    this.at += 4
  }

  /** Fills in what refers to labels. @throws Error for one that was never bound */
  finish(): void {
    const view = new DataView(this.bytes.buffer)
    for (const { at, size, label: place, from, extra } of this.#fixups) {
      if (place.at < 0) throw new Error('a label was never bound')
      if (size === 8) view.setBigUint64(at, this.address(place), true)
      else view.setInt32(at, place.at - from + extra, true)
    }
  }
}
