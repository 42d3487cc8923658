/*
 * The units for floating point and vectors: turned on as far as CPUID has
 * them (SDM vol. 3, 2.5, 10.2 and 13.5), all exceptions masked, as a kernel
 * hands them to its programs.
 */
#include "units.h"
#include "cpu.h"
#include "identity.h"

enum { XCR0_X87 = 1, XCR0_SSE = 2, XCR0_AVX = 4, MXCSR_RESET = 0x1f80 };

#ifndef HOST_CODE
void units_init(void)
{
	write_cr0((read_cr0() & ~(CR0_EM | CR0_TS)) | CR0_MP | CR0_NE);
	if (has_fpu())
		asm volatile("fninit");
	if (has_fxsr())
		write_cr4(read_cr4() | CR4_OSFXSR | (has_sse() ? CR4_OSXMMEXCPT : 0));
	if (has_sse()) {
		uint32_t mxcsr = MXCSR_RESET;
		asm volatile("ldmxcsr %0" :: "m"(mxcsr));
	}
	if (has_xsave()) {
		write_cr4(read_cr4() | CR4_OSXSAVE);
		uint32_t supported = cpuid(0xd, 0).eax & (XCR0_X87 | XCR0_SSE | XCR0_AVX);
		asm volatile("xsetbv" :: "c"(0), "a"(supported), "d"(0));
	}
}
#endif

/* VEX-encoded code needs the system's consent (SDM vol. 1, 14.3). */
static bool avx_enabled(void)
{
	uint32_t low, high;
	if (!has_osxsave())
		return false;
	asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return (low & (XCR0_SSE | XCR0_AVX)) == (XCR0_SSE | XCR0_AVX);
}

const char *unit_missing(enum unit unit)
{
	switch (unit) {
	case UNIT_X87:
		return has_fpu() ? NULL : "CPUID has no FPU";
	case UNIT_SSE2:
		return has_sse2() ? NULL : "CPUID has no SSE2";
	case UNIT_AVX2:
		return has_avx2() && avx_enabled() ? NULL : "CPUID has no AVX2";
	case UNIT_FMA:
		return has_fma() && avx_enabled() ? NULL : "CPUID has no FMA";
	default:
		return NULL;
	}
}
