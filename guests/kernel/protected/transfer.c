/* Far jumps, calls and returns, and IRET, without gates (SDM vol. 3, 5.8.1 and 5.8.6). */
#include "check.h"

#define ALL 0xfffff

static struct far_pointer pointer;

/* A segment of code, all of memory, in slot n. */
static uint16_t code(unsigned n, unsigned access)
{
	return slot(n, segment(0, ALL, access, FLAT));
}

static struct far_pointer *to(const char *routine, uint16_t selector)
{
	pointer = (struct far_pointer){ (uintptr_t)routine, selector };
	return &pointer;
}

static void jump_same_level(void)
{
	uint16_t cs = code(0, CODE_RX);
	RUN("JMP", EXITS, jump_far, to(exit_now, cs), 0);
	EXPECT("CS", cs, last_trap.frame.cs);
	uint16_t user = code(1, CODE_RX | DPL3);
	RUN_USER("JMP in ring 3", EXITS, jump_far, to(exit_now, user | 3), 0);
	EXPECT("CS", user | 3, last_trap.frame.cs);
	RUN_USER("JMP in ring 3 with RPL 0", EXITS, jump_far, to(exit_now, user), 0);
	EXPECT("CS, RPL is CPL", user | 3, last_trap.frame.cs);
}

static void jump_privilege(void)
{
	uint16_t user = code(0, CODE_RX | DPL3), kernel = code(1, CODE_RX);
	RUN("CPL 0, DPL 3", GP_(user), jump_far, to(exit_now, user), 0);
	RUN("CPL 0, RPL 3, DPL 0", GP_(kernel), jump_far, to(exit_now, kernel | 3), 0);
	RUN_USER("CPL 3, DPL 0", GP_(kernel), jump_far, to(exit_now, kernel), 0);
	RUN_USER("CPL 3, RPL 3, DPL 0", GP_(kernel), jump_far, to(exit_now, kernel | 3), 0);
	RUN_RING(1, "CPL 1, DPL 3", GP_(user), jump_far, to(exit_now, user | 1), 0);
}

static void jump_conforming(void)
{
	uint16_t inner = code(0, CONFORMING_RX), outer = code(1, CONFORMING_RX | DPL3), unreadable = code(2, CONFORMING_X);
	RUN_USER("CPL 3, DPL 0", EXITS, jump_far, to(exit_now, inner), 0);
	EXPECT("CS, at CPL 3 still", inner | 3, last_trap.frame.cs);
	RUN_USER("CPL 3, RPL 3, DPL 0, execute only", EXITS, jump_far, to(exit_now, unreadable | 3), 0);
	RUN("CPL 0, RPL 3, DPL 0", EXITS, jump_far, to(exit_now, inner | 3), 0);
	EXPECT("CS, at CPL 0 still", inner, last_trap.frame.cs);
	RUN("CPL 0, DPL 3", GP_(outer), jump_far, to(exit_now, outer | 3), 0);
}

static void jump_errors(void)
{
	RUN("null", GP_(0), jump_far, to(exit_now, 0), 0);
	RUN("null, RPL 3", GP_(0), jump_far, to(exit_now, 3), 0);
	RUN("data", GP_(KERNEL_DS), jump_far, to(exit_now, KERNEL_DS), 0);
	RUN("LDT", GP_(LDT), jump_far, to(exit_now, LDT), 0);
	RUN("interrupt gate", GP_(SLOT(0)), jump_far, to(exit_now, slot(0, gate(KERNEL_CS, 0, INT32, 0))), 0);
	RUN("beyond the GDT", GP_(0x7ff8), jump_far, to(exit_now, 0x7ff8), 0);
	RUN("in the LDT that is not there", GP_(0xc), jump_far, to(exit_now, 0xc), 0);
	uint16_t absent = code(1, CODE_RX & ~PRESENT);
	RUN("absent", TRAP(NP, absent), jump_far, to(exit_now, absent), 0);
	RUN("privilege comes before presence", GP_(absent), jump_far, to(exit_now, absent | 3), 0);
}

static void call_frame(void)
{
	RUN("CALL", EXITS, call_far, to(landing, KERNEL_CS), 0);
	EXPECT("EIP pushed", (uintptr_t)call_far + 2, last_trap.frame.eax);
	EXPECT("CS pushed", KERNEL_CS, last_trap.frame.ebx & 0xffff);
	EXPECT("ESP", last_trap.first_esp - 8, last_trap.frame.esp);
}

ROUTINE(call_far_16, "lcallw *(%eax)\n\tret");

static void call_of_16_bits(void)
{
	struct __attribute__((packed)) {
		uint16_t offset, selector;
	} near_landing = { 0, slot(0, segment((uintptr_t)landing16, 0xff, CODE_RX, BIG)) };
	RUN("CALL", EXITS, call_far_16, &near_landing, 0);
	EXPECT("IP pushed", ((uintptr_t)call_far_16 + 3) & 0xffff, last_trap.frame.eax);
	EXPECT("CS pushed", KERNEL_CS, last_trap.frame.ebx);
	EXPECT("ESP", last_trap.first_esp - 4, last_trap.frame.esp);
}

static void call_errors(void)
{
	uint16_t user = code(0, CODE_RX | DPL3), absent = code(1, CODE_RX & ~PRESENT);
	RUN("null", GP_(0), call_far, to(exit_now, 0), 0);
	EXPECT("ESP", last_trap.first_esp, last_trap.frame.esp);
	RUN("data", GP_(KERNEL_DS), call_far, to(exit_now, KERNEL_DS), 0);
	RUN("CPL 0, DPL 3", GP_(user), call_far, to(exit_now, user), 0);
	RUN("absent", TRAP(NP, absent), call_far, to(exit_now, absent), 0);
	EXPECT("ESP", last_trap.first_esp, last_trap.frame.esp);
	uint16_t small = slot(2, segment(0, 0xfff, CODE_RX, BIG));
	RUN("offset beyond the limit", GP_(0), call_far, to(exit_now, small), 0);
	EXPECT("ESP", last_trap.first_esp, last_trap.frame.esp);
}

ROUTINE(return_same, "movl %esp, %ecx\n\tpushl $0x77\n\tpushl $0x66\n\tpushl %cs\n\tpushl $1f\n\tlret $4\n\tud2\n\t"
	"1: popl %eax\n\tcmpl %esp, %ecx\n\tje 2f\n\tud2\n\t2: ret");
ROUTINE(return_conforming, "pushl %eax\n\tpushl $exit_now\n\tlret");

static void return_same_level(void)
{
	RUN("far RET 4", RETURNS, return_same, 0, 0);
	EXPECT("what lay behind the four bytes", 0x77, probe_result);
	uint16_t conforming = code(0, CONFORMING_RX);
	RUN("far RET to conforming code", EXITS, return_conforming, conforming, 0);
	EXPECT("CS", conforming, last_trap.frame.cs);
}

/* Far RET from ring 0 with (SS, ESP) = (EDX, ECX), CS = EAX, and eight bytes of parameters. */
ROUTINE(return_outer, "pushl %edx\n\tpushl %ecx\n\tpushl $0\n\tpushl $0\n\tpushl %eax\n\tpushl $exit_now\n\t"
	"return_outer_at: lret $8");
extern routine return_outer_at;
#define AT_RETURN(vector, error) TRAP(vector, error, 0, (uintptr_t)return_outer_at)

static void return_to_outer_level(void)
{
	RUN3("far RET 8 to ring 3", EXITS, return_outer, USER_CS, USER_DS, user_stack_top());
	EXPECT("CS", USER_CS, last_trap.frame.cs);
	EXPECT("SS", USER_DS, last_trap.frame.ss);
	EXPECT("ESP, eight bytes released", user_stack_top() + 8, last_trap.frame.esp);
	EXPECT("DS", 0, last_trap.frame.ds);
	RUN3("far RET 8 to ring 1", EXITS, return_outer, RING1_CS, RING1_DS, user_stack_top());
	EXPECT("CS", RING1_CS, last_trap.frame.cs);
}

static void return_errors(void)
{
	uint16_t absent = code(0, (CODE_RX | DPL3) & ~PRESENT), data = slot(1, segment(0, ALL, (DATA_RW | DPL3) & ~PRESENT, FLAT)),
	         read_only = slot(2, segment(0, ALL, DATA_R | DPL3, FLAT));
	uintptr_t stack = user_stack_top();
	RUN3("null CS", AT_RETURN(GP, 0), return_outer, 0, USER_DS, stack);
	RUN3("null CS, RPL 3", AT_RETURN(GP, 0), return_outer, 3, USER_DS, stack);
	RUN3("data", AT_RETURN(GP, USER_DS & ~3), return_outer, USER_DS, USER_DS, stack);
	RUN3("DPL is not RPL", AT_RETURN(GP, KERNEL_CS), return_outer, KERNEL_CS | 3, USER_DS, stack);
	RUN3("absent", AT_RETURN(NP, absent), return_outer, absent | 3, USER_DS, stack);
	RUN3("null SS", AT_RETURN(GP, 0), return_outer, USER_CS, 0, stack);
	RUN3("SS of ring 0", AT_RETURN(GP, KERNEL_DS), return_outer, USER_CS, KERNEL_DS, stack);
	RUN3("RPL of SS is not that of CS", AT_RETURN(GP, USER_DS & ~3), return_outer, USER_CS, USER_DS & ~3, stack);
	RUN3("SS read-only", AT_RETURN(GP, read_only), return_outer, USER_CS, read_only | 3, stack);
	RUN3("SS absent", AT_RETURN(SS, data), return_outer, USER_CS, data | 3, stack);
	RUN3("SS beyond the GDT", AT_RETURN(GP, 0x7ff8), return_outer, USER_CS, 0x7ffb, stack);
}

ROUTINE(user_return_inner, "pushl %eax\n\tpushl $exit_now\n\tuser_return_inner_at: lret");
ROUTINE(user_iret_inner, "pushfl\n\tpushl %eax\n\tpushl $exit_now\n\tuser_iret_inner_at: iret");
extern routine user_return_inner_at, user_iret_inner_at;

static void return_to_inner_level(void)
{
	RUN_USER("far RET to ring 0", TRAP(GP, KERNEL_CS, 0, (uintptr_t)user_return_inner_at), user_return_inner, KERNEL_CS, 0);
	RUN_USER("far RET to ring 1", TRAP(GP, RING1_CS & ~3, 0, (uintptr_t)user_return_inner_at), user_return_inner, RING1_CS, 0);
	RUN_USER("IRET to ring 0", TRAP(GP, KERNEL_CS, 0, (uintptr_t)user_iret_inner_at), user_iret_inner, KERNEL_CS, 0);
}

ROUTINE(iret_same, "movl %esp, %ecx\n\tpushl %eax\n\tpushl %cs\n\tpushl $1f\n\tiret\n\tud2\n\t"
	"1: pushfl\n\tpopl %eax\n\tcmpl %esp, %ecx\n\tje 2f\n\tud2\n\t2: pushl $2\n\tpopfl\n\tret");
/* IRET of 16 bits: IP, CS and FLAGS, with EFLAGS[31:16] as they were. */
ROUTINE(iret_16, "pushw $0x0802\n\tpushw %ax\n\tpushw $0\n\tiretw");

static void iret_of_16_bits(void)
{
	uint16_t cs = slot(0, segment((uintptr_t)exit_now, 0xff, CODE_RX, BIG));
	RUN("IRET", EXITS, iret_16, cs, 0);
	EXPECT("CS", cs, last_trap.frame.cs);
	EXPECT("EFLAGS", RFLAGS_OF | RFLAGS_FIXED, last_trap.frame.eflags);
	EXPECT("ESP", last_trap.first_esp, last_trap.frame.esp);
}

/* IRET in ring 0 loads all of EFLAGS. */
static void iret_same_level(void)
{
	uint32_t flags = RFLAGS_FIXED | RFLAGS_CF | RFLAGS_OF | RFLAGS_IOPL | RFLAGS_AC;
	RUN("IRET", RETURNS, iret_same, flags, 0);
	EXPECT("EFLAGS", flags, probe_result);
}

ROUTINE(user_iret_flags, "pushl %eax\n\tpushl %cs\n\tpushl $1f\n\tiret\n\t1: pushfl\n\tpopl %eax\n\t" EXIT);

/* In an outer ring it leaves IOPL alone, and IF unless IOPL allows it; VM, too. */
static void iret_flags(void)
{
	RUN_USER("IRET, IOPL 0", EXITS, user_iret_flags, RFLAGS_FIXED | RFLAGS_IOPL | RFLAGS_IF | RFLAGS_CF | RFLAGS_VM, 0);
	EXPECT("EFLAGS", RFLAGS_FIXED | RFLAGS_CF, last_trap.frame.eax);
	prepare_ring(3, user_iret_flags, RFLAGS_FIXED | RFLAGS_IF, 0);
	start.eflags = RFLAGS_FIXED | RFLAGS_IOPL;
	RUN_START("IRET, IOPL 3", EXITS);
	EXPECT("EFLAGS", RFLAGS_FIXED | RFLAGS_IF | RFLAGS_IOPL, last_trap.frame.eax);
}

ROUTINE(iret_outer, "pushl %edx\n\tpushl %ecx\n\tpushl $2\n\tpushl %eax\n\tpushl $exit_now\n\tiret_outer_at: iret");
extern routine iret_outer_at;
#define AT_IRET(vector, error) TRAP(vector, error, 0, (uintptr_t)iret_outer_at)

static void iret_errors(void)
{
	uint16_t absent = code(0, (CODE_RX | DPL3) & ~PRESENT), data = slot(1, segment(0, ALL, (DATA_RW | DPL3) & ~PRESENT, FLAT)),
	         conforming = code(2, CONFORMING_RX | DPL3);
	uintptr_t stack = user_stack_top();
	RUN3("as it should be", EXITS, iret_outer, USER_CS, USER_DS, stack);
	RUN3("null CS", AT_IRET(GP, 0), iret_outer, 0, USER_DS, stack);
	RUN3("data", AT_IRET(GP, USER_DS & ~3), iret_outer, USER_DS, USER_DS, stack);
	RUN3("absent", AT_IRET(NP, absent), iret_outer, absent | 3, USER_DS, stack);
	RUN3("conforming, DPL above RPL", AT_IRET(GP, conforming), iret_outer, conforming | 1, RING1_DS, stack);
	RUN3("null SS", AT_IRET(GP, 0), iret_outer, USER_CS, 0, stack);
	RUN3("SS of ring 1", AT_IRET(GP, RING1_DS & ~3), iret_outer, USER_CS, RING1_DS, stack);
	RUN3("SS absent", AT_IRET(SS, data), iret_outer, USER_CS, data | 3, stack);
}

CODE16(show_16, "movw $0x1234, %ax\n\tmovl $0x11112222, %ebx\n\tpushw %ax\n\tpopw %cx\n\tint $0x80");

/* D=0: operands and addresses have 16 bits unless prefixed. */
static void code_of_16_bits(void)
{
	uint16_t cs = slot(0, segment((uintptr_t)show_16, 0xff, CODE_RX, 0));
	pointer = (struct far_pointer){ 0, cs };
	RUN("JMP", EXITS, jump_far, &pointer, 0);
	EXPECT("AX; the rest of EAX is the pointer's", 0x1234, last_trap.frame.eax & 0xffff);
	EXPECT("EBX", 0x11112222, last_trap.frame.ebx);
	EXPECT("CX", 0x1234, last_trap.frame.ecx & 0xffff);
	EXPECT("CS", cs, last_trap.frame.cs);
	EXPECT("EIP, relative to the base", (uint32_t)(show_16_end - show_16), last_trap.frame.eip);
}

CODE16(near_call, "call near_call_to\n\tint $0x80\nnear_call_to: movw $0x4321, %cx\n\tret");

/* A near jump with a 16-bit operand clears EIP[31:16]. */
static void near_transfers_of_16_bits(void)
{
	pointer = (struct far_pointer){ 0, slot(0, segment((uintptr_t)near_call, 0xff, CODE_RX, 0)) };
	RUN("near CALL and RET in a 16-bit segment", EXITS, jump_far, &pointer, 0);
	EXPECT("CX", 0x4321, last_trap.frame.ecx & 0xffff);
	/* The jump lies at 1000Ah of its segment, and leads to 10h. */
	static const uint8_t jump[] = { 0x66, 0xe9, 0x02, 0x00 }, exit[] = { 0xcd, USER_EXIT_VECTOR };
	const uintptr_t base = V86_CODE;
	memcpy((uint8_t *)base + 0x1000a, jump, sizeof jump);
	memcpy((uint8_t *)base + 0x10, exit, sizeof exit);
	pointer = (struct far_pointer){ 0x1000a, slot(1, segment(base, ALL, CODE_RX, FLAT)) };
	RUN("JMP rel16", EXITS, jump_far, &pointer, 0);
	EXPECT("EIP", 0x12, last_trap.frame.eip);
}

static const struct check checks[] = {
	{ "far-jump", "SDM 3, 5.8.1", jump_same_level },
	{ "far-jump-privilege", "SDM 3, 5.8.1.1", jump_privilege },
	{ "far-jump-conforming", "SDM 3, 5.8.1.2", jump_conforming },
	{ "far-jump-errors", "SDM 2, JMP", jump_errors },
	{ "far-call-frame", "SDM 2, CALL", call_frame },
	{ "far-call-16-bit", "SDM 2, CALL", call_of_16_bits },
	{ "far-call-errors", "SDM 2, CALL", call_errors },
	{ "far-return", "SDM 2, RET", return_same_level },
	{ "far-return-outer", "SDM 3, 5.8.6", return_to_outer_level },
	{ "far-return-errors", "SDM 2, RET", return_errors },
	{ "far-return-inner", "SDM 3, 5.8.6", return_to_inner_level },
	{ "iret-same-level", "SDM 2, IRET", iret_same_level },
	{ "iret-flags", "SDM 2, IRET", iret_flags },
	{ "iret-errors", "APM 3, IRET", iret_errors },
	{ "iret-16-bit", "SDM 2, IRET", iret_of_16_bits },
	{ "code-16-bit", "SDM 3, 3.4.5", code_of_16_bits },
	{ "near-transfer-16-bit", "SDM 2, JMP", near_transfers_of_16_bits },
};
CHECK_GROUP(transfer_group, "far jumps, calls and returns", checks);
