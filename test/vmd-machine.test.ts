/** Machines that run: small kernels of machine code, and the built-in guest. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { BUILTIN_GUEST, readImage } from '../src/node/files.ts'
import { nodeHost } from '../src/node/host.ts'
import { type ExitEvent, LoaderError, Machine, type MachineConfig, MB, type Outcome } from '../src/vmd/index.ts'
import { memoryMap } from '../src/vmd/memory-map.ts'
import { openVmm, PROT_READ, VmmError } from '../src/vmm/index.ts'
import { CLI_HLT, elf, kernel64, out, STI_HLT } from './support/vmd-images.ts'

const COM1 = 0x3f8
const SPIN = [0xeb, 0xfe]
const UD2 = [0x0f, 0x0b]
/** AL = what is at the port; MOV DX, port; IN AL, DX. */
const input = (port: number): number[] => [0x66, 0xba, port & 0xff, port >> 8, 0xec]
/** OUT of AL. */
const outAl = (port: number): number[] => [0x66, 0xba, port & 0xff, port >> 8, 0xee]

class Harness {
  readonly machine: Machine
  printed = ''

  constructor(config: Partial<MachineConfig> & { image: Uint8Array }) {
    const output = (byte: number): void => {
      this.printed += String.fromCharCode(byte)
    }
    this.machine = new Machine({ name: 'test', memory: 32 * MB, host: nodeHost, output, ...config })
  }

  async run(): Promise<Outcome> {
    const outcome = await this.machine.run()
    this.machine.terminate()
    return outcome
  }

  type(text: string): void {
    this.machine.input(new TextEncoder().encode(text))
  }
}

/** The built-in guest, with these words. */
function guest(commandLine: string): Harness {
  return new Harness({ image: readImage(BUILTIN_GUEST), commandLine })
}

test('memory: what vmd gives a guest, and the PCI hole', () => {
  const reported = (size: number) => memoryMap(size).map((range) => [range.gpa, range.size, range.reported])
  const low = [
    [0, 0xa0000, true],
    [0xa0000, 0x60000, false],
  ]
  assert.equal(reported(MB), low)
  assert.equal(reported(512 * MB), [...low, [0x100000, 511 * MB, true]])
  assert.equal(reported(3840 * MB), [...low, [0x100000, 3839 * MB, true]])
  assert.equal(reported(3841 * MB), [...low, [0x100000, 3839 * MB, true], [0x100000000, MB, true]])
})

test('output and power off, with the status', async () => {
  const it = new Harness({ image: kernel64(out(COM1, 0x68), out(COM1, 0x69), out(0x501, 7), SPIN) })
  assert.equal(await it.run(), { reason: 'poweroff', status: 7 })
  assert.is(it.printed, 'hi')
})

test('a machine has the CPU model that it is given', async () => {
  // POPCNT EAX, ECX, which without a handler for #UD is the end.
  const image = kernel64([0xf3, 0x0f, 0xb8, 0xc1], out(0x501, 0), SPIN)
  assert.is((await new Harness({ image, cpu: 'x86-64-v2' }).run()).reason, 'poweroff')
  assert.is((await new Harness({ image, cpu: 'x86-64' }).run()).reason, 'triple fault')
  assert.throws(() => new Harness({ image, cpu: 'i686' }), /entered in long mode, which CPU model i686 lacks/)
  assert.throws(() => new Harness({ image, cpu: 'z80' }), /no CPU model 'z80'/)
})

test('IN keeps the bits of EAX above its width; nobody at a port reads ones', async () => {
  const movEax = [0xb8, 0x00, 0x43, 0x00, 0x00] // EAX = 4300
  const ahToAl = [0x88, 0xe0]
  const in62 = input(0x61)
  const it = new Harness({
    image: kernel64(movEax, in62, outAl(COM1), ahToAl, outAl(COM1), out(0x501, 0)),
  })
  await it.run()
  assert.is(it.printed, '\xffC')
})

test('HLT with interrupts off is the end', async () => {
  const outcome = await new Harness({ image: kernel64(CLI_HLT) }).run()
  assert.is(outcome.reason, 'halt')
  assert.match(outcome.message ?? '', /HLT with interrupts off, at 100002\n {2}64-bit mode/)
})

test('HLT with interrupts on waits, until the machine is stopped', async () => {
  const it = new Harness({ image: kernel64(STI_HLT, out(COM1, 0x21), CLI_HLT) })
  setTimeout(() => it.machine.stop(), 30)
  assert.equal(await it.run(), { reason: 'interrupted' })
  assert.is(it.printed, '')
})

test('a triple fault stops or resets, as configured; the registers are told', async () => {
  const image = kernel64(UD2)
  const outcome = await new Harness({ image }).run()
  assert.is(outcome.reason, 'triple fault')
  assert.match(outcome.message ?? '', /at 100000\n.*rip {4}0000000000100000.*cs 8 base 0/s)
  assert.is((await new Harness({ image, onTripleFault: 'reset' }).run()).reason, 'reset')
})

test('a busy guest can be stopped: the event loop has its turns', async () => {
  const it = new Harness({ image: kernel64(SPIN) })
  setTimeout(() => it.machine.stop(), 30)
  const started = performance.now()
  assert.equal(await it.run(), { reason: 'interrupted' })
  assert.ok(performance.now() - started < 2000)
})

test('a guest that does nothing but I/O can be stopped, too', async () => {
  const it = new Harness({ image: kernel64(out(COM1, 0x2e), [0xeb, 0xf7]) })
  // Not before the guest has printed so much, however slow this machine is just now.
  const poll = setInterval(() => it.printed.length > 1000 && it.machine.stop(), 10)
  const { reason } = await it.run()
  clearInterval(poll)
  assert.is(reason, 'interrupted')
  assert.ok(it.printed.length > 1000)
})

test('EPT violation: the run ends with an error', async () => {
  const vmm = openVmm()
  const store = [0xa2, 0, 0, 0x30, 0, 0, 0, 0, 0] // MOV [300000], AL
  const it = new Harness({ image: kernel64(store, CLI_HLT), vmm })
  vmm.mprotectEpt({
    vmep_vm_id: it.machine.vmId,
    vmep_vcpu_id: 0,
    vmep_sgpa: 0x300000n,
    vmep_size: 0x1000n,
    vmep_prot: PROT_READ,
  })
  const outcome = await it.run()
  assert.is(outcome.reason, 'error')
  assert.match(outcome.message ?? '', /EPT violation.*at 100000/s)
})

test('a VM that is terminated while it runs was interrupted', async () => {
  const vmm = openVmm()
  for (const code of [STI_HLT, SPIN]) {
    const { machine } = new Harness({ image: kernel64(code), vmm })
    setTimeout(() => machine.terminate(), 10)
    assert.equal(await machine.run(), { reason: 'interrupted' })
    assert.throws(
      () => machine.statistics(),
      (error: unknown) => error instanceof VmmError && error.code === 'ENOENT',
    )
  }
  const { machine } = new Harness({ image: kernel64(SPIN), vmm })
  setTimeout(() => vmm.terminate({ vtp_vm_id: machine.vmId }), 10)
  assert.equal(await machine.run(), { reason: 'interrupted' }, 'by somebody else')
})

test('an image that can not be loaded leaves no VM behind', () => {
  const vmm = openVmm()
  const image = elf({ entry: 0, segments: [] })
  assert.throws(
    () => new Harness({ image, vmm }),
    (error: unknown) => error instanceof LoaderError,
  )
  assert.is(vmm.info({ vip_size: 160, vip_info: [] }), 0)
})

test('a guest that polls for input is let sleep, and wakes for a key', async () => {
  const wait = [...input(0x3fd), 0xa8, 0x01, 0x74, 0xf7] // until LSR bit 0
  const it = new Harness({ image: kernel64(wait, input(COM1), outAl(COM1), out(0x501, 0)) })
  setTimeout(() => it.type('k'), 200)
  const before = process.cpuUsage()
  assert.equal(await it.run(), { reason: 'poweroff', status: 0 })
  const { user, system } = process.cpuUsage(before)
  assert.is(it.printed, 'k')
  assert.ok(user + system < 150_000, `${user + system} us of 200 ms`)
})

test('statistics: instructions, exits by reason, console', async () => {
  const it = new Harness({ image: kernel64(out(COM1, 0x61), out(0x99, 1), input(0x61), CLI_HLT) })
  const { machine } = it
  assert.is((await machine.run()).reason, 'halt')
  const { counters, ...rest } = machine.statistics()
  assert.is(counters.pageWalks, 1)
  assert.equal(rest, {
    instructions: 10n,
    exits: { IO: 2, HLT: 1 },
    consoleIn: 0,
    consoleOut: 1,
    unclaimedReads: 1,
    unclaimedWrites: 0,
  })
  machine.terminate()
})

test('every return of RUN can be watched, with what the device has answered', async () => {
  const seen: string[] = []
  const onExit = ({ reason, exit: { vei }, rip }: ExitEvent): void => {
    seen.push(`${reason} ${vei.vei_port.toString(16)} ${vei.vei_data} ${rip.toString(16)}`)
  }
  const it = new Harness({ image: kernel64(out(COM1, 0x61), input(COM1), CLI_HLT), onExit })
  it.type('k')
  await it.run()
  assert.equal(seen, ['IO 3f8 97 100007', 'IO 3f8 107 10000c', 'HLT 3f8 97 10000e'])
})

test('the built-in guest: banner, memory, checks, power off', async () => {
  const it = guest('nobench check=add-adc-sub-sbb,page-4k machine')
  assert.equal(await it.run(), { reason: 'poweroff', status: 0 })
  assert.match(it.printed, /vmmjit guest64/)
  assert.match(it.printed, /memory +31 MB/)
  assert.match(it.printed, /@check add-adc-sub-sbb ok/)
  assert.match(it.printed, /@check page-4k ok/)
  assert.match(it.printed, /power off: all is well/)
})

test('the built-in guest: every workload has its checksum', async () => {
  const it = guest('nocheck rounds=1 machine')
  assert.equal(await it.run(), { reason: 'poweroff', status: 0 })
  const lines = it.printed.split('\n').filter((line) => line.startsWith('@bench'))
  assert.ok(lines.length >= 13)
  for (const line of lines) assert.match(line, /^@bench \w+ ok /)
})

test('the built-in guest: its shell, on COM1', async () => {
  const it = guest('shell nocheck nobench')
  it.type('mem 0x100000 16\rpoweroff\r')
  assert.equal(await it.run(), { reason: 'poweroff', status: 0 })
  assert.match(it.printed, /guest64> mem 0x100000 16\r?\n {2}0000000000100000 {2}02 b0 ad 1b/)
})

test('the built-in guest does not fit 16 MB', () => {
  assert.throws(() => new Harness({ image: readImage(BUILTIN_GUEST), memory: 16 * MB }), /segment 0 .* 16 MB of memory/)
})

test('a guest in 32-bit mode: either it runs, or the error says what is missing', async () => {
  const bytes = Uint8Array.of(0xfa, 0xf4)
  const image = elf({ class: 32, entry: 0x100000, segments: [{ paddr: 0x100000, bytes }] })
  const { reason, message = '' } = await new Harness({ image }).run()
  if (reason === 'error') assert.match(message, /Only 64-bit mode can be run for now, .* 32-bit protected mode/)
  else assert.is(reason, 'halt')
})

test.run()
