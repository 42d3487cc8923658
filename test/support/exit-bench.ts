/** A vcpu without instructions on which single exits are played. */
import * as assert from 'uvu/assert'
import * as L from '../../src/cpu/layout.ts'
import { Vmm, type VmmOptions } from '../../src/vmm/device.ts'
import { type VcpuRegState, VMX_EXIT } from '../../src/vmm/vmmvar.ts'
import { Guest } from './guest64.ts'
import { Puppet } from './puppet.ts'

export class Bench {
  readonly cpu: Puppet
  readonly #guest: Guest

  constructor(options: VmmOptions = {}, state?: VcpuRegState) {
    let cpu: Puppet | undefined
    const createCpu = (cpuOptions: ConstructorParameters<typeof Puppet>[0]): Puppet => {
      cpu = new Puppet(cpuOptions)
      return cpu
    }
    this.#guest = new Guest(new Vmm({ tscHz: 2_500_000_000, ...options, createCpu }), [], {}, { state })
    if (cpu === undefined) throw new Error('no processor was made')
    this.cpu = cpu
  }

  /** Returns what the vmm did to the processor: 'advance', or 'raise 13 0'. */
  play(reason: number, set: Partial<Record<'rax' | 'rbx' | 'rcx' | 'rdx', bigint>> = {}): string {
    const { cpu } = this
    cpu.script.push(
      () => {
        for (const [name, value] of Object.entries(set)) cpu.writeU64(REGISTERS[name as keyof typeof REGISTERS], value)
        cpu.log.length = 0
        return reason
      },
      () => {
        cpu.log.push('|')
        return VMX_EXIT.TRIPLE_FAULT
      },
    )
    this.#guest.run()
    return cpu.log.slice(0, cpu.log.indexOf('|')).join(', ')
  }

  cpuid(leaf: number, subleaf = 0): string[] {
    this.play(VMX_EXIT.CPUID, { rax: BigInt(leaf), rcx: BigInt(subleaf), rbx: -1n, rdx: -1n })
    return [L.RAX, L.RBX, L.RCX, L.RDX].map((address) => this.cpu.readU64(address).toString(16))
  }

  /** undefined: #GP. */
  rdmsr(number: number): bigint | undefined {
    const done = this.play(VMX_EXIT.RDMSR, { rcx: BigInt(number) | 0xff00000000n, rax: -1n, rdx: -1n })
    if (done === 'raise 13 0') return undefined
    assert.is(done, 'advance')
    return (this.cpu.readU64(L.RDX) << 32n) | this.cpu.readU64(L.RAX)
  }

  /** false: #GP. */
  wrmsr(number: number, value: bigint): boolean {
    const rax = (value & 0xffffffffn) | 0xaa00000000n
    const done = this.play(VMX_EXIT.WRMSR, { rcx: BigInt(number), rax, rdx: (value >> 32n) | 0xbb00000000n })
    return done.endsWith('advance')
  }
}

const REGISTERS = { rax: L.RAX, rbx: L.RBX, rcx: L.RCX, rdx: L.RDX }
export const ZEROS = ['0', '0', '0', '0']

export function ascii(words: readonly string[]): string {
  const bytes = words.flatMap((word) => word.padStart(8, '0').match(/../g)?.reverse() ?? [])
  return String.fromCharCode(...bytes.map((byte) => Number.parseInt(byte, 16))).replace(/\0+$/, '')
}
