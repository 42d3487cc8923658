/**
 * The committed images of the built-in guest: they are what their JSON says, and what the sources give. The same versions
 * of gcc and binutils give the same bytes (guests/README.md); others must at least build it.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'uvu'
import * as assert from 'uvu/assert'

const GUESTS = fileURLToPath(new URL('../guests/', import.meta.url))
const IMAGES = {
  guest64: [],
  'guest64-shifted': ['shift'],
  guest32: ['32'],
  'guest32-check': ['check32'],
  guest16: ['check16'],
} as const

interface Description {
  readonly gcc: string
  readonly binutils: string
  readonly sha256: string
}

function description(directory: string, name: string): Description {
  return JSON.parse(readFileSync(join(directory, 'images', `${name}.json`), 'utf8')) as Description
}

function sha256(directory: string, name: string): string {
  return createHash('sha256')
    .update(readFileSync(join(directory, 'images', `${name}.elf`)))
    .digest('hex')
}

function present(command: string): boolean {
  return spawnSync(command, ['--version']).status === 0
}

/** Why the images can not be built here; undefined when they can. */
function missingTools(): string | undefined {
  const missing = [process.env.CC ?? 'gcc', process.env.LD ?? 'ld'].filter((command) => !present(command))
  return missing.length > 0 ? `no ${missing.join(' and no ')} here` : undefined
}

/** Builds an image from a copy of the sources; build.sh puts it beside them. */
function build(name: keyof typeof IMAGES): { built: Description; hash: string } {
  const directory = mkdtempSync(join(tmpdir(), 'vmmjit-guests-'))
  try {
    cpSync(join(GUESTS, 'kernel'), join(directory, 'kernel'), { recursive: true })
    execFileSync('sh', [join(directory, 'kernel', 'build.sh'), ...IMAGES[name]], {
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    return { built: description(directory, name), hash: sha256(directory, name) }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

const why = missingTools()

for (const name of Object.keys(IMAGES) as (keyof typeof IMAGES)[]) {
  const expected = description(GUESTS, name)

  test(`${name}.elf has the hash in its JSON`, () => {
    assert.is(sha256(GUESTS, name), expected.sha256)
  })

  if (why !== undefined) {
    console.log(`guests.test.ts: ${name} is not built from its sources: ${why}`)
    continue
  }
  test(`${name}.elf is what the sources give`, () => {
    const { built, hash } = build(name)
    assert.is(hash, built.sha256)
    if (built.gcc === expected.gcc && built.binutils === expected.binutils) assert.is(hash, expected.sha256)
    else {
      const versions = ({ gcc, binutils }: Description): string => `gcc ${gcc}, binutils ${binutils}`
      console.log(`guests.test.ts: ${name} builds; not compared: ${versions(built)}, committed ${versions(expected)}`)
    }
  })
}

test.run()
