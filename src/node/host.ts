/** The event loop of Node, for machines. */
import { setImmediate, setTimeout } from 'node:timers/promises'
import type { Host } from '../vmd/index.ts'

export const nodeHost: Host = {
  now: () => performance.now(),
  turn: () => setImmediate(),
  sleep: async (milliseconds, awake) => {
    const timer = new AbortController()
    const { signal } = timer
    await Promise.race([awake, setTimeout(milliseconds, undefined, { signal }).catch(() => {})])
    timer.abort()
  },
}
