#ifndef IDENTITY_H
#define IDENTITY_H

#include "cpu.h"

/* CPU features that checks ask for. */
bool has_1gb_pages(void);
bool has_nx(void);
bool has_efer(void);
bool has_long_mode(void);
bool has_smep(void);
bool has_smap(void);
bool has_umip(void);
bool has_fsgsbase(void);
bool has_cmpxchg16b(void);
bool has_popcnt(void);
bool has_movbe(void);
bool has_crc32(void);
bool has_lzcnt(void);
bool has_bmi1(void);
bool has_bmi2(void);
bool has_adx(void);
bool has_fpu(void);
bool has_fxsr(void);
bool has_sse(void);
bool has_sse2(void);
bool has_xsave(void);
bool has_osxsave(void);	/* CR4.OSXSAVE, as CPUID shows it */
bool has_avx2(void);
bool has_fma(void);
bool is_intel(void);
bool is_amd(void);
bool is_qemu_tcg(void);
unsigned physical_address_bits(void);

/* What CPUID says, as a list. */
void identity_print(void);

#endif
