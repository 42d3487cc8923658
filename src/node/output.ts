/** Text in many small pieces, to a file or to stderr. */
import { closeSync, openSync, writeSync } from 'node:fs'
import { reasonOf } from './files.ts'

const CHUNK = 65536

export class TextOutput {
  readonly #file: number | undefined
  #waiting = ''

  /** @param path stderr when absent. @throws Error whose message says which file, and why not */
  constructor(path?: string) {
    try {
      this.#file = path === undefined ? undefined : openSync(path, 'w')
    } catch (error) {
      throw new Error(`${path}: ${reasonOf(error)}`, { cause: error })
    }
  }

  write(text: string): void {
    this.#waiting += text
    if (this.#waiting.length >= CHUNK) this.#flush()
  }

  close(): void {
    this.#flush()
    if (this.#file !== undefined) closeSync(this.#file)
  }

  #flush(): void {
    if (this.#file === undefined) process.stderr.write(this.#waiting)
    else writeSync(this.#file, this.#waiting)
    this.#waiting = ''
  }
}
