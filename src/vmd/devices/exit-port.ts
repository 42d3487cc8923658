/**
 * A port that powers the machine off: the byte written is the status that the guest leaves with, 0 for success. No real
 * chipset has it; it is QEMU's isa-debug-exit, without that device's arithmetic on the status. Test kernels use it.
 */
import type { Bus, PortHandler } from '../bus.ts'

export const EXIT_PORT = 0x501

export interface ExitPortConfig {
  readonly base?: number
  readonly powerOff: (status: number) => void
}

export class ExitPort implements PortHandler {
  readonly #powerOff: (status: number) => void

  constructor({ base = EXIT_PORT, powerOff }: ExitPortConfig, bus: Bus) {
    this.#powerOff = powerOff
    bus.claim(base, base, this)
  }

  /** Reads as if nobody were there, as isa-debug-exit does. */
  read(): number {
    return -1
  }

  write(_port: number, _size: number, value: number): void {
    this.#powerOff(value & 0xff)
  }
}
