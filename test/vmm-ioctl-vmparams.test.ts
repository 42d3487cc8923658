/** pvclock, through the guest's MSR and through READVMPARAMS, WRITEVMPARAMS. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as L from '../src/cpu/layout.ts'
import { Vmm } from '../src/vmm/device.ts'
import { VMX_EXIT } from '../src/vmm/vmmvar.ts'
import { Guest } from './support/guest64.ts'
import { Puppet, type Step } from './support/puppet.ts'

const HZ = 2_000_000_000
const WALL = 1_700_000_000_123_456_789n

function guest(): { it: Guest; cpu: Puppet; vmm: Vmm } {
  let cpu: Puppet | undefined
  let tsc = 1000n
  const vmm = new Vmm({
    tscHz: HZ,
    clock: { tsc: () => ++tsc, wall: () => WALL },
    createCpu: (options) => {
      cpu = new Puppet(options)
      return cpu
    },
  })
  const it = new Guest(vmm, [])
  if (cpu === undefined) throw new Error('no processor was made')
  cpu.log.length = 0
  return { it, cpu, vmm }
}

function wrmsr(value: bigint): Step {
  return (cpu) => {
    cpu.writeU64(L.RCX, 0x4b564d01n)
    cpu.writeU64(L.RAX, value & 0xffffffffn)
    cpu.writeU64(L.RDX, value >> 32n)
    cpu.writeU32(L.EXIT_LENGTH, 2)
    return VMX_EXIT.WRMSR
  }
}

const hlt: Step = () => VMX_EXIT.HLT

function params(vmm: Vmm, id: number): [gpa: bigint, version: number] {
  const read = { vpp_vm_id: id, vpp_vcpu_id: 0, vpp_mask: 3, vpp_pvclock_system_gpa: 0n, vpp_pvclock_version: 0 }
  vmm.readvmparams(read)
  return [read.vpp_pvclock_system_gpa, read.vpp_pvclock_version]
}

test('WRMSR enables the clock page', () => {
  const { it, cpu, vmm } = guest()
  it.memory.write(0x3000, new Uint8Array(64).fill(0xee))
  cpu.script.push(wrmsr(0x3011n), hlt)
  it.run()
  // Once by the MSR write, once before the entry after it.
  assert.is(it.memory.readU32(0x3010), 4)
  assert.is(it.memory.readU64(0x3018), 1002n)
  assert.is(it.memory.readU64(0x3020), WALL)
  assert.is(it.memory.readU32(0x3028), Math.floor((1e9 * 2 ** 20) / HZ))
  assert.equal([...it.memory.read(0x302c, 5)], [12, 1, 0, 0, 0xee])
  assert.equal([...it.memory.read(0x300e, 2)], [0xee, 0xee])
  assert.equal(params(vmm, it.id), [0x3011n, 2])
})

test('the guest formula gives the wall time', () => {
  const { it, cpu } = guest()
  cpu.script.push(wrmsr(0x3001n), hlt)
  it.run()
  const elapsed = 123_456_789n
  const multiplier = BigInt(it.memory.readU32(0x3018))
  assert.is(((elapsed << 12n) * multiplier) >> 32n, elapsed / 2n)
})

test('every entry renews it, until it is disabled', () => {
  const { it, cpu, vmm } = guest()
  cpu.script.push(wrmsr(0x3001n), hlt, hlt, wrmsr(0x3000n), hlt)
  it.run()
  it.run()
  assert.is(it.memory.readU32(0x3000), 6)
  it.run()
  assert.equal(params(vmm, it.id), [0x3000n, 4])
})

test('bit 0 says whether the page is renewed; the address is remembered anyway', () => {
  const { it, cpu, vmm } = guest()
  cpu.script.push(wrmsr(0x3000n), hlt)
  it.run()
  assert.equal(params(vmm, it.id), [0x3000n, 0])
  assert.is(it.memory.readU32(0x3000), 0)
})

for (const [what, value] of [
  ['no memory', 0x300001n],
  ['a page crossing', 0x3ff1n],
  ['the end of a range', 0x9ffe1n],
  ['an address of 64 bits', 0xfffffffffffff001n],
] as const) {
  test(`#GP for ${what}, and nothing changes`, () => {
    const { it, cpu, vmm } = guest()
    cpu.script.push(wrmsr(value), hlt)
    it.run()
    assert.equal(cpu.log, ['raise 13 0', 'advance'])
    assert.equal(params(vmm, it.id), [0n, 0])
  })
}

test('the clock page may lie right below the last 32 bytes of a range', () => {
  const { it, cpu, vmm } = guest()
  cpu.script.push(wrmsr(0x9ffd1n), hlt)
  it.run()
  assert.equal(params(vmm, it.id), [0x9ffd1n, 2])
})

test('WRITEVMPARAMS: the version first, then the address, which updates at once', () => {
  const { it, vmm } = guest()
  const write = { vpp_vm_id: it.id, vpp_vcpu_id: 0, vpp_pvclock_system_gpa: 0x3001n, vpp_pvclock_version: 100 }
  vmm.writevmparams({ ...write, vpp_mask: 3 })
  assert.equal(params(vmm, it.id), [0x3001n, 101])
  assert.is(it.memory.readU32(0x3000), 202)
  vmm.writevmparams({ ...write, vpp_mask: 2 })
  assert.equal(params(vmm, it.id), [0x3001n, 100])
  vmm.writevmparams({ ...write, vpp_mask: 0xf0 })
  assert.equal(params(vmm, it.id), [0x3001n, 100])
})

test('READVMPARAMS leaves alone what the mask does not name', () => {
  const { it, vmm } = guest()
  const read = { vpp_vm_id: it.id, vpp_vcpu_id: 0, vpp_pvclock_system_gpa: 9n, vpp_pvclock_version: 9 }
  vmm.readvmparams(Object.assign(read, { vpp_mask: 1 }))
  assert.is(read.vpp_pvclock_version, 9)
  assert.is(read.vpp_pvclock_system_gpa, 0n)
})

test('a bad address of WRITEVMPARAMS is no error, but #GP for the guest', () => {
  const { it, cpu, vmm } = guest()
  vmm.writevmparams({
    vpp_vm_id: it.id,
    vpp_vcpu_id: 0,
    vpp_mask: 3,
    vpp_pvclock_system_gpa: 0x3ff1n,
    vpp_pvclock_version: 5,
  })
  assert.equal(params(vmm, it.id), [0n, 5])
  cpu.script.push(hlt)
  it.run()
  assert.equal(cpu.log, ['raise 13 0', 'advance'])
})

test.run()
