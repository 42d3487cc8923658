/** CPUID leaf by leaf: what a CPU model has, through the masks of vmm(4). */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as L from '../src/cpu/layout.ts'
import { cpuid } from '../src/vmm/cpuid.ts'
import { type Feature, TRAITS } from '../src/vmm/features.ts'
import { cpuModel } from '../src/vmm/models.ts'
import type { Vcpu } from '../src/vmm/vcpu.ts'
import { VMX_EXIT } from '../src/vmm/vmmvar.ts'
import { ascii, Bench, ZEROS } from './support/exit-bench.ts'
import { Puppet } from './support/puppet.ts'

/** Everything that has a name, implemented or not: the masks have something to hide then. */
const EVERYTHING: ReadonlySet<Feature> = new Set(Object.keys(TRAITS) as Feature[])

/** What a model shows on a processor that has everything. */
class Shown {
  readonly cpu = new Puppet({ ranges: [{ gpa: 0, size: 0x1000 }] })
  readonly #vcpu: Vcpu

  constructor(model: string) {
    const platform = { tscHz: 2_500_000_000 }
    this.#vcpu = { cpu: this.cpu, vc_id: 0, platform, model: cpuModel(model, EVERYTHING) } as unknown as Vcpu
  }

  leaf(leaf: number, subleaf = 0): string[] {
    return cpuid(this.#vcpu, leaf, subleaf).map((value) => (value >>> 0).toString(16))
  }
}

const MODELS = ['max', 'x86-64-v3', 'x86-64-v2', 'x86-64', 'i686', 'i486']

test('leaf 0: largest leaf and vendor', () => {
  for (const model of MODELS) {
    const [eax, ebx, ecx, edx] = new Shown(model).leaf(0) as [string, string, string, string]
    assert.is(eax, '16')
    assert.is(ascii([ebx, edx, ecx]), 'AuthenticAMD')
  }
})

test('leaf 1: signature, CLFLUSH line, features', () => {
  const expected: Record<string, string[]> = {
    // ECX: HV RDRAND F16C AVX XSAVE AES POPCNT MOVBE SSE4.2 SSE4.1 CX16 FMA SSSE3 PCLMULQDQ SSE3, no MONITOR, no VMX
    // EDX: SSE2 SSE FXSR MMX CLFSH PSE36 PAT CMOV PGE SEP CX8 PAE MSR TSC PSE DE FPU, no MCE
    max: ['300f10', '800', 'f6d83203', '78ba97d'],
    'x86-64-v3': ['300f10', '800', 'b4d83201', '78ba97d'],
    'x86-64-v2': ['300f10', '800', '80982201', '78ba97d'],
    'x86-64': ['300f10', '800', '80000000', '78ba97d'],
    // CMOV PGE CX8 PAE MSR TSC PSE DE FPU
    i686: ['612', '0', '80000000', 'a17d'],
    i486: ['484', '0', '80000000', '9'],
  }
  for (const model of MODELS) assert.equal(new Shown(model).leaf(1), expected[model], model)
})

test('leaf 1: OSXSAVE follows CR4', () => {
  const shown = new Shown('x86-64-v3')
  shown.cpu.writeU32(L.CR4, 1 << 18)
  assert.is(shown.leaf(1)[2], 'bcd83201')
})

test('leaf 7', () => {
  const expected: Record<string, string[]> = {
    // EBX: SHA CLWB CLFLUSHOPT SMAP ADX RDSEED ERMS BMI2 SMEP AVX2 BMI1 FSGSBASE, no INVPCID; ECX: UMIP
    max: ['0', '219c03a9', '4', '0'],
    'x86-64-v3': ['0', '128', '0', '0'],
  }
  for (const model of MODELS) {
    assert.equal(new Shown(model).leaf(7), expected[model] ?? ZEROS, model)
    assert.equal(new Shown(model).leaf(7, 1), ZEROS)
  }
})

test('leaf 0xD: XCR0 and the sizes of the XSAVE area', () => {
  const shown = new Shown('x86-64-v3')
  shown.cpu.writeU64(L.XCR0, 3n)
  assert.equal(shown.leaf(0xd), ['7', '240', '340', '0'])
  shown.cpu.writeU64(L.XCR0, 7n)
  assert.equal(shown.leaf(0xd), ['7', '340', '340', '0'])
  assert.equal(shown.leaf(0xd, 1), ZEROS, 'XSAVEOPT and XSAVEC are hidden')
  assert.equal(shown.leaf(0xd, 2), ['100', '240', '0', '0'])
  const withoutAvx = new Shown('x86-64-v3,-avx')
  assert.equal(withoutAvx.leaf(0xd), ['3', '240', '240', '0'])
  assert.equal(withoutAvx.leaf(0xd, 2), ZEROS)
  assert.equal(new Shown('x86-64-v2').leaf(0xd), ZEROS)
})

test('leaf 0x80000001: features of its own, and those that AMD repeats', () => {
  const expected: Record<string, string[]> = {
    // ECX: PREFETCHW SSE4A ABM LAHF, no SVM, no MONITORX
    // EDX: LM 1GB NX SYSCALL, no RDTSCP; FXSR MMX PSE36 PAT CMOV PGE CX8 PAE MSR TSC PSE DE FPU
    max: ['300f10', '0', '161', '2593a97d'],
    'x86-64-v3': ['300f10', '0', '21', '2193a97d'],
    'x86-64-v2': ['300f10', '0', '1', '2193a97d'],
    'x86-64': ['300f10', '0', '0', '2193a97d'],
    i686: ['612', '0', '0', 'a17d'],
    i486: ['484', '0', '0', '9'],
  }
  for (const model of MODELS) assert.equal(new Shown(model).leaf(0x80000001), expected[model], model)
})

test('a feature that is switched off or on', () => {
  assert.is(new Shown('x86-64-v2,+aes,-popcnt').leaf(1)[2], '82182201')
  assert.is(new Shown('max,+rdtscp,+rdpid').leaf(0x80000001)[3], new Shown('max').leaf(0x80000001)[3], 'masked')
  assert.is(new Shown('max,+rdtscp,+rdpid').leaf(7)[2], '400004')
})

test('extended leaves: brand, sizes of addresses', () => {
  const brands: Record<string, string> = {
    max: 'vmmjit x86-64 processor',
    'x86-64-v3': 'vmmjit x86-64-v3 processor',
    'x86-64-v2': 'vmmjit x86-64-v2 processor',
    'x86-64': 'vmmjit x86-64-v1 processor',
    i686: 'vmmjit i686 processor',
    i486: 'vmmjit i486 processor',
  }
  for (const model of MODELS) {
    const shown = new Shown(model)
    assert.equal(shown.leaf(0x80000000), ['80000008', '0', '0', '0'])
    assert.is(ascii([2, 3, 4].flatMap((leaf) => shown.leaf(0x80000000 + leaf))), brands[model])
  }
  const widths = MODELS.map((model) => new Shown(model).leaf(0x80000008)[0])
  assert.equal(widths, ['3028', '3028', '3028', '3028', '2024', '2020'])
})

test('rate of the TSC', () => {
  const shown = new Shown('max')
  assert.equal(shown.leaf(0x15), ['1', '64', (25_000_000).toString(16), '0'])
  assert.equal(shown.leaf(0x16), [(2500).toString(16), (2500).toString(16), '64', '0'])
  assert.is(shown.leaf(0x80000007)[3], '100')
  assert.equal(new Shown('i486').leaf(0x15), ZEROS)
  assert.equal(new Shown('i486').leaf(0x80000007), ZEROS)
})

test('leaves that are empty', () => {
  const bench = new Bench()
  const leaves = [2, 3, 4, 5, 6, 8, 9, 0xa, 0xb, 0xf, 0x14, 0x40000002, 0x40000100, 0x4000ff00, 0x7fffffff]
  for (const leaf of leaves) assert.equal(bench.cpuid(leaf), ZEROS, leaf.toString(16))
})

test('leaves beyond the last are the last basic one', () => {
  const bench = new Bench()
  const last = bench.cpuid(0x16)
  for (const leaf of [0x17, 0x3fffffff, 0x80000009, 0x8000001e, 0xffffffff]) assert.equal(bench.cpuid(leaf), last)
})

test('looks at EAX and ECX alone', () => {
  const bench = new Bench()
  const expected = bench.cpuid(7)
  bench.play(VMX_EXIT.CPUID, { rax: 0xf00000007n, rcx: 0xf00000000n })
  assert.is(bench.cpu.readU64(L.RBX).toString(16), expected[1])
})

test('hypervisor', () => {
  const bench = new Bench()
  const [eax, ...name] = bench.cpuid(0x40000000)
  assert.is(eax, '0')
  assert.is(ascii(name), 'OpenBSDVMM58')
  assert.equal(name, ['6e65704f', '56445342', '38354d4d'])
  assert.equal(bench.cpuid(0x40000001), ['1000008', '0', '0', '0'])
})

test('MISC_ENABLE bit 22 empties the leaves above 2', () => {
  const bench = new Bench()
  assert.is(bench.wrmsr(0x1a0, 1n << 22n), true)
  assert.equal(bench.cpuid(7), ZEROS)
  assert.equal(bench.cpuid(0x40000000), ZEROS)
  assert.is(bench.cpuid(0)[0], '16')
  assert.is(bench.cpuid(0x80000000)[0], '80000008')
})

test.run()
