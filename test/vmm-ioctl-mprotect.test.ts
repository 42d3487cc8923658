/** MPROTECT_EPT's checks; what protection does to a guest is in vmm-guest.test.ts. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as L from '../src/cpu/layout.ts'
import { Vmm } from '../src/vmm/device.ts'
import { VMX_EXIT } from '../src/vmm/vmmvar.ts'
import { fails, Guest } from './support/guest64.ts'
import { Puppet } from './support/puppet.ts'

const PAGE = 4096n
const END = 0x200000n

function guest(): { it: Guest; cpu: Puppet; protect: (sgpa: bigint, size: bigint, prot: number) => void } {
  let cpu: Puppet | undefined
  const vmm = new Vmm({
    createCpu: (options) => {
      cpu = new Puppet(options)
      return cpu
    },
  })
  const it = new Guest(vmm, [])
  if (cpu === undefined) throw new Error('no processor was made')
  cpu.log.length = 0
  const protect = (vmep_sgpa: bigint, vmep_size: bigint, vmep_prot: number): void =>
    vmm.mprotectEpt({ vmep_vm_id: it.id, vmep_vcpu_id: 0, vmep_sgpa, vmep_size, vmep_prot })
  return { it, cpu, protect }
}

const REFUSED: [string, bigint, bigint, number][] = [
  ['no rights', 0n, PAGE, 0],
  ['write alone', 0n, PAGE, 2],
  ['write alone and an unknown bit', 0n, PAGE, 10],
  ['an unknown bit with write and execute', 0n, PAGE, 15],
  ['an address inside a page', 1n, PAGE, 1],
  ['a size that is no number of pages', 0n, PAGE + 1n, 1],
  ['no size', 0n, 0n, 1],
  ['512 GB', 0n, 1n << 39n, 1],
  ['an end that wraps', 0xfffffffffffff000n, PAGE, 1],
  ['the PCI hole', 0xf0000000n, PAGE, 1],
  ['the last page of the PCI hole', 0xfffff000n, PAGE, 1],
  ['an end in the PCI hole', 0xeffff000n, 2n * PAGE, 1],
  ['a first page that is no memory', END, PAGE, 1],
]

for (const [what, sgpa, size, prot] of REFUSED) {
  test(`EINVAL for ${what}`, () => {
    const { cpu, protect } = guest()
    fails('EINVAL', () => protect(sgpa, size, prot))
    assert.equal(cpu.log, [])
  })
}

for (const prot of [1, 3, 4, 5, 7]) {
  test(`protection ${prot} denies the rest`, () => {
    const { cpu, protect } = guest()
    protect(0x3000n, 2n * PAGE, prot)
    assert.equal(cpu.log, [`protect ${0x3000} ${7 - prot}`, `protect ${0x4000} ${7 - prot}`])
  })
}

test('write and execute without read is a misconfiguration at the first touch', () => {
  const touch = (cpu: Puppet): number => {
    cpu.writeU64(L.EXIT_GPA, 0x3123n)
    return VMX_EXIT.EPT_VIOLATION
  }
  const { it, cpu, protect } = guest()
  protect(0x3000n, PAGE, 6)
  assert.equal(cpu.log, [`protect ${0x3000} 7`])
  protect(0x3000n, PAGE, 1)
  cpu.script.push(touch, touch)
  assert.is(it.run(), VMX_EXIT.EPT_VIOLATION)
  protect(0x3000n, PAGE, 6)
  fails('EINVAL', () => it.run())
})

test('a known read with an unknown bit is accepted, as in the kernel', () => {
  const { cpu, protect } = guest()
  protect(0n, PAGE, 9)
  assert.equal(cpu.log, ['protect 0 6'])
})

test('pages in two ranges', () => {
  const { cpu, protect } = guest()
  protect(0x9f000n, 2n * PAGE, 1)
  assert.equal(cpu.log, [`protect ${0x9f000} 6`, `protect ${0xa0000} 6`])
})

test('EFAULT at the end of memory; the pages before it are protected', () => {
  const { cpu, protect } = guest()
  fails('EFAULT', () => protect(END - PAGE, 3n * PAGE, 1))
  assert.equal(cpu.log, [`protect ${END - PAGE} 6`])
})

test('the protection is checked before the address, the address before the memory', () => {
  const { protect } = guest()
  assert.throws(() => protect(1n, 0n, 2), /write alone/)
  assert.throws(() => protect(END + 1n, PAGE, 1), /aligned/)
})

test('EBUSY while the vcpu runs or is terminated, before the arguments are looked at', () => {
  const { it, cpu, protect } = guest()
  cpu.script.push(
    () => {
      fails('EBUSY', () => protect(1n, 0n, 0))
      return VMX_EXIT.HLT
    },
    () => VMX_EXIT.INVD,
  )
  it.run()
  fails('EINVAL', () => it.run())
  fails('EBUSY', () => protect(1n, 0n, 0))
})

test.run()
