/** `here-child.ts ENGINE IMAGE COMMANDLINE`: boots the guest on our processor and prints what it prints. */
import { ENGINES } from '../../src/node/engines.ts'
import { runGuest } from '../guest.ts'

const [name, image, commandLine] = process.argv.slice(2)
const engine = ENGINES.find((engine) => engine === name)
if (engine === undefined || image === undefined || commandLine === undefined)
  throw new Error('usage: here-child.ts ENGINE IMAGE COMMANDLINE')
process.stdout.write(await runGuest({ engine, image, commandLine }))
