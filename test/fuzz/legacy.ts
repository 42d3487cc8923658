/**
 * Random programs outside 64-bit mode, in the ranges of machine.ts:
 *
 *   00000  vectors of real mode      0A000  two TSS of 32 bits, A800, and one of 16, AC00      28000  ring-0 stacks
 *   01000  tables: 32-bit paging     0B000  handlers of 32 bits, 0C000 of 16                    30000  stack of the program
 *   05000  tables: PAE               10000  code, 8 KB
 *   08000  GDT, 08800 LDT, 09000 IDT 20000  data, 32 KB
 */
import {
  VCPU_REGS_CR0,
  VCPU_REGS_CR3,
  VCPU_REGS_CR4,
  VCPU_REGS_CS,
  VCPU_REGS_EFER,
  VCPU_REGS_LDTR,
  VCPU_REGS_PDPTE0,
  VCPU_REGS_RFLAGS,
  VCPU_REGS_RIP,
  VCPU_REGS_RSP,
  VCPU_REGS_SS,
  VCPU_REGS_STAR,
  VCPU_REGS_TR,
  type VcpuRegState,
  type VcpuSegmentInfo,
} from '../../src/vmm/index.ts'
import { longModeState } from '../support/guest64.ts'
import { type CodeSize, randomInstruction, WILD } from './instructions.ts'
import { le32, type Program, RANGES } from './machine.ts'
import type { Random } from './random.ts'

export const LEGACY_KINDS = ['real', 'protected16', 'protected32', 'virtual8086'] as const
export type LegacyKind = (typeof LEGACY_KINDS)[number]

const DIRECTORY = 0x1000
const TABLE = 0x2000
const POINTERS = 0x5000
const PAE_DIRECTORY = 0x6000
const PAE_TABLE = 0x7000
const GDT = 0x8000
const LDT = 0x8800
const IDT = 0x9000
const TSS = 0xa000
const HANDLERS = 0xb000
const HANDLERS_16 = 0xc000
const CODE = 0x10000
const CODE_SIZE = 0x2000
const DATA = 0x20000
const KERNEL_STACK = 0x29000
const STACK = 0x30000

const MEMORY_SIZE = RANGES.reduce((sum, { size }) => sum + size, 0)
const memory = new Uint8Array(MEMORY_SIZE)
const view = new DataView(memory.buffer)

function u64(at: number, value: bigint): void {
  view.setBigUint64(at, value, true)
}

/** Base, limit in bytes (whole pages when it is a large one), access byte, D/B. */
function segment(base: number, limit: number, access: number, big: boolean): bigint {
  const isLarge = limit > 0xfffff
  const raw = isLarge ? limit >>> 12 : limit
  const flags = (isLarge ? 8 : 0) | (big ? 4 : 0)
  const low = BigInt(raw & 0xffff) | (BigInt(base & 0xffffff) << 16n) | (BigInt(access) << 40n)
  return low | (BigInt((raw >> 16) | (flags << 4)) << 48n) | (BigInt(base >>> 24) << 56n)
}

function gate(selector: number, offset: number, access: number, parameters = 0): bigint {
  const low = BigInt(offset & 0xffff) | (BigInt(selector) << 16n) | (BigInt(parameters) << 32n)
  return low | (BigInt(access) << 40n) | (BigInt(offset >>> 16) << 48n)
}

/** Base, limit, access byte and D/B of the segments that programs begin with. */
const SEGMENTS: Record<number, readonly [base: number, limit: number, access: number, big: boolean]> = {
  8: [0, 0xffffffff, 0x9b, true],
  16: [0, 0xffffffff, 0x93, true],
  27: [0, 0xffffffff, 0xfb, true],
  35: [0, 0xffffffff, 0xf3, true],
  40: [CODE, 0x1fff, 0x9b, false],
  48: [DATA, 0x7fff, 0x93, false],
  59: [CODE, 0x1fff, 0xfb, false],
  67: [DATA, 0x7fff, 0xf3, false],
  75: [DATA, 0x0fff, 0xf7, true],
  80: [STACK - 0x8000, 0xffff, 0x93, false],
  91: [STACK - 0x8000, 0xffff, 0xf3, false],
}
const TSS_SELECTORS = [0x60, 0x68, 0x70]
const LDT_SELECTOR = 0x78

export function legacyProgram(random: Random, kind: LegacyKind): Program {
  memory.fill(0)
  writeTables(random)
  writeDescriptors(random)
  writeHandlers(random)
  writeCode(random, kind === 'protected32' ? 32 : 16)
  for (let at = DATA; at < DATA + 0x8000; at += 4) {
    view.setUint32(at, random.oneIn(8) ? random.u32() : at & 0x7fff, true)
  }
  return { memory, state: initialState(random, kind) }
}

function writeTables(random: Random): void {
  const rights = () => (random.oneIn(24) ? random.pick([0, 1, 3, 5]) : 7) | random.pick([0, 0x60, 0x100])
  view.setUint32(DIRECTORY, TABLE | 7, true)
  view.setUint32(DIRECTORY + 4, 0x87 | random.pick([0, 0x2000, 0x200000]), true)
  u64(POINTERS, BigInt(PAE_DIRECTORY | 1))
  u64(PAE_DIRECTORY, BigInt(PAE_TABLE | 7))
  u64(PAE_DIRECTORY + 8, 0x87n)
  for (let page = 0; page < 1024; page++) {
    const isOwn = page >= 8 && page < 0x12
    view.setUint32(TABLE + page * 4, (page << 12) | (isOwn ? 7 : rights()), true)
    if (page < 512) u64(PAE_TABLE + page * 8, BigInt((page << 12) | (isOwn ? 7 : rights())))
  }
}

function writeDescriptors(random: Random): void {
  for (const [selector, entry] of Object.entries(SEGMENTS)) u64(GDT + (Number(selector) & ~7), segment(...entry))
  u64(GDT + 0x60, segment(TSS, 0xfff, 0x8b, false))
  u64(GDT + 0x68, segment(TSS + 0x800, 0x67, 0x89 | random.pick([0, 0x60]), false))
  u64(GDT + 0x70, segment(TSS + 0xc00, 0x2b, 0x81 | random.pick([0, 0x60]), false))
  u64(GDT + LDT_SELECTOR, segment(LDT, 0x7f, 0x82, false))
  u64(GDT + 0x80, gate(0x08, HANDLERS_32_TARGET, 0xec, random.below(8)))
  u64(GDT + 0x88, gate(0x28, 0x100, 0xe4, random.below(8)))
  u64(GDT + 0x90, gate(0x68, 0, 0xe5))
  u64(GDT + 0x98, segment(0, 0xffffffff, 0xfe, true))
  for (let at = 0xa0; at < 0xc0; at += 8) u64(GDT + at, random.u64())
  for (let at = 0; at < 0x80; at += 8) u64(LDT + at, random.oneIn(2) ? random.u64() : view.getBigUint64(GDT + at, true))
  writeTasks(random)
  for (let vector = 0; vector < 256; vector++) {
    const type = random.oneIn(60) ? random.below(32) : random.pick([14, 14, 15, random.pick([5, 6, 7, 14])])
    const level = random.oneIn(3) ? 0 : 0x60
    const target = type === 5 ? random.pick([0x68, 0x70]) : 0x08
    u64(IDT + vector * 8, gate(target, HANDLERS + (vector % 48) * 64, 0x80 | level | type))
    view.setUint32(vector * 4, ((HANDLERS_16 >> 4) << 16) | ((vector % 16) * 16), true)
  }
}

/** Where call gates lead: a handler that has no error code to pop. */
const HANDLERS_32_TARGET = HANDLERS + 3 * 64

function writeTasks(random: Random): void {
  for (const tss of [TSS, TSS + 0x800]) {
    for (const level of [0, 1, 2]) {
      view.setUint32(tss + 4 + level * 8, KERNEL_STACK, true)
      view.setUint32(tss + 8 + level * 8, 0x10, true)
    }
    view.setUint32(tss + 0x1c, random.pick([DIRECTORY, POINTERS]), true)
    view.setUint32(tss + 0x20, HANDLERS_32_TARGET, true)
    view.setUint32(tss + 0x24, 2 | (random.u32() & 0x5cd5), true)
    view.setUint32(tss + 0x38, KERNEL_STACK - 0x400, true)
    const segments = [0x10, 0x08, 0x10, 0x10, 0x10, 0]
    segments.forEach((selector, index) => {
      view.setUint16(tss + 0x48 + index * 4, random.oneIn(20) ? random.below(0xc0) : selector, true)
    })
    view.setUint16(tss + 0x60, random.pick([0, LDT_SELECTOR]), true)
    view.setUint16(tss + 0x64, random.oneIn(8) ? 1 : 0, true)
    view.setUint16(tss + 0x66, 0x68, true)
  }
  for (let at = 0x68; at < 0x800; at += 4) view.setUint32(TSS + at, random.oneIn(4) ? random.u32() : 0, true)
  const small = TSS + 0xc00
  view.setUint16(small + 0x0e, 0x100, true)
  view.setUint16(small + 0x10, 2, true)
  view.setUint16(small + 0x1a, 0x8000, true)
  for (const [index, selector] of [0x30, 0x28, 0x50, 0x30].entries()) {
    view.setUint16(small + 0x22 + index * 2, selector, true)
  }
}

/** Handlers go on one byte further, or somewhere in the code; some load data segments on the way. */
function writeHandlers(random: Random): void {
  for (let slot = 0; slot < 48; slot++) {
    const hasError = slot === 8 || (slot >= 10 && slot <= 14) || slot === 17
    const target = random.below(CODE_SIZE) + random.pick([0, CODE])
    const code = [
      ...(random.oneIn(2)
        ? [0x66, 0xb8, ...[random.pick([0x10, 0x23, 0x43, 0]), 0], 0x8e, random.pick([0xd8, 0xc0])]
        : []),
      ...(hasError ? [0x83, 0xc4, 4] : []),
      ...(random.oneIn(4) ? [0xc7, 0x04, 0x24, ...le32(target)] : [0xff, 0x04, 0x24]),
      0xcf,
    ]
    memory.set(code, HANDLERS + slot * 64)
  }
  for (let slot = 0; slot < 16; slot++) {
    // PUSH BP; MOV BP, SP; INC WORD [BP+2] or MOV; POP BP; IRET
    const target = random.below(CODE_SIZE)
    const change = random.oneIn(4) ? [0xc7, 0x46, 2, target & 255, target >> 8] : [0xff, 0x46, 2]
    memory.set([0x55, 0x89, 0xe5, ...change, 0x5d, 0xcf], HANDLERS_16 + slot * 16)
  }
}

const SELECTORS = [0, 3, 0x10, 0x23, 0x30, 0x43, 0x4b, 0x50, 0x5b, 0x98, 0x9b, 0xa0, 0xa8, 0x0c, 0x14, 0x1f, 0x27]

function writeCode(random: Random, codeSize: CodeSize): void {
  const share = random.pick([2, 8, 64, 1000])
  const shape = { ...WILD, codeSize }
  let at = CODE
  while (at < CODE + CODE_SIZE - 24) {
    const bytes = piece(random, codeSize, share, () => randomInstruction(random, shape))
    memory.set(bytes, at)
    at += bytes.length
  }
}

/** Mostly instructions, some bytes, and now and then registers and segments that accesses hit with. */
function piece(random: Random, codeSize: CodeSize, share: number, instruction: () => number[]): number[] {
  if (random.oneIn(share)) return random.bytes(1 + random.below(8))
  const wide = codeSize === 16 ? [0x66] : []
  const narrow = codeSize === 16 ? [] : [0x66]
  switch (random.below(10)) {
    case 0:
      return [...wide, 0xb8 | random.below(8), ...le32(value(random))]
    case 1: {
      const selector = random.pick(SELECTORS)
      // MOV AX, selector; MOV Sreg, AX
      return [...narrow, 0xb8, selector, 0, 0x8e, 0xc0 | (random.pick([0, 2, 3, 3, 4, 5]) << 3)]
    }
    case 2:
      return random.oneIn(4) ? farTransfer(random, wide) : instruction()
    default:
      return instruction()
  }
}

function farTransfer(random: Random, wide: readonly number[]): number[] {
  const selector = random.pick([0x08, 0x1b, 0x28, 0x3b, 0x60, 0x68, 0x70, 0x80, 0x88, 0x90, 0x98, 0x1000, 0xc00])
  return [
    ...wide,
    random.pick([0x9a, 0xea]),
    ...le32(random.below(CODE_SIZE) + random.pick([0, CODE])),
    selector & 255,
    selector >> 8,
  ]
}

function value(random: Random): number {
  switch (random.below(4)) {
    case 0:
      return random.u32()
    case 1:
      return random.pick([0, 1, 2, 8, 0x40, 0x7ffe, 0x7fff, 0xfffe, 0xffff, 0xc0000080 | 0]) >>> 0
    default:
      return (
        (random.pick([DATA, DATA + 0xffe, DATA + 0x7ffc, STACK, CODE, 0x9fffc, 0x15fffc, 0, 0x100]) +
          random.below(16)) >>>
        0
      )
  }
}

function info(selector: number): VcpuSegmentInfo {
  const [base, limit, access, big] = SEGMENTS[selector] as (typeof SEGMENTS)[number]
  const large = limit > 0xfffff ? 0x8000 : 0
  return { vsi_sel: selector, vsi_limit: limit, vsi_ar: access | large | (big ? 0x4000 : 0), vsi_base: BigInt(base) }
}

function initialState(random: Random, kind: LegacyKind): VcpuRegState {
  const vrs = longModeState(random.below(256))
  for (let register = 0; register < 16; register++) vrs.vrs_gprs[register] = BigInt(value(random))
  vrs.vrs_gprs[VCPU_REGS_RFLAGS] = BigInt((random.u32() & 0xcd5 & ~0x100) | 0x202 | random.pick([0, 0x3000]))
  vrs.vrs_msrs[VCPU_REGS_EFER] = BigInt(random.pick([0, 1, 0x801]))
  vrs.vrs_msrs[VCPU_REGS_STAR] = 0x0018000800000000n | BigInt(HANDLERS_32_TARGET)
  vrs.vrs_gdtr = { vsi_sel: 0, vsi_limit: 0xbf, vsi_ar: 0, vsi_base: BigInt(GDT) }
  vrs.vrs_idtr = { vsi_sel: 0, vsi_limit: 0x7ff, vsi_ar: 0, vsi_base: BigInt(IDT) }
  vrs.vrs_sregs[VCPU_REGS_TR] = {
    vsi_sel: TSS_SELECTORS[0] as number,
    vsi_limit: 0xfff,
    vsi_ar: 0x8b,
    vsi_base: BigInt(TSS),
  }
  vrs.vrs_sregs[VCPU_REGS_LDTR] = { vsi_sel: LDT_SELECTOR, vsi_limit: 0x7f, vsi_ar: 0x82, vsi_base: BigInt(LDT) }
  if (kind === 'real') enterReal(random, vrs)
  else {
    choosePaging(random, vrs)
    if (kind === 'virtual8086') enterVirtual8086(vrs)
    else enterProtected(random, vrs, kind === 'protected32')
  }
  return vrs
}

function choosePaging(random: Random, vrs: VcpuRegState): void {
  const paging = random.pick(['none', 'legacy', 'pae'] as const)
  vrs.vrs_crs[VCPU_REGS_CR0] = (paging === 'none' ? 0x11n : 0x80000011n) | random.pick([0n, 0x10000n, 0x50000n])
  vrs.vrs_crs[VCPU_REGS_CR4] = (paging === 'pae' ? 0x20n : 0n) | random.pick([0n, 0x10n, 0x90n, 0x210n])
  vrs.vrs_crs[VCPU_REGS_CR3] = BigInt(paging === 'pae' ? POINTERS : DIRECTORY)
  for (let index = 0; index < 4; index++) {
    vrs.vrs_crs[VCPU_REGS_PDPTE0 + index] = view.getBigUint64(POINTERS + index * 8, true)
  }
}

function enterProtected(random: Random, vrs: VcpuRegState, wide: boolean): void {
  const user = random.oneIn(2)
  const [code, data, stack] = wide
    ? user
      ? [0x1b, 0x23, 0x23]
      : [0x08, 0x10, 0x10]
    : user
      ? [0x3b, 0x43, 0x5b]
      : [0x28, 0x30, 0x50]
  for (let index = 0; index < 6; index++) vrs.vrs_sregs[index] = info(data)
  vrs.vrs_sregs[VCPU_REGS_CS] = info(code)
  vrs.vrs_sregs[VCPU_REGS_SS] = info(stack)
  vrs.vrs_gprs[VCPU_REGS_RSP] = BigInt(wide ? STACK : 0x8000)
  if (wide) vrs.vrs_gprs[VCPU_REGS_RIP] = BigInt(CODE + random.below(256))
}

function paragraph(base: number, ar: number): VcpuSegmentInfo {
  return { vsi_sel: base >> 4, vsi_limit: 0xffff, vsi_ar: ar, vsi_base: BigInt(base) }
}

function enterVirtual8086(vrs: VcpuRegState): void {
  for (let index = 0; index < 6; index++) vrs.vrs_sregs[index] = paragraph(DATA, 0xf3)
  vrs.vrs_sregs[VCPU_REGS_CS] = paragraph(CODE, 0xf3)
  vrs.vrs_sregs[VCPU_REGS_SS] = paragraph(STACK - 0x8000, 0xf3)
  vrs.vrs_gprs[VCPU_REGS_RSP] = 0x8000n
  vrs.vrs_gprs[VCPU_REGS_RFLAGS] = (vrs.vrs_gprs[VCPU_REGS_RFLAGS] as bigint) | 0x20000n
}

function enterReal(random: Random, vrs: VcpuRegState): void {
  for (let index = 0; index < 6; index++) vrs.vrs_sregs[index] = paragraph(DATA, 0x93)
  vrs.vrs_sregs[VCPU_REGS_CS] = paragraph(CODE, 0x9b)
  vrs.vrs_sregs[VCPU_REGS_SS] = paragraph(STACK - 0x8000, 0x93)
  vrs.vrs_gprs[VCPU_REGS_RSP] = 0x8000n
  vrs.vrs_crs[VCPU_REGS_CR0] = 0x10n
  vrs.vrs_crs[VCPU_REGS_CR4] = random.pick([0n, 0x200n])
  vrs.vrs_idtr = { vsi_sel: 0, vsi_limit: 0x3ff, vsi_ar: 0, vsi_base: 0n }
}
