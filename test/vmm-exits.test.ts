/** What the kernel emulates: CPUID, MSRs, control registers, and the instructions that only need a clock or randomness. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as L from '../src/cpu/layout.ts'
import { type Feature, PROCESSOR_FEATURES } from '../src/vmm/cpuid.ts'
import { Vmm, type VmmOptions } from '../src/vmm/device.ts'
import { VMX_EXIT } from '../src/vmm/vmmvar.ts'
import { Guest } from './support/guest64.ts'
import { Puppet } from './support/puppet.ts'

/** A vcpu on which single exits are played. */
class Bench {
  readonly cpu: Puppet
  readonly #guest: Guest

  constructor(options: VmmOptions = {}) {
    let cpu: Puppet | undefined
    const createCpu = (cpuOptions: ConstructorParameters<typeof Puppet>[0]): Puppet => {
      cpu = new Puppet(cpuOptions)
      return cpu
    }
    this.#guest = new Guest(new Vmm({ tscHz: 2_500_000_000, ...options, createCpu }), [])
    if (cpu === undefined) throw new Error('no processor was made')
    this.cpu = cpu
  }

  /** Returns what the vmm did to the processor: 'advance', or 'raise 13 0'. */
  play(reason: number, set: Partial<Record<'rax' | 'rbx' | 'rcx' | 'rdx', bigint>> = {}): string {
    const { cpu } = this
    cpu.script.push(
      () => {
        for (const [name, value] of Object.entries(set)) cpu.writeU64(REGISTERS[name as keyof typeof REGISTERS], value)
        cpu.log.length = 0
        return reason
      },
      () => {
        cpu.log.push('|')
        return VMX_EXIT.TRIPLE_FAULT
      },
    )
    this.#guest.run()
    return cpu.log.slice(0, cpu.log.indexOf('|')).join(', ')
  }

  cpuid(leaf: number, subleaf = 0): string[] {
    this.play(VMX_EXIT.CPUID, { rax: BigInt(leaf), rcx: BigInt(subleaf), rbx: -1n, rdx: -1n })
    return [L.RAX, L.RBX, L.RCX, L.RDX].map((address) => this.cpu.readU64(address).toString(16))
  }

  /** undefined: #GP. */
  rdmsr(number: number): bigint | undefined {
    const done = this.play(VMX_EXIT.RDMSR, { rcx: BigInt(number) | 0xff00000000n, rax: -1n, rdx: -1n })
    if (done === 'raise 13 0') return undefined
    assert.is(done, 'advance')
    return (this.cpu.readU64(L.RDX) << 32n) | this.cpu.readU64(L.RAX)
  }

  /** false: #GP. */
  wrmsr(number: number, value: bigint): boolean {
    const rax = (value & 0xffffffffn) | 0xaa00000000n
    const done = this.play(VMX_EXIT.WRMSR, { rcx: BigInt(number), rax, rdx: (value >> 32n) | 0xbb00000000n })
    return done.endsWith('advance')
  }
}

const REGISTERS = { rax: L.RAX, rbx: L.RBX, rcx: L.RCX, rdx: L.RDX }
const ZEROS = ['0', '0', '0', '0']

function ascii(words: readonly string[]): string {
  const bytes = words.flatMap((word) => word.padStart(8, '0').match(/../g)?.reverse() ?? [])
  return String.fromCharCode(...bytes.map((byte) => Number.parseInt(byte, 16))).replace(/\0+$/, '')
}

test('CPUID 0: largest leaf and vendor', () => {
  const [eax, ebx, ecx, edx] = new Bench().cpuid(0) as [string, string, string, string]
  assert.is(eax, '16')
  assert.is(ascii([ebx, edx, ecx]), 'AuthenticAMD')
})

test('CPUID 1: features of a general-purpose processor, hypervisor bit, no APIC', () => {
  const [eax, ebx, ecx, edx] = new Bench().cpuid(1)
  assert.is(eax, '300f10')
  assert.is(ebx, '800')
  // HV RDRAND POPCNT MOVBE CX16
  assert.is(ecx, 'c0c02000')
  // CLFSH PSE36 PAT CMOV PGE SEP CX8 PAE MSR TSC PSE
  assert.is(edx, 'ba978')
})

test('CPUID 7, 0x80000001: features', () => {
  const bench = new Bench()
  // CLWB CLFLUSHOPT SMAP ADX RDSEED ERMS BMI2 SMEP BMI1 FSGSBASE
  assert.equal(bench.cpuid(7), ['0', '19c0389', '0', '0'])
  assert.equal(bench.cpuid(7, 1), ZEROS)
  // PREFETCHW ABM LAHF; LM 1GB NX SYSCALL, no RDTSCP
  assert.equal(bench.cpuid(0x80000001), ['300f10', '0', '121', '24100800'])
})

test('the features of the processor decide, through the masks', () => {
  const features = new Set<Feature>([...PROCESSOR_FEATURES, 'x87', 'sse', 'sse2', 'sse42', 'xsave', 'avx', 'rdtscp'])
  const bench = new Bench({ features })
  assert.equal(bench.cpuid(1).slice(2), ['d4d02000', '60ba979'])
  assert.is(bench.cpuid(0x80000001)[3], '24100800', 'RDTSCP is masked')
  assert.equal(bench.cpuid(0xd), ['7', '340', '340', '0'])
  assert.equal(bench.cpuid(0xd, 1), ZEROS)
  assert.equal(bench.cpuid(0xd, 2), ['100', '240', '0', '0'])
  bench.cpu.writeU32(L.CR4, 1 << 18)
  assert.is(bench.cpuid(1)[2], 'dcd02000', 'OSXSAVE follows CR4')
  assert.is(bench.cpu.options.xcr0Allowed, 7n)
  assert.is((bench.cpu.options.cr4Allowed ?? 0n) & (1n << 18n), 1n << 18n)
})

test('without XSAVE there is no CR4.OSXSAVE and no XCR0', () => {
  const { options } = new Bench().cpu
  assert.is(options.cr4Allowed, 0x3107ffn)
  assert.is(options.xcr0Allowed, 1n)
  assert.equal(new Bench().cpuid(0xd), ZEROS)
})

test('CPUID: rate of the TSC', () => {
  const bench = new Bench()
  assert.equal(bench.cpuid(0x15), ['1', '64', (25_000_000).toString(16), '0'])
  assert.equal(bench.cpuid(0x16), [(2500).toString(16), (2500).toString(16), '64', '0'])
  assert.is(bench.cpuid(0x80000007)[3], '100')
})

test('CPUID: leaves that are empty', () => {
  const bench = new Bench()
  const leaves = [2, 3, 4, 5, 6, 8, 9, 0xa, 0xb, 0xf, 0x14, 0x40000002, 0x40000100, 0x4000ff00, 0x7fffffff]
  for (const leaf of leaves) assert.equal(bench.cpuid(leaf), ZEROS, leaf.toString(16))
})

test('CPUID: leaves beyond the last are the last basic one', () => {
  const bench = new Bench()
  const last = bench.cpuid(0x16)
  for (const leaf of [0x17, 0x3fffffff, 0x80000009, 0x8000001e, 0xffffffff]) assert.equal(bench.cpuid(leaf), last)
})

test('CPUID looks at EAX and ECX alone', () => {
  const bench = new Bench()
  const expected = bench.cpuid(7)
  bench.play(VMX_EXIT.CPUID, { rax: 0xf00000007n, rcx: 0xf00000000n })
  assert.is(bench.cpu.readU64(L.RBX).toString(16), expected[1])
})

test('CPUID: hypervisor', () => {
  const bench = new Bench()
  const [eax, ...name] = bench.cpuid(0x40000000)
  assert.is(eax, '0')
  assert.is(ascii(name), 'OpenBSDVMM58')
  assert.equal(name, ['6e65704f', '56445342', '38354d4d'])
  assert.equal(bench.cpuid(0x40000001), ['1000008', '0', '0', '0'])
})

test('CPUID: extended leaves', () => {
  const bench = new Bench()
  assert.equal(bench.cpuid(0x80000000), ['80000008', '0', '0', '0'])
  const brand = [2, 3, 4].flatMap((leaf) => bench.cpuid(0x80000000 + leaf))
  assert.is(ascii(brand), 'vmmjit x86-64 processor')
  assert.equal(bench.cpuid(0x80000008), ['3028', '0', '0', '0'])
})

test('MISC_ENABLE bit 22 empties the leaves above 2', () => {
  const bench = new Bench()
  assert.is(bench.wrmsr(0x1a0, 1n << 22n), true)
  assert.equal(bench.cpuid(7), ZEROS)
  assert.equal(bench.cpuid(0x40000000), ZEROS)
  assert.is(bench.cpuid(0)[0], '16')
  assert.is(bench.cpuid(0x80000000)[0], '80000008')
})

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

test('RDTSCP follows its feature bit, which vmm hides', () => {
  assert.is(new Bench().play(VMX_EXIT.RDTSCP), 'raise 6 -1')
  const bench = new Bench({ features: new Set([...PROCESSOR_FEATURES, 'rdtscp' as const]), clock: 'instructions' })
  assert.is(bench.wrmsr(0xc0000103, 0x77n), true)
  assert.is(bench.play(VMX_EXIT.RDTSCP), 'advance')
  assert.is(bench.cpu.readU64(L.RCX), 0x77n)
  assert.is(bench.cpu.readU64(L.RAX), 3n)
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
