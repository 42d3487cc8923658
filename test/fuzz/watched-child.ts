/** Runs a fuzzer in a process of its own, so that a guest that never comes back can be ended from outside. */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

/**
 * The program prints a line, its seed, before each thing that it tries, and its totals as JSON at the end.
 *
 * @param hangMs without a line for this long it is ended
 * @param told says how to bring a failure back, given the last line
 * @throws Error with that, and what the program wrote to stderr
 */
export function runWatched<Totals>(
  file: string,
  args: readonly unknown[],
  hangMs: number,
  told: (last: string) => string,
): Promise<Totals> {
  const argv = ['--import', 'tsx', file, ...args].map(String)
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'pipe'] })
  let last = ''
  let trouble = ''
  const hang = setTimeout(() => {
    trouble += `nothing has happened for ${hangMs / 1000} s`
    child.kill('SIGKILL')
  }, hangMs)
  createInterface(child.stdout).on('line', (line) => {
    last = line
    hang.refresh()
  })
  child.stderr.on('data', (text) => (trouble += text))
  return new Promise((resolve, reject) => {
    child.on('close', (status) => {
      clearTimeout(hang)
      if (status === 0) resolve(JSON.parse(last) as Totals)
      else reject(new Error(`${told(last)}: ${trouble}`))
    })
  })
}
