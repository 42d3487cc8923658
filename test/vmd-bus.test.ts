import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Bus, mergeIn } from '../src/vmd/bus.ts'
import { ExitPort } from '../src/vmd/devices/exit-port.ts'

test('a port that nobody claims reads all ones and swallows writes', () => {
  const bus = new Bus()
  assert.is(bus.read(0x61, 1), 0xff)
  assert.is(bus.read(0x61, 2), 0xffff)
  assert.is(bus.read(0x61, 4), 0xffffffff)
  bus.write(0x61, 1, 3)
  assert.equal(bus.counters, { unclaimedReads: 3, unclaimedWrites: 1 })
})

test('an access goes to the device that claimed the port, with its width', () => {
  const bus = new Bus()
  const seen: number[][] = []
  const device = {
    read: (port: number, size: number) => {
      seen.push([port, size])
      return 0x12345678
    },
    write: (port: number, size: number, value: number) => {
      seen.push([port, size, value])
    },
  }
  bus.claim(0xcf8, 0xcfb, device)
  assert.is(bus.read(0xcf8, 4), 0x12345678)
  assert.is(bus.read(0xcfb, 1), 0x78)
  bus.write(0xcf9, 2, 0xaabbccdd)
  assert.equal(seen, [
    [0xcf8, 4],
    [0xcfb, 1],
    [0xcf9, 2, 0xccdd],
  ])
  assert.is(bus.read(0xcfc, 1), 0xff)
  assert.is(bus.read(0xcf7, 1), 0xff)
})

test('two devices can not have the same port', () => {
  const bus = new Bus()
  const device = { read: () => 0, write: () => {} }
  bus.claim(0x20, 0x21, device)
  assert.throws(() => bus.claim(0x21, 0x22, device), /port 0x21 is claimed by two devices/)
  assert.throws(() => bus.claim(0xffff, 0x10000, device), RangeError)
  assert.is(bus.read(0x22, 1), 0xff, 'nothing was claimed')
})

test('IN replaces the bits of EAX that it is wide', () => {
  assert.is(mergeIn(0xaabbccdd, 1, 0x11), 0xaabbcc11)
  assert.is(mergeIn(0xaabbccdd, 2, 0x2211), 0xaabb2211)
  assert.is(mergeIn(0xaabbccdd, 4, 0xf4332211), 0xf4332211)
})

test('the exit port passes on the status', () => {
  const bus = new Bus()
  const statuses: number[] = []
  new ExitPort({ powerOff: (status) => statuses.push(status) }, bus)
  bus.write(0x501, 1, 0)
  bus.write(0x501, 4, 0x1234)
  assert.equal(statuses, [0, 0x34])
  assert.is(bus.read(0x501, 1), 0xff)
})

test.run()
