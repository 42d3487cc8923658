/**
 * The checks of VM entry on guest state (SDM volume 3, 26.3.1), with the "unrestricted guest" control set: a guest may
 * start in real mode. RESETCPU and WRITEREGS take any values, so the first entry after them comes here; one that fails
 * makes RUN return EINVAL.
 */
import * as L from '../cpu/layout.ts'
import type { Processor } from './platform.ts'
import type { Vcpu } from './vcpu.ts'

const CR0_PE = 0x1n
const CR0_PG = 0x80000000n
const CR4_PAE = 0x20n
const EFER_LME = 0x100n
const EFER_LMA = 0x400n
const RFLAGS_FIXED = 0x2n
const RFLAGS_VM = 0x20000n
/** CF PF AF ZF SF TF IF DF OF IOPL NT RF VM AC VIF VIP ID. */
const RFLAGS_BITS = 0x3f7fd5n
/** P and D of a PDPTE, its cache bits, and the three bits software may use. */
const PDPTE_LOW_BITS = 0xe19n

const AR_TYPE = 0xf
const AR_S = 0x10
const AR_P = 0x80
const AR_L = 0x2000
const AR_DB = 0x4000
const AR_G = 0x8000
const AR_UNUSABLE = 0x10000
/** Bits 8-11 and 17-31. */
const AR_RESERVED = 0xfffe0f00
const V86_AR = 0xf3

interface State {
  readonly cpu: Processor
  readonly rflags: bigint
  readonly longMode: boolean
  readonly virtual8086: boolean
}

/** What is wrong with the guest's state, in words; undefined when it can be entered. */
export function invalidGuestState(vcpu: Vcpu): string | undefined {
  const { cpu } = vcpu
  const rflags = vcpu.rflagsWritten
  const state: State = {
    cpu,
    rflags,
    longMode: (cpu.readU64(L.EFER) & EFER_LMA) !== 0n,
    virtual8086: (rflags & RFLAGS_VM) !== 0n,
  }
  return (
    invalidRflags(state) ??
    invalidControlRegisters(state) ??
    (state.virtual8086 ? invalidVirtual8086Segments(cpu) : invalidSegments(state)) ??
    invalidSystemSegments(state) ??
    invalidRip(state)
  )
}

/** Bits 47-63 are all equal. */
export function isCanonical(address: bigint): boolean {
  return BigInt.asIntN(48, address) === BigInt.asIntN(64, address)
}

function invalidRflags({ cpu, rflags, longMode, virtual8086 }: State): string | undefined {
  if ((rflags & RFLAGS_FIXED) === 0n) return 'RFLAGS bit 1 is clear'
  if ((rflags & ~(RFLAGS_BITS | RFLAGS_FIXED)) !== 0n) return 'RFLAGS has reserved bits set'
  if (virtual8086 && (longMode || (cpu.readU64(L.CR0) & CR0_PE) === 0n)) return 'RFLAGS.VM outside protected mode'
  return undefined
}

function invalidControlRegisters({ cpu, longMode }: State): string | undefined {
  const cr0 = cpu.readU64(L.CR0)
  const cr4 = cpu.readU64(L.CR4)
  const efer = cpu.readU64(L.EFER)
  const xcr0 = cpu.readU64(L.XCR0)
  const paging = (cr0 & CR0_PG) !== 0n
  if (cr0 >> 32n !== 0n) return 'CR0 has reserved bits set'
  if (paging && (cr0 & CR0_PE) === 0n) return 'CR0.PG without CR0.PE'
  if ((cr4 & ~cpu.readU64(L.CR4_ALLOWED)) !== 0n) return 'CR4 has unsupported bits set'
  if ((efer & ~cpu.readU64(L.EFER_ALLOWED)) !== 0n) return 'EFER has unsupported bits set'
  if (longMode !== (paging && (efer & EFER_LME) !== 0n)) return 'EFER.LMA is not EFER.LME and CR0.PG'
  if (longMode && (cr4 & CR4_PAE) === 0n) return 'EFER.LMA without CR4.PAE'
  if (cpu.readU64(L.CR3) >> BigInt(cpu.readU32(L.PHYSICAL_BITS)) !== 0n) return 'CR3 is beyond the physical addresses'
  if ((xcr0 & 1n) === 0n || (xcr0 & ~cpu.readU64(L.XCR0_ALLOWED)) !== 0n) return 'XCR0 has an unsupported value'
  return paging && !longMode && (cr4 & CR4_PAE) !== 0n ? invalidPdptes(cpu) : undefined
}

function invalidPdptes(cpu: Processor): string | undefined {
  const width = BigInt(cpu.readU32(L.PHYSICAL_BITS))
  for (let index = 0; index < 4; index++) {
    const pdpte = cpu.readU64(L.PDPTE + index * 8)
    const reserved = (pdpte & 0xfffn & ~PDPTE_LOW_BITS) | (pdpte >> width)
    if ((pdpte & 1n) !== 0n && reserved !== 0n) return `PDPTE${index} has reserved bits set`
  }
  return undefined
}

function invalidVirtual8086Segments(cpu: Processor): string | undefined {
  for (const { name, address } of DATA_SEGMENTS.concat(CODE_SEGMENT)) {
    const { base, limit, ar, selector } = segment(cpu, address)
    if (base !== BigInt(selector) << 4n || limit !== 0xffff || ar !== V86_AR) return `${name} is not a virtual-8086 one`
  }
  return undefined
}

const CODE_SEGMENT = { name: 'CS', address: L.CS }
const DATA_SEGMENTS = [
  { name: 'SS', address: L.SS },
  { name: 'DS', address: L.DS },
  { name: 'ES', address: L.ES },
  { name: 'FS', address: L.FS },
  { name: 'GS', address: L.GS },
]

function invalidSegments({ cpu, longMode }: State): string | undefined {
  const cs = segment(cpu, L.CS)
  const type = cs.ar & AR_TYPE
  if ((cs.ar & AR_UNUSABLE) !== 0) return 'CS is unusable'
  if (type !== 3 && (type & 9) !== 9) return 'CS is not accessed code, nor read/write data'
  if (longMode && (cs.ar & AR_L) !== 0 && (cs.ar & AR_DB) !== 0) return 'CS.L and CS.D are both set'
  if (cs.base >> 32n !== 0n) return 'the base of CS is beyond 4 GB'
  const problem = invalidDescriptor('CS', cs)
  if (problem !== undefined) return problem
  for (const { name, address } of DATA_SEGMENTS) {
    const info = segment(cpu, address)
    const { base, ar } = info
    if (!isCanonical(base)) return `the base of ${name} is not canonical`
    if ((ar & AR_UNUSABLE) !== 0) continue
    if (name === 'SS' && (ar & AR_TYPE & ~4) !== 3) return 'SS is not accessed read/write data'
    if ((ar & 1) === 0 || (ar & 0xa) === 8) return `${name} is not accessed and readable`
    if (name !== 'FS' && name !== 'GS' && base >> 32n !== 0n) return `the base of ${name} is beyond 4 GB`
    const invalid = invalidDescriptor(name, info)
    if (invalid !== undefined) return invalid
  }
  return undefined
}

function invalidDescriptor(name: string, { ar, limit }: Segment, system = false): string | undefined {
  if (((ar & AR_S) === 0) !== system) return `${name} has the wrong S bit`
  if ((ar & AR_P) === 0) return `${name} is not present`
  if ((ar & AR_RESERVED) !== 0) return `the access rights of ${name} have reserved bits set`
  if ((ar & AR_G) !== 0 && (limit & 0xfff) !== 0xfff) return `${name} counts pages but its limit ends inside one`
  if ((ar & AR_G) === 0 && limit > 0xfffff) return `the limit of ${name} needs G`
  return undefined
}

function invalidSystemSegments({ cpu, longMode }: State): string | undefined {
  const tr = segment(cpu, L.TR)
  if ((tr.ar & AR_UNUSABLE) !== 0) return 'TR is unusable'
  if ((tr.ar & AR_TYPE) !== 11 && (longMode || (tr.ar & AR_TYPE) !== 3)) return 'TR is not a busy TSS'
  const ldtr = segment(cpu, L.LDTR)
  const ldtrUsable = (ldtr.ar & AR_UNUSABLE) === 0
  if (ldtrUsable && (ldtr.ar & AR_TYPE) !== 2) return 'LDTR is not an LDT'
  for (const address of [L.TR, L.LDTR, L.GDTR, L.IDTR]) {
    if (!isCanonical(cpu.readU64(address + L.SEG_BASE))) return 'the base of TR, LDTR, GDTR or IDTR is not canonical'
  }
  for (const address of [L.GDTR, L.IDTR]) {
    if (cpu.readU32(address + L.SEG_LIMIT) >>> 0 > 0xffff) return 'the limit of GDTR or IDTR is beyond 64 KB'
  }
  return invalidDescriptor('TR', tr, true) ?? (ldtrUsable ? invalidDescriptor('LDTR', ldtr, true) : undefined)
}

function invalidRip({ cpu, longMode }: State): string | undefined {
  const rip = cpu.readU64(L.RIP)
  const wide = longMode && (cpu.readU32(L.CS + L.SEG_AR) & AR_L) !== 0
  if (wide ? !isCanonical(rip) : rip >> 32n !== 0n) return 'RIP is not an address of this mode'
  return undefined
}

interface Segment {
  readonly selector: number
  readonly base: bigint
  readonly limit: number
  readonly ar: number
}

function segment(cpu: Processor, address: number): Segment {
  return {
    selector: cpu.readU32(address + L.SEG_SELECTOR) & 0xffff,
    base: cpu.readU64(address + L.SEG_BASE),
    limit: cpu.readU32(address + L.SEG_LIMIT) >>> 0,
    ar: cpu.readU32(address + L.SEG_AR) >>> 0,
  }
}
