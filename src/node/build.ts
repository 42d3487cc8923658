/**
 * Build step: makes src/cpu/generated/wasm.ts from the two sources of the processor, the AssemblyScript runtime and the
 * instruction table. The modules are embedded as base64 so that the core needs no file access to load them.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import asc from 'assemblyscript/asc'
import { generateInterpreter } from '../cpu/interpreter/generate.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const OUTPUT = 'src/cpu/generated/wasm.ts'

async function compileRuntime(): Promise<Uint8Array> {
  let binary: Uint8Array | undefined
  const flags = ['-O3', '--runtime', 'stub', '--importMemory', '--noExportMemory', '--initialMemory', '1']
  const features = ['--enable', 'bulk-memory,sign-extension,simd', '--use', 'abort=']
  const entry = 'src/cpu/runtime/index.ts'
  const { error, stderr } = await asc.main([entry, ...flags, ...features, '--baseDir', ROOT, '-o', 'runtime.wasm'], {
    writeFile: (_name: string, contents: Uint8Array | string) => {
      if (typeof contents !== 'string') binary = contents
    },
  })
  if (error || !binary) throw new Error(`asc: ${error?.message ?? 'no output'}\n${stderr.toString()}`)
  return binary
}

function embed(name: string, about: string, bytes: Uint8Array): string {
  return `/** ${about}: ${bytes.length} bytes. */\nexport const ${name} =\n  '${Buffer.from(bytes).toString('base64')}'\n`
}

/** `npx vmctl` in a clone: npm links a package's commands only where the package is installed as a dependency. */
function linkCommand(): void {
  const command = "#!/usr/bin/env node\nimport('../../dist/src/vmctl/main.js')\n"
  writeFileSync(`${ROOT}node_modules/.bin/vmctl`, command, { mode: 0o755 })
}

const started = performance.now()
const runtime = await compileRuntime()
const { bytes, hot, cold } = generateInterpreter()
mkdirSync(`${ROOT}src/cpu/generated`, { recursive: true })
writeFileSync(
  ROOT + OUTPUT,
  [
    '// Made by src/node/build.ts; not kept in version control.',
    embed('RUNTIME_WASM', 'AssemblyScript runtime', runtime),
    embed('INTERPRETER_WASM', `Interpreter, ${hot} hot and ${cold} cold handlers`, bytes),
  ].join('\n'),
)
if (existsSync(`${ROOT}node_modules/.bin`)) linkCommand()
const seconds = ((performance.now() - started) / 1000).toFixed(1)
console.log(
  `${OUTPUT}: runtime ${runtime.length} bytes, interpreter ${bytes.length} bytes, ${hot} + ${cold} handlers, ${seconds} s`,
)
