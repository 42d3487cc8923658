/** What a case left behind against what the corpus says, with the corpus's leave for undefined and approximate results. */
import type { Case } from './corpus.ts'
import { fold, type Outcome, type VectorMachine } from './machine.ts'
import {
  CONTROL,
  FSW,
  GENERAL,
  initialFlags,
  isSame,
  LOWER_HALVES,
  PLACES,
  type Place,
  RIP,
  readNumber,
  SEGMENT_NAMES,
  STATE_END,
  STATE_START,
  VECTOR,
  writeChange,
  X87_STACK,
} from './state.ts'

const RF = 0x10000
/** C1 and PE are not the same on every processor after a transcendental instruction. */
const SOFT_FSW = 0x220
/** Largest relative error of RCPPS and RSQRTPS. */
const APPROXIMATE = 1.5 * 2 ** -12

/** How the results of a group are compared. */
export type Tolerance = 'exact' | 'ulp' | 'relative'

export function toleranceOf(group: string): Tolerance {
  if (group === 'x87-trans') return 'ulp'
  return group.endsWith('-approx') ? 'relative' : 'exact'
}

/** Differences between the final state and what the case says; empty when it passed. */
export function compare(machine: VectorMachine, test: Case, outcome: Outcome, tolerance: Tolerance): string[] {
  const comparison = new Comparison(machine, test, tolerance)
  comparison.exception(outcome)
  comparison.registers()
  comparison.flags()
  comparison.segments()
  comparison.memory()
  return comparison.problems
}

const expected = new Uint8Array(STATE_END - STATE_START)

class Comparison {
  readonly problems: string[] = []
  readonly #machine: VectorMachine
  readonly #test: Case
  readonly #tolerance: Tolerance
  readonly #ignored: readonly string[]
  /** Not stopped by a fault: what is undefined has changed. */
  readonly #completed: boolean

  constructor(machine: VectorMachine, test: Case, tolerance: Tolerance) {
    this.#machine = machine
    this.#test = test
    this.#tolerance = tolerance
    this.#ignored = test.undefReg?.split(',') ?? []
    expected.set(machine.before)
    writeChange(expected, test.final)
    this.#completed = test.exc === null || !isSame(expected, machine.before, RIP)
  }

  exception({ exc, exit }: Outcome): void {
    this.#check('exit', exit, undefined)
    const wanted = this.#test.exc
    this.#check('exception', exc?.vector, wanted?.vector)
    if (wanted === null || exc === null) return
    this.#check('error code', exc.error, this.#machine.platform === 'real' ? undefined : wanted.error)
    if (wanted.vector === 14) this.#check('cr2', exc.cr2, BigInt(`0x${wanted.cr2}`))
  }

  registers(): void {
    this.#place(RIP)
    const { mode, final } = this.#test
    // Who leaves 64-bit mode finds the upper halves undefined (APM volume 1, 3.1.2); there is no way back in the corpus.
    for (const place of mode === 'long64' && final.cs ? LOWER_HALVES : GENERAL) this.#place(place)
    for (const place of CONTROL) this.#place(place)
    for (const place of VECTOR) this.#place(place, this.#tolerance === 'relative' ? isNear : undefined)
    for (const place of X87_STACK) this.#place(place, this.#tolerance === 'ulp' ? isWithinUlp : undefined)
  }

  #place(place: Place, accepts?: typeof isSame): void {
    const actual = this.#machine.state
    if (isSame(actual, expected, place) || accepts?.(actual, expected, place)) return
    if (this.#ignored.includes(place.name)) return
    this.#check(place.name, readNumber(actual, place), readNumber(expected, place))
  }

  flags(): void {
    const { undef = 0, undefFsw = 0, final } = this.#test
    const wanted = typeof final.rflags === 'string' ? Number.parseInt(final.rflags, 16) : initialFlags(this.#test)
    const mask = ~(RF | (this.#completed ? undef : 0))
    this.#check('rflags', Number(this.#machine.cpu.rflags) & mask, wanted & mask)
    const ignored = (this.#completed ? undefFsw : 0) | (this.#tolerance === 'ulp' ? SOFT_FSW : 0)
    const fsw = Number(readNumber(this.#machine.state, FSW)) & ~ignored
    this.#check('fsw', fsw, Number(readNumber(expected, FSW)) & ~ignored)
  }

  segments(): void {
    const real = this.#machine.platform === 'real'
    for (const name of SEGMENT_NAMES) {
      const selector = PLACES.get(name) as Place
      const loaded = Number(readNumber(this.#machine.state, selector))
      // Recorded by a handler in ring 3, that is, behind an IRET to an outer level, which turns every null selector
      // into 0 (SDM volume 2, IRET, RETURN-TO-OUTER-PRIVILEGE-LEVEL); MOV itself keeps the RPL.
      const recorded = !real && loaded < 4 ? 0 : loaded
      if (!this.#ignored.includes(name)) this.#check(name, recorded, Number(readNumber(expected, selector)))
      // Of a null selector the corpus has but the bases of 64-bit mode.
      const began = readNumber(this.#machine.before, selector)
      if (recorded !== 0 && began !== 0n) {
        this.#place(PLACES.get(`${name}_limit`) as Place)
        this.#place(PLACES.get(`${name}_attr`) as Place)
      }
      if (recorded !== 0 || real || this.#test.mode === 'long64') this.#place(PLACES.get(`${name}_base`) as Place)
    }
  }

  memory(): void {
    const { window, windowBefore } = this.#machine
    for (const [address, bytes] of this.#test.final.mem ?? [])
      windowBefore.set(Buffer.from(bytes, 'hex'), fold(address))
    for (const [address, length] of this.#test.memIgnore ?? []) {
      const at = fold(address)
      windowBefore.set(window.subarray(at, at + length), at)
    }
    if (Buffer.compare(window, windowBefore) === 0) return
    const at = window.findIndex((byte, index) => byte !== windowBefore[index])
    this.#check(`memory at ${at.toString(16)}`, window[at], windowBefore[at])
  }

  #check(what: string, actual: unknown, wanted: unknown): void {
    if (actual !== wanted) this.problems.push(`${what}: ${show(actual)}, expected ${show(wanted)}`)
  }
}

function show(value: unknown): string {
  if (typeof value === 'number') return `0x${(value >>> 0).toString(16)}`
  return typeof value === 'bigint' ? `0x${value.toString(16)}` : String(value)
}

/** Each 32-bit lane is the same, or a number not farther off than the approximating instructions may be. */
function isNear(actual: Uint8Array, wanted: Uint8Array, { at, bytes }: Place): boolean {
  const view = (state: Uint8Array): DataView => new DataView(state.buffer, state.byteOffset + at - STATE_START, bytes)
  const one = view(actual)
  const other = view(wanted)
  for (let lane = 0; lane < bytes; lane += 4) {
    if (one.getUint32(lane, true) === other.getUint32(lane, true)) continue
    const value = one.getFloat32(lane, true)
    const exact = other.getFloat32(lane, true)
    if (value === 0 || !Number.isFinite(exact)) return false
    if (!(Math.abs(value - exact) <= Math.abs(exact) * APPROXIMATE)) return false
  }
  return true
}

/** Neighbouring 80-bit numbers, of one sign. */
function isWithinUlp(actual: Uint8Array, wanted: Uint8Array, place: Place): boolean {
  const one = readNumber(actual, place)
  const other = readNumber(wanted, place)
  if (one >> 79n !== other >> 79n) return false
  const distance = ordinal(one) - ordinal(other)
  return isNumber(one) && isNumber(other) && distance >= -1n && distance <= 1n
}

/** Neither infinite nor NaN, and of a supported format. */
function isNumber(value: bigint): boolean {
  const exponent = (value >> 64n) & 0x7fffn
  return exponent === 0n || (exponent !== 0x7fffn && ((value >> 63n) & 1n) !== 0n)
}

/** Neighbours have neighbouring ordinals: without the integer bit, which a normal number always has, the next exponent follows. */
function ordinal(value: bigint): bigint {
  const exponent = (value >> 64n) & 0x7fffn
  // The exponent of a denormal number is that of the smallest normal ones.
  const integer = exponent === 0n ? value & (1n << 63n) : exponent << 63n
  return integer | (value & 0x7fffffffffffffffn)
}
