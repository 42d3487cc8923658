/**
 * Makes test/vectors/sample/ from the whole corpus: `npx tsx test/vectors/sample.ts DIR`.
 *
 * Of each form of each group (a form is what `asm` names, in one mode) every 50th case is taken, evenly spread and at least
 * one. So all forms are there in every environment, and the sample has about the proportions of the corpus. Nothing is
 * random: the same corpus gives the same sample.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync, gzipSync } from 'node:zlib'
import { type Case, groupNames } from './corpus.ts'

const OUTPUT = fileURLToPath(new URL('sample/', import.meta.url))
const EVERY = 50
const MAX_BYTES = 1 << 20

/** Lines of a group, chosen; in the order of the corpus. */
export function sampleLines(lines: readonly string[]): string[] {
  const forms = new Map<string, number[]>()
  lines.forEach((line, index) => {
    const { asm, mode, real } = JSON.parse(line) as Case
    const name = `${mode} ${real ?? false} ${asm}`
    const form = forms.get(name)
    if (form) form.push(index)
    else forms.set(name, [index])
  })
  const chosen = [...forms.values()].flatMap((indices) => spread(indices, Math.ceil(indices.length / EVERY)))
  return chosen.sort((a, b) => a - b).map((index) => lines[index] as string)
}

/** `count` elements, each from the middle of its share. */
function spread(indices: readonly number[], count: number): number[] {
  const share = indices.length / count
  return Array.from({ length: count }, (_, n) => indices[Math.floor((n + 0.5) * share)] as number)
}

function sampleFile(directory: string, name: string): number {
  const file = `${name}.jsonl.gz`
  const text = gunzipSync(readFileSync(join(directory, file))).toString('utf8')
  const [header, ...lines] = text.split('\n').filter((line) => line !== '')
  const chosen = sampleLines(lines)
  const bytes = gzipSync(`${[header, ...chosen].join('\n')}\n`, { level: 9 })
  writeFileSync(join(OUTPUT, file), bytes)
  console.log(`${name.padEnd(14)} ${chosen.length} of ${lines.length} cases, ${bytes.length} bytes`)
  return bytes.length
}

function main(directory: string): void {
  rmSync(OUTPUT, { recursive: true, force: true })
  mkdirSync(OUTPUT, { recursive: true })
  const bytes = groupNames(directory).reduce((sum, name) => sum + sampleFile(directory, name), 0)
  console.log(`${bytes} bytes`)
  if (bytes > MAX_BYTES) throw new Error(`the sample has ${bytes} bytes, more than ${MAX_BYTES}: raise EVERY`)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const directory = process.argv[2]
  if (directory === undefined) {
    console.error('usage: npx tsx test/vectors/sample.ts DIR')
    process.exit(2)
  }
  main(directory)
}
