/** Our own processor, in a process of its own each time: like the others it starts without anything compiled. */
import type { Engine } from '../../src/node/engines.ts'
import { packageVersion } from '../../src/node/files.ts'
import { commandLine } from '../workloads.ts'
import { type Peer, resultsOf, timeLimit } from './peer.ts'
import { runModule } from './process.ts'

export function openHere(engine: Engine, image: string): Peer {
  return {
    name: 'here',
    version: `vmmjit ${packageVersion()}, engine ${engine}, Node ${process.version}`,
    run: async (workloads, scale) => {
      const args = [engine, image, commandLine(workloads, scale)]
      return resultsOf(workloads, await runModule('here-child', args, { milliseconds: timeLimit(workloads, scale) }))
    },
  }
}
