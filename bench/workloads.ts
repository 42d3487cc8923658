/** The workloads of the built-in guest: their names, what counts for a mean, and the lines in which the guest reports. */

/**
 * What belongs together. A mean is over one group: the first is what a processor without floating point can do, 130 to 160
 * million instructions each at scale 1. `apart` do much work with few instructions, REP MOVS and patched code, and are in no
 * mean.
 */
export const GROUPS = {
  integer: ['sieve', 'sha256', 'crc32', 'matrix', 'quicksort', 'bytecode', 'fib', 'chase', 'memcpy', 'calls', 'stride'],
  'SSE2 float': ['nbody', 'mandelbrot', 'daxpy', 'particles'],
  'SSE2 integer': ['convolve', 'motion', 'blend'],
  'AVX2, FMA': ['lanes', 'dgemm'],
  x87: ['x87'],
  apart: ['repmovs', 'smc'],
} as const

export type Group = keyof typeof GROUPS

/** Those that have a mean, in the order of reports. */
export const MEASURED = ['integer', 'SSE2 float', 'SSE2 integer', 'AVX2, FMA', 'x87'] as const satisfies Group[]
export type Measured = (typeof MEASURED)[number]

export const WORKLOADS: readonly string[] = Object.values(GROUPS).flat()

export function isOf(group: Group, name: string): boolean {
  return (GROUPS[group] as readonly string[]).includes(name)
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

/** Why the guest skipped a workload; undefined when it did not. */
export function skipped(text: string, name: string): string | undefined {
  for (const [, workload, why] of text.matchAll(/^@skipped (\S+) (.*?)\r?$/gm)) if (workload === name) return why
  return undefined
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
