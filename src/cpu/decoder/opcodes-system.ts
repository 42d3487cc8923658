/** System instructions: Intel SDM volume 1, section 5.20 and following; AMD APM volume 3, chapter 4. */

// RSM (0F AA) is #UD outside system management mode, which this processor does not have.

export const SYSTEM_OPCODES = `
  f4 hlt
  0f.00/0 sldt Rv/Mw pm
  0f.00/1 str Rv/Mw pm
  0f.00/2 lldt Ew pm
  0f.00/3 ltr Ew pm
  0f.00/4 verr Ew pm
  0f.00/5 verw Ew pm
  0f.01/0 sgdt Ms f64 ov
  0f.01/1 sidt Ms f64 ov
  0f.01/2 lgdt Ms f64 ov
  0f.01/3 lidt Ms f64 ov
  0f.01/4 smsw Rv/Mw
  0f.01/6 lmsw Ew
  0f.01/7 invlpg M
  np.0f.01/0/1 vmcall vmx
  np.0f.01/0/2 vmlaunch vmx
  np.0f.01/0/3 vmresume vmx
  np.0f.01/0/4 vmxoff vmx
  np.0f.01/1/0 monitor monitor
  np.0f.01/1/1 mwait monitor
  np.0f.01/1/2 clac smap
  np.0f.01/1/3 stac smap
  np.0f.01/2/0 xgetbv xsave
  np.0f.01/2/1 xsetbv xsave
  np.0f.01/2/4 vmfunc vmx
  0f.01/3/0 vmrun svm
  0f.01/3/1 vmmcall svm
  0f.01/3/2 vmload svm
  0f.01/3/3 vmsave svm
  0f.01/3/4 stgi svm
  0f.01/3/5 clgi svm
  0f.01/3/6 skinit svm
  0f.01/3/7 invlpga svm
  0f.01/7/0 swapgs o64
  0f.01/7/1 rdtscp rdtscp
  np.0f.01/7/2 monitorx monitorx
  np.0f.01/7/3 mwaitx monitorx
  0f.01/7/4 clzero clzero
  0f.02 lar Gv,Rv/Mw pm
  0f.03 lsl Gv,Rv/Mw pm
  0f.05 syscall syscall
  0f.06 clts
  0f.07 sysret syscall
  0f.08 invd
  0f.09 wbinvd
  0f.20 mov.from_cr Rn,Cn anymod
  0f.21 mov.from_dr Rn,Dn anymod
  0f.22 mov.to_cr Cn,Rn anymod
  0f.23 mov.to_dr Dn,Rn anymod
  0f.30 wrmsr msr
  0f.31 rdtsc tsc
  0f.32 rdmsr msr
  0f.33 rdpmc msr
  0f.34 sysenter sysenter
  0f.35 sysexit sysenter
  np.0f.78 vmread En,Gn vmx
  np.0f.79 vmwrite Gn,En vmx
  np.0f.ae/0 fxsave M fxsr
  np.0f.ae/1 fxrstor M fxsr
  np.0f.ae/2 ldmxcsr Md sse
  np.0f.ae/3 stmxcsr Md sse
  np.0f.ae/4 xsave M xsave
  np.0f.ae/5 xrstor M xsave
  np.0f.ae/6 xsaveopt M xsaveopt
  np.0f.ae/7 clflush Mb clflush
  66.0f.ae/6 clwb Mb clwb
  66.0f.ae/7 clflushopt Mb clflushopt
  np.0f.ae/5/0-7 lfence sse2
  np.0f.ae/6/0-7 mfence sse2
  np.0f.ae/7/0-7 sfence sse
  f3.0f.ae/0 rdfsbase Ry o64 fsgsbase
  f3.0f.ae/1 rdgsbase Ry o64 fsgsbase
  f3.0f.ae/2 wrfsbase Ry o64 fsgsbase
  f3.0f.ae/3 wrgsbase Ry o64 fsgsbase
  np.0f.c7/3 xrstors M xsaves
  np.0f.c7/4 xsavec M xsavec
  np.0f.c7/5 xsaves M xsaves
  np.0f.c7/6 vmptrld Mq vmx
  66.0f.c7/6 vmclear Mq vmx
  f3.0f.c7/6 vmxon Mq vmx
  np.0f.c7/7 vmptrst Mq vmx
  66.0f38.80 invept Gn,Mdq vmx
  66.0f38.81 invvpid Gn,Mdq vmx
  66.0f38.82 invpcid Gn,Mdq invpcid
`
