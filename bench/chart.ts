/**
 * The comparison as a bar chart in SVG: one row per workload, a bar for each emulator we are compared with, from the line at
 * 1 to the right where we are faster and to the left where we are slower. The axis is logarithmic, so that twice and half as
 * fast are equally long. The grey of the text and the colours of the bars stand out from white and from black, and there
 * is no background.
 */
import type { Against, Comparison, Failed, PeerSummary } from './compare.ts'
import { meanName } from './report.ts'
import { type Group, isOf, MEASURED } from './workloads.ts'

const WIDTH = 800
/** The axis, from where to where. */
const LEFT = 130
const RIGHT = WIDTH - 60
const BAR = 10
const GAP = 10
const TITLE = 'How many times as fast as other emulators: right of 1 is faster'
const TEXT = '#7d8590'
const GRID = '#7d859040'
const COLOURS = ['#2f81f7', '#db8f1c', '#2da44e']

interface Row {
  readonly label: string
  readonly strong: boolean
  /** One for each peer; undefined: the peer did not run it. */
  readonly ratios: readonly (number | undefined)[]
}

/** A native run is not a rival: it would only stretch the axis. */
function drawn({ peers }: Comparison): PeerSummary[] {
  return peers.filter((peer) => 'means' in peer).filter(({ name }) => name !== 'native')
}

function ratioOf(result: Against | Failed | undefined): number | undefined {
  return result !== undefined && 'ratio' in result ? result.ratio : undefined
}

/** The workloads group by group with the means, and those that are in no mean. */
function rowsOf({ workloads }: Comparison, peers: readonly PeerSummary[]): Row[] {
  const rowsIn = (group: Group): Row[] =>
    workloads
      .filter(({ name }) => isOf(group, name))
      .map(({ name, peers: results }) => ({
        label: name,
        strong: false,
        ratios: peers.map((peer) => ratioOf(results[peer.name])),
      }))
  const groups = MEASURED.flatMap((group) => {
    const mean = { label: meanName(group), strong: true, ratios: peers.map(({ means }) => means[group]) }
    const rows = rowsIn(group)
    return rows.length > 0 ? [...rows, mean] : []
  })
  return [...groups, ...rowsIn('apart')]
}

/** Powers of two around all ratios, and around 1 in any case. */
function ticksOf(rows: readonly Row[]): number[] {
  const exponents = rows
    .flatMap(({ ratios }) => ratios)
    .filter((ratio) => ratio !== undefined)
    .map(Math.log2)
  const first = Math.floor(Math.min(-1, ...exponents))
  const last = Math.ceil(Math.max(1, ...exponents))
  return Array.from({ length: last - first + 1 }, (_, index) => 2 ** (first + index))
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

interface TextStyle {
  readonly anchor?: 'start' | 'middle' | 'end'
  readonly size?: number
  readonly strong?: boolean
}

function text(
  x: number,
  y: number,
  content: string,
  { anchor = 'start', size = 12, strong = false }: TextStyle,
): string {
  const weight = strong ? ' font-weight="bold"' : ''
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}" font-size="${size}"${weight}>${escaped(content)}</text>`
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

function tickLabel(tick: number): string {
  return tick >= 1 ? `${tick}` : `1/${1 / tick}`
}

export function chart(comparison: Comparison): string {
  const peers = drawn(comparison)
  const rows = rowsOf(comparison, peers)
  const ticks = ticksOf(rows)
  const low = Math.log2(ticks[0] ?? 1)
  const high = Math.log2(ticks.at(-1) ?? 1)
  const at = (ratio: number): number => LEFT + ((Math.log2(ratio) - low) / (high - low)) * (RIGHT - LEFT)
  const head = header(comparison, peers)
  const rowHeight = Math.max(1, peers.length) * BAR + GAP
  const top = head.height
  const bottom = top + rows.length * rowHeight + GAP / 2
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${bottom + 26}" font-family="sans-serif" fill="${TEXT}">`,
    `<title>${TITLE}</title>`,
    ...head.lines,
    ...ticks.map((tick) => gridLine(at(tick), top, bottom, tick)),
    ...rows.flatMap((row, index) => drawRow(row, top + index * rowHeight + GAP / 2, at)),
    '</svg>',
    '',
  ].join('\n')
}

function header(comparison: Comparison, peers: readonly PeerSummary[]): { lines: string[]; height: number } {
  const lines = [text(12, 22, TITLE, { size: 15, strong: true })]
  let y = 26
  for (const [index, { version, note }] of peers.entries()) {
    y += 18
    lines.push(`<rect x="12" y="${y - 9}" width="10" height="10" fill="${colour(index)}"/>`)
    lines.push(text(28, y, note === undefined ? version : `${version}; ${note}`, {}))
  }
  for (const peer of comparison.peers)
    if ('missing' in peer) lines.push(text(28, (y += 18), `${peer.name}: ${peer.missing}`, {}))
  lines.push(
    text(12, (y += 18), `${comparison.here}; the guest's workloads at scale ${comparison.scale}, logarithmic axis`, {}),
  )
  return { lines, height: y + 12 }
}

function colour(index: number): string {
  return COLOURS[index % COLOURS.length] ?? TEXT
}

function gridLine(x: number, top: number, bottom: number, tick: number): string {
  const [stroke, width] = tick === 1 ? [TEXT, 1.5] : [GRID, 1]
  return [
    `<line x1="${round(x)}" y1="${top}" x2="${round(x)}" y2="${bottom}" stroke="${stroke}" stroke-width="${width}"/>`,
    text(x, bottom + 16, tickLabel(tick), { anchor: 'middle', strong: tick === 1 }),
  ].join('\n')
}

function drawRow({ label, strong, ratios }: Row, top: number, at: (ratio: number) => number): string[] {
  const middle = top + (Math.max(1, ratios.length) * BAR) / 2
  return [
    ...(strong ? [band(top - GAP / 2, Math.max(1, ratios.length) * BAR + GAP)] : []),
    text(LEFT - 12, middle + 4, label, { anchor: 'end', strong }),
    ...ratios.map((ratio, index) => drawBar(ratio, top + index * BAR, colour(index), strong, at)),
  ]
}

/** What a row is set off with. */
function band(top: number, height: number): string {
  return `<rect x="0" y="${top}" width="${WIDTH}" height="${height}" fill="${GRID}"/>`
}

function drawBar(
  ratio: number | undefined,
  top: number,
  fill: string,
  strong: boolean,
  at: (ratio: number) => number,
): string {
  const style = { size: 10, strong }
  if (ratio === undefined) return text(at(1) + 5, top + 8, 'failed', style)
  const x = Math.min(at(1), at(ratio))
  const width = Math.abs(at(ratio) - at(1))
  const bar = `<rect x="${round(x)}" y="${top + 1}" width="${round(width)}" height="${BAR - 2}" fill="${fill}"/>`
  const value = ratio.toFixed(2)
  const label =
    ratio >= 1 ? text(x + width + 5, top + 9, value, style) : text(x - 5, top + 9, value, { ...style, anchor: 'end' })
  return `${bar}\n${label}`
}
