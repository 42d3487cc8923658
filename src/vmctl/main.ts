#!/usr/bin/env node
/** vmctl(8): `vmctl command [arg ...]`. Errors go to stderr as "vmctl: command: what is wrong", with status 1. */
import { CommanderError } from 'commander'
import { expandCommand, runCommand } from './commands.ts'
import { VmctlError } from './error.ts'

// Not process.exit: what has been written to a pipe must get there first.
process.exitCode = await main(process.argv.slice(2))

async function main(words: readonly string[]): Promise<number> {
  let command: string | undefined
  try {
    const args = expandCommand(words.length === 0 ? ['--help'] : words)
    command = args[0]?.startsWith('-') ? undefined : args[0]
    return await runCommand(args)
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0
    if (!(error instanceof CommanderError) && !(error instanceof VmctlError)) throw error
    const where = command === undefined ? 'vmctl' : `vmctl: ${command}`
    process.stderr.write(`${where}: ${error.message.replace(/^error: /, '')}\n`)
    return 1
  }
}
