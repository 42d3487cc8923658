/**
 * Instructions that vmm(4) does not intercept: hardware runs them, with no exit that userland could see. The processor in
 * WebAssembly leaves them to us, because they need a clock or a source of randomness.
 */
import * as L from '../cpu/layout.ts'
import type { Processor } from './platform.ts'
import type { Vcpu } from './vcpu.ts'

/** Fixed counter 0, instructions retired: the one performance counter there is. */
const PMC_INSTRUCTIONS = 0x40000000
const RFLAGS_CF = 0x1n
/** OF SF ZF AF PF CF. */
const RFLAGS_ARITHMETIC = 0x8d5n

export function readTsc(vcpu: Vcpu): void {
  writeEdxEax(vcpu.cpu, vcpu.tsc)
}

export function readTscp(vcpu: Vcpu): void {
  readTsc(vcpu)
  vcpu.cpu.writeU64(L.RCX, vcpu.cpu.readU64(L.TSC_AUX) & 0xffffffffn)
}

/** false: no such counter, #GP. */
export function readPmc({ cpu }: Vcpu): boolean {
  if (cpu.readU32(L.RCX) >>> 0 !== PMC_INSTRUCTIONS) return false
  writeEdxEax(cpu, BigInt.asUintN(48, cpu.instructions))
  return true
}

/** RDRAND and RDSEED: the operand's register number and its size in bits are in EXIT_VALUE. */
export function readRandom({ cpu, platform }: Vcpu): void {
  const operand = Number(cpu.readU64(L.EXIT_VALUE))
  const register = L.GPR + (operand & 0xff) * 8
  const bits = operand >> 8
  const bytes = new Uint8Array(8)
  platform.random(bytes)
  const value = BigInt.asUintN(bits, new DataView(bytes.buffer).getBigUint64(0, true))
  const kept = bits === 16 ? cpu.readU64(register) & ~0xffffn : 0n
  cpu.writeU64(register, kept | value)
  cpu.rflags = (cpu.rflags & ~RFLAGS_ARITHMETIC) | RFLAGS_CF
}

function writeEdxEax(cpu: Processor, value: bigint): void {
  cpu.writeU64(L.RAX, value & 0xffffffffn)
  cpu.writeU64(L.RDX, BigInt.asUintN(32, value >> 32n))
}
