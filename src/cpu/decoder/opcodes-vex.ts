/** AVX, AVX2 and F16C encodings that stand alone; those with a common pattern are in opcodes-packed.ts. */

export const VEX_OPCODES = `
  vex.np.0f.10 vmovups Vx,Wx avx
  vex.66.0f.10 vmovupd Vx,Wx avx
  vex.f3.0f.10 vmovss Vd,Md avx
  vex.f3.0f.10 vmovss Vd,Hd,Ud avx
  vex.f2.0f.10 vmovsd Vq,Mq avx
  vex.f2.0f.10 vmovsd Vq,Hq,Uq avx
  vex.np.0f.11 vmovups Wx,Vx avx
  vex.66.0f.11 vmovupd Wx,Vx avx
  vex.f3.0f.11 vmovss Md,Vd avx
  vex.f3.0f.11 vmovss Ud,Hd,Vd avx
  vex.f2.0f.11 vmovsd Mq,Vq avx
  vex.f2.0f.11 vmovsd Uq,Hq,Vq avx
  vex.l0.np.0f.12 vmovlps Vq,Hq,Mq avx
  vex.l0.np.0f.12 vmovhlps Vq,Hq,Uq avx
  vex.l0.66.0f.12 vmovlpd Vq,Hq,Mq avx
  vex.f3.0f.12 vmovsldup Vx,Wx avx
  vex.l0.f2.0f.12 vmovddup Vx,Wq avx
  vex.l1.f2.0f.12 vmovddup Vx,Wx avx
  vex.l0.np.0f.13 vmovlps Mq,Vq avx
  vex.l0.66.0f.13 vmovlpd Mq,Vq avx
  vex.l0.np.0f.16 vmovhps Vq,Hq,Mq avx
  vex.l0.np.0f.16 vmovlhps Vq,Hq,Uq avx
  vex.l0.66.0f.16 vmovhpd Vq,Hq,Mq avx
  vex.f3.0f.16 vmovshdup Vx,Wx avx
  vex.l0.np.0f.17 vmovhps Mq,Vq avx
  vex.l0.66.0f.17 vmovhpd Mq,Vq avx
  vex.np.0f.28 vmovaps Vx,Wx avx
  vex.66.0f.28 vmovapd Vx,Wx avx
  vex.np.0f.29 vmovaps Wx,Vx avx
  vex.66.0f.29 vmovapd Wx,Vx avx
  vex.f3.0f.2a vcvtsi2ss Vd,Hd,Ey avx
  vex.f2.0f.2a vcvtsi2sd Vq,Hq,Ey avx
  vex.np.0f.2b vmovntps Mx,Vx avx
  vex.66.0f.2b vmovntpd Mx,Vx avx
  vex.f3.0f.2c vcvttss2si Gy,Wd avx
  vex.f2.0f.2c vcvttsd2si Gy,Wq avx
  vex.f3.0f.2d vcvtss2si Gy,Wd avx
  vex.f2.0f.2d vcvtsd2si Gy,Wq avx
  vex.np.0f.2e vucomiss Vd,Wd avx
  vex.66.0f.2e vucomisd Vq,Wq avx
  vex.np.0f.2f vcomiss Vd,Wd avx
  vex.66.0f.2f vcomisd Vq,Wq avx
  vex.np.0f.50 vmovmskps Gy,Ux avx
  vex.66.0f.50 vmovmskpd Gy,Ux avx
  vex.np.0f.51 vsqrtps Vx,Wx avx
  vex.66.0f.51 vsqrtpd Vx,Wx avx
  vex.f3.0f.51 vsqrtss Vd,Hd,Wd avx
  vex.f2.0f.51 vsqrtsd Vq,Hq,Wq avx
  vex.np.0f.52 vrsqrtps Vx,Wx avx
  vex.f3.0f.52 vrsqrtss Vd,Hd,Wd avx
  vex.np.0f.53 vrcpps Vx,Wx avx
  vex.f3.0f.53 vrcpss Vd,Hd,Wd avx
  vex.np.0f.5a vcvtps2pd Vx,Wh avx
  vex.66.0f.5a vcvtpd2ps Vdq,Wx avx
  vex.f3.0f.5a vcvtss2sd Vd,Hd,Wd avx
  vex.f2.0f.5a vcvtsd2ss Vq,Hq,Wq avx
  vex.np.0f.5b vcvtdq2ps Vx,Wx avx
  vex.66.0f.5b vcvtps2dq Vx,Wx avx
  vex.f3.0f.5b vcvttps2dq Vx,Wx avx
  vex.66.0f.6c vpunpcklqdq Vx,Hx,Wx avx/avx2
  vex.66.0f.6d vpunpckhqdq Vx,Hx,Wx avx/avx2
  vex.l0.66.0f.6e vmovd Vdq,Ed avx
  vex.l0.w1.66.0f.6e vmovq Vdq,Eq o64 avx
  vex.66.0f.6f vmovdqa Vx,Wx avx
  vex.f3.0f.6f vmovdqu Vx,Wx avx
  vex.66.0f.70 vpshufd Vx,Wx,Ib avx/avx2
  vex.f3.0f.70 vpshufhw Vx,Wx,Ib avx/avx2
  vex.f2.0f.70 vpshuflw Vx,Wx,Ib avx/avx2
  vex.66.0f.73/3 vpsrldq Hx,Ux,Ib avx/avx2
  vex.66.0f.73/7 vpslldq Hx,Ux,Ib avx/avx2
  vex.l0.np.0f.77 vzeroupper avx
  vex.l1.np.0f.77 vzeroall avx
  vex.66.0f.7c vhaddpd Vx,Hx,Wx avx
  vex.f2.0f.7c vhaddps Vx,Hx,Wx avx
  vex.66.0f.7d vhsubpd Vx,Hx,Wx avx
  vex.f2.0f.7d vhsubps Vx,Hx,Wx avx
  vex.l0.66.0f.7e vmovd Ed,Vdq avx
  vex.l0.w1.66.0f.7e vmovq Eq,Vdq o64 avx
  vex.l0.f3.0f.7e vmovq Vq,Wq avx
  vex.66.0f.7f vmovdqa Wx,Vx avx
  vex.f3.0f.7f vmovdqu Wx,Vx avx
  vex.l0.np.0f.ae/2 vldmxcsr Md avx
  vex.l0.np.0f.ae/3 vstmxcsr Md avx
  vex.np.0f.c2 vcmpps Vx,Hx,Wx,Ib avx
  vex.66.0f.c2 vcmppd Vx,Hx,Wx,Ib avx
  vex.f3.0f.c2 vcmpss Vd,Hd,Wd,Ib avx
  vex.f2.0f.c2 vcmpsd Vq,Hq,Wq,Ib avx
  vex.l0.66.0f.c4 vpinsrw Vdq,Hdq,Ry/Mw,Ib avx
  vex.l0.66.0f.c5 vpextrw Gy,Udq,Ib avx
  vex.np.0f.c6 vshufps Vx,Hx,Wx,Ib avx
  vex.66.0f.c6 vshufpd Vx,Hx,Wx,Ib avx
  vex.66.0f.d0 vaddsubpd Vx,Hx,Wx avx
  vex.f2.0f.d0 vaddsubps Vx,Hx,Wx avx
  vex.l0.66.0f.d6 vmovq Wq,Vq avx
  vex.66.0f.d7 vpmovmskb Gy,Ux avx/avx2
  vex.66.0f.e6 vcvttpd2dq Vdq,Wx avx
  vex.f3.0f.e6 vcvtdq2pd Vx,Wh avx
  vex.f2.0f.e6 vcvtpd2dq Vdq,Wx avx
  vex.66.0f.e7 vmovntdq Mx,Vx avx
  vex.f2.0f.f0 vlddqu Vx,Mx avx
  vex.l0.66.0f.f7 vmaskmovdqu Vdq,Udq avx

  vex.w0.66.0f38.0c vpermilps Vx,Hx,Wx avx
  vex.w0.66.0f38.0d vpermilpd Vx,Hx,Wx avx
  vex.w0.66.0f38.0e vtestps Vx,Wx avx
  vex.w0.66.0f38.0f vtestpd Vx,Wx avx
  vex.w0.66.0f38.13 vcvtph2ps Vx,Wh f16c
  vex.l1.w0.66.0f38.16 vpermps Vx,Hx,Wx avx2
  vex.66.0f38.17 vptest Vx,Wx avx
  vex.w0.66.0f38.18 vbroadcastss Vx,Md avx
  vex.w0.66.0f38.18 vbroadcastss Vx,Ud avx2
  vex.l1.w0.66.0f38.19 vbroadcastsd Vx,Mq avx
  vex.l1.w0.66.0f38.19 vbroadcastsd Vx,Uq avx2
  vex.l1.w0.66.0f38.1a vbroadcastf128 Vx,Mdq avx
  vex.66.0f38.2a vmovntdqa Vx,Mx avx/avx2
  vex.w0.66.0f38.2c vmaskmovps Vx,Hx,Mx avx
  vex.w0.66.0f38.2d vmaskmovpd Vx,Hx,Mx avx
  vex.w0.66.0f38.2e vmaskmovps Mx,Hx,Vx avx
  vex.w0.66.0f38.2f vmaskmovpd Mx,Hx,Vx avx
  vex.l1.w0.66.0f38.36 vpermd Vx,Hx,Wx avx2
  vex.66.0f38.37 vpcmpgtq Vx,Hx,Wx avx/avx2
  vex.l0.66.0f38.41 vphminposuw Vx,Wx avx
  vex.w0.66.0f38.45 vpsrlvd Vx,Hx,Wx avx2
  vex.w1.66.0f38.45 vpsrlvq Vx,Hx,Wx avx2
  vex.w0.66.0f38.46 vpsravd Vx,Hx,Wx avx2
  vex.w0.66.0f38.47 vpsllvd Vx,Hx,Wx avx2
  vex.w1.66.0f38.47 vpsllvq Vx,Hx,Wx avx2
  vex.w0.66.0f38.58 vpbroadcastd Vx,Wd avx2
  vex.w0.66.0f38.59 vpbroadcastq Vx,Wq avx2
  vex.l1.w0.66.0f38.5a vbroadcasti128 Vx,Mdq avx2
  vex.w0.66.0f38.78 vpbroadcastb Vx,Wb avx2
  vex.w0.66.0f38.79 vpbroadcastw Vx,Ww avx2
  vex.w0.66.0f38.8c vpmaskmovd Vx,Hx,Mx avx2
  vex.w1.66.0f38.8c vpmaskmovq Vx,Hx,Mx avx2
  vex.w0.66.0f38.8e vpmaskmovd Mx,Hx,Vx avx2
  vex.w1.66.0f38.8e vpmaskmovq Mx,Hx,Vx avx2
  vex.w0.66.0f38.90 vpgatherdd Vx,MXd,Hx avx2
  vex.w1.66.0f38.90 vpgatherdq Vx,MDq,Hx avx2
  vex.w0.66.0f38.91 vpgatherqd Vdq,MXd,Hdq ox avx2
  vex.w1.66.0f38.91 vpgatherqq Vx,MXq,Hx avx2
  vex.w0.66.0f38.92 vgatherdps Vx,MXd,Hx avx2
  vex.w1.66.0f38.92 vgatherdpd Vx,MDq,Hx avx2
  vex.w0.66.0f38.93 vgatherqps Vdq,MXd,Hdq ox avx2
  vex.w1.66.0f38.93 vgatherqpd Vx,MXq,Hx avx2
  vex.l0.66.0f38.db vaesimc Vx,Wx aes avx

  vex.l1.w1.66.0f3a.00 vpermq Vx,Wx,Ib avx2
  vex.l1.w1.66.0f3a.01 vpermpd Vx,Wx,Ib avx2
  vex.w0.66.0f3a.02 vpblendd Vx,Hx,Wx,Ib avx2
  vex.w0.66.0f3a.04 vpermilps Vx,Wx,Ib avx
  vex.w0.66.0f3a.05 vpermilpd Vx,Wx,Ib avx
  vex.l1.w0.66.0f3a.06 vperm2f128 Vx,Hx,Wx,Ib avx
  vex.66.0f3a.08 vroundps Vx,Wx,Ib avx
  vex.66.0f3a.09 vroundpd Vx,Wx,Ib avx
  vex.66.0f3a.0a vroundss Vd,Hd,Wd,Ib avx
  vex.66.0f3a.0b vroundsd Vq,Hq,Wq,Ib avx
  vex.66.0f3a.0c vblendps Vx,Hx,Wx,Ib avx
  vex.66.0f3a.0d vblendpd Vx,Hx,Wx,Ib avx
  vex.66.0f3a.0e vpblendw Vx,Hx,Wx,Ib avx/avx2
  vex.66.0f3a.0f vpalignr Vx,Hx,Wx,Ib avx/avx2
  vex.l0.66.0f3a.14 vpextrb Ry/Mb,Vdq,Ib avx
  vex.l0.66.0f3a.15 vpextrw Ry/Mw,Vdq,Ib avx
  vex.l0.66.0f3a.16 vpextrd Ed,Vdq,Ib avx
  vex.l0.w1.66.0f3a.16 vpextrq Eq,Vdq,Ib o64 avx
  vex.l0.66.0f3a.17 vextractps Ry/Md,Vdq,Ib avx
  vex.l1.w0.66.0f3a.18 vinsertf128 Vx,Hx,Wdq,Ib avx
  vex.l1.w0.66.0f3a.19 vextractf128 Wdq,Vx,Ib avx
  vex.w0.66.0f3a.1d vcvtps2ph Wh,Vx,Ib f16c
  vex.l0.66.0f3a.20 vpinsrb Vdq,Hdq,Ry/Mb,Ib avx
  vex.l0.66.0f3a.21 vinsertps Vdq,Hdq,Wd,Ib avx
  vex.l0.66.0f3a.22 vpinsrd Vdq,Hdq,Ed,Ib avx
  vex.l0.w1.66.0f3a.22 vpinsrq Vdq,Hdq,Eq,Ib o64 avx
  vex.l1.w0.66.0f3a.38 vinserti128 Vx,Hx,Wdq,Ib avx2
  vex.l1.w0.66.0f3a.39 vextracti128 Wdq,Vx,Ib avx2
  vex.66.0f3a.40 vdpps Vx,Hx,Wx,Ib avx
  vex.l0.66.0f3a.41 vdppd Vx,Hx,Wx,Ib avx
  vex.66.0f3a.42 vmpsadbw Vx,Hx,Wx,Ib avx/avx2
  vex.l0.66.0f3a.44 vpclmulqdq Vx,Hx,Wx,Ib pclmulqdq avx
  vex.l1.w0.66.0f3a.46 vperm2i128 Vx,Hx,Wx,Ib avx2
  vex.w0.66.0f3a.4a vblendvps Vx,Hx,Wx,Lx avx
  vex.w0.66.0f3a.4b vblendvpd Vx,Hx,Wx,Lx avx
  vex.w0.66.0f3a.4c vpblendvb Vx,Hx,Wx,Lx avx/avx2
  vex.l0.66.0f3a.60 vpcmpestrm Vx,Wx,Ib avx
  vex.l0.w1.66.0f3a.60 vpcmpestrm.64 Vx,Wx,Ib o64 avx
  vex.l0.66.0f3a.61 vpcmpestri Vx,Wx,Ib avx
  vex.l0.w1.66.0f3a.61 vpcmpestri.64 Vx,Wx,Ib o64 avx
  vex.l0.66.0f3a.62 vpcmpistrm Vx,Wx,Ib avx
  vex.l0.66.0f3a.63 vpcmpistri Vx,Wx,Ib avx
  vex.l0.66.0f3a.df vaeskeygenassist Vx,Wx,Ib aes avx
`
