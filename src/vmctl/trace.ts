/**
 * --trace: what happens in a VM, line by line.
 *
 *   00101015: e8 b6 01 00 00           call 0x1011d0                        rsp=138ff8
 *   exit IO: in 3fd, 1 byte: 60, at 00113b77
 *   translated region 12 at 00101210, 64-bit: 5 blocks, 41 instructions, 3456 bytes of wasm, 1.234 ms
 *   dropped region 12 at 00101210: written
 */
import type { DropEvent, RegionEvent } from '../node/engines.ts'
import type { ExitEvent } from '../vmd/index.ts'
import { type ExecutedInstruction, type RegisterChange, VEI_DIR_IN, type VmExitInout } from '../vmm/index.ts'

/** What can be traced. */
export const TRACE_KINDS = {
  instructions: 'each one, with the registers it changed; they are interpreted one by one',
  exits: 'each return of VMM_IOC_RUN',
  translations: 'each region translated or dropped',
} as const
export type TraceKind = keyof typeof TRACE_KINDS

const MODES = ['16-bit', '32-bit', '64-bit']
const BYTES_WIDTH = 24
const TEXT_WIDTH = 36
/** Where the text of an instruction at a short address begins. */
const OUTSIDE_INDENT = ' '.repeat(10)

export class Trace {
  readonly #write: (text: string) => void
  /** Lines to come. */
  #left: number

  constructor(write: (text: string) => void, limit = Number.POSITIVE_INFINITY) {
    this.#write = write
    this.#left = limit
  }

  /** Returns whether there is room for more. */
  instruction(instruction: ExecutedInstruction): boolean {
    const { outside } = instruction
    if (outside.length > 0) this.#line(`${OUTSIDE_INDENT}from outside: ${formatChanges(outside)}`)
    return this.#line(formatInstruction(instruction))
  }

  exit(event: ExitEvent): void {
    this.#line(formatExit(event))
  }

  translated({ id, rip, mode, blocks, instructions, bytes, milliseconds }: RegionEvent): void {
    const counts = `${blocks} blocks, ${instructions} instructions, ${bytes} bytes of wasm, ${milliseconds.toFixed(3)} ms`
    this.#line(`translated region ${id} at ${hex(rip)}, ${MODES[mode & 3] ?? '?'}: ${counts}`)
  }

  dropped({ id, rip, reason }: DropEvent): void {
    this.#line(`dropped region ${id} at ${hex(rip)}: ${reason}`)
  }

  #line(line: string): boolean {
    if (this.#left > 0) {
      this.#left--
      this.#write(`${line}\n`)
    }
    return this.#left > 0
  }
}

function formatInstruction({ rip, bytes, text, changes, event }: ExecutedInstruction): string {
  const code = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ')
  const effects = [...(event ? ['event'] : []), formatChanges(changes)].join(' ')
  return `${hex(rip)}: ${code.padEnd(BYTES_WIDTH)} ${text.padEnd(TEXT_WIDTH)} ${effects}`.trimEnd()
}

function formatChanges(changes: readonly RegisterChange[]): string {
  return changes.map(({ name, value }) => `${name}=${value.toString(16)}`).join(' ')
}

function formatExit({ reason, exit, rip }: ExitEvent): string {
  const details: Readonly<Record<string, () => string>> = {
    IO: () => `: ${formatAccess(exit.vei)}`,
    EPT_VIOLATION: () => `: fault type ${exit.vee.vee_fault_type}`,
  }
  return `exit ${reason}${details[reason]?.() ?? ''}, at ${hex(rip)}`
}

function formatAccess({ vei_port, vei_size, vei_dir, vei_string, vei_rep, vei_data }: VmExitInout): string {
  const name = `${vei_rep ? 'rep ' : ''}${vei_dir === VEI_DIR_IN ? 'in' : 'out'}${vei_string ? 's' : ''}`
  const data = BigInt.asUintN(vei_size * 8, BigInt(vei_data))
  return `${name} ${vei_port.toString(16)}, ${vei_size} byte${vei_size === 1 ? '' : 's'}: ${data.toString(16)}`
}

function hex(value: bigint): string {
  return value.toString(16).padStart(8, '0')
}
