import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Bus } from '../src/vmd/bus.ts'
import { Ns8250 } from '../src/vmd/devices/ns8250.ts'

/** Registers by the data sheet's names; a test reads and writes them as a driver does. */
const PORTS = { data: 0x3f8, ier: 0x3f9, iir: 0x3fa, lcr: 0x3fb, mcr: 0x3fc, lsr: 0x3fd, msr: 0x3fe, scr: 0x3ff }
type Register = keyof typeof PORTS

class Driver {
  readonly bus = new Bus()
  readonly printed: number[] = []
  /** Levels of the interrupt line, as they changed. */
  readonly line: boolean[] = []
  readonly chip = new Ns8250(
    { output: (byte) => this.printed.push(byte), interrupt: (level) => this.line.push(level) },
    this.bus,
  )

  read(register: Register): number {
    return this.bus.read(PORTS[register], 1)
  }

  write(register: Register, value: number): void {
    this.bus.write(PORTS[register], 1, value)
  }

  type(text: string): void {
    this.chip.receive(new TextEncoder().encode(text))
  }
}

test('polled output: the transmitter is always empty', () => {
  const com = new Driver()
  for (const byte of [0x68, 0x69]) {
    assert.is(com.read('lsr'), 0x60)
    com.write('data', byte)
  }
  assert.equal(com.printed, [0x68, 0x69])
  assert.equal(com.line, [], 'no interrupt was enabled')
})

test('polled input: one byte at a time, none is lost', () => {
  const com = new Driver()
  assert.is(com.read('lsr'), 0x60)
  com.type('ab')
  com.type('c')
  assert.is(com.chip.waiting, 2)
  for (const byte of [0x61, 0x62, 0x63]) {
    assert.is(com.read('lsr'), 0x61)
    assert.is(com.read('data'), byte)
  }
  assert.is(com.read('lsr'), 0x60)
  assert.is(com.chip.waiting, 0)
})

test('DLAB shows the divisor latch instead of data and IER', () => {
  const com = new Driver()
  com.type('x')
  com.write('lcr', 0x83)
  assert.is(com.read('data'), 1, '115200 at power-on')
  com.write('data', 0x0c)
  com.write('ier', 0x01)
  assert.equal([com.read('data'), com.read('ier')], [0x0c, 0x01])
  com.write('lcr', 0x03)
  assert.is(com.read('lcr'), 0x03)
  assert.is(com.read('ier'), 0)
  assert.is(com.read('data'), 0x78)
  assert.equal(com.printed, [])
})

test('registers that only remember, and their bits that exist', () => {
  const com = new Driver()
  com.write('scr', 0x5a)
  assert.is(com.read('scr'), 0x5a)
  com.write('mcr', 0xef)
  assert.is(com.read('mcr'), 0x0f)
  com.write('ier', 0xf0)
  assert.is(com.read('ier'), 0)
  com.write('lsr', 0)
  com.write('msr', 0)
  assert.is(com.chip.counters.ignoredWrites, 2)
})

test('no FIFO: IIR bits 6 and 7 stay clear after a write to FCR', () => {
  const com = new Driver()
  com.write('iir', 0xc7)
  assert.is(com.read('iir'), 0x01)
})

test('the console is connected: CTS, DSR, DCD', () => {
  assert.is(new Driver().read('msr'), 0xb0)
})

test('received data interrupts until it is read', () => {
  const com = new Driver()
  com.write('ier', 0x01)
  assert.is(com.read('iir'), 0x01)
  com.type('ab')
  assert.equal(com.line, [true])
  assert.is(com.read('iir'), 0x04)
  assert.is(com.read('iir'), 0x04, 'reading IIR does not end it')
  com.read('data')
  assert.equal(com.line, [true, false, true], 'an edge for the second byte')
  com.read('data')
  assert.equal(com.line, [true, false, true, false])
  assert.is(com.chip.counters.interrupts, 2)
})

test('the empty transmitter interrupts when enabled, and after each byte; reading IIR ends it', () => {
  const com = new Driver()
  com.write('ier', 0x02)
  assert.equal(com.line, [true])
  assert.is(com.read('iir'), 0x02)
  assert.is(com.read('iir'), 0x01)
  assert.equal(com.line, [true, false])
  com.write('data', 0x21)
  assert.equal(com.line, [true, false, true])
  com.write('data', 0x22)
  assert.equal(com.line, [true, false, true, false, true], 'an edge for an edge-triggered controller')
  com.write('ier', 0x02)
  com.write('ier', 0x00)
  assert.is(com.line.at(-1), false)
})

test('IIR names the highest priority: data before transmitter before modem status', () => {
  const com = new Driver()
  com.write('mcr', 0x10)
  com.write('mcr', 0x00)
  com.write('ier', 0x0b)
  com.type('a')
  assert.is(com.read('iir'), 0x04)
  com.read('data')
  assert.is(com.read('iir'), 0x02)
  assert.is(com.read('iir'), 0x00)
  assert.is(com.line.at(-1), true)
  com.read('msr')
  assert.is(com.read('iir'), 0x01)
  assert.is(com.line.at(-1), false)
})

test('loopback: THR goes to RBR, MCR to MSR; console input waits', () => {
  const com = new Driver()
  com.write('mcr', 0x1a)
  assert.is(com.read('msr') & 0xf0, 0x90, 'OUT2 and RTS, as drivers look for it')
  com.type('k')
  assert.is(com.read('lsr'), 0x60)
  com.write('data', 0xae)
  assert.equal(com.printed, [])
  assert.is(com.read('lsr'), 0x61)
  assert.is(com.read('data'), 0xae)
  com.write('mcr', 0x0b)
  assert.is(com.read('msr') & 0xf0, 0xb0)
  assert.is(com.read('data'), 0x6b, 'what was typed comes when the loop is open')
})

test('MSR deltas: lines that changed, RI when it drops; a read clears them', () => {
  const com = new Driver()
  com.write('mcr', 0x14) // loopback, OUT1: RI up, the console's lines down
  assert.is(com.read('msr'), 0x4b, 'CTS DSR DCD changed; RI did not drop')
  assert.is(com.read('msr'), 0x40)
  com.write('mcr', 0x10)
  assert.is(com.read('msr'), 0x04, 'trailing edge of RI')
})

test('polling in vain is counted, until something happens', () => {
  const com = new Driver()
  for (let i = 0; i < 5; i++) com.read('lsr')
  assert.is(com.chip.idlePolls, 5)
  com.write('data', 0x2e)
  assert.is(com.chip.idlePolls, 0)
  com.read('lsr')
  com.type('x')
  com.read('lsr')
  assert.is(com.chip.idlePolls, 0)
})

test('state is saved whole and restored into another chip', () => {
  const com = new Driver()
  com.write('lcr', 0x80)
  com.write('data', 0x30)
  com.write('lcr', 0x1b)
  com.write('scr', 7)
  com.write('mcr', 0x0b)
  com.write('ier', 0x03)
  com.type('xyz')
  const saved = com.chip.save()
  const other = new Driver()
  other.chip.restore(JSON.parse(JSON.stringify(saved)))
  assert.equal(other.chip.save(), saved)
  assert.equal(other.line, [true], 'the interrupt line follows')
  com.read('data')
  assert.is(saved.waiting.length, 2, 'the record is not the chip')
  for (const byte of [0x78, 0x79, 0x7a]) assert.is(other.read('data'), byte)
  assert.is(other.read('iir'), 0x02)
})

test.run()
