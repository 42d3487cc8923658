/** Terminated VMs give their memory back. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { openVmm } from '../src/vmm/index.ts'
import { smallVm } from './support/guest64.ts'

const VMS = 200
const MEGABYTES = 64

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

test(`${VMS} VMs of ${MEGABYTES} MB, one after the other`, async () => {
  const vmm = openVmm()
  let freed = 0
  const registry = new FinalizationRegistry<number>(() => freed++)
  const before = process.memoryUsage().rss
  for (let count = 1; count <= VMS; count++) {
    const id = vmm.create(smallVm(`vm${count}`, MEGABYTES))
    const memory = vmm.memory(id)
    memory.write(0x1000, new Uint8Array(0x90000).fill(1))
    registry.register(memory.view(0, 1).buffer, count)
    vmm.terminate({ vtp_vm_id: id })
    if (count % 20 === 0) {
      collectGarbage()
      await new Promise((resolve) => setTimeout(resolve, 0))
    }
  }
  for (let turn = 0; turn < 20 && freed < VMS - 1; turn++) {
    collectGarbage()
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  assert.is(vmm.info({ vip_size: 0 }), 0)
  assert.ok(freed >= VMS - 2, `${freed} memories of ${VMS} were freed`)
  const growth = (process.memoryUsage().rss - before) / 2 ** 20
  assert.ok(growth < 400, `the process grew by ${growth} MB`)
})

test('a handle kept after TERM keeps nothing alive and says so', () => {
  const vmm = openVmm()
  const id = vmm.create(smallVm())
  const memory = vmm.memory(id)
  vmm.terminate({ vtp_vm_id: id })
  assert.throws(() => memory.view(0, 1), /terminated/)
  assert.throws(() => memory.written(0, 1), /terminated/)
})

test.run()
