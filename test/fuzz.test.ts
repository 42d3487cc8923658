/**
 * Random code in ring 0 and in ring 3 of 64-bit mode, and in the other modes (fuzz/random-code.ts). FUZZ_INSTRUCTIONS says how
 * many instructions each of them runs, FUZZ_SEED which seed to begin with; a failure names the seed that brings it back.
 */
import { fileURLToPath } from 'node:url'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { OperandKind } from '../src/cpu/decoder/instruction.ts'
import { OPERATIONS } from '../src/cpu/interpreter/operations.ts'
import { R_IMMEDIATE, R_LINK, RECORD_SIZE, SPECIAL_OPS } from '../src/cpu/interpreter/record.ts'
import * as L from '../src/cpu/layout.ts'
import { VM_EXIT_NONE, VMX_EXIT } from '../src/vmm/index.ts'
import { KNOWN_ENCODINGS, randomInstruction } from './fuzz/instructions.ts'
import { Invariants } from './fuzz/invariants.ts'
import { LEGACY_KINDS } from './fuzz/legacy.ts'
import { randomProgram } from './fuzz/machine.ts'
import { Random } from './fuzz/random.ts'
import { ERROR_EXIT, EVENT_INTERVAL, FuzzMachine, type Kind } from './fuzz/random-code.ts'
import { runWatched } from './fuzz/watched-child.ts'

const INSTRUCTIONS = Number(process.env.FUZZ_INSTRUCTIONS ?? 1_000_000)
const SEED = Number(process.env.FUZZ_SEED ?? 1)
/** A program takes about 10 ms. Without a new one for this long, RUN does not come back. */
const HANG_MS = 120_000

interface Totals {
  readonly programs: number
  readonly instructions: number
  readonly exits: readonly (readonly [reason: number, count: number])[]
}

function runFuzz(kind: Kind): Promise<Totals> {
  const file = fileURLToPath(new URL('fuzz/child.ts', import.meta.url))
  return runWatched(file, [kind, SEED, INSTRUCTIONS], HANG_MS, (last) => `${kind}, FUZZ_SEED=${last}`)
}

for (const ring of [0, 3] as const) {
  test(`ring ${ring}`, async () => {
    const totals = await runFuzz(ring)
    assert.ok(totals.instructions >= INSTRUCTIONS)
    // Programs do get somewhere, and they do leave the guest in the ways that they are meant to.
    const average = totals.instructions / totals.programs
    assert.ok(average > 500, `${average} instructions a program`)
    if (totals.programs < 100) return
    const exits = new Map(totals.exits)
    for (const reason of [VM_EXIT_NONE, VMX_EXIT.IO, VMX_EXIT.HLT, VMX_EXIT.TRIPLE_FAULT, ERROR_EXIT]) {
      assert.ok(exits.has(reason), `no exit ${reason} among ${[...exits.keys()]}`)
    }
  })
}

for (const kind of LEGACY_KINDS) {
  test(kind, async () => {
    const totals = await runFuzz(kind)
    assert.ok(totals.instructions >= INSTRUCTIONS)
    const average = totals.instructions / totals.programs
    assert.ok(average > 500, `${average} instructions a program`)
  })
}

test('the generator knows the integer instructions and gives the same for the same seed', () => {
  assert.ok(KNOWN_ENCODINGS > 400, String(KNOWN_ENCODINGS))
  const some = (seed: number): number[] => {
    const random = new Random(seed)
    return Array.from({ length: 100 }, () => randomInstruction(random)).flat()
  }
  assert.equal(some(1), some(1))
  assert.not.equal(some(1), some(2))
})

/** A VM that has run a program, and its invariants. */
function used(): { machine: FuzzMachine; invariants: Invariants } {
  const machine = new FuzzMachine(EVENT_INTERVAL, true, 'interpreter')
  const random = new Random(3)
  machine.run(randomProgram(random, 3, true), random)
  return { machine, invariants: new Invariants(machine.cpu) }
}

function breaks(change: (machine: FuzzMachine) => void, expected: RegExp): void {
  const { machine, invariants } = used()
  assert.equal(invariants.check(), [])
  change(machine)
  assert.match(invariants.check().join('\n'), expected)
}

function firstTag(machine: FuzzMachine, tag: number): number {
  for (let slot = 0; slot < L.TLB_ENTRIES * L.CONTEXTS; slot++) {
    const entry = L.TLB + slot * L.TLB_ENTRY_SIZE
    if (((machine.cpu.readU32(entry + tag) >>> 12) & 1023) === (slot & 1023)) return entry
  }
  throw new Error('the TLB is empty')
}

test('a TLB entry that leads outside of guest RAM is noticed', () => {
  breaks(({ cpu }) => cpu.writeU32(L.OPEN_BUS + 100, 0), /open bus page changed/)
  breaks((machine) => {
    const entry = firstTag(machine, L.TLB_READ)
    machine.cpu.writeU32(entry + L.TLB_ADDEND, machine.cpu.readU32(entry + L.TLB_ADDEND) - 0x10000000)
  }, /outside of guest RAM/)
})

test('a record that is not what memory holds is noticed', () => {
  breaks(({ cpu }) => {
    const ram = cpu.bytes.subarray(cpu.hostOf(0x10000), cpu.hostOf(0x12000))
    ram.forEach((byte, at) => {
      ram[at] = byte ^ 0x28
    })
  }, /record/)
})

test('a branch that is linked to another place is noticed', () => {
  breaks(({ cpu }) => {
    for (let record = L.RECORDS; record < cpu.readU32(L.RECORD_NEXT); record += RECORD_SIZE) {
      const operation = OPERATIONS[(cpu.readU32(record) & 0xffff) - SPECIAL_OPS]
      const linked = operation?.kinds[0] === OperandKind.rel && cpu.readU32(record + R_LINK) !== 0
      if (linked) cpu.writeU32(record + R_IMMEDIATE, cpu.readU32(record + R_IMMEDIATE) + 1)
    }
  }, /is linked to the code at/)
})

test.run()
