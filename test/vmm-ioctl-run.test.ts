/** The protocol of VMM_IOC_RUN, with a scripted processor: what goes in, what comes out, in which order. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as L from '../src/cpu/layout.ts'
import { Vmm, type VmmOptions } from '../src/vmm/device.ts'
import {
  VCPU_REGS_CR4,
  VCPU_REGS_EFER,
  VCPU_REGS_RAX,
  VCPU_REGS_RFLAGS,
  VCPU_REGS_RIP,
  VCPU_STATE,
  type VcpuRegState,
  VM_EXIT_NONE,
  VM_EXIT_TERMINATED,
  VM_RWREGS_GPRS,
  VMX_EXIT,
  type VmInfoResult,
} from '../src/vmm/vmmvar.ts'
import { fails, Guest, longModeState } from './support/guest64.ts'
import { Puppet, type Step } from './support/puppet.ts'

function guest(options: VmmOptions = {}): { guest: Guest; cpu: Puppet; vmm: Vmm } {
  let cpu: Puppet | undefined
  const vmm = new Vmm({
    ...options,
    createCpu: (cpuOptions) => {
      cpu = new Puppet(cpuOptions)
      return cpu
    },
  })
  const made = new Guest(vmm, [])
  if (cpu === undefined) throw new Error('no processor was made')
  cpu.log.length = 0
  return { guest: made, cpu, vmm }
}

/** An access to a port, as the processor reports it. */
function io(port: number, size: number, flags: number, value = 0, pending = 0): Step {
  return (cpu) => {
    cpu.writeU32(L.EXIT_PORT, port)
    cpu.writeU32(L.EXIT_SIZE, size)
    cpu.writeU32(L.EXIT_IO_FLAGS, flags)
    cpu.writeU64(L.EXIT_VALUE, BigInt(value))
    cpu.writeU32(L.IO_PENDING, pending)
    return VMX_EXIT.IO
  }
}

const hlt: Step = (cpu) => {
  cpu.writeU32(L.EXIT_LENGTH, 1)
  return VMX_EXIT.HLT
}

function exitWith(reason: number): Step {
  return () => reason
}

/** Exits that the kernel handles itself. */
const cpuid: Step = (cpu) => {
  cpu.writeU32(L.EXIT_LENGTH, 2)
  return VMX_EXIT.CPUID
}

function enableInterrupts(cpu: Puppet): void {
  cpu.rflags |= 0x200n
}

function state(vmm: Vmm): number | undefined {
  const vip_info: VmInfoResult[] = []
  vmm.info({ vip_size: 160, vip_info })
  return vip_info[0]?.vir_vcpu_state[0]
}

test('RUN before RESETCPU fails: there is no register state', () => {
  const vmm = new Vmm({ createCpu: (options) => new Puppet(options) })
  const id = vmm.create({
    vcp_nmemranges: 1,
    vcp_ncpus: 1,
    vcp_memranges: [{ vmr_gpa: 0n, vmr_va: 0x1000n, vmr_size: 0x100000n }],
  })
  fails('EINVAL', () => vmm.run({ vrp_vm_id: id, vrp_vcpu_id: 0, vrp_continue: 0, vrp_irq: 0xffff }))
})

const INVALID: [string, (vrs: VcpuRegState) => void][] = [
  ['RFLAGS without bit 1', (vrs) => (vrs.vrs_gprs[VCPU_REGS_RFLAGS] = 0n)],
  ['RFLAGS bit 3', (vrs) => (vrs.vrs_gprs[VCPU_REGS_RFLAGS] = 0xan)],
  ['RFLAGS.VM in long mode', (vrs) => (vrs.vrs_gprs[VCPU_REGS_RFLAGS] = 0x20002n)],
  ['long mode without PAE', (vrs) => (vrs.vrs_crs[VCPU_REGS_CR4] = 0n)],
  ['LME and PG without LMA', (vrs) => (vrs.vrs_msrs[VCPU_REGS_EFER] = 0x100n)],
  ['LMA without LME', (vrs) => (vrs.vrs_msrs[VCPU_REGS_EFER] = 0x400n)],
  ['an EFER bit that does not exist', (vrs) => (vrs.vrs_msrs[VCPU_REGS_EFER] = 0x502n)],
  ['a RIP that is not canonical', (vrs) => (vrs.vrs_gprs[VCPU_REGS_RIP] = 0x800000000000n)],
  ['CR3 beyond 40 bits', (vrs) => (vrs.vrs_crs[2] = 1n << 40n)],
  ['CS.L and CS.D', (vrs) => segment(vrs, 0, 0xe09b)],
  ['CS not present', (vrs) => segment(vrs, 0, 0xa01b)],
  ['SS without write access', (vrs) => segment(vrs, 5, 0xc091)],
  ['DS with a limit that needs G', (vrs) => segment(vrs, 1, 0x4093)],
  ['a TSS that is not busy', (vrs) => segment(vrs, 7, 0x89)],
  ['an unusable TR', (vrs) => segment(vrs, 7, 0x1008b)],
  ['GDTR limit beyond 64 KB', (vrs) => (vrs.vrs_gdtr.vsi_limit = 0x10000)],
  ['an FS base that is not canonical', (vrs) => ((vrs.vrs_sregs[3] ?? vrs.vrs_gdtr).vsi_base = 1n << 47n)],
]

function segment(vrs: VcpuRegState, index: number, ar: number): void {
  const info = vrs.vrs_sregs[index]
  if (info !== undefined) info.vsi_ar = ar
}

for (const [what, spoil] of INVALID) {
  test(`RUN fails with EINVAL for ${what}, and the vcpu is terminated`, () => {
    const { guest: it, vmm, cpu } = guest()
    const vrs = longModeState()
    spoil(vrs)
    it.reset(vrs)
    it.exit.cpl = 55
    fails('EINVAL', () => it.run())
    assert.is(cpu.instructions, 0n)
    assert.is(it.exit.cpl, 55, 'nothing is copied out')
    assert.is(state(vmm), VCPU_STATE.TERMINATED)
    fails('EBUSY', () => it.run())
    fails('EBUSY', () => it.reset(longModeState()))
    it.terminate()
  })
}

test('an unusable data segment and LDTR are fine', () => {
  const { guest: it, cpu } = guest()
  const vrs = longModeState()
  for (const index of [1, 2, 3, 4, 5, 6]) segment(vrs, index, 0x10000)
  it.reset(vrs)
  cpu.script.push(hlt)
  assert.is(it.run(), VMX_EXIT.HLT)
})

test('IN: all of RAX is replaced by the 32 bits of vei_data, whatever the size', () => {
  for (const size of [1, 2, 4]) {
    const { guest: it, cpu } = guest()
    cpu.writeU64(L.RAX, 0x1122334455667788n)
    cpu.script.push(io(0x61, size, L.IO_IN | L.IO_IMMEDIATE, 0x55667788, L.IO_TO_RAX), hlt)
    assert.is(it.run(), VMX_EXIT.IO)
    assert.equal(it.exit.vei, {
      vei_size: size,
      vei_dir: 1,
      vei_rep: 0,
      vei_string: 0,
      vei_encoding: 1,
      vei_port: 0x61,
      vei_data: 0x55667788,
    })
    it.run({ data: 0xfedcba98 })
    assert.is(it.gpr(VCPU_REGS_RAX), 0xfedcba98n)
  }
})

test('IN without vrp_continue leaves RAX alone, then and later', () => {
  const { guest: it, cpu } = guest()
  cpu.writeU64(L.RAX, 5n)
  cpu.script.push(io(0x61, 1, L.IO_IN, 5, L.IO_TO_RAX), hlt, hlt)
  it.run()
  it.run()
  it.run({ data: 9 })
  assert.is(it.gpr(VCPU_REGS_RAX), 5n)
})

test('vrp_continue without an outstanding IN changes nothing, whatever vm_exit says', () => {
  const { guest: it, cpu } = guest()
  cpu.script.push(io(0x61, 1, 0, 0xab), hlt)
  it.run()
  assert.is(it.exit.vei.vei_dir, 0)
  it.exit.vei.vei_dir = 1
  it.exit.vrs.vrs_gprs[VCPU_REGS_RAX] = 99n
  it.run({ data: 1 })
  assert.is(it.gpr(VCPU_REGS_RAX), 0n)
})

test('the element of an INS goes to memory', () => {
  const { guest: it, cpu } = guest()
  cpu.script.push(io(0x1000, 2, L.IO_IN | L.IO_STRING | L.IO_REP, 0, L.IO_TO_MEMORY), hlt)
  it.run()
  assert.is(it.exit.vei.vei_string, 1)
  assert.is(it.exit.vei.vei_rep, 1)
  it.run({ data: 0xbeef })
  assert.equal(cpu.log, [`completeIn ${0xbeef}`, 'advance'])
  assert.is(it.gpr(VCPU_REGS_RAX), 0n)
})

test('vrp_exit that can not be read: EFAULT, and the vcpu stays marked as running until TERM', () => {
  const { guest: it, vmm } = guest()
  const run = { vrp_vm_id: it.id, vrp_vcpu_id: 0, vrp_continue: 1, vrp_irq: 0xffff }
  fails('EFAULT', () => vmm.run(run))
  fails('EBUSY', () => it.run())
  assert.is(state(vmm), VCPU_STATE.RUNNING)
  it.terminate()
  assert.is(vmm.info({ vip_size: 0 }), 0)
})

test('vrp_exit that can not be written: EFAULT, the vcpu is stopped and can run on', () => {
  const { guest: it, vmm, cpu } = guest()
  cpu.script.push(hlt, hlt)
  fails('EFAULT', () => vmm.run({ vrp_vm_id: it.id, vrp_vcpu_id: 0, vrp_continue: 0, vrp_irq: 0xffff }))
  assert.is(state(vmm), VCPU_STATE.STOPPED)
  assert.is(it.run(), VMX_EXIT.HLT)
})

test('a vm_exit without vrs is filled without the registers', () => {
  const { guest: it, vmm, cpu } = guest()
  cpu.script.push(io(0x500, 4, 0, 0xdeadbeef))
  const { vei, vee } = it.exit
  vmm.run({ vrp_vm_id: it.id, vrp_vcpu_id: 0, vrp_continue: 0, vrp_irq: 0xffff, vrp_exit: { vei, vee, cpl: 9 } })
  assert.is(vei.vei_data, 0xdeadbeef)
})

for (const reason of [VMX_EXIT.INVD, VMX_EXIT.TASK_SWITCH, VMX_EXIT.EPT_MISCONFIGURATION, VMX_EXIT.NMI, 99]) {
  test(`exit reason ${reason} ends the vcpu with EINVAL`, () => {
    const { guest: it, vmm, cpu } = guest()
    cpu.script.push(exitWith(reason))
    it.exit.cpl = 55
    fails('EINVAL', () => it.run())
    assert.is(it.exit.cpl, 55)
    assert.is(state(vmm), VCPU_STATE.TERMINATED)
    fails('EBUSY', () => it.run())
  })
}

test('HLT: RIP is past it; also with interrupts off, which vrs shows', () => {
  const { guest: it, cpu } = guest()
  cpu.script.push(hlt)
  assert.is(it.run(), VMX_EXIT.HLT)
  assert.is(it.offset, 1)
  assert.is(it.gpr(VCPU_REGS_RFLAGS) & 0x200n, 0n)
  assert.is(it.irqready, 0)
})

test('triple faults go to userland, RIP is left', () => {
  const { guest: it, cpu } = guest()
  cpu.script.push(exitWith(VMX_EXIT.TRIPLE_FAULT))
  assert.is(it.run(), VMX_EXIT.TRIPLE_FAULT)
  assert.is(it.offset, 0)
})

test('an EPT violation is a fault of type PROTECT, also after I/O has used the byte', () => {
  const { guest: it, cpu } = guest()
  cpu.script.push(io(0x500, 4, 0), exitWith(VMX_EXIT.EPT_VIOLATION))
  it.run()
  assert.is(it.exit.vee.vee_fault_type, 4, 'shared with vei_size')
  assert.is(it.run(), VMX_EXIT.EPT_VIOLATION)
  assert.is(it.exit.vee.vee_fault_type, 0)
})

test('ports of the list leave the kernel, others do not', () => {
  const listed = [
    0x20, 0x21, 0x40, 0x43, 0x61, 0x70, 0xa1, 0x3f8, 0x3ff, 0x4d0, 0x500, 0x511, 0x514, 0x518, 0xcf8, 0xcff,
  ]
  const others = [0, 0x22, 0x44, 0x60, 0x64, 0x80, 0x2f8, 0x3f7, 0x400, 0x4d2, 0x512, 0x519, 0xcf9, 0xcfb, 0xd00, 0xfff]
  for (const port of [...listed, 0x1000, 0xffff]) {
    const { guest: it, cpu } = guest()
    cpu.script.push(io(port, 1, 0))
    assert.is(it.run(), VMX_EXIT.IO, port.toString(16))
    assert.is(it.exit.vei.vei_port, port)
  }
  for (const port of others) {
    const { guest: it, cpu } = guest()
    cpu.script.push(io(port, 1, 0), hlt)
    assert.is(it.run(), VMX_EXIT.HLT, port.toString(16))
    const all = guest({ ports: 'all' })
    all.cpu.script.push(io(port, 1, 0))
    assert.is(all.guest.run(), VMX_EXIT.IO, port.toString(16))
  }
})

test('IN from a port that nobody has reads ones', () => {
  for (const [size, expected] of [
    [1, 0x11223344556677ffn],
    [2, 0x112233445566ffffn],
    [4, 0xffffffffn],
  ] as const) {
    const { guest: it, cpu } = guest()
    cpu.writeU64(L.RAX, 0x1122334455667788n)
    cpu.script.push(io(0x80, size, L.IO_IN, 0x55667788, L.IO_TO_RAX), hlt, hlt)
    it.run()
    assert.is(it.gpr(VCPU_REGS_RAX), expected)
    it.run({ data: 3 })
    assert.is(it.gpr(VCPU_REGS_RAX), expected, 'it is complete')
  }
})

test('the slice is the number of instructions after which RUN returns with nothing', () => {
  const { guest: it, cpu } = guest({ slice: 1_000_000 })
  assert.is(it.run(), VM_EXIT_NONE)
  assert.is(cpu.instructions, 1_000_000n)
  assert.ok(cpu.lastBudget < 1_000_000, 'in several turns, for the optimiser')
})

test('exits that the kernel handles spend the slice, too', () => {
  const { guest: it, cpu } = guest({ slice: 3 })
  cpu.script.push(cpuid, cpuid, cpuid, hlt)
  assert.is(it.run(), VM_EXIT_NONE)
  assert.is(cpu.script.length, 1)
})

test('virtual time asks for exact runs', () => {
  const { guest: it, cpu } = guest({ clock: 'instructions' })
  cpu.script.push(hlt)
  it.run()
  assert.is(cpu.lastExact, true)
})

test('an interrupt is delivered when the guest was interruptible at the last exit', () => {
  const { guest: it, cpu } = guest()
  cpu.script.push((puppet) => {
    enableInterrupts(puppet)
    return hlt(puppet)
  }, hlt)
  it.run()
  assert.is(it.irqready, 1)
  it.run({ irq: 0x1234 })
  assert.equal(cpu.log, ['advance', 'interrupt 52', 'advance'], 'only 8 bits are a vector')
})

test('the first RUN after CREATE is not ready for an interrupt; it comes after the next exit', () => {
  const { guest: it, cpu } = guest()
  enableInterrupts(cpu)
  cpu.script.push(cpuid, hlt)
  it.run({ irq: 0x30 })
  assert.equal(cpu.log, ['advance', 'interrupt 48', 'advance'])
})

test('an interrupt that the guest can not take is held and delivered as soon as it can', () => {
  const { guest: it, cpu } = guest()
  cpu.script.push(
    hlt,
    (puppet) => {
      assert.is(puppet.interruptWindow, true)
      enableInterrupts(puppet)
      return VMX_EXIT.INT_WINDOW
    },
    hlt,
  )
  it.run({ irq: 0x31 })
  assert.is(it.irqready, 0)
  assert.is(it.run(), VMX_EXIT.HLT, 'the window was not for userland')
  assert.equal(cpu.log, ['advance', 'interrupt 49', 'advance'])
})

test('held interrupts come one by one, the same vector once', () => {
  const { guest: it, cpu } = guest()
  const open: Step = (puppet) => {
    enableInterrupts(puppet)
    return VMX_EXIT.INT_WINDOW
  }
  cpu.script.push(hlt, hlt, hlt, open, open, hlt)
  for (const irq of [0x31, 0x32, 0x31]) it.run({ irq })
  assert.is(it.run(), VMX_EXIT.HLT)
  assert.equal(cpu.log.slice(3), ['interrupt 49', 'interrupt 50', 'advance'])
})

test('irqready is 0 while an interrupt is held behind an STI shadow', () => {
  const { guest: it, cpu } = guest()
  cpu.script.push(
    (puppet) => {
      enableInterrupts(puppet)
      return hlt(puppet)
    },
    io(0x61, 1, 0),
    (puppet) => {
      puppet.writeU32(L.ATTENTION, 0)
      return VMX_EXIT.INT_WINDOW
    },
    hlt,
  )
  it.run()
  cpu.writeU32(L.ATTENTION, L.ATTENTION_SHADOW)
  it.run({ irq: 0x40 })
  assert.is(it.irqready, 0)
  assert.is(it.run(), VMX_EXIT.HLT)
  assert.equal(cpu.log, ['advance', 'interrupt 64', 'advance'])
})

test('INTR with interrupts off arms the window, whose opening goes to userland', () => {
  const { guest: it, cpu } = guest()
  it.intr(1)
  cpu.script.push((puppet) => {
    assert.is(puppet.interruptWindow, true)
    enableInterrupts(puppet)
    return VMX_EXIT.INT_WINDOW
  })
  assert.is(it.run(), VMX_EXIT.INT_WINDOW)
  assert.is(it.irqready, 1)
})

test('INTR is a level: rule (e) returns the reason of an exit that was handled, until it is withdrawn', () => {
  const { guest: it, cpu } = guest()
  enableInterrupts(cpu)
  it.intr(7)
  cpu.script.push(cpuid, cpuid, cpuid, hlt)
  assert.is(it.run(), VMX_EXIT.CPUID)
  assert.is(it.offset, 2, 'RIP is past CPUID')
  assert.is(it.run(), VMX_EXIT.CPUID)
  assert.is(cpu.interruptWindow, false)
  it.intr(0)
  assert.is(it.run(), VMX_EXIT.HLT)
})

test('INTR with interrupts on: the end of an inner slice is an EXTINT exit', () => {
  const { guest: it, cpu } = guest({ slice: 100_000_000 })
  enableInterrupts(cpu)
  it.intr(1)
  assert.is(it.run(), VMX_EXIT.EXTINT)
  assert.ok(cpu.instructions < 10_000_000n)
})

test('INTR from inside RUN takes effect at the next exit', () => {
  const { guest: it, cpu } = guest()
  cpu.script.push((puppet) => {
    enableInterrupts(puppet)
    it.intr(1)
    return cpuid(puppet)
  })
  assert.is(it.run(), VMX_EXIT.CPUID)
})

test('instructions that vmm does not intercept are EXTINT to userland', () => {
  const { guest: it, cpu } = guest({ clock: { tsc: () => 0x123456789an, wall: () => 0n } })
  enableInterrupts(cpu)
  it.intr(1)
  cpu.script.push(exitWith(VMX_EXIT.RDTSC))
  assert.is(it.run(), VMX_EXIT.EXTINT)
  assert.is(it.gpr(VCPU_REGS_RAX), 0x3456789an)
  assert.is(it.gpr(3), 0x12n)
})

test('an exception of WRITEVMPARAMS goes first, the interrupt is not lost', () => {
  const { guest: it, cpu, vmm } = guest()
  cpu.script.push(
    (puppet) => {
      enableInterrupts(puppet)
      return hlt(puppet)
    },
    cpuid,
    hlt,
  )
  it.run()
  vmm.writevmparams({ vpp_vm_id: it.id, vpp_vcpu_id: 0, vpp_mask: 1, vpp_pvclock_system_gpa: 0xfff1n })
  it.run({ irq: 0x50 })
  assert.equal(cpu.log, ['advance', 'raise 13 0', 'advance', 'interrupt 80', 'advance'])
})

test('an exception of the last instruction goes before an interrupt', () => {
  const { guest: it, cpu } = guest()
  const rdmsr: Step = (puppet) => {
    puppet.writeU64(L.RCX, 0x1bn)
    enableInterrupts(puppet)
    return VMX_EXIT.RDMSR
  }
  cpu.script.push(
    rdmsr,
    (puppet) => {
      assert.equal(puppet.log, ['raise 13 0'])
      assert.is(puppet.interruptWindow, true)
      return VMX_EXIT.INT_WINDOW
    },
    hlt,
  )
  it.run({ irq: 0x50 })
  assert.equal(cpu.log, ['raise 13 0', 'interrupt 80', 'advance'])
})

test('WRITEREGS between RUNs is checked by the next one', () => {
  const { guest: it, cpu, vmm } = guest()
  cpu.script.push(hlt)
  it.run()
  const vrwp_regs = longModeState()
  vrwp_regs.vrs_gprs[VCPU_REGS_RFLAGS] = 0x8002n
  vmm.writeregs({ vrwp_vm_id: it.id, vrwp_vcpu_id: 0, vrwp_mask: VM_RWREGS_GPRS, vrwp_regs })
  fails('EINVAL', () => it.run())
})

test("a clock may throw: the vcpu is terminated, the error is the clock's", () => {
  const clock = {
    tsc: (): bigint => {
      throw new Error('clock broke')
    },
    wall: () => 0n,
  }
  const { guest: it, cpu, vmm } = guest({ clock })
  cpu.script.push(exitWith(VMX_EXIT.RDTSC))
  assert.throws(() => it.run(), /clock broke/)
  assert.is(state(vmm), VCPU_STATE.TERMINATED)
})

test('an injected clock may terminate the VM from inside RDTSC', () => {
  const made: { vmm?: Vmm; id: number } = { id: 0 }
  const clock = {
    tsc: () => {
      fails('EBUSY', () => made.vmm?.run({ vrp_vm_id: made.id, vrp_vcpu_id: 0, vrp_continue: 0, vrp_irq: 0xffff }))
      made.vmm?.terminate({ vtp_vm_id: made.id })
      return 1n
    },
    wall: () => 0n,
  }
  const { guest: it, cpu, vmm } = guest({ clock })
  made.vmm = vmm
  made.id = it.id
  cpu.script.push(exitWith(VMX_EXIT.RDTSC), hlt)
  assert.is(it.run(), VM_EXIT_TERMINATED)
  assert.is(cpu.script.length, 1)
})

test.run()
