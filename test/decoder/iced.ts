/** Compares a decode with iced-x86's: validity, length, mnemonic, operands. */

import * as iced from 'iced-x86'
import { Decoder } from '../../src/cpu/decoder/decoder.ts'
import { DecodeStatus, Instruction, NO_REGISTER, OperandKind, RIP_BASE } from '../../src/cpu/decoder/instruction.ts'
import { NAMES } from '../../src/cpu/decoder/opcodes.ts'

export type Mode = 16 | 32 | 64

/** What differs, with everything that a difference class may want to look at. */
export interface Difference {
  mode: Mode
  bytes: Uint8Array
  what: string
  ours: Instruction
  name: string
  theirs: iced.Instruction
  mnemonic: string
  /** Names of the iced code (`Add_rm8_r8`) and of the CPUID features it needs. */
  code: string
  features: string[]
}

interface RegisterFact {
  kind: OperandKind
  number: number
  size: number
}

const REGISTER_FAMILIES: [RegExp, OperandKind, number][] = [
  [/^XMM(\d+)$/, OperandKind.xmm, 128],
  [/^YMM(\d+)$/, OperandKind.xmm, 256],
  [/^CR(\d+)$/, OperandKind.creg, 0],
  [/^DR(\d+)$/, OperandKind.dreg, 0],
  [/^ST(\d)$/, OperandKind.st, 80],
  [/^MM(\d)$/, OperandKind.mmx, 64],
  [/^R(\d+)L$/, OperandKind.gpr, 8],
  [/^R(\d+)W$/, OperandKind.gpr, 16],
  [/^R(\d+)D$/, OperandKind.gpr, 32],
  [/^R(\d+)$/, OperandKind.gpr, 64],
]
const NAMED_REGISTERS: [string, OperandKind, number, number][] = [
  ['AL CL DL BL SPL BPL SIL DIL', OperandKind.gpr, 8, 0],
  ['AH CH DH BH', OperandKind.gpr, 8, 16],
  ['AX CX DX BX SP BP SI DI', OperandKind.gpr, 16, 0],
  ['EAX ECX EDX EBX ESP EBP ESI EDI', OperandKind.gpr, 32, 0],
  ['RAX RCX RDX RBX RSP RBP RSI RDI', OperandKind.gpr, 64, 0],
  ['ES CS SS DS FS GS', OperandKind.sreg, 16, 0],
]

function registerFact(name: string): RegisterFact | undefined {
  for (const [names, kind, size, first] of NAMED_REGISTERS) {
    const index = names.split(' ').indexOf(name)
    if (index >= 0) return { kind, number: first + index, size }
  }
  for (const [pattern, kind, size] of REGISTER_FAMILIES) {
    const match = pattern.exec(name)
    if (match) return { kind, number: Number(match[1]), size }
  }
  return undefined
}

const REGISTERS = Object.keys(iced.Register).filter((key) => !/^\d/.test(key))
const FACTS: (RegisterFact | undefined)[] = []
for (const name of REGISTERS) {
  const value: unknown = Reflect.get(iced.Register, name)
  if (typeof value === 'number') FACTS[value] = registerFact(name)
}

const MNEMONICS = new Map<number, string>()
for (const [name, value] of Object.entries(iced.Mnemonic)) {
  if (typeof value === 'number') MNEMONICS.set(value, name.toLowerCase())
}

const memoryBits: number[] = []
function bitsOf(memorySize: iced.MemorySize): number {
  return (memoryBits[memorySize] ??= iced.MemorySizeExt.size(memorySize) * 8)
}

/** Mnemonics that carry the operand size (MOVSB, CDQE, PUSHFQ) or that have another spelling. */
const SPELLINGS: Record<string, string> = {
  sal: 'shl',
  xlatb: 'xlat',
  reservednop: 'nop',
  wait: 'fwait',
  cwde: 'cbw',
  cdqe: 'cbw',
  cdq: 'cwd',
  cqo: 'cwd',
  pushad: 'pusha',
  popad: 'popa',
  pushfd: 'pushf',
  pushfq: 'pushf',
  popfd: 'popf',
  popfq: 'popf',
  iretd: 'iret',
  iretq: 'iret',
  jecxz: 'jcxz',
  jrcxz: 'jcxz',
  sysretq: 'sysret',
  sysexitq: 'sysexit',
  fxsave64: 'fxsave',
  fxrstor64: 'fxrstor',
  xsave64: 'xsave',
  xrstor64: 'xrstor',
  xsaveopt64: 'xsaveopt',
  xsavec64: 'xsavec',
  xsaves64: 'xsaves',
  xrstors64: 'xrstors',
  fstpnce: 'fstp',
  pcmpestri64: 'pcmpestri',
  pcmpestrm64: 'pcmpestrm',
  vpcmpestri64: 'vpcmpestri',
  vpcmpestrm64: 'vpcmpestrm',
}
const STRING = /^(movs|cmps|stos|lods|scas|ins|outs)([bwdq])$/
/** These have no operands here; iced lists the implied ones. */
const IMPLIED = new Set([
  'movs',
  'cmps',
  'stos',
  'lods',
  'scas',
  'ins',
  'outs',
  'xlat',
  'vmrun',
  'vmload',
  'vmsave',
  'skinit',
  'invlpga',
  'clzero',
  'monitor',
  'mwait',
  'monitorx',
  'mwaitx',
])

const spelled = new Map<number, string>()
function spelling(mnemonic: number): string {
  let text = spelled.get(mnemonic)
  if (text === undefined) {
    const lower = MNEMONICS.get(mnemonic) ?? '?'
    const string = STRING.exec(lower)
    text = SPELLINGS[lower] ?? string?.[1] ?? lower
    spelled.set(mnemonic, text)
  }
  return text
}

const plainNames = NAMES.map((name) => name.split('.')[0] ?? '')

function registerDiffers(ours: Instruction, i: number, register: iced.Register): string {
  const fact = FACTS[register]
  if (fact === undefined) return `operand ${i} register`
  if (fact.kind !== ours.opKind[i]) return `operand ${i} kind`
  if (fact.number !== ours.opReg[i]) return `operand ${i} register`
  if (fact.size !== 0 && fact.size !== ours.opSize[i]) return `operand ${i} register size`
  return ''
}

function baseDiffers(base: iced.Register, ours: Instruction): boolean {
  if (base === iced.Register.None) return ours.memBase !== NO_REGISTER
  if (base === iced.Register.RIP || base === iced.Register.EIP) {
    return ours.memBase !== RIP_BASE || ours.addressSize !== (base === iced.Register.RIP ? 64 : 32)
  }
  const fact = FACTS[base]
  return fact?.number !== ours.memBase || fact.size !== ours.addressSize
}

function memoryDiffers(ours: Instruction, theirs: iced.Instruction, i: number): string {
  if (ours.opKind[i] !== OperandKind.mem) return `operand ${i} kind`
  if (baseDiffers(theirs.memoryBase, ours)) return 'memory base'
  const index = theirs.memoryIndex
  if (index === iced.Register.None) {
    if (ours.memIndex !== NO_REGISTER) return 'memory index'
  } else {
    if (FACTS[index]?.number !== ours.memIndex) return 'memory index'
    if (1 << ours.memScale !== theirs.memoryIndexScale) return 'memory scale'
  }
  if (segmentDiffers(theirs.memorySegment, ours)) return 'memory segment'
  if (displacementDiffers(ours, theirs)) return 'memory displacement'
  return bitsOf(theirs.memorySize) === ours.opSize[i] ? '' : 'memory size'
}

function segmentDiffers(segment: iced.Register, ours: Instruction): boolean {
  const number = FACTS[segment]?.number
  return number !== ours.memSegment
}

function displacementDiffers(ours: Instruction, theirs: iced.Instruction): boolean {
  const displacement = theirs.memoryDisplacement
  let value = (BigInt(ours.dispHi) << 32n) | BigInt(ours.dispLo >>> 0)
  if (ours.memBase === RIP_BASE) value += BigInt(ours.length)
  return BigInt.asUintN(ours.addressSize, displacement) !== BigInt.asUintN(ours.addressSize, value)
}

function immediateOf(ours: Instruction): bigint {
  return (BigInt(ours.immHi) << 32n) | BigInt(ours.immLo >>> 0)
}

function branchDiffers(ours: Instruction, theirs: iced.Instruction): string {
  if (ours.opKind[0] !== OperandKind.rel) return 'operand 0 kind'
  const target = immediateOf(ours) + BigInt(ours.length)
  const width = ours.operandSize
  return BigInt.asUintN(width, target) === theirs.nearBranchTarget ? '' : 'branch target'
}

function farDiffers(ours: Instruction, theirs: iced.Instruction): string {
  if (ours.opKind[0] !== OperandKind.far) return 'operand 0 kind'
  const offset = theirs.opKind(0) === iced.OpKind.FarBranch16 ? theirs.farBranch16 : theirs.farBranch32
  return offset === ours.immLo >>> 0 && theirs.farBranchSelector === ours.imm2 ? '' : 'far pointer'
}

function operandDiffers(ours: Instruction, theirs: iced.Instruction, i: number): string {
  const kind = theirs.opKind(i)
  switch (kind) {
    case iced.OpKind.Register:
      return registerDiffers(ours, i, theirs.opRegister(i))
    case iced.OpKind.Memory:
      return memoryDiffers(ours, theirs, i)
    case iced.OpKind.NearBranch16:
    case iced.OpKind.NearBranch32:
    case iced.OpKind.NearBranch64:
      return branchDiffers(ours, theirs)
    case iced.OpKind.FarBranch16:
    case iced.OpKind.FarBranch32:
      return farDiffers(ours, theirs)
    case iced.OpKind.Immediate8_2nd:
      return ours.opKind[i] === OperandKind.imm2 && BigInt(ours.imm2) === theirs.immediate(i) ? '' : 'second immediate'
    default:
      break
  }
  if (ours.opKind[i] === OperandKind.one) return theirs.immediate(i) === 1n ? '' : 'immediate one'
  if (ours.opKind[i] !== OperandKind.imm) return `operand ${i} kind`
  const width = kind === iced.OpKind.Immediate8 ? 8 : ours.opSize[i] || 64
  return BigInt.asUintN(width, theirs.immediate(i)) === BigInt.asUintN(width, immediateOf(ours)) ? '' : 'immediate'
}

function decodeDiffers(ours: Instruction, theirs: iced.Instruction): string {
  const valid = theirs.code !== iced.Code.INVALID
  if (ours.status !== DecodeStatus.ok) return valid ? 'only iced decodes it' : ''
  if (!valid) return 'only we decode it'
  if (ours.length !== theirs.length) return 'length'
  const name = plainNames[ours.name] ?? ''
  // MOVSD and CMPSD are SSE instructions too.
  if (name !== spelling(theirs.mnemonic) && name !== MNEMONICS.get(theirs.mnemonic)) return 'mnemonic'
  if (ours.lock !== theirs.hasLockPrefix) return 'lock'
  if (IMPLIED.has(name)) return stringDiffers(name, ours, theirs)
  if (ours.operandCount !== theirs.opCount) return 'operand count'
  for (let i = 0; i < ours.operandCount; i++) {
    const difference = operandDiffers(ours, theirs, i)
    if (difference !== '') return difference
  }
  return ''
}

/** String instructions: element size, and the segment that the source is read from. */
function stringDiffers(name: string, ours: Instruction, theirs: iced.Instruction): string {
  if (!/^(movs|cmps|stos|lods|scas|ins|outs|xlat)$/.test(name)) return ''
  if (name !== 'xlat' && bitsOf(theirs.memorySize) !== ours.operandSize) return 'string element size'
  if (/^(movs|cmps|lods|outs|xlat)$/.test(name) && segmentDiffers(theirs.memorySegment, ours)) return 'string segment'
  return ''
}

/** A batch of byte strings, SLOT bytes apart, decoded by both. */
export class Comparison {
  private readonly mode: Mode
  private readonly slot: number
  private readonly decoder: Decoder
  private readonly ours = new Instruction()
  private readonly theirs = new iced.Instruction()

  /** How many byte strings we found to be instructions. */
  valid = 0

  constructor(mode: Mode, slot: number) {
    this.mode = mode
    this.slot = slot
    this.decoder = new Decoder(mode)
  }

  run(bytes: Uint8Array, report: (difference: Difference) => void): void {
    const { ours, theirs, slot } = this
    const reference = new iced.Decoder(this.mode, bytes, iced.DecoderOptions.None)
    for (let at = 0; at < bytes.length; at += slot) {
      reference.position = at
      reference.ip = 0n
      reference.decodeOut(theirs)
      this.decoder.decode(bytes, at, at + slot, ours)
      const what = decodeDiffers(ours, theirs)
      if (ours.status === DecodeStatus.ok) this.valid++
      if (what !== '') report(this.difference(what, bytes.subarray(at, at + slot)))
      else if (ours.status === DecodeStatus.ok) this.checkTruncation(bytes, at, report)
    }
    reference.free()
  }

  /** The instruction's own bytes are enough for it, one less is not. */
  private checkTruncation(bytes: Uint8Array, at: number, report: (difference: Difference) => void): void {
    const { ours, decoder, slot } = this
    const { length } = ours
    const less = decoder.decode(bytes, at, at + length - 1, ours)
    const same = decoder.decode(bytes, at, at + length, ours)
    if (less === DecodeStatus.truncated && same === DecodeStatus.ok && ours.length === length) return
    report(this.difference('truncation', bytes.subarray(at, at + slot)))
  }

  private difference(what: string, bytes: Uint8Array): Difference {
    const { mode, ours, theirs } = this
    const name = ours.status === DecodeStatus.ok ? (NAMES[ours.name] ?? '') : ''
    const code = iced.Code[theirs.code] ?? ''
    const needed = theirs.code === iced.Code.INVALID ? [] : [...theirs.cpuidFeatures()]
    const features = needed.map((feature) => iced.CpuidFeature[feature] ?? '')
    return { mode, bytes, what, ours, name, theirs, mnemonic: spelling(theirs.mnemonic), code, features }
  }
}
