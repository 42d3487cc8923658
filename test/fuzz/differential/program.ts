/** A random program, made from a seed: its code, the machine it runs in, and what the host may overwrite. */
import * as L from '../../../src/cpu/layout.ts'
import { Random } from '../random.ts'
import { Assembler, le32, little } from './assembler.ts'
import { Context, type Manner, RAX, RDX, type Roles, RSP } from './context.ts'
import { ControlWriter } from './control.ts'
import { Image, type Placement, type Start, scattered, scatteringOf } from './image.ts'
import { type KernelOptions, writeKernel } from './kernel.ts'
import {
  CODE,
  CODE_SIZE,
  CODE_WINDOW,
  DATA,
  DATA_SIZE,
  HANDLERS,
  K,
  OVERLAY,
  RECURSIVE,
  STACK_SIZE,
  SYSTEM,
} from './layout.ts'
import { shake, THEME_COUNT, writeSites } from './pieces.ts'

/** A place that the host may overwrite: guest-physical address, and what may be written there. */
export interface HostSite {
  /** Its distance from the beginning of the code. */
  readonly at: number
  readonly gpa: number
  readonly bytes: 1 | 4
  readonly flip: boolean
}

/** Guest-physical address of a byte of the code. */
export function codeAt({ codePages }: Placement, at: number): number {
  return CODE + scattered(at, CODE_SIZE, codePages)
}

export interface Program {
  readonly placement: Placement
  readonly code: Assembler
  readonly image: Image
  readonly start: Start
  readonly sites: readonly HostSite[]
}

const CODE_BASES = [
  0x10000000n,
  0xffffc000n,
  0xfffff000n,
  0x7ffffffd8000n,
  0x7fff00000000n,
  0xffff800000000000n,
  0xffffffffc0000000n,
]
const DATA_BASES = [0x20000000n, 0xffff8000n, 0x7fffffff0000n, 0x555500000000n, 0xffff812345670000n]
const STACK_BASES = [0x30000000n, 0x7ffe00000000n, 0xffff880000000000n]

/** How long a program is: statements and routines. */
const SIZES = [
  { statements: 5, routines: 0 },
  { statements: 8, routines: 1 },
  { statements: 12, routines: 2 },
  { statements: 40, routines: 5 },
] as const

const PATCH_MASKS = [[63, 255], [31, 255], [255], [0, 7, 63]] as const

function overlap(a: bigint, size: number, b: bigint, other: number): boolean {
  return a < b + BigInt(other) && b < a + BigInt(size)
}

function placed(random: Random): Placement {
  const codeBase = random.pick(CODE_BASES)
  const free = DATA_BASES.filter((base) => !overlap(base, DATA_SIZE, codeBase, CODE_WINDOW))
  return {
    codeBase,
    codePages: scatteringOf(random),
    dataBase: random.pick(free),
    stackBase: random.pick(STACK_BASES),
    ring: random.oneIn(2) ? 3 : 0,
  }
}

/** RAX, RDX and RSP have their own uses; of the others six get a role. */
function rolesOf(random: Random): Roles {
  const free = Array.from({ length: 16 }, (_, register) => register).filter((r) => ![RAX, RDX, RSP].includes(r))
  const draw = (): number => free.splice(random.below(free.length), 1)[0] as number
  return { pointers: [draw(), draw()], index: draw(), counters: [draw(), draw(), draw()] }
}

function mannerOf(random: Random, small: boolean): Manner {
  return {
    tidy: !random.oneIn(4),
    rareness: random.pick([6, 12, 40, 200]),
    theme: random.below(THEME_COUNT),
    patchMasks: random.pick(small ? PATCH_MASKS.slice(0, 3) : PATCH_MASKS),
  }
}

function loadRoles(c: Context): void {
  for (const pointer of c.roles.pointers) c.load(pointer, c.dataAddress())
  c.load32(c.roles.index, c.random.below(256))
  for (const counter of c.roles.counters) c.load32(counter, c.random.u32())
  for (let left = 4; left > 0; left--) shake(c)
}

function writeCode(c: Context, size: (typeof SIZES)[number]): void {
  const { asm, random, placement } = c
  asm.at = random.pick([0, 0, 0xff0 - random.below(100), 0xfc0])
  const outer = asm.here()
  asm.op(0x48, 0xbc, ...little(stackTop(placement), 8))
  asm.op(0x68, ...le32(0x202))
  asm.op(0x9d)
  loadRoles(c)
  new ControlWriter(c, size.statements, size.routines).write(() => asm.jump(outer))
  writeSites(c)
  asm.finish()
}

function stackTop({ stackBase }: Placement): bigint {
  return stackBase + BigInt(STACK_SIZE - 0x100)
}

/** Another version of a code page: the pieces that may be overwritten are different ones. */
function otherVersion(random: Random, code: Assembler, page: number, sites: readonly HostSite[]): Uint8Array {
  const bytes = code.bytes.slice(page * 4096, page * 4096 + 4096)
  for (const { at: place, bytes: length, flip } of sites) {
    const at = place - page * 4096
    for (let i = Math.max(at, 0); i < Math.min(at + length, 4096); i++) {
      bytes[i] = flip ? (bytes[i] as number) ^ 1 : random.below(256)
    }
  }
  return bytes
}

function startOf(random: Random, c: Context, rip: bigint, lstar: bigint): Start {
  const { ring } = c.placement
  const gprs = Array.from({ length: 16 }, () => (random.oneIn(2) ? random.u64() : BigInt(random.below(512))))
  gprs[RSP] = stackTop(c.placement)
  const segment = (): bigint => BigInt.asUintN(64, c.placement.dataBase + BigInt(random.below(0x1000) - 0x400))
  return {
    gprs,
    rip,
    rflags: 0x202n,
    cr0: 0x80010033n | (random.oneIn(2) ? 0x40000n : 0n),
    cr4: 0xa0n | (random.oneIn(8) ? 0n : 0x10000n) | random.pick([0n, 0x600n, 0x40600n, 0x40600n, 0x40600n]),
    xcr0: random.oneIn(8) ? 3n : 7n,
    mxcsr: random.pick([0x1f80, 0x1f80, 0x1fa0, 0xffe0, 0x5f80]),
    vectors: random.bytes(16 * L.YMM_SIZE),
    fsBase: segment(),
    gsBase: segment(),
    ring,
    lstar,
  }
}

/** `small` keeps to programs that are translated quickly. */
export function makeProgram(seed: number, small: boolean): Program {
  const random = new Random(seed)
  const placement = placed(random)
  const code = new Assembler(placement.codeBase, CODE_SIZE)
  const c = new Context(random, code, placement, rolesOf(random), mannerOf(random, small))
  writeCode(c, random.pick(small ? SIZES.slice(0, 3) : SIZES))
  const sites = c.sites.map(({ place, kind }): HostSite => {
    const bytes = kind === 'doubleword' && (place.at & 4095) <= 4092 ? 4 : 1
    return { at: place.at, gpa: codeAt(placement, place.at), bytes, flip: kind === 'condition' }
  })
  const image = new Image()
  image.mapAll(random, placement, c.manner.tidy)
  image.fillData(random)
  const page = overlayPage(random, sites)
  const kernel = writeKernel({ overlay: overlayOf(placement, page), reload: random.oneIn(2) })
  image.putCode(code.bytes, code.lengths, placement.codePages)
  image.bytes.set(otherVersion(random, code, page, sites), OVERLAY)
  image.describe(random, kernel)
  const outer = code.base + BigInt(code.lengths.findIndex((length) => length > 0))
  putKernelData(image, placement, outer)
  const lstar = BigInt.asUintN(64, SYSTEM + BigInt(HANDLERS + kernel.syscall))
  return { placement, code, image, start: startOf(random, c, outer, lstar), sites }
}

/** The code page that has another version: one with something that may be overwritten, and not the first if it can be. */
function overlayPage(random: Random, sites: readonly HostSite[]): number {
  const pages = sites.map(({ at }) => Math.floor(at / 4096))
  const others = pages.filter((page) => page !== pages[0])
  return random.pick(others.length > 0 ? others : pages)
}

function overlayOf(placement: Placement, page: number): KernelOptions['overlay'] {
  const linear = BigInt.asUintN(64, placement.codeBase + BigInt(page * 4096))
  return {
    linear,
    entry: RECURSIVE + ((linear >> 9n) & 0x7ffffffff8n),
    difference: BigInt(codeAt(placement, page * 4096) ^ OVERLAY),
  }
}

function putKernelData(image: Image, placement: Placement, outer: bigint): void {
  image.put64(K.resumeRip, outer)
  image.put64(K.resumeRsp, stackTop(placement))
  image.put64(K.dataBase, placement.dataBase)
  image.put64(K.codeBase, placement.codeBase)
  image.put64(K.stackBase, placement.stackBase)
}

/** Guest-physical pages that a program's own accesses go to. */
export const PROGRAM_PAGES = { first: CODE / 4096, last: (DATA + DATA_SIZE) / 4096 - 1 } as const
