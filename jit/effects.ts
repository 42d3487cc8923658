/**
 * What an instruction reads and writes of the flags, and whether it can be translated at all: found out by emitting its
 * definition once into a module that is thrown away, so that it stands nowhere a second time.
 */
import { type Instruction, OperandKind } from '../src/cpu/decoder/instruction.ts'
import type { FlagComponent } from '../src/cpu/isa/vocabulary.ts'
import * as L from '../src/cpu/layout.ts'
import { newModule, type Value } from '../src/cpu/wasm/emitter.ts'
import { NotTranslatable, TranslatorBuilder } from './builder.ts'

export interface Effects {
  readonly translatable: boolean
  /** It needs a piece of the flags as it was, or leaves one as it was while it sets others. */
  readonly readsFlags: boolean
  /** It sets all pieces. */
  readonly setsFlags: boolean
  /** It may leave the region before it has done anything. */
  readonly mayLeave: boolean
}

class ObservingBuilder extends TranslatorBuilder {
  readonly flagsRead = new Set<FlagComponent>()
  readonly flagsWritten = new Set<FlagComponent>()
  readonly flagsPerhaps = new Set<FlagComponent>()
  leaves = false
  #depth = 0

  override leaveFaulting(offset: number): void {
    this.leaves = true
    super.leaveFaulting(offset)
  }

  override leaveToInterpret(offset: number): void {
    this.leaves = true
    super.leaveToInterpret(offset)
  }

  override readFlag(name: FlagComponent): Value {
    if (!this.flagsWritten.has(name)) this.flagsRead.add(name)
    return super.readFlag(name)
  }

  override writeFlag(name: FlagComponent, value: Value): void {
    if (this.#depth === 0) this.flagsWritten.add(name)
    else this.flagsPerhaps.add(name)
    super.writeFlag(name, value)
  }

  override if(condition: Value, whenTrue: () => void, whenFalse?: () => void): void {
    this.#depth++
    super.if(condition, whenTrue, whenFalse)
    this.#depth--
  }
}

const PIECES = ['result', 'carry', 'overflow', 'aux'] as const

function observe(i: Instruction): Effects {
  const module = newModule()
  try {
    const x = new ObservingBuilder(module)
    x.open(x.i64(0), i.mode === 64 ? L.MODE_64 : L.MODE_32)
    x.emit(i, 0)
    const setsFlags = PIECES.every((piece) => x.flagsWritten.has(piece))
    const touches = PIECES.some((piece) => x.flagsWritten.has(piece) || x.flagsPerhaps.has(piece))
    const reads = PIECES.some((piece) => x.flagsRead.has(piece))
    return { translatable: true, readsFlags: reads || (touches && !setsFlags), setsFlags, mayLeave: x.leaves }
  } catch (error) {
    if (!(error instanceof NotTranslatable)) throw error
    return { translatable: false, readsFlags: false, setsFlags: false, mayLeave: true }
  } finally {
    module.dispose()
  }
}

const known = new Map<string, Effects>()

/** Effects depend on the name, sizes and kinds of operands, and on whether a constant shift count is zero. */
export function effectsOf(i: Instruction): Effects {
  const count = i.operandCount
  const kinds = i.opKind.subarray(0, count)
  const shift = kinds.includes(OperandKind.imm) ? `${(i.immLo & 31) === 0}${(i.immLo & 63) === 0}` : ''
  const segment = i.mode === 64 ? '' : i.memSegment
  const key = `${i.mode}${segment}/${i.name}/${i.operandSize}/${i.addressSize}/${kinds.join()}/${i.opSize.subarray(0, count).join()}/${shift}`
  const found = known.get(key) ?? observe(i)
  known.set(key, found)
  return found
}
