/** General-purpose instructions: Intel SDM volume 1, section 5.1. The notation is described in notation.ts. */

const ARITHMETIC = ['add', 'or', 'adc', 'sbb', 'and', 'sub', 'xor', 'cmp']
/** SHL has a second encoding, /6, that some assemblers call SAL. */
const SHIFTS = ['rol/0', 'ror/1', 'rcl/2', 'rcr/3', 'shl/4', 'shr/5', 'shl/6', 'sar/7']

const hex = (value: number): string => value.toString(16).padStart(2, '0')

function arithmetic(name: string, row: number): string {
  const lock = name === 'cmp' ? '' : 'lock'
  return `
    ${hex(row * 8)} ${name} Eb,Gb ${lock}
    ${hex(row * 8 + 1)} ${name} Ev,Gv ${lock}
    ${hex(row * 8 + 2)} ${name} Gb,Eb
    ${hex(row * 8 + 3)} ${name} Gv,Ev
    ${hex(row * 8 + 4)} ${name} AL,Ib
    ${hex(row * 8 + 5)} ${name} rAX,Iz
    80/${row} ${name} Eb,Ib ${lock}
    81/${row} ${name} Ev,Iz ${lock}
    82/${row} ${name} Eb,Ib ${lock} i64
    83/${row} ${name} Ev,sIb ${lock}`
}

function shift(entry: string): string {
  const [name, reg] = entry.split('/')
  return `
    c0/${reg} ${name} Eb,Ib
    c1/${reg} ${name} Ev,Ib
    d0/${reg} ${name} Eb,1
    d1/${reg} ${name} Ev,1
    d2/${reg} ${name} Eb,CL
    d3/${reg} ${name} Ev,CL`
}

export const INTEGER_OPCODES = `
  ${ARITHMETIC.map(arithmetic).join('')}
  ${SHIFTS.map(shift).join('')}

  06 push.sreg ES i64
  07 pop.sreg ES i64
  0e push.sreg CS i64
  16 push.sreg SS i64
  17 pop.sreg SS i64
  1e push.sreg DS i64
  1f pop.sreg DS i64
  27 daa i64
  2f das i64
  37 aaa i64
  3f aas i64
  40+r inc Zv i64
  48+r dec Zv i64
  50+r push Zv d64
  58+r pop Zv d64
  60 pusha i64
  61 popa i64
  62 bound Gv,Ma i64
  63 arpl Ew,Gw i64 pm
  63 movsxd Gv,Ez o64
  68 push Iz d64
  69 imul.3 Gv,Ev,Iz
  6a push sIb d64
  6b imul.3 Gv,Ev,sIb
  6c ins o8
  6d ins oz
  6e outs o8
  6f outs oz
  70+cc j{cc} Jb f64
  84 test Eb,Gb
  85 test Ev,Gv
  86 xchg Eb,Gb lock
  87 xchg Ev,Gv lock
  88 mov Eb,Gb
  89 mov Ev,Gv
  8a mov Gb,Eb
  8b mov Gv,Ev
  8c/0-5 mov.from_sreg Rv/Mw,Sw
  8d lea Gv,M
  8e/0,2-5 mov.to_sreg Sw,Ew
  8f/0 pop Ev d64
  b0.90 nop
  b0.f3.90 pause
  90+r xchg Zv,rAX
  98 cbw
  99 cwd
  9a call.far_ptr Ap i64
  9c pushf d64
  9d popf d64
  9e sahf i64
  9f lahf i64
  9e sahf o64 lahf
  9f lahf o64 lahf
  a0 mov AL,Ob
  a1 mov rAX,Ov
  a2 mov Ob,AL
  a3 mov Ov,rAX
  a4 movs o8
  a5 movs
  a6 cmps o8
  a7 cmps
  a8 test AL,Ib
  a9 test rAX,Iz
  aa stos o8
  ab stos
  ac lods o8
  ad lods
  ae scas o8
  af scas
  b0+r mov Zb,Ib
  b8+r mov Zv,Iv
  c2 ret Iw f64
  c3 ret f64
  c4 les Gv,Mp i64
  c5 lds Gv,Mp i64
  c6/0 mov Eb,Ib
  c7/0 mov Ev,Iz
  c8 enter Iw,Ib d64
  c9 leave d64
  ca retf Iw
  cb retf
  cc int3
  cd int Ib
  ce into i64
  cf iret
  d4 aam Ib i64
  d5 aad Ib i64
  d6 salc i64
  d7 xlat
  e0 loopne Jb f64
  e1 loope Jb f64
  e2 loop Jb f64
  e3 jcxz Jb f64
  e4 in AL,Ib
  e5 in eAX,Ib
  e6 out Ib,AL
  e7 out Ib,eAX
  e8 call.rel Jz f64
  e9 jmp.rel Jz f64
  ea jmp.far_ptr Ap i64
  eb jmp.rel Jb f64
  ec in AL,DX
  ed in eAX,DX
  ee out DX,AL
  ef out DX,eAX
  f1 int1
  f5 cmc
  f6/0-1 test Eb,Ib
  f6/2 not Eb lock
  f6/3 neg Eb lock
  f6/4 mul Eb
  f6/5 imul.1 Eb
  f6/6 div Eb
  f6/7 idiv Eb
  f7/0-1 test Ev,Iz
  f7/2 not Ev lock
  f7/3 neg Ev lock
  f7/4 mul Ev
  f7/5 imul.1 Ev
  f7/6 div Ev
  f7/7 idiv Ev
  f8 clc
  f9 stc
  fa cli
  fb sti
  fc cld
  fd std
  fe/0 inc Eb lock
  fe/1 dec Eb lock
  ff/0 inc Ev lock
  ff/1 dec Ev lock
  ff/2 call.ind Ev f64
  ff/3 call.far Mp
  ff/4 jmp.ind Ev f64
  ff/5 jmp.far Mp
  ff/6 push Ev d64

  0f.0b ud2
  0f.0d/1 prefetchw Mb
  0f.0d/2 prefetchwt1 Mb
  0f.0d/0,3-7 prefetch Mb
  0f.18/0 prefetchnta Mb
  0f.18/1 prefetcht0 Mb
  0f.18/2 prefetcht1 Mb
  0f.18/3 prefetcht2 Mb
  0f.18 nop Ev
  0f.19 nop Ev
  0f.1a nop Ev
  0f.1b nop Ev
  0f.1c nop Ev
  0f.1d nop Ev
  0f.1e nop Ev
  f3.0f.1e/7/2 endbr64
  f3.0f.1e/7/3 endbr32
  0f.1f nop Ev
  0f.40+cc cmov{cc} Gv,Ev cmov
  0f.80+cc j{cc} Jz f64
  0f.90+cc set{cc} Eb
  0f.a0 push.sreg FS d64
  0f.a1 pop.sreg FS d64
  0f.a2 cpuid
  0f.a3 bt Ev,Gv
  0f.a4 shld Ev,Gv,Ib
  0f.a5 shld Ev,Gv,CL
  0f.a8 push.sreg GS d64
  0f.a9 pop.sreg GS d64
  0f.ab bts Ev,Gv lock
  0f.ac shrd Ev,Gv,Ib
  0f.ad shrd Ev,Gv,CL
  0f.af imul.2 Gv,Ev
  0f.b0 cmpxchg Eb,Gb lock
  0f.b1 cmpxchg Ev,Gv lock
  0f.b2 lss Gv,Mp
  0f.b3 btr Ev,Gv lock
  0f.b4 lfs Gv,Mp
  0f.b5 lgs Gv,Mp
  0f.b6 movzx Gv,Eb
  0f.b7 movzx Gv,Ew
  f3.0f.b8 popcnt Gv,Ev popcnt
  0f.b9 ud1 Gv,Ev
  0f.ba/4 bt Ev,Ib
  0f.ba/5 bts Ev,Ib lock
  0f.ba/6 btr Ev,Ib lock
  0f.ba/7 btc Ev,Ib lock
  0f.bb btc Ev,Gv lock
  0f.bc bsf Gv,Ev
  f3.0f.bc tzcnt Gv,Ev bmi1
  0f.bd bsr Gv,Ev
  f3.0f.bd lzcnt Gv,Ev lzcnt
  0f.be movsx Gv,Eb
  0f.bf movsx Gv,Ew
  0f.c0 xadd Eb,Gb lock
  0f.c1 xadd Ev,Gv lock
  np.0f.c3 movnti My,Gy sse2
  0f.c7/1 cmpxchg8b Mq lock cx8
  w1.0f.c7/1 cmpxchg16b Mdq lock cx16
  nfx.0f.c7/6 rdrand Rv rdrand
  nfx.0f.c7/7 rdseed Rv rdseed
  f3.0f.c7/7 rdpid Rn rdpid
  0f.c8+r bswap Zv
  0f.ff ud0 Gv,Ev
  nfx.0f38.f0 movbe Gv,Mv movbe
  nfx.0f38.f1 movbe Mv,Gv movbe
  f2.0f38.f0 crc32 Gy,Eb o8 sse42
  f2.0f38.f1 crc32 Gy,Ev ov sse42
  66.0f38.f6 adcx Gy,Ey adx
  f3.0f38.f6 adox Gy,Ey adx

  vex.l0.np.0f38.f2 andn Gy,By,Ey bmi1
  vex.l0.np.0f38.f3/1 blsr By,Ey bmi1
  vex.l0.np.0f38.f3/2 blsmsk By,Ey bmi1
  vex.l0.np.0f38.f3/3 blsi By,Ey bmi1
  vex.l0.np.0f38.f5 bzhi Gy,Ey,By bmi2
  vex.l0.f3.0f38.f5 pext Gy,By,Ey bmi2
  vex.l0.f2.0f38.f5 pdep Gy,By,Ey bmi2
  vex.l0.f2.0f38.f6 mulx Gy,By,Ey bmi2
  vex.l0.np.0f38.f7 bextr Gy,Ey,By bmi1
  vex.l0.66.0f38.f7 shlx Gy,Ey,By bmi2
  vex.l0.f3.0f38.f7 sarx Gy,Ey,By bmi2
  vex.l0.f2.0f38.f7 shrx Gy,Ey,By bmi2
  vex.l0.f2.0f3a.f0 rorx Gy,Ey,Ib bmi2
`
