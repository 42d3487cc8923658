/**
 * ns8250: COM1, a serial port without FIFOs (National Semiconductor, "PC8250A/INS8250 Universal Asynchronous
 * Receiver/Transmitter"; register names are the data sheet's).
 *
 * Transmission takes no time: a byte written to THR is on the console before the OUT is over, so LSR always shows an empty
 * transmitter. Reception is paced by the guest: bytes from the console wait outside the chip until RBR is free, so there
 * are no overruns. The divisor is kept and means nothing.
 *
 * Where vmd's model takes a short cut, this follows the data sheet, which guests that suit vmd's can not tell from it:
 * MSR is the modem status and not LSR, loopback works, SCR can be read back, and IIR names the interrupt of the highest
 * priority instead of the OR of all.
 *
 * The interrupt line is level: `interrupt(true)` while IIR bit 0 is clear. A byte written to THR takes a pending
 * "transmitter empty" back for a moment, so an edge-triggered controller sees one edge a byte.
 */
import type { Bus, PortHandler } from '../bus.ts'

export const COM1_BASE = 0x3f8

/** Registers, as offsets from the base. With LCR.DLAB, 0 and 1 are the divisor latch. */
const DATA = 0
const IER = 1
const IIR = 2
const LCR = 3
const MCR = 4
const LSR = 5
const MSR = 6
const SCR = 7

const IER_RECEIVED = 0x1
const IER_TRANSMIT = 0x2
const IER_MODEM = 0x8
const IER_BITS = 0xf

const IIR_MODEM = 0x0
const IIR_NONE = 0x1
const IIR_TRANSMIT = 0x2
const IIR_RECEIVED = 0x4

const LCR_DLAB = 0x80

const MCR_LOOPBACK = 0x10
const MCR_BITS = 0x1f

const LSR_DATA_READY = 0x1
/** THR and transmitter empty. */
const LSR_TRANSMIT = 0x60

/** CTS, DSR and DCD: somebody is at the other end. */
const MSR_CONNECTED = 0xb0
const MSR_RI = 0x40
/** Lines whose changes in either direction are recorded, one delta bit each: CTS DSR DCD. RI counts when it drops. */
const MSR_LINES = 0xf0
const MSR_DELTAS = 0xf

/** Everything the chip remembers. */
export interface Ns8250State {
  /** Received byte. */
  rbr: number
  /** RBR holds a byte that has not been read. */
  dataReady: boolean
  ier: number
  lcr: number
  mcr: number
  msr: number
  scr: number
  divisor: number
  /** "Transmitter holding register empty" has happened and was neither read from IIR nor ended by a byte. */
  transmitPending: boolean
  /** Bytes from the console that RBR has no room for yet. */
  waiting: number[]
}

export interface Ns8250Counters {
  received: number
  transmitted: number
  /** Times the interrupt line went up. */
  interrupts: number
  /** Writes to LSR and MSR, which are factory test features. */
  ignoredWrites: number
}

export interface Ns8250Config {
  readonly base?: number
  /** A byte leaves for the console. */
  readonly output: (byte: number) => void
  /** The interrupt line changes its level. */
  readonly interrupt?: (level: boolean) => void
}

export class Ns8250 implements PortHandler {
  readonly counters: Ns8250Counters = { received: 0, transmitted: 0, interrupts: 0, ignoredWrites: 0 }
  /** Times that LSR was read in a row and there was nothing to do: a guest that waits for input looks like that. */
  idlePolls = 0
  readonly #output: (byte: number) => void
  readonly #interrupt: (level: boolean) => void
  #state: Ns8250State = powerOn()
  #level = false

  constructor({ base = COM1_BASE, output, interrupt = () => {} }: Ns8250Config, bus: Bus) {
    this.#output = output
    this.#interrupt = interrupt
    bus.claim(base, base + SCR, this)
  }

  /** Bytes from the console; they wait until the guest takes them. */
  receive(bytes: Iterable<number>): void {
    for (const byte of bytes) this.#state.waiting.push(byte)
    this.idlePolls = 0
    this.#takeWaiting()
    this.#update()
  }

  /** Bytes from the console that the guest has not taken. */
  get waiting(): number {
    return this.#state.waiting.length
  }

  save(): Ns8250State {
    return { ...this.#state, waiting: [...this.#state.waiting] }
  }

  restore(state: Ns8250State): void {
    this.#state = { ...state, waiting: [...state.waiting] }
    this.#update()
  }

  read(port: number): number {
    const state = this.#state
    const divisorLatch = (state.lcr & LCR_DLAB) !== 0
    switch (port & 7) {
      case DATA:
        return divisorLatch ? state.divisor & 0xff : this.#readData()
      case IER:
        return divisorLatch ? state.divisor >> 8 : state.ier
      case IIR:
        return this.#readIir()
      case LCR:
        return state.lcr
      case MCR:
        return state.mcr
      case LSR:
        return this.#readLsr()
      case MSR:
        return this.#readMsr()
      default:
        return state.scr
    }
  }

  write(port: number, _size: number, value: number): void {
    const state = this.#state
    const byte = value & 0xff
    const divisorLatch = (state.lcr & LCR_DLAB) !== 0
    switch (port & 7) {
      case DATA:
        if (divisorLatch) state.divisor = (state.divisor & 0xff00) | byte
        else this.#transmit(byte)
        break
      case IER:
        if (divisorLatch) state.divisor = (state.divisor & 0xff) | (byte << 8)
        else this.#writeIer(byte)
        break
      case IIR: // FCR of later chips: without FIFOs there is nothing to control
        break
      case LCR:
        state.lcr = byte
        break
      case MCR:
        this.#writeMcr(byte)
        break
      case SCR:
        state.scr = byte
        break
      default:
        this.counters.ignoredWrites++
    }
  }

  #readData(): number {
    const state = this.#state
    const byte = state.rbr
    state.dataReady = false
    this.#update()
    this.#takeWaiting()
    this.#update()
    return byte
  }

  /** Reading IIR ends the transmitter's interrupt if that is the one it names. */
  #readIir(): number {
    const iir = this.#iir()
    if (iir === IIR_TRANSMIT) {
      this.#state.transmitPending = false
      this.#update()
    }
    return iir
  }

  #readLsr(): number {
    if (this.#state.dataReady) return LSR_TRANSMIT | LSR_DATA_READY
    this.idlePolls++
    return LSR_TRANSMIT
  }

  #readMsr(): number {
    const state = this.#state
    const msr = state.msr
    state.msr &= ~MSR_DELTAS
    this.#update()
    return msr
  }

  #transmit(byte: number): void {
    const state = this.#state
    this.idlePolls = 0
    state.transmitPending = false
    this.#update()
    if ((state.mcr & MCR_LOOPBACK) !== 0) {
      this.#loadRbr(byte)
    } else {
      this.counters.transmitted++
      this.#output(byte)
    }
    state.transmitPending = true
    this.#update()
  }

  /** The transmitter is empty: enabling its interrupt raises it at once. */
  #writeIer(byte: number): void {
    const state = this.#state
    if ((byte & ~state.ier & IER_TRANSMIT) !== 0) state.transmitPending = true
    state.ier = byte & IER_BITS
    this.#update()
  }

  #writeMcr(byte: number): void {
    const state = this.#state
    state.mcr = byte & MCR_BITS
    const lines = (byte & MCR_LOOPBACK) !== 0 ? loopedLines(byte) : MSR_CONNECTED
    const changed = (state.msr ^ lines) & MSR_LINES
    const deltas = changed & ~(MSR_RI & lines)
    state.msr = lines | (state.msr & MSR_DELTAS) | (deltas >> 4)
    this.#takeWaiting()
    this.#update()
  }

  /** The console's next byte moves to RBR, unless there is one or the receiver is looped to the transmitter. */
  #takeWaiting(): void {
    const state = this.#state
    if (state.dataReady || (state.mcr & MCR_LOOPBACK) !== 0) return
    const byte = state.waiting.shift()
    if (byte !== undefined) this.#loadRbr(byte)
  }

  #loadRbr(byte: number): void {
    this.#state.rbr = byte
    this.#state.dataReady = true
    this.counters.received++
  }

  #iir(): number {
    const { ier, msr, dataReady, transmitPending } = this.#state
    if ((ier & IER_RECEIVED) !== 0 && dataReady) return IIR_RECEIVED
    if ((ier & IER_TRANSMIT) !== 0 && transmitPending) return IIR_TRANSMIT
    if ((ier & IER_MODEM) !== 0 && (msr & MSR_DELTAS) !== 0) return IIR_MODEM
    return IIR_NONE
  }

  #update(): void {
    const level = this.#iir() !== IIR_NONE
    if (level === this.#level) return
    this.#level = level
    if (level) this.counters.interrupts++
    this.#interrupt(level)
  }
}

function powerOn(): Ns8250State {
  return {
    rbr: 0,
    dataReady: false,
    ier: 0,
    lcr: 0,
    mcr: 0,
    msr: MSR_CONNECTED,
    scr: 0,
    divisor: 1, // 115200
    transmitPending: false,
    waiting: [],
  }
}

/** Loopback: RTS drives CTS, DTR DSR, OUT1 RI and OUT2 DCD. */
function loopedLines(mcr: number): number {
  const dtr = mcr & 1
  const rts = (mcr >> 1) & 1
  const outs = (mcr >> 2) & 3
  return (rts << 4) | (dtr << 5) | (outs << 6)
}
