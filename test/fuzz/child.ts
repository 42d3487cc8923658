/**
 * `child.ts KIND SEED INSTRUCTIONS`: the fuzzer in a process of its own, so that a RUN that never returns can be noticed
 * and ended from outside. Prints a line with the seed before each program, and the totals at the end.
 */
import { writeSync } from 'node:fs'
import { fuzz, type Kind } from './random-code.ts'

const [name, seed, instructions] = process.argv.slice(2)
const kind = (name === '0' || name === '3' ? Number(name) : name) as Kind
// Written at once: a line in a buffer would be lost with a process that hangs.
const totals = fuzz(kind, Number(seed), Number(instructions), (current) => writeSync(1, `${current}\n`))
writeSync(1, `${JSON.stringify({ ...totals, exits: [...totals.exits] })}\n`)
