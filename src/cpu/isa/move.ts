/** Data movement: MOV and its extensions, exchange, compare-and-exchange, SETcc, CMOVcc, stack. */
import { CONDITIONS } from '../decoder/features.ts'
import * as L from '../layout.ts'
import type { Value } from '../wasm/emitter.ts'
import type { Builder } from './builder.ts'
import { instruction } from './table.ts'
import { Access, type Bytes, Vector } from './vocabulary.ts'

instruction('mov', 'w r', (_x, _dst, value) => value)
instruction('movnti', 'w r', (_x, _dst, value) => value)
instruction('movzx', 'w r', (x, _dst, value) => x.zeroExtend(value, x.operandSizes[1] as number))
instruction('movsx', 'w r', (x, _dst, value) => x.signExtend(value, x.operandSizes[1] as number))
instruction('movsxd', 'w r', (x, _dst, value) => x.signExtend(value, Math.min(x.operandSizes[1] as number, x.size)))
instruction('lea', 'w a', (x, _dst, address) => x.truncate(address, x.size))

instruction('movbe', 'w r', (x, _dst, value) => {
  if (x.size !== 16) return byteSwap(x, value)
  return x.cut(x.or(x.binary('shl', value, x.i32(8)), x.binary('shr_u', value, x.i32(8))))
})

/** Bytes reversed in two steps: within 16-bit pairs, then the pairs by rotation (and the halves, at 64 bits). */
function byteSwap(x: Builder, value: Value): Value {
  const swapPairs = (v: Value, mask: bigint, by: number) => {
    const high = x.binary('and', x.binary('shr_u', v, x.constant(v.type, by)), x.constant(v.type, mask))
    const low = x.binary('shl', x.binary('and', v, x.constant(v.type, mask)), x.constant(v.type, by))
    return x.binary('or', high, low)
  }
  if (x.size === 32) return x.binary('rotl', x.let(swapPairs(value, 0xff00ffn, 8)), x.i32(16))
  const bytes = x.let(swapPairs(value, 0x00ff00ff00ff00ffn, 8))
  const words = x.let(swapPairs(bytes, 0x0000ffff0000ffffn, 16))
  return x.binary('rotl', words, x.i64(32))
}

// A 16-bit BSWAP is undefined; processors give 0.
instruction('bswap', 'rw', (x, value) => (x.size === 16 ? x.k(0) : byteSwap(x, value)))

instruction('xchg', 'rw rw', (_x, a, b) => [b, a])

instruction('xadd', 'rw rw', (x, a, b) => {
  const r = x.let(x.add(a, b))
  x.flags.add(a, b, r)
  // The sum goes to the destination even when both operands are one register.
  return [r, a]
})

instruction('cmpxchg', 'rw r', (x, a, b) => {
  const accumulator = x.gpr(L.RAX)
  const r = x.let(x.sub(accumulator, a))
  x.flags.sub(accumulator, a, r)
  // Only the register that receives a value is written (it matters at 32 bits, where a write clears the upper half).
  x.if(x.bool32(r), () => x.setGpr(L.RAX, a))
  return x.exchangeIf(x.eqz(r), a, b)
})

for (const [name, run] of [
  ['cmpxchg8b', 'compareExchange8'],
  ['cmpxchg16b', 'compareExchange16'],
] as const) {
  instruction(name, 'aw', (x, address) => {
    x.callWithState(run, 'i32', address, x.accessFlags())
    x.leaveOnFault()
  })
}

CONDITIONS.forEach((condition, code) => {
  instruction(`set${condition}`, 'w', (x) => x.flags.condition(code))
  // The source is read, and a 32-bit destination cleared above, whatever the condition.
  instruction(`cmov${condition}`, 'rw r', (x, a, b) => x.select(x.flags.condition(code), b, a))
})

// Stack

const STACK = { modal: 'stack' } as const

instruction('push', 'r', (x, value) => x.push(value), STACK)

/** The slot of PUSH Sreg is zero-extended to the operand size. */
instruction('push.sreg', 'n', (x, segment) => x.push(x.zeroExtend(x.call('readSelector', 'i32', segment), 16)), STACK)

/** The memory operand's address is computed with RSP already moved. */
instruction('pop', 'w', (x) => x.popInto(x.top()), STACK)

instruction(
  'pushf',
  '',
  (x) => {
    const flags = x.callWithState('pushedFlags', 'i64')
    x.if(x.eqz(flags), () => x.raise(Vector.gp, 0))
    x.push(x.truncate(flags, x.size))
  },
  STACK,
)

instruction(
  'leave',
  '',
  (x) => {
    const bytes = x.size / 8
    if (x.codeKind === 'segmented') {
      x.callWithState('leaveSegmented', 'i32', x.i32(bytes))
      x.leaveOnFault()
      return
    }
    const frame = x.gpr(L.RBP, x.stackWidth)
    const saved = x.read(x.linearOfStack(frame), bytes as Bytes, Access.stack)
    x.setGpr(L.RSP, x.binary('add', frame, x.stackConstant(bytes)), x.stackWidth)
    x.setGpr(L.RBP, saved)
  },
  STACK,
)

/** Rare, and up to 31 levels of memory to memory copies: done by the runtime. */
instruction(
  'enter',
  'r r',
  (x, size, level) => {
    const low = x.binary('and', x.truncate(size, 32), x.i32(0xffff))
    x.system('enter', low, x.binary('and', x.truncate(level, 32), x.i32(31)), x.i32(x.size))
  },
  { ends: true },
)

// Conversions and the accumulator

instruction('cbw', '', (x) => {
  const half = (x.size / 2) as 8 | 16 | 32
  x.setGpr(L.RAX, x.signExtend(x.gpr(L.RAX, half), half))
})

instruction('cwd', '', (x) => {
  const signs = x.binary('shr_s', x.signed(x.gpr(L.RAX)), x.constant(x.typeOf(), x.size === 64 ? 63 : 31))
  x.setGpr(L.RDX, x.cut(signs))
})

instruction('lahf', '', (x) => {
  const ax = x.gpr(L.RAX, 16)
  x.setGpr(L.RAX, x.or(x.and(ax, x.i32(0xff)), x.binary('shl', x.flags.lowByte(), x.i32(8))), 16)
})

instruction('sahf', '', (x) => {
  x.flags.setLowByte(x.let(x.binary('shr_u', x.gpr(L.RAX, 16), x.i32(8))))
})

instruction('clc', '', (x) => x.flags.carry(x.i32(0)))
instruction('stc', '', (x) => x.flags.carry(x.i32(1)))
instruction('cmc', '', (x) => x.flags.carry(x.eqz(x.flags.cf())))

const DF = 0x400
instruction('cld', '', (x) => x.setState32(L.RFLAGS, x.and(x.state32(L.RFLAGS), x.i32(~DF >>> 0))))
instruction('std', '', (x) => x.setState32(L.RFLAGS, x.or(x.state32(L.RFLAGS), x.i32(DF))))

instruction(
  'xlat',
  '',
  (x) => {
    const offset = x.binary('add', x.gpr(L.RBX, 64), x.extendUnsigned(x.gpr(L.RAX, 8)))
    const address = x.zeroExtend(x.truncate(offset, x.addressSize), x.addressSize, 64)
    x.setGpr(L.RAX, x.read(x.linearOf(address, 1), 1), 8)
  },
  { addressSized: true, modal: 'address' },
)

// Hints and barriers: memory is coherent here and caches do not exist.

for (const name of ['pause', 'endbr64', 'endbr32', 'lfence', 'mfence', 'sfence']) instruction(name, '', () => {})
for (const name of [
  'nop',
  'prefetcht0',
  'prefetcht1',
  'prefetcht2',
  'prefetchnta',
  'prefetchw',
  'prefetchwt1',
  'prefetch',
]) {
  instruction(name, '-', () => {})
}
