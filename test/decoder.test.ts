/** The decoder's rules that are easy to get wrong, case by case: bytes and the text they stand for. */

import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Decoder } from '../src/cpu/decoder/decoder.ts'
import { disassemble } from '../src/cpu/decoder/disassemble.ts'
import { FEATURES, type Feature } from '../src/cpu/decoder/features.ts'
import { DecodeStatus, Instruction, OperandKind, RIP_BASE, Segment } from '../src/cpu/decoder/instruction.ts'
import { featuresOf, forEachForm, isProtectedModeOnly, NAMES, nameOf } from '../src/cpu/decoder/opcodes.ts'
import { Generator, SLOT } from './decoder/generator.ts'

const decoders = { 16: new Decoder(16), 32: new Decoder(32), 64: new Decoder(64) }
type Mode = keyof typeof decoders

const STATUS: Record<DecodeStatus, string> = { 0: 'ok', 1: 'truncated', 2: '#UD', 3: '#GP' }

const parse = (hex: string): Uint8Array => Uint8Array.from(hex.split(' '), (byte) => Number.parseInt(byte, 16))

function decode(mode: Mode, hex: string, decoder = decoders[mode]): Instruction {
  const bytes = parse(hex)
  const instruction = new Instruction()
  decoder.decode(bytes, 0, bytes.length, instruction)
  return instruction
}

/** Text of the instruction at 0x401000 that is exactly these bytes, or why there is none. */
function text(mode: Mode, hex: string, decoder = decoders[mode]): string {
  const instruction = decode(mode, hex, decoder)
  if (instruction.status !== DecodeStatus.ok) return STATUS[instruction.status]
  assert.is(instruction.length, parse(hex).length, hex)
  return disassemble(instruction, mode === 16 ? 0x1000n : 0x401000n)
}

/** Lines of `bytes | text`. */
function listing(mode: Mode, lines: string): void {
  for (const line of lines.trim().split('\n')) {
    const [hex = '', expected = ''] = line.split('|').map((part) => part.trim())
    assert.is(text(mode, hex), expected, `${mode}-bit ${hex}`)
  }
}

function without(...absent: Feature[]): Decoder {
  return new Decoder(
    64,
    FEATURES.filter((feature) => !absent.includes(feature)),
  )
}

test('addressing in 64-bit mode', () =>
  listing(
    64,
    `
  48 01 54 88 10          | add qword ptr [rax+rcx*4+0x10], rdx
  48 8b 05 f9 0f 00 00    | mov rax, qword ptr [0x402000]
  67 8b 05 f9 0f 00 00    | mov eax, dword ptr [0x402000]
  8b 04 25 00 00 00 80    | mov eax, dword ptr [0xffffffff80000000]
  8b 04 24                | mov eax, dword ptr [rsp]
  42 8b 04 24             | mov eax, dword ptr [rsp+r12]
  41 8b 04 24             | mov eax, dword ptr [r12]
  41 8b 45 00             | mov eax, dword ptr [r13]
  8b 44 6d 80             | mov eax, dword ptr [rbp+rbp*2-0x80]
  67 8b 44 6d 80          | mov eax, dword ptr [ebp+ebp*2-0x80]
  48 a1 88 77 66 55 44 33 22 11 | mov rax, qword ptr [0x1122334455667788]
  67 a0 44 33 22 f1       | mov al, byte ptr [0xf1223344]
  65 48 8b 04 25 28 00 00 00 | mov rax, qword ptr gs:[0x28]
  26 8b 00                | mov eax, dword ptr [rax]
`,
  ))

test('addressing in 16-bit and 32-bit mode', () => {
  listing(
    16,
    `
    8b 00                   | mov ax, word ptr [bx+si]
    8b 06 34 12             | mov ax, word ptr [0x1234]
    8b 46 fe                | mov ax, word ptr [bp-0x2]
    26 8b 46 00             | mov ax, word ptr es:[bp]
    67 66 8b 04 8b          | mov eax, dword ptr [ebx+ecx*4]
    8b 87 00 80             | mov ax, word ptr [bx-0x8000]
  `,
  )
  listing(
    32,
    `
    8b 05 78 56 34 12       | mov eax, dword ptr [0x12345678]
    67 8b 07                | mov eax, dword ptr [bx]
    a1 78 56 34 f2          | mov eax, dword ptr [0xf2345678]
  `,
  )
})

test('default segments', () => {
  const segment = (mode: Mode, hex: string): number => decode(mode, hex).memSegment
  assert.is(segment(64, '8b 45 00'), Segment.ss)
  assert.is(segment(64, '41 8b 45 00'), Segment.ds, 'R13 is no RBP')
  assert.is(segment(64, '8b 04 6d 00 00 00 00'), Segment.ds, 'RBP as index')
  assert.is(segment(64, '3e 8b 45 00'), Segment.ss, 'DS override is ignored')
  assert.is(segment(64, '64 3e 8b 45 00'), Segment.fs)
  assert.is(segment(32, '3e 8b 45 00'), Segment.ds)
  assert.is(segment(16, '8b 02'), Segment.ss)
  assert.is(segment(64, '65 a4'), Segment.gs, 'source of MOVS')
  assert.is(segment(32, '36 d7'), Segment.ss, 'XLAT')
})

test('prefixes in any order, REX only right before the opcode', () =>
  listing(
    64,
    `
  66 48 05 00 00 00 01    | add rax, 0x1000000
  48 66 05 00 01          | add ax, 0x100
  66 66 66 90             | nop
  f3 66 a5                | rep movsw
  66 f3 48 a5             | rep movsq
  f2 f3 a6                | repe cmpsb
  f3 f2 ae                | repne scasb
  88 e0                   | mov al, ah
  40 88 e0                | mov al, spl
  41 88 e0                | mov r8b, spl
`,
  ))

test('fifteen bytes and no more', () => {
  const prefixes = (count: number): string => '66 '.repeat(count)
  assert.is(text(64, `${prefixes(14)}90`), 'nop')
  assert.is(text(64, `${prefixes(15)}90`), '#GP')
  assert.is(text(64, `${prefixes(11)}05 34 12`), 'add ax, 0x1234')
  assert.is(text(64, `${prefixes(13)}05 34 12`), '#GP')
  assert.is(text(64, `${prefixes(14)}06`), '#UD')
  assert.is(text(64, prefixes(14).trim()), 'truncated')
  assert.is(text(64, prefixes(15).trim()), '#GP')
})

test('every byte of an instruction is waited for, none after it', () => {
  for (const hex of [
    '48 b8 01 02 03 04 05 06 07 08',
    'c4 e3 7d 06 04 25 00 00 00 00 11',
    'c4 e2 fd 93 1c cf',
    'f0 48 0f c7 4c 24 08',
    'c8 10 00 01',
    '0f 3a cc c1 01',
  ]) {
    const bytes = parse(hex)
    const instruction = new Instruction()
    for (let limit = 0; limit < bytes.length; limit++) {
      assert.is(decoders[64].decode(bytes, 0, limit, instruction), DecodeStatus.truncated, `${hex} up to ${limit}`)
      assert.is(instruction.length, limit)
    }
    assert.is(decoders[64].decode(bytes, 0, bytes.length, instruction), DecodeStatus.ok, hex)
  }
  assert.is(text(64, '06'), '#UD', 'known without more bytes')
})

test('LOCK with a memory destination of some instructions only', () =>
  listing(
    64,
    `
  f0 01 08                | lock add dword ptr [rax], ecx
  f0 01 c8                | #UD
  f0 03 08                | #UD
  f0 39 08                | #UD
  f0 48 0f c1 0b          | lock xadd qword ptr [rbx], rcx
  f0 86 08                | lock xchg byte ptr [rax], cl
  f0 0f b3 08             | lock btr dword ptr [rax], ecx
  f0 0f a3 08             | #UD
  f0 0f ba 20 03          | #UD
  f0 f7 18                | lock neg dword ptr [rax]
  f0 f7 20                | #UD
  f0 48 0f c7 0f          | lock cmpxchg16b xmmword ptr [rdi]
  f0 0f 20 c0             | #UD
  f0 90                   | #UD
`,
  ))

test('operand size of stack and branch instructions', () => {
  listing(
    64,
    `
    55                      | push rbp
    66 55                   | push bp
    41 54                   | push r12
    6a ff                   | push 0xffffffffffffffff
    66 68 34 12             | push 0x1234
    66 9c                   | pushf
    9d                      | popfq
    cf                      | iretd
    48 cf                   | iretq
    66 e8 00 01 00 00       | call 0x401106
    66 74 10                | je 0x401013
    66 ff e0                | jmp rax
    67 e3 fe                | jecxz 0x401001
    48 ff 2b                | jmp tbyte ptr [rbx]
    0f 85 fa ff ff ff       | jne 0x401000
    c2 08 00                | ret 0x8
    c8 10 00 01             | enter 0x10, 0x1
  `,
  )
  listing(
    32,
    `
    66 e8 00 01             | call 0x1104
    66 74 10                | je 0x1013
    9a 78 56 34 12 08 00    | call 0x8:0x12345678
    66 ea 34 12 08 00       | jmp 0x8:0x1234
    60                      | pushad
    06                      | push es
    48                      | dec eax
  `,
  )
  listing(
    16,
    `
    e9 fd ff                | jmp 0x1000
    66 e9 00 00 01 00       | jmp 0x11006
    66 61                   | popad
  `,
  )
})

test('encodings of one mode only', () => {
  for (const hex of [
    '06',
    '0e',
    '27',
    '37',
    '60',
    '62 00',
    '82 c0 01',
    '9a 00 00 00 00 00 00',
    'c4 00',
    'ce',
    'd4 0a',
    'd6',
    'ea 00 00 00 00 00 00',
  ]) {
    assert.is(text(64, hex), '#UD', hex)
    assert.is.not(text(32, hex), '#UD', hex)
  }
  assert.is(text(64, '63 c8'), 'movsxd ecx, eax')
  assert.is(text(64, '48 63 c8'), 'movsxd rcx, eax')
  assert.is(text(32, '63 c8'), 'arpl ax, cx')
  assert.is(text(32, '0f 01 f8'), '#UD', 'SWAPGS')
  assert.is(text(64, '0f 01 f8'), 'swapgs')
  assert.is(text(32, 'f3 0f ae c0'), '#UD', 'RDFSBASE')
})

test('NOP, PAUSE and XCHG share an opcode', () =>
  listing(
    64,
    `
  90                      | nop
  48 90                   | nop
  f3 90                   | pause
  41 90                   | xchg r8d, eax
  f3 41 90                | xchg r8d, eax
  49 90                   | xchg r8, rax
  66 91                   | xchg cx, ax
  f3 0f 1e fa             | endbr64
  f3 0f 1e fb             | endbr32
  f3 48 0f 1e c8          | nop rax
  0f 1f 44 00 00          | nop dword ptr [rax+rax]
`,
  ))

test('segment, control and debug registers', () => {
  listing(
    64,
    `
    8e d8                   | mov ds, ax
    8e c8                   | #UD
    8e f0                   | #UD
    8e f8                   | #UD
    8c c8                   | mov eax, cs
    48 8c c8                | mov rax, cs
    8c 08                   | mov word ptr [rax], cs
    8c f0                   | #UD
    0f 20 d8                | mov rax, cr3
    0f 20 18                | mov rax, cr3
    44 0f 22 c0             | mov cr8, rax
    0f 20 c8                | #UD
    0f 22 e8                | #UD
    44 0f 20 c8             | #UD
    0f 23 f8                | mov dr7, rax
    44 0f 23 f8             | #UD
  `,
  )
  assert.is(text(32, '0f 20 1d'), 'mov ebp, cr3', 'ModRM.mod is ignored')
})

test('opcode extensions without a meaning, and aliases', () =>
  listing(
    64,
    `
  8f c0                   | pop rax
  8f e8                   | #UD
  8f e9 78 01 c0          | #UD
  c6 f8 00                | #UD
  c7 f8 00 00 00 00       | #UD
  f6 c8 01                | test al, 0x1
  c0 f0 03                | shl al, 0x3
  d1 20                   | shl dword ptr [rax], 1
  d3 f8                   | sar eax, cl
  fe d0                   | #UD
  ff f8                   | #UD
  ff d8                   | #UD
  8d c0                   | #UD
  0f 0b                   | ud2
  0f b9 c0                | ud1 eax, eax
  0f ff 00                | ud0 eax, dword ptr [rax]
  0f 0f c0 9e             | #UD
  62 f1 7c 48 58 c1       | #UD
  66 0f c3 00             | #UD
  0f c3 00                | movnti dword ptr [rax], eax
  0f c3 c0                | #UD
  0f ae e8                | lfence
  66 0f ae e8             | #UD
`,
  ))

test('immediates are extended as the instruction uses them', () => {
  const value = (mode: Mode, hex: string): bigint => {
    const { immHi, immLo } = decode(mode, hex)
    return (BigInt(immHi) << 32n) | BigInt(immLo >>> 0)
  }
  assert.is(value(64, '48 83 c0 ff'), -1n)
  assert.is(value(64, '48 81 c0 00 00 00 80'), -0x80000000n)
  assert.is(value(64, 'c0 e0 ff'), 0xffn)
  assert.is(value(64, 'cd 80'), 0x80n)
  assert.is(value(64, 'e4 ff'), 0xffn)
  assert.is(value(64, '48 b8 ff ff ff ff 00 00 00 80'), -0x7fffffff00000001n)
  assert.is(value(16, 'c2 00 80'), 0x8000n)
})

test('mandatory prefixes, and 66 beside them', () =>
  listing(
    64,
    `
  f3 0f b8 c1             | popcnt eax, ecx
  66 f3 0f b8 c1          | popcnt ax, cx
  0f b8 c1                | #UD
  f3 0f bc c1             | tzcnt eax, ecx
  f2 0f bc c1             | bsf eax, ecx
  0f 38 f0 08             | movbe ecx, dword ptr [rax]
  0f 38 f0 c8             | #UD
  f2 0f 38 f0 c1          | crc32 eax, cl
  66 f2 0f 38 f1 c1       | crc32 eax, cx
  f2 48 0f 38 f1 c1       | crc32 rax, rcx
  66 0f 6e c1             | movd xmm0, ecx
  66 48 0f 6e c1          | movq xmm0, rcx
  66 f2 0f 10 c1          | movsd xmm0, xmm1
  f3 0f 58 00             | addss xmm0, dword ptr [rax]
  0f 58 00                | addps xmm0, xmmword ptr [rax]
  0f 12 c1                | movhlps xmm0, xmm1
  0f 12 00                | movlps xmm0, qword ptr [rax]
  0f 71 d1 03             | psrlw mm1, 0x3
  41 0f fc c1             | paddb mm0, mm1
  d8 c1                   | fadd st(0), st(1)
  dc e1                   | fsubr st(1), st(0)
  db 28                   | fld tbyte ptr [rax]
  df e0                   | fnstsw ax
`,
  ))

test('VEX', () => {
  listing(
    64,
    `
    c5 f8 77                | vzeroupper
    c5 fc 77                | vzeroall
    c5 f0 58 c2             | vaddps xmm0, xmm1, xmm2
    c4 41 34 58 c2          | vaddps ymm8, ymm9, ymm10
    c4 e2 f0 f2 c1          | andn rax, rcx, rcx
    c4 e2 74 f2 c1          | #UD
    66 c5 f0 58 c2          | #UD
    f0 c5 f0 58 02          | #UD
    40 c5 f0 58 c2          | #UD
    64 c5 f0 58 02          | vaddps xmm0, xmm1, xmmword ptr fs:[rdx]
    c5 f8 28 c1             | vmovaps xmm0, xmm1
    c5 f0 28 c1             | #UD
    c4 e0 78 58 c1          | #UD
    c4 e4 78 58 c1          | #UD
    c5 fa 10 00             | vmovss xmm0, dword ptr [rax]
    c5 f2 10 c2             | vmovss xmm0, xmm1, xmm2
    c5 f2 10 00             | #UD
    c4 e3 71 4a c2 30       | vblendvps xmm0, xmm1, xmm2, xmm3
    c4 e3 fd 00 c1 1b       | vpermq ymm0, ymm1, 0x1b
    c4 e3 f9 00 c1 1b       | #UD
    c4 e3 7d 00 c1 1b       | #UD
    c4 e2 6d 92 0c 87       | vgatherdps ymm1, dword ptr [rdi+ymm0*4], ymm2
    c4 e2 ed 92 0c 87       | vgatherdpd ymm1, qword ptr [rdi+xmm0*4], ymm2
    c4 e2 75 92 0c 87       | #UD
    c4 e2 6d 92 08          | #UD
  `,
  )
  listing(
    32,
    `
    c5 f0 58 c2             | vaddps xmm0, xmm1, xmm2
    c5 30                   | lds esi, fword ptr [eax]
    c4 00                   | les eax, fword ptr [eax]
    c4 c1 70 58 c2          | vaddps xmm0, xmm1, xmm2
    c4 e1 f9 6e c1          | vmovd xmm0, ecx
  `,
  )
})

test('an absent feature gives #UD, or what older processors did', () => {
  assert.is(text(64, 'f3 0f bd c1', without('lzcnt')), 'bsr eax, ecx')
  assert.is(text(64, 'f3 0f bc c1', without('bmi1')), 'bsf eax, ecx')
  assert.is(text(64, 'f3 0f b8 c1', without('popcnt')), '#UD')
  assert.is(text(64, 'c5 fd fc c1', without('avx2')), '#UD')
  assert.is(text(64, 'c5 f9 fc c1', without('avx2')), 'vpaddb xmm0, xmm0, xmm1')
  assert.is(text(64, 'c4 e2 79 dc c1', without('aes')), '#UD')
  assert.is(text(64, '0f 78 c1', without('vmx')), '#UD')
  assert.equal(featuresOf(decode(64, 'f3 0f b8 c1').encoding), ['popcnt'])
  assert.equal(featuresOf(decode(64, 'c4 e2 79 dc c1').encoding), ['aes', 'avx'])
  assert.equal(featuresOf(decode(64, '90').encoding), [])
})

test('instructions that real mode lacks', () => {
  assert.ok(isProtectedModeOnly(decode(16, '0f 00 d8').encoding), 'LTR')
  assert.ok(isProtectedModeOnly(decode(16, 'c5 f0 58 c2').encoding), 'VEX')
  assert.not.ok(isProtectedModeOnly(decode(16, '0f 01 10').encoding), 'LGDT')
})

test('fields of a decoded instruction', () => {
  const add = decode(64, 'f0 48 01 54 88 10')
  assert.is(nameOf(add.name), 'add')
  assert.is(add.operandSize, 64)
  assert.is(add.lock, true)
  assert.equal([...add.opKind.slice(0, add.operandCount)], [OperandKind.mem, OperandKind.gpr])
  assert.equal([add.memBase, add.memIndex, add.memScale, add.dispLo, add.opReg[1]], [0, 1, 2, 0x10, 2])
  assert.is(decode(64, '8b 05 00 00 00 00').memBase, RIP_BASE)
  assert.is(decode(64, 'f3 90').rep, 0, 'F3 is part of PAUSE')
  assert.is(decode(64, 'f3 a4').rep, 0xf3)
  assert.is(nameOf(decode(64, '0f 22 c0').name), 'mov.to_cr')
  assert.is(nameOf(decode(64, '69 c0 01 00 00 00').name), 'imul.3')
  assert.is(decode(64, '6d').operandSize, 32)
  assert.is(decode(64, '48 6d').operandSize, 32, 'INS has no 64-bit form')
  assert.equal([...decode(64, 'ed').opSize.slice(0, 2)], [32, 16])
})

test('forEachForm names every form that is ever decoded, once', () => {
  const forms = new Set<string>()
  const names = new Set<string>()
  forEachForm((name, operandSize, kinds, sizes) => {
    const form = `${name} ${operandSize} ${kinds.join()} ${sizes.join()}`
    assert.not.ok(forms.has(form), form)
    forms.add(form)
    names.add(name)
  })
  assert.equal([...names].sort(), [...NAMES].sort())
  const bytes = new Uint8Array(SLOT)
  const instruction = new Instruction()
  const { opKind, opSize } = instruction
  const decoded = new Set<string>()
  for (const mode of [16, 32, 64] as const) {
    const generator = new Generator(mode, mode)
    for (let i = 0; i < 150_000; i++) {
      generator.fill(bytes, 0)
      if (decoders[mode].decode(bytes, 0, SLOT, instruction) !== DecodeStatus.ok) continue
      const { name, operandSize, operandCount } = instruction
      const kinds = opKind.slice(0, operandCount).join()
      decoded.add(`${nameOf(name)} ${operandSize} ${kinds} ${opSize.slice(0, operandCount).join()}`)
    }
  }
  assert.equal(
    [...decoded].filter((form) => !forms.has(form)),
    [],
  )
  assert.ok(decoded.size > forms.size * 0.7, `${decoded.size} of ${forms.size} forms were decoded`)
})

test.run()
