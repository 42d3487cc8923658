/**
 * A small VM that starts in 64-bit mode, for hand-assembled programs.
 *
 *   0x1000  code, entered with every general register zero
 *   0x2000  interrupt handlers, 16 bytes each
 *   0x7000  top of the stack
 *   0x8000  GDT: null, 64-bit code (8), data (0x10)
 *   0x9000  IDT, 256 interrupt gates that lead to the handlers given, the others are not present
 *   0xa000  PML4, PDPT, page directory: the first gigabyte, mapped 1:1 by 2 MB pages
 */
import * as assert from 'uvu/assert'
import { vcpu_reg_state, vm_exit } from '../../src/vmm/codec.ts'
import type { CreateOptions, Vmm } from '../../src/vmm/device.ts'
import { type ErrnoName, VmmError } from '../../src/vmm/errno.ts'
import type { GuestMemory } from '../../src/vmm/memory.ts'
import {
  VCPU_REGS_CR0,
  VCPU_REGS_CR3,
  VCPU_REGS_CR4,
  VCPU_REGS_CS,
  VCPU_REGS_DR6,
  VCPU_REGS_DR7,
  VCPU_REGS_EFER,
  VCPU_REGS_LDTR,
  VCPU_REGS_RFLAGS,
  VCPU_REGS_RIP,
  VCPU_REGS_RSP,
  VCPU_REGS_TR,
  VCPU_REGS_XCR0,
  type VcpuRegState,
  VM_RWREGS_ALL,
  type VmCreateParams,
  type VmExit,
  VRP_IRQ_NONE,
} from '../../src/vmm/vmmvar.ts'

export const CODE = 0x1000
export const HANDLERS = 0x2000
export const STACK = 0x7000
const GDT = 0x8000
const IDT = 0x9000
const PML4 = 0xa000
const MB = 0x100000

/** Memory of 2 MB in two ranges that touch, as in the manual's example. */
export function smallVm(name = 'test', megabytes = 2): VmCreateParams {
  return {
    vcp_nmemranges: 2,
    vcp_ncpus: 1,
    vcp_name: name,
    vcp_memranges: [
      { vmr_gpa: 0n, vmr_va: 0x10000n, vmr_size: 0xa0000n },
      { vmr_gpa: 0xa0000n, vmr_va: 0xb0000n, vmr_size: BigInt(megabytes * MB - 0xa0000) },
    ],
  }
}

/** 64-bit mode, ring 0, interrupts off. */
export function longModeState(rip = CODE): VcpuRegState {
  const vrs = vcpu_reg_state.zero()
  vrs.vrs_gprs[VCPU_REGS_RIP] = BigInt(rip)
  vrs.vrs_gprs[VCPU_REGS_RSP] = BigInt(STACK)
  vrs.vrs_gprs[VCPU_REGS_RFLAGS] = 2n
  vrs.vrs_crs[VCPU_REGS_CR0] = 0x80000011n
  vrs.vrs_crs[VCPU_REGS_CR3] = BigInt(PML4)
  vrs.vrs_crs[VCPU_REGS_CR4] = 0x30n
  vrs.vrs_crs[VCPU_REGS_XCR0] = 1n
  vrs.vrs_msrs[VCPU_REGS_EFER] = 0x500n
  vrs.vrs_drs[VCPU_REGS_DR6] = 0xffff0ff0n
  vrs.vrs_drs[VCPU_REGS_DR7] = 0x400n
  vrs.vrs_sregs = vrs.vrs_sregs.map((_, index) =>
    index === 0
      ? { vsi_sel: 8, vsi_limit: 0xffffffff, vsi_ar: 0xa09b, vsi_base: 0n }
      : { vsi_sel: 0x10, vsi_limit: 0xffffffff, vsi_ar: 0xc093, vsi_base: 0n },
  )
  vrs.vrs_sregs[VCPU_REGS_LDTR] = { vsi_sel: 0, vsi_limit: 0xffff, vsi_ar: 0x82, vsi_base: 0n }
  vrs.vrs_sregs[VCPU_REGS_TR] = { vsi_sel: 0, vsi_limit: 0xffff, vsi_ar: 0x8b, vsi_base: 0n }
  vrs.vrs_gdtr = { vsi_sel: 0, vsi_limit: 0x17, vsi_ar: 0, vsi_base: BigInt(GDT) }
  vrs.vrs_idtr = { vsi_sel: 0, vsi_limit: 0xfff, vsi_ar: 0, vsi_base: BigInt(IDT) }
  return vrs
}

/** 32-bit protected mode without paging, ring 0, interrupts off: for processors without long mode. */
export function protectedModeState(rip = CODE): VcpuRegState {
  const vrs = longModeState(rip)
  vrs.vrs_crs[VCPU_REGS_CR0] = 0x11n
  vrs.vrs_crs[VCPU_REGS_CR4] = 0n
  vrs.vrs_msrs[VCPU_REGS_EFER] = 0n
  vrs.vrs_sregs[VCPU_REGS_CS] = { vsi_sel: 8, vsi_limit: 0xffffffff, vsi_ar: 0xc09b, vsi_base: 0n }
  return vrs
}

export interface RunOptions {
  readonly irq?: number
  /** Data for the IN that the last exit was. */
  readonly data?: number
}

export interface GuestOptions extends CreateOptions {
  /** How it is reset before it begins. */
  readonly state?: VcpuRegState | undefined
}

/** A VM with a program, and the monitor's side of it. */
export class Guest {
  readonly vmm: Vmm
  readonly id: number
  readonly memory: GuestMemory
  readonly exit: VmExit = vm_exit.zero()
  irqready = 0

  /** @param handlers code for interrupt and exception vectors */
  constructor(
    vmm: Vmm,
    code: readonly number[],
    handlers: Readonly<Record<number, readonly number[]>> = {},
    { state = longModeState(), cpu }: GuestOptions = {},
  ) {
    this.vmm = vmm
    this.id = vmm.create(smallVm(), { cpu })
    this.memory = vmm.memory(this.id)
    this.memory.write(CODE, Uint8Array.from(code))
    writeTables(this.memory)
    Object.entries(handlers).forEach(([vector, bytes], index) => {
      const address = HANDLERS + index * 0x40
      this.memory.write(address, Uint8Array.from(bytes))
      this.memory.writeU64(IDT + Number(vector) * 16, gate(address))
    })
    this.reset(state)
  }

  reset(state: VcpuRegState): void {
    this.vmm.resetcpu({ vrp_vm_id: this.id, vrp_vcpu_id: 0, vrp_init_state: state })
  }

  /** One RUN; returns the exit reason. */
  run({ irq = VRP_IRQ_NONE, data }: RunOptions = {}): number {
    if (data !== undefined) this.exit.vei.vei_data = data
    const params = {
      vrp_vm_id: this.id,
      vrp_vcpu_id: 0,
      vrp_continue: data === undefined ? 0 : 1,
      vrp_irq: irq,
      vrp_exit: this.exit,
      vrp_irqready: 0,
    }
    const reason = this.vmm.run(params)
    this.irqready = params.vrp_irqready
    return reason
  }

  intr(waiting: number): void {
    this.vmm.intr({ vip_vm_id: this.id, vip_vcpu_id: 0, vip_intr: waiting })
  }

  registers(): VcpuRegState {
    const vrwp_regs = vcpu_reg_state.zero()
    this.vmm.readregs({ vrwp_vm_id: this.id, vrwp_vcpu_id: 0, vrwp_mask: VM_RWREGS_ALL, vrwp_regs })
    return vrwp_regs
  }

  /** A general register as of the last exit; index as in vrs_gprs. */
  gpr(index: number): bigint {
    return this.exit.vrs.vrs_gprs[index] as bigint
  }

  /** Offset of RIP in the program as of the last exit. */
  get offset(): number {
    return Number(this.gpr(VCPU_REGS_RIP)) - CODE
  }

  terminate(): void {
    this.vmm.terminate({ vtp_vm_id: this.id })
  }
}

/** Asserts that a request fails with an errno. */
export function fails(errno: ErrnoName, request: () => unknown): void {
  try {
    request()
  } catch (error) {
    assert.instance(error, VmmError)
    assert.is((error as VmmError).code, errno, (error as VmmError).message)
    return
  }
  assert.unreachable(`expected ${errno}`)
}

function writeTables(memory: GuestMemory): void {
  memory.writeU64(GDT + 8, 0x00af9b000000ffffn)
  memory.writeU64(GDT + 16, 0x00cf93000000ffffn)
  memory.writeU64(PML4, BigInt(PML4 + 0x1000) | 7n)
  memory.writeU64(PML4 + 0x1000, BigInt(PML4 + 0x2000) | 7n)
  for (let index = 0; index < 512; index++) {
    memory.writeU64(PML4 + 0x2000 + index * 8, BigInt(index * 2 * MB) | 0x87n)
  }
}

/** Low half of a 64-bit interrupt gate to the code segment 8. */
function gate(address: number): bigint {
  return (BigInt(address >>> 16) << 48n) | 0x8e0000080000n | BigInt(address & 0xffff)
}
