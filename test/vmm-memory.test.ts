/** GuestMemory: guest-physical addresses in ranges that touch and ranges that do not. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Vmm } from '../src/vmm/device.ts'
import type { GuestMemory } from '../src/vmm/memory.ts'
import { fails } from './support/guest64.ts'
import { Puppet } from './support/puppet.ts'

const MB = 0x100000

/** [0, 1 MB) and [1 MB, 2 MB) touch; [4 MB, 5 MB) does not. */
function setUp(): { vmm: Vmm; memory: GuestMemory; cpu: Puppet } {
  let cpu: Puppet | undefined
  const vmm = new Vmm({
    createCpu: (options) => {
      cpu = new Puppet(options)
      return cpu
    },
  })
  const id = vmm.create({
    vcp_nmemranges: 3,
    vcp_ncpus: 1,
    vcp_memranges: [0, 1, 4].map((megabyte) => ({
      vmr_gpa: BigInt(megabyte * MB),
      vmr_va: 0x10000n,
      vmr_size: BigInt(MB),
    })),
  })
  if (cpu === undefined) throw new Error('no processor was made')
  return { vmm, memory: vmm.memory(id), cpu }
}

test('memory starts zeroed and keeps what is written', () => {
  const { memory } = setUp()
  assert.is(memory.readU64(0x1000), 0n)
  memory.write(4 * MB, Uint8Array.of(1, 2, 3))
  assert.equal([...memory.read(4 * MB, 4)], [1, 2, 3, 0])
})

test('numbers are little endian', () => {
  const { memory } = setUp()
  memory.writeU64(8, 0x8877665544332211n)
  assert.is(memory.readU8(9), 0x22)
  assert.is(memory.readU16(8), 0x2211)
  assert.is(memory.readU32(12), 0x88776655)
  assert.is(memory.readU64(8), 0x8877665544332211n)
  memory.writeU8(0, 0xff)
  memory.writeU16(1, 0xfffe)
  memory.writeU32(3, 0xfffffffd)
  assert.equal([...memory.read(0, 8)], [0xff, 0xfe, 0xff, 0xfd, 0xff, 0xff, 0xff, 0])
})

test('accesses may cross ranges that touch', () => {
  const { memory, cpu } = setUp()
  cpu.log.length = 0
  memory.writeU64(MB - 4, 0x1122334455667788n)
  assert.is(memory.readU64(MB - 4), 0x1122334455667788n)
  assert.equal(cpu.log, [`written ${MB - 4} 4`, `written ${MB} 4`])
  assert.is(memory.has(MB - 4, 8), true)
})

test('a view is the memory, and lies in one range', () => {
  const { memory, cpu } = setUp()
  const view = memory.view(4 * MB, MB)
  view[5] = 0x77
  cpu.log.length = 0
  memory.written(4 * MB + 5, 1)
  assert.equal(cpu.log, [`written ${2 * MB + 5} 1`])
  assert.is(memory.readU8(4 * MB + 5), 0x77)
  memory.writeU8(4 * MB + 6, 0x66)
  assert.is(view[6], 0x66)
  assert.throws(() => memory.view(MB - 1, 2), /crosses the end of the memory range at 0x0/)
})

test('what is not memory is a RangeError that says what there is', () => {
  const { memory } = setUp()
  const bad: [number, number][] = [
    [2 * MB, 1],
    [2 * MB - 1, 2],
    [4 * MB - 1, 2],
    [5 * MB, 1],
    [-1, 1],
    [0, 5 * MB],
  ]
  for (const [gpa, length] of bad) {
    for (const access of [
      () => memory.read(gpa, length),
      () => memory.write(gpa, new Uint8Array(length)),
      () => memory.view(gpa, length),
      () => memory.written(gpa, length),
    ]) {
      assert.throws(
        access,
        (error: Error) => error instanceof RangeError && error.message.includes('[0x400000, 0x500000)'),
      )
    }
    assert.is(memory.has(gpa, length), false)
  }
})

test('a write that does not fit writes nothing', () => {
  const { memory } = setUp()
  assert.throws(() => memory.write(2 * MB - 1, Uint8Array.of(1, 2)))
  assert.is(memory.readU8(2 * MB - 1), 0)
})

test('accesses of no bytes', () => {
  const { memory } = setUp()
  memory.write(100, new Uint8Array(0))
  assert.is(memory.read(100, 0).length, 0)
})

test('memory of a VM that does not exist', () => {
  const { vmm } = setUp()
  fails('ENOENT', () => vmm.memory(2))
})

test.run()
