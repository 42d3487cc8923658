/* The FPU, SSE and AVX as the system sees them: who may use them, exceptions, saved state (SDM vol. 3, 2.5 and chapter 13). */
#include "check.h"
#include "../identity.h"

ROUTINE(fpu, "fnop\n\tret");
ROUTINE(wait, "fwait\n\tret");
ROUTINE(fpu_store, "fnstsw %ax\n\tret");
ROUTINE(mmx, "movd %eax, %mm0\n\temms\n\tret");
ROUTINE(sse, "addps %xmm1, %xmm0\n\tret");
ROUTINE(sse2_integer, "paddd %xmm1, %xmm0\n\tret");
ROUTINE(sse_control, "stmxcsr (%eax)\n\tret");
ROUTINE(prefetch, "prefetcht0 (%eax)\n\tret");
ROUTINE(sfence_now, "sfence\n\tret");

#define REQUIRE_FPU REQUIRE(has_fpu(), "CPUID has no FPU")
#define REQUIRE_SSE2 REQUIRE(has_sse2(), "CPUID has no SSE2")
#define REQUIRE_XSAVE REQUIRE(has_osxsave(), "CPUID has no XSAVE")
#define REQUIRE_AVX REQUIRE(has_osxsave() && cpuid(1, 0).ecx >> 28 & 1, "CPUID has no AVX")

static void set_cr0(unsigned long set, unsigned long clear)
{
	write_cr0((read_cr0() & ~clear) | set);
}

static void emulation(void)
{
	REQUIRE_FPU;
	set_cr0(CR0_EM, CR0_TS | CR0_MP);
	RUN("x87, EM=1", TRAP(NM, 0), fpu, 0, 0);
	RUN("FNSTSW, EM=1", TRAP(NM, 0), fpu_store, 0, 0);
	RUN("FWAIT, EM=1", RETURNS, wait, 0, 0);
	RUN("MMX, EM=1", UD_, mmx, 0, 0);
	set_cr0(0, CR0_EM);
	RUN("x87, EM=0", RETURNS, fpu, 0, 0);
}

static void task_switched(void)
{
	REQUIRE_FPU;
	set_cr0(CR0_TS, CR0_MP);
	RUN("x87, TS=1", TRAP(NM, 0), fpu, 0, 0);
	set_cr0(CR0_TS, CR0_MP);
	RUN("FWAIT, TS=1, MP=0", RETURNS, wait, 0, 0);
	set_cr0(CR0_TS | CR0_MP, 0);
	RUN("FWAIT, TS=1, MP=1", TRAP(NM, 0), wait, 0, 0);
	set_cr0(CR0_MP, CR0_TS);
	RUN("FWAIT, TS=0, MP=1", RETURNS, wait, 0, 0);
	set_cr0(CR0_TS, 0);
	RUN("MMX, TS=1", TRAP(NM, 0), mmx, 0, 0);
	prepare_ring(3, fpu, 0, 0);
	set_cr0(CR0_TS, 0);
	RUN_START("x87 in ring 3, TS=1", TRAP(NM, 0));
}

ROUTINE(clts_now, "clts\n\tsmswl %eax\n\tret");
ROUTINE(user_clts, "clts");

static void clear_task_switched(void)
{
	set_cr0(CR0_TS, 0);
	RUN("CLTS", RETURNS, clts_now, 0, 0);
	EXPECT("CR0.TS", 0, probe_result & CR0_TS);
	RUN_USER("CLTS in ring 3", GP_(0), user_clts, 0, 0);
}

static void sse_permission(void)
{
	REQUIRE_SSE2;
	uint32_t mxcsr;
	RUN("SSE", RETURNS, sse, 0, 0);
	set_cr0(CR0_EM, CR0_MP);
	RUN("SSE, EM=1", UD_, sse, 0, 0);
	RUN("STMXCSR, EM=1", UD_, sse_control, &mxcsr, 0);
	set_cr0(CR0_TS, CR0_EM);
	RUN("SSE, TS=1", TRAP(NM, 0), sse, 0, 0);
	set_cr0(CR0_TS, 0);
	RUN("SSE2 on integers, TS=1", TRAP(NM, 0), sse2_integer, 0, 0);
	RUN("PREFETCH and SFENCE, TS=1", RETURNS, prefetch, scratch, 0);
	RUN("SFENCE, TS=1", RETURNS, sfence_now, 0, 0);
	set_cr0(0, CR0_TS);
	write_cr4(read_cr4() & ~CR4_OSFXSR);
	RUN("SSE, OSFXSR=0", UD_, sse, 0, 0);
	RUN("STMXCSR, OSFXSR=0", UD_, sse_control, &mxcsr, 0);
	RUN("SFENCE, OSFXSR=0", RETURNS, sfence_now, 0, 0);
	set_cr0(CR0_TS, 0);
	RUN("SSE, OSFXSR=0 and TS=1", UD_, sse, 0, 0);
}

/* 1 / 0 with zero-divide unmasked waits for the next instruction that waits. */
ROUTINE(x87_error, "fninit\n\tfldcw (%eax)\n\tfld1\n\tfldz\n\tfdivrp\n\tx87_error_next: fwait\n\tret");
ROUTINE(x87_error_no_wait, "fninit\n\tfldcw (%eax)\n\tfld1\n\tfldz\n\tfdivrp\n\tfnstsw %ax\n\tfnclex\n\tfwait\n\tret");
ROUTINE(x87_error_x87, "fninit\n\tfldcw (%eax)\n\tfld1\n\tfldz\n\tfdivrp\n\tx87_error_x87_next: fld1\n\tret");
extern routine x87_error_next, x87_error_x87_next;
static const uint16_t unmasked_zero_divide = 0x037b;

static void x87_exception(void)
{
	REQUIRE_FPU;
	RUN("FWAIT after 1 / 0", TRAP(MF, 0, 0, (uintptr_t)x87_error_next), x87_error, &unmasked_zero_divide, 0);
	asm volatile("fninit");
	RUN("FLD1 after 1 / 0", TRAP(MF, 0, 0, (uintptr_t)x87_error_x87_next), x87_error_x87, &unmasked_zero_divide, 0);
	asm volatile("fninit");
	RUN("FNSTSW and FNCLEX do not wait", RETURNS, x87_error_no_wait, &unmasked_zero_divide, 0);
	EXPECT("status: ES, ZE and B", 0x8084, probe_result & 0x80ff);
	prepare_ring(3, x87_error, (uintptr_t)&unmasked_zero_divide, 0);
	RUN_START("from ring 3", TRAP(MF, 0, 0, (uintptr_t)x87_error_next));
	asm volatile("fninit");
}

ROUTINE(x87_error_mmx, "fninit\n\tfldcw (%eax)\n\tfld1\n\tfldz\n\tfdivrp\n\tx87_error_mmx_next: movd %eax, %mm0\n\tret");
extern routine x87_error_mmx_next;

static void mmx_waits(void)
{
	REQUIRE(cpuid(1, 0).edx >> 23 & 1, "CPUID has no MMX");
	RUN("MOVD after 1 / 0", TRAP(MF, 0, 0, (uintptr_t)x87_error_mmx_next), x87_error_mmx, &unmasked_zero_divide, 0);
	asm volatile("fninit");
}

ROUTINE(sse_error, "ldmxcsr (%eax)\n\txorps %xmm0, %xmm0\n\tmovl $0x3f800000, %ecx\n\tmovd %ecx, %xmm1\n\t"
	"sse_error_at: divss %xmm0, %xmm1\n\tret");
extern routine sse_error_at;

static void load_mxcsr(uint32_t mxcsr)
{
	asm volatile("ldmxcsr %0" :: "m"(mxcsr));
}

static void sse_exception(void)
{
	static const uint32_t unmasked = 0x1d80;	/* ZM clear */
	uint32_t mxcsr;
	REQUIRE_SSE2;
	RUN("1 / 0", TRAP(XM, 0, 0, (uintptr_t)sse_error_at), sse_error, &unmasked, 0);
	asm volatile("stmxcsr %0" : "=m"(mxcsr));
	EXPECT("MXCSR.ZE", 4, mxcsr & 0x3f);
	write_cr4(read_cr4() & ~CR4_OSXMMEXCPT);
	RUN("1 / 0, OSXMMEXCPT=0", TRAP(UD, 0, 0, (uintptr_t)sse_error_at), sse_error, &unmasked, 0);
	load_mxcsr(0x1f80);
}

ROUTINE(load_mxcsr_now, "ldmxcsr (%eax)\n\tret");

static void mxcsr_reserved(void)
{
	static const uint32_t reserved = 0x1f80 | 1u << 16;
	REQUIRE_SSE2;
	RUN("LDMXCSR, bit 16", GP_(0), load_mxcsr_now, &reserved, 0);
}

ROUTINE(sse_misaligned, "movaps 1(%eax), %xmm0\n\tret");
ROUTINE(sse_unaligned, "movups 1(%eax), %xmm0\n\tret");
ROUTINE(sse_operand, "addps 8(%eax), %xmm0\n\tret");

static void sse_alignment(void)
{
	REQUIRE_SSE2;
	RUN("MOVAPS", GP_(0), sse_misaligned, scratch, 0);
	RUN("ADDPS", GP_(0), sse_operand, scratch, 0);
	RUN("MOVUPS", RETURNS, sse_unaligned, scratch, 0);
}

struct fxsave {
	uint16_t fcw, fsw;
	uint8_t ftw, reserved;
	uint16_t fop;
	uint32_t fip, fcs, fdp, fds, mxcsr, mxcsr_mask;
	uint64_t st[8][2], xmm[8][2], rest[28];
};
static struct fxsave image __attribute__((aligned(64))), other __attribute__((aligned(64)));

static void fxsave_and_fxrstor(void)
{
	REQUIRE(has_fxsr(), "CPUID has no FXSR");
	REQUIRE_SSE2;
	asm volatile("fninit\n\tfldpi\n\tfld1\n\tmovl $0x12345678, %%eax\n\tmovd %%eax, %%xmm5\n\tfxsave %0" : "=m"(image) :: "eax");
	EXPECT("FCW", 0x37f, image.fcw);
	EXPECT("FSW: TOP 6", 6 << 11, image.fsw);
	EXPECT("abridged tag: two registers", 0xc0, image.ftw);
	EXPECT("ST0: 1", 0x3fff, image.st[0][1] & 0xffff);
	EXPECT("ST1: pi", 0xc90fdaa22168c235, image.st[1][0]);
	EXPECT("XMM5", 0x12345678, image.xmm[5][0]);
	asm volatile("fninit\n\txorps %%xmm5, %%xmm5\n\tfxrstor %0\n\tfxsave %1" :: "m"(image), "m"(other) : "memory");
	EXPECT("ST1 after FXRSTOR", image.st[1][0], other.st[1][0]);
	EXPECT("FSW after FXRSTOR", image.fsw, other.fsw);
	EXPECT("XMM5 after FXRSTOR", 0x12345678, other.xmm[5][0]);
	asm volatile("fninit");
}

ROUTINE(fxsave_now, "fxsave (%eax)\n\tret");
ROUTINE(fxrstor_now, "fxrstor (%eax)\n\tret");

static void fxsave_faults(void)
{
	REQUIRE(has_fxsr(), "CPUID has no FXSR");
	RUN("FXSAVE, misaligned", GP_(0), fxsave_now, (uintptr_t)&image + 8, 0);
	asm volatile("fninit\n\tfxsave %0" : "=m"(image));
	image.mxcsr |= 1u << 31;
	RUN("FXRSTOR, reserved bit of MXCSR", GP_(0), fxrstor_now, &image, 0);
	set_cr0(CR0_TS, 0);
	RUN("FXSAVE, TS=1", TRAP(NM, 0), fxsave_now, &image, 0);
	set_cr0(CR0_EM, CR0_TS);
	RUN("FXSAVE, EM=1", TRAP(NM, 0), fxsave_now, &image, 0);
}

static uint8_t area[1024] __attribute__((aligned(64)));
ROUTINE(xsave_now, "movl $7, %eax\n\txorl %edx, %edx\n\txsave_now_at: xsave (%ecx)\n\tret");
ROUTINE(xrstor_now, "movl $7, %eax\n\txorl %edx, %edx\n\txrstor_now_at: xrstor (%ecx)\n\tret");
ROUTINE(xgetbv_now, "xorl %ecx, %ecx\n\txgetbv_now_at: xgetbv\n\tret");
ROUTINE(xsetbv_now, "movl %eax, %edx\n\tmovl %ecx, %eax\n\tmovl %edx, %ecx\n\txorl %edx, %edx\n\txsetbv_now_at: xsetbv\n\tret");
extern routine xsave_now_at, xrstor_now_at, xgetbv_now_at, xsetbv_now_at;
#define AT(vector, place) TRAP(vector, 0, 0, (uintptr_t)place)

static void xsave_and_xrstor(void)
{
	REQUIRE_XSAVE;
	memset(area, 0, sizeof area);
	asm volatile("fninit\n\tfldpi\n\tmovl $0x1357, %%eax\n\tmovd %%eax, %%xmm3" ::: "eax");
	RUN3("XSAVE", RETURNS, xsave_now, 0, 0, area);
	EXPECT("XSTATE_BV: x87 and SSE", 3, *(uint64_t *)(area + 512) & 3);
	EXPECT("XMM3", 0x1357, *(uint32_t *)(area + 160 + 3 * 16));
	*(uint64_t *)(area + 512) &= ~(uint64_t)2;
	RUN3("XRSTOR with SSE in its initial state", RETURNS, xrstor_now, 0, 0, area);
	uint32_t word;
	asm volatile("movd %%xmm3, %0" : "=r"(word));
	EXPECT("XMM3, initialized", 0, word);
	*(uint64_t *)(area + 512) |= 2;
	RUN3("XRSTOR", RETURNS, xrstor_now, 0, 0, area);
	asm volatile("movd %%xmm3, %0" : "=r"(word));
	EXPECT("XMM3", 0x1357, word);
	asm volatile("fninit");
}

static void xsave_faults(void)
{
	REQUIRE_XSAVE;
	memset(area, 0, sizeof area);
	RUN3("misaligned", AT(GP, xsave_now_at), xsave_now, 0, 0, area + 16);
	*(uint64_t *)(area + 512) = 1ull << 62;
	RUN3("XRSTOR, a component that XCR0 does not have", AT(GP, xrstor_now_at), xrstor_now, 0, 0, area);
	*(uint64_t *)(area + 512) = 0;
	*(uint64_t *)(area + 528) = 1;
	RUN3("XRSTOR, reserved byte of the header", AT(GP, xrstor_now_at), xrstor_now, 0, 0, area);
	set_cr0(CR0_TS, 0);
	RUN3("TS=1", AT(NM, xsave_now_at), xsave_now, 0, 0, area);
	set_cr0(0, CR0_TS);
	write_cr4(read_cr4() & ~CR4_OSXSAVE);
	EXPECT("OSXSAVE in CPUID", false, has_osxsave());
	RUN3("OSXSAVE=0", AT(UD, xsave_now_at), xsave_now, 0, 0, area);
	RUN("XGETBV, OSXSAVE=0", AT(UD, xgetbv_now_at), xgetbv_now, 0, 0);
	RUN3("XSETBV, OSXSAVE=0", AT(UD, xsetbv_now_at), xsetbv_now, 0, 0, 1);
}

ROUTINE(user_xsetbv, "xorl %ecx, %ecx\n\txorl %edx, %edx\n\tmovl $1, %eax\n\tuser_xsetbv_at: xsetbv\n\t" EXIT);
ROUTINE(user_xgetbv, "xorl %ecx, %ecx\n\txgetbv\n\t" EXIT);
extern routine user_xsetbv_at;

static void xcr0(void)
{
	REQUIRE_XSAVE;
	uint32_t all = cpuid(0xd, 0).eax & 7;
	RUN("XGETBV", RETURNS, xgetbv_now, 0, 0);
	EXPECT("XCR0", all, probe_result);
	RUN3("XSETBV, x87 alone", RETURNS, xsetbv_now, 0, 0, 1);
	RUN3("XSETBV without x87", AT(GP, xsetbv_now_at), xsetbv_now, 0, 0, 2);
	RUN3("XSETBV, AVX without SSE", AT(GP, xsetbv_now_at), xsetbv_now, 0, 0, 5);
	RUN3("XSETBV, reserved bit", AT(GP, xsetbv_now_at), xsetbv_now, 0, 0, 1u << 31 | 1);
	RUN3("XSETBV of XCR1", AT(GP, xsetbv_now_at), xsetbv_now, 1, 0, 1);
	RUN_USER("XSETBV in ring 3", AT(GP, user_xsetbv_at), user_xsetbv, 0, 0);
	RUN_USER("XGETBV in ring 3", EXITS, user_xgetbv, 0, 0);
	RUN3("XSETBV", RETURNS, xsetbv_now, 0, 0, all);
}

ROUTINE(avx, "vaddps %ymm1, %ymm0, %ymm0\n\tvzeroupper\n\tret");

static void avx_permission(void)
{
	REQUIRE_AVX;
	uint32_t all = cpuid(0xd, 0).eax & 7;
	RUN("AVX", RETURNS, avx, 0, 0);
	set_cr0(CR0_TS, 0);
	RUN("AVX, TS=1", TRAP(NM, 0), avx, 0, 0);
	set_cr0(0, CR0_TS);
	RUN3("XSETBV without AVX", RETURNS, xsetbv_now, 0, 0, 3);
	RUN("AVX, not in XCR0", UD_, avx, 0, 0);
	RUN3("XSETBV", RETURNS, xsetbv_now, 0, 0, all);
	write_cr4(read_cr4() & ~CR4_OSXSAVE);
	RUN("AVX, OSXSAVE=0", UD_, avx, 0, 0);
}

CODE16(v86_avx, "vaddps %xmm1, %xmm0, %xmm0\n\tint $0x80");
CODE16(v86_sse, "addps %xmm1, %xmm0\n\tint $0x80");

static void v86_vectors(void)
{
	REQUIRE_SSE2;
	RUN_V86("SSE", EXITS, v86_sse, 3);
	RUN_V86("VEX", TRAP(UD, 0), v86_avx, 3);
}

static const struct check checks[] = {
	{ "fpu-emulation", "SDM 3, 2.5", emulation },
	{ "fpu-task-switched", "SDM 3, 2.5", task_switched },
	{ "clts", "SDM 2, CLTS", clear_task_switched },
	{ "sse-permission", "SDM 3, 13.1", sse_permission },
	{ "x87-exception", "SDM 1, 8.7", x87_exception },
	{ "x87-exception-mmx", "SDM 3, 12.1", mmx_waits },
	{ "sse-exception", "SDM 1, 11.5", sse_exception },
	{ "mxcsr-reserved", "SDM 1, 10.2.3", mxcsr_reserved },
	{ "sse-alignment", "SDM 1, 10.4.1", sse_alignment },
	{ "fxsave-fxrstor", "SDM 1, 10.5", fxsave_and_fxrstor },
	{ "fxsave-faults", "SDM 2, FXSAVE", fxsave_faults },
	{ "xsave-xrstor", "SDM 1, 13.7", xsave_and_xrstor },
	{ "xsave-faults", "SDM 2, XRSTOR", xsave_faults },
	{ "xcr0", "SDM 1, 13.3", xcr0 },
	{ "avx-permission", "SDM 1, 14.3", avx_permission },
	{ "v86-vectors", "SDM 2, 2.3.1", v86_vectors },
};
CHECK_GROUP(float_group, "FPU, SSE and AVX", checks);
