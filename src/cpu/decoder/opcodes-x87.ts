/** The x87 FPU: Intel SDM volume 2, appendix A.5. Aliases that the manual does not list (DD C8 ...) come last. */

const ARITHMETIC = ['add', 'mul', 'com', 'comp', 'sub', 'subr', 'div', 'divr']
/** With ST(i) as the destination SUB and SUBR, DIV and DIVR trade their encodings. */
const REVERSED = ['add', 'mul', 'com', 'comp', 'subr', 'sub', 'divr', 'div']

function arithmetic(name: string, reg: number): string {
  const compares = name.startsWith('com')
  return `
    d8/${reg} f${name}.mem Md
    d8/${reg} f${name} ST,STi
    da/${reg} fi${name} Md
    dc/${reg} f${name}.mem Mq
    dc/${reg} f${REVERSED[reg]} ${compares ? 'ST,STi' : 'STi,ST'}
    de/${reg} fi${name} Mw
    ${compares ? '' : `de/${reg} f${REVERSED[reg]}p STi,ST`}`
}

const D9_CONSTANTS = ['fld1', 'fldl2t', 'fldl2e', 'fldpi', 'fldlg2', 'fldln2', 'fldz']
const D9_F0 = ['f2xm1', 'fyl2x', 'fptan', 'fpatan', 'fxtract', 'fprem1', 'fdecstp', 'fincstp']
const D9_F8 = ['fprem', 'fyl2xp1', 'fsqrt', 'fsincos', 'frndint', 'fscale', 'fsin', 'fcos']

const row = (reg: number, names: string[]): string => names.map((name, rm) => `d9/${reg}/${rm} ${name}`).join('\n')

const PLAIN = `
  ${ARITHMETIC.map(arithmetic).join('')}
  9b fwait
  d9/0 fld.mem Md
  d9/2 fst.mem Md
  d9/3 fstp.mem Md
  d9/4 fldenv M
  d9/5 fldcw Mw
  d9/6 fnstenv M
  d9/7 fnstcw Mw
  d9/0 fld STi
  d9/1 fxch ST,STi
  d9/2/0 fnop
  d9/4/0 fchs
  d9/4/1 fabs
  d9/4/4 ftst
  d9/4/5 fxam
  ${row(5, D9_CONSTANTS)}
  ${row(6, D9_F0)}
  ${row(7, D9_F8)}
  da/0 fcmovb ST,STi cmov
  da/1 fcmove ST,STi cmov
  da/2 fcmovbe ST,STi cmov
  da/3 fcmovu ST,STi cmov
  da/5/1 fucompp
  db/0 fild Md
  db/1 fisttp Md sse3
  db/2 fist Md
  db/3 fistp Md
  db/5 fld.mem Mt
  db/7 fstp.mem Mt
  db/0 fcmovnb ST,STi cmov
  db/1 fcmovne ST,STi cmov
  db/2 fcmovnbe ST,STi cmov
  db/3 fcmovnu ST,STi cmov
  db/4/0 fneni
  db/4/1 fndisi
  db/4/2 fnclex
  db/4/3 fninit
  db/4/4 fnsetpm
  db/5 fucomi ST,STi cmov
  db/6 fcomi ST,STi cmov
  dd/0 fld.mem Mq
  dd/1 fisttp Mq sse3
  dd/2 fst.mem Mq
  dd/3 fstp.mem Mq
  dd/4 frstor M
  dd/6 fnsave M
  dd/7 fnstsw Mw
  dd/0 ffree STi
  dd/2 fst STi
  dd/3 fstp STi
  dd/4 fucom ST,STi
  dd/5 fucomp ST,STi
  de/3/1 fcompp
  df/0 fild Mw
  df/1 fisttp Mw sse3
  df/2 fist Mw
  df/3 fistp Mw
  df/4 fbld Mt
  df/5 fild Mq
  df/6 fbstp Mt
  df/7 fistp Mq
  df/4/0 fnstsw AX
  df/5 fucomip ST,STi cmov
  df/6 fcomip ST,STi cmov

  d9/3 fstp.nce STi
  dd/1 fxch ST,STi
  de/2 fcomp ST,STi
  df/0 ffreep STi
  df/1 fxch ST,STi
  df/2-3 fstp STi
`

/** Only the formats of these depend on the operand size. */
const SIZED = /fldenv|fnstenv|frstor|fnsave/

/** Every one of them needs the FPU. */
export const X87_OPCODES = PLAIN.split('\n')
  .map((line) => (line.trim() === '' ? '' : `${line}${SIZED.test(line) ? '' : ' od'} x87`))
  .join('\n')
