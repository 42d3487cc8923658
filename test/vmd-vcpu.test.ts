/** The vcpu loop with an interrupt controller in its place: vectors reach the guest, whatever it is doing. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { nodeHost } from '../src/node/host.ts'
import { Bus } from '../src/vmd/bus.ts'
import { VcpuLoop } from '../src/vmd/vcpu.ts'
import { openVmm, VRP_IRQ_NONE } from '../src/vmm/index.ts'
import { Guest } from './support/guest64.ts'

const PORT = 0x61
const VECTOR = 0x24
const CLI = 0xfa
const STI = 0xfb
const HLT = 0xf4
const SPIN = [0xeb, 0xfe]
const outImmediate = (value: number): number[] => [0xb0, value, 0xe6, PORT]
const HANDLER = [...outImmediate(0xee), 0x48, 0xcf]

/** A controller with one line, edge-triggered, and the loop it is for. A byte written to the port is logged. */
class Board {
  readonly log: number[] = []
  pending = false
  readonly vcpu: VcpuLoop
  readonly #end: number

  constructor(code: readonly number[], end: number) {
    this.#end = end
    const guest = new Guest(openVmm(), code, { [VECTOR]: HANDLER })
    const bus = new Bus()
    bus.claim(PORT, PORT, { read: () => 0, write: (_port, _size, value) => this.#write(value) })
    this.vcpu = new VcpuLoop({
      vmm: guest.vmm,
      vmId: guest.id,
      bus,
      host: nodeHost,
      console: { idlePolls: 0 },
      pic: this,
      onTripleFault: 'stop',
    })
  }

  acknowledge(): number {
    if (!this.pending) return VRP_IRQ_NONE
    this.pending = false
    return VECTOR
  }

  raise(): void {
    this.pending = true
    this.vcpu.wake()
  }

  #write(value: number): void {
    this.log.push(value)
    if (value === 0xaa) this.raise()
    if (value === this.#end) this.vcpu.end({ reason: 'poweroff', status: 0 })
  }
}

test('an interrupt ends HLT', async () => {
  const board = new Board([STI, HLT, ...outImmediate(1), CLI, HLT], 1)
  setTimeout(() => board.raise(), 20)
  await board.vcpu.run()
  assert.equal(board.log, [0xee, 1])
})

test('an interrupt that came before HLT does not let it wait', async () => {
  const board = new Board([...outImmediate(0xaa), STI, HLT, ...outImmediate(1)], 1)
  await board.vcpu.run()
  assert.equal(board.log, [0xaa, 0xee, 1])
})

test('an interrupt waits for STI', async () => {
  const board = new Board([...outImmediate(0xaa), ...outImmediate(1), STI, 0x90, 0x90, ...outImmediate(2)], 2)
  await board.vcpu.run()
  assert.equal(board.log, [0xaa, 1, 0xee, 2])
})

test('an interrupt reaches a guest that computes', async () => {
  const board = new Board([STI, ...SPIN], 0xee)
  setTimeout(() => board.raise(), 20)
  await board.vcpu.run()
  assert.equal(board.log, [0xee])
})

test('being woken without an interrupt does not end HLT', async () => {
  const board = new Board([STI, HLT, ...outImmediate(1)], 1)
  setTimeout(() => board.vcpu.wake(), 10)
  setTimeout(() => board.vcpu.end({ reason: 'interrupted' }), 30)
  assert.equal(await board.vcpu.run(), { reason: 'interrupted' })
  assert.equal(board.log, [])
})

test('the first ending stands', async () => {
  const board = new Board(SPIN, 0)
  board.vcpu.end({ reason: 'poweroff', status: 3 })
  board.vcpu.end({ reason: 'interrupted' })
  assert.equal(await board.vcpu.run(), { reason: 'poweroff', status: 3 })
})

test.run()
