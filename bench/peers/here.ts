/** Our own processor, in a process of its own each time: like the others it starts without anything compiled. */
import type { Engine } from '../../src/node/engines.ts'
import { packageVersion } from '../../src/node/files.ts'
import { commandLine } from '../workloads.ts'
import { onlyResult, type Peer, timeLimit } from './peer.ts'
import { runModule } from './process.ts'

export function openHere(engine: Engine, image: string): Peer {
  return {
    name: 'here',
    version: `vmmjit ${packageVersion()}, engine ${engine}, Node ${process.version}`,
    run: async (workload, scale) => {
      const args = [engine, image, commandLine([workload], scale)]
      return onlyResult(workload, await runModule('here-child', args, { milliseconds: timeLimit(scale) }))
    },
  }
}
