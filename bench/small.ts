/** Micro-benchmarks: exits through RUN, decoding, and the start of a VM; measured by benchmark.js. */
import { readFileSync } from 'node:fs'
import Benchmark from 'benchmark'
import { Decoder } from '../src/cpu/decoder/decoder.ts'
import { DecodeStatus, Instruction } from '../src/cpu/decoder/instruction.ts'
import { BUILTIN_GUEST } from '../src/node/files.ts'
import { openVmm, VMX_EXIT, vm_exit } from '../src/vmm/index.ts'
import { Guest } from '../test/support/guest64.ts'

export interface SmallResult {
  readonly name: string
  readonly value: number
  readonly unit: string
  /** Relative margin of error, per cent. */
  readonly margin: number
}

/** .text begins at 2000h in the file; the first 32 KB are the kernel without its workloads, and all code. */
const CODE_OFFSET = 0x2000
const CODE_LENGTH = 0x8000

/** Seconds for one call of a function. */
function measure(body: () => void): { seconds: number; margin: number } {
  const bench = new Benchmark(body, { minSamples: 20, maxTime: 2 })
  bench.run()
  if (bench.error !== undefined) throw bench.error
  return { seconds: bench.stats.mean, margin: bench.stats.rme }
}

/** RUN without the registers in vrp_exit, as vmd does it. */
function runLoop(guest: Guest): () => number {
  const { vei, vee, cpl } = vm_exit.zero()
  const params = {
    vrp_vm_id: guest.id,
    vrp_vcpu_id: 0,
    vrp_continue: 0,
    vrp_irq: 0xffff,
    vrp_exit: { vei, vee, cpl },
    vrp_exit_reason: 0,
    vrp_irqready: 0,
  }
  return () => guest.vmm.run(params)
}

/** OUT 61h, AL; JMP: one RUN for each OUT. */
function outExits(): SmallResult {
  const run = runLoop(new Guest(openVmm(), [0xe6, 0x61, 0xeb, 0xfc]))
  const { seconds, margin } = measure(() => {
    if (run() !== VMX_EXIT.IO) throw new Error('not the OUT')
  })
  return { name: 'OUT through RUN', value: 1 / seconds, unit: 'exits/s', margin }
}

/** CPUID; JMP: exits that the vmm handles itself, a slice of them in each RUN. */
function cpuidExits(): SmallResult {
  const slice = 10_000
  const guest = new Guest(openVmm({ slice }), [0x0f, 0xa2, 0xeb, 0xfc])
  const run = runLoop(guest)
  const { seconds, margin } = measure(run)
  return { name: 'CPUID inside RUN', value: slice / 2 / seconds, unit: 'exits/s', margin }
}

function decoding(): SmallResult {
  const image = readFileSync(BUILTIN_GUEST)
  const decoder = new Decoder(64)
  const instruction = new Instruction()
  const pass = (): number => {
    let count = 0
    for (let at = CODE_OFFSET; at < CODE_OFFSET + CODE_LENGTH; count++) {
      const status = decoder.decode(image, at, image.length, instruction)
      at += status === DecodeStatus.ok ? instruction.length : 1
    }
    return count
  }
  const count = pass()
  const { seconds, margin } = measure(pass)
  return { name: 'decoding', value: (seconds / count) * 1e9, unit: 'ns/instruction', margin }
}

/** CREATE, RESETCPU, RUN up to the first exit, TERM; the modules are compiled already. */
function start(): SmallResult {
  const vmm = openVmm()
  const { seconds, margin } = measure(() => {
    const guest = new Guest(vmm, [0xe6, 0x61])
    if (guest.run() !== VMX_EXIT.IO) throw new Error('not the OUT')
    guest.terminate()
  })
  return { name: 'VM create to first exit', value: seconds * 1000, unit: 'ms', margin }
}

export function runSmall(): SmallResult[] {
  return [outExits(), cpuidExits(), decoding(), start()]
}
