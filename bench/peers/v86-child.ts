/** `v86-child.ts WASM IMAGE COMMANDLINE`: boots a multiboot image on v86 and prints what it prints, until it powers off. */
import { readFileSync } from 'node:fs'
import { V86 } from 'v86'
import { MB } from '../../src/vmd/index.ts'

const [wasm, image, commandLine] = process.argv.slice(2)
if (wasm === undefined || image === undefined || commandLine === undefined)
  throw new Error('usage: v86-child.ts WASM IMAGE COMMANDLINE')
// The loader of v86 takes a multiboot image without a BIOS. It wants an ArrayBuffer with nothing else in it.
const emulator = new V86({
  wasm_path: wasm,
  memory_size: 64 * MB,
  vga_memory_size: 1 * MB,
  multiboot: { buffer: new Uint8Array(readFileSync(image)).buffer },
  cmdline: commandLine,
  autostart: true,
  disable_keyboard: true,
  disable_mouse: true,
  disable_speaker: true,
})
let text = ''
// It has no port to be switched off by, so the guest's last line is what ends it.
emulator.add_listener('serial0-output-byte', (byte) => {
  text += String.fromCharCode(byte)
  if (/^power off: .*\r?\n$/m.test(text)) process.stdout.write(text, () => process.exit())
})
