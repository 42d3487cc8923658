import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as L from '../src/cpu/layout.ts'
import { vm_exit } from '../src/vmm/codec.ts'
import { Vmm } from '../src/vmm/device.ts'
import { VCPU_STATE, VM_EXIT_TERMINATED, VMX_EXIT, type VmInfoResult } from '../src/vmm/vmmvar.ts'
import { fails, longModeState, smallVm } from './support/guest64.ts'
import { Puppet } from './support/puppet.ts'

const SIZE = 160

function device(): { vmm: Vmm; cpus: Puppet[] } {
  const cpus: Puppet[] = []
  const vmm = new Vmm({
    createCpu: (options) => {
      const puppet = new Puppet(options)
      cpus.push(puppet)
      return puppet
    },
  })
  return { vmm, cpus }
}

test('INFO of nothing', () => {
  const params = { vip_size: 0, vip_info_ct: 9 }
  assert.is(device().vmm.info(params), 0)
  assert.equal(params, { vip_size: 0, vip_info_ct: 0 })
})

test('INFO tells the size it needs', () => {
  const { vmm } = device()
  vmm.create(smallVm())
  vmm.create(smallVm())
  for (const vip_size of [0, SIZE, 2 * SIZE - 1]) {
    const params = { vip_size, vip_info_ct: 9, vip_info: [] as VmInfoResult[] }
    vmm.info(params)
    assert.equal(params, { vip_size: 2 * SIZE, vip_info_ct: 0, vip_info: [] })
  }
})

test('INFO lists the newest VM first and leaves vip_size alone', () => {
  const { vmm } = device()
  for (const name of ['one', 'two', 'three']) vmm.create(smallVm(name))
  vmm.terminate({ vtp_vm_id: 2 })
  const params = { vip_size: 1000, vip_info_ct: 0, vip_info: [] as VmInfoResult[] }
  vmm.info(params)
  assert.is(params.vip_size, 1000)
  assert.is(params.vip_info_ct, 2)
  assert.equal(
    params.vip_info.map((result) => [result.vir_id, result.vir_name]),
    [
      [3, 'three'],
      [1, 'one'],
    ],
  )
})

test('INFO without a buffer is EFAULT, when there is something to store', () => {
  const { vmm } = device()
  vmm.info({ vip_size: 1000 })
  vmm.create(smallVm())
  const params = { vip_size: 1000, vip_info_ct: 5 }
  fails('EFAULT', () => vmm.info(params))
  assert.equal(params, { vip_size: 1000, vip_info_ct: 5 })
})

test('INFO counts the pages that were touched', () => {
  const { vmm, cpus } = device()
  vmm.create(smallVm())
  cpus[0]?.writeU32(L.RESIDENT_PAGES, 3)
  const params = { vip_size: SIZE, vip_info: [] as VmInfoResult[] }
  vmm.info(params)
  assert.is(params.vip_info[0]?.vir_used_size, 3 * 4096)
})

test('TERM ends every other request with ENOENT', () => {
  const { vmm } = device()
  const id = vmm.create(smallVm())
  const memory = vmm.memory(id)
  vmm.terminate({ vtp_vm_id: id })
  const vcpu = { vrp_vm_id: id, vrp_vcpu_id: 0 }
  const registers = { vrwp_vm_id: id, vrwp_vcpu_id: 0, vrwp_mask: 31, vrwp_regs: longModeState() }
  const vmparams = { vpp_vm_id: id, vpp_vcpu_id: 0, vpp_mask: 3 }
  fails('ENOENT', () => vmm.terminate({ vtp_vm_id: id }))
  fails('ENOENT', () => vmm.run({ ...vcpu, vrp_continue: 0, vrp_irq: 0xffff, vrp_exit: vm_exit.zero() }))
  fails('ENOENT', () => vmm.resetcpu({ ...vcpu, vrp_init_state: longModeState() }))
  fails('ENOENT', () => vmm.intr({ vip_vm_id: id, vip_vcpu_id: 0, vip_intr: 0 }))
  fails('ENOENT', () => vmm.readregs(registers))
  fails('ENOENT', () => vmm.writeregs(registers))
  fails('ENOENT', () => vmm.readvmparams(vmparams))
  fails('ENOENT', () => vmm.writevmparams(vmparams))
  fails('ENOENT', () =>
    vmm.mprotectEpt({ vmep_vm_id: id, vmep_vcpu_id: 0, vmep_sgpa: 0n, vmep_size: 4096n, vmep_prot: 1 }),
  )
  fails('ENOENT', () => vmm.memory(id))
  assert.throws(() => memory.read(0, 1), /terminated/)
})

test('a vcpu that does not exist is ENOENT in every request that names one', () => {
  const { vmm } = device()
  const id = vmm.create(smallVm())
  const vcpu = { vrp_vm_id: id, vrp_vcpu_id: 1 }
  const registers = { vrwp_vm_id: id, vrwp_vcpu_id: 1, vrwp_mask: 31, vrwp_regs: longModeState() }
  const vmparams = { vpp_vm_id: id, vpp_vcpu_id: 1, vpp_mask: 3 }
  fails('ENOENT', () => vmm.run({ ...vcpu, vrp_continue: 1, vrp_irq: 0xffff }))
  fails('ENOENT', () => vmm.resetcpu({ ...vcpu, vrp_init_state: longModeState() }))
  fails('ENOENT', () => vmm.intr({ vip_vm_id: id, vip_vcpu_id: 1, vip_intr: 0 }))
  fails('ENOENT', () => vmm.readregs(registers))
  fails('ENOENT', () => vmm.writeregs(registers))
  fails('ENOENT', () => vmm.readvmparams(vmparams))
  fails('ENOENT', () => vmm.writevmparams(vmparams))
  fails('ENOENT', () =>
    vmm.mprotectEpt({ vmep_vm_id: id, vmep_vcpu_id: 1, vmep_sgpa: 1n, vmep_size: 0n, vmep_prot: 0 }),
  )
})

test('unknown requests are ENOTTY', () => {
  const { vmm } = device()
  for (const request of [0, 0xc5005600, 0xc020560c, 0x2, 0xc0185604]) fails('ENOTTY', () => vmm.ioctl(request, {}))
})

test('TERM from inside RUN: the VM is gone at once, RUN ends with 0xFFFE, INFO counts it until then', () => {
  const { vmm, cpus } = device()
  const other = vmm.create(smallVm('other'))
  const id = vmm.create(smallVm('dying'))
  vmm.resetcpu({ vrp_vm_id: id, vrp_vcpu_id: 0, vrp_init_state: longModeState() })
  const memory = vmm.memory(id)
  const seen: unknown[] = []
  const exit = vm_exit.zero()
  const run = { vrp_vm_id: id, vrp_vcpu_id: 0, vrp_continue: 0, vrp_irq: 0xffff, vrp_exit: exit, vrp_irqready: 77 }
  cpus[1]?.script.push(() => {
    const before: VmInfoResult[] = []
    vmm.info({ vip_size: 2 * SIZE, vip_info: before })
    seen.push(before[0]?.vir_vcpu_state[0])
    fails('EBUSY', () => vmm.run(run))
    fails('EBUSY', () => vmm.resetcpu({ vrp_vm_id: id, vrp_vcpu_id: 0, vrp_init_state: longModeState() }))
    vmm.terminate({ vtp_vm_id: id })
    fails('ENOENT', () => vmm.terminate({ vtp_vm_id: id }))
    const after: VmInfoResult[] = []
    vmm.info({ vip_size: 2 * SIZE, vip_info: after })
    seen.push(after.map((result) => result.vir_id))
    memory.readU8(0)
    exit.cpl = 55
    return VMX_EXIT.HLT
  })
  assert.is(vmm.run(run), VM_EXIT_TERMINATED)
  assert.equal(seen, [VCPU_STATE.RUNNING, [other, 0]])
  assert.is(exit.cpl, 55, 'vm_exit is not written')
  assert.is(run.vrp_irqready, 77)
  const vip_info: VmInfoResult[] = []
  assert.is(vmm.info({ vip_size: 2 * SIZE, vip_info }), 1)
  assert.throws(() => memory.readU8(0), /terminated/)
})

test('TERM from inside RUN outweighs an error of the same exit', () => {
  const { vmm, cpus } = device()
  const id = vmm.create(smallVm())
  vmm.resetcpu({ vrp_vm_id: id, vrp_vcpu_id: 0, vrp_init_state: longModeState() })
  cpus[0]?.script.push(() => {
    vmm.terminate({ vtp_vm_id: id })
    return VMX_EXIT.INVD
  })
  const run = { vrp_vm_id: id, vrp_vcpu_id: 0, vrp_continue: 0, vrp_irq: 0xffff, vrp_exit: vm_exit.zero() }
  assert.is(vmm.run(run), VM_EXIT_TERMINATED)
})

test.run()
