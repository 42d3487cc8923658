/* Call gates: privileges, stacks, parameters (SDM vol. 3, 5.8.2 to 5.8.6). */
#include "check.h"

#define ALL 0xfffff

ROUTINE(user_call_far, "lcalll *(%eax)\n\t" EXIT);
ROUTINE(user_jump_far, "ljmpl *(%eax)");

static struct far_pointer pointer;

/* A pointer to gate n, whose offset counts for nothing. */
static struct far_pointer *through(unsigned n, unsigned rpl)
{
	pointer = (struct far_pointer){ 0xdeadbeef, SLOT(n) | rpl };
	return &pointer;
}

/* Gate n to code. */
static void make_gate(unsigned n, uint16_t selector, const char *code, unsigned access, unsigned parameters)
{
	slot(n, gate(selector, (uintptr_t)code, access, parameters));
}

static void same_level(void)
{
	make_gate(0, KERNEL_CS, landing, CALL32, 3);
	RUN("CALL", EXITS, call_far, through(0, 0), 0);
	EXPECT("EIP pushed", (uintptr_t)call_far + 2, last_trap.frame.eax);
	EXPECT("CS pushed", KERNEL_CS, last_trap.frame.ebx & 0xffff);
	EXPECT("ESP: no parameters are copied", last_trap.first_esp - 8, last_trap.frame.esp);
	EXPECT("CS", KERNEL_CS, last_trap.frame.cs);
}

static void inner_level(void)
{
	make_gate(0, KERNEL_CS, landing, CALL32 | DPL3, 0);
	RUN_USER("CALL", EXITS, user_call_far, through(0, 3), 0);
	EXPECT("EIP pushed", (uintptr_t)user_call_far + 2, last_trap.frame.eax);
	EXPECT("CS pushed", USER_CS, last_trap.frame.ebx & 0xffff);
	EXPECT("ESP pushed", user_stack_top(), last_trap.frame.ecx);
	EXPECT("SS pushed", USER_DS, last_trap.frame.edx & 0xffff);
	EXPECT("ESP: ESP0 less 16", esp0_top() - 16, last_trap.frame.esp);
	EXPECT("SS: SS0", KERNEL_DS, last_trap.frame.ss);
	EXPECT("CS, with RPL 0", KERNEL_CS, last_trap.frame.cs);
}

ROUTINE(user_call_two, "pushl $0x2222\n\tpushl $0x1111\n\tlcalll *(%eax)\n\t" EXIT);
ROUTINE(return_two, "movl 8(%esp), %ebx\n\tmovl 12(%esp), %ecx\n\tlret $8");

static void parameters(void)
{
	make_gate(0, KERNEL_CS, landing, CALL32 | DPL3, 2);
	RUN_USER("CALL with two parameters", EXITS, user_call_two, through(0, 3), 0);
	EXPECT("first", 0x1111, last_trap.frame.ecx);
	EXPECT("second", 0x2222, last_trap.frame.edx);
	EXPECT("ESP pushed: with the parameters", user_stack_top() - 8, last_trap.frame.esi);
	EXPECT("SS pushed", USER_DS, last_trap.frame.edi & 0xffff);
	EXPECT("ESP", esp0_top() - 24, last_trap.frame.esp);
}

/* RET 8 releases the parameters on both stacks. */
static void parameters_and_back(void)
{
	make_gate(0, KERNEL_CS, return_two, CALL32 | DPL3, 2);
	RUN_USER("CALL and RET 8", EXITS, user_call_two, through(0, 3), 0);
	EXPECT("CS", USER_CS, last_trap.frame.cs);
	EXPECT("first parameter, seen inside", 0x1111, last_trap.frame.ebx);
	EXPECT("ESP", user_stack_top(), last_trap.frame.esp);
	EXPECT("SS", USER_DS, last_trap.frame.ss);
}

ROUTINE(user_call_many, "movl $31, %ecx\n\t1: pushl %ecx\n\tloop 1b\n\tlcalll *(%eax)\n\t" EXIT);
ROUTINE(sum_many, "xorl %ebx, %ebx\n\tmovl $31, %ecx\n\t1: addl 4(%esp,%ecx,4), %ebx\n\tloop 1b\n\tmovl 132(%esp), %edx\n\t" EXIT);

static void most_parameters(void)
{
	make_gate(0, KERNEL_CS, sum_many, CALL32 | DPL3, 31);
	RUN_USER("CALL with 31 parameters", EXITS, user_call_many, through(0, 3), 0);
	EXPECT("their sum", 31 * 32 / 2, last_trap.frame.ebx);
	EXPECT("ESP pushed", user_stack_top() - 124, last_trap.frame.edx);
	EXPECT("ESP", esp0_top() - 16 - 124, last_trap.frame.esp);
}

static void to_ring_1(void)
{
	make_gate(0, RING1_CS & ~3, landing, CALL32 | DPL3, 0);
	RUN_USER("CALL", EXITS, user_call_far, through(0, 3), 0);
	EXPECT("CS, with RPL 1", RING1_CS, last_trap.frame.cs);
	EXPECT("SS: SS1", RING1_DS, last_trap.frame.ss);
	EXPECT("ESP: ESP1 less 16", esp1_top() - 16, last_trap.frame.esp);
	RUN_RING(1, "CALL from ring 1, no other stack", EXITS, user_call_far, through(0, 1), 0);
	EXPECT("ESP", user_stack_top() - 8, last_trap.frame.esp);
}

ROUTINE(user_call_words, "pushw $0x2222\n\tpushw $0x1111\n\tlcalll *(%eax)\n\t" EXIT);

/* A 16-bit gate pushes words and counts its parameters in words. */
static void of_16_bits(void)
{
	uint16_t cs = slot(1, segment((uintptr_t)landing16, 0xff, CODE_RX, BIG));
	slot(0, gate(cs, 0, CALL16 | DPL3, 2));
	RUN_USER("CALL", EXITS, user_call_words, through(0, 3), 0);
	EXPECT("IP pushed", ((uintptr_t)user_call_words + 10) & 0xffff, last_trap.frame.eax);
	EXPECT("CS pushed", USER_CS, last_trap.frame.ebx);
	EXPECT("first parameter", 0x1111, last_trap.frame.ecx);
	EXPECT("second parameter", 0x2222, last_trap.frame.edx);
	EXPECT("SP pushed", (user_stack_top() - 4) & 0xffff, last_trap.frame.esi);
	EXPECT("SS pushed", USER_DS, last_trap.frame.edi);
	EXPECT("ESP", esp0_top() - 12, last_trap.frame.esp);
}

/* Bits 31:16 of the offset do not count. */
static void offset_of_16_bits(void)
{
	static const uint8_t exit[] = { 0xcd, USER_EXIT_VECTOR };
	memcpy((void *)V86_CODE, exit, sizeof exit);
	memcpy((void *)(V86_CODE + 0x10000), exit, sizeof exit);
	uint16_t cs = slot(1, segment(V86_CODE, ALL, CODE_RX, BIG));
	slot(0, gate(cs, 0x10000, CALL16, 0));
	RUN("CALL", EXITS, call_far, through(0, 0), 0);
	EXPECT("EIP behind the exit", sizeof exit, last_trap.frame.eip);
}

static void gate_privilege(void)
{
	make_gate(0, KERNEL_CS, landing, CALL32, 0);
	make_gate(1, KERNEL_CS, landing, CALL32 | DPL1, 0);
	make_gate(3, KERNEL_CS, landing, CALL32 | DPL3, 0);
	RUN_USER("CPL 3, DPL 0", GP_(SLOT(0)), user_call_far, through(0, 0), 0);
	RUN("CPL 0, RPL 3, DPL 0", GP_(SLOT(0)), call_far, through(0, 3), 0);
	RUN_RING(1, "CPL 1, RPL 1, DPL 1", EXITS, user_call_far, through(1, 1), 0);
	RUN_RING(1, "CPL 1, RPL 3, DPL 1", GP_(SLOT(1)), user_call_far, through(1, 3), 0);
	RUN_USER("CPL 3, RPL 0, DPL 3", EXITS, user_call_far, through(3, 0), 0);
	RUN("CPL 0, RPL 3, DPL 3", EXITS, call_far, through(3, 3), 0);
}

static void gate_absent(void)
{
	make_gate(0, KERNEL_CS, landing, (CALL32 | DPL3) & ~PRESENT, 0);
	make_gate(1, KERNEL_CS, landing, CALL32 & ~PRESENT, 0);
	RUN_USER("CALL", TRAP(NP, SLOT(0)), user_call_far, through(0, 3), 0);
	RUN_USER("JMP", TRAP(NP, SLOT(0)), user_jump_far, through(0, 3), 0);
	RUN_USER("privilege comes first", GP_(SLOT(1)), user_call_far, through(1, 3), 0);
}

static void gate_target(void)
{
	uint16_t absent = slot(1, segment(0, ALL, CODE_RX & ~PRESENT, FLAT));
	make_gate(0, 0, landing, CALL32, 0);
	RUN("null", GP_(0), call_far, through(0, 0), 0);
	make_gate(0, 3, landing, CALL32, 0);
	RUN("null, RPL 3", GP_(0), call_far, through(0, 0), 0);
	make_gate(0, KERNEL_DS, landing, CALL32, 0);
	RUN("data", GP_(KERNEL_DS), call_far, through(0, 0), 0);
	make_gate(0, MAIN_TSS, landing, CALL32, 0);
	RUN("TSS", GP_(MAIN_TSS), call_far, through(0, 0), 0);
	make_gate(0, 0x7ff8, landing, CALL32, 0);
	RUN("beyond the GDT", GP_(0x7ff8), call_far, through(0, 0), 0);
	make_gate(0, USER_CS, landing, CALL32, 0);
	RUN("outer ring", GP_(USER_CS & ~3), call_far, through(0, 0), 0);
	make_gate(0, absent, landing, CALL32, 0);
	RUN("absent", TRAP(NP, absent), call_far, through(0, 0), 0);
	make_gate(0, KERNEL_CS | 3, landing, CALL32, 0);
	RUN("RPL of the gate's selector does not count", EXITS, call_far, through(0, 0), 0);
	EXPECT("CS", KERNEL_CS, last_trap.frame.cs);
}

static void offset_limit(void)
{
	slot(0, gate(short_code(1), 0x100, CALL32 | DPL3, 0));
	RUN("CALL", GP_(0), call_far, through(0, 0), 0);
	EXPECT("ESP", last_trap.first_esp, last_trap.frame.esp);
	RUN("JMP", GP_(0), jump_far, through(0, 0), 0);
	RUN_USER("CALL from ring 3", GP_(0), user_call_far, through(0, 3), 0);
	EXPECT("ESP", user_stack_top(), last_trap.frame.esp);
	EXPECT("CS", USER_CS, last_trap.frame.cs);
}

static void jump_through_gate(void)
{
	uint16_t conforming = slot(1, segment(0, ALL, CONFORMING_RX, FLAT));
	make_gate(0, KERNEL_CS, exit_now, CALL32 | DPL3, 0);
	RUN("JMP, same level", EXITS, jump_far, through(0, 0), 0);
	EXPECT("ESP", last_trap.first_esp, last_trap.frame.esp);
	RUN_USER("JMP to an inner ring", GP_(KERNEL_CS), user_jump_far, through(0, 3), 0);
	make_gate(0, conforming, exit_now, CALL32 | DPL3, 0);
	RUN_USER("JMP to conforming code of ring 0", EXITS, user_jump_far, through(0, 3), 0);
	EXPECT("CS, at CPL 3 still", conforming | 3, last_trap.frame.cs);
}

static void conforming_target(void)
{
	uint16_t conforming = slot(1, segment(0, ALL, CONFORMING_RX, FLAT));
	make_gate(0, conforming, landing, CALL32 | DPL3, 5);
	RUN_USER("CALL", EXITS, user_call_far, through(0, 3), 0);
	EXPECT("CS, at CPL 3 still", conforming | 3, last_trap.frame.cs);
	EXPECT("ESP, on the same stack", user_stack_top() - 8, last_trap.frame.esp);
	EXPECT("EIP pushed", (uintptr_t)user_call_far + 2, last_trap.frame.eax);
}

/* Gate to ring 1 with a stack that will not do; the fault itself arrives in ring 0. */
#define BAD_STACK(what, ss, vector, error) \
	do { \
		main_tss.tss.ss1 = (ss); \
		RUN_USER(what, TRAP(vector, error), user_call_far, through(0, 3), 0); \
		EXPECT("CS", USER_CS, last_trap.frame.cs); \
		EXPECT("ESP", user_stack_top(), last_trap.frame.esp); \
	} while (0)

static void bad_stack(void)
{
	uint16_t absent = slot(1, segment(0, ALL, (DATA_RW | DPL1) & ~PRESENT, FLAT)), read_only = slot(2, segment(0, ALL, DATA_R | DPL1, FLAT));
	make_gate(0, RING1_CS & ~3, landing, CALL32 | DPL3, 0);
	BAD_STACK("null", 0, TS, 0);
	BAD_STACK("RPL is not the new CPL", RING1_DS & ~3, TS, RING1_DS & ~3);
	BAD_STACK("DPL is not the new CPL", KERNEL_DS | 1, TS, KERNEL_DS);
	BAD_STACK("read-only", read_only | 1, TS, read_only);
	BAD_STACK("code", RING1_CS, TS, RING1_CS & ~3);
	BAD_STACK("beyond the GDT", 0x7ff8 | 1, TS, 0x7ff8);
	BAD_STACK("absent", absent | 1, SS, absent);
}

static void stack_without_room(void)
{
	uint16_t small = slot(1, segment((uintptr_t)scratch[0], 0xfff, DATA_RW | DPL1, BIG));
	make_gate(0, RING1_CS & ~3, exit_now, CALL32 | DPL3, 0);
	main_tss.tss.ss1 = small | 1;
	main_tss.tss.esp1 = 0x1000;
	RUN_USER("room for four", EXITS, user_call_far, through(0, 3), 0);
	main_tss.tss.esp1 = 12;
	RUN_USER("room for three", TRAP(SS, small), user_call_far, through(0, 3), 0);
	main_tss.tss.esp1 = 0x1004;
	RUN_USER("top beyond the limit", TRAP(SS, small), user_call_far, through(0, 3), 0);
}

static void stack_beyond_the_tss(void)
{
	make_gate(0, RING1_CS & ~3, landing, CALL32 | DPL3, 0);
	uint16_t tss = slot(1, segment((uintptr_t)&main_tss, offsetof(struct tss, ss1) - 1, TSS32, 0));
	asm volatile("ltr %w0" :: "r"(tss));
	RUN_USER("CALL", TRAP(TS, tss), user_call_far, through(0, 3), 0);
}

static void gate_in_the_ldt(void)
{
	ldt[2] = gate(KERNEL_CS, (uintptr_t)landing, CALL32, 0);
	asm volatile("lldt %w0" :: "r"(LDT));
	pointer = (struct far_pointer){ 0, 0x14 };
	RUN("CALL", EXITS, call_far, &pointer, 0);
	EXPECT("EIP pushed", (uintptr_t)call_far + 2, last_trap.frame.eax);
	ldt[2] = gate(KERNEL_CS, (uintptr_t)landing, CALL32 & ~PRESENT, 0);
	RUN("absent", TRAP(NP, 0x14), call_far, &pointer, 0);
}

ROUTINE(show_data_segments, "movl %ds, %eax\n\tmovl %es, %ebx\n\tlret");

static void data_segments_across_gates(void)
{
	make_gate(0, KERNEL_CS, show_data_segments, CALL32 | DPL3, 0);
	prepare_ring(3, user_call_far, (uintptr_t)through(0, 3), 0);
	start.es = 0;
	RUN_START("CALL and RET", EXITS);
	EXPECT("DS inside", USER_DS, last_trap.frame.eax & 0xffff);
	EXPECT("DS afterwards", USER_DS, last_trap.frame.ds);
	EXPECT("ES afterwards", 0, last_trap.frame.es);
}

static const struct check checks[] = {
	{ "call-gate-same-level", "SDM 3, 5.8.4", same_level },
	{ "call-gate-inner-level", "SDM 3, 5.8.5", inner_level },
	{ "call-gate-parameters", "SDM 3, 5.8.5", parameters },
	{ "call-gate-and-return", "SDM 3, 5.8.6", parameters_and_back },
	{ "call-gate-31-parameters", "SDM 3, 5.8.3", most_parameters },
	{ "call-gate-to-ring-1", "SDM 3, 5.8.5", to_ring_1 },
	{ "call-gate-16-bit", "SDM 3, 21.4.3", of_16_bits },
	{ "call-gate-16-bit-offset", "SDM 3, 21.4.3", offset_of_16_bits },
	{ "call-gate-privilege", "SDM 3, 5.8.4", gate_privilege },
	{ "call-gate-absent", "SDM 2, CALL", gate_absent },
	{ "call-gate-target", "SDM 2, CALL", gate_target },
	{ "call-gate-offset-limit", "SDM 2, CALL", offset_limit },
	{ "call-gate-jump", "SDM 3, 5.8.4", jump_through_gate },
	{ "call-gate-conforming", "SDM 3, 5.8.4", conforming_target },
	{ "call-gate-bad-stack", "SDM 2, CALL", bad_stack },
	{ "call-gate-stack-room", "SDM 2, CALL", stack_without_room },
	{ "call-gate-stack-in-tss", "SDM 2, CALL", stack_beyond_the_tss },
	{ "call-gate-in-ldt", "SDM 3, 5.8.3", gate_in_the_ldt },
	{ "call-gate-data-segments", "SDM 3, 5.8.6", data_segments_across_gates },
};
CHECK_GROUP(gate_group, "call gates", checks);
