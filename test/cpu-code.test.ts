/** Decoded code: page boundaries, self-modification through every mapping, open bus, the record arena. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as L from '../src/cpu/layout.ts'
import {
  CODE,
  EXIT_EXCEPTION,
  EXIT_HLT,
  HLT,
  invlpg,
  jump,
  LongMode,
  le32,
  movEax,
  PRESENT,
  storeByte,
  USER,
  WRITABLE,
} from './support/long-mode.ts'

const RET = 0xc3
/** CALL to an absolute address from one. */
const call = (from: number, to: number): number[] => [0xe8, ...le32(to - (from + 5))]

test('an instruction that lies across two pages', () => {
  for (let first = 1; first < 5; first++) {
    const it = new LongMode()
    const start = 0x4000 - first
    it.put(start, ...movEax(0x11223344), HLT)
    assert.is(it.go(start), EXIT_HLT)
    assert.is(it.gpr(L.RAX), 0x11223344n, `${first} bytes in the first page`)
  }
})

test('the second page of an instruction mapped elsewhere: the old one is not run', () => {
  const it = new LongMode()
  const start = 0x3ffd
  it.put(start, ...movEax(0x11223344), HLT)
  // The other second page: the rest of MOV EAX, 55663344h and a HLT.
  it.put(0x9000, 0x33, 0x22, 0x77, HLT)
  it.put(0x9000, 0x66, 0x55, HLT)
  assert.is(it.go(start), EXIT_HLT)
  it.map(0x4000, 0x9000)
  it.put(CODE, ...invlpg(0x4000), ...jump(CODE + 8, start))
  assert.is(it.go(CODE), EXIT_HLT)
  assert.is(it.gpr(L.RAX), 0x55663344n)
  it.map(0x4000, 0x4000)
  assert.is(it.go(CODE), EXIT_HLT)
  assert.is(it.gpr(L.RAX), 0x11223344n)
})

test('the second page of an instruction is not there: #PF at its first byte', () => {
  const it = new LongMode()
  it.put(0x3ffd, ...movEax(1), HLT)
  it.map(0x4000, 0x4000, 0n)
  assert.is(it.go(0x3ffd), EXIT_EXCEPTION)
  assert.equal(it.exception, { vector: 14, error: 0x10, cr2: 0x4000n })
  assert.is(it.rip, 0x3ffd)
  it.forget()
  it.map(0x4000, 0x4000)
  assert.is(it.go(0x3ffd), EXIT_HLT)
  assert.is(it.gpr(L.RAX), 1n)
})

test('a store into the second page of an instruction', () => {
  const it = new LongMode()
  it.put(0x3ffd, ...movEax(0x100), RET)
  const program = [...call(CODE, 0x3ffd), ...storeByte(0x4001, 0x55), ...call(CODE + 13, 0x3ffd), HLT]
  assert.is(it.execute(program), EXIT_HLT)
  assert.is(it.gpr(L.RAX), 0x55000100n)
})

test('a store changes the next instruction', () => {
  const it = new LongMode()
  // MOV BYTE [CODE + 9], 2; MOV EAX, 1
  assert.is(it.execute([...storeByte(CODE + 9, 2), ...movEax(1), HLT]), EXIT_HLT)
  assert.is(it.gpr(L.RAX), 2n)
  assert.is(it.execute([...storeByte(CODE + 9, 7), ...movEax(1), HLT]), EXIT_HLT, 'again, decoded before')
  assert.is(it.gpr(L.RAX), 7n)
})

test('a store changes an instruction before it in the same block, which runs again', () => {
  const it = new LongMode()
  // 0: ADD EAX,1  3: MOV BYTE [CODE+2],10h  11: INC ECX  13: CMP ECX,3  16: JB 0
  const program = [0x83, 0xc0, 0x01, ...storeByte(CODE + 2, 0x10), 0xff, 0xc1, 0x83, 0xf9, 3, 0x72, 0xee, HLT]
  assert.is(it.execute(program), EXIT_HLT)
  assert.is(it.gpr(L.RAX), 0x21n)
})

test('a linked branch target is changed behind the branch', () => {
  const it = new LongMode()
  // 0: MOV EAX,1  5: JMP 7  7: MOV BYTE [CODE+1],9  15: INC EBX  17: CMP EBX,2  20: JB 0  22: HLT
  const program = [...movEax(1), 0xeb, 0, ...storeByte(CODE + 1, 9), 0xff, 0xc3, 0x83, 0xfb, 2, 0x72, 0xea, HLT]
  assert.is(it.execute(program), EXIT_HLT)
  assert.is(it.gpr(L.RAX), 9n)
})

test('code is changed through another mapping of its page', () => {
  const it = new LongMode()
  it.map(0x20000, CODE)
  it.put(0x3000, ...call(0x3000, 0x20000), ...storeByte(CODE + 1, 5), ...call(0x300d, 0x20000), HLT)
  it.put(CODE, ...movEax(1), RET)
  assert.is(it.go(0x3000), EXIT_HLT)
  assert.is(it.gpr(L.RAX), 5n, 'run through the alias, written through the other')
  it.put(0x3000, ...call(0x3000, CODE), ...storeByte(0x20001, 6), ...call(0x300d, CODE), HLT)
  assert.is(it.go(0x3000), EXIT_HLT)
  assert.is(it.gpr(L.RAX), 6n, 'and the other way round')
})

test('a page that was written through the TLB before it became code', () => {
  const it = new LongMode()
  it.put(0x3000, ...movEax(1), RET)
  const program = [
    ...storeByte(0x3800, 1),
    ...call(CODE + 8, 0x3000),
    ...storeByte(0x3001, 2),
    ...call(CODE + 21, 0x3000),
    HLT,
  ]
  assert.is(it.execute(program), EXIT_HLT)
  assert.is(it.gpr(L.RAX), 2n)
})

test('code is changed by every kind of store', () => {
  const target = 0x5000
  const address = le32(target + 1)
  const kinds: Record<string, number[]> = {
    'MOV 8 bytes, opcode too': [0x48, 0xc7, 0x04, 0x25, ...le32(target - 3), 0x90, 0x90, 0x90, 0xb8],
    'MOV over a page boundary': [0xc7, 0x04, 0x25, ...le32(target - 1), 0x90, 0xb8, 0x02, 0],
    'ADD [m]': [0x83, 0x04, 0x25, ...address, 1],
    'LOCK XADD': [0xbb, 1, 0, 0, 0, 0xf0, 0x0f, 0xc1, 0x1c, 0x25, ...address],
    CMPXCHG: [...movEax(1), 0xbb, 2, 0, 0, 0, 0x0f, 0xb1, 0x1c, 0x25, ...address],
    STOSB: [0xbf, ...address, 0xb0, 2, 0xaa],
    'REP MOVSB': [0xbe, ...le32(0x6000), 0xbf, ...address, 0xb9, 4, 0, 0, 0, 0xf3, 0xa4],
    'PUSH imm16': [0xbc, ...le32(target + 3), 0x66, 0x6a, 2, 0xbc, ...le32(0x7000)],
    BTS: [0x0f, 0xba, 0x2c, 0x25, ...address, 1],
    SETcc: [0x0f, 0x90, 0x04, 0x25, ...address],
    MOVNTI: [0xbb, 2, 0, 0, 0, 0x0f, 0xc3, 0x1c, 0x25, ...address],
  }
  const after: Record<string, bigint> = { 'MOV 8 bytes, opcode too': 0xffffffffn, BTS: 3n, SETcc: 0n }
  for (const [name, code] of Object.entries(kinds)) {
    const it = new LongMode()
    it.put(0x6000, 2, 0, 0, 0)
    it.put(target - 4, 0x90, 0x90, 0x90, 0x90, ...movEax(1), RET)
    const at = CODE + 5 + code.length
    assert.is(it.execute([...call(CODE, target), ...code, ...call(at, target), HLT]), EXIT_HLT, name)
    assert.is(it.gpr(L.RAX), after[name] ?? 2n, name)
  }
})

test('the host writes code', () => {
  const it = new LongMode()
  it.execute([...movEax(1), HLT])
  const host = it.cpu.hostOf(CODE + 1)
  it.cpu.bytes[host] = 8
  it.cpu.written(host, 1)
  assert.is(it.go(CODE), EXIT_HLT)
  assert.is(it.gpr(L.RAX), 8n)
})

test('the same code at two addresses has its own RIP-relative operands and return addresses', () => {
  const it = new LongMode()
  it.map(0x20000, 0x9000)
  it.map(0x30000, 0x9000)
  // LEA RAX, [RIP]; HLT
  it.put(0x9000, 0x48, 0x8d, 0x05, 0, 0, 0, 0, HLT)
  for (const base of [0x20000, 0x30000, 0x9000, 0x20000]) {
    assert.is(it.go(base), EXIT_HLT)
    assert.is(it.gpr(L.RAX), BigInt(base + 7))
    assert.is(it.rip, base + 7, 'RIP is left at the HLT')
  }
})

test('code in the open bus is FF FF: #UD, also when execution runs into it', () => {
  const it = new LongMode()
  it.map(0x20000, 0x10000000)
  assert.is(it.go(0x20000), EXIT_EXCEPTION)
  assert.is(it.exception.vector, 6)
  it.forget()
  it.put(0x1ffff, 0x90)
  assert.is(it.go(0x1ffff), EXIT_EXCEPTION)
  assert.is(it.exception.vector, 6)
  assert.is(it.rip, 0x20000)
  it.forget()
  // The last byte of MOV EAX, imm32 comes from the open bus.
  it.put(0x1fffc, 0xb8, 0x11, 0x22, 0x33)
  assert.is(it.go(0x1fffc), EXIT_EXCEPTION)
  assert.is(it.gpr(L.RAX), 0xff332211n)
  assert.is(it.rip, 0x20001)
  assert.is(it.cpu.bytes[L.OPEN_BUS], 0xff)
})

test('the arena of records overflows: all is decoded anew, and goes on rightly', () => {
  const it = new LongMode()
  // Room for two traces of the greatest length, and a little.
  it.cpu.writeU32(L.RECORD_END, L.RECORDS + 3 * (64 + 32 * 130))
  // 200 blocks of INC EAX; JMP to the next one, on 25 pages; three rounds.
  for (let block = 0; block < 200; block++) {
    const at = 0x10000 + block * 0x200
    it.put(at, 0xff, 0xc0, ...jump(at + 2, block === 199 ? CODE : at + 0x200))
  }
  it.put(CODE, 0xff, 0xc3, 0x83, 0xfb, 3, 0x77, 5, ...jump(CODE + 7, 0x10000), HLT)
  assert.is(it.go(CODE), EXIT_HLT)
  assert.is(it.gpr(L.RAX), 600n)
  assert.ok(it.counter(L.COUNT_RECORD_FLUSH) > 3, `${it.counter(L.COUNT_RECORD_FLUSH)} flushes`)
})

test('code that was decoded before an overflow is still watched after it', () => {
  const it = new LongMode()
  it.put(0x3000, ...movEax(1), RET)
  it.cpu.writeU32(L.RECORD_END, L.RECORDS + 64 + 32 * 130 + 1000)
  const program = [
    ...call(CODE, 0x3000),
    ...call(CODE + 5, 0x4000),
    ...storeByte(0x3001, 3),
    ...call(CODE + 18, 0x3000),
    HLT,
  ]
  for (let block = 0; block < 40; block++)
    it.put(0x4000 + block * 32, ...jump(0x4000 + block * 32, 0x4020 + block * 32))
  it.put(0x4000 + 40 * 32, RET)
  assert.is(it.execute(program), EXIT_HLT)
  assert.is(it.gpr(L.RAX), 3n)
  assert.ok(it.counter(L.COUNT_RECORD_FLUSH) > 0)
})

test('a page that loses its right to be executed', () => {
  const it = new LongMode()
  it.put(0x3000, ...movEax(1), RET)
  it.execute([...call(CODE, 0x3000), HLT])
  it.map(0x3000, 0x3000, PRESENT | WRITABLE | USER | (1n << 63n))
  it.cpu.writeU64(L.EFER, 0xd01n)
  assert.is(it.execute([...invlpg(0x3000), ...call(CODE + 8, 0x3000), HLT]), EXIT_EXCEPTION)
  assert.equal(it.exception, { vector: 14, error: 0x11, cr2: 0x3000n })
})

test.run()
