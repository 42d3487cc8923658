/** The built-in guest's workloads on the processor: millions of instructions per second, as the guest measures itself. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Host, Machine, MB } from '../src/vmd/index.ts'

const IMAGE = fileURLToPath(new URL('../guests/images/guest64.elf', import.meta.url))

export interface WorkloadResult {
  readonly name: string
  readonly instructions: number
  readonly milliseconds: number
  readonly mips: number
}

/** Time passes, but nobody types and no other work waits. */
const host: Host = {
  now: () => performance.now(),
  turn: () => Promise.resolve(),
  sleep: () => Promise.resolve(),
}

async function boot(commandLine: string): Promise<string> {
  const image = readFileSync(IMAGE)
  const text: number[] = []
  const machine = new Machine({
    name: 'bench',
    memory: 64 * MB,
    image,
    commandLine,
    host,
    output: (byte) => text.push(byte),
  })
  try {
    const outcome = await machine.run()
    if (outcome.reason !== 'poweroff' || outcome.status !== 0)
      throw new Error(`the guest ended with ${JSON.stringify(outcome)}`)
  } finally {
    machine.terminate()
  }
  return Buffer.from(text).toString('latin1')
}

/** @param only workloads by name; all when empty */
export async function runWorkloads(only: readonly string[], scale = 1): Promise<WorkloadResult[]> {
  const run = only.length > 0 ? ` run=${only.join()}` : ''
  const text = await boot(`guest machine nocheck scale=${scale}${run}`)
  const lines = [...text.matchAll(/^@bench (\S+) (\S+) (\d+) (\d+)\r?$/gm)]
  return lines.map(([, name = '', verdict, count, nanoseconds]) => {
    if (verdict !== 'ok') throw new Error(`${name}: wrong checksum`)
    const instructions = Number(count)
    const milliseconds = Number(nanoseconds) / 1e6
    return { name, instructions, milliseconds, mips: instructions / milliseconds / 1000 }
  })
}
