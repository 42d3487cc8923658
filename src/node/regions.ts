/** Writes translated regions to files: for each a text and its control-flow graph. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TranslationObserver } from '../../jit/observer.ts'
import { reasonOf } from './files.ts'

/** Creates the directory when it is not there. @throws Error whose message says why it can not be */
export async function regionWriter(directory: string): Promise<TranslationObserver> {
  try {
    mkdirSync(directory, { recursive: true })
  } catch (error) {
    throw new Error(`${directory}: ${reasonOf(error)}`, { cause: error })
  }
  const { regionDumper } = await import('../../jit/dump.ts')
  const dump = await regionDumper()
  return {
    marks: true,
    translated: (event) => {
      const { text, dot } = dump(event)
      const name = `region-${String(event.id).padStart(5, '0')}-${event.rip.toString(16)}`
      writeFileSync(join(directory, `${name}.txt`), text)
      writeFileSync(join(directory, `${name}.dot`), dot)
    },
  }
}
