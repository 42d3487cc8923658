/** Real mode: segments, interrupts through the vector table, limits, and the way to protected mode and back. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as L from '../src/cpu/layout.ts'
import {
  CODE,
  CODE16,
  CODE32,
  DATA16,
  DATA32,
  EXIT_EXCEPTION,
  EXIT_HLT,
  EXIT_TRIPLE_FAULT,
  farCall16,
  farJump16,
  farJump32,
  GDT,
  HLT,
  INT,
  IRET,
  le16,
  mov16,
  mov32,
  movSegment,
  O32,
  Segmented,
  STACK,
} from './support/segmented.ts'

const UD2 = [0x0f, 0x0b]
/** MOV [disp16], AX with an override */
const storeAx = (override: number, at: number) => [override, 0xa3, ...le16(at)]
const CS_OVERRIDE = 0x2e
const ES_OVERRIDE = 0x26
const FS_OVERRIDE = 0x64

test('INT goes through the vector table with three words on the stack, and IRET comes back', () => {
  const it = new Segmented('real')
  it.deliverAll()
  // Vector 40 at 0300:0010
  it.poke32(0x40 * 4, 0x03000010)
  it.put(0x3010, HLT, ...mov16(3, 0x1234), IRET)
  it.cpu.rflags = 0x202n
  assert.is(it.execute([...INT(0x40), HLT]), EXIT_HLT)
  assert.equal([it.selector(L.CS), it.base(L.CS), it.rip], [0x300, 0x3000, 0x10])
  assert.equal(
    [0, 2, 4].map((at) => it.peek16(it.esp + at)),
    [CODE + 2, 0, 0x202],
  )
  assert.is(it.esp, STACK - 6)
  assert.is(it.cpu.rflags & 0x200n, 0n, 'IF is cleared')
  assert.is(it.go(0x11), EXIT_HLT)
  assert.equal([it.selector(L.CS), it.base(L.CS), it.rip], [0, 0, CODE + 2])
  assert.is(it.gpr(L.RBX), 0x1234)
  assert.is(it.cpu.rflags & 0x200n, 0x200n)
  assert.is(it.esp, STACK)
})

test('an exception has no error code; one without a vector is a double fault, then shutdown', () => {
  const it = new Segmented('real')
  it.deliverAll()
  it.handler(13, [HLT])
  // MOV AX, [FFFF]: a word beyond the limit
  assert.is(it.execute([0xa1, 0xff, 0xff]), EXIT_HLT)
  assert.equal(
    [0, 2, 4].map((at) => it.peek16(STACK - 6 + at)),
    [CODE, 0, 2],
  )
  it.esp = STACK
  it.cpu.writeU32(L.IDTR + L.SEG_LIMIT, 8 * 4 + 3)
  it.handler(8, [HLT])
  assert.is(it.execute(INT(0x40)), EXIT_HLT, '#GP is beyond the limit, too')
  it.cpu.writeU32(L.IDTR + L.SEG_LIMIT, 6 * 4)
  assert.is(it.execute(UD2), EXIT_TRIPLE_FAULT)
})

test('limit violations: #GP, and #SS in the stack segment', () => {
  const it = new Segmented('real')
  assert.is(it.execute([0xa1, 0xff, 0xff]), EXIT_EXCEPTION)
  assert.equal(it.exception, { vector: 13, error: -1 })
  assert.is(it.execute([0x36, 0xa1, 0xff, 0xff]), EXIT_EXCEPTION)
  assert.equal(it.exception, { vector: 12, error: -1 })
  it.esp = 1
  assert.is(it.execute([0x50]), EXIT_EXCEPTION, 'PUSH AX at SP = 1')
  assert.equal(it.exception, { vector: 12, error: -1 })
  it.esp = 0
  assert.is(it.execute([0x50, HLT]), EXIT_HLT)
  assert.is(it.esp, 0xfffe, 'SP wraps around')
})

test('the stack wraps around within the frame of an interrupt', () => {
  const it = new Segmented('real')
  it.deliverAll()
  const handler = it.handler(0x40, [HLT])
  it.esp = 0x12340002
  assert.is(it.execute(INT(0x40)), EXIT_HLT)
  assert.is(it.rip, handler)
  assert.is(it.esp, 0x1234fffc, 'the upper half of ESP stays')
  assert.equal(
    [0, 0xfffe, 0xfffc].map((at) => it.peek16(at)),
    [2, 0, CODE + 2],
  )
})

test('far CALL, JMP and RET: base from the selector, #GP beyond the limit', () => {
  const it = new Segmented('real')
  it.put(0x4567, 0xcb)
  it.put(CODE, ...farCall16(0x400, 0x567), HLT)
  assert.is(it.go(CODE), EXIT_HLT)
  assert.is(it.rip, CODE + 5)
  assert.is(it.selector(L.CS), 0)
  assert.equal([it.peek16(STACK - 4), it.peek16(STACK - 2)], [CODE + 5, 0])
  it.put(0x4567, HLT)
  assert.is(it.execute(farJump16(0x400, 0x567)), EXIT_HLT)
  assert.equal([it.selector(L.CS), it.base(L.CS), it.rip], [0x400, 0x4000, 0x567])
  it.cpu.writeU64(L.CS + L.SEG_BASE, 0n)
  it.cpu.writeU32(L.CS + L.SEG_SELECTOR, 0)
  it.cpu.refresh()
  assert.is(it.execute([O32, ...farJump32(0x400, 0x10000)]), EXIT_EXCEPTION)
  assert.equal(it.exception, { vector: 13, error: -1 })
  assert.is(it.rip, CODE)
})

test('code that runs off the limit of its segment: #GP at the first byte beyond, and at an instruction that straddles it', () => {
  const it = new Segmented('real')
  it.put(0xfffe, 0x90, 0x90)
  assert.is(it.go(0xfffe), EXIT_EXCEPTION)
  assert.equal([it.exception.vector, it.rip], [13, 0x10000])
  // MOV AX, imm16 of three bytes
  it.put(0xfffe, 0xb8, 0x34, 0x12)
  assert.is(it.go(0xfffe), EXIT_EXCEPTION)
  assert.equal([it.exception.vector, it.rip], [13, 0xfffe])
  // The same bytes at another base are within the limit.
  assert.is(it.execute(farJump16(0x100, 0xeffe)), EXIT_EXCEPTION, 'zeroes behind: ADD [BX+SI], AL until the limit')
  assert.is(it.gpr(L.RAX) & 0xff00, 0x1200)
})

test('one code under several bases: limits are those of the running CS', () => {
  const it = new Segmented('real')
  // At linear 1FFF0: NOPs to the end of the page, then HLT
  for (let at = 0x1fff0; at < 0x20000; at++) it.put(at, 0x90)
  it.put(0x20000, HLT)
  for (let round = 0; round < 3; round++) {
    it.execute(farJump16(0x1100, 0xeff0))
    assert.equal([it.selector(L.CS), it.rip], [0x1100, 0xf000], 'reaches HLT in the next page')
    it.cpu.writeU64(L.CS + L.SEG_BASE, 0n)
    it.cpu.refresh()
    assert.is(it.execute(farJump16(0x1000, 0xfff0)), EXIT_EXCEPTION)
    assert.equal([it.exception.vector, it.rip], [13, 0x10000], 'the limit of 1000 comes first')
    it.cpu.writeU64(L.CS + L.SEG_BASE, 0n)
    it.cpu.refresh()
  }
})

/** LGDT [4000]; MOV EAX, CR0 with PE set or cleared; MOV CR0, EAX */
function writeProtection(on: boolean): number[] {
  return [0x0f, 0x20, 0xc0, on ? 0x0c : 0x24, on ? 1 : 0xfe, 0x0f, 0x22, 0xc0]
}

test('to protected mode and back: a limit loaded there stays ("unreal mode"), writing through CS is possible again', () => {
  const it = new Segmented('real')
  it.put(0x4000, ...le16(0xff), ...le16(GDT & 0xffff), ...le16(GDT >> 16))
  it.put(0x100000, 0x78, 0x56, 0x34, 0x12)
  const program = [
    ...[0x0f, 0x01, 0x16, ...le16(0x4000)],
    ...writeProtection(true),
    ...mov16(0, DATA32),
    ...movSegment(4, 0),
    ...writeProtection(false),
    ...farJump16(0, CODE + 0x40),
  ]
  it.put(CODE, ...program)
  it.put(
    CODE + 0x40,
    ...[0x31, 0xc0],
    ...movSegment(4, 0),
    ...storeAx(CS_OVERRIDE, 0x5000),
    // MOV EBX, [FS:EDI] with EDI = 100000
    ...[O32, ...mov32(7, 0x100000)],
    ...[FS_OVERRIDE, O32, 0x67, 0x8b, 0x1f],
    HLT,
  )
  assert.is(it.go(CODE), EXIT_HLT)
  assert.is(it.gpr(L.RBX), 0x12345678)
  assert.is(it.base(L.GDTR), GDT)
  assert.is(it.cpu.readU32(L.FS + L.SEG_LIMIT), 0xffffffff)
  // The other segments have kept their 64 KB.
  assert.is(it.execute([ES_OVERRIDE, O32, 0x67, 0x8b, 0x1f]), EXIT_EXCEPTION)
  assert.equal(it.exception, { vector: 13, error: -1 })
})

test('real mode with a null segment register of protected mode: it can not be used until it is loaded', () => {
  const it = new Segmented('protected')
  it.load(1, CODE16)
  it.load(3, DATA16)
  const nullFs = [...mov16(0, 0), ...movSegment(4, 0), ...writeProtection(false), ...farJump16(0, CODE + 0x40)]
  it.put(CODE, ...nullFs)
  it.put(CODE + 0x40, FS_OVERRIDE, 0xa1, 0, 0)
  assert.is(it.go(CODE), EXIT_EXCEPTION)
  assert.equal(it.exception, { vector: 13, error: -1 })
  it.put(CODE + 0x40, ...movSegment(4, 0), FS_OVERRIDE, 0xa1, 0, 0, HLT)
  assert.is(it.go(CODE + 0x40), EXIT_HLT)
})

test('instructions of protected mode are undefined', () => {
  const it = new Segmented('real')
  // SLDT, STR, LLDT, LTR, VERR, VERW AX; LAR, LSL AX, AX; ARPL AX, AX
  for (const code of [
    ...[0xc0, 0xc8, 0xd0, 0xd8, 0xe0, 0xe8].map((modrm) => [0x0f, 0x00, modrm]),
    [0x0f, 0x02, 0xc0],
    [0x0f, 0x03, 0xc0],
    [0x63, 0xc0],
  ]) {
    assert.is(it.execute(code), EXIT_EXCEPTION)
    assert.equal(it.exception, { vector: 6, error: -1 }, code.map((byte) => byte.toString(16)).join(' '))
  }
})

test('single steps and breakpoints: the address that is compared is the linear one', () => {
  const it = new Segmented('real')
  it.cpu.writeU64(L.DR0, 0x4567n)
  it.cpu.writeU64(L.DR7, 0x401n)
  it.cpu.refresh()
  it.put(0x4566, 0x90, 0x90, HLT)
  assert.is(it.execute(farJump16(0x400, 0x566)), EXIT_EXCEPTION)
  assert.equal([it.exception.vector, it.rip, it.gpr(L.DR6) & 0xf], [1, 0x567, 1])
  it.cpu.writeU64(L.DR7, 0x400n)
  it.cpu.rflags = 0x102n
  it.cpu.refresh()
  assert.is(it.go(0x567), EXIT_EXCEPTION)
  assert.equal([it.exception.vector, it.rip, it.gpr(L.DR6) & 0x4000], [1, 0x568, 0x4000])
})

test('POPF changes IOPL and NT, INT and IRET keep 16 bits of the flags', () => {
  const it = new Segmented('real')
  it.put(STACK - 2, ...le16(0x7202))
  it.esp = STACK - 2
  assert.is(it.execute([0x9d, HLT]), EXIT_HLT)
  assert.is(Number(it.cpu.rflags), 0x7202)
})

test('string instructions wrap around at 64 KB, an element across the limit is #GP with the registers as far as it got', () => {
  const it = new Segmented('real')
  it.setGpr(L.RSI, 0x3000)
  it.setGpr(L.RDI, 0x1234fffe)
  it.setGpr(L.RCX, 4)
  it.put(0x3000, 1, 2, 3, 4)
  assert.is(it.execute([0xf3, 0xa4, HLT]), EXIT_HLT)
  assert.equal([it.gpr(L.RSI), it.gpr(L.RDI), it.gpr(L.RCX)], [0x3004, 0x12340002, 0])
  assert.equal([it.peek16(0xfffe), it.peek16(0)], [0x0201, 0x0403])
  it.setGpr(L.RSI, 0x3000)
  it.setGpr(L.RDI, 0xfffb)
  it.setGpr(L.RCX, 8)
  assert.is(it.execute([0xf3, 0xa5]), EXIT_EXCEPTION)
  assert.is(it.exception.vector, 13)
  assert.equal([it.gpr(L.RSI), it.gpr(L.RDI), it.gpr(L.RCX)], [0x3004, 0xffff, 6])
})

test('from real mode straight into a 32-bit segment, and a table loaded with 24 bits of base', () => {
  const it = new Segmented('real')
  it.put(0x4000, ...le16(0xff), ...le16(GDT & 0xffff), ...le16(0xab00 | (GDT >> 16)))
  it.put(CODE, 0x0f, 0x01, 0x16, ...le16(0x4000), ...writeProtection(true), O32, ...farJump32(CODE32, CODE + 0x40))
  it.put(CODE + 0x40, ...mov32(0, DATA32), ...movSegment(2, 0), ...movSegment(3, 0), ...movSegment(0, 0), HLT)
  assert.is(it.go(CODE), EXIT_HLT)
  assert.is(it.base(L.GDTR), GDT)
  assert.is(it.mode, L.MODE_32)
})

test.run()
