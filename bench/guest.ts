/** The built-in guest on our own processor, in this process. */
import { readFileSync } from 'node:fs'
import { type Engine, translatorOf } from '../src/node/engines.ts'
import { nodeHost } from '../src/node/host.ts'
import { Machine, MB } from '../src/vmd/index.ts'
import { openVmm } from '../src/vmm/index.ts'

export interface GuestOptions {
  readonly engine: Engine
  readonly image: string
  readonly commandLine: string
}

/** Boots the guest and gives what it printed. @throws Error when it did not end well */
export async function runGuest({ engine, image, commandLine }: GuestOptions): Promise<string> {
  const text: number[] = []
  const machine = new Machine({
    name: 'bench',
    memory: 64 * MB,
    image: readFileSync(image),
    commandLine,
    host: nodeHost,
    output: (byte) => text.push(byte),
    vmm: openVmm({ translator: await translatorOf(engine) }),
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
