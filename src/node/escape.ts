/** The escapes of cu(1): `~` as the first character of a line begins one. */
const TILDE = 0x7e
const DOT = 0x2e
const CR = 0x0d
const LF = 0x0a

export interface Filtered {
  /** What goes to the guest. */
  readonly data: Uint8Array
  /** `~.` was typed. What follows it is dropped. */
  readonly disconnect: boolean
}

export class EscapeFilter {
  #state: 'line start' | 'tilde' | 'inside' = 'line start'

  filter(bytes: Uint8Array): Filtered {
    const data: number[] = []
    for (const byte of bytes) {
      if (this.#state === 'line start' && byte === TILDE) {
        this.#state = 'tilde'
        continue
      }
      if (this.#state === 'tilde') {
        if (byte === DOT) return { data: Uint8Array.from(data), disconnect: true }
        if (byte !== TILDE) data.push(TILDE)
      }
      data.push(byte)
      this.#state = byte === CR || byte === LF ? 'line start' : 'inside'
    }
    return { data: Uint8Array.from(data), disconnect: false }
  }
}
