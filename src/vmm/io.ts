/** IN, OUT, INS, OUTS: which ports leave the kernel, what vm_exit says of the access, and how an IN gets its data. */
import * as L from '../cpu/layout.ts'
import type { Vcpu } from './vcpu.ts'
import { VEI_DIR_IN, VEI_DIR_OUT } from './vmmvar.ts'

/** First and last of each run of ports that the kernel forwards to userland. */
const FORWARDED = [
  [0x20, 0x21], // i8259 master
  [0x40, 0x43], // i8253
  [0x61, 0x61], // NMI status and control: speaker, timer gates
  [0x70, 0x71], // mc146818
  [0xa0, 0xa1], // i8259 slave
  [0x3f8, 0x3ff], // ns8250, COM1
  [0x4d0, 0x4d1], // edge or level
  [0x500, 0x511], // hypercalls of other monitors; fw_cfg from 0x510
  [0x514, 0x514], // fw_cfg DMA
  [0x518, 0x518],
  [0xcf8, 0xcf8], // PCI configuration address
  [0xcfc, 0xcff], // PCI configuration data
  [0x1000, 0xffff], // PCI I/O BARs
] as const

/** Whether vmm(4) of OpenBSD 6.9 hands an access to this port to userland. */
export function isForwarded(port: number): boolean {
  return FORWARDED.some(([first, last]) => port >= first && port <= last)
}

/** Records the access in vm_exit; returns whether userland must see it. RIP is past the instruction already. */
export function handleIo(vcpu: Vcpu): boolean {
  const { cpu, vc_exit, platform } = vcpu
  const flags = cpu.readU32(L.EXIT_IO_FLAGS)
  const isIn = (flags & L.IO_IN) !== 0
  vc_exit.vei_size = cpu.readU32(L.EXIT_SIZE)
  vc_exit.vei_dir = isIn ? VEI_DIR_IN : VEI_DIR_OUT
  vc_exit.vei_rep = flags & L.IO_REP ? 1 : 0
  vc_exit.vei_string = flags & L.IO_STRING ? 1 : 0
  vc_exit.vei_encoding = flags & L.IO_IMMEDIATE ? 1 : 0
  vc_exit.vei_port = cpu.readU32(L.EXIT_PORT) & 0xffff
  vc_exit.vei_data = cpu.readU32(L.EXIT_VALUE) >>> 0
  if (platform.ports === 'all' || isForwarded(vc_exit.vei_port)) return true
  if (isIn) floatingBus(vcpu)
  return false
}

/**
 * RUN with vrp_continue: the data of an IN that is outstanding. It replaces all of RAX whatever the access size (the
 * monitor merges into the EAX that vei_data showed it); the element of an INS goes to memory as it is.
 */
export function completeIn(vcpu: Vcpu, data: number): void {
  vcpu.cpu.completeIn(data)
}

/** Nobody answers at this port: every data line reads one. */
function floatingBus({ cpu, vc_exit }: Vcpu): void {
  if (cpu.readU32(L.IO_PENDING) === L.IO_TO_MEMORY) {
    cpu.completeIn(-1)
  } else {
    const rax = cpu.readU64(L.RAX)
    const ones = (1n << BigInt(vc_exit.vei_size * 8)) - 1n
    cpu.writeU64(L.RAX, vc_exit.vei_size === 4 ? ones : rax | ones)
  }
  cpu.writeU32(L.IO_PENDING, 0)
}
