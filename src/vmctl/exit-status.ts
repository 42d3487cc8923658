/** What vmctl exits with after a run in the foreground. One table serves the program and its help. */
import type { Outcome } from '../vmd/index.ts'

/** Signals that end a run, and the status a shell shows for them. */
export const SIGNALS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const
export type EndingSignal = keyof typeof SIGNALS

const MAX_GUEST_STATUS = 99

/** A reset is not asked for here, a triple fault ends the VM; it would be the same ending. */
const STATUS = { halt: 100, 'triple fault': 101, reset: 101, error: 102, interrupted: SIGNALS.SIGINT } as const

export const EXIT_STATUS_HELP = `
Exit status:
  0          the guest powered off with status 0
  1          vmctl could not start it, or the guest powered off with status 1
  2-${MAX_GUEST_STATUS}       the guest powered off with that status (${MAX_GUEST_STATUS}: or a larger one)
  ${STATUS.halt}        the guest halted for good: HLT with interrupts off
  ${STATUS['triple fault']}        triple fault
  ${STATUS.error}        vmm(4) could not go on with the guest
  ${STATUS.interrupted}        ended by the user, with ~. or SIGINT (SIGHUP ${SIGNALS.SIGHUP}, SIGTERM ${SIGNALS.SIGTERM})`

export function exitStatus(outcome: Outcome, signal: EndingSignal | undefined): number {
  if (outcome.reason === 'poweroff') return Math.min(outcome.status ?? 0, MAX_GUEST_STATUS)
  if (outcome.reason === 'interrupted' && signal !== undefined) return SIGNALS[signal]
  return STATUS[outcome.reason]
}
