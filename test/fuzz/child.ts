/**
 * `child.ts RING SEED INSTRUCTIONS`: the fuzzer in a process of its own, so that a RUN that never returns can be noticed
 * and ended from outside. Prints a line with the seed before each program, and the totals at the end.
 */
import { writeSync } from 'node:fs'
import type { Ring } from './machine.ts'
import { fuzz } from './random-code.ts'

const [ring, seed, instructions] = process.argv.slice(2).map(Number) as [Ring, number, number]
// Written at once: a line in a buffer would be lost with a process that hangs.
const totals = fuzz(ring, seed, instructions, (current) => writeSync(1, `${current}\n`))
writeSync(1, `${JSON.stringify({ ...totals, exits: [...totals.exits] })}\n`)
