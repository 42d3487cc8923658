/** An `Instruction` in Intel syntax, for traces and for the tests. */

import { type Instruction, NO_REGISTER, OperandKind, RIP_BASE, Segment } from './instruction.ts'
import { EncodingFlag } from './notation.ts'
import { encodingFlags, nameOf } from './opcodes.ts'

const LOW_NAMES = ['ax', 'cx', 'dx', 'bx', 'sp', 'bp', 'si', 'di']
const BYTE_NAMES = ['al', 'cl', 'dl', 'bl', 'spl', 'bpl', 'sil', 'dil']
const HIGH_BYTE_NAMES = ['ah', 'ch', 'dh', 'bh']
const SEGMENTS = ['es', 'cs', 'ss', 'ds', 'fs', 'gs']
const POINTERS: Record<number, string> = {
  8: 'byte',
  16: 'word',
  32: 'dword',
  48: 'fword',
  64: 'qword',
  80: 'tbyte',
  128: 'xmmword',
  256: 'ymmword',
}
/** Instructions whose operand size is told by a letter after the mnemonic. */
const STRING = new Set(['movs', 'cmps', 'stos', 'lods', 'scas', 'ins', 'outs'])
const SIZE_LETTER: Record<number, string> = { 8: 'b', 16: 'w', 32: 'd', 64: 'q' }
const BY_SIZE: Record<string, Record<number, string>> = {
  cbw: { 16: 'cbw', 32: 'cwde', 64: 'cdqe' },
  cwd: { 16: 'cwd', 32: 'cdq', 64: 'cqo' },
  iret: { 16: 'iret', 32: 'iretd', 64: 'iretq' },
  pushf: { 16: 'pushf', 32: 'pushfd', 64: 'pushfq' },
  popf: { 16: 'popf', 32: 'popfd', 64: 'popfq' },
  pusha: { 16: 'pusha', 32: 'pushad' },
  popa: { 16: 'popa', 32: 'popad' },
}

export function registerName(register: number, size: number): string {
  if (size === 8) {
    if (register >= 16) return HIGH_BYTE_NAMES[register - 16] ?? '?'
    return BYTE_NAMES[register] ?? `r${register}b`
  }
  const low = LOW_NAMES[register]
  if (low !== undefined) return (size === 64 ? 'r' : size === 32 ? 'e' : '') + low
  return `r${register}${size === 64 ? '' : size === 32 ? 'd' : 'w'}`
}

function mnemonic(instruction: Instruction): string {
  const name = nameOf(instruction.name).split('.')[0] ?? ''
  const { operandSize, addressSize } = instruction
  if (STRING.has(name)) return name + (SIZE_LETTER[operandSize] ?? '')
  if (name === 'jcxz') return addressSize === 16 ? 'jcxz' : addressSize === 32 ? 'jecxz' : 'jrcxz'
  return BY_SIZE[name]?.[operandSize] ?? name
}

function prefixes(instruction: Instruction): string {
  const name = nameOf(instruction.name)
  const lock = instruction.lock ? 'lock ' : ''
  if (instruction.rep === 0 || !STRING.has(name)) return lock
  const compares = name === 'cmps' || name === 'scas'
  if (instruction.rep === 0xf2) return `${lock}repne `
  return `${lock}${compares ? 'repe' : 'rep'} `
}

const hex = (value: bigint): string => `0x${value.toString(16)}`

function signed64(high: number, low: number): bigint {
  return (BigInt(high) << 32n) | BigInt(low >>> 0)
}

function address(instruction: Instruction, rip: bigint): string {
  const { memBase, memIndex, memScale, addressSize } = instruction
  const displacement = signed64(instruction.dispHi, instruction.dispLo)
  if (memBase === RIP_BASE) {
    return hex(BigInt.asUintN(addressSize, rip + BigInt(instruction.length) + displacement))
  }
  const parts: string[] = []
  if (memBase !== NO_REGISTER) parts.push(registerName(memBase, addressSize))
  if (memIndex !== NO_REGISTER) {
    parts.push(indexName(instruction) + (memScale === 0 ? '' : `*${1 << memScale}`))
  }
  if (parts.length === 0) return hex(BigInt.asUintN(addressSize, displacement))
  const text = parts.join('+')
  if (displacement === 0n) return text
  return displacement < 0n ? `${text}-${hex(-displacement)}` : `${text}+${hex(displacement)}`
}

function indexName(instruction: Instruction): string {
  if (!instruction.vsib) return registerName(instruction.memIndex, instruction.addressSize)
  const flags = encodingFlags[instruction.encoding] ?? 0
  const xmm = (flags & EncodingFlag.vsibXmm) !== 0 || instruction.operandSize === 128
  return `${xmm ? 'xmm' : 'ymm'}${instruction.memIndex}`
}

/** The segment is written when it is not the default one. */
function segmentText(instruction: Instruction): string {
  if (instruction.segmentOverride === NO_REGISTER) return ''
  if (instruction.mode === 64 && instruction.memSegment < Segment.fs) return ''
  return `${SEGMENTS[instruction.memSegment] ?? '?'}:`
}

function memory(instruction: Instruction, size: number, rip: bigint): string {
  const pointer = POINTERS[size]
  return `${pointer === undefined ? '' : `${pointer} ptr `}${segmentText(instruction)}[${address(instruction, rip)}]`
}

function immediate(instruction: Instruction, size: number): string {
  const value = signed64(instruction.immHi, instruction.immLo)
  return hex(BigInt.asUintN(size === 0 || size > 64 ? 64 : size, value))
}

function relative(instruction: Instruction, rip: bigint): string {
  const target = rip + BigInt(instruction.length) + signed64(instruction.immHi, instruction.immLo)
  return hex(BigInt.asUintN(instruction.operandSize, target))
}

function operand(instruction: Instruction, i: number, rip: bigint): string {
  const register = instruction.opReg[i] ?? 0
  const size = instruction.opSize[i] ?? 0
  switch (instruction.opKind[i]) {
    case OperandKind.gpr:
      return registerName(register, size)
    case OperandKind.mem:
      return memory(instruction, size, rip)
    case OperandKind.imm:
      return immediate(instruction, size)
    case OperandKind.imm2:
      return hex(BigInt(instruction.imm2))
    case OperandKind.rel:
      return relative(instruction, rip)
    case OperandKind.far:
      return `${hex(BigInt(instruction.imm2))}:${hex(BigInt(instruction.immLo >>> 0))}`
    case OperandKind.sreg:
      return SEGMENTS[register] ?? '?'
    case OperandKind.creg:
      return `cr${register}`
    case OperandKind.dreg:
      return `dr${register}`
    case OperandKind.st:
      return `st(${register})`
    case OperandKind.mmx:
      return `mm${register}`
    case OperandKind.xmm:
      return `${size === 256 ? 'ymm' : 'xmm'}${register}`
    case OperandKind.one:
      return '1'
    default:
      return '?'
  }
}

/** `rip` is the instruction's own address. */
export function disassemble(instruction: Instruction, rip: bigint): string {
  const operands: string[] = []
  for (let i = 0; i < instruction.operandCount; i++) operands.push(operand(instruction, i, rip))
  const head = prefixes(instruction) + mnemonic(instruction)
  return operands.length === 0 ? head : `${head} ${operands.join(', ')}`
}
