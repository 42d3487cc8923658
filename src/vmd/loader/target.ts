/**
 * Where an image goes: guest memory, with a record of what has been taken. Every claim is checked before a byte is
 * written, so that no image, however broken or hostile, can do more than be refused.
 *
 * Memory starts zeroed and an image may not overlap itself, hence zeroed parts are claimed and not written: a kernel with
 * a large one does not cost the host that much memory.
 */
import { KB, LOWMEM_END, MB, type MemRange } from '../memory-map.ts'
import { hex, LoaderError } from './error.ts'

export const PAGE_SIZE = 4096

/** The part of GuestMemory that loaders use. */
export interface WritableMemory {
  has(gpa: number, length?: number): boolean
  write(gpa: number, bytes: Uint8Array): void
}

/** A piece of guest memory that has been given out; `what` names it in messages. */
export interface Claim {
  readonly gpa: number
  readonly size: number
  readonly what: string
}

export class Target {
  readonly map: readonly MemRange[]
  readonly #memory: WritableMemory
  readonly #claims: Claim[] = []

  /** @param memory zeroed */
  constructor(memory: WritableMemory, map: readonly MemRange[]) {
    this.#memory = memory
    this.map = map
  }

  /** @throws LoaderError when the piece is not memory, or has been given out */
  claim({ gpa, size, what }: Claim): void {
    if (size === 0) return
    const end = gpa + size
    if (!Number.isSafeInteger(end) || !this.#memory.has(gpa, size)) {
      throw new LoaderError(`${what} is at ${span(gpa, size)}, but ${this.#describeMemory()}`)
    }
    const other = this.#claims.find((claim) => gpa < claim.gpa + claim.size && claim.gpa < end)
    if (other !== undefined) {
      throw new LoaderError(`${what} at ${span(gpa, size)} overlaps ${other.what} at ${span(other.gpa, other.size)}`)
    }
    this.#claims.push({ gpa, size, what })
  }

  /** Whether the piece lies in one that has been given out. */
  isClaimed(gpa: number, size = 1): boolean {
    return this.#claims.some((claim) => gpa >= claim.gpa && gpa + size <= claim.gpa + claim.size)
  }

  /** Claims `size` bytes of whole pages that nobody has, in low memory above page 0. */
  allocate(size: number, what: string): number {
    const pages = Math.ceil(size / PAGE_SIZE)
    const bytes = pages * PAGE_SIZE
    for (let gpa = PAGE_SIZE; gpa + bytes <= LOWMEM_END; ) {
      const end = gpa + bytes
      const taken = this.#claims.find((claim) => gpa < claim.gpa + claim.size && claim.gpa < end)
      if (taken === undefined) {
        this.claim({ gpa, size: bytes, what })
        return gpa
      }
      gpa = Math.ceil((taken.gpa + taken.size) / PAGE_SIZE) * PAGE_SIZE
    }
    throw new LoaderError(`the image leaves no ${bytes / KB} KB in a piece below 640 KB, for ${what}`)
  }

  /** Stores bytes in a piece that was claimed. */
  write(gpa: number, bytes: Uint8Array): void {
    this.#memory.write(gpa, bytes)
  }

  #describeMemory(): string {
    const last = this.map.at(-1)
    const size = this.map.reduce((sum, range) => sum + range.size, 0)
    return `the machine has ${size / MB} MB of memory, up to ${hex(last === undefined ? 0 : last.gpa + last.size)}`
  }
}

function span(gpa: number, size: number): string {
  return `${hex(gpa)}-${hex(gpa + size)}`
}
