/**
 * MMX, SSE and AVX instructions that exist in several of these with the same opcode: packed integers (MMX, SSE, AVX),
 * and floating point (SSE with four mandatory prefixes, AVX). Intel SDM volume 1, sections 5.4 to 5.13.
 */

/** `opcode name`, MMX registers or XMM: MMX since the named feature, XMM since SSE2. */
const INTEGER: Record<string, string> = {
  mmx: `63 packsswb,64 pcmpgtb,65 pcmpgtw,66 pcmpgtd,67 packuswb,68 punpckhbw,69 punpckhwd,6a punpckhdq,6b packssdw,
    74 pcmpeqb,75 pcmpeqw,76 pcmpeqd,d5 pmullw,d8 psubusb,d9 psubusw,db pand,dc paddusb,dd paddusw,df pandn,e5 pmulhw,
    e8 psubsb,e9 psubsw,eb por,ec paddsb,ed paddsw,ef pxor,f5 pmaddwd,f8 psubb,f9 psubw,fa psubd,fc paddb,fd paddw,
    fe paddd`,
  sse: 'da pminub,de pmaxub,e0 pavgb,e3 pavgw,e4 pmulhuw,ea pminsw,ee pmaxsw,f6 psadbw',
  sse2: 'd4 paddq,f4 pmuludq,fb psubq',
}
/** The low halves are interleaved: an MMX memory operand is half as wide. */
const UNPACK_LOW = '60 punpcklbw,61 punpcklwd,62 punpckldq'
/** The count is one register or memory operand of 128 bits even for YMM. */
const SHIFTS = 'd1 psrlw,d2 psrld,d3 psrlq,e1 psraw,e2 psrad,f1 psllw,f2 pslld,f3 psllq'
const SSSE3 = `00 pshufb,01 phaddw,02 phaddd,03 phaddsw,04 pmaddubsw,05 phsubw,06 phsubd,07 phsubsw,08 psignb,09 psignw,
  0a psignd,0b pmulhrsw`
const ABSOLUTE = '1c pabsb,1d pabsw,1e pabsd'
/** No MMX form. */
const SSE41 = `28 pmuldq,29 pcmpeqq,2b packusdw,38 pminsb,39 pminsd,3a pminuw,3b pminud,3c pmaxsb,3d pmaxsd,3e pmaxuw,
  3f pmaxud,40 pmulld`
/** `opcode name source size`: packed integers widened. */
const WIDENING = '0 bw h,1 bd f,2 bq e,3 wd h,4 wq f,5 dq h'
const FLOAT_ARITHMETIC = '58 add,59 mul,5c sub,5d min,5e div,5f max'
const FLOAT_LOGIC = '14 unpckl,15 unpckh,54 and,55 andn,56 or,57 xor'
const AES = 'dc aesenc,dd aesenclast,de aesdec,df aesdeclast'
/** `low opcode digit name`: fused multiply-add in the orders 132 (9x), 213 (Ax), 231 (Bx). */
const FMA = `6 fmaddsub p,7 fmsubadd p,8 fmadd p,9 fmadd s,a fmsub p,b fmsub s,c fnmadd p,d fnmadd s,e fnmsub p,
  f fnmsub s`

function each(list: string, lines: (opcode: string, name: string, extra: string) => string): string {
  const words = list.split(',').map((entry) => entry.trim().split(' '))
  return words.map(([opcode = '', name = '', extra = '']) => lines(opcode, name, extra)).join('')
}

const integer = (feature: string, list: string): string =>
  each(
    list,
    (opcode, name) => `
  np.0f.${opcode} ${name} Pq,Qq ${feature}
  66.0f.${opcode} ${name} Vx,Wx sse2
  vex.66.0f.${opcode} v${name} Vx,Hx,Wx avx/avx2`,
  )

const unpackLow = each(
  UNPACK_LOW,
  (opcode, name) => `
  np.0f.${opcode} ${name} Pq,Qd mmx
  66.0f.${opcode} ${name} Vx,Wx sse2
  vex.66.0f.${opcode} v${name} Vx,Hx,Wx avx/avx2`,
)

const shifts = each(
  SHIFTS,
  (opcode, name) => `
  np.0f.${opcode} ${name} Pq,Qq mmx
  66.0f.${opcode} ${name} Vx,Wx sse2
  vex.66.0f.${opcode} v${name} Vx,Hx,Wdq avx/avx2`,
)

/** 71, 72, 73: shifts by an immediate. */
const immediateShifts = each('71 w,72 d,73 q', (opcode, size) => {
  const names = [`2 psrl${size}`, ...(size === 'q' ? [] : [`4 psra${size}`]), `6 psll${size}`].join(',')
  return each(
    names,
    (reg, name) => `
    np.0f.${opcode}/${reg} ${name} Nq,Ib mmx
    66.0f.${opcode}/${reg} ${name} Ux,Ib sse2
    vex.66.0f.${opcode}/${reg} v${name} Hx,Ux,Ib avx/avx2`,
  )
})

const ssse3 = each(
  SSSE3,
  (opcode, name) => `
  np.0f38.${opcode} ${name} Pq,Qq ssse3
  66.0f38.${opcode} ${name} Vx,Wx ssse3
  vex.66.0f38.${opcode} v${name} Vx,Hx,Wx avx/avx2`,
)

const absolute = each(
  ABSOLUTE,
  (opcode, name) => `
  np.0f38.${opcode} ${name} Pq,Qq ssse3
  66.0f38.${opcode} ${name} Vx,Wx ssse3
  vex.66.0f38.${opcode} v${name} Vx,Wx avx/avx2`,
)

const sse41 = each(
  SSE41,
  (opcode, name) => `
  66.0f38.${opcode} ${name} Vx,Wx sse41
  vex.66.0f38.${opcode} v${name} Vx,Hx,Wx avx/avx2`,
)

const widening = each(
  WIDENING,
  (digit, name, size) => `
  66.0f38.2${digit} pmovsx${name} Vx,W${size} sse41
  66.0f38.3${digit} pmovzx${name} Vx,W${size} sse41
  vex.66.0f38.2${digit} vpmovsx${name} Vx,W${size} avx/avx2
  vex.66.0f38.3${digit} vpmovzx${name} Vx,W${size} avx/avx2`,
)

const floatArithmetic = each(
  FLOAT_ARITHMETIC,
  (opcode, name) => `
  np.0f.${opcode} ${name}ps Vx,Wx sse
  66.0f.${opcode} ${name}pd Vx,Wx sse2
  f3.0f.${opcode} ${name}ss Vd,Wd sse
  f2.0f.${opcode} ${name}sd Vq,Wq sse2
  vex.np.0f.${opcode} v${name}ps Vx,Hx,Wx avx
  vex.66.0f.${opcode} v${name}pd Vx,Hx,Wx avx
  vex.f3.0f.${opcode} v${name}ss Vd,Hd,Wd avx
  vex.f2.0f.${opcode} v${name}sd Vq,Hq,Wq avx`,
)

const floatLogic = each(
  FLOAT_LOGIC,
  (opcode, name) => `
  np.0f.${opcode} ${name}ps Vx,Wx sse
  66.0f.${opcode} ${name}pd Vx,Wx sse2
  vex.np.0f.${opcode} v${name}ps Vx,Hx,Wx avx
  vex.66.0f.${opcode} v${name}pd Vx,Hx,Wx avx`,
)

const aes = each(
  AES,
  (opcode, name) => `
  66.0f38.${opcode} ${name} Vx,Wx aes
  vex.l0.66.0f38.${opcode} v${name} Vx,Hx,Wx aes avx`,
)

const fma = each('9 132,a 213,b 231', (digit, order) =>
  each(FMA, (low, name, kind) => {
    const [single, double] = kind === 'p' ? ['Vx,Hx,Wx', 'Vx,Hx,Wx'] : ['Vd,Hd,Wd', 'Vq,Hq,Wq']
    return `
  vex.66.0f38.w0.${digit}${low} v${name}${order}${kind}s ${single} fma
  vex.66.0f38.w1.${digit}${low} v${name}${order}${kind}d ${double} fma`
  }),
)

export const PACKED_OPCODES = [
  ...Object.entries(INTEGER).map(([feature, list]) => integer(feature, list)),
  unpackLow,
  shifts,
  immediateShifts,
  ssse3,
  absolute,
  sse41,
  widening,
  floatArithmetic,
  floatLogic,
  aes,
  fma,
].join('\n')
