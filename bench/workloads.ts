/** The workloads of the built-in guest: their names, what counts for a mean, and the lines in which the guest reports. */

/** Those whose time is that of their instructions, 130 to 160 million of them at scale 1: a mean is over these. */
export const COMPUTE = [
  'sieve',
  'sha256',
  'crc32',
  'matrix',
  'quicksort',
  'bytecode',
  'fib',
  'chase',
  'memcpy',
  'calls',
  'stride',
] as const

/** Few instructions for much work, REP MOVS and patched code: reported, but in no mean. */
export const APART = ['repmovs', 'smc'] as const

export const WORKLOADS: readonly string[] = [...COMPUTE, ...APART]

export function isCompute(name: string): boolean {
  return (COMPUTE as readonly string[]).includes(name)
}

export interface WorkloadResult {
  readonly name: string
  /** 0: not known. */
  readonly instructions: number
  readonly milliseconds: number
}

/** Millions of instructions per second; undefined when nobody counted. */
export function mipsOf({ instructions, milliseconds }: Omit<WorkloadResult, 'name'>): number | undefined {
  return instructions > 0 ? instructions / milliseconds / 1000 : undefined
}

/** The words for the guest's command line; guests/README.md has them all. `only` by name, all workloads when empty. */
export function commandLine(only: readonly string[], scale: number): string {
  const run = only.length > 0 ? ` run=${only.join()}` : ''
  return `guest machine nocheck scale=${scale}${run}`
}

/**
 * Reads the guest's `@bench` lines.
 * @throws Error for a wrong checksum, and for a guest that does not know the time
 */
export function parseResults(text: string): WorkloadResult[] {
  const lines = [...text.matchAll(/^@bench (\S+) (\S+) (\d+) (\d+)\r?$/gm)]
  return lines.map(([, name = '', verdict, count, nanoseconds]) => {
    if (verdict !== 'ok') throw new Error(`${name}: wrong checksum`)
    if (nanoseconds === '0') throw new Error(`${name}: the guest could not measure the time`)
    return { name, instructions: Number(count), milliseconds: Number(nanoseconds) / 1e6 }
  })
}
