/**
 * The structures of vmmvar.h as bytes. Each is a table of its members in C order; offsets, sizes and the request numbers
 * follow from it by the rules of the amd64 ABI (natural alignment, little endian), as they do in C.
 */
import type {
  VcpuRegState,
  VcpuSegmentInfo,
  VmCreateParams,
  VmExit,
  VmExitEptviolation,
  VmExitInout,
  VmInfoParams,
  VmInfoResult,
  VmIntrParams,
  VmMemRange,
  VmMprotectEptParams,
  VmResetcpuParams,
  VmRunParams,
  VmRwregsParams,
  VmRwvmparamsParams,
  VmTerminateParams,
} from './vmmvar.ts'

/** How one kind of member is stored. */
interface MemberType<T> {
  readonly sizeof: number
  readonly align: number
  read(view: DataView, at: number): T
  /** undefined stands for zero. */
  write(view: DataView, at: number, value: T | undefined): void
}

interface Member {
  readonly name: string
  readonly offset: number
  readonly type: MemberType<unknown>
}

type MemberList = readonly (readonly [name: string, type: unknown] | Union)[]

interface Union {
  readonly union: readonly (readonly [name: string, type: unknown])[]
}

/** A C structure. */
export class Struct<T extends object> implements MemberType<T> {
  readonly sizeof: number
  readonly align: number
  readonly members: readonly Member[]

  constructor(list: MemberList) {
    const members: Member[] = []
    let end = 0
    let structAlign = 1
    for (const entry of list) {
      const alternatives = 'union' in entry ? entry.union : [entry]
      const types = alternatives.map(([, type]) => type as MemberType<unknown>)
      const align = Math.max(...types.map((type) => type.align))
      const offset = roundUp(end, align)
      alternatives.forEach(([name], index) => {
        members.push({ name, offset, type: types[index] as MemberType<unknown> })
      })
      end = offset + roundUp(Math.max(...types.map((type) => type.sizeof)), align)
      structAlign = Math.max(structAlign, align)
    }
    this.members = members
    this.align = structAlign
    this.sizeof = roundUp(end, structAlign)
  }

  /** Offset of a member; offsetof(3). */
  offsetof(name: keyof T & string): number {
    return this.#member(name).offset
  }

  /** An object with every member zero. */
  zero(): T {
    return this.decode(new Uint8Array(this.sizeof))
  }

  decode(bytes: Uint8Array, at = 0): T {
    return this.read(viewOf(bytes), at)
  }

  /** Writes the members (or only the named ones) and leaves padding alone. */
  encode(value: T, bytes: Uint8Array = new Uint8Array(this.sizeof), at = 0, names?: readonly string[]): Uint8Array {
    const record = value as Readonly<Record<string, unknown>>
    const view = viewOf(bytes)
    for (const { name, offset, type } of this.members) {
      if (names === undefined || names.includes(name)) type.write(view, at + offset, record[name])
    }
    return bytes
  }

  read(view: DataView, at: number): T {
    const record: Record<string, unknown> = {}
    for (const { name, offset, type } of this.members) record[name] = type.read(view, at + offset)
    return record as T
  }

  write(view: DataView, at: number, value: T | undefined): void {
    const record = (value ?? {}) as Readonly<Record<string, unknown>>
    for (const { name, offset, type } of this.members) type.write(view, at + offset, record[name])
  }

  #member(name: string): Member {
    const member = this.members.find((candidate) => candidate.name === name)
    if (member === undefined) throw new RangeError(`no member ${name}`)
    return member
  }
}

const u8 = integer(
  1,
  (view, at) => view.getUint8(at),
  (view, at, value) => view.setUint8(at, value),
)
const u16 = integer(
  2,
  (view, at) => view.getUint16(at, true),
  (view, at, value) => view.setUint16(at, value, true),
)
const u32 = integer(
  4,
  (view, at) => view.getUint32(at, true),
  (view, at, value) => view.setUint32(at, value, true),
)
const i32 = integer(
  4,
  (view, at) => view.getInt32(at, true),
  (view, at, value) => view.setInt32(at, value, true),
)

/** A 64-bit address, length or register. */
const u64: MemberType<bigint> = {
  sizeof: 8,
  align: 8,
  read: (view, at) => view.getBigUint64(at, true),
  write: (view, at, value) => view.setBigUint64(at, value ?? 0n, true),
}

/** A 64-bit count or mask that is a number in the typed interface; one beyond 2^53 arrives rounded, still far too large. */
const count: MemberType<number> = {
  sizeof: 8,
  align: 8,
  read: (view, at) => Number(view.getBigUint64(at, true)),
  write: (view, at, value) => view.setBigUint64(at, BigInt(value ?? 0), true),
}

/**
 * A 64-bit mask of which only the low bits mean anything: read whole, the high bits would be lost in rounding together
 * with the low ones.
 */
const mask: MemberType<number> = {
  ...count,
  read: (view, at) => view.getUint32(at, true),
}

function integer(
  size: number,
  read: (view: DataView, at: number) => number,
  write: (view: DataView, at: number, value: number) => void,
): MemberType<number> {
  return { sizeof: size, align: size, read, write: (view, at, value) => write(view, at, value ?? 0) }
}

/** A pointer: what it points to is moved by copyin and copyout, so the typed value has no place here. */
const pointer: MemberType<undefined> = { sizeof: 8, align: 8, read: () => undefined, write: () => {} }

/** char[length], ended by NUL. */
function chars(length: number): MemberType<string> {
  return {
    sizeof: length,
    align: 1,
    read: (view, at) => {
      const field = new Uint8Array(view.buffer, view.byteOffset + at, length)
      const end = field.indexOf(0)
      return String.fromCharCode(...field.subarray(0, end < 0 ? length : end))
    },
    write: (view, at, value = '') => {
      for (let i = 0; i < length; i++) view.setUint8(at + i, i < length - 1 ? value.charCodeAt(i) || 0 : 0)
    },
  }
}

/** u_int8_t[length]. */
function octets(length: number): MemberType<Uint8Array> {
  return {
    sizeof: length,
    align: 1,
    read: (view, at) => new Uint8Array(view.buffer, view.byteOffset + at, length).slice(),
    write: (view, at, value) => {
      for (let i = 0; i < length; i++) view.setUint8(at + i, value?.[i] ?? 0)
    },
  }
}

function array<T>(element: MemberType<T>, length: number): MemberType<T[]> {
  return {
    sizeof: element.sizeof * length,
    align: element.align,
    read: (view, at) => Array.from({ length }, (_, index) => element.read(view, at + index * element.sizeof)),
    write: (view, at, value) => {
      for (let i = 0; i < length; i++) element.write(view, at + i * element.sizeof, value?.[i])
    },
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function roundUp(value: number, to: number): number {
  return Math.ceil(value / to) * to
}

export const vm_mem_range = new Struct<VmMemRange>([
  ['vmr_gpa', u64],
  ['vmr_va', u64],
  ['vmr_size', u64],
])

export const vm_create_params = new Struct<VmCreateParams>([
  ['vcp_nmemranges', count],
  ['vcp_ncpus', count],
  ['vcp_ndisks', count],
  ['vcp_nnics', count],
  ['vcp_memranges', array(vm_mem_range, 16)],
  ['vcp_disks', array(chars(128), 4)],
  ['vcp_cdrom', chars(128)],
  ['vcp_name', chars(64)],
  ['vcp_kernel', chars(128)],
  ['vcp_macs', array(octets(6), 4)],
  ['vcp_id', u32],
])

export const vm_run_params = new Struct<VmRunParams>([
  ['vrp_vm_id', u32],
  ['vrp_vcpu_id', u32],
  ['vrp_continue', u8],
  ['vrp_irq', u16],
  ['vrp_exit', pointer],
  ['vrp_exit_reason', u16],
  ['vrp_irqready', u8],
])

export const vm_exit_inout = new Struct<VmExitInout>([
  ['vei_size', u8],
  ['vei_dir', u8],
  ['vei_rep', u8],
  ['vei_string', u8],
  ['vei_encoding', u8],
  ['vei_port', u16],
  ['vei_data', u32],
])

export const vm_exit_eptviolation = new Struct<VmExitEptviolation>([['vee_fault_type', u8]])

export const vcpu_segment_info = new Struct<VcpuSegmentInfo>([
  ['vsi_sel', u16],
  ['vsi_limit', u32],
  ['vsi_ar', u32],
  ['vsi_base', u64],
])

export const vcpu_reg_state = new Struct<VcpuRegState>([
  ['vrs_gprs', array(u64, 18)],
  ['vrs_crs', array(u64, 10)],
  ['vrs_msrs', array(u64, 7)],
  ['vrs_drs', array(u64, 6)],
  ['vrs_sregs', array(vcpu_segment_info, 8)],
  ['vrs_gdtr', vcpu_segment_info],
  ['vrs_idtr', vcpu_segment_info],
])

// vei is written after vee, so that its vei_size is what the shared byte holds.
export const vm_exit = new Struct<VmExit>([
  {
    union: [
      ['vee', vm_exit_eptviolation],
      ['vei', vm_exit_inout],
    ],
  },
  ['vrs', vcpu_reg_state],
  ['cpl', i32],
])

export const vm_info_params = new Struct<VmInfoParams>([
  ['vip_size', count],
  ['vip_info_ct', count],
  ['vip_info', pointer],
])

export const vm_info_result = new Struct<VmInfoResult>([
  ['vir_memory_size', count],
  ['vir_used_size', count],
  ['vir_ncpus', count],
  ['vir_vcpu_state', array(u8, 64)],
  ['vir_creator_pid', i32],
  ['vir_id', u32],
  ['vir_name', chars(64)],
])

export const vm_terminate_params = new Struct<VmTerminateParams>([['vtp_vm_id', u32]])

export const vm_resetcpu_params = new Struct<VmResetcpuParams>([
  ['vrp_vm_id', u32],
  ['vrp_vcpu_id', u32],
  ['vrp_init_state', vcpu_reg_state],
])

export const vm_intr_params = new Struct<VmIntrParams>([
  ['vip_vm_id', u32],
  ['vip_vcpu_id', u32],
  ['vip_intr', u16],
])

export const vm_rwregs_params = new Struct<VmRwregsParams>([
  ['vrwp_vm_id', u32],
  ['vrwp_vcpu_id', u32],
  ['vrwp_mask', mask],
  ['vrwp_regs', vcpu_reg_state],
])

export const vm_rwvmparams_params = new Struct<VmRwvmparamsParams>([
  ['vpp_vm_id', u32],
  ['vpp_vcpu_id', u32],
  ['vpp_mask', u32],
  ['vpp_pvclock_system_gpa', u64],
  ['vpp_pvclock_version', u32],
])

export const vm_mprotect_ept_params = new Struct<VmMprotectEptParams>([
  ['vmep_vm_id', u32],
  ['vmep_vcpu_id', u32],
  ['vmep_sgpa', u64],
  ['vmep_size', u64],
  ['vmep_prot', i32],
])

/** An ioctl request number that knows, for the type checker, the structure that goes with it. */
export type Request<T extends object> = number & { readonly takes: (params: T) => void }

const IOC_IN = 0x80000000
const IOC_INOUT = 0xc0000000
const IOCPARM_MASK = 0x1fff

function request<T extends object>(direction: number, number: number, struct: Struct<T>): Request<T> {
  const value = direction + ((struct.sizeof & IOCPARM_MASK) << 16) + ('V'.charCodeAt(0) << 8) + number
  return value as Request<T>
}

export const VMM_IOC_CREATE = request(IOC_INOUT, 1, vm_create_params)
export const VMM_IOC_RUN = request(IOC_INOUT, 2, vm_run_params)
export const VMM_IOC_INFO = request(IOC_INOUT, 3, vm_info_params)
export const VMM_IOC_TERM = request(IOC_IN, 4, vm_terminate_params)
export const VMM_IOC_RESETCPU = request(IOC_IN, 5, vm_resetcpu_params)
export const VMM_IOC_INTR = request(IOC_IN, 6, vm_intr_params)
export const VMM_IOC_READREGS = request(IOC_INOUT, 7, vm_rwregs_params)
export const VMM_IOC_WRITEREGS = request(IOC_IN, 8, vm_rwregs_params)
export const VMM_IOC_READVMPARAMS = request(IOC_INOUT, 9, vm_rwvmparams_params)
export const VMM_IOC_WRITEVMPARAMS = request(IOC_IN, 10, vm_rwvmparams_params)
export const VMM_IOC_MPROTECT_EPT = request(IOC_IN, 11, vm_mprotect_ept_params)
