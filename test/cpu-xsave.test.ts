/**
 * XSAVE, XSAVEOPT, XSAVEC, XRSTOR: SDM volume 1, chapter 13. Where the manual leaves a choice, and for what is stored and what
 * is left alone, the expectations are what an AMD EPYC does.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { CpuOptions } from '../src/cpu/cpu.ts'
import { FEATURES } from '../src/cpu/decoder/features.ts'
import * as L from '../src/cpu/layout.ts'
import { CODE, EXIT_EXCEPTION, EXIT_HLT, HLT, LongMode, le32 } from './support/long-mode.ts'

const AREA = 0x10000
const X87 = 1
const SSE = 2
const AVX = 4
const ALL = 7
const COMPACTED = 1n << 63n

const XSAVE = [0x0f, 0xae, 0x27]
const XRSTOR = [0x0f, 0xae, 0x2f]
const XSAVEOPT = [0x0f, 0xae, 0x37]
const XSAVEC = [0x0f, 0xc7, 0x27]
const XSAVES = [0x0f, 0xc7, 0x2f]
const XRSTORS = [0x0f, 0xc7, 0x1f]
const REX_W = 0x48

const VECTOR_UD = 6
const VECTOR_NM = 7
const VECTOR_GP = 13
const VECTOR_PF = 14

class Saver {
  readonly it: LongMode

  constructor(options: Omit<CpuOptions, 'ranges'> = {}) {
    this.it = new LongMode(undefined, options)
    const { cpu } = this.it
    cpu.writeU64(L.CR4, 0x406a0n)
    cpu.writeU64(L.XCR0, 7n)
    cpu.refresh()
    this.clear()
  }

  /** All components as after reset. */
  init(): void {
    const { cpu } = this.it
    cpu.bytes.fill(0, L.YMM, L.MXCSR)
    cpu.writeU32(L.X87_CONTROL, 0x37f)
    this.mxcsr = 0x1f80
  }

  /** Every byte of the components has a value of its own. */
  use(seed: number): void {
    const { cpu } = this.it
    for (let n = 0; n < 16 * L.YMM_SIZE; n++) cpu.bytes[L.YMM + n] = n * 37 + (n >> 8) + seed
    for (let n = 0; n < 8; n++) {
      for (let byte = 0; byte < 10; byte++) cpu.bytes[L.X87 + n * L.X87_SIZE + byte] = n * 16 + byte + seed
    }
    cpu.writeU32(L.X87_CONTROL, 0x27f)
    cpu.writeU32(L.X87_STATUS, 0x2900)
    cpu.writeU32(L.X87_TAGS, 0x35)
    cpu.writeU32(L.X87_OPCODE, 0x123)
    cpu.writeU64(L.X87_IP, 0x1234_5678_9abcn)
    cpu.writeU64(L.X87_DP, 0x4321_8765_cba9n)
    this.mxcsr = 0x1fa1
  }

  get mxcsr(): number {
    return this.it.cpu.readU32(L.MXCSR)
  }

  set mxcsr(value: number) {
    this.it.cpu.writeU32(L.MXCSR, value)
    this.it.cpu.refresh()
  }

  /** The area is CC everywhere, but its header. */
  clear(): void {
    this.it.put(AREA, ...new Array<number>(1024).fill(0xcc))
    this.it.put(AREA + 512, ...new Array<number>(64).fill(0))
  }

  get state(): Uint8Array {
    return this.it.cpu.bytes.slice(L.YMM, L.MXCSR + 4)
  }

  at(offset: number): bigint {
    return this.it.peek(AREA + offset)
  }

  set(offset: number, value: bigint): void {
    this.it.poke(AREA + offset, value)
  }

  /** Runs the instruction on AREA, or elsewhere; gives the vector of its exception, or undefined. */
  run(code: readonly number[], components: number, address = AREA): number | undefined {
    const { it } = this
    it.forget()
    it.cpu.writeU64(L.RDI, BigInt(address))
    it.cpu.writeU64(L.RDX, 0n)
    const reason = it.execute([0xb8, ...le32(components), ...code, HLT])
    if (reason === EXIT_HLT) return undefined
    assert.is(reason, EXIT_EXCEPTION)
    assert.is(it.rip, CODE + 5)
    return it.exception.vector
  }

  save(code: readonly number[], components: number): void {
    assert.is(this.run(code, components), undefined)
  }
}

const UNTOUCHED = 0xcccc_cccc_cccc_ccccn
/** An offset in each part: x87, MXCSR, x87 registers, XMM0, XMM15, what is reserved, YMM0's upper half. */
const PARTS = [0, 24, 32, 160, 400, 416, 504, 576]

function touched(saver: Saver): number[] {
  return PARTS.filter((offset) => saver.at(offset) !== UNTOUCHED)
}

test('of a new processor nothing is in use', () => {
  const saver = new Saver()
  assert.is(saver.mxcsr, 0x1f80)
  saver.save(XSAVEC, ALL)
  assert.is(saver.at(512), 0n)
})

test('XSAVE stores what is asked for, be it in use or not', () => {
  const saver = new Saver()
  saver.save(XSAVE, ALL)
  assert.equal(touched(saver), [0, 24, 32, 160, 400, 576])
  assert.equal(
    [0, 8, 16, 24, 32, 160, 576].map((offset) => saver.at(offset)),
    [0x37fn, 0n, 0n, 0xffff00001f80n, 0n, 0n, 0n],
  )
  assert.is(saver.at(512), 0n)
  const cases: [number, number[]][] = [
    [X87, [0, 32]],
    [SSE, [24, 160, 400]],
    [AVX, [24, 576]],
    [0, []],
  ]
  for (const [components, parts] of cases) {
    saver.clear()
    saver.save(XSAVE, components)
    assert.equal(touched(saver), parts, `${components}`)
  }
})

test('XSTATE_BV tells what is in use, and keeps what was not asked for', () => {
  const saver = new Saver()
  saver.set(512, 5n)
  saver.save(XSAVE, SSE)
  assert.is(saver.at(512), 5n)
  saver.save(XSAVE, ALL)
  assert.is(saver.at(512), 0n)
  saver.it.cpu.writeU64(L.YMM + 15 * L.YMM_SIZE + 24, 1n)
  saver.save(XSAVE, ALL)
  assert.is(saver.at(512), 4n)
  saver.it.cpu.writeU64(L.YMM + 15 * L.YMM_SIZE + 8, 1n)
  saver.save(XSAVE, ALL)
  assert.is(saver.at(512), 6n)
  saver.it.cpu.writeU32(L.X87_CONTROL, 0x37e)
  saver.save(XSAVE, X87)
  assert.is(saver.at(512), 7n)
  assert.is(saver.at(520), 0n)
})

test('XSAVE leaves the rest of the header, XSAVEC writes XCOMP_BV', () => {
  const saver = new Saver()
  saver.set(520, 0x1234n)
  saver.set(528, 0x77n)
  saver.save(XSAVE, ALL)
  saver.save(XSAVEOPT, ALL)
  assert.equal([saver.at(520), saver.at(528)], [0x1234n, 0x77n])
  saver.set(512, 7n)
  saver.save(XSAVEC, SSE | AVX)
  assert.equal([saver.at(512), saver.at(520), saver.at(528)], [0n, COMPACTED | 6n, 0x77n])
})

test('XSAVEOPT and XSAVEC store what is in use; XSAVEOPT MXCSR, too', () => {
  const saver = new Saver()
  saver.save(XSAVEOPT, ALL)
  assert.equal(touched(saver), [24])
  saver.clear()
  saver.save(XSAVEC, ALL)
  assert.equal(touched(saver), [])
  saver.use(1)
  for (const code of [XSAVEOPT, XSAVEC]) {
    saver.clear()
    saver.save(code, ALL)
    assert.equal(touched(saver), [0, 24, 32, 160, 400, 576])
    assert.is(saver.at(512), 7n)
  }
})

test('MXCSR alone brings SSE into use for XSAVEC', () => {
  const saver = new Saver()
  saver.mxcsr = 0x1fa0
  saver.save(XSAVE, ALL)
  assert.is(saver.at(512), 0n)
  saver.clear()
  saver.save(XSAVEOPT, ALL)
  assert.is(saver.at(512), 0n)
  assert.equal(touched(saver), [24])
  saver.clear()
  saver.save(XSAVEC, ALL)
  assert.is(saver.at(512), 2n)
  assert.equal(touched(saver), [24, 160, 400])
  saver.clear()
  saver.save(XSAVEC, AVX)
  assert.is(saver.at(512), 0n)
  assert.equal(touched(saver), [])
})

test('a component that XCR0 lacks is not there', () => {
  const saver = new Saver()
  saver.use(1)
  saver.it.cpu.writeU64(L.XCR0, 3n)
  saver.it.cpu.refresh()
  saver.save(XSAVE, ALL)
  assert.equal(touched(saver), [0, 24, 32, 160, 400])
  assert.is(saver.at(512), 3n)
})

for (const [name, code] of Object.entries({ XSAVE, XSAVEOPT, XSAVEC })) {
  test(`${name} and XRSTOR: everything comes back`, () => {
    const saver = new Saver()
    saver.use(3)
    const before = saver.state
    saver.save([REX_W, ...code], ALL)
    assert.is(saver.at(8), 0x1234_5678_9abcn, 'FIP of 64 bits')
    saver.use(77)
    saver.save([REX_W, ...XRSTOR], ALL)
    assert.equal(saver.state, before)
    saver.init()
    const initial = saver.state
    saver.save([REX_W, ...code], ALL)
    saver.use(5)
    saver.save([REX_W, ...XRSTOR], ALL)
    assert.equal(saver.state, initial, 'what is not in the image is as after reset')
  })
}

test('XRSTOR changes what is asked for and nothing else', () => {
  const saver = new Saver()
  saver.use(3)
  saver.save(XSAVE, ALL)
  const part = (from: number, stride: number, size: number, count: number): (() => number[]) => {
    return () =>
      Array.from(
        { length: count * size },
        (_, n) => saver.it.cpu.bytes[from + Math.floor(n / size) * stride + (n % size)] as number,
      )
  }
  const parts = {
    x87: part(L.X87, L.X87_SIZE, 10, 8),
    xmm: part(L.YMM, L.YMM_SIZE, 16, 16),
    high: part(L.YMM + 16, L.YMM_SIZE, 16, 16),
    mxcsr: () => [saver.mxcsr],
  }
  const saved = Object.fromEntries(Object.entries(parts).map(([name, read]) => [name, read()]))
  const cases: [number, string[]][] = [
    [X87, ['x87']],
    [SSE, ['xmm', 'mxcsr']],
    [AVX, ['high', 'mxcsr']],
  ]
  for (const [components, restored] of cases) {
    saver.init()
    saver.save(XRSTOR, components)
    const back = Object.entries(parts).filter(([name, read]) => String(read()) === String(saved[name]))
    assert.equal(
      back.map(([name]) => name),
      restored,
    )
  }
})

test('XRSTOR: MXCSR of the standard format is loaded whatever XSTATE_BV says, of the compacted one with SSE', () => {
  const saver = new Saver()
  const restored = (components: number, held: bigint, format: bigint): number => {
    saver.mxcsr = 0x1fa0
    saver.clear()
    saver.set(24, 0x1fbfn)
    saver.set(512, held)
    saver.set(520, format)
    saver.save(XRSTOR, components)
    return saver.mxcsr
  }
  assert.is(restored(AVX, 0n, 0n), 0x1fbf)
  assert.is(restored(SSE, 0n, 0n), 0x1fbf)
  assert.is(restored(X87, 0n, 0n), 0x1fa0)
  assert.is(restored(ALL, 2n, COMPACTED | 7n), 0x1fbf)
  assert.is(restored(ALL, 4n, COMPACTED | 7n), 0x1f80)
  assert.is(restored(AVX, 4n, COMPACTED | 4n), 0x1fa0)
})

test('XRSTOR: headers and MXCSR that raise #GP, and change nothing', () => {
  const saver = new Saver()
  const refused: [string, [number, bigint][]][] = [
    ['XSTATE_BV bit 3', [[512, 8n]]],
    ['XSTATE_BV bit 62', [[512, 1n << 62n]]],
    ['XCOMP_BV bit 0', [[520, 1n]]],
    ['byte 16 of the header', [[528, 1n]]],
    ['MXCSR bit 28', [[24, 0x10000000n]]],
    ['compacted: bit 11 of XCOMP_BV', [[520, COMPACTED | 0x800n]]],
    [
      'compacted: XSTATE_BV has what XCOMP_BV lacks',
      [
        [512, 4n],
        [520, COMPACTED | 3n],
      ],
    ],
    [
      'compacted: byte 16 of the header',
      [
        [520, COMPACTED | 7n],
        [528, 1n],
      ],
    ],
    [
      'compacted: byte 56 of the header',
      [
        [520, COMPACTED | 7n],
        [568, 1n],
      ],
    ],
    [
      'compacted: MXCSR',
      [
        [24, 0x10000000n],
        [512, 2n],
        [520, COMPACTED | 7n],
      ],
    ],
  ]
  for (const [what, words] of refused) {
    saver.clear()
    saver.set(24, 0x1f80n)
    for (const [offset, value] of words) saver.set(offset, value)
    saver.use(9)
    const before = saver.state
    assert.is(saver.run(XRSTOR, ALL), VECTOR_GP, what)
    assert.equal(saver.state, before, what)
  }
  const taken: [string, [number, bigint][]][] = [
    [
      'byte 24 of the header',
      [
        [24, 0x1f80n],
        [536, 1n],
      ],
    ],
    [
      'compacted: MXCSR that is not held',
      [
        [24, 0x10000000n],
        [520, COMPACTED | 7n],
      ],
    ],
  ]
  for (const [what, words] of taken) {
    saver.clear()
    for (const [offset, value] of words) saver.set(offset, value)
    assert.is(saver.run(XRSTOR, ALL), undefined, what)
  }
})

test('without XSAVEC there is no compacted format', () => {
  const saver = new Saver({ features: FEATURES.filter((feature) => feature !== 'xsavec') })
  saver.set(520, COMPACTED | 7n)
  assert.is(saver.run(XRSTOR, ALL), VECTOR_GP)
  assert.is(saver.run(XSAVEC, ALL), VECTOR_UD)
  assert.is(saver.run(XSAVE, ALL), undefined)
})

test('an exception of the restored status word is pending when it is unmasked', () => {
  const saver = new Saver()
  saver.set(0, 0x0001_037en)
  saver.set(24, 0x1f80n)
  saver.set(512, 1n)
  saver.save(XRSTOR, X87)
  assert.is(saver.it.cpu.readU32(L.X87_STATUS), 0x8081)
})

test('#UD, #NM, #GP: what must be there', () => {
  for (const code of [XSAVE, XSAVEOPT, XSAVEC, XRSTOR]) {
    const saver = new Saver()
    for (const offset of [8, 16, 32])
      assert.is(saver.run(code, ALL, AREA + offset), VECTOR_GP, 'not aligned to 64 bytes')
    assert.is(saver.run(code, ALL, 0x200000), VECTOR_PF, 'nothing is mapped there')
    const { cpu } = saver.it
    cpu.writeU64(L.CR0, cpu.readU64(L.CR0) | 8n)
    cpu.refresh()
    assert.is(saver.run(code, ALL), VECTOR_NM, 'CR0.TS')
    cpu.writeU64(L.CR4, 0x6a0n)
    cpu.refresh()
    assert.is(saver.run(code, ALL), VECTOR_UD, 'CR4.OSXSAVE')
  }
  for (const code of [XSAVES, XRSTORS]) assert.is(new Saver().run(code, ALL), VECTOR_UD)
})

test('an area across two pages, the second of which is not there: nothing is stored', () => {
  const saver = new Saver()
  const edge = 0x11000 - 576
  saver.use(1)
  saver.it.put(edge, ...new Array<number>(576).fill(0))
  saver.it.map(0x11000, 0, 0n)
  saver.it.cpu.refresh()
  for (const code of [XSAVE, XSAVEOPT, XSAVEC]) {
    assert.is(saver.run(code, ALL, edge), VECTOR_PF)
    assert.is(saver.it.exception.cr2, 0x11000n)
    assert.is(saver.it.peek(edge), 0n)
    assert.is(saver.it.peek(edge + 512), 0n)
    assert.is(saver.run(code, X87 | SSE, edge), undefined, 'without AVX it ends before')
    saver.it.put(edge, ...new Array<number>(576).fill(0))
  }
  saver.save(XSAVE, X87 | SSE)
  saver.it.poke(edge + 512, 4n)
  const before = saver.state
  assert.is(saver.run(XRSTOR, ALL, edge), VECTOR_PF)
  assert.equal(saver.state, before)
  saver.it.map(0x11000, 0x20000)
  saver.it.cpu.refresh()
  assert.is(saver.run(XSAVE, ALL, edge), undefined)
  assert.is(saver.it.peek(0x20000), saver.it.cpu.readU64(L.YMM + 16))
})

test('code of 32 bits saves and restores eight registers', () => {
  const saver = new Saver()
  const { cpu } = saver.it
  saver.use(1)
  cpu.writeU32(L.CS + L.SEG_SELECTOR, 0x28)
  cpu.writeU32(L.CS + L.SEG_AR, 0xc09b)
  cpu.refresh()
  const last = L.YMM + 15 * L.YMM_SIZE
  const before = [cpu.readU64(last), cpu.readU64(last + 16)]
  for (const code of [XSAVE, XSAVEOPT, XSAVEC]) {
    saver.clear()
    saver.save(code, ALL)
    const registers = [160, 272, 288, 400, 576, 688, 704, 816].filter((offset) => saver.at(offset) !== UNTOUCHED)
    assert.equal(registers, [160, 272, 576, 688])
  }
  saver.clear()
  saver.set(24, 0x1f80n)
  saver.save(XRSTOR, ALL)
  assert.is(cpu.readU64(L.YMM + 7 * L.YMM_SIZE + 16), 0n)
  assert.equal([cpu.readU64(last), cpu.readU64(last + 16)], before)
})

test('code that is in the area is decoded anew', () => {
  const saver = new Saver()
  saver.use(1)
  // MOV EBX, 1; HLT where XMM0 goes; then XMM0 is MOV EBX, 2; HLT
  saver.it.put(AREA + 160, 0xbb, 1, 0, 0, 0, HLT)
  assert.is(saver.it.go(AREA + 160), EXIT_HLT)
  assert.is(saver.it.gpr(L.RBX), 1n)
  saver.it.cpu.writeU64(L.YMM, 0xf4_0000_0002_bbn)
  saver.save(XSAVE, ALL)
  assert.is(saver.it.go(AREA + 160), EXIT_HLT)
  assert.is(saver.it.gpr(L.RBX), 2n)
})

test.run()
