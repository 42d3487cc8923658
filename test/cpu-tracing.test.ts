/** The processor that tells of each instruction: what it tells, and that the guest runs as it does without. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type ExecutedInstruction,
  openVmm,
  VCPU_REGS_DR0,
  VCPU_REGS_DR7,
  VM_EXIT_NONE,
  VMX_EXIT,
  type VmmOptions,
} from '../src/vmm/index.ts'
import { CODE, Guest, longModeState, STACK } from './support/guest64.ts'

const OUT = [0xe6, 0x61]
const NOP = 0x90
const UD2 = [0x0f, 0x0b]

/** The first exit to the monitor that is not the end of a slice must be the OUT. */
function runToOut(guest: Guest): void {
  for (let slices = 0; slices < 1000; slices++) {
    const reason = guest.run()
    if (reason !== VM_EXIT_NONE) {
      assert.is(reason, VMX_EXIT.IO)
      return
    }
  }
  assert.unreachable('no OUT')
}

function trace(code: number[], handlers: Record<number, number[]> = {}, limit = 1000): ExecutedInstruction[] {
  const told: ExecutedInstruction[] = []
  const onInstruction = (one: ExecutedInstruction): boolean => told.push(one) < limit
  runToOut(new Guest(openVmm({ onInstruction }), code, handlers))
  return told
}

const changes = (list: ExecutedInstruction['changes']): string =>
  list.map(({ name, value }) => ` ${name}=${value.toString(16)}`).join('')

const line = ({ rip, text, changes: list, event }: ExecutedInstruction): string =>
  `${rip.toString(16)} ${text};${changes(list)}${event ? ' event' : ''}`

test('address, bytes, disassembly, and the registers that changed', () => {
  const told = trace([0xb8, 5, 0, 0, 0, 0x83, 0xc0, 5, 0x50, ...OUT])
  assert.equal(told.slice(0, 3).map(line), [
    '1000 mov eax, 0x5; rax=5',
    '1005 add eax, 0x5; rax=a rflags=6',
    `1008 push rax; rsp=${(STACK - 8).toString(16)}`,
  ])
  assert.equal(told[1]?.bytes, Uint8Array.of(0x83, 0xc0, 5))
})

test('segment registers, control registers and their like', () => {
  const told = trace([0x66, 0xb8, 0x10, 0, 0x8e, 0xe0, 0x8e, 0xd8, 0x0f, 0x20, 0xd8, 0x0f, 0x23, 0xc0, ...OUT])
  assert.equal(told.map(line), [
    '1000 mov ax, 0x10; rax=10',
    '1004 mov fs, ax;',
    '1006 mov ds, ax;',
    '1008 mov rax, cr3; rax=a000',
    '100b mov dr0, rax; dr0=a000',
    '100e out 0x61, al;',
  ])
})

test('what the vmm does between instructions comes from outside', () => {
  const [first, cpuid, after] = trace([0x31, 0xc0, 0x0f, 0xa2, NOP, ...OUT]) as ExecutedInstruction[]
  assert.match(changes(first?.outside ?? []), / cs=8 .*cr0=80000011/, 'the state that the guest starts with')
  assert.equal(cpuid?.outside, [])
  assert.equal(cpuid?.changes, [])
  assert.match(changes(after?.outside ?? []), /^ rax=\S+ rcx=444d4163 rdx=69746e65 rbx=68747541$/)
})

test('an exception is an event, and goes on in its handler', () => {
  const told = trace([...UD2], { 6: [NOP, ...OUT] })
  assert.equal(
    told.map(({ rip, text, event }) => [rip, text, event]),
    [
      [0x1000n, 'ud2', true],
      [0x2000n, 'nop', false],
      [0x2001n, 'out 0x61, al', false],
    ],
  )
})

test('code that can not be fetched or decoded', () => {
  // JMP to 1 TB, which nothing maps; the handler goes to an undefined instruction.
  const jump = [0x48, 0xb8, 0, 0, 0, 0, 0, 1, 0, 0, 0xff, 0xe0]
  const told = trace(jump, { 14: [0x06], 6: OUT })
  assert.equal(
    told.slice(2).map(({ bytes, text, event }) => [bytes.length, text, event]),
    [
      [0, '(not all of it can be fetched)', true],
      [1, '(undefined)', true],
      [2, 'out 0x61, al', false],
    ],
  )
})

test('an observer that has seen enough is not asked again', () => {
  assert.is(trace([NOP, NOP, NOP, NOP, ...OUT], {}, 2).length, 2)
})

/** An instruction breakpoint on the third NOP, whose handler sets RF and returns. */
function debugged(options: VmmOptions): Guest {
  const setRf = [0x80, 0x4c, 0x24, 0x12, 1]
  const guest = new Guest(openVmm(options), [NOP, NOP, NOP, NOP, ...OUT], { 1: [...setRf, 0x48, 0xcf] })
  const state = longModeState()
  state.vrs_drs[VCPU_REGS_DR0] = BigInt(CODE + 2)
  state.vrs_drs[VCPU_REGS_DR7] = 0x401n
  guest.reset(state)
  runToOut(guest)
  return guest
}

test('breakpoints work as they do without, and are counted alike', () => {
  const told: string[] = []
  const onInstruction = ({ text, event }: ExecutedInstruction) => told.push(`${text}${event ? ' event' : ''}`) > 0
  const traced = debugged({ onInstruction })
  const plain = debugged({})
  const handler = ['or byte ptr [rsp+0x12], 0x1', 'iretq']
  assert.equal(told, ['nop', 'nop event', ...handler, 'nop', 'nop', 'out 0x61, al'])
  assert.is(traced.vmm.instructions(traced.id), plain.vmm.instructions(plain.id))
  assert.equal(traced.registers(), plain.registers())
})

test('a slice that ends with a breakpoint is counted right', () => {
  const single = debugged({ slice: 1 })
  const plain = debugged({})
  assert.is(single.vmm.instructions(single.id), plain.vmm.instructions(plain.id))
})

test.run()
