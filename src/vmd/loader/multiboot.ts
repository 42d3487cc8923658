/**
 * Multiboot 1 ("Multiboot Specification version 0.6.96"): the header that a kernel carries in its first 8 KB, the
 * information it is given, and the 32-bit start.
 *
 * At that start EAX holds the magic number and EBX points to the information; CS is flat 32-bit code, the data segments
 * are flat, CR0 is PE alone, interrupts are off. A GDT and a small stack are there although the specification promises
 * neither.
 */
import { VCPU_REGS_RAX, VCPU_REGS_RBX, type VcpuRegState } from '../../vmm/index.ts'
import { KB, LOWMEM_END, MB } from '../memory-map.ts'
import { type Elf, loadSegments, roundUp } from './elf.ts'
import { hex, LoaderError } from './error.ts'
import { AR_CODE32, CR0_ET, CR0_PE, flatGdt, flatState, gdtr } from './state.ts'
import type { Target } from './target.ts'

const HEADER_MAGIC = 0x1badb002
export const LOADER_MAGIC = 0x2badb002
const SEARCH = 8 * KB

/** Header flags; a loader has to refuse bits 2-15 that it does not know. */
const HEADER_VIDEO = 0x4
const HEADER_MUST_KNOW = 0xffff
/** Page-aligned modules (there are none), memory information, video mode (a wish, which is not granted). */
const HEADER_KNOWN = 0x3 | HEADER_VIDEO
const HEADER_ADDRESSES = 0x10000

const INFO_MEMORY = 0x1
const INFO_CMDLINE = 0x4
const INFO_MMAP = 0x40
const INFO_LOADER_NAME = 0x200
const INFO_SIZE = 120
const MMAP_ENTRY_SIZE = 24
const MMAP_RAM = 1

const LOADER_NAME = 'vmmjit'
const MAX_COMMAND_LINE = 4096
const STACK_SIZE = 16 * KB

/** The a.out kludge: where the file goes, told by the header and not by ELF. */
export interface LoadAddresses {
  readonly header_addr: number
  readonly load_addr: number
  /** 0: to the end of the file. */
  readonly load_end_addr: number
  /** 0: none. */
  readonly bss_end_addr: number
  readonly entry_addr: number
}

export interface MultibootHeader {
  /** Where in the file. */
  readonly offset: number
  readonly flags: number
  readonly addresses: LoadAddresses | undefined
}

export function findMultibootHeader(bytes: Uint8Array): MultibootHeader | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const last = Math.min(SEARCH, bytes.length) - 12
  for (let offset = 0; offset <= last; offset += 4) {
    if (view.getUint32(offset, true) !== HEADER_MAGIC) continue
    const flags = view.getUint32(offset + 4, true)
    if ((HEADER_MAGIC + flags + view.getUint32(offset + 8, true)) >>> 0 !== 0) continue
    return { offset, flags, addresses: (flags & HEADER_ADDRESSES) === 0 ? undefined : readAddresses(view, offset + 12) }
  }
  return undefined
}

/**
 * Loads a multiboot kernel for its 32-bit start.
 *
 * @param elf the same file, when it is one; the header's addresses go before it
 */
export function loadMultiboot(
  bytes: Uint8Array,
  header: MultibootHeader,
  elf: Elf | undefined,
  target: Target,
  commandLine: string,
): VcpuRegState {
  checkFlags(header.flags)
  const entry = header.addresses ? loadByAddresses(bytes, header, header.addresses, target) : loadElf(elf, target)
  const info = writeMultibootInfo(target, commandLine)
  const gdt = target.allocate(24, 'the GDT')
  target.write(gdt, flatGdt(AR_CODE32))
  const state = flatState({
    rip: BigInt(entry),
    rsp: target.allocate(STACK_SIZE, 'a stack') + STACK_SIZE,
    cr0: CR0_PE | CR0_ET,
    cr3: 0,
    cr4: 0n,
    efer: 0n,
    code: AR_CODE32,
    gdt: gdtr(gdt, 23),
    idtLimit: 0,
  })
  giveMultibootInfo(state, info)
  return state
}

export function giveMultibootInfo({ vrs_gprs }: VcpuRegState, info: number): void {
  vrs_gprs[VCPU_REGS_RAX] = BigInt(LOADER_MAGIC)
  vrs_gprs[VCPU_REGS_RBX] = BigInt(info)
}

/** Puts the information into low memory, out of the image's way. Returns its address. */
export function writeMultibootInfo(target: Target, commandLine: string): number {
  const cmdline = cString(commandLine)
  if (cmdline.length > MAX_COMMAND_LINE) {
    throw new LoaderError(
      `the command line has ${cmdline.length - 1} bytes, at most ${MAX_COMMAND_LINE - 1} are allowed`,
    )
  }
  const mmap = memoryMapEntries(target)
  const name = cString(LOADER_NAME)
  const mmapAt = roundUp(INFO_SIZE, 8)
  const cmdlineAt = mmapAt + mmap.length
  const nameAt = cmdlineAt + cmdline.length
  const size = nameAt + name.length
  const gpa = target.allocate(size, 'multiboot information')
  const bytes = new Uint8Array(size)
  bytes.set(mmap, mmapAt)
  bytes.set(cmdline, cmdlineAt)
  bytes.set(name, nameAt)
  const view = new DataView(bytes.buffer)
  const high = target.map.find((range) => range.gpa === MB)
  view.setUint32(0, INFO_MEMORY | INFO_CMDLINE | INFO_MMAP | INFO_LOADER_NAME, true)
  view.setUint32(4, LOWMEM_END / KB, true)
  view.setUint32(8, (high?.size ?? 0) / KB, true)
  view.setUint32(16, gpa + cmdlineAt, true)
  view.setUint32(44, mmap.length, true)
  view.setUint32(48, gpa + mmapAt, true)
  view.setUint32(64, gpa + nameAt, true)
  target.write(gpa, bytes)
  return gpa
}

/** Entries of mmap_addr: the size of what follows, base, length, type. What is not RAM is left out. */
function memoryMapEntries({ map }: Target): Uint8Array {
  const ram = map.filter((range) => range.reported)
  const bytes = new Uint8Array(ram.length * MMAP_ENTRY_SIZE)
  const view = new DataView(bytes.buffer)
  ram.forEach(({ gpa, size }, index) => {
    const at = index * MMAP_ENTRY_SIZE
    view.setUint32(at, MMAP_ENTRY_SIZE - 4, true)
    view.setBigUint64(at + 4, BigInt(gpa), true)
    view.setBigUint64(at + 12, BigInt(size), true)
    view.setUint32(at + 20, MMAP_RAM, true)
  })
  return bytes
}

function checkFlags(flags: number): void {
  const unknown = flags & HEADER_MUST_KNOW & ~HEADER_KNOWN
  if (unknown !== 0) throw new LoaderError(`the multiboot header requires features ${hex(unknown)}, which are unknown`)
}

function loadElf(elf: Elf | undefined, target: Target): number {
  if (elf === undefined) {
    throw new LoaderError('the file has a multiboot header without load addresses, and it is not an ELF file either')
  }
  loadSegments(elf, target)
  return checkEntry(Number(elf.e_entry), target)
}

function loadByAddresses(bytes: Uint8Array, header: MultibootHeader, to: LoadAddresses, target: Target): number {
  const { header_addr, load_addr, bss_end_addr } = to
  const start = header.offset - (header_addr - load_addr)
  if (load_addr > header_addr || start < 0) {
    const where = `load_addr ${hex(load_addr)} and header_addr ${hex(header_addr)}`
    throw new LoaderError(`the multiboot header's ${where} do not fit its place in the file, ${hex(header.offset)}`)
  }
  const load_end_addr = to.load_end_addr === 0 ? load_addr + bytes.length - start : to.load_end_addr
  if (load_end_addr < load_addr || (bss_end_addr !== 0 && bss_end_addr < load_end_addr)) {
    const order = [load_addr, load_end_addr, bss_end_addr].map(hex).join(', ')
    throw new LoaderError(`the multiboot header's addresses are out of order: load, load_end, bss_end are ${order}`)
  }
  const end = start + load_end_addr - load_addr
  if (end > bytes.length) {
    const wanted = `bytes ${hex(start)}-${hex(end)} of a file of ${hex(bytes.length)} bytes`
    throw new LoaderError(`the multiboot header wants ${wanted}: the file is truncated`)
  }
  const size = Math.max(load_end_addr, bss_end_addr) - load_addr
  target.claim({ gpa: load_addr, size, what: 'the multiboot image' })
  if (end > start) target.write(load_addr, bytes.subarray(start, end))
  return checkEntry(to.entry_addr, target)
}

function checkEntry(entry: number, target: Target): number {
  if (!target.isClaimed(entry)) throw new LoaderError(`the entry ${hex(entry)} is outside the loaded image`)
  return entry
}

function readAddresses(view: DataView, at: number): LoadAddresses {
  if (at + 20 > view.byteLength) throw new LoaderError('the file ends inside the multiboot header')
  const word = (index: number): number => view.getUint32(at + index * 4, true)
  return {
    header_addr: word(0),
    load_addr: word(1),
    load_end_addr: word(2),
    bss_end_addr: word(3),
    entry_addr: word(4),
  }
}

function cString(text: string): Uint8Array {
  return new TextEncoder().encode(`${text}\0`)
}
