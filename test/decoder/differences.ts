/**
 * Where this decoder and iced-x86 differ on purpose. A difference that no class here describes is a failure; a class is
 * as narrow as its reason.
 */

import type { Difference } from './iced.ts'

export interface DifferenceClass {
  name: string
  why: string
  matches: (difference: Difference) => boolean
}

/** Extensions that the processor does not have: their instructions are #UD. By iced's CPUID feature names. */
const ABSENT = new Set([
  'AVX512F',
  'AVX512VL',
  'AVX512BW',
  'AVX512DQ',
  'AVX512CD',
  'AVX512_FP16',
  'AVX512_VBMI',
  'AVX512_VBMI2',
  'AVX512_BITALG',
  'AVX512_VNNI',
  'AVX512_VP2INTERSECT',
  'AVX512_VPOPCNTDQ',
  'AVX512_BF16',
  'AVX512_IFMA',
  'AVX512ER',
  'AVX512PF',
  'AVX512_4FMAPS',
  'AVX512_4VNNIW',
  'AVX_VNNI',
  'AVX_VNNI_INT8',
  'AVX_VNNI_INT16',
  'AVX_IFMA',
  'AVX_NE_CONVERT',
  'AMX_TILE',
  'AMX_INT8',
  'AMX_BF16',
  'AMX_FP16',
  'AMX_COMPLEX',
  'XOP',
  'FMA4',
  'TBM',
  'LWP',
  'D3NOW',
  'D3NOWEXT',
  'GFNI',
  'VAES',
  'VPCLMULQDQ',
  'SHA512',
  'SM3',
  'SM4',
  'KL',
  'AESKLE',
  'WIDE_KL',
  'PADLOCK_ACE',
  'PADLOCK_GMI',
  'PADLOCK_PHE',
  'PADLOCK_PMM',
  'PADLOCK_RNG',
  'PADLOCK_UNDOC',
  'CET_SS',
  'CMPCCXADD',
  'RAO_INT',
  'ENQCMD',
  'MOVDIRI',
  'MOVDIR64B',
  'WAITPKG',
  'PTWRITE',
  'RTM',
  'HLE_or_RTM',
  'TSXLDTRK',
  'SMX',
  'SGX1',
  'OSS',
  'TDX',
  'TSE',
  'LKGS',
  'FRED',
  'UINTR',
  'SERIALIZE',
  'HRESET',
  'PCONFIG',
  'INVLPGB',
  'SEV_SNP',
  'RMPQUERY',
  'MCOMMIT',
  'RDPRU',
  'PKU',
  'WRMSRNS',
  'MSRLIST',
])

const startsWith =
  (what: string) =>
  (difference: Difference): boolean =>
    difference.what.startsWith(what)
const isOneOf =
  (...names: string[]) =>
  (difference: Difference): boolean =>
    names.includes(difference.name)

export const DIFFERENCE_CLASSES: DifferenceClass[] = [
  {
    name: 'absent extension',
    why: 'iced knows every extension; those that this processor lacks are #UD',
    matches: (d) => d.what === 'only iced decodes it' && d.features.some((feature) => ABSENT.has(feature)),
  },
  {
    name: 'RSM',
    why: 'there is no system management mode, outside of which RSM is #UD',
    matches: (d) => d.what === 'only iced decodes it' && d.code === 'Rsm',
  },
  {
    name: '0F 0D register form',
    why: 'PREFETCH of a register is a reserved NOP for Intel, #UD on AMD processors (hardware vectors)',
    matches: (d) => d.what === 'only iced decodes it' && /^Reservednop_.*_0F0D$/.test(d.code),
  },
  {
    name: 'ignored segment override',
    why: 'iced shows ES, CS, SS, DS prefixes in 64-bit mode; they have no effect there, so the default segment stays',
    matches: (d) => d.mode === 64 && / segment$/.test(d.what) && d.ours.segmentOverride === 0xff,
  },
  {
    name: 'reserved NOP operands',
    why: 'iced gives the NOPs of 0F 18 to 0F 1F a second operand; nobody reads it',
    matches: (d) => d.what === 'operand count' && d.name === 'nop' && d.code.startsWith('Reservednop_'),
  },
  {
    name: 'hint of an absent extension',
    why: 'PREFETCHIT, CLDEMOTE, RDSSP, WBNOINVD, VMGEXIT: NOP, WBINVD or VMMCALL on processors without them',
    matches: (d) =>
      d.what === 'mnemonic' &&
      /^(nop (Prefetchit|Cldemote|Rdssp)|wbinvd Wbnoinvd|vmmcall Vmgexit)/.test(`${d.name} ${d.code}`),
  },
  {
    name: 'PREFETCH aliases',
    why: '0F 0D /3 to /7 act as PREFETCH',
    matches: (d) => d.what === 'mnemonic' && d.name === 'prefetch' && d.code.startsWith('Prefetchreserved'),
  },
  {
    name: 'REX.B with F3 90',
    why: 'it is XCHG R8, rAX with an ignored F3; iced says PAUSE',
    matches: (d) => d.what === 'mnemonic' && d.name === 'xchg' && d.code === 'Pause',
  },
  {
    name: 'selector width',
    why: 'a selector is 16 bits of a register: r16 here where iced writes r32 or r64 for the operand size',
    matches: (d) =>
      d.what.endsWith('register size') &&
      isOneOf('arpl', 'mov.to_sreg', 'lldt', 'ltr', 'verr', 'verw', 'lmsw')(d) &&
      /^(Arpl|Mov_Sreg|L|V)/.test(d.code),
  },
  {
    name: 'memory without a width',
    why: 'state areas (FXSAVE, FLDENV, FNSAVE) have size 0',
    matches: (d) =>
      startsWith('memory size')(d) && isOneOf('fxsave', 'fxrstor', 'fldenv', 'fnstenv', 'fnsave', 'frstor')(d),
  },
  {
    name: 'implied memory operand',
    why: 'MASKMOVQ and MASKMOVDQU do not write their destination [rDI]',
    matches: (d) => startsWith('operand count')(d) && isOneOf('maskmovq', 'maskmovdqu', 'vmaskmovdqu')(d),
  },
]

export function classOf(difference: Difference): DifferenceClass | undefined {
  return DIFFERENCE_CLASSES.find((candidate) => candidate.matches(difference))
}
