/** MOV to CR0 and CR4, MOV to and from CR8, XSETBV. */
import * as L from '../cpu/layout.ts'
import type { Vcpu } from './vcpu.ts'

/** Does the move; false: #GP. */
export function handleCrAccess({ cpu }: Vcpu): boolean {
  const register = cpu.readU32(L.CR_NUMBER)
  const gpr = L.GPR + cpu.readU32(L.CR_GPR) * 8
  const value = cpu.readU64(L.EXIT_VALUE)
  if (cpu.readU32(L.CR_WRITE) === 0) {
    if (register === 8) cpu.writeU64(gpr, cpu.readU64(L.CR8))
    return true
  }
  switch (register) {
    case 0:
      return cpu.runtime.writeCr0(value) === 0
    case 4:
      return cpu.runtime.writeCr4(value) === 0
    case 8:
      if (value > 0xfn) return false
      cpu.writeU64(L.CR8, value)
      return true
    default:
      return true
  }
}

/** XCR[ECX] <- EDX:EAX; there is XCR0 only. false: #GP. */
export function handleXsetbv({ cpu }: Vcpu): boolean {
  if (cpu.readU32(L.RCX) !== 0) return false
  const value = (BigInt(cpu.readU32(L.RDX) >>> 0) << 32n) | BigInt(cpu.readU32(L.RAX) >>> 0)
  return cpu.runtime.writeXcr0(value) === 0
}
