/** The vmm and the processor together: small programs in 64-bit mode, assembled by hand. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { openVmm, type Vmm, type VmmOptions } from '../src/vmm/index.ts'
import {
  VCPU_REGS_CR0,
  VCPU_REGS_RAX,
  VCPU_REGS_RBX,
  VCPU_REGS_RCX,
  VCPU_REGS_RDX,
  VCPU_REGS_RFLAGS,
  VCPU_REGS_RIP,
  VEE_FAULT_PROTECT,
  VEI_DIR_IN,
  VEI_DIR_OUT,
  VM_EXIT_NONE,
  VM_EXIT_TERMINATED,
  VM_RWREGS_GPRS,
  VMX_EXIT,
  type VmInfoResult,
  VRP_IRQ_NONE,
} from '../src/vmm/vmmvar.ts'
import { CODE, fails, Guest, HANDLERS, longModeState, STACK, smallVm } from './support/guest64.ts'

const HLT = 0xf4
const STI = 0xfb
const NOP = 0x90
const UD2 = [0x0f, 0x0b]
const RDTSC = [0x0f, 0x31]
const RDMSR = [0x0f, 0x32]
const WRMSR = [0x0f, 0x30]
const CPUID = [0x0f, 0xa2]
const SPIN = [0xeb, 0xfe]
const IN_AL_61 = [0xe4, 0x61]
const INC_EBX = [0xff, 0xc3]
const IRETQ = [0x48, 0xcf]

const movEax = (value: number): number[] => [0xb8, ...le32(value)]
const movEcx = (value: number): number[] => [0xb9, ...le32(value)]
const movEdx = (value: number): number[] => [0xba, ...le32(value)]
const movEsi = (value: number): number[] => [0xbe, ...le32(value)]
const movEdi = (value: number): number[] => [0xbf, ...le32(value)]
/** MOV byte [address], value */
const store = (address: number, value: number): number[] => [0xc6, 0x04, 0x25, ...le32(address), value]
/** MOV AL, [address] */
const load = (address: number): number[] => [0x8a, 0x04, 0x25, ...le32(address)]
/** A loop of `count` times two instructions. */
const delay = (count: number): number[] => [...movEcx(count), 0xff, 0xc9, 0x75, 0xfc]

function le32(value: number): number[] {
  return [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24]
}

/** A handler that shows the error code in RAX and the pushed RIP in RBX. */
const SHOW_ERROR = [0x58, 0x5b, HLT]
/** The same for exceptions without an error code. */
const SHOW_RIP = [0x5b, HLT]
/** An interrupt handler that counts in EBX. */
const COUNT = [...INC_EBX, ...IRETQ]

function guest(code: number[], handlers: Record<number, number[]> = {}, options: VmmOptions = {}): Guest {
  return new Guest(openVmm(options), code, handlers)
}

function state(vmm: Vmm): number | undefined {
  const vip_info: VmInfoResult[] = []
  vmm.info({ vip_size: 160, vip_info })
  return vip_info[0]?.vir_vcpu_state[0]
}

test('the smoke sequence of the manual, in 64-bit mode', () => {
  const it = guest([...IN_AL_61, ...IN_AL_61])
  const { vmm, id } = it
  const size = { vip_size: 0, vip_info: [] as VmInfoResult[] }
  vmm.info(size)
  assert.is(size.vip_size, 160)
  vmm.info(size)
  assert.is(size.vip_info[0]?.vir_memory_size, 2)
  assert.is(size.vip_info[0]?.vir_vcpu_state[0], 0)
  assert.is(it.run(), VMX_EXIT.IO)
  assert.equal(it.exit.vei, {
    vei_size: 1,
    vei_dir: VEI_DIR_IN,
    vei_rep: 0,
    vei_string: 0,
    vei_encoding: 1,
    vei_port: 0x61,
    vei_data: 0,
  })
  assert.is(it.offset, 2)
  assert.is(it.exit.cpl, 0)
  assert.is(it.irqready, 0)
  assert.is(it.run({ data: 0x5a }), VMX_EXIT.IO)
  assert.is(it.offset, 4)
  assert.is(it.gpr(VCPU_REGS_RAX), 0x5an)
  assert.is(it.exit.vei.vei_data, 0x5a, 'EAX as it was')
  fails('ENOENT', () => vmm.resetcpu({ vrp_vm_id: id + 1, vrp_vcpu_id: 0, vrp_init_state: longModeState() }))
  it.terminate()
  fails('ENOENT', () => it.run())
})

test('the exit state is that of READREGS', () => {
  const it = guest([...movEax(0x12345678), 0x48, 0xff, 0xc8, ...IN_AL_61])
  it.run()
  assert.equal(it.exit.vrs, it.registers())
  assert.is(it.gpr(VCPU_REGS_RAX), 0x12345677n)
  assert.is(it.gpr(VCPU_REGS_RFLAGS) & 2n, 2n)
})

test('OUT of every size, port in DX and immediate', () => {
  const it = guest([...movEdx(0x3f8), ...movEax(0x11223344), 0xee, 0x66, 0xef, 0xef, 0xe6, 0x61, HLT])
  for (const size of [1, 2, 4]) {
    assert.is(it.run(), VMX_EXIT.IO)
    assert.is(it.exit.vei.vei_size, size)
    assert.is(it.exit.vei.vei_dir, VEI_DIR_OUT)
    assert.is(it.exit.vei.vei_encoding, 0)
    assert.is(it.exit.vei.vei_port, 0x3f8)
    assert.is(it.exit.vei.vei_data, 0x11223344)
  }
  it.run({ data: 0 })
  assert.is(it.exit.vei.vei_encoding, 1)
  assert.is(it.run(), VMX_EXIT.HLT)
  assert.is(it.gpr(VCPU_REGS_RAX), 0x11223344n)
})

test('IN zeroes RAX[63:32] and takes all 32 bits of the answer', () => {
  // MOV RAX, -1; IN AL, 0x61
  const it = guest([0x48, 0xc7, 0xc0, 0xff, 0xff, 0xff, 0xff, ...IN_AL_61, HLT])
  it.run()
  assert.is(it.exit.vei.vei_data, 0xffffffff)
  it.run({ data: 0x89abcdef })
  assert.is(it.gpr(VCPU_REGS_RAX), 0x89abcdefn)
})

test('ports that nobody has', () => {
  const it = guest([0xe6, 0x80, 0xe4, 0x80, HLT])
  assert.is(it.run(), VMX_EXIT.HLT)
  assert.is(it.gpr(VCPU_REGS_RAX), 0xffn)
})

test('REP INSB: one exit an element', () => {
  const it = guest([...movEdx(0x1000), ...movEdi(0x5000), ...movEcx(3), 0xf3, 0x6c, HLT])
  assert.is(it.run(), VMX_EXIT.IO)
  for (const data of [0x11, 0x22, 0x33]) {
    assert.equal([it.exit.vei.vei_string, it.exit.vei.vei_rep, it.exit.vei.vei_dir], [1, 1, VEI_DIR_IN])
    it.run({ data })
  }
  assert.equal([...it.memory.read(0x5000, 4)], [0x11, 0x22, 0x33, 0])
  assert.is(it.gpr(VCPU_REGS_RCX), 0n)
  assert.is(it.gpr(5), 0x5003n)
})

test('REP OUTSW: one exit an element, with its data', () => {
  const it = guest([...movEdx(0x1000), ...movEsi(0x5000), ...movEcx(3), 0xf3, 0x66, 0x6f, HLT])
  it.memory.write(0x5000, Uint8Array.of(1, 2, 3, 4, 5, 6))
  const seen: number[] = []
  while (it.run() === VMX_EXIT.IO) {
    assert.is(it.exit.vei.vei_size, 2)
    seen.push(it.exit.vei.vei_data & 0xffff)
  }
  assert.equal(seen, [0x0201, 0x0403, 0x0605])
  assert.is(it.gpr(4), 0x5006n)
})

test('CPUID and its result in 64-bit registers', () => {
  const it = guest([0x48, 0xc7, 0xc3, 0xff, 0xff, 0xff, 0xff, 0x31, 0xc0, ...CPUID, HLT])
  it.run()
  assert.is(it.gpr(VCPU_REGS_RBX), 0x68747541n)
  assert.is(it.gpr(VCPU_REGS_RDX), 0x69746e65n)
  assert.is(it.gpr(VCPU_REGS_RCX), 0x444d4163n)
})

test('RDTSC on virtual time counts instructions, the same in every run', () => {
  const values = [1, 2].map(() => {
    const it = guest([...delay(1000), ...RDTSC, HLT], {}, { clock: 'instructions' })
    it.run()
    return it.gpr(VCPU_REGS_RAX)
  })
  assert.is(values[0], values[1])
  assert.ok((values[0] as bigint) >= 2001n && (values[0] as bigint) <= 2003n, String(values[0]))
})

test('RDMSR of a register that does not exist: #GP at the instruction', () => {
  const it = guest([...movEcx(0x1b), ...RDMSR, HLT], { 13: SHOW_ERROR })
  assert.is(it.run(), VMX_EXIT.HLT)
  assert.is(it.gpr(VCPU_REGS_RAX), 0n)
  assert.is(it.gpr(VCPU_REGS_RBX), BigInt(CODE + 5))
})

test('MOV CR4 with a reserved bit, XSETBV: #GP (or #UD) at the instruction', () => {
  const it = guest([...movEax(0x80000000), 0x0f, 0x22, 0xe0, HLT], { 13: SHOW_ERROR })
  it.run()
  assert.is(it.gpr(VCPU_REGS_RBX), BigInt(CODE + 5))
  assert.is(it.registers().vrs_crs[3], 0x30n)
})

test('MOV CR0 sets TS and a guest sees it', () => {
  // MOV RAX, CR0; OR AL, 8; MOV CR0, RAX; MOV RBX, CR0
  const it = guest([0x0f, 0x20, 0xc0, 0x0c, 0x08, 0x0f, 0x22, 0xc0, 0x0f, 0x20, 0xc3, HLT])
  assert.is(it.run(), VMX_EXIT.HLT)
  assert.is(it.gpr(VCPU_REGS_RBX), 0x80000019n)
  assert.is(it.exit.vrs.vrs_crs[VCPU_REGS_CR0], 0x80000019n)
})

test('CR8 is read back', () => {
  const it = guest([...movEax(5), 0x44, 0x0f, 0x22, 0xc0, 0x44, 0x0f, 0x20, 0xc3, HLT])
  it.run()
  assert.is(it.gpr(VCPU_REGS_RBX), 5n)
})

test('WRMSR of FS base moves the segment', () => {
  const code = [...movEcx(0xc0000100), ...movEax(0x5000), ...movEdx(0), ...WRMSR, 0x64, ...load(4), HLT]
  const it = guest(code)
  it.memory.writeU8(0x5004, 0x99)
  it.run()
  assert.is(it.gpr(VCPU_REGS_RAX) & 0xffn, 0x99n)
  assert.is(it.exit.vrs.vrs_sregs[3]?.vsi_base, 0x5000n)
})

test('RDTSCP is #UD, RDRAND is not, RDPMC has one counter', () => {
  const rdtscp = guest([0x0f, 0x01, 0xf9, HLT], { 6: SHOW_RIP })
  rdtscp.run()
  assert.is(rdtscp.gpr(VCPU_REGS_RBX), BigInt(CODE))
  const it = guest(
    [0x0f, 0xc7, 0xf0, ...movEcx(0x40000000), 0x89, 0xc3, 0x0f, 0x33, HLT],
    {},
    {
      random: (bytes) => bytes.fill(0x5a),
      clock: 'instructions',
    },
  )
  it.run()
  assert.is(it.gpr(VCPU_REGS_RBX), 0x5a5a5a5an)
  assert.ok(it.gpr(VCPU_REGS_RAX) > 0n)
})

test('HLT with interrupts off returns, and goes on when run again', () => {
  const it = guest([HLT, ...INC_EBX, HLT])
  assert.is(it.run(), VMX_EXIT.HLT)
  assert.is(it.offset, 1)
  assert.is(it.run(), VMX_EXIT.HLT)
  assert.is(it.gpr(VCPU_REGS_RBX), 1n)
})

test('a triple fault goes to userland with RIP at the instruction', () => {
  const it = guest([NOP, ...UD2])
  assert.is(it.run(), VMX_EXIT.TRIPLE_FAULT)
  assert.is(it.offset, 1)
})

test('an exception in an emulated instruction without a handler is a triple fault', () => {
  const it = guest([...movEcx(0x1b), ...RDMSR])
  assert.is(it.run(), VMX_EXIT.TRIPLE_FAULT)
})

test('interrupts wake a halted guest', () => {
  const it = guest([STI, HLT, 0xff, 0xc1, 0xeb, 0xfb], { 48: COUNT })
  assert.is(it.run(), VMX_EXIT.HLT)
  assert.is(it.irqready, 1)
  for (let count = 1n; count < 4n; count++) {
    assert.is(it.run({ irq: 0x30 }), VMX_EXIT.HLT)
    assert.is(it.gpr(VCPU_REGS_RBX), count)
    assert.is(it.gpr(VCPU_REGS_RCX), count)
  }
})

test('INTR 1 with interrupts off: INT_WINDOW when the guest turns them on', () => {
  const it = guest([...delay(1000), STI, NOP, ...SPIN], { 48: [...INC_EBX, HLT] })
  it.intr(1)
  assert.is(it.run(), VMX_EXIT.INT_WINDOW)
  assert.is(it.irqready, 1)
  assert.is(it.offset, 11, 'behind the shadow of STI')
  it.intr(0)
  assert.is(it.run({ irq: 0x30 }), VMX_EXIT.HLT)
  assert.is(it.gpr(VCPU_REGS_RBX), 1n)
})

test('an interrupt given too early is not lost', () => {
  const it = guest([...IN_AL_61, ...delay(10), STI, NOP, HLT], { 49: COUNT })
  assert.is(it.run({ irq: 0x31 }), VMX_EXIT.IO)
  assert.is(it.irqready, 0)
  assert.is(it.run(), VMX_EXIT.HLT)
  assert.is(it.gpr(VCPU_REGS_RBX), 1n)
})

test('INTR 1 with interrupts on: a spinning guest comes back as EXTINT', () => {
  const it = guest([STI, ...SPIN], { 48: [...INC_EBX, HLT] }, { slice: 100_000_000 })
  it.intr(1)
  assert.is(it.run(), VMX_EXIT.INT_WINDOW, 'behind STI')
  assert.is(it.run(), VMX_EXIT.EXTINT)
  assert.is(it.irqready, 1)
  it.intr(0)
  assert.is(it.run({ irq: 0x30 }), VMX_EXIT.HLT)
})

test('the slice ends RUN with nothing; exact on virtual time', () => {
  const it = guest(SPIN, {}, { slice: 1_000_000, clock: 'instructions' })
  assert.is(it.run(), VM_EXIT_NONE)
  assert.is(it.vmm.instructions(it.id), 1_000_000n)
  assert.is(it.offset, 0)
  it.run()
  assert.is(it.vmm.tsc(it.id), 2_000_000n)
})

test('a slice is spent to the end on host time, too, and a short one makes progress', () => {
  for (const slice of [1, 10, 63, 64, 100, 300_100]) {
    const it = guest(SPIN, {}, { slice })
    for (let turn = 1n; turn <= 3n; turn++) {
      assert.is(it.run(), VM_EXIT_NONE)
      assert.is(it.vmm.instructions(it.id), turn * BigInt(slice))
    }
  }
})

test('memory that does not exist reads ones and drops writes', () => {
  const it = guest([...store(0x3000000, 5), ...load(0x3000000), HLT])
  assert.is(it.run(), VMX_EXIT.HLT)
  assert.is(it.gpr(VCPU_REGS_RAX) & 0xffn, 0xffn)
})

test('the monitor sees stores of the guest, and the guest those of the monitor', () => {
  const it = guest([...store(0x5000, 0x77), ...IN_AL_61, ...load(0x5001), HLT])
  const view = it.memory.view(0x5000, 2)
  it.run()
  assert.is(view[0], 0x77)
  view[1] = 0x66
  it.run()
  assert.is(it.gpr(VCPU_REGS_RAX) & 0xffn, 0x66n)
})

test('code that the monitor changes is decoded anew', () => {
  // IN AL, 0x61; INC EBX; JMP back
  const it = guest([...IN_AL_61, ...INC_EBX, 0xeb, 0xfa])
  it.run()
  it.run()
  assert.is(it.gpr(VCPU_REGS_RBX), 1n)
  it.memory.write(CODE + 2, Uint8Array.of(0xff, 0xc9)) // DEC ECX
  it.run()
  assert.is(it.gpr(VCPU_REGS_RBX), 1n)
  assert.is(it.gpr(VCPU_REGS_RCX), 0xffffffffn)
  const view = it.memory.view(CODE, 8)
  view.set([0xff, 0xc3], 2)
  it.memory.written(CODE + 2, 2)
  it.run()
  assert.is(it.gpr(VCPU_REGS_RBX), 2n)
})

function protect(it: Guest, gpa: number, prot: number): void {
  it.vmm.mprotectEpt({ vmep_vm_id: it.id, vmep_vcpu_id: 0, vmep_sgpa: BigInt(gpa), vmep_size: 4096n, vmep_prot: prot })
}

test('MPROTECT_EPT: a write to a read-only page, again and again, until it is allowed', () => {
  const it = guest([NOP, ...store(0x5000, 1), HLT])
  protect(it, 0x5000, 1)
  for (let turn = 0; turn < 3; turn++) {
    assert.is(it.run(), VMX_EXIT.EPT_VIOLATION)
    assert.is(it.exit.vee.vee_fault_type, VEE_FAULT_PROTECT)
    assert.is(it.offset, 1)
  }
  assert.is(it.memory.readU8(0x5000), 0)
  protect(it, 0x5000, 3)
  assert.is(it.run(), VMX_EXIT.HLT)
  assert.is(it.memory.readU8(0x5000), 1)
})

test('MPROTECT_EPT: the page was written before, and the read-only page is read', () => {
  const it = guest([...store(0x5000, 1), ...IN_AL_61, ...load(0x5000), ...store(0x5000, 2), HLT])
  it.run()
  protect(it, 0x5000, 1)
  assert.is(it.run(), VMX_EXIT.EPT_VIOLATION)
  assert.is(it.gpr(VCPU_REGS_RAX) & 0xffn, 1n)
})

test('MPROTECT_EPT: an execute-only page can not be read', () => {
  const it = guest([...load(0x5000), HLT])
  protect(it, 0x5000, 4)
  assert.is(it.run(), VMX_EXIT.EPT_VIOLATION)
  assert.is(it.offset, 0)
})

test('MPROTECT_EPT on code that has run', () => {
  const it = guest([...IN_AL_61, ...INC_EBX, 0xeb, 0xfa])
  it.run()
  it.run()
  protect(it, CODE, 3)
  assert.is(it.run(), VMX_EXIT.EPT_VIOLATION)
  assert.is(it.offset, 2)
  protect(it, CODE, 5)
  assert.is(it.run(), VMX_EXIT.IO)
  assert.is(it.gpr(VCPU_REGS_RBX), 2n)
})

test('MPROTECT_EPT: write and execute without read is a misconfiguration', () => {
  const it = guest([...store(0x5000, 1), HLT])
  protect(it, 0x5000, 6)
  fails('EINVAL', () => it.run())
  assert.is(state(it.vmm), 3)
  fails('EBUSY', () => it.run())
  it.terminate()
})

test('MPROTECT_EPT on the stack: the interrupt waits until it can be pushed', () => {
  const it = guest([STI, HLT, HLT], { 48: [...INC_EBX, HLT] })
  it.run()
  protect(it, STACK - 0x1000, 1)
  for (let turn = 0; turn < 2; turn++) {
    assert.is(it.run({ irq: turn === 0 ? 0x30 : VRP_IRQ_NONE }), VMX_EXIT.EPT_VIOLATION)
    assert.is(it.offset, 2)
    assert.is(it.irqready, 0)
  }
  protect(it, STACK - 0x1000, 3)
  assert.is(it.run(), VMX_EXIT.HLT)
  assert.is(it.gpr(VCPU_REGS_RBX), 1n)
})

test('WRITEREGS moves a guest', () => {
  const it = guest([HLT, HLT, HLT, HLT])
  it.run()
  const vrwp_regs = it.registers()
  vrwp_regs.vrs_gprs[VCPU_REGS_RIP] = BigInt(CODE + 3)
  vrwp_regs.vrs_gprs[VCPU_REGS_RBX] = 0xffffffffffffffffn
  it.vmm.writeregs({ vrwp_vm_id: it.id, vrwp_vcpu_id: 0, vrwp_mask: VM_RWREGS_GPRS, vrwp_regs })
  assert.is(it.run(), VMX_EXIT.HLT)
  assert.is(it.offset, 4)
  assert.is(it.gpr(VCPU_REGS_RBX), 0xffffffffffffffffn)
})

test('RESETCPU starts over, in other page tables', () => {
  const it = guest([...load(0x200000 - 1), HLT])
  it.memory.writeU8(0x1fffff, 0x42)
  it.run()
  assert.is(it.gpr(VCPU_REGS_RAX), 0x42n)
  // The same 2 MB page, now through a directory that maps it to the second 2 MB, where no memory is.
  it.memory.write(0x10000, it.memory.read(0xa000, 0x3000))
  it.memory.writeU64(0x10000, 0x11007n)
  it.memory.writeU64(0x11000, 0x12007n)
  it.memory.writeU64(0x12000 + 8, 0x87n)
  const vrs = longModeState(0x200000 + CODE)
  vrs.vrs_crs[2] = 0x10000n
  it.reset(vrs)
  assert.is(it.run(), VMX_EXIT.HLT)
  assert.is(it.gpr(VCPU_REGS_RAX), 0x42n)
  assert.is(it.gpr(VCPU_REGS_RIP), BigInt(0x200000 + CODE + 8))
})

test('a guest may begin in compatibility mode', () => {
  // INC EAX, a REX prefix in 64-bit mode
  const it = guest([0x40, HLT])
  const vrs = longModeState()
  const cs = vrs.vrs_sregs[0]
  if (cs !== undefined) cs.vsi_ar = 0xc09f
  it.reset(vrs)
  assert.is(it.run(), VMX_EXIT.HLT)
  assert.is(it.gpr(VCPU_REGS_RAX), 1n)
})

test('pvclock', () => {
  const code = [...movEcx(0x4b564d01), ...movEax(0x6001), ...movEdx(0), ...WRMSR, ...RDTSC, HLT]
  const wall = 1_700_000_000_000_000_000n
  let tsc = 0n
  const it = guest(code, {}, { clock: { tsc: () => (tsc += 1000n), wall: () => wall } })
  assert.is(it.run(), VMX_EXIT.HLT)
  assert.is(it.memory.readU32(0x6000) & 1, 0)
  assert.is(it.memory.readU64(0x6010), wall)
  assert.is(it.memory.readU64(0x6008), tsc, 'renewed after RDTSC, before HLT')
  assert.is(it.gpr(VCPU_REGS_RAX), tsc - 1000n)
})

test('a clock inside RDTSC may make requests', () => {
  const seen: string[] = []
  const box: { it?: Guest; turn: number } = { turn: 0 }
  const clock = {
    tsc: () => {
      const { it } = box
      if (it === undefined) return 0n
      box.turn++
      fails('EBUSY', () => it.run())
      seen.push(String(state(it.vmm)))
      if (box.turn === 1) it.intr(1)
      if (box.turn === 2) it.terminate()
      return BigInt(box.turn)
    },
    wall: () => 0n,
  }
  const it = guest([STI, NOP, ...RDTSC, ...RDTSC, HLT], {}, { clock })
  box.it = it
  assert.is(it.run(), VMX_EXIT.EXTINT, 'INTR took effect')
  assert.is(it.offset, 4)
  assert.is(it.run(), VM_EXIT_TERMINATED)
  assert.equal(seen, ['1', '1'])
  assert.is(it.vmm.info({ vip_size: 0 }), 0)
})

test('two VMs in turn know nothing of each other', () => {
  const vmm = openVmm()
  const first = new Guest(vmm, [...INC_EBX, ...IN_AL_61, 0xeb, 0xfa])
  const second = new Guest(vmm, [0xff, 0xcb, ...IN_AL_61, 0xeb, 0xfa])
  for (let turn = 1n; turn <= 50n; turn++) {
    assert.is(first.run({ data: 1 }), VMX_EXIT.IO)
    assert.is(second.run({ data: 2 }), VMX_EXIT.IO)
    assert.is(first.gpr(VCPU_REGS_RBX), turn)
    assert.is(second.gpr(VCPU_REGS_RBX), 0x100000000n - turn)
    if (turn > 1n) assert.equal([first.gpr(VCPU_REGS_RAX), second.gpr(VCPU_REGS_RAX)], [1n, 2n])
  }
  first.terminate()
  assert.is(second.run(), VMX_EXIT.IO)
})

test('INFO tells what the guest has touched', () => {
  const it = guest([...store(0x5000, 1), ...store(0x150000, 1), HLT])
  const vip_info: VmInfoResult[] = []
  it.run()
  it.vmm.info({ vip_size: 160, vip_info })
  const pages = (vip_info[0]?.vir_used_size ?? 0) / 4096
  // Code, two pages of data, three page tables.
  assert.ok(pages >= 6 && pages < 20, String(pages))
})

test('ENOMEM for more memory than a WebAssembly.Memory has', () => {
  const vmm = openVmm()
  const params = smallVm()
  params.vcp_memranges[1] = { vmr_gpa: 0x100000000n, vmr_va: 0x10000n, vmr_size: 0x200000000n - 0xa0000n }
  fails('ENOMEM', () => vmm.create(params))
  assert.is(vmm.create(smallVm()), 1)
})

test('an interrupt handler runs where the gate leads', () => {
  const it = guest([STI, HLT, HLT], { 32: [HLT] })
  it.run()
  it.run({ irq: 0x20 })
  assert.is(it.gpr(VCPU_REGS_RIP), BigInt(HANDLERS + 1))
})

test.run()
