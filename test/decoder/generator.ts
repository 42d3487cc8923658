/**
 * Byte strings that look like instructions: a choice of prefixes, one of the opcode maps, an opcode, ModRM, and random
 * bytes after it. Maps, opcodes and mandatory prefixes are gone through in turn, the rest is drawn from a seeded
 * generator, so a run of any length is reproducible and spread over the whole opcode space.
 */

export const SLOT = 16

export function randomSource(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x9e3779b9) >>> 0
    let x = Math.imul(state ^ (state >>> 16), 0x21f0aaad)
    x = Math.imul(x ^ (x >>> 15), 0x735a2d97)
    return (x ^ (x >>> 15)) >>> 0
  }
}

const MANDATORY = [[], [0x66], [0xf3], [0xf2], [0x66, 0xf3], [0x66, 0xf2]]
const EXTRA = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3]
const ESCAPES = [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]]
/** Four legacy maps of six prefix sets, and three VEX maps of four. */
const LEGACY_CELLS = 4 * 6
const CELLS = LEGACY_CELLS + 3 * 4

export class Generator {
  private readonly mode: 16 | 32 | 64
  private readonly random: () => number
  private serial = 0

  constructor(seed: number, mode: 16 | 32 | 64) {
    this.mode = mode
    this.random = randomSource(seed)
  }

  /** Writes one byte string into `bytes[at]` and following, SLOT bytes in all. */
  fill(bytes: Uint8Array, at: number): void {
    for (let i = 0; i < SLOT; i += 4) {
      const word = this.random()
      for (let j = 0; j < 4; j++) bytes[at + i + j] = word >>> (8 * j)
    }
    const cell = this.serial % CELLS
    const opcode = Math.floor(this.serial / CELLS) & 255
    this.serial++
    const head = cell < LEGACY_CELLS ? this.legacy(cell, opcode) : this.vex(cell - LEGACY_CELLS, opcode)
    bytes.set(head.slice(0, SLOT), at)
  }

  private oneIn(n: number): boolean {
    return this.random() % n === 0
  }

  private extraPrefixes(): number[] {
    const prefixes: number[] = []
    if (this.oneIn(8)) prefixes.push(0xf0)
    while (this.oneIn(4)) prefixes.push(EXTRA[this.random() % EXTRA.length] ?? 0)
    if (this.oneIn(2000)) while (prefixes.length < 12) prefixes.push(0x67)
    return prefixes
  }

  private legacy(cell: number, opcode: number): number[] {
    const prefixes = this.extraPrefixes()
    if (this.mode === 64 && this.oneIn(16)) prefixes.push(0x40 + (this.random() % 16))
    prefixes.push(...(MANDATORY[cell % 6] ?? []))
    if (this.mode === 64 && this.oneIn(2)) prefixes.push(0x40 + (this.random() % 16))
    return [...prefixes, ...(ESCAPES[Math.floor(cell / 6)] ?? []), opcode]
  }

  private vex(cell: number, opcode: number): number[] {
    const map = 1 + Math.floor(cell / 4)
    const prefixes = this.oneIn(64) ? this.extraPrefixes() : []
    if (this.mode === 64 && this.oneIn(64)) prefixes.push(0x40 + (this.random() % 16))
    const vvvv = this.oneIn(2) ? 0x78 : (this.random() & 15) << 3
    const payload = vvvv | (cell & 3) | (this.random() & 4)
    const high = this.mode === 64 ? this.random() & 0xe0 : 0xc0 | (this.random() & 0x20)
    if (map === 1 && this.oneIn(2)) {
      return [...prefixes, 0xc5, payload | (this.mode === 64 ? this.random() & 0x80 : 0x80), opcode]
    }
    const selector = this.oneIn(256) ? this.random() & 0x1f : map
    return [...prefixes, 0xc4, high | selector, payload | (this.random() & 0x80), opcode]
  }
}
