/** Files of the package and of the user. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** The package's folder: the sources and what is built from them lie at different depths in it. */
const PACKAGE = packageFolder(new URL('./', import.meta.url))

function packageFolder(folder: URL): URL {
  return existsSync(new URL('package.json', folder)) ? folder : packageFolder(new URL('../', folder))
}

/** A file of the package, by its path in there. */
export function packageFile(path: string): string {
  return fileURLToPath(new URL(path, PACKAGE))
}

/** The guest that comes with the package; see guests/README.md. */
export const BUILTIN_GUEST = packageFile('guests/images/guest64.elf')

export function packageVersion(): string {
  const { version } = JSON.parse(readFileSync(packageFile('package.json'), 'utf8')) as { version: string }
  return version
}

/** @throws Error whose message says which file, and why not */
export function readImage(path: string): Uint8Array {
  try {
    return readFileSync(path)
  } catch (error) {
    throw new Error(`${path}: ${reasonOf(error)}`, { cause: error })
  }
}

/** @throws Error whose message says which file, and why not */
export function writeText(path: string, text: string): void {
  try {
    writeFileSync(path, text)
  } catch (error) {
    throw new Error(`${path}: ${reasonOf(error)}`, { cause: error })
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'No such file or directory',
  EACCES: 'Permission denied',
  EISDIR: 'Is a directory',
  ENOTDIR: 'Not a directory',
  EEXIST: 'File exists',
}

/** Why the system has refused something, in its own words. */
export function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  return REASONS[code ?? ''] ?? message
}
