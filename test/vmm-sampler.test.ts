/** openVmm's onSample: where a guest is, every so many instructions. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { openVmm, type Sample, VM_EXIT_NONE } from '../src/vmm/index.ts'
import { CODE, Guest } from './support/guest64.ts'

const INTERVAL = 299_993

test('samples are instructions apart, to the instruction, at any place of a loop', () => {
  const samples: Sample[] = []
  // A loop of 8 instructions, so that without an exact end the place would be its head always.
  const vmm = openVmm({ onSample: (sample) => samples.push(sample), slice: 20 * INTERVAL })
  assert.is(new Guest(vmm, [...new Array(7).fill(0x90), 0xeb, 0xf7]).run(), VM_EXIT_NONE)
  assert.is(samples.length, 20)
  for (const [index, { address, cpl, instructions, milliseconds }] of samples.entries()) {
    assert.is(instructions, INTERVAL)
    assert.is(Number(address), CODE + (((index + 1) * INTERVAL) % 8))
    assert.is(cpl, 0)
    assert.ok(milliseconds >= 0)
  }
})

test('exits in between do not put the next sample off', () => {
  const samples: Sample[] = []
  const vmm = openVmm({ onSample: (sample) => samples.push(sample), clock: 'instructions' })
  const guest = new Guest(vmm, [0x0f, 0xa2, 0xe6, 0x61, 0xeb, 0xfa])
  while (vmm.instructions(guest.id) < 2 * INTERVAL) guest.run()
  assert.is(samples.length, 2)
  assert.is(samples[0]?.instructions, INTERVAL)
})

test.run()
