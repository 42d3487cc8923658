/**
 * A translated region on paper: its guest code by blocks, beside each block the wasm that was made of it (when the
 * translator has marked it), the control-flow graph, and the whole module as text.
 */
import { hex, type ListedBlock, listBlocks } from './listing.ts'
import { BLOCK_MARK, type RegionEvent } from './observer.ts'

export interface RegionDump {
  readonly text: string
  /** For Graphviz. */
  readonly dot: string
}

const MODES = ['16-bit', '32-bit', '64-bit']
/** Columns of the guest's side and of the wasm. */
const GUEST_WIDTH = 72
const WASM_WIDTH = 88
const MARK = /^ *\(drop \(i32\.const (\d+)\)\)$/

/** Loads Binaryen. */
export async function regionDumper(): Promise<(event: RegionEvent) => RegionDump> {
  const { wasmText } = await import('../src/cpu/wasm/text.ts')
  return (event) => {
    const blocks = listBlocks(event)
    const wasm = event.wasm === undefined ? [] : wasmText(event.wasm, WASM_WIDTH).split('\n')
    return { text: formatRegion(event, blocks, wasm), dot: formatGraph(event, blocks) }
  }
}

function formatRegion(event: RegionEvent, blocks: readonly ListedBlock[], wasm: readonly string[]): string {
  const { id, rip, mode, instructions, bytes, milliseconds } = event
  const counts = `${blocks.length} blocks, ${instructions} instructions, ${bytes} bytes of wasm`
  const marked = byBlocks(wasm)
  return [
    `region ${id} at ${hex(rip)}, ${MODES[mode & 3] ?? '?'}: ${counts}, ${milliseconds.toFixed(3)} ms`,
    ...section(marked.size === 0 ? 'guest code' : 'guest code, and the wasm made of it'),
    ...blocks.flatMap((block, index) => ['', ...sideBySide(block.lines, marked.get(index) ?? [])]),
    ...section('control flow'),
    '',
    ...blocks.map(formatFlow),
    ...section('wasm'),
    '',
    ...wasm.filter((line) => !MARK.test(line)),
    '',
  ].join('\n')
}

function section(title: string): string[] {
  return ['', `--- ${title} ${'-'.repeat(GUEST_WIDTH - title.length)}`]
}

/** The lines from each mark to the next, by the mark's number. */
function byBlocks(wasm: readonly string[]): Map<number, string[]> {
  const blocks = new Map<number, string[]>()
  let lines: string[] | undefined
  for (const line of wasm) {
    const mark = MARK.exec(line)
    const index = Number(mark?.[1] ?? 0) - BLOCK_MARK
    if (mark !== null && index >= 0) {
      lines = []
      blocks.set(index, lines)
    } else lines?.push(line)
  }
  return blocks
}

function sideBySide(left: readonly string[], right: readonly string[]): string[] {
  const indent = Math.min(...right.map((line) => line.search(/\S|$/)))
  return Array.from({ length: Math.max(left.length, right.length) }, (_, row) => {
    const wasm = right[row]?.slice(indent)
    const guest = left[row] ?? ''
    return wasm === undefined ? guest : `${guest.padEnd(GUEST_WIDTH)} | ${wasm}`
  })
}

function formatFlow({ address, successors, exits }: ListedBlock): string {
  const inside = successors.map((target) => `${hex(target)}${target <= address ? ' (back)' : ''}`)
  const outside = exits.map((exit) => (exit === 'computed' ? 'a computed address' : `${hex(exit)} (outside)`))
  return `${hex(address)} -> ${[...inside, ...outside].join(', ')}`
}

function formatGraph({ id }: RegionEvent, blocks: readonly ListedBlock[]): string {
  const node = (address: bigint | 'computed'): string => `"${address === 'computed' ? address : hex(address)}"`
  const outside = new Set(blocks.flatMap(({ exits }) => exits))
  return [
    `digraph region_${id} {`,
    '  node [shape=box, fontname=monospace]',
    ...blocks.map(({ address, lines }) => `  ${node(address)} [label="${lines.join('\\l')}\\l"]`),
    ...Array.from(outside, (exit) => `  ${node(exit)} [shape=ellipse, style=dashed]`),
    ...blocks.flatMap(({ address, successors, exits }) =>
      [...successors, ...exits].map((target) => `  ${node(address)} -> ${node(target)}`),
    ),
    '}',
    '',
  ].join('\n')
}
