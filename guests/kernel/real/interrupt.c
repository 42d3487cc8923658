/* Interrupts, exceptions, flags and debugging in real mode (SDM vol. 3, 20.1.4). */
#include "check.h"
#include "../identity.h"

#define SLOT_VECTOR 0x90

MOVED(shows_frame, "popw %ax\n\tpopw %bx\n\tpopw %cx\n\tpushfw\n\tpopw %dx\n\tint $0x80");
ROUTINE(int_with_flags, "pushl %eax\n\tpopfl\n\tint $0x90\n\tint_with_flags_next: int $0x80");
extern routine int_with_flags_next;

enum { FLAGS = RFLAGS_FIXED | RFLAGS_IF | RFLAGS_CF | RFLAGS_OF };

static void interrupt(void)
{
	MOVE(CODE_SEGMENT, 0x10, shows_frame);
	vector_set(SLOT_VECTOR, CODE_SEGMENT, 0x10);
	RUN("INT", EXITS, int_with_flags, FLAGS, 0);
	EXPECT("IP pushed", (uintptr_t)int_with_flags_next, last_trap.frame.eax & 0xffff);
	EXPECT("CS pushed", REAL_SEGMENT, last_trap.frame.ebx & 0xffff);
	EXPECT("FLAGS pushed", FLAGS, last_trap.frame.ecx & 0xffff);
	EXPECT("FLAGS: IF is clear", FLAGS & ~RFLAGS_IF, last_trap.frame.edx & 0xffff);
	EXPECT("CS", CODE_SEGMENT, last_trap.frame.cs);
}

MOVED(returns_at_once, "iretw");
ROUTINE(int_returns, "stc\n\tint $0x90\n\tsetc %al\n\tmovzbl %al, %eax\n\tret");

static void returns(void)
{
	MOVE(CODE_SEGMENT, 0, returns_at_once);
	vector_set(SLOT_VECTOR, CODE_SEGMENT, 0);
	RUN("INT and IRET", RETURNS, int_returns, 0, 0);
	EXPECT("CF", 1, probe_result);
}

ROUTINE(iret_16, "pushl %ecx\n\tpopfl\n\tpushw %ax\n\tpushw %cs\n\tpushw $1f\n\tiretw\n\t1: pushfl\n\tpopl %eax\n\tpushl $2\n\tpopfl\n\tret");
ROUTINE(iret_32, "pushl %eax\n\tpushl %cs\n\tpushl $1f\n\tiretl\n\t1: pushfl\n\tpopl %eax\n\tpushl $2\n\tpopfl\n\tret");

/* Everything but VM can be set; CPL is 0. */
static void return_flags(void)
{
	RUN3("IRET of 16 bits", RETURNS, iret_16, RFLAGS_IOPL | RFLAGS_NT | RFLAGS_CF | RFLAGS_FIXED, 0, RFLAGS_AC);
	EXPECT("EFLAGS: AC stays", RFLAGS_IOPL | RFLAGS_NT | RFLAGS_CF | RFLAGS_FIXED | RFLAGS_AC, probe_result);
	RUN("IRET of 32 bits", RETURNS, iret_32, RFLAGS_AC | RFLAGS_CF | RFLAGS_FIXED, 0);
	EXPECT("EFLAGS", RFLAGS_AC | RFLAGS_CF | RFLAGS_FIXED, probe_result);
}

ROUTINE(popf_32, "pushl %eax\n\tpopfl\n\tpushfl\n\tpopl %eax\n\tpushl $2\n\tpopfl\n\tret");
ROUTINE(sti_cli, "sti\n\tnop\n\tpushfw\n\tpopw %ax\n\tcli\n\tpushfw\n\tpopw %cx\n\tint $0x80");

static void flags(void)
{
	RUN("POPF of 32 bits", RETURNS, popf_32, RFLAGS_VM | RFLAGS_RF | RFLAGS_IOPL | RFLAGS_NT | RFLAGS_FIXED, 0);
	EXPECT("no VM, no RF", RFLAGS_IOPL | RFLAGS_NT | RFLAGS_FIXED, probe_result);
	RUN("STI and CLI", EXITS, sti_cli, 0, 0);
	EXPECT("IF after STI", RFLAGS_IF, last_trap.frame.eax & RFLAGS_IF);
	EXPECT("IF after CLI", 0, last_trap.frame.ecx & RFLAGS_IF);
}

ROUTINE(divide, "xorw %dx, %dx\n\txorw %cx, %cx\n\tdivide_at: divw %cx\n\tret");
ROUTINE(into, "movb $0x7f, %al\n\taddb $1, %al\n\tinto\n\tinto_next: ret");
ROUTINE(bound, "bound_at: boundw %ax, (%edx)\n\tret");
ROUTINE(int3, "int3\n\tint3_next: ret");
ROUTINE(aam_0, "aam_0_at: .byte 0xd4, 0\n\tret");
ROUTINE(ud2, "ud2");
extern routine divide_at, into_next, bound_at, int3_next, aam_0_at;

static void exceptions(void)
{
	static const int16_t limits[2] = { -5, 10 };
	RUN("DIV by 0", AT(DE, divide_at), divide, 0, 0);
	RUN("AAM 0", AT(DE, aam_0_at), aam_0, 0, 0);
	RUN("INTO", AT(OF, into_next), into, 0, 0);
	RUN("BOUND inside", RETURNS, bound, 10, limits);
	RUN("BOUND outside", AT(BR, bound_at), bound, 11, limits);
	RUN("INT3", AT(BP, int3_next), int3, 0, 0);
	RUN("UD2", UD_, ud2, 0, 0);
	EXPECT("ESP: six bytes pushed", last_trap.first_esp - 6, last_trap.frame.esp);
}

ROUTINE(sldt, "sldt %ax");
ROUTINE(str, "str %ax");
ROUTINE(lldt, "lldt %ax");
ROUTINE(ltr, "ltr %ax");
ROUTINE(verr, "verr %ax");
ROUTINE(verw, "verw %ax");
ROUTINE(lar, "larw %ax, %ax");
ROUTINE(lsl, "lslw %ax, %ax");
ROUTINE(arpl, "arpl %ax, %ax");

static void not_recognized(void)
{
	static const struct {
		const char *name, *code;
	} instructions[] = {
		{ "SLDT", sldt }, { "STR", str }, { "LLDT", lldt }, { "LTR", ltr }, { "VERR", verr }, { "VERW", verw }, { "LAR", lar },
		{ "LSL", lsl }, { "ARPL", arpl },
	};
	for (size_t i = 0; i < sizeof instructions / sizeof instructions[0]; i++)
		RUN(instructions[i].name, UD_, instructions[i].code, 0, 0);
}

ROUTINE(int_20, "int_20_at: int $0x20\n\tret");
extern routine int_20_at;

static void load_idtr(uint16_t limit, uint32_t base)
{
	struct __attribute__((packed)) {
		uint16_t limit;
		uint32_t base;
	} idtr = { limit, base };
	asm volatile("lidtl %0" :: "m"(idtr));
}

static void table_limit(void)
{
	load_idtr(0x7f, 0);
	RUN("INT beyond the table", AT(GP, int_20_at), int_20, 0, 0);
	load_idtr(0x83, 0);
	RUN("the last vector", TRAP(0x20, 0, 0, (uintptr_t)int_20_at + 2), int_20, 0, 0);
	load_idtr(0x82, 0);
	RUN("one byte less", AT(GP, int_20_at), int_20, 0, 0);
}

static void table_base(void)
{
	MOVE(CODE_SEGMENT, 0x10, shows_frame);
	for (uint16_t offset = 0; offset < 0x400; offset += 2)
		far_write(OTHER_SEGMENT, offset, far_read(0, offset));
	far_write(OTHER_SEGMENT, SLOT_VECTOR * 4, 0x10);
	far_write(OTHER_SEGMENT, SLOT_VECTOR * 4 + 2, CODE_SEGMENT);
	load_idtr(0x3ff, (uint32_t)OTHER_SEGMENT << 4);
	RUN("INT", EXITS, int_with_flags, FLAGS, 0);
	EXPECT("CS", CODE_SEGMENT, last_trap.frame.cs);
}

ROUTINE(sidt_sgdt, "sidtl (%edx)\n\tlgdtw (%ecx)\n\tsgdtl (%ecx)\n\tret");

static void table_registers(void)
{
	struct table_register idtr, gdtr = { 0x1234, 0x5a123456 };
	RUN3("SIDT, LGDT, SGDT", RETURNS, sidt_sgdt, 0, &idtr, &gdtr);
	EXPECT("limit of SIDT", 0x3ff, idtr.limit);
	EXPECT("base of SIDT", 0, idtr.base);
	EXPECT("limit of LGDT", 0x1234, gdtr.limit);
	EXPECT("base of LGDT with 16-bit operands: 24 bits", 0x123456, gdtr.base);
}

/* #DB traps as they came; after `limit` of them the hook clears TF and DR7. */
enum { MOST = 4, DR7_ALWAYS = 1 << 10, DR6_B0 = 1, DR6_BS = 1 << 14 };
static struct {
	unsigned count, limit;
	uint32_t ip[MOST], dr6[MOST];
} seen;

static bool note_debug(struct trap_frame *frame)
{
	if (frame->vector != DB)
		return false;
	if (seen.count < MOST) {
		seen.ip[seen.count] = frame->ip;
		seen.dr6[seen.count] = last_trap.dr6 & (DR6_B0 | DR6_BS);
	}
	if (++seen.count >= seen.limit) {
		frame->flags &= (uint16_t)~RFLAGS_TF;
		write_dr7(DR7_ALWAYS);
	}
	return true;
}

static void watch(unsigned limit)
{
	memset(&seen, 0, sizeof seen);
	seen.limit = limit;
	write_dr6(0xffff0ff0);
	trap_hook = note_debug;
}

#define SET_TF "pushfw\n\torw $0x100, (%esp)\n\tpopfw\n\t"
ROUTINE(steps, SET_TF "nop\n\tsteps_1: nop\n\tnop\n\tsteps_3: ret");
ROUTINE(steps_over_int, SET_TF "nop\n\tint $0x90\n\tsteps_over_int_next: nop\n\tret");
ROUTINE(steps_shadow, "movw %ss, %dx\n\t" SET_TF "movw %dx, %ss\n\tnop\n\tsteps_shadow_1: nop\n\tret");
extern routine steps_1, steps_3, steps_over_int_next, steps_shadow_1;

static void single_step(void)
{
	watch(3);
	RUN("three steps", RETURNS, steps, 0, 0);
	EXPECT("number of #DB", 3, seen.count);
	EXPECT("first IP", (uintptr_t)steps_1, seen.ip[0]);
	EXPECT("third IP", (uintptr_t)steps_3, seen.ip[2]);
	EXPECT("DR6", DR6_BS, seen.dr6[0]);
}

/* The handler runs without TF, and IRET brings it back. */
static void single_step_int(void)
{
	MOVE(CODE_SEGMENT, 0, returns_at_once);
	vector_set(SLOT_VECTOR, CODE_SEGMENT, 0);
	watch(2);
	RUN("INT under TF", RETURNS, steps_over_int, 0, 0);
	EXPECT("number of #DB", 2, seen.count);
	EXPECT("second IP: one instruction after IRET", (uintptr_t)steps_over_int_next + 1, seen.ip[1]);
}

static void stack_shadow(void)
{
	watch(1);
	RUN("MOV SS under TF", RETURNS, steps_shadow, 0, 0);
	EXPECT("first IP", (uintptr_t)steps_shadow_1, seen.ip[0]);
}

ROUTINE(breaks, "nop\n\tbreaks_at: nop\n\tret");
ROUTINE(touches, "movw %ax, %es\n\tmovw %cx, %es:(%edx)\n\ttouches_next: nop\n\tret");
extern routine breaks_at, touches_next;

/* Breakpoints are on linear addresses. */
static void breakpoints(void)
{
	REQUIRE(!is_qemu_tcg(), "QEMU's TCG never returns from these");
	write_dr0(REAL_BASE + (uintptr_t)breaks_at);
	write_dr7(DR7_ALWAYS | 2);
	RUN("instruction", AT(DB, breaks_at), breaks, 0, 0);
	EXPECT("DR6", DR6_B0, last_trap.dr6 & DR6_B0);
	write_dr0(((uint32_t)DATA_SEGMENT << 4) + 0x40);
	write_dr7(DR7_ALWAYS | 2 | 5 << 16);	/* writes of two bytes */
	RUN3("write", AT(DB, touches_next), touches, DATA_SEGMENT, 0x40, 1);
	write_dr7(DR7_ALWAYS);
}

ROUTINE(sysenter, "sysenter");
ROUTINE(sysexit, "sysexit");

static void system_calls(void)
{
	REQUIRE(cpuid(1, 0).edx >> 11 & 1, "CPUID has no SEP");
	RUN("SYSENTER", GP_(0), sysenter, 0, 0);
	RUN("SYSEXIT", GP_(0), sysexit, 0, 0);
}

ROUTINE(status_word, "smsww %ax\n\tret");
ROUTINE(privileged, "movl %cr0, %eax\n\tmovl %eax, %cr0\n\tclts\n\tinvlpg (%eax)\n\tmovl %dr7, %ecx\n\tmovl %ecx, %dr7\n\twbinvd\n\tret");

static void system_instructions(void)
{
	RUN("SMSW", RETURNS, status_word, 0, 0);
	EXPECT("PE", 0, probe_result & CR0_PE);
	RUN("what is privileged elsewhere", RETURNS, privileged, 0, 0);
}

ROUTINE(misaligned, "pushl $0x40002\n\tpopfl\n\tmovl 1(%edx), %eax\n\tpushl $2\n\tpopfl\n\tret");

static void no_alignment_check(void)
{
	static uint32_t words[2];
	write_cr0(read_cr0() | 1 << 18);
	RUN("AM=1 and AC=1", RETURNS, misaligned, 0, words);
}

ROUTINE(fpu, "fnop\n\tret");
ROUTINE(x87_error, "fninit\n\tfldcw (%edx)\n\tfld1\n\tfldz\n\tfdivrp\n\tx87_error_next: fwait\n\tret");
extern routine x87_error_next;

static void fpu_exceptions(void)
{
	static const uint16_t unmasked = 0x037b;
	REQUIRE(has_fpu(), "CPUID has no FPU");
	write_cr0(read_cr0() | CR0_TS);
	RUN("x87, TS=1", TRAP(NM, 0), fpu, 0, 0);
	write_cr0(read_cr0() & ~CR0_TS);
	RUN("FWAIT after 1 / 0", AT(MF, x87_error_next), x87_error, 0, &unmasked);
	asm volatile("fninit");
}

ROUTINE(environments, "fninit\n\tenvironments_at: fld1\n\tfnstenvs (%edx)\n\tfnstenvl (%ecx)\n\tfninit\n\tret");
extern routine environments_at;

/* The environment's real-mode formats have the linear address of the instruction in 20 bits, and its opcode. */
static void fpu_environment(void)
{
	static uint16_t narrow[7];
	static uint32_t wide[7];
	REQUIRE(has_fpu(), "CPUID has no FPU");
	REQUIRE(cpuid(0, 0).eax < 7 || !(cpuid(7, 0).ebx >> 13 & 1), "CPUID says that FCS is not kept");
	RUN3("FNSTENV", RETURNS, environments, 0, narrow, wide);
	uint32_t linear = REAL_BASE + (uintptr_t)environments_at;
	EXPECT("16-bit format: FCW", 0x37f, narrow[0]);
	EXPECT("TOP", 7 << 11, narrow[1] & 7 << 11);
	EXPECT("tags", 0x3fff, narrow[2]);
	EXPECT("32-bit format: tags", 0x3fff, wide[2] & 0xffff);
	uint32_t seen_narrow = narrow[3] | (uint32_t)(narrow[4] & 0xf000) << 4;
	EXPECT("16-bit format: linear address", linear, seen_narrow);
	uint32_t seen_wide = (wide[3] & 0xffff) | (wide[4] & 0x0ffff000) << 4;
	EXPECT("32-bit format: linear address", linear, seen_wide);
}

ROUTINE(sse, "movd %edx, %xmm0\n\taddps %xmm1, %xmm0\n\tmovd %xmm0, %eax\n\tret");
ROUTINE(vex, ".byte 0xc5, 0xf8, 0x58, 0xc1\n\tret");	/* vaddps, or LDS of a register */

static void vectors(void)
{
	REQUIRE(has_sse2(), "CPUID has no SSE2");
	asm volatile("xorps %%xmm1, %%xmm1" ::);
	RUN("ADDPS", RETURNS, sse, 0, 0x3f800000);
	EXPECT("1 + 0", 0x3f800000, probe_result);
	RUN("VEX", UD_, vex, 0, 0);
}

static const struct check checks[] = {
	{ "real-interrupt", "SDM 3, 20.1.4", interrupt },
	{ "real-interrupt-return", "SDM 3, 20.1.4", returns },
	{ "real-iret-flags", "SDM 2, IRET", return_flags },
	{ "real-flags", "SDM 2, POPF", flags },
	{ "real-exceptions", "SDM 3, 20.1.4", exceptions },
	{ "real-not-recognized", "SDM 3, 20.1.3", not_recognized },
	{ "real-idt-limit", "SDM 3, 20.1.4", table_limit },
	{ "real-idt-base", "SDM 3, 20.1.4", table_base },
	{ "real-lgdt-sidt", "SDM 2, LGDT", table_registers },
	{ "real-single-step", "SDM 3, 17.3.1.4", single_step },
	{ "real-single-step-int", "SDM 3, 17.3.1.4", single_step_int },
	{ "real-stack-shadow", "SDM 3, 6.8.3", stack_shadow },
	{ "real-breakpoints", "SDM 3, 17.2", breakpoints },
	{ "real-sysenter", "SDM 2, SYSENTER", system_calls },
	{ "real-system", "SDM 3, 20.1.3", system_instructions },
	{ "real-no-alignment-check", "SDM 3, 6.15", no_alignment_check },
	{ "real-fpu-exceptions", "SDM 1, 8.7", fpu_exceptions },
	{ "real-fpu-environment", "SDM 1, 8.1.10", fpu_environment },
	{ "real-vectors", "SDM 2, 2.3.1", vectors },
};
CHECK_GROUP(interrupt_group, "interrupts, exceptions and flags in real mode", checks);
