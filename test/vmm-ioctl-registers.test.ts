/** RESETCPU, READREGS, WRITEREGS. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as L from '../src/cpu/layout.ts'
import { vcpu_reg_state } from '../src/vmm/codec.ts'
import { Vmm } from '../src/vmm/device.ts'
import {
  VCPU_REGS_CR0,
  VCPU_REGS_CR2,
  VCPU_REGS_CR4,
  VCPU_REGS_CR8,
  VCPU_REGS_XCR0,
  type VcpuRegState,
  VM_RWREGS_ALL,
  VM_RWREGS_CRS,
  VM_RWREGS_DRS,
  VM_RWREGS_GPRS,
  VM_RWREGS_MSRS,
  VM_RWREGS_SREGS,
} from '../src/vmm/vmmvar.ts'
import { fails, Guest, longModeState } from './support/guest64.ts'
import { Puppet } from './support/puppet.ts'

function guest(): { it: Guest; cpu: Puppet; vmm: Vmm } {
  let cpu: Puppet | undefined
  const vmm = new Vmm({
    createCpu: (options) => {
      cpu = new Puppet(options)
      return cpu
    },
  })
  const it = new Guest(vmm, [])
  if (cpu === undefined) throw new Error('no processor was made')
  return { it, cpu, vmm }
}

/** Every register different. */
function distinctState(): VcpuRegState {
  let next = 0x1000n
  const value = (): bigint => next++
  const segment = () => ({
    vsi_sel: Number(value()),
    vsi_limit: 0xf0000000 + Number(value()),
    vsi_ar: Number(value()),
    vsi_base: value() << 32n,
  })
  const table = () => ({ ...segment(), vsi_sel: 0, vsi_ar: 0 })
  const many = (length: number): bigint[] => Array.from({ length }, value)
  return {
    vrs_gprs: [...many(17), 0x246n],
    vrs_crs: many(10),
    vrs_msrs: many(7),
    vrs_drs: many(6),
    vrs_sregs: Array.from({ length: 8 }, segment),
    vrs_gdtr: table(),
    vrs_idtr: table(),
  }
}

function read(vmm: Vmm, id: number, mask: number, vrwp_regs = vcpu_reg_state.zero()): VcpuRegState {
  vmm.readregs({ vrwp_vm_id: id, vrwp_vcpu_id: 0, vrwp_mask: mask, vrwp_regs })
  return vrwp_regs
}

function write(vmm: Vmm, id: number, mask: number, vrwp_regs: VcpuRegState): void {
  vmm.writeregs({ vrwp_vm_id: id, vrwp_vcpu_id: 0, vrwp_mask: mask, vrwp_regs })
}

test('general registers lie where the processor has them', () => {
  const { it, cpu, vmm } = guest()
  const vrs = distinctState()
  write(vmm, it.id, VM_RWREGS_GPRS, vrs)
  const order = [L.RAX, L.RBX, L.RCX, L.RDX, L.RSI, L.RDI, 0x140, 0x148, 0x150, 0x158, 0x160, 0x168, 0x170, 0x178]
  order.forEach((address, index) => {
    assert.is(cpu.readU64(address), vrs.vrs_gprs[index])
  })
  assert.is(cpu.readU64(L.RSP), vrs.vrs_gprs[14])
  assert.is(cpu.readU64(L.RBP), vrs.vrs_gprs[15])
  assert.is(cpu.readU64(L.RIP), vrs.vrs_gprs[16])
  assert.is(cpu.rflags, 0x246n)
})

test('segments lie where the processor has them', () => {
  const { it, cpu, vmm } = guest()
  const vrs = distinctState()
  write(vmm, it.id, VM_RWREGS_SREGS, vrs)
  ;[L.CS, L.DS, L.ES, L.FS, L.GS, L.SS, L.LDTR, L.TR].forEach((address, index) => {
    const info = vrs.vrs_sregs[index]
    assert.is(cpu.readU32(address + L.SEG_SELECTOR), info?.vsi_sel)
    assert.is(cpu.readU32(address + L.SEG_LIMIT), info?.vsi_limit)
    assert.is(cpu.readU32(address + L.SEG_AR), info?.vsi_ar)
    assert.is(cpu.readU64(address + L.SEG_BASE), info?.vsi_base)
  })
  assert.is(cpu.readU64(L.GDTR + L.SEG_BASE), vrs.vrs_gdtr.vsi_base)
  assert.is(cpu.readU32(L.IDTR + L.SEG_LIMIT), vrs.vrs_idtr.vsi_limit)
})

test('what was written is read back, but CR2 and CR8', () => {
  const { it, vmm } = guest()
  const vrs = distinctState()
  write(vmm, it.id, VM_RWREGS_ALL, vrs)
  const expected = distinctState()
  expected.vrs_crs[VCPU_REGS_CR0] = (expected.vrs_crs[VCPU_REGS_CR0] ?? 0n) | 0x10n
  expected.vrs_crs[VCPU_REGS_CR2] = 0n
  expected.vrs_crs[VCPU_REGS_CR8] = 0n
  assert.equal(read(vmm, it.id, VM_RWREGS_ALL), expected)
})

test('CR2 is read, CR8 of the buffer is left as it was', () => {
  const { it, cpu, vmm } = guest()
  cpu.writeU64(L.CR2, 0xdeadn)
  cpu.writeU64(L.CR8, 3n)
  const buffer = vcpu_reg_state.zero()
  buffer.vrs_crs[VCPU_REGS_CR8] = 77n
  read(vmm, it.id, VM_RWREGS_CRS, buffer)
  assert.is(buffer.vrs_crs[VCPU_REGS_CR2], 0xdeadn)
  assert.is(buffer.vrs_crs[VCPU_REGS_CR8], 77n)
})

const GROUPS: [number, (keyof VcpuRegState)[]][] = [
  [VM_RWREGS_GPRS, ['vrs_gprs']],
  [VM_RWREGS_SREGS, ['vrs_sregs', 'vrs_gdtr', 'vrs_idtr']],
  [VM_RWREGS_CRS, ['vrs_crs']],
  [VM_RWREGS_MSRS, ['vrs_msrs']],
  [VM_RWREGS_DRS, ['vrs_drs']],
]

for (const [mask, names] of GROUPS) {
  test(`mask ${mask} transfers ${names.join(', ')} and nothing else`, () => {
    const { it, vmm } = guest()
    const before = read(vmm, it.id, VM_RWREGS_ALL)
    write(vmm, it.id, mask, distinctState())
    const after = read(vmm, it.id, VM_RWREGS_ALL)
    const buffer = read(vmm, it.id, mask)
    for (const name of Object.keys(before) as (keyof VcpuRegState)[]) {
      if (names.includes(name)) {
        assert.not.equal(after[name], before[name], `${name} is written`)
        assert.equal(buffer[name], after[name], `${name} is read`)
      } else {
        assert.equal(after[name], before[name], `${name} is not written`)
        assert.equal(buffer[name], vcpu_reg_state.zero()[name], `${name} is not read`)
      }
    }
  })
}

test('a mask of zero and unknown bits do nothing', () => {
  const { it, cpu, vmm } = guest()
  const before = read(vmm, it.id, VM_RWREGS_ALL)
  cpu.log.length = 0
  write(vmm, it.id, 0, distinctState())
  write(vmm, it.id, 0x7fffffe0, distinctState())
  assert.equal(read(vmm, it.id, VM_RWREGS_ALL), before)
  assert.equal(cpu.log, [])
  const buffer = distinctState()
  read(vmm, it.id, 0xe0, buffer)
  assert.equal(buffer, distinctState())
})

test('CR4.VMXE of a state saved on OpenBSD is dropped', () => {
  const { it, vmm } = guest()
  const vrs = longModeState()
  vrs.vrs_crs[VCPU_REGS_CR4] = 0x2030n
  it.reset(vrs)
  assert.is(read(vmm, it.id, VM_RWREGS_CRS).vrs_crs[VCPU_REGS_CR4], 0x30n)
})

test('RESETCPU applies all groups and sets XCR0 to x87', () => {
  const { it, cpu, vmm } = guest()
  const vrs = { ...distinctState(), vrs_crs: longModeState().vrs_crs }
  vrs.vrs_crs[VCPU_REGS_XCR0] = 7n
  vrs.vrs_crs[8] = 0x5001n
  cpu.log.length = 0
  it.reset(vrs)
  const after = read(vmm, it.id, VM_RWREGS_ALL)
  assert.is(after.vrs_crs[VCPU_REGS_XCR0], 1n)
  assert.is(after.vrs_crs[8], 0x5001n, 'PDPTE2')
  assert.equal({ ...after, vrs_crs: [] }, { ...vrs, vrs_crs: [] })
  assert.is(vrs.vrs_crs[VCPU_REGS_XCR0], 7n, 'the given state is not changed')
  assert.equal(cpu.log, ['refresh'])
})

const REFUSED: [string, number, bigint][] = [
  ['CR0 bits 63:32', VCPU_REGS_CR0, 0x180000011n],
  ['CR0 bit 6', VCPU_REGS_CR0, 0x51n],
  ['CR0.PG without PE', VCPU_REGS_CR0, 0x80000010n],
  ['CR4.PCIDE', VCPU_REGS_CR4, 0x20030n],
  ['CR4 bit 31', VCPU_REGS_CR4, 0x80000030n],
]

for (const [what, index, value] of REFUSED) {
  test(`RESETCPU refuses ${what} with EIO and changes nothing`, () => {
    const { it, vmm } = guest()
    const before = read(vmm, it.id, VM_RWREGS_ALL)
    const vrs = distinctState()
    vrs.vrs_crs = longModeState().vrs_crs
    vrs.vrs_crs[index] = value
    fails('EIO', () => it.reset(vrs))
    assert.equal(read(vmm, it.id, VM_RWREGS_ALL), before)
    it.reset(longModeState())
  })
}

test('RESETCPU accepts every legal combination of PE and PG', () => {
  const { it } = guest()
  for (const cr0 of [0x10n, 0x11n, 0x80000011n, 0x60000010n, 0xe005003fn]) {
    const vrs = longModeState()
    vrs.vrs_crs[VCPU_REGS_CR0] = cr0
    it.reset(vrs)
  }
})

test.run()
