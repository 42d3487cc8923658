/** Loaders on memory made of a plain array; that loaded kernels run is shown in vmd-machine.test.ts. */
import { readFileSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { BUILTIN_GUEST } from '../src/node/files.ts'
import { type LoadedImage, LoaderError, loadImage } from '../src/vmd/loader/index.ts'
import { codeSymbols } from '../src/vmd/loader/symbol-table.ts'
import { MB, memoryMap } from '../src/vmd/memory-map.ts'
import { cpuMode } from '../src/vmd/registers.ts'
import { vcpu_reg_state } from '../src/vmm/index.ts'
import { concat, elf, kernel64, multibootHeader, type Segment, words } from './support/vmd-images.ts'

const RAM = 8 * MB

class Memory {
  readonly bytes = new Uint8Array(RAM)
  readonly #view = new DataView(this.bytes.buffer)

  has(gpa: number, length = 1): boolean {
    return gpa >= 0 && gpa + length <= RAM
  }

  write(gpa: number, bytes: Uint8Array): void {
    if (!this.has(gpa, bytes.length)) throw new RangeError(`write to ${gpa.toString(16)}`)
    this.bytes.set(bytes, gpa)
  }

  u32(gpa: number): number {
    return this.#view.getUint32(gpa, true)
  }

  u64(gpa: number): bigint {
    return this.#view.getBigUint64(gpa, true)
  }

  words(gpa: number, count: number): number[] {
    return Array.from({ length: count }, (_, index) => this.u32(gpa + index * 4))
  }

  string(gpa: number): string {
    return Buffer.from(this.bytes.subarray(gpa, this.bytes.indexOf(0, gpa))).toString()
  }

  /** What a 64-bit walk of the page tables makes of a linear address. */
  translate(cr3: bigint, address: bigint): bigint | undefined {
    let table = Number(cr3)
    for (const shift of [39n, 30n, 21n]) {
      const entry = this.u64(table + Number((address >> shift) & 511n) * 8)
      if ((entry & 1n) === 0n) return undefined
      if ((entry & 0x80n) !== 0n) return (entry & ~0x1fffffn) | (address & 0x1fffffn)
      table = Number(entry & ~0xfffn)
    }
    return undefined
  }
}

interface Loaded extends LoadedImage {
  memory: Memory
  gprs: bigint[]
  crs: bigint[]
}

/** Bounds are checked, contents forgotten. */
class Void extends Memory {
  override write(gpa: number, bytes: Uint8Array): void {
    if (!this.has(gpa, bytes.length)) throw new RangeError(`write to ${gpa.toString(16)}`)
  }
}

const VOID = new Void()

function load(image: Uint8Array, commandLine = 'one two', memory = new Memory()): Loaded {
  const random = (bytes: Uint8Array): void => void bytes.fill(0xa5)
  const loaded = loadImage(image, { memory, map: memoryMap(RAM), commandLine, random })
  return { ...loaded, memory, gprs: loaded.state.vrs_gprs, crs: loaded.state.vrs_crs }
}

function refused(image: Uint8Array, message: RegExp): void {
  try {
    load(image, '', VOID)
  } catch (error) {
    assert.instance(error, LoaderError)
    assert.match((error as LoaderError).message, message)
    return
  }
  assert.unreachable(`loaded, expected ${message}`)
}

const RAX = 0
const RBX = 1
const RSP = 14
const RIP = 16
const RFLAGS = 17
const CODE = Uint8Array.of(0x90, 0x90, 0xf4)

// The 64-bit start

test('ELF64: 64-bit mode at e_entry, as the head of loader/index.ts promises', () => {
  const { format, state, memory, gprs, crs } = load(kernel64([0x90, 0xf4]))
  assert.is(format, 'ELF64')
  assert.equal([...memory.bytes.subarray(0x100000, 0x100002)], [0x90, 0xf4])
  assert.is(gprs[RIP], 0x100000n)
  assert.is(gprs[RFLAGS], 2n)
  assert.equal([gprs[RAX], gprs[RBX]], [0n, 0n])
  assert.is(crs[0], 0x80010031n)
  assert.is(crs[3], 0x30n)
  assert.is(state.vrs_msrs[0], 0xd01n)
  assert.is(cpuMode(state), '64-bit mode')
  assert.is(state.vrs_idtr.vsi_limit, 0)
  const gdt = Number(state.vrs_gdtr.vsi_base)
  assert.is(memory.u64(gdt), 0n)
  assert.is(memory.u64(gdt + 8), 0x00af9b000000ffffn)
  assert.is(memory.u64(gdt + 16), 0x00cf93000000ffffn)
  for (const address of [0n, 0x100000n, 0x3fffffffn, 0x40000000n, 0xfee00123n, 0xffffffffn]) {
    assert.is(memory.translate(crs[2] as bigint, address), address)
  }
  assert.is(memory.translate(crs[2] as bigint, 0x100000000n), undefined)
  const rsp = Number(gprs[RSP])
  assert.ok(rsp % 16 === 0 && rsp <= 0xa0000)
})

test('tables, stack and information keep out of the way of an image in low memory', () => {
  const bytes = new Uint8Array(0x9000).fill(0xcc)
  bytes.set(multibootHeader(3), 16)
  const { memory, gprs, crs, state } = load(elf({ entry: 0x2000, segments: [{ paddr: 0x2000, bytes }] }))
  assert.equal(memory.bytes.subarray(0x2000, 0xb000), bytes)
  const pieces = [Number(crs[2]), Number(state.vrs_gdtr.vsi_base), Number(gprs[RSP]) - 1, Number(gprs[RBX])]
  for (const gpa of pieces) assert.ok(gpa < 0x2000 || gpa >= 0xb000, gpa.toString(16))
})

test('multiboot information: memory, command line, memory map, loader name', () => {
  const bytes = concat(multibootHeader(3), CODE)
  const { format, memory, gprs } = load(elf({ entry: 0x10000c, segments: [{ paddr: 0x100000, bytes }] }), 'root=x y')
  assert.is(format, 'ELF64 with multiboot')
  assert.is(gprs[RAX], 0x2badb002n)
  const info = Number(gprs[RBX])
  assert.is(memory.u32(info), 0x245)
  assert.equal(memory.words(info + 4, 2), [640, 7 * 1024])
  assert.is(memory.string(memory.u32(info + 16)), 'root=x y')
  assert.is(memory.string(memory.u32(info + 64)), 'vmmjit')
  assert.is(memory.u32(info + 44), 48)
  assert.equal(memory.words(memory.u32(info + 48), 12), [
    ...[20, 0, 0, 0xa0000, 0, 1],
    ...[20, 0x100000, 0, 7 * MB, 0, 1],
  ])
})

test('an ELF64 image with multiboot load addresses is entered in 64-bit mode all the same', () => {
  const header = multibootHeader(0x10003, [0x100000, 0x100000, 0, 0, 0x100020])
  const { state, gprs } = load(elf({ entry: 0x100020, segments: [{ paddr: 0x100000, bytes: concat(header, CODE) }] }))
  assert.is(cpuMode(state), '64-bit mode')
  assert.is(gprs[RIP], 0x100020n)
})

test('the zeroed part of a segment counts, but is not written', () => {
  let written = 0
  const memory = new Memory()
  const counting = {
    has: (gpa: number, length?: number) => memory.has(gpa, length),
    write: (gpa: number, bytes: Uint8Array) => {
      written += bytes.length
      memory.write(gpa, bytes)
    },
  }
  const image = elf({ entry: 0x100000, segments: [{ paddr: 0x100000, bytes: CODE, memsz: 6 * MB }] })
  loadImage(image, { memory: counting, map: memoryMap(RAM), commandLine: '', random: () => {} })
  assert.ok(written < 100_000, `${written}`)
})

// OpenBSD

const RANDOMIZE = 0x65a3dbe6
const OPENBSD_NOTE: Segment = {
  type: 4,
  paddr: 0,
  bytes: concat(words([8, 4, 1]), new TextEncoder().encode('OpenBSD\0'), words([0])),
}

test('OpenBSD ELF64: boot arguments, stack, GDT and page tables where vmd puts them', () => {
  const image = elf({
    entry: 0xffffffff80200001n,
    segments: [
      { paddr: 0x200000, bytes: CODE, memsz: 0x1000 },
      { type: RANDOMIZE, paddr: 0x200800, filesz: 8 },
    ],
  })
  const { format, memory, state, gprs, crs } = load(image)
  assert.is(format, 'OpenBSD ELF64 kernel')
  assert.equal(memory.words(0x2000, 28), [
    ...[0, 72, 72],
    ...[0, 0, 0xa0000, 0, 1],
    ...[0x100000, 0, 7 * MB, 0, 1],
    ...[0, 0, 0, 0, 0],
    ...[5, 28, 28, 0x800, 115200, 0x3f8, 0],
    ...[0xffffffff, 0, 0],
  ])
  const end = 0x201000 + 64
  assert.equal(memory.words(0xffdc, 9), [0, 0, 0xa0000004, 0xe, end, 0, 0, 104, 0x2000])
  assert.is(memory.u64(0x10008), 0x00cf9b000000ffffn)
  assert.is(memory.u64(0x10010), 0x00cf93000000ffffn)
  assert.equal([memory.u64(0x11000), memory.u64(0x12000)], [0x12001n, 0x13007n])
  assert.equal([memory.u64(0x13000), memory.u64(0x13ff8)], [0x87n, 0x3fe00087n])
  assert.equal([...memory.bytes.subarray(0x2007ff, 0x200809)], [0, ...Array(8).fill(0xa5), 0])
  assert.equal([gprs[RIP], gprs[RSP], gprs[RFLAGS]], [0x200001n, 0xffdcn, 2n])
  assert.equal([crs[0], crs[2], crs[3], state.vrs_msrs[0]], [0x80000011n, 0x11000n, 0x30n, 0x500n])
  assert.equal(state.vrs_sregs[0], { vsi_sel: 8, vsi_limit: 0xffffffff, vsi_ar: 0xc09f, vsi_base: 0n })
  assert.equal(state.vrs_gdtr, { vsi_sel: 0, vsi_limit: 0xffff, vsi_ar: 0, vsi_base: 0x10000n })
  assert.is(cpuMode(state), '32-bit compatibility mode')
})

test('OpenBSD is known by its note as well', () => {
  const image = elf({ entry: 0x200000, segments: [{ paddr: 0x200000, bytes: CODE }, OPENBSD_NOTE] })
  assert.is(load(image).format, 'OpenBSD ELF64 kernel')
})

for (const width of [32, 64] as const) {
  test(`OpenBSD ELF${width}: header, section headers and symbols go behind the kernel`, () => {
    const word = width / 8
    const names = new TextEncoder().encode('\0.debug_line\0.text\0')
    const section = (type: number, bytes: number[] | Uint8Array, name = 0) => {
      return { name, type, bytes: Uint8Array.from(bytes) }
    }
    const image = elf({
      class: width,
      entry: 0x200000,
      segments: [{ paddr: 0x200000, bytes: CODE, memsz: 0x1234 }, OPENBSD_NOTE],
      shstrndx: 2,
      sections: [
        section(0, []),
        section(2, [1, 2, 3, 4, 5]),
        section(3, names),
        section(1, [6, 7], 1),
        section(1, [8, 9], 13),
      ],
    })
    const { memory } = load(image)
    const at = width === 64 ? 0x201238 : 0x201234
    const [ehsize, shentsize] = width === 64 ? [64, 64] : [52, 40]
    const header = (index: number): number => at + ehsize + index * shentsize
    const offsetOf = (index: number): number => memory.u32(header(index) + 8 + 2 * word)
    assert.is(memory.u32(at), 0x464c457f)
    assert.is(memory.u32(at + 24 + word), 0, 'e_phoff')
    assert.is(memory.u32(at + 24 + 2 * word), ehsize, 'e_shoff')
    assert.is(memory.bytes[at + 24 + 3 * word + 8], 0, 'e_phnum')
    const symbols = ehsize + 5 * shentsize
    assert.is(offsetOf(1), symbols)
    assert.is(offsetOf(2), symbols + 8)
    const lines = symbols + 8 + Math.ceil(names.length / word) * word
    assert.is(offsetOf(3), lines)
    assert.equal([...memory.bytes.subarray(at + symbols, at + symbols + 8)], [1, 2, 3, 4, 5, 0, 0, 0])
    assert.equal([...memory.bytes.subarray(at + lines, at + lines + 3)], [6, 7, 0])
    assert.equal(
      [1, 2, 3, 4].map((index) => memory.u32(header(index) + 8)),
      [2, 2, 2, 0],
      'SHF_ALLOC',
    )
    assert.is(memory.u32(0xffec), at + lines + word, 'end, as the kernel is told')
  })
}

test('ELF32: protected mode with 4 MB pages', () => {
  const image = elf({ class: 32, entry: 0xd0200000, segments: [{ paddr: 0x200000, bytes: CODE }] })
  const { format, memory, state, gprs, crs } = load(image)
  assert.is(format, 'ELF32')
  assert.is(gprs[RIP], 0x200000n)
  assert.equal([crs[0], crs[2], crs[3], state.vrs_msrs[0]], [0x80000011n, 0x12000n, 0x10n, 0n])
  assert.equal([memory.u32(0x12000), memory.u32(0x12ffc)], [0x87, 0xffc00087])
  assert.is(cpuMode(state), '32-bit protected mode, paging on')
})

// Multiboot

test('multiboot ELF32: protected mode, EAX and EBX, no paging', () => {
  const bytes = concat(multibootHeader(3), CODE)
  const { format, state, memory, gprs, crs } = load(
    elf({ class: 32, entry: 0x10000c, segments: [{ paddr: 0x100000, bytes }] }),
  )
  assert.is(format, 'multiboot')
  assert.equal([gprs[RAX], gprs[RIP], crs[0]], [0x2badb002n, 0x10000cn, 0x11n])
  assert.is(memory.u32(Number(gprs[RBX])), 0x245)
  assert.is(cpuMode(state), '32-bit protected mode, paging off')
})

/** A flat file with the header at 8: [0x200000, ...) is loaded from 4 on. */
const ADDRESSES = { header: 0x200004, load: 0x200000, loadEnd: 0x200030, bssEnd: 0x201000, entry: 0x200024 }

function flat(change: Partial<typeof ADDRESSES> = {}, flags = 0x10003): Uint8Array {
  const { header, load, loadEnd, bssEnd, entry } = { ...ADDRESSES, ...change }
  const file = new Uint8Array(0x38).fill(0xee)
  file.set(multibootHeader(flags, [header, load, loadEnd, bssEnd, entry]), 8)
  return file
}

test('multiboot load addresses: where the file goes', () => {
  const { memory, gprs } = load(flat())
  assert.is(gprs[RIP], 0x200024n)
  assert.equal(memory.bytes.subarray(0x200000, 0x200030), flat().subarray(4, 0x34))
  assert.is(memory.bytes[0x200030], 0)
  assert.is(load(flat({ loadEnd: 0, bssEnd: 0 })).memory.bytes[0x200033], 0xee, 'to the end of the file')
})

test('multiboot load addresses go before an ELF32 header', () => {
  const header = multibootHeader(0x10003, [0x300054, 0x300000, 0, 0, 0x300074])
  const bytes = concat(header, CODE)
  const image = elf({ class: 32, entry: 0x200000, segments: [{ paddr: 0x200000, bytes }] })
  const at = image.findIndex((_, index) => header.every((byte, i) => image[index + i] === byte))
  assert.is(at, 0x58)
  const moved = elf({
    class: 32,
    entry: 0x200000,
    segments: [
      { paddr: 0x200000, bytes: concat(multibootHeader(0x10003, [0x300058, 0x300000, 0, 0, 0x300078]), CODE) },
    ],
  })
  const { memory, gprs } = load(moved)
  assert.is(gprs[RIP], 0x300078n)
  assert.equal(memory.bytes.subarray(0x300000, 0x300000 + moved.length), moved)
})

test('broken multiboot headers are refused', () => {
  refused(flat({ header: 0x1ffffc }), /load_addr 0x200000 and header_addr 0x1ffffc do not fit/)
  refused(flat({ header: 0x20000c }), /do not fit its place in the file, 0x8/)
  refused(flat({ loadEnd: 0x1fffff }), /out of order/)
  refused(flat({ bssEnd: 0x200010 }), /out of order/)
  refused(flat({ loadEnd: 0x200035 }), /bytes 0x4-0x39 of a file of 0x38 bytes: the file is truncated/)
  refused(flat({ bssEnd: 0xffffffff }), /the multiboot image is at 0x200000-0xffffffff, but the machine has 8 MB/)
  refused(flat({ entry: 0x201000 }), /entry 0x201000 is outside/)
  refused(flat({}, 0x10007 | 0x8), /requires features 0x8/)
  refused(flat({}, 3), /without load addresses, and it is not an ELF file/)
  refused(flat().subarray(0, 0x18), /ends inside the multiboot header/)
})

// What is refused

test('files that can not be booted are named', () => {
  const at = (offset: number, ...bytes: number[]): Uint8Array => {
    const file = new Uint8Array(0x9000)
    file.set(bytes, offset)
    return file
  }
  const ascii = (text: string): number[] => [...Buffer.from(text)]
  refused(new Uint8Array(), /the image is empty/)
  refused(new Uint8Array(100), /of no known format; expected an ELF kernel .* or a multiboot 1 kernel/)
  refused(at(0x202, ...ascii('HdrS')), /Linux bzImage, which is not supported yet/)
  refused(at(0, 0x1f, 0x8b), /compressed by gzip/)
  refused(at(0, ...ascii('QFI'), 0xfb), /qcow2/)
  refused(at(0x8001, ...ascii('CD001')), /CD image/)
  refused(at(0, ...ascii('MZ')), /EFI or Windows/)
  refused(at(0x1fe, 0x55, 0xaa), /boot sector/)
})

test('ELF files of other kinds are refused', () => {
  const segments = [{ paddr: 0x100000, bytes: CODE }]
  const patched = (offset: number, value: number): Uint8Array => {
    return elf({ entry: 0x100000, segments, patch: { [offset]: value } })
  }
  refused(patched(4, 0x0103), /class 3, neither/)
  refused(patched(4, 0x0202), /not little endian/)
  refused(patched(16, 1), /object file/)
  refused(patched(16, 3), /position-independent/)
  refused(patched(16, 4), /core dump/)
  refused(patched(18, 183), /ELF64 file is for machine 183, not for x86-64/)
  refused(patched(54, 32), /program header has 32 bytes here, expected 56/)
  refused(patched(56, 0), /no program headers/)
  refused(patched(56, 0xffff), /65535 or more/)
  refused(patched(56, 500), /500 ELF program headers .* truncated/)
  refused(elf({ class: 32, entry: 0, segments, patch: { 18: 62 } }), /ELF32 file is for machine 62, not for i386/)
})

test('hostile segments are refused', () => {
  const refusedSegment = (segment: Segment, message: RegExp): void => {
    refused(elf({ entry: 0x100000, segments: [{ paddr: 0x100000, bytes: CODE, memsz: 0x1000 }, segment] }), message)
  }
  const huge = 0xffffffffffff0000n
  refusedSegment({ paddr: RAM, bytes: CODE }, /segment 1 is at 0x800000-0x800003, but the machine has 8 MB of memory/)
  refusedSegment({ paddr: RAM - 1, bytes: CODE }, /segment 1 is at/)
  refusedSegment({ paddr: huge, bytes: CODE }, /p_paddr of segment 1 is 0xffffffffffff0000/)
  refusedSegment({ paddr: 0x200000, bytes: CODE, memsz: huge }, /p_memsz of segment 1/)
  refusedSegment({ paddr: 0x200000, memsz: 0x3ffffffffffff }, /segment 1 is at 0x200000-0x40000001fffff/)
  refusedSegment({ paddr: 0x200000, bytes: CODE, memsz: 2 }, /p_filesz 0x3, more than p_memsz 0x2/)
  refusedSegment({ paddr: 0x200000, offset: 1 << 30, filesz: 1 }, /of a file of .* truncated/)
  refusedSegment({ paddr: 0x200000, filesz: 0x100000 }, /segment 1 occupies bytes .* truncated/)
  refusedSegment({ paddr: 0x100fff, bytes: CODE }, /segment 1 at .* overlaps segment 0 at 0x100000-0x101000/)
  refusedSegment({ paddr: 0xff000, memsz: 0x10000 }, /overlaps segment 0/)
  refused(elf({ entry: 0, segments: [{ type: 2, paddr: 0, bytes: CODE }] }), /no PT_LOAD segment/)
  refused(elf({ entry: 0x200000, segments: [{ paddr: 0x100000, bytes: CODE }] }), /entry 0x200000 is not in a loaded/)
  const virtual = 0xffffffff80100000n
  refused(elf({ entry: virtual, segments: [{ paddr: 0x100000, bytes: CODE }] }), /must be a physical address/)
  refused(elf({ entry: 0, segments: [{ paddr: 0, bytes: CODE, memsz: 0xa0000 }] }), /leaves no 24 KB .* page tables/)
  refused(
    elf({ entry: 0x2000, segments: [{ paddr: 0x2000, bytes: CODE }, OPENBSD_NOTE] }),
    /segment 0 .* overlaps the boot arguments/,
  )
})

test('a command line that is too long is refused', () => {
  const image = readFileSync(BUILTIN_GUEST)
  const big = memoryMap(64 * MB)
  const memory = { has: () => true, write: () => {} }
  const options = { memory, map: big, random: () => {} }
  loadImage(image, { ...options, commandLine: 'x'.repeat(4095) })
  assert.throws(() => loadImage(image, { ...options, commandLine: 'x'.repeat(4096) }), /command line has 4096 bytes/)
})

test('an image that is cut off anywhere is refused', () => {
  const image = elf({
    entry: 0x200000,
    segments: [{ paddr: 0x200000, bytes: CODE }, OPENBSD_NOTE],
    sections: [{ name: 0, type: 2, bytes: CODE }],
  })
  for (let length = 0; length < image.length; length++) {
    assert.throws(
      () => load(image.subarray(0, length), '', VOID),
      (error: unknown) => error instanceof LoaderError,
    )
  }
  load(image)
})

/** Entries of a symbol table: name, type, section, value, size. */
function symbolTable(width: 32 | 64, entries: readonly (readonly number[])[]): Uint8Array {
  const size = width === 64 ? 24 : 16
  const view = new DataView(new ArrayBuffer(entries.length * size))
  entries.forEach(([name = 0, type = 0, section = 0, value = 0, length = 0], index) => {
    const at = index * size
    view.setUint32(at, name, true)
    view.setUint8(at + (width === 64 ? 4 : 12), type)
    view.setUint16(at + (width === 64 ? 6 : 14), section, true)
    if (width === 64) view.setBigInt64(at + 8, BigInt(value), true)
    else view.setUint32(at + 4, value, true)
    view.setUint32(at + (width === 64 ? 16 : 8), length, true)
  })
  return new Uint8Array(view.buffer)
}

for (const width of [32, 64] as const) {
  test(`the symbols of code in an ELF${width} file`, () => {
    const entries = [
      [0, 0, 0, 0, 0],
      [1, 2, 1, 0x1000, 16], // a function
      [6, 0x10, 1, 0x1010, 0], // a label, global
      [1, 1, 1, 0x1020, 8], // an object
      [1, 2, 2, 0x1030, 8], // not in code
      [1, 2, 0xfff1, 0x1040, 8], // absolute
      [0, 2, 1, 0x1050, 8], // without a name
    ]
    const image = elf({
      class: width,
      entry: 0x1000,
      segments: [{ paddr: 0x1000, bytes: CODE }],
      sections: [
        { name: 0, type: 0, bytes: new Uint8Array() },
        { name: 0, type: 1, flags: 6, bytes: CODE },
        { name: 0, type: 2, link: 3, bytes: symbolTable(width, entries) },
        { name: 0, type: 3, bytes: new TextEncoder().encode('\0main\0loop\0') },
      ],
    })
    assert.equal(codeSymbols(image), [
      { name: 'main', address: 0x1000n, size: 16n },
      { name: 'loop', address: 0x1010n, size: 0n },
    ])
  })
}

test('no symbols in a stripped file, or in one that is no ELF', () => {
  assert.equal(codeSymbols(kernel64([...CODE])), [])
  assert.equal(codeSymbols(flat()), [])
})

test('damaged images give a LoaderError, or load; nothing else', () => {
  const images = [
    kernel64([...CODE]),
    flat(),
    elf({ class: 32, entry: 0x100000, segments: [{ paddr: 0x100000, bytes: concat(multibootHeader(3), CODE) }] }),
    elf({
      entry: 0x200000,
      segments: [{ paddr: 0x200000, bytes: CODE }, { type: RANDOMIZE, paddr: 0x300000, filesz: 5 }, OPENBSD_NOTE],
      shstrndx: 1,
      sections: [
        { name: 0, type: 2, bytes: CODE },
        { name: 0, type: 3, bytes: CODE },
      ],
    }),
  ]
  const values = [0, 1, 0x7f, 0x80, 0xff]
  let loaded = 0
  for (const image of images) {
    for (let at = 4; at < image.length; at++) {
      for (const value of values) {
        const damaged = image.slice()
        damaged[at] = value
        try {
          load(damaged, '', VOID)
          codeSymbols(damaged)
          loaded++
        } catch (error) {
          if (!(error instanceof LoaderError)) throw error
        }
      }
    }
  }
  assert.ok(loaded > 100)
})

test('registers nobody names are zero', () => {
  const { state } = load(kernel64([...CODE]))
  const zero = vcpu_reg_state.zero()
  assert.equal(state.vrs_gprs.slice(2, 14), zero.vrs_gprs.slice(2, 14))
  assert.is(state.vrs_crs[5], 1n, 'XCR0 has x87')
})

test.run()
