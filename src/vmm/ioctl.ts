/** Requests by number: on typed objects, and on the bytes of the C structures. */
import * as C from './codec.ts'
import type { ExitAccess, Vmm } from './device.ts'
import { VmmError } from './errno.ts'
import type { VmInfoParams, VmRunParams } from './vmmvar.ts'

/** The process that makes a binary request: how its memory is reached. Throwing means a bad address, EFAULT. */
export interface Caller {
  /** Bytes of the caller's memory. */
  copyin(va: bigint, length: number): Uint8Array
  /** Stores bytes in the caller's memory. */
  copyout(va: bigint, bytes: Uint8Array): void
}

interface Definition {
  readonly struct: C.Struct<object>
  /** Members that are copied back. */
  readonly outputs: readonly string[]
  typed(vmm: Vmm, params: object): void
  binary(vmm: Vmm, params: object, bytes: Uint8Array, caller: Caller): void
}

const DEFINITIONS = new Map<number, Definition>([
  define(C.VMM_IOC_CREATE, C.vm_create_params, ['vcp_id'], (vmm, params) => vmm.create(params)),
  define(
    C.VMM_IOC_RUN,
    C.vm_run_params,
    ['vrp_exit_reason', 'vrp_irqready'],
    (vmm, params) => vmm.run(params),
    runBytes,
  ),
  define(C.VMM_IOC_INFO, C.vm_info_params, ['vip_size', 'vip_info_ct'], (vmm, params) => vmm.info(params), infoBytes),
  define(C.VMM_IOC_TERM, C.vm_terminate_params, [], (vmm, params) => vmm.terminate(params)),
  define(C.VMM_IOC_RESETCPU, C.vm_resetcpu_params, [], (vmm, params) => vmm.resetcpu(params)),
  define(C.VMM_IOC_INTR, C.vm_intr_params, [], (vmm, params) => vmm.intr(params)),
  define(C.VMM_IOC_READREGS, C.vm_rwregs_params, ['vrwp_regs'], (vmm, params) => vmm.readregs(params)),
  define(C.VMM_IOC_WRITEREGS, C.vm_rwregs_params, [], (vmm, params) => vmm.writeregs(params)),
  define(
    C.VMM_IOC_READVMPARAMS,
    C.vm_rwvmparams_params,
    ['vpp_pvclock_system_gpa', 'vpp_pvclock_version'],
    (vmm, params) => vmm.readvmparams(params),
  ),
  define(C.VMM_IOC_WRITEVMPARAMS, C.vm_rwvmparams_params, [], (vmm, params) => vmm.writevmparams(params)),
  define(C.VMM_IOC_MPROTECT_EPT, C.vm_mprotect_ept_params, [], (vmm, params) => vmm.mprotectEpt(params)),
])

export function ioctlTyped(vmm: Vmm, request: number, params: object): void {
  definitionOf(request).typed(vmm, params)
}

export function ioctlBytes(vmm: Vmm, request: number, bytes: Uint8Array, caller: Caller): void {
  const { struct, outputs, binary } = definitionOf(request)
  if (bytes.length < struct.sizeof) {
    throw new VmmError('EFAULT', `request 0x${request.toString(16)} takes ${struct.sizeof} bytes, not ${bytes.length}`)
  }
  const params = struct.decode(bytes)
  binary(vmm, params, bytes, caller)
  struct.encode(params, bytes, 0, outputs)
}

function define<T extends object>(
  request: C.Request<T>,
  struct: C.Struct<T>,
  outputs: readonly (keyof T & string)[],
  typed: (vmm: Vmm, params: T) => void,
  binary: (vmm: Vmm, params: T, bytes: Uint8Array, caller: Caller) => void = typed,
): [number, Definition] {
  return [request, { struct, outputs, typed, binary } as Definition]
}

function definitionOf(request: number): Definition {
  const definition = DEFINITIONS.get(request)
  if (definition === undefined) throw new VmmError('ENOTTY', `0x${request.toString(16)} is no request of vmm(4)`)
  return definition
}

function runBytes(vmm: Vmm, params: VmRunParams, bytes: Uint8Array, caller: Caller): void {
  const va = pointerAt(bytes, C.vm_run_params.offsetof('vrp_exit'))
  const access: ExitAccess = {
    load: () => C.vm_exit.decode(copyin(caller, va, C.vm_exit.sizeof)),
    store: (fill) => {
      const exit = C.vm_exit.zero()
      fill(exit)
      copyout(caller, va, C.vm_exit.encode(exit))
    },
  }
  vmm.run(params, access)
}

function infoBytes(vmm: Vmm, params: VmInfoParams, bytes: Uint8Array, caller: Caller): void {
  const results: NonNullable<VmInfoParams['vip_info']>[number][] = []
  params.vip_info = results
  vmm.info(params)
  if (results.length === 0) return
  const { sizeof } = C.vm_info_result
  const buffer = new Uint8Array(results.length * sizeof)
  results.forEach((result, index) => {
    C.vm_info_result.encode(result, buffer, index * sizeof)
  })
  copyout(caller, pointerAt(bytes, C.vm_info_params.offsetof('vip_info')), buffer)
}

function pointerAt(bytes: Uint8Array, offset: number): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(offset, true)
}

function copyin(caller: Caller, va: bigint, length: number): Uint8Array {
  return refusable(va, () => {
    const bytes = caller.copyin(va, length)
    if (bytes.length < length) throw new RangeError(`${bytes.length} bytes`)
    return bytes
  })
}

function copyout(caller: Caller, va: bigint, bytes: Uint8Array): void {
  refusable(va, () => caller.copyout(va, bytes))
}

function refusable<T>(va: bigint, access: () => T): T {
  try {
    return access()
  } catch (cause) {
    throw new VmmError('EFAULT', `bad address 0x${va.toString(16)}: ${cause instanceof Error ? cause.message : cause}`)
  }
}
