/** `--cpu help`: the CPU models and their features, for people or, with --json, for programs. */
import { availableFeatures, cpuModelNames, DEFAULT_CPU, describeModel } from '../vmm/index.ts'

const MODEL_WIDTH = 12
const LINE_WIDTH = 100

/** A line for each model, then what can be switched on and off. */
export function formatCpuText(): string {
  const models = cpuModelNames().map((name) => {
    const { about } = describeModel(name)
    return `  ${name.padEnd(MODEL_WIDTH)}${about}${name === DEFAULT_CPU ? ' (default)' : ''}`
  })
  const { features } = describeModel(DEFAULT_CPU)
  const others = [...availableFeatures()].filter((feature) => !features.includes(feature))
  return [
    'CPU models:',
    ...models,
    '',
    `Features, to be added and taken away as in x86-64-v2,+aes,-popcnt; ${DEFAULT_CPU} has:`,
    ...wrapped(features),
    `Off unless asked for, since vmm(4) hides them: ${others.sort().join(' ')}`,
    '',
  ].join('\n')
}

/** One object on one line: the features of each model. */
export function formatCpuJson(): string {
  const models = cpuModelNames().map((name) => [name, describeModel(name)])
  return `${JSON.stringify({ default: DEFAULT_CPU, models: Object.fromEntries(models) })}\n`
}

function wrapped(words: readonly string[]): string[] {
  const lines: string[] = []
  for (const word of words) {
    const last = lines.at(-1)
    if (last === undefined || last.length + word.length >= LINE_WIDTH) lines.push(`  ${word}`)
    else lines[lines.length - 1] = `${last} ${word}`
  }
  return lines
}
