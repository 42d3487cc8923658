/** This machine itself: the same C with the same flags, as a program (guests/kernel/host/native.c). */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { packageFile } from '../../src/node/files.ts'
import { commandLine } from '../workloads.ts'
import { type MissingPeer, type Peer, resultsOf, timeLimit } from './peer.ts'
import { run, versionOf } from './process.ts'

export function openNative(compiler = process.env.CC ?? 'gcc'): Peer | MissingPeer {
  const version = versionOf(compiler)
  if (version === undefined) return { name: 'native', missing: `${compiler} not found (Debian package gcc)` }
  if (process.arch !== 'x64') return { name: 'native', missing: `no x86-64 machine, but ${process.arch}` }
  const program = build(compiler)
  return {
    name: 'native',
    version: `the same C as a program, ${version}`,
    run: async (workloads, scale) => {
      const limits = { milliseconds: timeLimit(workloads, scale) }
      return resultsOf(workloads, await run(program, [commandLine(workloads, scale)], limits))
    },
  }
}

/** The program, in a folder that goes away with this process. */
function build(compiler: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'vmmjit-bench-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  const program = join(folder, 'workloads')
  const environment = { ...process.env, CC: compiler }
  execFileSync('sh', [packageFile('guests/kernel/build.sh'), 'native', program], { env: environment })
  return program
}
