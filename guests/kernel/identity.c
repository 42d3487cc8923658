/* CPUID: who the CPU is and what it has. */
#include "identity.h"
#include "print.h"

struct feature {
	uint32_t leaf;
	uint8_t reg, bit;	/* reg: 1 EBX, 2 ECX, 3 EDX */
	const char *name;
};

static const struct feature features[] = {
	{ 1, 3, 0, "fpu" }, { 1, 3, 4, "tsc" }, { 1, 3, 5, "msr" }, { 1, 3, 6, "pae" }, { 1, 3, 8, "cx8" },
	{ 1, 3, 9, "apic" }, { 1, 3, 11, "sep" }, { 1, 3, 12, "mtrr" }, { 1, 3, 13, "pge" }, { 1, 3, 15, "cmov" },
	{ 1, 3, 16, "pat" }, { 1, 3, 19, "clflush" }, { 1, 3, 23, "mmx" }, { 1, 3, 24, "fxsr" }, { 1, 3, 25, "sse" },
	{ 1, 3, 26, "sse2" }, { 1, 2, 0, "sse3" }, { 1, 2, 1, "pclmulqdq" }, { 1, 2, 9, "ssse3" }, { 1, 2, 12, "fma" },
	{ 1, 2, 13, "cx16" }, { 1, 2, 17, "pcid" }, { 1, 2, 19, "sse4.1" }, { 1, 2, 20, "sse4.2" }, { 1, 2, 21, "x2apic" },
	{ 1, 2, 22, "movbe" }, { 1, 2, 23, "popcnt" }, { 1, 2, 25, "aes" }, { 1, 2, 26, "xsave" }, { 1, 2, 28, "avx" },
	{ 1, 2, 29, "f16c" }, { 1, 2, 30, "rdrand" }, { 1, 2, 31, "hypervisor" },
	{ 7, 1, 0, "fsgsbase" }, { 7, 1, 3, "bmi1" }, { 7, 1, 5, "avx2" }, { 7, 1, 7, "smep" }, { 7, 1, 8, "bmi2" },
	{ 7, 1, 9, "erms" }, { 7, 1, 10, "invpcid" }, { 7, 1, 18, "rdseed" }, { 7, 1, 19, "adx" }, { 7, 1, 20, "smap" },
	{ 7, 1, 29, "sha" }, { 7, 2, 2, "umip" }, { 7, 2, 3, "pku" }, { 7, 2, 16, "la57" }, { 7, 3, 4, "fsrm" },
	{ 0x80000001, 3, 11, "syscall" }, { 0x80000001, 3, 20, "nx" }, { 0x80000001, 3, 26, "1gb-pages" },
	{ 0x80000001, 3, 27, "rdtscp" }, { 0x80000001, 3, 29, "lm" }, { 0x80000001, 2, 0, "lahf" },
	{ 0x80000001, 2, 5, "lzcnt" }, { 0x80000001, 2, 6, "sse4a" },
};

static bool has_leaf(uint32_t leaf)
{
	return cpuid(leaf & 0x80000000, 0).eax >= leaf;
}

static bool has(uint32_t leaf, unsigned reg, unsigned bit)
{
	if (!has_leaf(leaf))
		return false;
	struct cpuid r = cpuid(leaf, 0);
	const uint32_t registers[] = { r.eax, r.ebx, r.ecx, r.edx };
	return registers[reg] >> bit & 1;
}

bool has_1gb_pages(void) { return has(0x80000001, 3, 26); }
bool has_nx(void) { return has(0x80000001, 3, 20); }
bool has_efer(void) { return has_nx() || has(0x80000001, 3, 11) || has(0x80000001, 3, 29); }
bool has_long_mode(void) { return has(0x80000001, 3, 29); }
bool has_smep(void) { return has(7, 1, 7); }
bool has_smap(void) { return has(7, 1, 20); }
bool has_umip(void) { return has(7, 2, 2); }
bool has_fsgsbase(void) { return has(7, 1, 0); }
bool has_cmpxchg16b(void) { return has(1, 2, 13); }
bool has_popcnt(void) { return has(1, 2, 23); }
bool has_movbe(void) { return has(1, 2, 22); }
bool has_crc32(void) { return has(1, 2, 20); }
bool has_lzcnt(void) { return has(0x80000001, 2, 5); }
bool has_bmi1(void) { return has(7, 1, 3); }
bool has_bmi2(void) { return has(7, 1, 8); }
bool has_adx(void) { return has(7, 1, 19); }
bool has_fpu(void) { return has(1, 3, 0); }
bool has_fxsr(void) { return has(1, 3, 24); }
bool has_sse(void) { return has(1, 3, 25); }
bool has_sse2(void) { return has(1, 3, 26); }
bool has_xsave(void) { return has(1, 2, 26); }
bool has_osxsave(void) { return has(1, 2, 27); }
bool has_avx2(void) { return has(1, 2, 28) && has(7, 1, 5); }
bool has_fma(void) { return has(1, 2, 28) && has(1, 2, 12); }

struct signature {
	char text[13];
};

static struct signature signature(uint32_t a, uint32_t b, uint32_t c)
{
	struct signature s = { "" };
	memcpy(s.text, &a, 4);
	memcpy(s.text + 4, &b, 4);
	memcpy(s.text + 8, &c, 4);
	return s;
}

static struct signature vendor(void)
{
	struct cpuid r = cpuid(0, 0);
	return signature(r.ebx, r.edx, r.ecx);
}

bool is_intel(void)
{
	return same_text(vendor().text, "GenuineIntel");
}

bool is_amd(void)
{
	return same_text(vendor().text, "AuthenticAMD");
}

bool is_qemu_tcg(void)
{
	struct cpuid r = cpuid(0x40000000, 0);
	return has(1, 2, 31) && same_text(signature(r.ebx, r.ecx, r.edx).text, "TCGTCGTCGTCG");
}

unsigned physical_address_bits(void)
{
	return has_leaf(0x80000008) ? cpuid(0x80000008, 0).eax & 0xff : 36;
}

static void print_brand(void)
{
	char text[49] = "";
	for (uint32_t i = 0; i < 3 && has_leaf(0x80000004); i++) {
		struct cpuid r = cpuid(0x80000002 + i, 0);
		memcpy(text + i * 16, &r, 16);
	}
	const char *brand = text;
	while (*brand == ' ')
		brand++;
	print("  brand       %s\n", *brand ? brand : "(none)");
}

static void print_features(void)
{
	unsigned column = 0;
	for (size_t i = 0; i < sizeof features / sizeof features[0]; i++) {
		const struct feature *f = &features[i];
		if (!has(f->leaf, f->reg, f->bit))
			continue;
		unsigned length = (unsigned)strlen(f->name) + 1;
		if (!column || column + length > 78) {
			print(column ? "\n              " : "  features    ");
			column = 14;
		}
		print("%s ", f->name);
		column += length;
	}
	print("\n");
}

void identity_print(void)
{
	uint32_t version = cpuid(1, 0).eax;
	uint32_t family = version >> 8 & 15, model = version >> 4 & 15;
	if (family == 6 || family == 15)
		model |= version >> 12 & 0xf0;
	if (family == 15)
		family += version >> 20 & 0xff;
	print("  vendor      %s, family %x model %x stepping %x\n", vendor().text, family, model, version & 15);
	print_brand();
	struct cpuid r = cpuid(0x40000000, 0);
	print("  hypervisor  %s\n", has(1, 2, 31) ? signature(r.ebx, r.ecx, r.edx).text : "(none)");
	print_features();
}
