/* Ring 3: the ways in and out, and what is forbidden there (SDM vol. 3, 5.9 and 6.14; vol. 1, 19.5). */
#include "check.h"
#include "../descriptors.h"
#include "../identity.h"
#include "../print.h"

#define USER_RSP (USER_STACK_TOP - 64)

USER_ROUTINE(user_exit, EXIT);
USER_ROUTINE(user_cs, "movl %cs, %eax\n\t" EXIT);
USER_ROUTINE(user_calls, "call 1f\n\taddl $1, %eax\n\t" EXIT "1: movl $41, %eax\n\tret");

static void ring_3_by_iretq(void)
{
	RUN_USER("ring 3", EXITS, user_cs, 11, 22);
	EXPECT("CS seen by ring 3", USER_CS, last_trap.frame.rax & 0xffff);
	EXPECT("saved CS", USER_CS, last_trap.frame.cs);
	EXPECT("saved SS", USER_SS, last_trap.frame.ss);
	EXPECT("saved RSP", USER_RSP, last_trap.frame.rsp);
	EXPECT("saved RIP", user_address(user_cs) + 4, last_trap.frame.rip);
	EXPECT("RDI", 11, last_trap.frame.rdi);
	EXPECT("RSI", 22, last_trap.frame.rsi);
	RUN_USER("ring 3 with a stack", EXITS, user_calls, 0, 0);
	EXPECT("result", 42, last_trap.frame.rax);
}

static void ring_3_by_far_return(void)
{
	user_entry = (struct user_entry){ user_address(user_exit), USER_RSP, 0, 0, 0 };
	RUN("far RET", EXITS, enter_user_lretq, 0, 0);
	EXPECT("saved CS", USER_CS, last_trap.frame.cs);
	EXPECT("saved RSP", USER_RSP, last_trap.frame.rsp);
}

static void rsp0_switch(void)
{
	RUN_USER("ring 3", EXITS, user_exit, 0, 0);
	EXPECT("top of the stack used", rsp0_top(), last_trap.stack);
	tss.rsp[0] = rsp0_top() - 1024 - 8;
	bool met = run_user(EXITS, user_exit, 0, 0, RFLAGS_FIXED);
	tss.rsp[0] = rsp0_top();
	EXPECT("ring 3 ended", true, met);
	EXPECT("RSP0, aligned down to 16", rsp0_top() - 1024 - 16, last_trap.stack);
}

/* IRETQ to ring 0 pops RSP and SS as well. */
ROUTINE(iretq_same, "movq %rsp, %rdx\n\tmovl %ss, %eax\n\tpushq %rax\n\tpushq %rdi\n\tpushfq\n\tmovl %cs, %eax\n\tpushq %rax\n\t"
	"leaq 1f(%rip), %rax\n\tpushq %rax\n\tiretq\n\tud2\n\t1: movq %rsp, %rax\n\tmovq %rdx, %rsp\n\tret");
ROUTINE(iretq_to, "movl %ss, %eax\n\tpushq %rax\n\tleaq 8(%rsp), %rax\n\tpushq %rax\n\tpushfq\n\tpushq %rsi\n\tpushq %rdi\n\tiretq");
ROUTINE(iretq_nested, "pushfq\n\torq $0x4000, (%rsp)\n\tpopfq\n\tiretq_nested_at: iretq");
extern routine iretq_nested_at;

static void iretq_same_level(void)
{
	RUN("IRETQ", RETURNS, iretq_same, WINDOW + 0x123, 0);
	EXPECT("RSP afterwards", WINDOW + 0x123, probe_result);
}

static void iretq_faults(void)
{
	RUN("NT=1", TRAP(GP, 0, 0, (uint64_t)iretq_nested_at), iretq_nested, 0, 0);
	RUN("null CS", TRAP(GP, 0, 0, ANY_RIP), iretq_to, user_exit, 0);
	RUN("CS not code", TRAP(GP, KERNEL_SS, 0, ANY_RIP), iretq_to, user_exit, KERNEL_SS);
	RUN("CS absent", TRAP(NP, ABSENT_CODE, 0, ANY_RIP), iretq_to, user_exit, ABSENT_CODE);
	RUN("RIP not canonical", TRAP(GP, 0, 0, ANY_RIP), iretq_to, NONCANONICAL, KERNEL_CS);
}

USER_ROUTINE(user_hlt, "hlt");
USER_ROUTINE(user_cli, "cli");
USER_ROUTINE(user_sti, "sti");
USER_ROUTINE(user_read_cr0, "movq %cr0, %rax");
USER_ROUTINE(user_write_cr3, "movq %rax, %cr3");
USER_ROUTINE(user_read_dr7, "movq %dr7, %rax");
USER_ROUTINE(user_lgdt, "lgdt (%rdi)");
USER_ROUTINE(user_lidt, "lidt (%rdi)");
USER_ROUTINE(user_lldt, "lldt %ax");
USER_ROUTINE(user_ltr, "ltr %ax");
USER_ROUTINE(user_lmsw, "lmsw %ax");
USER_ROUTINE(user_clts, "clts");
USER_ROUTINE(user_rdmsr, "rdmsr");
USER_ROUTINE(user_wrmsr, "wrmsr");
USER_ROUTINE(user_invlpg, "invlpg (%rdi)");
USER_ROUTINE(user_invd, "invd");
USER_ROUTINE(user_wbinvd, "wbinvd");
USER_ROUTINE(user_swapgs, "swapgs");
USER_ROUTINE(user_sysretq, "sysretq");
USER_ROUTINE(user_in, "inb $0x80, %al");
USER_ROUTINE(user_out, "outb %al, $0x80");
USER_ROUTINE(user_ins, "insb");

static void privileged_instructions(void)
{
	static const struct {
		const char *name, *code;
	} instructions[] = {
		{ "HLT", user_hlt }, { "CLI", user_cli }, { "STI", user_sti }, { "MOV from CR0", user_read_cr0 },
		{ "MOV to CR3", user_write_cr3 }, { "MOV from DR7", user_read_dr7 }, { "LGDT", user_lgdt }, { "LIDT", user_lidt },
		{ "LLDT", user_lldt }, { "LTR", user_ltr }, { "LMSW", user_lmsw }, { "CLTS", user_clts }, { "RDMSR", user_rdmsr },
		{ "WRMSR", user_wrmsr }, { "INVLPG", user_invlpg }, { "INVD", user_invd }, { "WBINVD", user_wbinvd },
		{ "SWAPGS", user_swapgs }, { "SYSRET", user_sysretq }, { "IN", user_in }, { "OUT", user_out }, { "INS", user_ins },
	};
	for (size_t i = 0; i < sizeof instructions / sizeof instructions[0]; i++)
		RUN_USER(instructions[i].name, GP_(0), instructions[i].code, USER_RSP, 0);
}

USER_ROUTINE(user_in_dx, "movl %edi, %edx\n\tuser_in_dx_at: inb %dx, %al\n\t" EXIT);
USER_ROUTINE(user_in16_dx, "movl %edi, %edx\n\tuser_in16_dx_at: inw %dx, %ax\n\t" EXIT);
extern routine user_in_dx_at, user_in16_dx_at;

static void io_permission_bitmap(void)
{
	const struct expectation *denied = TRAP(GP, 0, 0, user_address(user_in_dx_at));
	const struct expectation *denied16 = TRAP(GP, 0, 0, user_address(user_in16_dx_at));
	tss.io_map[0x80 / 8] = 0xfe;	/* port 0x80 only */
	RUN_USER("port 0x80", EXITS, user_in_dx, 0x80, 0);
	RUN_USER("port 0x81", denied, user_in_dx, 0x81, 0);
	RUN_USER("word at 0x80", denied16, user_in16_dx, 0x80, 0);
	tss.io_map[0x80 / 8] = 0x7f;	/* port 0x87 */
	RUN_USER("word at 0x87, over two bytes of the map", denied16, user_in16_dx, 0x87, 0);
	tss.io_map[0x88 / 8] = 0xfe;
	RUN_USER("word at 0x87, both bits clear", EXITS, user_in16_dx, 0x87, 0);
	tss.io_map_base = sizeof tss;
	bool met = run_user(denied, user_in_dx, 0x80, 0, RFLAGS_FIXED);
	tss.io_map_base = offsetof(struct tss, io_map);
	EXPECT("#GP(0) with the map beyond the TSS limit", true, met);
	EXPECT("IOPL 3 needs no map", true, run_user(EXITS, user_in_dx, 0x100, 0, RFLAGS_FIXED | RFLAGS_IOPL));
}

USER_ROUTINE(user_popf, "pushfq\n\txorq $0x3200, (%rsp)\n\tpopfq\n\tpushfq\n\tpopq %rax\n\t" EXIT);
USER_ROUTINE(user_cli_popf, "cli\n\tpushfq\n\tpopq %rax\n\t" EXIT);

/* Ring 3 changes neither IF nor IOPL by POPF, without a fault. */
static void popf_in_ring_3(void)
{
	RUN_USER("POPF", EXITS, user_popf, 0, 0);
	EXPECT("IF and IOPL", 0, last_trap.frame.rax & (RFLAGS_IF | RFLAGS_IOPL));
	EXPECT("CLI with IOPL 3", true, run_user(EXITS, user_cli_popf, 0, 0, RFLAGS_FIXED | RFLAGS_IOPL));
	EXPECT("IF and IOPL", RFLAGS_IOPL, last_trap.frame.rax & (RFLAGS_IF | RFLAGS_IOPL));
}

USER_ROUTINE(user_rdtsc, "rdtsc\n\t" EXIT);
USER_ROUTINE(user_rdpmc, "rdpmc\n\t" EXIT);

static void time_stamp_disable(void)
{
	RUN_USER("RDTSC, TSD=0", EXITS, user_rdtsc, 0, 0);
	RUN_USER("RDPMC, PCE=0", GP_(0), user_rdpmc, 0, 0);
	write_cr4(read_cr4() | CR4_TSD);
	RUN_USER("RDTSC, TSD=1", GP_(0), user_rdtsc, 0, 0);
}

USER_ROUTINE(user_sgdt, "sgdt (%rdi)\n\t" EXIT);
USER_ROUTINE(user_smsw, "smsw %ax\n\t" EXIT);
USER_ROUTINE(user_str, "str %ax\n\t" EXIT);

static void umip(void)
{
	REQUIRE(has_umip(), "CPUID has no UMIP");
	RUN_USER("SGDT, UMIP=0", EXITS, user_sgdt, USER_RSP, 0);
	write_cr4(read_cr4() | CR4_UMIP);
	RUN_USER("SGDT, UMIP=1", GP_(0), user_sgdt, USER_RSP, 0);
	RUN_USER("SMSW, UMIP=1", GP_(0), user_smsw, 0, 0);
	RUN_USER("STR, UMIP=1", GP_(0), user_str, 0, 0);
}

/* Ring 3 calls ring 0 through a gate; the landing finds the caller on the RSP0 stack. */
USER_ROUTINE(user_call_gate, "lcall *(%rdi)\n\t" EXIT);
ROUTINE(call_gate_landing, ".global call_gate_landing\n\tmovq (%rsp), %rax\n\tmovq 8(%rsp), %rbx\n\tmovq 16(%rsp), %rcx\n\t"
	"movl %cs, %edx\n\tlretq");

static void call_gate(void)
{
	uint8_t *pointer = (uint8_t *)USER_RSP + 16;
	const uint16_t gate = KERNEL_GATE | 3;
	memset(pointer, 0, 10);
	memcpy(pointer + 4, &gate, 2);
	RUN_USER("far CALL", EXITS, user_call_gate, pointer, 0);
	EXPECT("saved RIP", user_address(user_call_gate) + 2, last_trap.frame.rax);
	EXPECT("saved CS", USER_CS, last_trap.frame.rbx);
	EXPECT("saved RSP", USER_RSP, last_trap.frame.rcx);
	EXPECT("CS in the gate's code", KERNEL_CS, last_trap.frame.rdx & 0xffff);
	EXPECT("CS after far RET", USER_CS, last_trap.frame.cs);
}

ROUTINE(lar, "xorl %eax, %eax\n\tlarl %edi, %eax\n\tjz 1f\n\tmovl $-1, %eax\n\t1: ret");
ROUTINE(lsl, "xorl %eax, %eax\n\tlsll %edi, %eax\n\tjz 1f\n\tmovl $-2, %eax\n\t1: ret");
ROUTINE(verw, "xorl %eax, %eax\n\tverw %di\n\tsetz %al\n\tret");

static void selector_queries(void)
{
	RUN("LAR of code", RETURNS, lar, KERNEL_CS, 0);
	EXPECT("LAR of code", 0x00af9b00 & 0xf0ff00, probe_result & 0xf0ff00);
	RUN("LAR beyond the GDT", RETURNS, lar, 0x1230, 0);
	EXPECT("LAR beyond the GDT: ZF=0", 0xffffffff, probe_result);
	RUN("LSL of the TSS", RETURNS, lsl, TSS_SELECTOR, 0);
	EXPECT("LSL of the TSS", sizeof tss - 1, probe_result);
	RUN("LSL of data", RETURNS, lsl, KERNEL_SS, 0);
	EXPECT("LSL of data, in bytes", 0xffffffff, probe_result);
	RUN("VERW of code", RETURNS, verw, KERNEL_CS, 0);
	EXPECT("VERW of code", 0, probe_result);
	RUN("VERW of data", RETURNS, verw, KERNEL_SS, 0);
	EXPECT("VERW of data", 1, probe_result);
}

static const struct check checks[] = {
	{ "ring-3-by-iretq", "SDM 3, 6.14.3", ring_3_by_iretq },
	{ "ring-3-by-far-return", "SDM 3, 5.8.6", ring_3_by_far_return },
	{ "rsp0-switch", "SDM 3, 6.14.4", rsp0_switch },
	{ "iretq-same-level", "SDM 3, 6.14.3", iretq_same_level },
	{ "iretq-faults", "SDM 2, IRET", iretq_faults },
	{ "privileged-instructions", "SDM 3, 5.9", privileged_instructions },
	{ "io-permission-bitmap", "SDM 1, 19.5.2", io_permission_bitmap },
	{ "popf-in-ring-3", "SDM 2, POPF", popf_in_ring_3 },
	{ "time-stamp-disable", "SDM 3, 2.5", time_stamp_disable },
	{ "umip", "SDM 3, 2.5", umip },
	{ "call-gate", "SDM 3, 5.8.3.1", call_gate },
	{ "lar-lsl-verw", "SDM 3, 5.10", selector_queries },
};
CHECK_GROUP(ring_group, "rings", checks);
