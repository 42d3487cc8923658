/** Requests as bytes, as a C program makes them. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as L from '../src/cpu/layout.ts'
import * as C from '../src/vmm/codec.ts'
import { Vmm } from '../src/vmm/device.ts'
import type { Caller } from '../src/vmm/ioctl.ts'
import { VM_RWREGS_CRS, VMX_EXIT } from '../src/vmm/vmmvar.ts'
import { fails, longModeState, smallVm } from './support/guest64.ts'
import { Puppet } from './support/puppet.ts'

const EXIT_VA = 0x2000n
const INFO_VA = 0x3000n

/** A process with 16 KB of memory, the first page of which is not mapped. */
class Process implements Caller {
  readonly memory = new Uint8Array(0x4000)

  copyin(va: bigint, length: number): Uint8Array {
    return this.#at(va, length).slice()
  }

  copyout(va: bigint, bytes: Uint8Array): void {
    this.#at(va, bytes.length).set(bytes)
  }

  #at(va: bigint, length: number): Uint8Array {
    if (va < 0x1000n || Number(va) + length > this.memory.length) throw new Error('not mapped')
    return this.memory.subarray(Number(va), Number(va) + length)
  }
}

function setUp(): { vmm: Vmm; process: Process; cpus: Puppet[] } {
  const cpus: Puppet[] = []
  const createCpu = (options: ConstructorParameters<typeof Puppet>[0]): Puppet => {
    const cpu = new Puppet(options)
    cpus.push(cpu)
    return cpu
  }
  return { vmm: new Vmm({ createCpu }), process: new Process(), cpus }
}

function create(vmm: Vmm, process: Process): number {
  const bytes = C.vm_create_params.encode(smallVm('bytes'))
  vmm.ioctlBytes(C.VMM_IOC_CREATE, bytes, process)
  return C.vm_create_params.decode(bytes).vcp_id ?? 0
}

function reset(vmm: Vmm, process: Process, id: number): void {
  const params = { vrp_vm_id: id, vrp_vcpu_id: 0, vrp_init_state: longModeState() }
  vmm.ioctlBytes(C.VMM_IOC_RESETCPU, C.vm_resetcpu_params.encode(params), process)
}

function runParams(id: number, vrp_continue: number, va: bigint): Uint8Array {
  const bytes = C.vm_run_params.encode({ vrp_vm_id: id, vrp_vcpu_id: 0, vrp_continue, vrp_irq: 0xffff })
  new DataView(bytes.buffer).setBigUint64(16, va, true)
  return bytes
}

test('CREATE changes the id and nothing else', () => {
  const { vmm, process } = setUp()
  const before = C.vm_create_params.encode(smallVm('x'))
  before[1056 + 40] = 0x55
  before[1276] = 0xaa
  const bytes = before.slice()
  vmm.ioctlBytes(C.VMM_IOC_CREATE, bytes, process)
  before[1272] = 1
  assert.equal(bytes, before)
})

test('a request that fails changes nothing', () => {
  const { vmm, process } = setUp()
  const bytes = C.vm_create_params.encode({ ...smallVm(), vcp_ncpus: 2, vcp_id: 7 })
  const before = bytes.slice()
  fails('EINVAL', () => vmm.ioctlBytes(C.VMM_IOC_CREATE, bytes, process))
  assert.equal(bytes, before)
})

test('an IN, answered', () => {
  const { vmm, process, cpus } = setUp()
  const id = create(vmm, process)
  reset(vmm, process, id)
  const cpu = cpus[0] as Puppet
  cpu.script.push(
    () => {
      cpu.writeU32(L.EXIT_PORT, 0x61)
      cpu.writeU32(L.EXIT_SIZE, 1)
      cpu.writeU32(L.EXIT_IO_FLAGS, L.IO_IN | L.IO_IMMEDIATE)
      cpu.writeU32(L.IO_PENDING, L.IO_TO_RAX)
      return VMX_EXIT.IO
    },
    () => VMX_EXIT.HLT,
  )
  const first = runParams(id, 0, EXIT_VA)
  vmm.ioctlBytes(C.VMM_IOC_RUN, first, process)
  assert.is(C.vm_run_params.decode(first).vrp_exit_reason, VMX_EXIT.IO)
  assert.is(new DataView(first.buffer).getBigUint64(16, true), EXIT_VA)
  const exit = process.memory.subarray(Number(EXIT_VA), Number(EXIT_VA) + 592)
  assert.equal([...exit.subarray(0, 12)], [1, 1, 0, 0, 1, 0, 0x61, 0, 0, 0, 0, 0])
  exit[8] = 0x5a
  vmm.ioctlBytes(C.VMM_IOC_RUN, runParams(id, 1, EXIT_VA), process)
  assert.is(C.vm_exit.decode(exit).vrs.vrs_gprs[0], 0x5an)
})

test('vrp_exit that can not be written is EFAULT after the run, which counts', () => {
  const { vmm, process, cpus } = setUp()
  const id = create(vmm, process)
  reset(vmm, process, id)
  cpus[0]?.script.push(() => VMX_EXIT.HLT)
  const bytes = runParams(id, 0, 0n)
  const before = bytes.slice()
  fails('EFAULT', () => vmm.ioctlBytes(C.VMM_IOC_RUN, bytes, process))
  assert.equal(bytes, before)
  assert.is(cpus[0]?.script.length, 0)
  reset(vmm, process, id)
})

test('vrp_exit is looked at after the VM and its state', () => {
  const { vmm, process } = setUp()
  const id = create(vmm, process)
  fails('ENOENT', () => vmm.ioctlBytes(C.VMM_IOC_RUN, runParams(id + 1, 1, 0n), process))
  fails('EFAULT', () => vmm.ioctlBytes(C.VMM_IOC_RUN, runParams(id, 1, 0n), process))
  fails('EBUSY', () => vmm.ioctlBytes(C.VMM_IOC_RUN, runParams(id, 1, EXIT_VA), process))
})

test('INFO in two steps', () => {
  const { vmm, process } = setUp()
  create(vmm, process)
  create(vmm, process)
  const bytes = new Uint8Array(24)
  const view = new DataView(bytes.buffer)
  view.setBigUint64(16, INFO_VA, true)
  vmm.ioctlBytes(C.VMM_IOC_INFO, bytes, process)
  assert.is(view.getBigUint64(0, true), 320n)
  assert.is(view.getBigUint64(8, true), 0n)
  vmm.ioctlBytes(C.VMM_IOC_INFO, bytes, process)
  assert.is(view.getBigUint64(8, true), 2n)
  const first = C.vm_info_result.decode(process.memory, Number(INFO_VA))
  const second = C.vm_info_result.decode(process.memory, Number(INFO_VA) + 160)
  assert.equal([first.vir_id, second.vir_id, first.vir_name, first.vir_memory_size], [2, 1, 'bytes', 2])
  view.setBigUint64(16, 0n, true)
  view.setBigUint64(8, 99n, true)
  fails('EFAULT', () => vmm.ioctlBytes(C.VMM_IOC_INFO, bytes, process))
  assert.is(view.getBigUint64(8, true), 99n)
})

test('READREGS fills the groups of the mask in place', () => {
  const { vmm, process } = setUp()
  const id = create(vmm, process)
  reset(vmm, process, id)
  const bytes = new Uint8Array(584).fill(0x11)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, id, true)
  view.setUint32(4, 0, true)
  view.setBigUint64(8, 0xfffffff00000000n | BigInt(VM_RWREGS_CRS), true)
  vmm.ioctlBytes(C.VMM_IOC_READREGS, bytes, process)
  assert.is(view.getBigUint64(16 + 144, true), 0x80000011n)
  assert.is(view.getBigUint64(16, true), 0x1111111111111111n)
  assert.is(view.getBigUint64(16 + 144 + 4 * 8, true), 0x1111111111111111n, 'CR8')
})

test('the other requests', () => {
  const { vmm, process, cpus } = setUp()
  const id = create(vmm, process)
  const regs = { vrwp_vm_id: id, vrwp_vcpu_id: 0, vrwp_mask: 1, vrwp_regs: longModeState(0x4321) }
  vmm.ioctlBytes(C.VMM_IOC_WRITEREGS, C.vm_rwregs_params.encode(regs), process)
  assert.is(cpus[0]?.readU64(L.RIP), 0x4321n)
  vmm.ioctlBytes(C.VMM_IOC_INTR, C.vm_intr_params.encode({ vip_vm_id: id, vip_vcpu_id: 0, vip_intr: 1 }), process)
  const vmparams = { vpp_vm_id: id, vpp_vcpu_id: 0, vpp_mask: 2, vpp_pvclock_version: 44 }
  vmm.ioctlBytes(C.VMM_IOC_WRITEVMPARAMS, C.vm_rwvmparams_params.encode(vmparams), process)
  const read = C.vm_rwvmparams_params.encode({ ...vmparams, vpp_pvclock_version: 0, vpp_mask: 3 })
  vmm.ioctlBytes(C.VMM_IOC_READVMPARAMS, read, process)
  assert.is(C.vm_rwvmparams_params.decode(read).vpp_pvclock_version, 44)
  const protect = { vmep_vm_id: id, vmep_vcpu_id: 0, vmep_sgpa: 0x1000n, vmep_size: 0x1000n, vmep_prot: 1 }
  vmm.ioctlBytes(C.VMM_IOC_MPROTECT_EPT, C.vm_mprotect_ept_params.encode(protect), process)
  vmm.ioctlBytes(C.VMM_IOC_TERM, C.vm_terminate_params.encode({ vtp_vm_id: id }), process)
  assert.is(vmm.info({ vip_size: 0 }), 0)
})

test('too few bytes are EFAULT, an unknown request is ENOTTY', () => {
  const { vmm, process } = setUp()
  fails('EFAULT', () => vmm.ioctlBytes(C.VMM_IOC_CREATE, new Uint8Array(1279), process))
  fails('ENOTTY', () => vmm.ioctlBytes(0x20005600, new Uint8Array(4096), process))
})

test('structures may lie anywhere in a larger buffer', () => {
  const { vmm, process } = setUp()
  const buffer = new Uint8Array(3000)
  const bytes = buffer.subarray(1001, 1001 + 1280)
  C.vm_create_params.encode(smallVm('offset'), bytes)
  vmm.ioctlBytes(C.VMM_IOC_CREATE, bytes, process)
  assert.is(C.vm_create_params.decode(bytes).vcp_id, 1)
})

test.run()
