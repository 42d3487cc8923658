#ifndef IDENTITY_H
#define IDENTITY_H

#include "cpu.h"

/* CPU features that checks ask for. */
bool has_1gb_pages(void);
bool has_nx(void);
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
bool is_intel(void);
bool is_amd(void);
bool is_qemu_tcg(void);
unsigned physical_address_bits(void);

/* What CPUID says, as a list. */
void identity_print(void);

#endif
