/**
 * From opcode to encoding. The encodings of one opcode differ in mandatory prefix, W, L, or parts of ModRM; they are
 * turned into a small decision tree that asks only what it must. Trees are built for one mode and one set of features,
 * so that what the mode or the processor lacks is simply not there: without `lzcnt` F3 0F BD finds BSR, and without
 * `popcnt` F3 0F B8 finds nothing.
 */

import type { Feature } from './features.ts'
import { AXES, AXIS_NAMES, type Axis, EncodingFlag, type EncodingNotation } from './notation.ts'
import { ENCODINGS } from './opcodes.ts'
import type { CodeSize } from './sizes.ts'

export const MAP_COUNT = 8
/** An opcode nobody has. */
export const NO_ENCODING = 0

/** What a decision asks; the order is that of AXIS_NAMES. */
export const AxisNumber = { pp: 0, w: 1, l: 2, b: 3, mod: 4, reg: 5, rm: 6 } as const

export interface Dispatch {
  /** By map * 256 + opcode: NO_ENCODING, encoding + 1, or minus the index of a node. */
  roots: Int32Array
  /** A node is the number of its axis, then one entry, like those of `roots`, for each value. */
  nodes: Int32Array
}

function isFull(encoding: EncodingNotation, axis: Axis): boolean {
  const all = (1 << AXES[axis]) - 1
  return (encoding.constraints[axis] & all) === all
}

/** The more an encoding asks for, the sooner it is taken: PAUSE before NOP before XCHG. */
function specificity(encoding: EncodingNotation): number {
  return AXIS_NAMES.filter((axis) => !isFull(encoding, axis)).length
}

class Builder {
  readonly nodes: number[] = [0]

  build(candidates: readonly number[], asked: ReadonlySet<Axis>): number {
    if (candidates.length === 0) return NO_ENCODING
    const axis = AXIS_NAMES.find(
      (name) => !asked.has(name) && candidates.some((index) => !isFull(this.encoding(index), name)),
    )
    if (axis === undefined) return this.best(candidates) + 1
    const values = Array.from({ length: AXES[axis] }, (_, value) =>
      this.build(
        candidates.filter((index) => (this.encoding(index).constraints[axis] >> value) & 1),
        new Set([...asked, axis]),
      ),
    )
    if (values.every((value) => value === values[0] && value >= 0)) return values[0] ?? NO_ENCODING
    const node = this.nodes.length
    this.nodes.push(AXIS_NAMES.indexOf(axis), ...values)
    return -node
  }

  private encoding(index: number): EncodingNotation {
    const encoding = ENCODINGS[index]
    if (encoding === undefined) throw new Error(`no encoding ${index}`)
    return encoding
  }

  private best(candidates: readonly number[]): number {
    return candidates.reduce((best, index) =>
      specificity(this.encoding(index)) > specificity(this.encoding(best)) ? index : best,
    )
  }
}

/** Built once for a mode and a set of features: the first takes 20 ms. They are not written to. */
const built = new Map<string, Dispatch>()

export function dispatchFor(mode: CodeSize, features: ReadonlySet<Feature>): Dispatch {
  const key = `${mode} ${[...features].sort().join(' ')}`
  const known = built.get(key)
  if (known !== undefined) return known
  const dispatch = buildDispatch(mode, features)
  built.set(key, dispatch)
  return dispatch
}

function buildDispatch(mode: CodeSize, features: ReadonlySet<Feature>): Dispatch {
  const cells: number[][] = Array.from({ length: MAP_COUNT * 256 }, () => [])
  const absentIn = mode === 64 ? EncodingFlag.i64 : EncodingFlag.o64
  ENCODINGS.forEach((encoding, index) => {
    const present = encoding.features.every((feature) => features.has(feature))
    if (present && (encoding.flags & absentIn) === 0) cells[encoding.map * 256 + encoding.opcode]?.push(index)
  })
  const builder = new Builder()
  const roots = Int32Array.from(cells, (cell) => builder.build(cell, new Set()))
  return { roots, nodes: Int32Array.from(builder.nodes) }
}
