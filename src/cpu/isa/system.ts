/**
 * System instructions: segments, far transfers, interrupts, system calls, control registers, and what a monitor
 * intercepts. Nearly all of them are algorithms of the runtime (runtime/*.ts); here stands which operands they take.
 * Each ends its trace, since it may change mode, privilege, mappings or the interrupt flag.
 */
import * as L from '../layout.ts'
import { instruction } from './table.ts'

const ENDS = { ends: true } as const

// Without explicit operands.
for (const [name, run] of [
  ['iret', 'interruptReturn'],
  ['int3', 'breakpoint'],
  ['int1', 'interrupt1'],
  ['popf', 'popFlags'],
  ['cli', 'clearInterruptFlag'],
  ['sti', 'setInterruptFlag'],
  ['clac', 'clearAlignmentCheck'],
  ['stac', 'setAlignmentCheck'],
  ['syscall', 'systemCall'],
  ['sysret', 'systemReturn'],
  ['sysenter', 'systemEnter'],
  ['sysexit', 'systemExit'],
  ['swapgs', 'swapGs'],
  ['clts', 'clearTaskSwitched'],
  ['invd', 'invalidateCaches'],
  ['wbinvd', 'writeBackCaches'],
  ['rdmsr', 'readMsr'],
  ['wrmsr', 'writeMsr'],
  ['hlt', 'halt'],
  ['cpuid', 'identify'],
  ['rdtsc', 'readTimeStamp'],
  ['rdtscp', 'readTimeStampAndId'],
  ['rdpmc', 'readPerformanceCounter'],
  ['xgetbv', 'readExtendedControl'],
  ['xsetbv', 'writeExtendedControl'],
  ['ud2', 'undefinedOpcode'],
] as const) {
  instruction(name, '', (x) => x.system(run, x.i32(x.size)), ENDS)
}

for (const name of ['ud0', 'ud1']) instruction(name, '- -', (x) => x.system('undefinedOpcode', x.i32(0)), ENDS)

// Segment registers and descriptor tables

instruction(
  'mov.to_sreg',
  'n r',
  (x, segment, selector) => {
    x.system('moveToSegment', segment, x.truncate(selector, 16))
  },
  ENDS,
)

instruction('mov.from_sreg', 'w n', (x, _dst, segment) => x.zeroExtend(x.call('readSelector', 'i32', segment), 16))

instruction(
  'pop.sreg',
  'n',
  (x, segment) => {
    const selector = x.truncate(x.top(), 16)
    x.system('popSegment', segment, selector, x.i32(x.size / 8))
  },
  { ends: true, modal: 'stack' },
)

for (const [name, run, use] of [
  ['lgdt', 'loadGlobalTable', 'a'],
  ['lidt', 'loadInterruptTable', 'a'],
  ['sgdt', 'storeGlobalTable', 'aw'],
  ['sidt', 'storeInterruptTable', 'aw'],
] as const) {
  instruction(name, use, (x, address) => x.system(run, address, x.i32(x.size), x.accessFlags()), ENDS)
}

for (const [name, run] of [
  ['invlpg', 'invalidatePage'],
  ['clflush', 'flushLine'],
  ['clflushopt', 'flushLine'],
  ['clwb', 'flushLine'],
] as const) {
  instruction(name, 'a', (x, address) => x.system(run, address, x.accessFlags()), ENDS)
}

for (const [name, run] of [
  ['lldt', 'loadLocalTable'],
  ['ltr', 'loadTask'],
  ['verr', 'verifyRead'],
  ['verw', 'verifyWrite'],
  ['lmsw', 'loadMachineStatus'],
] as const) {
  instruction(name, 'r', (x, value) => x.system(run, x.truncate(value, 16)), ENDS)
}

for (const [name, what] of [
  ['sldt', L.LDTR + L.SEG_SELECTOR],
  ['str', L.TR + L.SEG_SELECTOR],
  ['smsw', L.CR0],
] as const) {
  instruction(name, 'w', (x) => {
    x.callWithState(name === 'smsw' ? 'checkUserModePrevention' : 'checkSelectorAccess', 'i32')
    x.leaveOnFault()
    const value = x.state64(what)
    // The selectors are followed by other fields; CR0 is stored as wide as the destination.
    const wanted = name === 'smsw' ? value : x.binary('and', value, x.i64(0xffff))
    return x.truncate(wanted, x.operandSizes[0] as number)
  })
}

/** LAR and LSL: the destination is written, and ZF set, only for a selector that may be looked at. */
for (const [name, run] of [
  ['lar', 'accessRights'],
  ['lsl', 'segmentLimit'],
] as const) {
  instruction(name, 'rw r', (x, dst, selector) => {
    const result = x.callWithState(run, 'i64', x.truncate(selector, 16))
    x.leaveOnFault()
    const visible = x.binary('shr_s', result, x.i64(63))
    return x.exchangeIf(x.eqz(visible), dst, x.let(x.truncate(result, x.size)))
  })
}

// Control and debug registers

for (const name of ['mov.to_cr', 'mov.from_cr', 'mov.to_dr', 'mov.from_dr'] as const) {
  const run = { to_cr: 'moveToControl', from_cr: 'moveFromControl', to_dr: 'moveToDebug', from_dr: 'moveFromDebug' }
  instruction(name, 'n n', (x, a, b) => x.system(run[name.slice(4) as keyof typeof run], a, b), ENDS)
}

for (const [name, run] of [
  ['rdrand', 'readRandom'],
  ['rdseed', 'readSeed'],
] as const) {
  instruction(name, 'n', (x, register) => x.system(run, register, x.i32(x.size)), ENDS)
}

instruction('rdpid', 'w', (x) => x.truncate(x.state64(L.TSC_AUX), x.operandSizes[0] as number))

for (const [name, base] of [
  ['rdfsbase', L.FS],
  ['rdgsbase', L.GS],
] as const) {
  instruction(name, 'w', (x) => {
    x.callWithState('checkBaseInstructions', 'i32')
    x.leaveOnFault()
    return x.truncate(x.state64(base + L.SEG_BASE), x.size)
  })
}

for (const [name, base] of [
  ['wrfsbase', L.FS],
  ['wrgsbase', L.GS],
] as const) {
  instruction(
    name,
    'r',
    (x, value) => {
      x.system('writeSegmentBase', x.i32(base), x.zeroExtend(value, x.size, 64))
    },
    ENDS,
  )
}

// Far transfers, software interrupts, I/O

for (const [name, run] of [
  ['call.far', 'farCall'],
  ['jmp.far', 'farJump'],
] as const) {
  instruction(name, 'a', (x, address) => x.system(run, address, x.i32(x.size), x.accessFlags()), ENDS)
}

instruction(
  'retf',
  'r',
  (x, extra) => {
    x.system('farReturn', x.i32(x.size), extra ? x.binary('and', x.truncate(extra, 32), x.i32(0xffff)) : x.i32(0))
  },
  ENDS,
)

for (const [name, segment] of [
  ['les', 0],
  ['lss', 2],
  ['lds', 3],
  ['lfs', 4],
  ['lgs', 5],
] as const) {
  instruction(
    name,
    'n a',
    (x, register, address) => {
      x.system('loadFarPointer', x.i32(segment), register, address, x.i32(x.size), x.accessFlags())
    },
    ENDS,
  )
}

instruction('int', 'r', (x, vector) => x.system('softwareInterrupt', x.truncate(vector, 8)), ENDS)

/** Port (DX or an immediate), size in bytes, and whether the port was an immediate. */
instruction(
  'in',
  '- r',
  (x, _accumulator, port) => {
    x.system('input', x.truncate(port, 16), x.i32(x.size / 8), x.i32(x.immediateOperand(1) ? 1 : 0))
  },
  ENDS,
)

instruction(
  'out',
  'r -',
  (x, port) => {
    x.system('output', x.truncate(port, 16), x.i32(x.size / 8), x.i32(x.immediateOperand(0) ? 1 : 0))
  },
  ENDS,
)
