/** What becomes of regions: found hot, written, forbidden, crowded out; and compilers that fail or never answer. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { DropEvent, TranslationObserver } from '../jit/observer.ts'
import type { CompileService } from '../jit/service.ts'
import { synchronousService } from '../jit/together.ts'
import { createTranslator, type TranslatorOptions } from '../jit/translator.ts'
import * as L from '../src/cpu/layout.ts'
import { CODE, EXIT_EPT_VIOLATION, EXIT_HLT, HLT, LongMode, le32 } from './support/long-mode.ts'

/** MOV ECX, count; loop: ADD RAX, step; DEC ECX; JNZ loop; HLT. */
function countingLoop(count: number, step: number): number[] {
  return [0xb9, ...le32(count), 0x48, 0x83, 0xc0, step, 0xff, 0xc9, 0x75, 0xf8, HLT]
}

const STEP_AT = 8
const CR4_OSFXSR = 0x200n
const TURNS = 500_000
const BUDGET = 100_000_000

interface Watched {
  readonly it: LongMode
  readonly translated: bigint[]
  readonly dropped: DropEvent['reason'][]
  statistic(name: string): number
}

function machine(options: Partial<TranslatorOptions> = {}): Watched {
  const translated: bigint[] = []
  const dropped: DropEvent['reason'][] = []
  const observer: TranslationObserver = {
    translated: ({ rip }) => translated.push(rip),
    dropped: ({ reason }) => dropped.push(reason),
  }
  const translator = createTranslator({ service: synchronousService, observer, ...options })
  const it = new LongMode(undefined, { translator })
  return { it, translated, dropped, statistic: (name) => it.cpu.statistics().translator?.[name] ?? 0 }
}

/** A compiler that answers when it is told to. */
function lateService(started = true): { service: CompileService; late: (() => void)[] } {
  const late: (() => void)[] = []
  const submit: CompileService['submit'] = (source, done) => late.push(() => synchronousService.submit(source, done))
  return { service: { started, submit, poll: () => {} }, late }
}

function runLoop({ it }: Watched, at = CODE): bigint {
  it.cpu.writeU64(L.RAX, 0n)
  it.cpu.writeU64(L.RIP, BigInt(at))
  assert.is(it.cpu.run(BUDGET), EXIT_HLT)
  return it.gpr(L.RAX)
}

test('a hot loop is translated, and counted to the instruction', () => {
  const watched = machine()
  watched.it.put(CODE, ...countingLoop(TURNS, 3))
  assert.is(runLoop(watched), BigInt(TURNS * 3))
  assert.is(watched.it.cpu.instructions, BigInt(1 + TURNS * 3 + 1))
  assert.ok(watched.translated.length > 0)
  assert.ok(watched.statistic('translatedInstructions') > TURNS)
  assert.is(watched.statistic('failed'), 0)
})

test('code that a device writes is translated anew', () => {
  const watched = machine()
  watched.it.put(CODE, ...countingLoop(TURNS, 3))
  runLoop(watched)
  const before = watched.translated.length
  watched.it.put(CODE + STEP_AT, 5)
  assert.is(runLoop(watched), BigInt(TURNS * 5))
  assert.ok(watched.dropped.includes('written'), watched.dropped.join())
  assert.ok(watched.translated.length > before)
})

test('a page that the EPT forbids to run ends its regions', () => {
  const watched = machine()
  watched.it.put(CODE, ...countingLoop(TURNS, 3))
  runLoop(watched)
  const { cpu } = watched.it
  cpu.protect(cpu.hostOf(CODE), L.PAGE_DENY_EXECUTE)
  cpu.writeU64(L.RIP, BigInt(CODE))
  assert.is(cpu.run(BUDGET), EXIT_EPT_VIOLATION)
  cpu.protect(cpu.hostOf(CODE), 0)
  assert.is(runLoop(watched), BigInt(TURNS * 3))
  assert.ok(watched.dropped.includes('written'))
})

test('bytes are bounded: what has run least goes', () => {
  const watched = machine({ maxBytes: 12_000 })
  for (let page = 0; page < 40; page++) {
    const at = 0x20000 + page * 0x1000
    watched.it.put(at, ...countingLoop(60_000, 1))
    assert.is(runLoop(watched, at), 60_000n)
    assert.ok(watched.statistic('bytes') <= 12_000, `${watched.statistic('bytes')} bytes`)
  }
  assert.ok(watched.dropped.includes('evicted'), watched.dropped.join())
  // What was dropped runs as before.
  assert.is(runLoop(watched, 0x20000), 60_000n)
})

test('code that is patched before every call costs few translations', () => {
  const watched = machine()
  const { it } = watched
  // Outer loop: INC BYTE [step]; call the loop; until EDX turns are done.
  const inner = 0x3000
  it.put(inner, 0xb8, ...le32(0), 0xc3)
  const patch = [0xfe, 0x04, 0x25, ...le32(inner + 1)]
  const call = [0xe8, ...le32(inner - (CODE + 5 + patch.length + 5))]
  const back = -(patch.length + call.length + 2 + 2)
  it.put(CODE, 0xba, ...le32(20_000), ...patch, ...call, 0xff, 0xca, 0x75, back & 0xff, HLT)
  assert.is(runLoop(watched), BigInt(20_000 & 0xff))
  assert.ok(watched.statistic('translations') < 200, `${watched.statistic('translations')} translations`)
})

test('a compiler that fails leaves a guest that is interpreted', () => {
  const service: CompileService = {
    started: true,
    submit: (_source, done) => done({ failure: 'out of luck', expected: false }),
    poll: () => {},
  }
  const watched = machine({ service })
  watched.it.put(CODE, ...countingLoop(TURNS, 3))
  assert.is(runLoop(watched), BigInt(TURNS * 3))
  assert.ok(watched.statistic('failed') > 0)
  assert.is(watched.statistic('translatedInstructions'), 0)
})

test('a compiler that answers late: what came too late for its code is not installed', () => {
  const { service, late } = lateService()
  const watched = machine({ service })
  watched.it.put(CODE, ...countingLoop(TURNS, 3))
  runLoop(watched)
  assert.ok(late.length > 0)
  watched.it.put(CODE + STEP_AT, 5)
  for (const answer of late) answer()
  assert.equal(watched.translated, [])
  assert.ok(watched.statistic('outdated') > 0)
  assert.is(runLoop(watched), BigInt(TURNS * 5))
})

test('a compiler that answers when the processor is in another mode: the region is one of the mode it was asked for in', () => {
  const { service, late } = lateService()
  const watched = machine({ service })
  const { cpu } = watched.it
  watched.it.put(CODE, ...countingLoop(TURNS, 3))
  runLoop(watched)
  const before = cpu.readU64(L.CR4)
  // Whether SSE is turned on is part of the mode.
  cpu.writeU64(L.CR4, before ^ CR4_OSFXSR)
  cpu.refresh()
  for (const answer of late) answer()
  late.length = 0
  assert.ok(watched.translated.length > 0)
  runLoop(watched)
  assert.is(watched.statistic('translatedInstructions'), 0)
  cpu.writeU64(L.CR4, before)
  cpu.refresh()
  assert.is(runLoop(watched), BigInt(TURNS * 3))
  assert.ok(watched.statistic('translatedInstructions') > 0)
})

test('a compiler that must be started first is not, until that pays', () => {
  const { service, late } = lateService(false)
  const watched = machine({ service })
  watched.it.put(CODE, ...countingLoop(TURNS, 3))
  runLoop(watched)
  assert.is(late.length, 0)
  watched.it.put(CODE, ...countingLoop(60_000_000, 3))
  watched.it.cpu.writeU64(L.RIP, BigInt(CODE))
  assert.is(watched.it.cpu.run(200_000_000), EXIT_HLT)
  assert.ok(late.length > 0)
})

test('nothing is installed in a VM that is gone', () => {
  const { service, late } = lateService()
  const watched = machine({ service })
  watched.it.put(CODE, ...countingLoop(TURNS, 3))
  runLoop(watched)
  assert.ok(late.length > 0)
  watched.it.cpu.dispose()
  for (const answer of late) answer()
  assert.equal(watched.translated, [])
})

test.run()
