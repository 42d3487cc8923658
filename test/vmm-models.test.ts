/** CPU models: what a name stands for, what CPUID shows is what decodes, and what a model lacks is #UD. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Decoder } from '../src/cpu/decoder/decoder.ts'
import { DecodeStatus, Instruction } from '../src/cpu/decoder/instruction.ts'
import { EncodingFlag, type EncodingNotation, MEMORY_FORM, REGISTER_FORM } from '../src/cpu/decoder/notation.ts'
import { ENCODINGS } from '../src/cpu/decoder/opcodes.ts'
import { operationOf } from '../src/cpu/interpreter/operations.ts'
import { decodedFeatures, type Feature, TRAITS } from '../src/vmm/features.ts'
import { openVmm, VCPU_REGS_RAX, VCPU_REGS_RBX, VMX_EXIT, type Vmm, type VmmOptions } from '../src/vmm/index.ts'
import { cpuModel, cpuModelNames, DEFAULT_CPU, describeModel } from '../src/vmm/models.ts'
import { CODE, fails, Guest, protectedModeState, smallVm } from './support/guest64.ts'
import { TRANSLATORS } from './support/translators.ts'

const EVERYTHING: ReadonlySet<Feature> = new Set(Object.keys(TRAITS) as Feature[])

function features(model: string): ReadonlySet<Feature> {
  return cpuModel(model, EVERYTHING).features
}

function refused(model: string, message: RegExp, available?: ReadonlySet<Feature>): void {
  fails('EINVAL', () => cpuModel(model, available))
  assert.throws(() => cpuModel(model, available), message)
}

test('a level has what the one below has', () => {
  const levels = ['i486', 'i686', 'x86-64', 'x86-64-v2', 'x86-64-v3', 'max'].map(features)
  levels.slice(1).forEach((higher, index) => {
    const lower = levels[index] as ReadonlySet<Feature>
    assert.ok(lower.size < higher.size)
    for (const feature of lower) assert.ok(higher.has(feature), feature)
  })
  for (const feature of ['rdtscp', 'rdpid', 'invpcid', 'xsaves'] as const) {
    assert.not.ok(features('max').has(feature), `vmm(4) does not enable ${feature}`)
  }
})

test('what needs a feature that is switched off goes with it', () => {
  const left = features('x86-64-v3,-avx')
  for (const feature of ['avx', 'avx2', 'fma', 'f16c'] as const) assert.not.ok(left.has(feature), feature)
  assert.ok(left.has('xsave'))
  assert.not.ok(features('max,-sse2').has('sha'))
  assert.not.ok(features('max,-pae').has('lahf'), 'by way of long mode')
  assert.ok(features('x86-64,-pae,+pae').has('lm'), 'the last one prevails')
})

test('to ask for what lacks something that it needs is an error', () => {
  refused('x86-64-v3,-avx,+avx2', /feature 'avx2' needs 'avx', which is not there/, EVERYTHING)
  refused('x86-64,+aes,-sse', /feature 'aes' needs 'sse2', which is not there/, EVERYTHING)
  assert.not.ok(features('x86-64-v3,+avx2,-avx2,-avx').has('avx2'))
})

test('names of others', () => {
  const names: [string, Feature][] = [
    ['fpu', 'x87'],
    ['sse4.1', 'sse41'],
    ['sse4_2', 'sse42'],
    ['lahf_lm', 'lahf'],
    ['pdpe1gb', 'page1gb'],
    ['abm', 'lzcnt'],
  ]
  for (const [name, feature] of names)
    assert.ok(features(`max,-${feature === 'x87' ? 'sse' : name},+${name}`).has(feature))
  assert.equal([...features(' x86-64-v2 , +aes')], [...features('x86-64-v2,+aes')])
})

test('names that nobody has, and what there is instead', () => {
  refused('pentium', /^there is no CPU model 'pentium'; there are max, x86-64-v3, x86-64-v2, x86-64, i686, i486$/)
  refused('', /^there is no CPU model ''; there are max/)
  refused('toString', /no CPU model/)
  refused('max,+avx512f', /^there is no CPU feature 'avx512f'; there are adx, .*popcnt/)
  refused('max,+vmx', /no CPU feature 'vmx'/)
  refused('max,+constructor', /no CPU feature/)
  refused('max,aes', /write \+aes to switch it on, -aes to switch it off/)
  refused('max,-fpu', /always has its x87 FPU/, EVERYTHING)
})

test('a processor can not have more than is implemented', () => {
  const few: ReadonlySet<Feature> = new Set(['x87', 'tsc', 'msr', 'avx'])
  assert.equal([...cpuModel('x86-64-v3', few).features], ['x87', 'tsc', 'msr'])
  refused('i486,+popcnt', /no CPU feature 'popcnt'/, few)
})

test('the named models are complete', () => {
  for (const name of cpuModelNames()) {
    if (name !== DEFAULT_CPU) assert.equal(cpuModel(name).features, features(name), name)
  }
})

test('lists of what there is', () => {
  for (const name of cpuModelNames()) {
    const { about, features } = describeModel(name)
    assert.ok(about.length > 10)
    assert.equal(new Set(features), cpuModel(name).features)
    assert.equal(features, [...features].sort())
  }
})

/** An encoding's shortest bytes in 64-bit mode, with a register or a memory operand; undefined when it has no such form. */
function sample(encoding: EncodingNotation, form: number): number[] | undefined {
  const { constraints, flags, map, opcode } = encoding
  const first = (set: number): number => 31 - Math.clz32(set & -set)
  const hasModrm = (flags & EncodingFlag.modrm) !== 0 || encoding.operands.length > 0
  if (hasModrm && (constraints.mod & form) === 0) return undefined
  const vector = (flags & EncodingFlag.vsib) !== 0
  const rm = vector ? 4 : first(constraints.rm)
  const modrm = (form === REGISTER_FORM ? 0xc0 : 0) | (first(constraints.reg & (vector ? 2 : 0xff)) << 3) | rm
  const tail = [modrm, ...new Array<number>(12).fill(0)]
  const [pp, w] = [first(constraints.pp), first(constraints.w)]
  if ((flags & EncodingFlag.vex) !== 0) {
    const vvvv = vector ? 0x68 : 0x78
    return [0xc4, 0xe0 | (map - 4), (w << 7) | vvvv | (first(constraints.l) << 2) | pp, opcode, ...tail]
  }
  const prefix = [[], [0x66], [0xf3], [0xf2]][pp] as number[]
  const bytes = [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]][map] as number[]
  return [...prefix, ...(w === 1 ? [0x48] : []), ...bytes, opcode, ...tail]
}

for (const name of cpuModelNames()) {
  test(`${name}: what CPUID shows decodes and has a definition, and nothing else decodes`, () => {
    const model = cpuModel(name)
    const decoder = new Decoder(64, decodedFeatures(model.features))
    const instruction = new Instruction()
    let present = 0
    ENCODINGS.forEach((encoding, index) => {
      if (encoding.features.length === 0 || (encoding.flags & EncodingFlag.i64) !== 0) return
      const there = encoding.features.every((feature) => model.features.has(feature))
      for (const form of [REGISTER_FORM, MEMORY_FORM]) {
        const code = sample(encoding, form)
        if (code === undefined) continue
        const status = decoder.decode(Uint8Array.from(code), 0, code.length, instruction)
        const what = `${encoding.name} (${encoding.features.join(', ')})`
        if (there) {
          assert.is(status, DecodeStatus.ok, what)
          assert.ok(operationOf(instruction, 'long') >= 0, `${what} has a definition`)
          present++
        } else assert.ok(status !== DecodeStatus.ok || instruction.encoding !== index, `${what} is absent`)
      }
    })
    assert.ok(present > 0 || name === 'i486', 'something depends on features')
  })
}

// Guests

const HLT = 0xf4
/** An exception handler that shows the pushed RIP in RBX. */
const SHOW_RIP = [0x5b, HLT]
const ENGINES: Record<string, Pick<VmmOptions, 'translator'>> = {
  interpreter: {},
  translator: { translator: TRANSLATORS.translator },
}

function vmmOf(engine: string, cpu: string): Vmm {
  return openVmm({ ...ENGINES[engine], cpu })
}

/** Runs the code twice over, so that the translator has its turn, and gives RAX, or 'UD' when it raises that. */
function run(engine: string, cpu: string, code: number[]): bigint | string {
  const guest = new Guest(vmmOf(engine, cpu), [], { 6: SHOW_RIP })
  // MOV ECX, 3; MOV EBP, 40; the code; DEC EBP; JNZ; HLT
  const loop = [...code, 0xff, 0xcd, 0x0f, 0x85, ...le32(-code.length - 8)]
  guest.memory.write(CODE, Uint8Array.from([0xb9, ...le32(0x30), 0xbd, ...le32(40), ...loop, HLT]))
  assert.is(guest.run(), VMX_EXIT.HLT)
  const undefined_ = guest.gpr(VCPU_REGS_RBX) === BigInt(CODE + 10)
  const rax = guest.gpr(VCPU_REGS_RAX)
  guest.terminate()
  return undefined_ ? 'UD' : rax
}

function le32(value: number): number[] {
  return [value & 255, (value >> 8) & 255, (value >> 16) & 255, (value >> 24) & 255]
}

const POPCNT_EAX_ECX = [0xf3, 0x0f, 0xb8, 0xc1]
const LZCNT_EAX_ECX = [0xf3, 0x0f, 0xbd, 0xc1]
const ANDN_EAX_ECX_ECX = [0xc4, 0xe2, 0x70, 0xf2, 0xc1]
const RDTSC = [0x0f, 0x31]
const CMOVNC_EAX_ECX = [0xf8, 0x0f, 0x43, 0xc1]
const LAHF = [0x9f]
const RDTSCP = [0x0f, 0x01, 0xf9]
const RDFSBASE_EAX = [0xf3, 0x0f, 0xae, 0xc0]
const VMCALL = [0x0f, 0x01, 0xc1]
const SYSCALL = [0x0f, 0x05]

for (const engine of Object.keys(ENGINES)) {
  test(`${engine}: what the model lacks is #UD, or what older processors did`, () => {
    assert.is(run(engine, 'max', POPCNT_EAX_ECX), 2n)
    assert.is(run(engine, 'max,-popcnt', POPCNT_EAX_ECX), 'UD')
    assert.is(run(engine, 'x86-64-v2', POPCNT_EAX_ECX), 2n)
    assert.is(run(engine, 'x86-64', POPCNT_EAX_ECX), 'UD')
    assert.is(run(engine, 'max', LZCNT_EAX_ECX), 26n)
    assert.is(run(engine, 'max,-lzcnt', LZCNT_EAX_ECX), 5n, 'BSR')
    assert.is(run(engine, 'x86-64-v2', ANDN_EAX_ECX_ECX), 'UD')
    assert.is(run(engine, 'max', ANDN_EAX_ECX_ECX), 0n)
    assert.is(run(engine, 'max,-cmov', CMOVNC_EAX_ECX.slice(1)), 'UD')
    assert.is(run(engine, 'max', CMOVNC_EAX_ECX), 0x30n)
    assert.is(run(engine, 'x86-64,-tsc', RDTSC), 'UD')
    assert.not.equal(run(engine, 'x86-64', RDTSC), 'UD')
    assert.is(run(engine, 'x86-64', LAHF), 'UD')
    assert.not.equal(run(engine, 'x86-64-v2', LAHF), 'UD')
    assert.is(run(engine, 'max', RDTSCP), 'UD', 'vmm(4) does not enable it')
    assert.is(run(engine, 'max', VMCALL), 'UD')
    assert.is(run(engine, 'max,-syscall', SYSCALL), 'UD')
    assert.is(run(engine, 'x86-64', RDFSBASE_EAX), 'UD')
  })
}

test('AVX, once XSETBV has enabled it', () => {
  const ENABLE = [
    ...[0x0f, 0x20, 0xe0, 0x0d, ...le32(0x40600), 0x0f, 0x22, 0xe0], // MOV RAX, CR4; OR EAX, OSXSAVE OSXMMEXCPT OSFXSR
    ...[0x31, 0xc9, 0x31, 0xd2, 0xb8, ...le32(7), 0x0f, 0x01, 0xd1], // XSETBV(0, 7)
  ]
  const BROADCAST = [0xb8, ...le32(21), 0xc5, 0xf9, 0x6e, 0xc0, 0xc4, 0xe2, 0x7d, 0x58, 0xc0] // VMOVD; VPBROADCASTD YMM0
  const SUM = [0xc5, 0xfd, 0xfe, 0xc8, 0xc4, 0xe3, 0x7d, 0x39, 0xca, 1, 0xc5, 0xf9, 0x7e, 0xd0] // VPADDD; VEXTRACTI128; VMOVD
  const run = (cpu: string): string | bigint => {
    const guest = new Guest(openVmm({ cpu }), [...ENABLE, ...BROADCAST, ...SUM, HLT], {
      6: SHOW_RIP,
      13: [0x5b, 0x5b, HLT],
    })
    assert.is(guest.run(), VMX_EXIT.HLT)
    const rip = Number(guest.gpr(VCPU_REGS_RBX))
    if (rip === 0) return guest.gpr(VCPU_REGS_RAX)
    return `${cpu} at ${rip - CODE}`
  }
  const at = { movCr4: 8, xsetbv: 20, vmovd: 28, broadcast: 32 }
  assert.is(run('max'), 42n)
  assert.is(run('x86-64-v3'), 42n)
  assert.is(run('max,-avx2'), `max,-avx2 at ${at.broadcast}`, '#UD')
  assert.is(run('max,-avx'), `max,-avx at ${at.xsetbv}`, '#GP')
  assert.is(run('x86-64-v2'), `x86-64-v2 at ${at.movCr4}`, '#GP')
})

test('VMs of one device have processors of their own', () => {
  const vmm = openVmm({ cpu: 'x86-64-v2' })
  const guests = [undefined, 'max,-popcnt'].map((cpu) => {
    const guest = new Guest(vmm, [0xb9, ...le32(0x30), ...POPCNT_EAX_ECX, HLT], { 6: SHOW_RIP }, { cpu })
    assert.is(guest.run(), VMX_EXIT.HLT)
    return guest.gpr(VCPU_REGS_RBX)
  })
  assert.equal(guests, [0n, BigInt(CODE + 5)])
  fails('EINVAL', () => vmm.create(smallVm(), { cpu: 'z80' }))
  fails('EINVAL', () => openVmm({ cpu: 'z80' }))
})

test('a processor without long mode: no EFER.LME, no 64-bit mode', () => {
  const vmm = openVmm({ cpu: 'i686' })
  const guest = new Guest(vmm, [], {}, { state: protectedModeState() })
  const state = protectedModeState()
  state.vrs_msrs[0] = 0x100n
  guest.reset(state)
  fails('EINVAL', () => guest.run())
})

test('pages of 1 GB are reserved on a processor without them', () => {
  const PDPT = 0xb000
  const accessFar = [0x8a, 0x04, 0x25, ...le32(0x40000010), HLT]
  const fault = (cpu: string): bigint => {
    const guest = new Guest(openVmm({ cpu }), accessFar, { 14: [0x5b, HLT] })
    guest.memory.writeU64(PDPT + 8, 0x83n)
    assert.is(guest.run(), VMX_EXIT.HLT)
    return guest.gpr(VCPU_REGS_RBX)
  }
  assert.is(fault('max'), 0n)
  assert.is(fault('max,-page1gb'), 9n, 'present, reserved bit')
})

test.run()
