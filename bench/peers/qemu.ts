/** QEMU's translator, on the same image (guests/README.md, "Under QEMU"). */
import { commandLine } from '../workloads.ts'
import { type MissingPeer, type Peer, resultsOf, timeLimit } from './peer.ts'
import { run, versionOf } from './process.ts'

const COMMAND = 'qemu-system-x86_64'
const MACHINE = '-accel tcg,thread=single -cpu max -m 128 -display none -serial stdio -no-reboot'.split(' ')
/** Its exit status is twice the guest's and one. */
const POWER_OFF = ['-device', 'isa-debug-exit,iobase=0x501,iosize=1']
const ALL_IS_WELL = 1

export function openQemu(image: string, command = COMMAND): Peer | MissingPeer {
  const version = versionOf(command)
  if (version === undefined) return { name: 'qemu', missing: `${command} not found (Debian package qemu-system-x86)` }
  return {
    name: 'qemu',
    version: `${version}, TCG`,
    run: async (workloads, scale) => {
      const args = [...MACHINE, ...POWER_OFF, '-kernel', image, '-append', commandLine(workloads, scale)]
      const limits = { milliseconds: timeLimit(workloads, scale), statuses: [ALL_IS_WELL] }
      return resultsOf(workloads, await run(command, args, limits))
    },
  }
}
