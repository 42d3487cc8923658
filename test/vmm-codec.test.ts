import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as C from '../src/vmm/codec.ts'

/** [struct, sizeof, { member: offset }], from the specification. */
const LAYOUTS: [string, C.Struct<object>, number, Record<string, number>][] = [
  ['vm_mem_range', C.vm_mem_range, 24, { vmr_gpa: 0, vmr_va: 8, vmr_size: 16 }],
  [
    'vm_create_params',
    C.vm_create_params,
    1280,
    {
      vcp_nmemranges: 0,
      vcp_ncpus: 8,
      vcp_ndisks: 16,
      vcp_nnics: 24,
      vcp_memranges: 32,
      vcp_disks: 416,
      vcp_cdrom: 928,
      vcp_name: 1056,
      vcp_kernel: 1120,
      vcp_macs: 1248,
      vcp_id: 1272,
    },
  ],
  [
    'vm_run_params',
    C.vm_run_params,
    32,
    {
      vrp_vm_id: 0,
      vrp_vcpu_id: 4,
      vrp_continue: 8,
      vrp_irq: 10,
      vrp_exit: 16,
      vrp_exit_reason: 24,
      vrp_irqready: 26,
    },
  ],
  ['vm_exit', C.vm_exit, 592, { vei: 0, vee: 0, vrs: 16, cpl: 584 }],
  [
    'vm_exit_inout',
    C.vm_exit_inout,
    12,
    { vei_size: 0, vei_dir: 1, vei_rep: 2, vei_string: 3, vei_encoding: 4, vei_port: 6, vei_data: 8 },
  ],
  ['vm_exit_eptviolation', C.vm_exit_eptviolation, 1, { vee_fault_type: 0 }],
  ['vcpu_segment_info', C.vcpu_segment_info, 24, { vsi_sel: 0, vsi_limit: 4, vsi_ar: 8, vsi_base: 16 }],
  [
    'vcpu_reg_state',
    C.vcpu_reg_state,
    568,
    { vrs_gprs: 0, vrs_crs: 144, vrs_msrs: 224, vrs_drs: 280, vrs_sregs: 328, vrs_gdtr: 520, vrs_idtr: 544 },
  ],
  ['vm_info_params', C.vm_info_params, 24, { vip_size: 0, vip_info_ct: 8, vip_info: 16 }],
  [
    'vm_info_result',
    C.vm_info_result,
    160,
    {
      vir_memory_size: 0,
      vir_used_size: 8,
      vir_ncpus: 16,
      vir_vcpu_state: 24,
      vir_creator_pid: 88,
      vir_id: 92,
      vir_name: 96,
    },
  ],
  ['vm_terminate_params', C.vm_terminate_params, 4, { vtp_vm_id: 0 }],
  ['vm_resetcpu_params', C.vm_resetcpu_params, 576, { vrp_vm_id: 0, vrp_vcpu_id: 4, vrp_init_state: 8 }],
  ['vm_intr_params', C.vm_intr_params, 12, { vip_vm_id: 0, vip_vcpu_id: 4, vip_intr: 8 }],
  ['vm_rwregs_params', C.vm_rwregs_params, 584, { vrwp_vm_id: 0, vrwp_vcpu_id: 4, vrwp_mask: 8, vrwp_regs: 16 }],
  [
    'vm_rwvmparams_params',
    C.vm_rwvmparams_params,
    32,
    { vpp_vm_id: 0, vpp_vcpu_id: 4, vpp_mask: 8, vpp_pvclock_system_gpa: 16, vpp_pvclock_version: 24 },
  ],
  [
    'vm_mprotect_ept_params',
    C.vm_mprotect_ept_params,
    32,
    { vmep_vm_id: 0, vmep_vcpu_id: 4, vmep_sgpa: 8, vmep_size: 16, vmep_prot: 24 },
  ],
]

for (const [name, struct, size, offsets] of LAYOUTS) {
  test(`${name} is laid out as on amd64`, () => {
    assert.is(struct.sizeof, size)
    const actual = Object.fromEntries(struct.members.map((member) => [member.name, member.offset]))
    assert.equal(actual, offsets)
  })
}

test('request numbers', () => {
  const numbers = [
    [C.VMM_IOC_CREATE, 0xc5005601],
    [C.VMM_IOC_RUN, 0xc0205602],
    [C.VMM_IOC_INFO, 0xc0185603],
    [C.VMM_IOC_TERM, 0x80045604],
    [C.VMM_IOC_RESETCPU, 0x82405605],
    [C.VMM_IOC_INTR, 0x800c5606],
    [C.VMM_IOC_READREGS, 0xc2485607],
    [C.VMM_IOC_WRITEREGS, 0x82485608],
    [C.VMM_IOC_READVMPARAMS, 0xc0205609],
    [C.VMM_IOC_WRITEVMPARAMS, 0x8020560a],
    [C.VMM_IOC_MPROTECT_EPT, 0x8020560b],
  ]
  for (const [actual, expected] of numbers) assert.is(actual as number, expected as number)
})

test('every member survives encoding and decoding', () => {
  for (const [name, struct] of LAYOUTS) {
    // Strings of four characters, counts below 2^32: what survives is every member, not every padding byte.
    const bytes = Uint8Array.from({ length: struct.sizeof }, (_, index) => (index % 8 < 4 ? (index % 100) + 1 : 0))
    const value = struct.decode(bytes)
    const again = struct.decode(struct.encode(value))
    assert.equal(again, value, name)
  }
})

test('members lie little endian at their offsets', () => {
  const vei = { ...C.vm_exit_inout.zero(), vei_size: 4, vei_port: 0x1234, vei_data: 0x89abcdef }
  assert.equal([...C.vm_exit_inout.encode(vei)], [4, 0, 0, 0, 0, 0, 0x34, 0x12, 0xef, 0xcd, 0xab, 0x89])
  const range = C.vm_mem_range.encode({ vmr_gpa: 0x100000000n, vmr_va: 0xfffffffffffff000n, vmr_size: 1n })
  assert.equal([...range.subarray(0, 8)], [0, 0, 0, 0, 1, 0, 0, 0])
  assert.equal([...range.subarray(8, 16)], [0, 0xf0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])
})

test('strings end with NUL', () => {
  const params = C.vm_create_params.zero()
  params.vcp_name = 'x'.repeat(80)
  const bytes = C.vm_create_params.encode(params)
  assert.is(bytes[1056 + 62], 'x'.charCodeAt(0))
  assert.is(bytes[1056 + 63], 0)
  assert.is(bytes[1120], 0)
  assert.is(C.vm_create_params.decode(bytes).vcp_name, 'x'.repeat(63))
})

test('the fault type shares its byte with the access size', () => {
  const exit = C.vm_exit.zero()
  exit.vei.vei_size = 2
  const bytes = C.vm_exit.encode(exit)
  assert.is(bytes[0], 2)
  assert.is(C.vm_exit.decode(bytes).vee.vee_fault_type, 2)
})

test('encoding some members leaves the other bytes alone', () => {
  const bytes = new Uint8Array(32).fill(0xaa)
  const params = { ...C.vm_run_params.zero(), vrp_exit_reason: 30, vrp_irqready: 1 }
  C.vm_run_params.encode(params, bytes, 0, ['vrp_exit_reason', 'vrp_irqready'])
  assert.equal([...bytes.subarray(22)], [0xaa, 0xaa, 30, 0, 1, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa])
})

test('absent members and elements are zero', () => {
  const bytes = C.vm_create_params.encode({
    vcp_nmemranges: 1,
    vcp_ncpus: 1,
    vcp_memranges: [{ vmr_gpa: 1n, vmr_va: 2n, vmr_size: 3n }],
  })
  assert.is(
    bytes.reduce((sum, byte) => sum + byte),
    8,
  )
})

test.run()
