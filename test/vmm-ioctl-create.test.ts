import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { VMM_IOC_CREATE, VMM_IOC_TERM } from '../src/vmm/codec.ts'
import { Vmm } from '../src/vmm/device.ts'
import type { VmCreateParams } from '../src/vmm/vmmvar.ts'
import { fails, smallVm } from './support/guest64.ts'
import { Puppet } from './support/puppet.ts'

const MB = 0x100000n
const GB = 0x40000000n

/** A device whose processors have no memory behind them: sizes do not matter. */
function device(pid = 7): { vmm: Vmm; created: Puppet[] } {
  const created: Puppet[] = []
  const createCpu = (options: ConstructorParameters<typeof Puppet>[0]): Puppet => {
    const puppet = new Puppet({ ...options, ranges: [{ gpa: 0, size: 0x1000 }] })
    created.push(Object.assign(puppet, { options }))
    return puppet
  }
  return { vmm: new Vmm({ pid, createCpu }), created }
}

/** [gpa, size, va] for each range. */
function withRanges(...ranges: [gpa: bigint, size: bigint, va?: bigint][]): VmCreateParams {
  return {
    vcp_nmemranges: ranges.length,
    vcp_ncpus: 1,
    vcp_memranges: ranges.map(([gpa, size, va]) => ({ vmr_gpa: gpa, vmr_va: va ?? 0x10000n, vmr_size: size })),
  }
}

const REFUSED: [string, VmCreateParams][] = [
  ['no ranges', withRanges()],
  ['17 ranges', withRanges(...Array.from({ length: 17 }, (_, i): [bigint, bigint] => [BigInt(i) * MB, MB]))],
  ['a gpa inside a page', withRanges([0x800n, MB])],
  ['a va inside a page', withRanges([0n, MB, 0x10001n])],
  ['a size that ends inside a page', withRanges([0n, MB + 1n])],
  ['an empty range', withRanges([0n, 0n])],
  ['a range announced but not given', { ...withRanges([0n, MB]), vcp_nmemranges: 2 }],
  ['a gpa of 32 GB', withRanges([32n * GB, MB])],
  ['an end beyond 32 GB', withRanges([32n * GB - MB, 2n * MB])],
  ['a va of zero', withRanges([0n, MB, 0n])],
  ['a va beyond user space', withRanges([0n, MB, 0x7f7fffffc000n])],
  ['a va whose end reaches the end of user space', withRanges([0n, MB, 0x7f7fffffc000n - MB])],
  ['a gpa at the beginning of the PCI hole', withRanges([0xf0000000n, MB])],
  ['a gpa at the end of the PCI hole', withRanges([0xfffff000n, MB])],
  ['an end in the PCI hole', withRanges([0xeff00000n, 2n * MB])],
  ['ranges that overlap', withRanges([0n, 2n * MB], [MB, MB])],
  ['ranges that descend', withRanges([4n * MB, MB], [0n, MB])],
  ['a sum that is no multiple of 1 MB', withRanges([0n, MB], [MB, 0x1000n])],
  ['no vcpu', { ...withRanges([0n, MB]), vcp_ncpus: 0 }],
  ['two vcpus', { ...withRanges([0n, MB]), vcp_ncpus: 2 }],
]

for (const [what, params] of REFUSED) {
  test(`EINVAL for ${what}`, () => {
    const { vmm, created } = device()
    params.vcp_id = 99
    fails('EINVAL', () => vmm.create(params))
    assert.is(params.vcp_id, 99, 'nothing is written when a request fails')
    assert.is(created.length, 0)
    assert.is(vmm.info({ vip_size: 0 }), 0)
  })
}

const ACCEPTED: [string, VmCreateParams][] = [
  ['ranges that touch', withRanges([0n, MB], [MB, MB])],
  ['ranges with a gap', withRanges([0n, MB], [5n * MB, MB])],
  ['16 ranges', withRanges(...Array.from({ length: 16 }, (_, i): [bigint, bigint] => [BigInt(i) * MB, MB]))],
  ['ranges of 4 KB that make 1 MB together', withRanges([0n, 0x1000n], [0x1000n, MB - 0x1000n])],
  ['a range up to the PCI hole', withRanges([0xeff00000n, MB])],
  ['a range at 4 GB', withRanges([4n * GB, MB])],
  ['an end of 32 GB', withRanges([32n * GB - MB, MB])],
  ['a range over the whole PCI hole', withRanges([0xeff00000n, 0x10000000n + 2n * MB])],
  ['the same va twice', withRanges([0n, MB, 0x10000n], [MB, MB, 0x10000n])],
  ['the lowest va', withRanges([0n, MB, 0x1000n])],
]

for (const [what, params] of ACCEPTED) {
  test(`accepts ${what}`, () => {
    const { vmm, created } = device()
    assert.is(vmm.create(params), 1)
    const ranges = params.vcp_memranges.map((range) => ({ gpa: Number(range.vmr_gpa), size: Number(range.vmr_size) }))
    assert.equal(created[0]?.options.ranges, ranges)
  })
}

test('memory is checked before the number of vcpus', () => {
  const { vmm } = device()
  try {
    vmm.create({ ...withRanges([1n, MB]), vcp_ncpus: 2 })
    assert.unreachable()
  } catch (error) {
    assert.match((error as Error).message, 'range 0 is not page-aligned')
  }
})

test('a refusal says what was wrong', () => {
  const { vmm } = device()
  assert.throws(
    () => vmm.create(withRanges([0n, 2n * MB], [MB, MB])),
    /VMM_IOC_CREATE: range 1 starts at 0x100000, below 0x200000/,
  )
})

test('ENOMEM when the host has not the memory', () => {
  const createCpu = (): Puppet => {
    throw new RangeError('too much')
  }
  const vmm = new Vmm({ createCpu })
  fails('ENOMEM', () => vmm.create(smallVm()))
  assert.is(vmm.info({ vip_size: 0 }), 0)
})

test('ids start at 1 and are not used again, not even after a failure', () => {
  const { vmm } = device()
  assert.is(vmm.create(smallVm()), 1)
  fails('EINVAL', () => vmm.create(withRanges()))
  const params = smallVm()
  vmm.ioctl(VMM_IOC_CREATE, params)
  assert.is(params.vcp_id, 2)
  vmm.ioctl(VMM_IOC_TERM, { vtp_vm_id: 2 })
  assert.is(vmm.create(smallVm()), 3)
})

test('names may be empty, double or odd, and are cut to 63 characters', () => {
  const { vmm } = device()
  const names = ['', 'a', 'a', '../ $', 'n'.repeat(70)]
  for (const name of names) vmm.create(smallVm(name))
  const params = { vip_size: 160 * names.length, vip_info: [] as ReturnType<typeof info> }
  vmm.info(params)
  assert.equal(params.vip_info.map((result) => result.vir_name).reverse(), ['', 'a', 'a', '../ $', 'n'.repeat(63)])
})

test('a new VM has one stopped vcpu without interrupts', () => {
  const { vmm } = device()
  vmm.create(smallVm('fresh'))
  const [result] = info(vmm)
  assert.is(result?.vir_memory_size, 2)
  assert.is(result?.vir_ncpus, 1)
  assert.equal(result?.vir_vcpu_state, new Array(64).fill(0))
  assert.is(result?.vir_creator_pid, 7)
  assert.is(result?.vir_id, 1)
  const params = { vpp_vm_id: 1, vpp_vcpu_id: 0, vpp_mask: 3, vpp_pvclock_system_gpa: 5n, vpp_pvclock_version: 5 }
  vmm.readvmparams(params)
  assert.is(params.vpp_pvclock_system_gpa, 0n)
  assert.is(params.vpp_pvclock_version, 0)
})

function info(vmm: Vmm): NonNullable<Parameters<Vmm['info']>[0]['vip_info']> {
  const vip_info: NonNullable<Parameters<Vmm['info']>[0]['vip_info']> = []
  vmm.info({ vip_size: 16000, vip_info })
  return vip_info
}

test.run()
