/* The FPU, SSE and AVX as the system sees them (SDM vol. 3, 2.5 and chapter 13): who may use them, exceptions, saved state. */
#include "check.h"
#include "../identity.h"

ROUTINE(fpu, "fnop\n\tret");
ROUTINE(wait, "fwait\n\tret");
ROUTINE(mmx, "movd %eax, %mm0\n\temms\n\tret");
ROUTINE(sse, "addps %xmm9, %xmm8\n\tret");
ROUTINE(avx, "vaddps %ymm9, %ymm8, %ymm8\n\tvzeroupper\n\tret");

#define REQUIRE_FPU REQUIRE(has_fpu(), "CPUID has no FPU")
#define REQUIRE_SSE2 REQUIRE(has_sse2(), "CPUID has no SSE2")
#define REQUIRE_XSAVE REQUIRE(has_osxsave(), "CPUID has no XSAVE")
#define REQUIRE_AVX REQUIRE(has_osxsave() && cpuid(1, 0).ecx >> 28 & 1, "CPUID has no AVX")

static void set_cr0(uint64_t set, uint64_t clear)
{
	write_cr0((read_cr0() & ~clear) | set);
}

static void permission(void)
{
	REQUIRE_FPU;
	RUN("x87", RETURNS, fpu, 0, 0);
	set_cr0(CR0_EM, CR0_MP);
	RUN("x87, EM=1", TRAP(NM, 0), fpu, 0, 0);
	RUN("MMX, EM=1", UD_, mmx, 0, 0);
	set_cr0(CR0_TS, CR0_EM);
	RUN("x87, TS=1", TRAP(NM, 0), fpu, 0, 0);
	RUN("FWAIT, TS=1, MP=0", RETURNS, wait, 0, 0);
	set_cr0(CR0_MP, 0);
	RUN("FWAIT, TS=1, MP=1", TRAP(NM, 0), wait, 0, 0);
}

static void sse_permission(void)
{
	REQUIRE_SSE2;
	RUN("SSE", RETURNS, sse, 0, 0);
	set_cr0(CR0_TS, 0);
	RUN("SSE, TS=1", TRAP(NM, 0), sse, 0, 0);
	set_cr0(CR0_EM, CR0_TS);
	RUN("SSE, EM=1", UD_, sse, 0, 0);
	set_cr0(0, CR0_EM);
	write_cr4(read_cr4() & ~CR4_OSFXSR);
	RUN("SSE, OSFXSR=0", UD_, sse, 0, 0);
}

ROUTINE(xsetbv, "movq %rdi, %rcx\n\tmovq %rsi, %rax\n\tmovq %rsi, %rdx\n\tshrq $32, %rdx\n\txsetbv_at: xsetbv\n\tret");
extern routine xsetbv_at;

static void avx_permission(void)
{
	REQUIRE_AVX;
	uint64_t all = cpuid(0xd, 0).eax & 7;
	RUN("AVX", RETURNS, avx, 0, 0);
	set_cr0(CR0_TS, 0);
	RUN("AVX, TS=1", TRAP(NM, 0), avx, 0, 0);
	set_cr0(0, CR0_TS);
	RUN("XSETBV without AVX", RETURNS, xsetbv, 0, 3);
	RUN("AVX, not in XCR0", UD_, avx, 0, 0);
	RUN("XSETBV", RETURNS, xsetbv, 0, all);
	RUN("XSETBV without x87", TRAP(GP, 0, 0, (uint64_t)xsetbv_at), xsetbv, 0, 6);
	RUN("XSETBV, bit 63", TRAP(GP, 0, 0, (uint64_t)xsetbv_at), xsetbv, 0, all | 1ul << 63);
	write_cr4(read_cr4() & ~CR4_OSXSAVE);
	RUN("AVX, OSXSAVE=0", UD_, avx, 0, 0);
}

ROUTINE(x87_error, "fninit\n\tfldcw (%rdi)\n\tfld1\n\tfldz\n\tfdivrp\n\tx87_error_next: fwait\n\tret");
USER_ROUTINE(user_x87_error, "fninit\n\tfldcw (%rdi)\n\tfld1\n\tfldz\n\tfdivrp\n\tuser_x87_error_next: fwait\n\t" EXIT);
extern routine x87_error_next, user_x87_error_next;

static void x87_exception(void)
{
	static const uint16_t unmasked_zero_divide = 0x037b;
	REQUIRE_FPU;
	RUN("FWAIT after 1 / 0", TRAP(MF, 0, 0, (uint64_t)x87_error_next), x87_error, &unmasked_zero_divide, 0);
	asm volatile("fninit");
	map(WINDOW, (uint64_t)scratch[0], PTE_P | PTE_U, PTE);
	memcpy(scratch[0], &unmasked_zero_divide, sizeof unmasked_zero_divide);
	RUN_USER("from ring 3", TRAP(MF, 0, 0, user_address(user_x87_error_next)), user_x87_error, WINDOW, 0);
	asm volatile("fninit");
}

ROUTINE(sse_error, "ldmxcsr (%rdi)\n\txorps %xmm0, %xmm0\n\tmovl $0x3f800000, %ecx\n\tmovd %ecx, %xmm1\n\t"
	"sse_error_at: divss %xmm0, %xmm1\n\tret");
extern routine sse_error_at;

static void sse_exception(void)
{
	static const uint32_t unmasked = 0x1d80, masked = 0x1f80;	/* ZM */
	uint32_t mxcsr;
	REQUIRE_SSE2;
	RUN("1 / 0", TRAP(XM, 0, 0, (uint64_t)sse_error_at), sse_error, &unmasked, 0);
	asm volatile("stmxcsr %0" : "=m"(mxcsr));
	EXPECT("MXCSR.ZE", 4, mxcsr & 0x3f);
	write_cr4(read_cr4() & ~CR4_OSXMMEXCPT);
	RUN("1 / 0, OSXMMEXCPT=0", TRAP(UD, 0, 0, (uint64_t)sse_error_at), sse_error, &unmasked, 0);
	asm volatile("ldmxcsr %0" :: "m"(masked));
}

ROUTINE(aligned_load, "movaps (%rdi), %xmm0\n\tret");
ROUTINE(unaligned_load, "movups (%rdi), %xmm0\n\tret");

static void alignment(void)
{
	REQUIRE_SSE2;
	RUN("MOVAPS", RETURNS, aligned_load, scratch[0], 0);
	RUN("MOVAPS, misaligned", GP_(0), aligned_load, scratch[0] + 8, 0);
	RUN("MOVUPS, misaligned", RETURNS, unaligned_load, scratch[0] + 8, 0);
	map(WINDOW, (uint64_t)scratch[0], PTE_P | PTE_W, PTE);
	map(WINDOW + PAGE_BYTES, 0, 0, PTE);
	RUN("MOVUPS over the end of a page", PF_(0, WINDOW + PAGE_BYTES), unaligned_load, WINDOW + 4088, 0);
}

struct fxsave {
	uint16_t fcw, fsw;
	uint8_t ftw, reserved;
	uint16_t fop;
	uint64_t fip, fdp;
	uint32_t mxcsr, mxcsr_mask;
	uint64_t st[8][2], xmm[16][2], rest[12];
};
static struct fxsave image __attribute__((aligned(64))), other __attribute__((aligned(64)));
static const uint64_t wide __asm__("float_wide") __attribute__((used)) = 0x123456789abcdef0;

static void fxsave64(void)
{
	REQUIRE(has_fxsr(), "CPUID has no FXSR");
	REQUIRE_SSE2;
	asm volatile("fninit\n\tfldpi\n\tfld1\n\tmovq float_wide, %%xmm13\n\tfxsave64 %0" : "=m"(image));
	EXPECT("FCW", 0x37f, image.fcw);
	EXPECT("FSW: TOP 6", 6 << 11, image.fsw);
	EXPECT("abridged tag: two registers", 0xc0, image.ftw);
	EXPECT("ST1: pi", 0xc90fdaa22168c235, image.st[1][0]);
	EXPECT("XMM13", wide, image.xmm[13][0]);
	asm volatile("fninit\n\txorps %%xmm13, %%xmm13\n\tfxrstor64 %0\n\tfxsave64 %1" :: "m"(image), "m"(other) : "memory");
	EXPECT("ST1 after FXRSTOR", image.st[1][0], other.st[1][0]);
	EXPECT("XMM13 after FXRSTOR", wide, other.xmm[13][0]);
	asm volatile("fninit");
}

ROUTINE(fxsave_now, "fxsave64 (%rdi)\n\tret");
ROUTINE(fxrstor_now, "fxrstor64 (%rdi)\n\tret");

static void fxsave_faults(void)
{
	REQUIRE(has_fxsr(), "CPUID has no FXSR");
	RUN("FXSAVE, misaligned", GP_(0), fxsave_now, (uint64_t)&image + 8, 0);
	asm volatile("fninit\n\tfxsave64 %0" : "=m"(image));
	image.mxcsr |= 1u << 31;
	RUN("FXRSTOR, reserved bit of MXCSR", GP_(0), fxrstor_now, &image, 0);
	set_cr0(CR0_TS, 0);
	RUN("FXSAVE, TS=1", TRAP(NM, 0), fxsave_now, &image, 0);
}

static uint8_t area[1024] __attribute__((aligned(64)));
ROUTINE(xsave_now, "movl $7, %eax\n\txorl %edx, %edx\n\txsave_now_at: xsave64 (%rdi)\n\tret");
ROUTINE(xrstor_now, "movl $7, %eax\n\txorl %edx, %edx\n\txrstor_now_at: xrstor64 (%rdi)\n\tret");
extern routine xsave_now_at, xrstor_now_at;

static void xsave_and_xrstor(void)
{
	uint64_t low;
	REQUIRE_XSAVE;
	memset(area, 0, sizeof area);
	asm volatile("fninit\n\tfldpi\n\tmovq float_wide, %%xmm11" ::);
	RUN("XSAVE", RETURNS, xsave_now, area, 0);
	EXPECT("XSTATE_BV: x87 and SSE", 3, *(uint64_t *)(area + 512) & 3);
	EXPECT("XMM11", wide, *(uint64_t *)(area + 160 + 11 * 16));
	*(uint64_t *)(area + 512) &= ~2ul;
	RUN("XRSTOR with SSE in its initial state", RETURNS, xrstor_now, area, 0);
	asm volatile("movq %%xmm11, %0" : "=r"(low));
	EXPECT("XMM11, initialized", 0, low);
	*(uint64_t *)(area + 512) |= 2;
	RUN("XRSTOR", RETURNS, xrstor_now, area, 0);
	asm volatile("movq %%xmm11, %0" : "=r"(low));
	EXPECT("XMM11", wide, low);
	asm volatile("fninit");
}

/* The upper halves of YMM registers are a component of their own. */
ROUTINE(fill_ymm, "vbroadcastf128 (%rdi), %ymm12\n\tret");
ROUTINE(show_ymm, "vextractf128 $1, %ymm12, %xmm0\n\tvmovq %xmm0, %rax\n\tvzeroupper\n\tret");

static void xsave_avx(void)
{
	REQUIRE_AVX;
	uint32_t offset = cpuid(0xd, 2).ebx;
	memset(area, 0, sizeof area);
	memcpy(scratch[0], &wide, 8);
	RUN("VBROADCASTF128", RETURNS, fill_ymm, scratch[0], 0);
	RUN("XSAVE", RETURNS, xsave_now, area, 0);
	EXPECT("XSTATE_BV: AVX", 4, *(uint64_t *)(area + 512) & 4);
	EXPECT("upper half of YMM12", wide, *(uint64_t *)(area + offset + 12 * 16));
	*(uint64_t *)(area + offset + 12 * 16) = 0x5151;
	RUN("XRSTOR", RETURNS, xrstor_now, area, 0);
	RUN("VEXTRACTF128", RETURNS, show_ymm, 0, 0);
	EXPECT("upper half of YMM12", 0x5151, probe_result);
}

static void xsave_faults(void)
{
	REQUIRE_XSAVE;
	memset(area, 0, sizeof area);
	RUN("XSAVE, misaligned", TRAP(GP, 0, 0, (uint64_t)xsave_now_at), xsave_now, area + 16, 0);
	*(uint64_t *)(area + 512) = 1ul << 62;
	RUN("XRSTOR, a component that XCR0 does not have", TRAP(GP, 0, 0, (uint64_t)xrstor_now_at), xrstor_now, area, 0);
	*(uint64_t *)(area + 512) = 0;
	*(uint64_t *)(area + 528) = 1;
	RUN("XRSTOR, reserved byte of the header", TRAP(GP, 0, 0, (uint64_t)xrstor_now_at), xrstor_now, area, 0);
	set_cr0(CR0_TS, 0);
	RUN("XSAVE, TS=1", TRAP(NM, 0, 0, (uint64_t)xsave_now_at), xsave_now, area, 0);
}

static const struct check checks[] = {
	{ "fpu-permission", "SDM 3, 2.5", permission },
	{ "sse-permission", "SDM 3, 13.1", sse_permission },
	{ "avx-permission", "SDM 1, 14.3", avx_permission },
	{ "x87-exception", "SDM 1, 8.7", x87_exception },
	{ "sse-exception", "SDM 1, 11.5", sse_exception },
	{ "sse-alignment", "SDM 1, 10.4.1", alignment },
	{ "fxsave-fxrstor", "SDM 1, 10.5", fxsave64 },
	{ "fxsave-faults", "SDM 2, FXSAVE", fxsave_faults },
	{ "xsave-xrstor", "SDM 1, 13.7", xsave_and_xrstor },
	{ "xsave-avx", "SDM 1, 13.5.3", xsave_avx },
	{ "xsave-faults", "SDM 2, XRSTOR", xsave_faults },
};
CHECK_GROUP(float_group, "FPU, SSE and AVX", checks);
