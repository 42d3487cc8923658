/* Descriptors in long mode: segments, call gates, the IDT's gates, LDTR and TR (SDM vol. 3, 3.4.5, 3.5.2, 5.8.3.1, 6.14 and 7.2.3). */
#include "check.h"
#include "../descriptors.h"

/* Access bytes; flags in bits 55:52. */
enum { CODE = 0x9a, DATA = 0x92, DATA_READ_ONLY = 0x90, TSS_AVAILABLE = 0x89, LDT_TYPE = 0x82, CALL_GATE = 0x8c, INTERRUPT_GATE = 0x8e, DPL3 = 0x60, PRESENT = 0x80 };
enum { LONG = 2, BIG = 4, PAGES = 8 };

static uint64_t segment(uint32_t base, uint32_t limit, unsigned access, unsigned flags)
{
	return (uint64_t)(base >> 24) << 56 | (uint64_t)flags << 52 | (uint64_t)(limit >> 16 & 15) << 48 | (uint64_t)access << 40 |
	       (uint64_t)(base & 0xffffff) << 16 | (limit & 0xffff);
}

static void slot_gate(unsigned n, uint16_t selector, uint64_t offset, unsigned access)
{
	slot(n, (offset & 0xffff) | (uint64_t)selector << 16 | (uint64_t)access << 40 | (offset >> 16 & 0xffff) << 48);
	slot(n + 1, offset >> 32);
}

ROUTINE(jump_far, "ljmpl *(%rdi)");
ROUTINE(call_far, "lcalll *(%rdi)\n\tret");
USER_ROUTINE(user_call_far, "lcalll *(%rdi)\n\t" EXIT);
ROUTINE(shows_stack, "movq (%rsp), %rax\n\tmovq 8(%rsp), %rbx\n\tmovl %ss, %ecx\n\t" EXIT);
ROUTINE(exit_now, EXIT);

static struct __attribute__((packed)) {
	uint32_t offset;
	uint16_t selector;
} pointer;

static void *to(uint16_t selector)
{
	pointer.offset = (uint32_t)(uint64_t)exit_now;
	pointer.selector = selector;
	return &pointer;
}

static void far_jump(void)
{
	RUN("64-bit code", EXITS, jump_far, to(slot(0, segment(0, 0, CODE, LONG))), 0);
	EXPECT("CS", SLOT(0), last_trap.frame.cs);
	RUN("L=1 and D=1", GP_(SLOT(0)), jump_far, to(slot(0, segment(0, 0, CODE, LONG | BIG))), 0);
	RUN("data", GP_(SLOT(0)), jump_far, to(slot(0, segment(0, 0, DATA, LONG))), 0);
	RUN("TSS", GP_(TSS_SELECTOR), jump_far, to(TSS_SELECTOR), 0);
	slot_gate(0, KERNEL_CS, (uint64_t)exit_now, 0x85);
	RUN("task gate", GP_(SLOT(0)), jump_far, to(SLOT(0)), 0);
}

static void call_gate_same_level(void)
{
	slot_gate(0, KERNEL_CS, (uint64_t)shows_stack, CALL_GATE);
	RUN("CALL", EXITS, call_far, to(SLOT(0)), 0);
	EXPECT("RIP pushed", (uint64_t)call_far + 2, last_trap.frame.rax);
	EXPECT("CS pushed", KERNEL_CS, last_trap.frame.rbx);
	EXPECT("SS, as it was", KERNEL_SS, last_trap.frame.rcx & 0xffff);
	slot_gate(0, KERNEL_CS, (uint64_t)exit_now, CALL_GATE);
	RUN("JMP", EXITS, jump_far, to(SLOT(0)), 0);
}

static void call_gate_errors(void)
{
	slot_gate(0, KERNEL_CS, (uint64_t)exit_now, CALL_GATE & ~PRESENT);
	RUN("absent", TRAP(NP, SLOT(0)), call_far, to(SLOT(0)), 0);
	slot_gate(0, KERNEL_CS, (uint64_t)exit_now, 0x84);
	RUN("type of a 16-bit gate", GP_(SLOT(0)), call_far, to(SLOT(0)), 0);
	slot_gate(0, KERNEL_CS, (uint64_t)exit_now, CALL_GATE);
	slot(1, (uint64_t)exit_now >> 32 | 0x0cul << 40);
	RUN("type in the upper half", GP_(SLOT(0)), call_far, to(SLOT(0)), 0);
	slot_gate(0, KERNEL_CS, NONCANONICAL, CALL_GATE);
	RUN("offset not canonical", GP_(0), call_far, to(SLOT(0)), 0);
	slot_gate(0, slot(2, segment(0, 0xfffff, CODE, BIG | PAGES)), (uint64_t)exit_now, CALL_GATE);
	RUN("code that is not 64-bit", GP_(SLOT(2)), call_far, to(SLOT(0)), 0);
	slot_gate(0, 0, (uint64_t)exit_now, CALL_GATE);
	RUN("null", GP_(0), call_far, to(SLOT(0)), 0);
}

/* A change of rings leaves SS null, with the new CPL. */
static void call_gate_stack(void)
{
	slot_gate(0, KERNEL_CS, (uint64_t)shows_stack, CALL_GATE | DPL3);
	map(WINDOW, (uint64_t)scratch[0], PTE_P | PTE_W | PTE_U, PTE);
	to(SLOT(0) | 3);
	memcpy(scratch[0], &pointer, sizeof pointer);
	RUN_USER("CALL", EXITS, user_call_far, WINDOW, 0);
	EXPECT("SS", 0, last_trap.frame.rcx & 0xffff);
	EXPECT("RSP", rsp0_top() - 32, last_trap.frame.rsp);
}

ROUTINE(load_ss, "movl %edi, %ss\n\tmovl %ss, %eax\n\tmovl %esi, %ss\n\tret");
USER_ROUTINE(user_load_ss, "movl %edi, %ss\n\t" EXIT);

static void null_stack(void)
{
	RUN("null in ring 0", RETURNS, load_ss, 0, KERNEL_SS);
	EXPECT("SS", 0, probe_result & 0xffff);
	RUN("null with RPL 3 in ring 0", GP_(0), load_ss, 3, KERNEL_SS);
	RUN_USER("null with RPL 3 in ring 3", GP_(0), user_load_ss, 3, 0);
}

ROUTINE(load_es_access, "movl %edi, %es\n\tmovq %es:(%rsi), %rax\n\tmovq %rax, %es:(%rsi)\n\tret");
ROUTINE(load_fs_read, "movl %edi, %fs\n\tmovq %fs:(%rsi), %rax\n\tret");

/* ES has neither base nor limit nor type; FS has its base. */
static void data_segments(void)
{
	static uint64_t word = 0x1212343456567878;
	RUN("ES null", RETURNS, load_es_access, 0, &word);
	RUN("ES with limit 0, base, read-only", RETURNS, load_es_access, slot(0, segment(0x1000, 0, DATA_READ_ONLY, 0)), &word);
	RUN("ES with readable code", RETURNS, load_es_access, slot(0, segment(0, 0, CODE, 0)), &word);
	RUN("FS with a base and limit 0", RETURNS, load_fs_read, slot(0, segment((uint32_t)(uint64_t)&word - 0x100, 0, DATA, 0)), 0x100);
	EXPECT("word", word, probe_result);
	RUN("type at the load counts", GP_(SLOT(0)), load_es_access, slot(0, segment(0, 0, 0x98, 0)), &word);
}

ROUTINE(int_slot, "int $0x90\n\t" EXIT);

static void idt_gate(uint16_t selector, uint64_t offset, unsigned access)
{
	idt_set(0x90, (offset & 0xffff) | (uint64_t)selector << 16 | (uint64_t)access << 40 | (offset >> 16 & 0xffff) << 48, offset >> 32);
}

static void idt_gates(void)
{
	const uint64_t error = 0x90 * 8 + 2;
	idt_gate(KERNEL_CS, (uint64_t)exit_now, INTERRUPT_GATE);
	RUN("interrupt gate", EXITS, int_slot, 0, 0);
	idt_gate(KERNEL_CS, (uint64_t)exit_now, 0x8f);
	RUN("trap gate", EXITS, int_slot, 0, 0);
	idt_gate(KERNEL_CS, (uint64_t)exit_now, 0x86);
	RUN("16-bit interrupt gate", GP_(error), int_slot, 0, 0);
	idt_gate(TSS_SELECTOR, (uint64_t)exit_now, 0x85);
	RUN("task gate", GP_(error), int_slot, 0, 0);
	idt_gate(KERNEL_CS, (uint64_t)exit_now, CALL_GATE);
	RUN("call gate", GP_(error), int_slot, 0, 0);
}

static void idt_targets(void)
{
	idt_gate(0, (uint64_t)exit_now, INTERRUPT_GATE);
	RUN("null", GP_(0), int_slot, 0, 0);
	idt_gate(KERNEL_SS, (uint64_t)exit_now, INTERRUPT_GATE);
	RUN("data", GP_(KERNEL_SS), int_slot, 0, 0);
	idt_gate(USER_CS & ~3, (uint64_t)exit_now, INTERRUPT_GATE);
	RUN("outer ring", GP_(USER_CS & ~3), int_slot, 0, 0);
	idt_gate(ABSENT_CODE, (uint64_t)exit_now, INTERRUPT_GATE);
	RUN("absent", TRAP(NP, ABSENT_CODE), int_slot, 0, 0);
	idt_gate(slot(0, segment(0, 0xfffff, CODE, BIG | PAGES)), (uint64_t)exit_now, INTERRUPT_GATE);
	RUN("code that is not 64-bit", GP_(SLOT(0)), int_slot, 0, 0);
	idt_gate(KERNEL_CS, NONCANONICAL, INTERRUPT_GATE);
	RUN("offset not canonical", GP_(0), int_slot, 0, 0);
}

ROUTINE(ltr, "ltr %di\n\tstr %ax\n\tmovzwl %ax, %eax\n\tret");
ROUTINE(lldt, "lldt %di\n\tsldt %ax\n\tmovzwl %ax, %eax\n\tret");

static void task_register(void)
{
	RUN("busy", GP_(TSS_SELECTOR), ltr, TSS_SELECTOR, 0);
	RUN("null", GP_(0), ltr, 0, 0);
	RUN("data", GP_(KERNEL_SS), ltr, KERNEL_SS, 0);
	slot(0, segment((uint32_t)(uint64_t)&tss, sizeof tss - 1, TSS_AVAILABLE & ~PRESENT, 0));
	slot(1, 0);
	RUN("absent", TRAP(NP, SLOT(0)), ltr, SLOT(0), 0);
	slot(0, segment((uint32_t)(uint64_t)&tss, sizeof tss - 1, TSS_AVAILABLE, 0));
	RUN("available", RETURNS, ltr, SLOT(0), 0);
	EXPECT("STR", SLOT(0), probe_result);
}

static void local_table(void)
{
	static uint64_t table[2];
	table[1] = segment(0, 0, DATA, 0);
	slot(0, segment((uint32_t)(uint64_t)table, sizeof table - 1, LDT_TYPE, 0));
	slot(1, 0);
	RUN("LLDT", RETURNS, lldt, SLOT(0), 0);
	EXPECT("SLDT", SLOT(0), probe_result);
	uint64_t word = 0;
	RUN("a segment in it", RETURNS, load_es_access, 0xc, &word);
	RUN("beyond its limit", GP_(0x14), load_es_access, 0x14, &word);
	RUN("LLDT of a TSS", GP_(TSS_SELECTOR), lldt, TSS_SELECTOR, 0);
	RUN("LLDT of null", RETURNS, lldt, 0, 0);
}

ROUTINE(pop_segments, "pushq %fs\n\tpushq %rdi\n\tpopq %fs\n\tmovl %fs, %eax\n\tpopq %fs\n\tret");
ROUTINE(bad_opcodes, ".byte 0x07\n\tret");

static void push_pop_segments(void)
{
	RUN("PUSH and POP of FS", RETURNS, pop_segments, KERNEL_SS, 0);
	EXPECT("FS", KERNEL_SS, probe_result & 0xffff);
	RUN("POP ES", UD_, bad_opcodes, 0, 0);
}

static const struct check checks[] = {
	{ "far-jump-64", "SDM 2, JMP", far_jump },
	{ "call-gate-64-same-level", "SDM 3, 5.8.3.1", call_gate_same_level },
	{ "call-gate-64-errors", "SDM 3, 5.8.3.1", call_gate_errors },
	{ "call-gate-64-stack", "SDM 3, 5.8.5.1", call_gate_stack },
	{ "null-stack-64", "SDM 3, 5.4.1.1", null_stack },
	{ "data-segments-64", "SDM 3, 3.4.4", data_segments },
	{ "idt-gates-64", "SDM 3, 6.14.1", idt_gates },
	{ "idt-targets-64", "SDM 3, 6.14.1", idt_targets },
	{ "ltr-64", "SDM 3, 7.2.4", task_register },
	{ "lldt-64", "SDM 3, 3.5.2", local_table },
	{ "push-pop-segment-64", "SDM 2, PUSH", push_pop_segments },
};
CHECK_GROUP(descriptor_group, "descriptors and gates in long mode", checks);
