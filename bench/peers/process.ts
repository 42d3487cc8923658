/** Child processes, each with a time limit, so that no peer can hang the benchmark. */
import { spawn, spawnSync } from 'node:child_process'
import { dirname, extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface Limits {
  readonly milliseconds: number
  /** Exit statuses that are not failures. Default 0 only. */
  readonly statuses?: readonly number[]
}

export interface Output {
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program to its end. @throws Error that says in one line how it failed */
export function run(
  command: string,
  args: readonly string[],
  { milliseconds, statuses = [0] }: Limits,
): Promise<Output> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const seen = { stdout: '', stderr: '' }
  child.stdout.on('data', (data) => {
    seen.stdout += data
  })
  child.stderr.on('data', (data) => {
    seen.stderr += data
  })
  let late = false
  const timer = setTimeout(() => {
    late = true
    child.kill('SIGKILL')
  }, milliseconds)
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (status, signal) => {
      clearTimeout(timer)
      if (status !== null && statuses.includes(status)) resolve(seen)
      else if (late) reject(new Error(`not done after ${milliseconds / 1000} s`))
      else reject(new Error(`ended with ${signal ?? `status ${status}`}${lastWords(seen)}`))
    })
  })
}

/** What a program said last on standard error, to go behind a message of ours. */
export function lastWords({ stderr }: Output): string {
  const line = stderr.trimEnd().split('\n').at(-1)
  return line === undefined || line === '' ? '' : `: ${line}`
}

/** Runs a module of this folder with the Node that runs this process, and with the loader if there is one (tsx). */
export function runModule(name: string, args: readonly string[], limits: Limits): Promise<Output> {
  const here = fileURLToPath(import.meta.url)
  const path = join(dirname(here), name + extname(here))
  return run(process.execPath, [...process.execArgv, path, ...args], limits)
}

/** The first line that a command prints; undefined when there is no such command. */
export function versionOf(command: string, args: readonly string[] = ['--version']): string | undefined {
  const { status, stdout } = spawnSync(command, args, { encoding: 'utf8' })
  return status === 0 ? stdout.split('\n')[0] : undefined
}
