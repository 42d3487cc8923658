/** Which of x87, MMX, SSE and AVX an instruction belongs to, as far as CR0, CR4 and XCR0 may forbid it. */
import { type Instruction, OperandKind } from '../decoder/instruction.ts'
import { featuresOf, indexOf, isVex, nameOf } from '../decoder/opcodes.ts'
import * as L from '../layout.ts'
import * as R from './record.ts'

const NAME_WAIT = indexOf('fwait')
/** Without vector operands, in some forms at least, but with what holds for instructions that have them. */
const TO_GENERAL = ['cvtss2si', 'cvttss2si', 'cvtsd2si', 'cvttsd2si']
const SSE_NAMES = new Set(['ldmxcsr', 'stmxcsr', ...TO_GENERAL].map(indexOf))
const AVX_NAMES = new Set(
  ['vldmxcsr', 'vstmxcsr', 'vzeroupper', 'vzeroall', ...TO_GENERAL.map((name) => `v${name}`)].map(indexOf),
)

/** What must be there for an instruction besides general registers: a FLOAT_ number. */
export function floatKind(i: Instruction): number {
  if (i.name === NAME_WAIT) return R.FLOAT_WAIT
  const features = featuresOf(i.encoding)
  if (features.includes('x87') || features.includes('fxsr')) return R.FLOAT_X87
  if (SSE_NAMES.has(i.name)) return R.FLOAT_SSE
  if (AVX_NAMES.has(i.name)) return R.FLOAT_AVX
  const kinds = i.opKind.subarray(0, i.operandCount)
  const vex = isVex(nameOf(i.name))
  if (kinds.includes(OperandKind.xmm)) return vex ? R.FLOAT_AVX : R.FLOAT_SSE
  if (vex) return R.FLOAT_VEX
  return kinds.includes(OperandKind.mmx) || features.includes('mmx') ? R.FLOAT_MMX : R.FLOAT_NONE
}

/** Whether an instruction has to be checked before it runs; `modeFloat` is L.MODE_FLOAT. */
export function needsFloatCheck(i: Instruction, modeFloat: number): boolean {
  if (modeFloat === 0) return false
  const kind = floatKind(i)
  if (kind === R.FLOAT_NONE) return false
  if (kind === R.FLOAT_AVX || kind === R.FLOAT_VEX) return true
  return kind === R.FLOAT_SSE ? modeFloat !== L.MODE_AVX_CHECKED : modeFloat === L.MODE_FLOAT_CHECKED
}
