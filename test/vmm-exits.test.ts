/** What the kernel emulates: MSRs, control registers, and the instructions that only need a clock or randomness. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as L from '../src/cpu/layout.ts'
import type { VmmOptions } from '../src/vmm/device.ts'
import { VMX_EXIT } from '../src/vmm/vmmvar.ts'
import { Bench } from './support/exit-bench.ts'
import { protectedModeState } from './support/guest64.ts'

test('MSRs that keep what was written', () => {
  const bench = new Bench()
  const value = 0x00007654fedcba98n
  const numbers = [0x174, 0x175, 0x176, 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000100, 0xc0000101, 0xc0000102]
  for (const number of numbers) {
    assert.is(bench.wrmsr(number, value), true)
    assert.is(bench.rdmsr(number), value, number.toString(16))
  }
  bench.wrmsr(0xc0000084, value)
  assert.is(bench.rdmsr(0xc0000084), 0xfedcba98n, 'SFMASK has 32 bits')
  bench.wrmsr(0xc0000101, 0x1234n)
  assert.is(bench.cpu.readU64(L.GS + L.SEG_BASE), 0x1234n)
})

test('MSRs that hold addresses refuse those that are not canonical', () => {
  const bench = new Bench()
  for (const number of [0x175, 0x176, 0xc0000082, 0xc0000083, 0xc0000100, 0xc0000101, 0xc0000102]) {
    bench.wrmsr(number, 5n)
    assert.is(bench.wrmsr(number, 0x800000000000n), false)
    assert.is(bench.wrmsr(number, 0x8000000000000000n), false)
    assert.is(bench.rdmsr(number), 5n)
    assert.is(bench.wrmsr(number, 0xffff800000000000n), true)
    assert.is(bench.rdmsr(number), 0xffff800000000000n)
  }
  assert.is(bench.wrmsr(0xc0000081, 1n << 63n), true, 'STAR holds none')
})

test("EFER is the processor's business", () => {
  const bench = new Bench()
  assert.is(bench.wrmsr(0xc0000080, 0xd01n), true)
  assert.is(bench.rdmsr(0xc0000080), 0xd01n)
  bench.cpu.refuse = 1
  assert.is(bench.wrmsr(0xc0000080, 2n), false)
})

test('PAT: six memory types', () => {
  const bench = new Bench()
  assert.is(bench.rdmsr(0x277), 0x0007040600070406n)
  assert.is(bench.wrmsr(0x277, 0x0407050600070106n), true)
  assert.is(bench.rdmsr(0x277), 0x0407050600070106n)
  for (const type of [2n, 3n, 8n, 0xffn]) {
    assert.is(bench.wrmsr(0x277, type << 56n), false)
    assert.is(bench.wrmsr(0x277, type << 8n), false)
  }
  assert.is(bench.rdmsr(0x277), 0x0407050600070106n)
})

test('MISC_ENABLE loses TCC, EIST and xTPR', () => {
  const bench = new Bench()
  bench.wrmsr(0x1a0, 0xffffffffffffffffn)
  assert.is(bench.rdmsr(0x1a0), 0xffffffffff7efff7n)
})

test('MSRs with fixed values; writes are dropped', () => {
  const bench = new Bench()
  const fixed: [number, bigint][] = [
    [0x17, 0n],
    [0x8b, 0n],
    [0xc0010010, 0n],
    [0xc0010015, 0x1000000n],
    [0xc0010055, 0n],
    [0xc0011029, 2n],
  ]
  for (const [number, value] of fixed) {
    assert.is(bench.wrmsr(number, 0x1234n), true)
    assert.is(bench.rdmsr(number), value, number.toString(16))
  }
  assert.is(bench.rdmsr(0x3a), 1n)
  assert.is(bench.wrmsr(0x3a, 5n), false, 'locked')
})

test('MSRs that do not exist: reading is #GP, writing does nothing', () => {
  const bench = new Bench()
  for (const number of [0, 0x1b, 0xfe, 0x200, 0x2ff, 0x4b564d00, 0xc0000103, 0xc0000104, 0xffffffff]) {
    assert.is(bench.rdmsr(number), undefined, number.toString(16))
    assert.is(bench.wrmsr(number, 1n), true)
  }
  assert.is(bench.rdmsr(0x9b), undefined)
  assert.is(bench.wrmsr(0x9b, 0n), false, 'SMM_MONITOR_CTL')
  assert.is(bench.rdmsr(0x4b564d01), undefined)
})

test('#GP leaves the registers', () => {
  const bench = new Bench()
  bench.play(VMX_EXIT.RDMSR, { rcx: 0x1bn, rax: 0x1234567890n, rdx: 0x55n })
  assert.is(bench.cpu.readU64(L.RAX), 0x1234567890n)
  assert.is(bench.cpu.readU64(L.RDX), 0x55n)
})

test('RDTSC and the MSR read the clock, which is told the instructions run', () => {
  const asked: bigint[] = []
  const clock = {
    tsc: (instructions: bigint) => {
      asked.push(instructions)
      return 0xabcdef0123456789n
    },
    wall: () => 0n,
  }
  const bench = new Bench({ clock })
  assert.is(bench.play(VMX_EXIT.RDTSC, { rax: -1n, rdx: -1n }), 'advance')
  assert.is(bench.cpu.readU64(L.RAX), 0x23456789n)
  assert.is(bench.cpu.readU64(L.RDX), 0xabcdef01n)
  assert.is(bench.rdmsr(0x10), 0xabcdef0123456789n)
  assert.is(bench.wrmsr(0x10, 5n), true)
  assert.equal(asked, [1n, 3n])
})

test('virtual time counts instructions', () => {
  const bench = new Bench({ clock: 'instructions' })
  assert.is(bench.rdmsr(0x10), 1n)
  assert.is(bench.rdmsr(0x10), 3n)
})

test('RDTSCP and its MSR', () => {
  assert.is(new Bench().rdmsr(0xc0000103), undefined)
  const bench = new Bench({ cpu: 'max,+rdtscp', clock: 'instructions' })
  assert.is(bench.wrmsr(0xc0000103, 0xff00000077n), true)
  assert.is(bench.rdmsr(0xc0000103), 0x77n)
  assert.is(bench.play(VMX_EXIT.RDTSCP), 'advance')
  assert.is(bench.cpu.readU64(L.RCX), 0x77n)
  assert.is(bench.cpu.readU64(L.RAX), 5n)
})

test('MSRs of features that the CPU model lacks do not exist', () => {
  const bench = new Bench({ cpu: 'i686,-tsc' }, protectedModeState())
  const numbers = [0x10, 0x174, 0x175, 0x176, 0x277, 0xc0000080, 0xc0000081, 0xc0000082, 0xc0000084, 0xc0000100]
  for (const number of numbers) {
    assert.is(bench.rdmsr(number), undefined, number.toString(16))
    assert.is(bench.wrmsr(number, 1n), true)
  }
  const richer = new Bench({ cpu: 'i686,+sysenter,+nx' }, protectedModeState())
  assert.is(richer.rdmsr(0x174), 0n)
  assert.is(richer.rdmsr(0xc0000080), 0n)
})

test('RDPMC: instructions retired, no other counter', () => {
  const bench = new Bench()
  assert.is(bench.play(VMX_EXIT.RDPMC, { rcx: 0x40000000n }), 'advance')
  assert.is(bench.cpu.readU64(L.RAX), 1n)
  assert.is(bench.play(VMX_EXIT.RDPMC, { rcx: 0n }), 'raise 13 0')
  assert.is(bench.play(VMX_EXIT.RDPMC, { rcx: 0x40000001n }), 'raise 13 0')
})

test('RDRAND and RDSEED: sizes, flags', () => {
  const random = (bytes: Uint8Array): void => void bytes.fill(0xa5)
  const bench = new Bench({ random })
  const expected: [number, bigint][] = [
    [16, 0x112233445566a5a5n],
    [32, 0xa5a5a5a5n],
    [64, 0xa5a5a5a5a5a5a5a5n],
  ]
  for (const reason of [VMX_EXIT.RDRAND, VMX_EXIT.RDSEED]) {
    for (const [bits, value] of expected) {
      bench.cpu.writeU64(L.GPR + 9 * 8, 0x1122334455667788n)
      bench.cpu.writeU64(L.EXIT_VALUE, BigInt(9 | (bits << 8)))
      bench.cpu.rflags = 0xcd6n
      assert.is(bench.play(reason), 'advance')
      assert.is(bench.cpu.readU64(L.GPR + 9 * 8), value)
      assert.is(bench.cpu.rflags, 0x403n, 'CF alone, the rest as it was')
    }
  }
})

test("randomness is the host's, or reproducible on virtual time", () => {
  const draw = (options: VmmOptions): bigint => {
    const bench = new Bench(options)
    bench.cpu.writeU64(L.EXIT_VALUE, 64n << 8n)
    bench.play(VMX_EXIT.RDRAND)
    return bench.cpu.readU64(L.RAX)
  }
  assert.not.equal(draw({}), draw({}))
  assert.is(draw({ clock: 'instructions' }), draw({ clock: 'instructions' }))
})

test('MOV to CR0 and CR4', () => {
  const bench = new Bench()
  const move = (register: number, value: bigint): string => {
    bench.cpu.writeU32(L.CR_NUMBER, register)
    bench.cpu.writeU32(L.CR_WRITE, 1)
    bench.cpu.writeU64(L.EXIT_VALUE, value)
    return bench.play(VMX_EXIT.CR_ACCESS)
  }
  assert.is(move(0, 0x80010031n), 'cr0 80010031, advance')
  assert.is(move(4, 0x6b0n), 'cr4 6b0, advance')
  bench.cpu.refuse = 1
  assert.is(move(0, 1n << 31n), 'cr0 80000000, raise 13 0')
  assert.is(move(4, 1n << 13n), 'cr4 2000, raise 13 0')
})

test('CR8 is kept and read back', () => {
  const bench = new Bench()
  bench.cpu.writeU32(L.CR_NUMBER, 8)
  bench.cpu.writeU32(L.CR_WRITE, 1)
  bench.cpu.writeU64(L.EXIT_VALUE, 9n)
  assert.is(bench.play(VMX_EXIT.CR_ACCESS), 'advance')
  bench.cpu.writeU64(L.EXIT_VALUE, 16n)
  assert.is(bench.play(VMX_EXIT.CR_ACCESS), 'raise 13 0')
  bench.cpu.writeU32(L.CR_WRITE, 0)
  bench.cpu.writeU32(L.CR_GPR, 3)
  assert.is(bench.play(VMX_EXIT.CR_ACCESS), 'advance')
  assert.is(bench.cpu.readU64(L.RBX), 9n)
})

test('XSETBV', () => {
  const bench = new Bench()
  assert.is(bench.play(VMX_EXIT.XSETBV, { rax: 0xff00000001n, rdx: 0xff00000000n, rcx: 0n }), 'xcr0 1, advance')
  assert.is(bench.play(VMX_EXIT.XSETBV, { rcx: 1n }), 'raise 13 0')
  bench.cpu.refuse = 1
  assert.is(bench.play(VMX_EXIT.XSETBV, { rcx: 0n, rax: 4n, rdx: 0n }), 'xcr0 4, raise 13 0')
})

test.run()
