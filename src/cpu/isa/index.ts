/** The whole instruction table: importing this module fills it. */
import './alu.ts'
import './bit.ts'
import './control.ts'
import './move.ts'
import './muldiv.ts'
import './packed.ts'
import './shift.ts'
import './string.ts'
import './system.ts'
import './vector-move.ts'

export { allEntries, type Entry, entryOf, type Use } from './table.ts'
