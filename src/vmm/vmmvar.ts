/**
 * What vmmvar.h declares: constants and the parameter structures of the ioctls, under their C names.
 *
 * Number or bigint: addresses, lengths in an address space and register contents are bigint (`vmr_gpa`, `vmr_size`,
 * `vmep_size`, everything in vcpu_reg_state but selector, limit and access rights). Whatever counts, names or selects is
 * a number (ids, `vcp_ncpus`, `vrwp_mask`, `vip_size`, `vir_memory_size`).
 *
 * Fields that are optional here are outputs, or inputs the kernel ignores; C zeroes stand for them when they are absent.
 */

export const VMM_MAX_MEM_RANGES = 16
export const VMM_MAX_DISKS_PER_VM = 4
export const VMM_MAX_NICS_PER_VM = 4
export const VMM_MAX_PATH_DISK = 128
export const VMM_MAX_PATH_CDROM = 128
export const VMM_MAX_KERNEL_PATH = 128
export const VMM_MAX_NAME_LEN = 64
export const VMM_MAX_VCPUS_PER_VM = 64
/** In megabytes. */
export const VMM_MAX_VM_MEM_SIZE = 32768
export const VMM_PCI_MMIO_BAR_BASE = 0xf0000000n
export const VMM_PCI_MMIO_BAR_END = 0xffffffffn
export const VMM_PCI_MMIO_BAR_SIZE = 0x10000n
export const VMM_PCI_IO_BAR_BASE = 0x1000
export const VMM_PCI_IO_BAR_END = 0xffff
export const VMM_PCI_IO_BAR_SIZE = 0x1000

/** vrp_irq: no interrupt to deliver. */
export const VRP_IRQ_NONE = 0xffff

/** vrp_exit_reason besides the VMX basic exit reasons. */
export const VM_EXIT_TERMINATED = 0xfffe
export const VM_EXIT_NONE = 0xffff

/** VMX basic exit reasons (SDM volume 3, appendix C). */
export const VMX_EXIT = {
  NMI: 0,
  EXTINT: 1,
  TRIPLE_FAULT: 2,
  INIT: 3,
  SIPI: 4,
  IO_SMI: 5,
  OTHER_SMI: 6,
  INT_WINDOW: 7,
  NMI_WINDOW: 8,
  TASK_SWITCH: 9,
  CPUID: 10,
  GETSEC: 11,
  HLT: 12,
  INVD: 13,
  INVLPG: 14,
  RDPMC: 15,
  RDTSC: 16,
  RSM: 17,
  VMCALL: 18,
  VMCLEAR: 19,
  VMLAUNCH: 20,
  VMPTRLD: 21,
  VMPTRST: 22,
  VMREAD: 23,
  VMRESUME: 24,
  VMWRITE: 25,
  VMXOFF: 26,
  VMXON: 27,
  CR_ACCESS: 28,
  MOV_DR: 29,
  IO: 30,
  RDMSR: 31,
  WRMSR: 32,
  ENTRY_FAILED_GUEST_STATE: 33,
  ENTRY_FAILED_MSR_LOAD: 34,
  MWAIT: 36,
  MTF: 37,
  MONITOR: 39,
  PAUSE: 40,
  ENTRY_FAILED_MCE: 41,
  TPR_BELOW_THRESHOLD: 43,
  APIC_ACCESS: 44,
  VIRTUALIZED_EOI: 45,
  GDTR_IDTR: 46,
  LDTR_TR: 47,
  EPT_VIOLATION: 48,
  EPT_MISCONFIGURATION: 49,
  INVEPT: 50,
  RDTSCP: 51,
  PREEMPTION_TIMER: 52,
  INVVPID: 53,
  WBINVD: 54,
  XSETBV: 55,
  APIC_WRITE: 56,
  RDRAND: 57,
  INVPCID: 58,
  VMFUNC: 59,
  RDSEED: 61,
  XSAVES: 63,
  XRSTORS: 64,
} as const

/** Exception vectors (SDM volume 3, table 6-1). */
export const VMM_EX = {
  DE: 0,
  DB: 1,
  NMI: 2,
  BP: 3,
  OF: 4,
  BR: 5,
  UD: 6,
  NM: 7,
  DF: 8,
  CP: 9,
  TS: 10,
  NP: 11,
  SS: 12,
  GP: 13,
  PF: 14,
  MF: 16,
  AC: 17,
  MC: 18,
  XM: 19,
  VE: 20,
} as const

/** States of a vcpu; vir_vcpu_state. */
export const VCPU_STATE = { STOPPED: 0, RUNNING: 1, REQTERM: 2, TERMINATED: 3, UNKNOWN: 4 } as const
export type VcpuState = (typeof VCPU_STATE)[keyof typeof VCPU_STATE]

/** vei_dir. */
export const VEI_DIR_OUT = 0
export const VEI_DIR_IN = 1
/** vee_fault_type: the EPT forbids the access. */
export const VEE_FAULT_PROTECT = 0

/** vrwp_mask. */
export const VM_RWREGS_GPRS = 0x1
export const VM_RWREGS_SREGS = 0x2
export const VM_RWREGS_CRS = 0x4
export const VM_RWREGS_MSRS = 0x8
export const VM_RWREGS_DRS = 0x10
export const VM_RWREGS_ALL = 0x1f

/** vpp_mask. */
export const VM_RWVMPARAMS_PVCLOCK_SYSTEM_GPA = 0x1
export const VM_RWVMPARAMS_PVCLOCK_VERSION = 0x2
export const VM_RWVMPARAMS_ALL = 0x3

/** vmep_prot. */
export const PROT_READ = 1
export const PROT_WRITE = 2
export const PROT_EXEC = 4

/** Index into vrs_gprs. */
export const VCPU_REGS_RAX = 0
export const VCPU_REGS_RBX = 1
export const VCPU_REGS_RCX = 2
export const VCPU_REGS_RDX = 3
export const VCPU_REGS_RSI = 4
export const VCPU_REGS_RDI = 5
export const VCPU_REGS_R8 = 6
export const VCPU_REGS_R9 = 7
export const VCPU_REGS_R10 = 8
export const VCPU_REGS_R11 = 9
export const VCPU_REGS_R12 = 10
export const VCPU_REGS_R13 = 11
export const VCPU_REGS_R14 = 12
export const VCPU_REGS_R15 = 13
export const VCPU_REGS_RSP = 14
export const VCPU_REGS_RBP = 15
export const VCPU_REGS_RIP = 16
export const VCPU_REGS_RFLAGS = 17
export const VCPU_REGS_NGPRS = 18

/** Index into vrs_crs. */
export const VCPU_REGS_CR0 = 0
export const VCPU_REGS_CR2 = 1
export const VCPU_REGS_CR3 = 2
export const VCPU_REGS_CR4 = 3
export const VCPU_REGS_CR8 = 4
export const VCPU_REGS_XCR0 = 5
export const VCPU_REGS_PDPTE0 = 6
export const VCPU_REGS_PDPTE1 = 7
export const VCPU_REGS_PDPTE2 = 8
export const VCPU_REGS_PDPTE3 = 9
export const VCPU_REGS_NCRS = 10

/** Index into vrs_msrs. */
export const VCPU_REGS_EFER = 0
export const VCPU_REGS_STAR = 1
export const VCPU_REGS_LSTAR = 2
export const VCPU_REGS_CSTAR = 3
export const VCPU_REGS_SFMASK = 4
export const VCPU_REGS_KGSBASE = 5
export const VCPU_REGS_MISC_ENABLE = 6
export const VCPU_REGS_NMSRS = 7

/** Index into vrs_drs. */
export const VCPU_REGS_DR0 = 0
export const VCPU_REGS_DR1 = 1
export const VCPU_REGS_DR2 = 2
export const VCPU_REGS_DR3 = 3
export const VCPU_REGS_DR6 = 4
export const VCPU_REGS_DR7 = 5
export const VCPU_REGS_NDRS = 6

/** Index into vrs_sregs. */
export const VCPU_REGS_CS = 0
export const VCPU_REGS_DS = 1
export const VCPU_REGS_ES = 2
export const VCPU_REGS_FS = 3
export const VCPU_REGS_GS = 4
export const VCPU_REGS_SS = 5
export const VCPU_REGS_LDTR = 6
export const VCPU_REGS_TR = 7
export const VCPU_REGS_NSREGS = 8

/** struct vm_mem_range: guest-physical memory, all three multiples of 4096. */
export interface VmMemRange {
  vmr_gpa: bigint
  /** Checked as the reference checks an address of the calling process, and otherwise a cookie: memory is the VM's own. */
  vmr_va: bigint
  vmr_size: bigint
}

/** struct vm_create_params. */
export interface VmCreateParams {
  vcp_nmemranges: number
  vcp_ncpus: number
  vcp_ndisks?: number
  vcp_nnics?: number
  vcp_memranges: VmMemRange[]
  vcp_disks?: string[]
  vcp_cdrom?: string
  vcp_name?: string
  vcp_kernel?: string
  vcp_macs?: Uint8Array[]
  /** Out. */
  vcp_id?: number
}

/** struct vm_exit_inout. */
export interface VmExitInout {
  /** Bytes: 1, 2 or 4. */
  vei_size: number
  vei_dir: number
  vei_rep: number
  vei_string: number
  /** 0: the port was in DX; 1: immediate operand. */
  vei_encoding: number
  vei_port: number
  vei_data: number
}

/** struct vm_exit_eptviolation. */
export interface VmExitEptviolation {
  vee_fault_type: number
}

/** struct vm_exit. `vei` and `vee` are one union in C: vee_fault_type is the byte of vei_size, here as there. */
export interface VmExit {
  vei: VmExitInout
  vee: VmExitEptviolation
  vrs: VcpuRegState
  /** 0-3; -1 when unknown. */
  cpl: number
}

/** A vm_exit that RUN fills. Without `vrs` the registers are left out, which makes an exit cheaper. */
export type VmExitBuffer = Omit<VmExit, 'vrs'> & { vrs?: VcpuRegState }

/** struct vm_run_params. */
export interface VmRunParams {
  vrp_vm_id: number
  vrp_vcpu_id: number
  vrp_continue: number
  vrp_irq: number
  /** In when vrp_continue is set, out when a reason is returned; undefined is the NULL pointer. */
  vrp_exit?: VmExitBuffer | undefined
  /** Out. */
  vrp_exit_reason?: number
  /** Out: an interrupt given to the next RUN will be taken. */
  vrp_irqready?: number
}

/** struct vcpu_segment_info. */
export interface VcpuSegmentInfo {
  vsi_sel: number
  /** Last byte offset, 4 GB segments have 0xFFFFFFFF. */
  vsi_limit: number
  /** VMX access rights: type 0-3, S 4, DPL 5-6, P 7, AVL 12, L 13, D/B 14, G 15, unusable 16. */
  vsi_ar: number
  vsi_base: bigint
}

/** struct vcpu_reg_state; see the VCPU_REGS_ indices. */
export interface VcpuRegState {
  vrs_gprs: bigint[]
  vrs_crs: bigint[]
  vrs_msrs: bigint[]
  vrs_drs: bigint[]
  vrs_sregs: VcpuSegmentInfo[]
  vrs_gdtr: VcpuSegmentInfo
  vrs_idtr: VcpuSegmentInfo
}

/** struct vm_info_params. */
export interface VmInfoParams {
  /** Bytes of vip_info that may be filled; out: bytes needed, when they were too few. */
  vip_size: number
  /** Out: VMs stored. */
  vip_info_ct?: number
  /** The buffer: results are stored from element 0 on. undefined is the NULL pointer. */
  vip_info?: VmInfoResult[] | undefined
}

/** struct vm_info_result. */
export interface VmInfoResult {
  /** Megabytes. */
  vir_memory_size: number
  /** Bytes of the pages that guest or monitor have touched. */
  vir_used_size: number
  vir_ncpus: number
  vir_vcpu_state: number[]
  vir_creator_pid: number
  vir_id: number
  vir_name: string
}

/** struct vm_terminate_params. */
export interface VmTerminateParams {
  vtp_vm_id: number
}

/** struct vm_resetcpu_params. */
export interface VmResetcpuParams {
  vrp_vm_id: number
  vrp_vcpu_id: number
  vrp_init_state: VcpuRegState
}

/** struct vm_intr_params. */
export interface VmIntrParams {
  vip_vm_id: number
  vip_vcpu_id: number
  /** Not zero: userland has an interrupt waiting. */
  vip_intr: number
}

/** struct vm_rwregs_params. */
export interface VmRwregsParams {
  vrwp_vm_id: number
  vrwp_vcpu_id: number
  vrwp_mask: number
  vrwp_regs: VcpuRegState
}

/** struct vm_rwvmparams_params. */
export interface VmRwvmparamsParams {
  vpp_vm_id: number
  vpp_vcpu_id: number
  vpp_mask: number
  vpp_pvclock_system_gpa?: bigint
  vpp_pvclock_version?: number
}

/** struct vm_mprotect_ept_params. */
export interface VmMprotectEptParams {
  vmep_vm_id: number
  vmep_vcpu_id: number
  vmep_sgpa: bigint
  vmep_size: bigint
  vmep_prot: number
}
