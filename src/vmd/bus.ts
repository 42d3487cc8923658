/**
 * The I/O ports of the machine: a map from port to device, as vmd's table of port handlers. A port that nobody claims
 * reads all ones, for no one pulls a data line low, and swallows what is written to it.
 */

/** What answers at a range of ports. */
export interface PortHandler {
  /** IN. Bits above the access size are dropped by the bus. */
  read(port: number, size: number): number
  /** OUT. `value` has nothing above the access size. */
  write(port: number, size: number, value: number): void
}

/** Accesses to ports that no device has. */
export interface BusCounters {
  unclaimedReads: number
  unclaimedWrites: number
}

const PORTS = 0x10000

export class Bus {
  readonly counters: BusCounters = { unclaimedReads: 0, unclaimedWrites: 0 }
  readonly #handlers = new Array<PortHandler | undefined>(PORTS).fill(undefined)

  /** @throws Error when another device has one of the ports: two devices were built on top of each other */
  claim(first: number, last: number, handler: PortHandler): void {
    if (first < 0 || last >= PORTS || first > last) throw new RangeError(`${hex(first)}-${hex(last)} are no ports`)
    for (let port = first; port <= last; port++) {
      if (this.#handlers[port] !== undefined) throw new Error(`port ${hex(port)} is claimed by two devices`)
    }
    this.#handlers.fill(handler, first, last + 1)
  }

  read(port: number, size: number): number {
    const handler = this.#handlers[port]
    if (handler !== undefined) return (handler.read(port, size) & accessMask(size)) >>> 0
    this.counters.unclaimedReads++
    return accessMask(size)
  }

  write(port: number, size: number, data: number): void {
    const handler = this.#handlers[port]
    if (handler !== undefined) handler.write(port, size, (data & accessMask(size)) >>> 0)
    else this.counters.unclaimedWrites++
  }
}

/** The result of an IN as vmm(4) wants it: the bits of EAX above the access size stay as they are. */
export function mergeIn(eax: number, size: number, value: number): number {
  const mask = accessMask(size)
  return ((eax & ~mask) | (value & mask)) >>> 0
}

function accessMask(size: number): number {
  return size === 4 ? 0xffffffff : (1 << (size * 8)) - 1
}

function hex(port: number): string {
  return `0x${port.toString(16)}`
}
