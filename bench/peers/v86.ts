/**
 * v86, headless in a Node process. It has no 64-bit mode, and our processor no 32-bit mode yet, so it runs the 32-bit build
 * of the same workloads: other instructions, the same work and the same checksums.
 */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { IMAGES } from '../images.ts'
import { commandLine } from '../workloads.ts'
import { type MissingPeer, type Peer, resultsOf, timeLimit } from './peer.ts'
import { runModule } from './process.ts'

const { resolve } = createRequire(import.meta.url)

/** What v86-child needs to be told, since only a resolver knows where packages are. @throws Error when there is none */
export function v86Wasm(packageName = 'v86'): string {
  return resolve(`${packageName}/build/v86.wasm`)
}

export function openV86(packageName = 'v86'): Peer | MissingPeer {
  try {
    const { version } = JSON.parse(readFileSync(resolve(`${packageName}/package.json`), 'utf8')) as { version: string }
    const wasm = v86Wasm(packageName)
    return {
      name: 'v86',
      version: `v86 ${version}, Node ${process.version}`,
      note: 'its 32-bit build of the workloads (guest32.elf) against our 64-bit one',
      run: async (workloads, scale) => {
        const args = [wasm, IMAGES.code32, commandLine(workloads, scale)]
        return resultsOf(workloads, await runModule('v86-child', args, { milliseconds: timeLimit(workloads, scale) }))
      },
    }
  } catch {
    return { name: 'v86', missing: `package ${packageName} not found (npm ci installs it)` }
  }
}
