/**
 * Build step: packs the instruction table into the interpreter's wasm module. One function, run(), is a loop around a
 * br_table over the decoded records with an arm for every hot handler; each cold handler is a function of its own, reached
 * by call_indirect from the default arm (design: 756 million instructions a second so, 724 with everything in the switch,
 * 230-270 with tail calls).
 *
 * A cold handler returns the next record, or LEAVE or FAULT.
 */
import type binaryen from 'binaryen'
import '../isa/index.ts'
import type { CommonBody } from '../isa/builder.ts'
import * as L from '../layout.ts'
import { importFunction, newModule, type Type, type Value } from '../wasm/emitter.ts'
import { InterpreterBuilder, type Site } from './builder.ts'
import { hotness } from './hot.ts'
import { OPERATIONS } from './operations.ts'
import * as R from './record.ts'

const LEAVE = 0
const FAULT = 1

/** Signatures of the runtime functions that handlers call, gathered while emitting. */
type Signature = { parameters: Type[]; result: Type | undefined }

/** What handlers need besides themselves: the runtime functions that they call, and what they have in common. */
interface Needs {
  readonly imports: Map<string, Signature>
  readonly commons: Set<string>
}

/** Emits handlers and remembers what they need. */
class RecordingBuilder extends InterpreterBuilder {
  needs!: Needs

  common(name: string, type: Type, operands: readonly Value[], body: CommonBody): Value {
    if (!this.needs.commons.has(name)) {
      this.needs.commons.add(name)
      const x = new RecordingBuilder(
        this.module,
        operands.map((operand) => operand.type),
      )
      x.needs = this.needs
      x.return(body(x, ...operands.map((_, index) => x.parameter(index))))
      x.unreachable()
      x.finish(name, type)
    }
    return super.call(name, type, ...operands)
  }

  override call(name: string, result: Type, ...operands: Value[]): Value {
    this.#note(name, result, operands)
    return super.call(name, result, ...operands)
  }

  override callVoid(name: string, ...operands: Value[]): void {
    this.#note(name, undefined, operands)
    super.callVoid(name, ...operands)
  }

  #note(name: string, result: Type | undefined, operands: Value[]): void {
    const parameters = operands.map((operand) => operand.type)
    const known = this.needs.imports.get(name)
    const text = JSON.stringify({ parameters, result })
    if (known && JSON.stringify(known) !== text)
      throw new Error(`${name} is called as ${text} and ${JSON.stringify(known)}`)
    this.needs.imports.set(name, { parameters, result })
  }
}

/** Handlers that are not instructions. */
const SPECIAL: Record<number, (x: InterpreterBuilder) => void> = {
  [R.OP_STALE]: (x) => {
    x.charge(0)
    x.callVoid('staleRecord', x.record)
    x.site.leave()
  },
  [R.OP_GOTO]: (x) => x.branchCharged(x.charge(0)),
  [R.OP_ADDRESS]: (x) => {
    const offset = x.binary('and', addressSum(x), x.load('i64', 8, x.record, R.R_IMMEDIATE))
    const base = x.load('i64', 8, x.load('i32', 2, x.record, R.R_OPERAND0))
    x.setState64(L.EA, x.binary('add', offset, base))
    x.nextRecord()
  },
  [R.OP_SEGMENT]: checkSegment,
  [R.OP_CROSS]: (x) => {
    x.if(x.call('crossPage', 'i32', x.record), () => x.site.leave())
    x.nextRecord()
  },
  [R.OP_CHECK_FLOAT]: (x) => {
    const failed = x.call('checkFloat', 'i32', x.load('i32', 2, x.record, R.R_OPERAND0))
    x.if(failed, () => x.site.fault())
    x.nextRecord()
  },
  [R.OP_REGION]: runRegion,
  [R.OP_RESUME]: (x) => x.site.next(x.load('i32', 4, x.record, R.R_LINK)),
  [R.OP_UNDEFINED]: (x) => x.raise(6),
  [R.OP_TOO_LONG]: (x) => x.raise(13, 0),
}

/** Base + index * scale + displacement of a record. */
function addressSum(x: InterpreterBuilder): Value {
  const field = (offset: number) => x.load('i32', 2, x.record, offset)
  const base = x.load('i64', 8, field(R.R_BASE))
  const index = x.binary('shl', x.load('i64', 8, field(R.R_INDEX)), x.load('i64', 1, x.record, R.R_SCALE))
  return x.binary('add', x.binary('add', base, index), x.load('i64', 8, x.record, R.R_DISPLACEMENT))
}

/** The linear address of the next instruction's operand, if its segment allows the access. */
function checkSegment(x: InterpreterBuilder): void {
  const field = (offset: number) => x.load('i32', 2, x.record, offset)
  const flags = field(R.R_SEGMENT_FLAGS)
  const bytes = field(R.R_OPERAND1)
  const offset = x.variable('i64')
  x.assign(offset, addressSum(x))
  x.if(x.binary('and', flags, x.i32(R.SEGMENT_BITS)), () => {
    x.assign(offset, x.binary('add', offset, bitDistance(x, x.load('i64', 8, field(R.R_BITS)), bytes)))
  })
  const cut = x.binary('and', offset, x.load('i64', 4, x.record, R.R_IMMEDIATE))
  const write = x.binary('and', flags, x.i32(R.SEGMENT_WRITE))
  x.setState64(L.EA, x.call('segmentCheck', 'i64', field(R.R_OPERAND0), cut, bytes, write))
  x.leaveOnFault()
  x.nextRecord()
}

/** Bytes by which a bit offset, a signed number as wide as the operand, moves a bit string's operand. */
function bitDistance(x: InterpreterBuilder, register: Value, bytes: Value): Value {
  const size = x.let(x.binary('shl', x.extendUnsigned(bytes), x.i64(3)))
  const unused = x.let(x.binary('sub', x.i64(64), size))
  const signed = x.binary('shr_s', x.binary('shl', register, unused), unused)
  const log2 = x.let(x.unary('ctz', size))
  const operands = x.binary('shr_s', signed, log2)
  return x.binary('shl', operands, x.binary('sub', log2, x.i64(3)))
}

/** Adds to a counter in memory. */
function count(x: InterpreterBuilder, address: Value, by: Value): void {
  const bytes = by.type === 'i64' ? 8 : 4
  x.store(bytes, address, x.binary('add', x.load(by.type, bytes, address), by))
}

/** Calls a region's function, counts what it did, and goes where it says. */
function runRegion(x: InterpreterBuilder): void {
  const header = (distance: number) => x.load('i32', 4, x.binary('add', x.record, x.i32(distance)))
  const region = header(R.HEADER_REGION)
  const before = x.state32(L.BUDGET)
  const outcome = x.callIndirect('regions', region, [], 'i32')
  x.if(x.compare('ge_u', outcome, x.i32(R.REGION_SHORT_AT_ONCE)), () => {
    const short = x.compare('eq', outcome, x.i32(R.REGION_SHORT_AT_ONCE))
    x.if(x.binary('and', short, x.eqz(x.state32(L.EXACT))), () => {
      x.callVoid('staleRecord', x.record)
      endShort(x)
    })
    x.site.next(header(R.HEADER_COPY))
  })
  const left = x.state32(L.BUDGET)
  const statistics = x.let(x.binary('add', x.binary('mul', region, x.i32(L.REGION_STATS_SIZE)), x.i32(L.REGION_STATS)))
  const spent = x.let(x.extendSigned(x.binary('sub', before, left)))
  count(x, statistics, spent)
  count(x, x.i32(L.COUNT_TRANSLATED), spent)
  count(x, x.let(x.binary('add', statistics, x.i32(L.REGION_ENTRIES))), x.i32(1))
  x.if(x.eqz(outcome), () => {
    const site = x.state32(L.EXIT_SITE)
    x.if(site, () => noteIndirect(x, site))
    x.goTo(x.state64(L.RIP), left)
  })
  x.if(x.compare('eq', outcome, x.i32(R.REGION_SHORT)), () => {
    x.if(x.eqz(x.state32(L.EXACT)), () => endShort(x))
    interpretNext(x)
  })
  x.if(x.compare('eq', outcome, x.i32(R.REGION_INTERPRET)), () => {
    count(x, x.let(x.binary('add', statistics, x.i32(L.REGION_INTERPRETED))), x.i32(1))
    interpretNext(x)
  })
  x.site.leave()
}

/** A run that need not be exact ends before its budget is used up, rather than interpreting the rest. */
function endShort(x: InterpreterBuilder): void {
  x.setState32(L.EXIT_REASON, x.i32(L.EXIT_BUDGET))
  x.site.leave()
}

/** What comes next is not to be run by a region. */
function interpretNext(x: InterpreterBuilder): void {
  x.setState32(L.ATTENTION, x.binary('or', x.state32(L.ATTENTION), x.i32(L.ATTENTION_INTERPRET)))
  x.site.leave()
}

/** Writes where an indirect transfer led into the ring, for the translator's profile. */
function noteIndirect(x: InterpreterBuilder, site: Value): void {
  const index = x.state32(L.INDIRECT_COUNT)
  const slot = x.binary('mul', x.binary('and', index, x.i32(L.INDIRECT_ENTRIES - 1)), x.i32(L.INDIRECT_ENTRY_SIZE))
  const entry = x.let(x.binary('add', slot, x.i32(L.INDIRECT_RING)))
  x.store(8, entry, x.state64(L.RIP))
  x.store(4, entry, site, 8)
  x.setState32(L.INDIRECT_COUNT, x.binary('add', index, x.i32(1)))
  x.setState32(L.EXIT_SITE, x.i32(0))
}

function emitOp(x: InterpreterBuilder, op: number): void {
  const special = SPECIAL[op]
  if (special) special(x)
  else x.handler(OPERATIONS[op - R.SPECIAL_OPS] as (typeof OPERATIONS)[number])
}

function functionSite(x: InterpreterBuilder): Site {
  return {
    next: (record) => x.return(record),
    fault: () => x.return(x.i32(FAULT)),
    leave: () => x.return(x.i32(LEAVE)),
  }
}

/** One function for each op from `first` on; returns their names in order. */
function coldHandlers(module: binaryen.Module, first: number, needs: Needs): string[] {
  const names: string[] = []
  for (let op = first; op < R.SPECIAL_OPS + OPERATIONS.length; op++) {
    const x = new RecordingBuilder(module, ['i32'])
    x.needs = needs
    x.record = x.parameter(0)
    x.site = functionSite(x)
    emitOp(x, op)
    x.unreachable()
    const name = OPERATIONS[op - R.SPECIAL_OPS]?.name as string
    x.finish(name, 'i32')
    names.push(name)
  }
  return names
}

function runFunction(module: binaryen.Module, hot: number, needs: Needs): void {
  const x = new RecordingBuilder(module)
  x.needs = needs
  const record = x.variable('i32')
  x.keepLocals()
  x.record = record
  x.site = {
    next: (value) => {
      x.assign(record, value)
      x.br('execute')
    },
    fault: () => x.br('fault'),
    leave: () => x.br('dispatch'),
  }
  x.loop('dispatch', () => {
    x.assign(record, x.call('next', 'i32'))
    x.if(x.eqz(record), () => x.return(x.state32(L.EXIT_REASON)))
    x.block('fault', () => x.loop('execute', () => emitSwitch(x, hot)))
    x.callVoid('sync', record)
    x.br('dispatch')
  })
  x.unreachable()
  x.finish('run', 'i32')
}

/** br_table over the op: an arm for each hot op behind the block it leaves, the cold ones by call_indirect. */
function emitSwitch(x: RecordingBuilder, hot: number): void {
  const m = x.module
  const label = (op: number) => `op${op}`
  const labels = Array.from({ length: hot }, (_, op) => label(op))
  const op = x.load('i32', 2, x.record, R.R_OP)
  const arms = (last: number): void => {
    x.block(label(last), () => {
      if (last === 0) x.statement(m.switch(labels, 'cold', op.take()))
      else arms(last - 1)
    })
    x.releaseLocals()
    emitOp(x, last)
  }
  x.block('cold', () => arms(hot - 1))
  x.releaseLocals()
  const index = x.binary('sub', x.load('i32', 2, x.record, R.R_OP), x.i32(hot))
  const result = x.callIndirect('handlers', index, ['i32'], 'i32', x.record)
  x.if(x.compare('gt_u', result, x.i32(FAULT)), () => x.site.next(result))
  x.if(result, () => x.site.fault())
  x.site.leave()
}

/** The interpreter's module as wasm bytes. */
export function generateInterpreter(): { bytes: Uint8Array; hot: number; cold: number } {
  const module = newModule()
  const needs: Needs = { imports: new Map(), commons: new Set() }
  const hot = R.SPECIAL_OPS + OPERATIONS.filter((operation) => hotness(operation.name) > 0).length
  module.setMemory(0, -1, null)
  module.addMemoryImport('0', 'env', 'memory', false)
  const cold = coldHandlers(module, hot, needs)
  runFunction(module, hot, needs)
  for (const [name, { parameters, result }] of needs.imports) {
    importFunction(module, 'runtime', name, parameters, result)
  }
  module.addTable('handlers', cold.length, cold.length)
  module.addTable('regions', 1, -1)
  module.addTableImport('regions', 'env', 'regions')
  module.addActiveElementSegment('handlers', 'cold', cold, module.i32.const(0))
  module.addFunctionExport('run', 'run')
  if (!module.validate()) throw new Error('the generated interpreter is not valid wasm')
  // Cheap clean-up of the many locals; V8 does the optimising, and -O1 would bring in passes with known bugs.
  module.runPasses(['vacuum', 'simplify-locals', 'vacuum', 'reorder-locals', 'coalesce-locals', 'vacuum'])
  const bytes = module.emitBinary()
  module.dispose()
  return { bytes, hot, cold: cold.length }
}
