/* Interrupt and trap gates, their errors, and the exceptions of 32-bit code (SDM vol. 3, 6.11 to 6.15). */
#include "check.h"

#define ALL 0xfffff
#define VECTOR(n) (SLOT_VECTOR + (n))
/* Error codes that name a gate. */
#define IN_IDT(vector) ((vector) * 8 + 2)
#define EXTERNAL 1

ROUTINE(int_slot, "int $0x90\n\t" EXIT);
ROUTINE(int_slot_with_flags, "pushl %eax\n\tpopfl\n\tint $0x90\n\t" EXIT);
ROUTINE(undefined, "ud2");
ROUTINE(int_beyond, "int $0xf0");
ROUTINE(int_absent, "int $0x81");
ROUTINE(int_kernel, "int $0x82");
ROUTINE(divide, "xorl %edx, %edx\n\txorl %ecx, %ecx\n\tdivide_at: divl %ecx\n\t" EXIT);
extern routine divide_at;

static void set_gate(uint16_t selector, const char *code, unsigned access)
{
	idt[VECTOR(0)] = gate(selector, (uintptr_t)code, access, 0);
}

enum { FLAGS = RFLAGS_FIXED | RFLAGS_IF | RFLAGS_NT | RFLAGS_CF | RFLAGS_OF | RFLAGS_AC, CLEARED = RFLAGS_NT | RFLAGS_TF | RFLAGS_RF | RFLAGS_VM };

static void interrupt_gate(void)
{
	set_gate(KERNEL_CS, landing, INT32);
	RUN("INT", EXITS, int_slot_with_flags, FLAGS, 0);
	EXPECT("EIP pushed", (uintptr_t)int_slot_with_flags + 4, last_trap.frame.eax);
	EXPECT("CS pushed", KERNEL_CS, last_trap.frame.ebx & 0xffff);
	EXPECT("EFLAGS pushed", FLAGS, last_trap.frame.ecx);
	EXPECT("EFLAGS: IF and NT are clear", FLAGS & ~(CLEARED | RFLAGS_IF), last_trap.frame.eflags);
	EXPECT("ESP", last_trap.first_esp - 12, last_trap.frame.esp);
}

static void trap_gate(void)
{
	set_gate(KERNEL_CS, landing, TRAP32);
	RUN("INT", EXITS, int_slot_with_flags, FLAGS, 0);
	EXPECT("EFLAGS pushed", FLAGS, last_trap.frame.ecx);
	EXPECT("EFLAGS: IF is as it was", FLAGS & ~CLEARED, last_trap.frame.eflags);
}

static void gates_of_16_bits(void)
{
	uint16_t cs = slot(0, segment((uintptr_t)landing16, 0xff, CODE_RX, BIG));
	idt[VECTOR(0)] = gate(cs, 0, INT16, 0);
	RUN("INT", EXITS, int_slot_with_flags, FLAGS, 0);
	EXPECT("IP pushed", ((uintptr_t)int_slot_with_flags + 4) & 0xffff, last_trap.frame.eax);
	EXPECT("CS pushed", KERNEL_CS, last_trap.frame.ebx);
	EXPECT("FLAGS pushed", FLAGS & 0xffff, last_trap.frame.ecx);
	EXPECT("ESP", last_trap.first_esp - 6, last_trap.frame.esp);
	EXPECT("EFLAGS: IF is clear", 0, last_trap.frame.eflags & RFLAGS_IF);
	idt[VECTOR(0)] = gate(cs, 0, TRAP16 | DPL3, 0);
	RUN("INT through a trap gate", EXITS, int_slot_with_flags, FLAGS, 0);
	EXPECT("EFLAGS: IF is as it was", RFLAGS_IF, last_trap.frame.eflags & RFLAGS_IF);
	RUN_USER("INT from ring 3", EXITS, int_slot, 0, 0);
	EXPECT("SP pushed", user_stack_top() & 0xffff, last_trap.frame.edx);
	EXPECT("SS pushed", USER_DS, last_trap.frame.esi);
	EXPECT("ESP", esp0_top() - 10, last_trap.frame.esp);
}

static void inner_level(void)
{
	set_gate(KERNEL_CS, landing, INT32 | DPL3);
	RUN_USER("INT from ring 3", EXITS, int_slot, 0, 0);
	EXPECT("EIP pushed", (uintptr_t)int_slot + 2, last_trap.frame.eax);
	EXPECT("CS pushed", USER_CS, last_trap.frame.ebx & 0xffff);
	EXPECT("ESP pushed", user_stack_top(), last_trap.frame.edx);
	EXPECT("SS pushed", USER_DS, last_trap.frame.esi & 0xffff);
	EXPECT("ESP: ESP0 less 20", esp0_top() - 20, last_trap.frame.esp);
	EXPECT("CS", KERNEL_CS, last_trap.frame.cs);
}

static void to_ring_1(void)
{
	set_gate(RING1_CS & ~3, landing, INT32 | DPL3);
	RUN_USER("INT from ring 3", EXITS, int_slot, 0, 0);
	EXPECT("CS", RING1_CS, last_trap.frame.cs);
	EXPECT("SS", RING1_DS, last_trap.frame.ss);
	EXPECT("ESP", esp1_top() - 20, last_trap.frame.esp);
	RUN_RING(1, "INT from ring 1, no other stack", EXITS, int_slot, 0, 0);
	EXPECT("ESP", user_stack_top() - 12, last_trap.frame.esp);
	RUN("INT from ring 0 to ring 1", GP_(RING1_CS & ~3), int_slot, 0, 0);
}

static void conforming_handler(void)
{
	uint16_t conforming = slot(0, segment(0, ALL, CONFORMING_RX, FLAT));
	set_gate(conforming, landing, INT32 | DPL3);
	RUN_USER("INT from ring 3", EXITS, int_slot, 0, 0);
	EXPECT("CS, at CPL 3 still", conforming | 3, last_trap.frame.cs);
	EXPECT("ESP, on the same stack", user_stack_top() - 12, last_trap.frame.esp);
}

static void gate_privilege(void)
{
	RUN("DPL 0 from ring 0", TRAP(KERNEL_VECTOR, 0, 0, (uintptr_t)int_kernel + 2), int_kernel, 0, 0);
	RUN_USER("DPL 0 from ring 3", GP_(IN_IDT(KERNEL_VECTOR)), int_kernel, 0, 0);
	RUN_USER("absent and DPL 0 from ring 3", GP_(IN_IDT(ABSENT_VECTOR)), int_absent, 0, 0);
	set_gate(KERNEL_CS, exit_now, INT32 | DPL1);
	RUN_RING(1, "DPL 1 from ring 1", EXITS, int_slot, 0, 0);
	RUN_USER("DPL 1 from ring 3", GP_(IN_IDT(VECTOR(0))), int_slot, 0, 0);
}

/* An exception pays no heed to the gate's DPL. */
static void exceptions_need_no_privilege(void)
{
	RUN_USER("#UD in ring 3", UD_, undefined, 0, 0);
	EXPECT("CS", USER_CS, last_trap.frame.cs);
	RUN_USER("#DE in ring 3", TRAP(DE, 0, 0, (uintptr_t)divide_at), divide, 0, 0);
}

static void gate_absent(void)
{
	RUN("INT", TRAP(NP, IN_IDT(ABSENT_VECTOR)), int_absent, 0, 0);
	idt_load(0xe0);
	RUN("INT beyond the IDT", GP_(IN_IDT(0xf0)), int_beyond, 0, 0);
	idt_load(256);
	idt[VECTOR(0)] = gate(KERNEL_CS, (uintptr_t)landing, CALL32, 0);
	RUN("a call gate in the IDT", GP_(IN_IDT(VECTOR(0))), int_slot, 0, 0);
	idt[VECTOR(0)] = segment(0, ALL, CODE_RX, FLAT);
	RUN("a code segment in the IDT", GP_(IN_IDT(VECTOR(0))), int_slot, 0, 0);
	idt[VECTOR(0)] = 0;
	RUN("zeros in the IDT", GP_(IN_IDT(VECTOR(0))), int_slot, 0, 0);
}

/* For exceptions bit 0, EXT, says that no INT n was it. */
static void external_bit(void)
{
	idt[UD] &= ~((uint64_t)PRESENT << 40);
	RUN("#UD, gate absent", TRAP(NP, IN_IDT(UD) | EXTERNAL), undefined, 0, 0);
	idt[UD] = gate(0, 0, INT32, 0);
	RUN("#UD, null CS in the gate", GP_(EXTERNAL), undefined, 0, 0);
	idt[UD] = gate(KERNEL_DS, 0, INT32, 0);
	RUN("#UD, data in the gate", GP_(KERNEL_DS | EXTERNAL), undefined, 0, 0);
	idt[UD] = 0;
	RUN("#UD, zeros in the IDT", GP_(IN_IDT(UD) | EXTERNAL), undefined, 0, 0);
}

static void gate_target(void)
{
	uint16_t absent = slot(0, segment(0, ALL, CODE_RX & ~PRESENT, FLAT));
	set_gate(0, landing, INT32);
	RUN("null", GP_(0), int_slot, 0, 0);
	set_gate(KERNEL_DS, landing, INT32);
	RUN("data", GP_(KERNEL_DS), int_slot, 0, 0);
	set_gate(0x7ff8, landing, INT32);
	RUN("beyond the GDT", GP_(0x7ff8), int_slot, 0, 0);
	set_gate(USER_CS & ~3, landing, INT32);
	RUN("outer ring", GP_(USER_CS & ~3), int_slot, 0, 0);
	set_gate(absent, landing, INT32);
	RUN("absent", TRAP(NP, absent), int_slot, 0, 0);
	idt[VECTOR(0)] = gate(short_code(1), 0x100, INT32 | DPL3, 0);
	RUN("offset beyond the limit", GP_(0), int_slot, 0, 0);
}

#define BAD_STACK(what, ss, vector, error) \
	do { \
		main_tss.tss.ss1 = (ss); \
		RUN_USER(what, TRAP(vector, error), int_slot, 0, 0); \
		EXPECT("ESP", user_stack_top(), last_trap.frame.esp); \
	} while (0)

static void bad_stack(void)
{
	uint16_t absent = slot(0, segment(0, ALL, (DATA_RW | DPL1) & ~PRESENT, FLAT)), read_only = slot(1, segment(0, ALL, DATA_R | DPL1, FLAT)),
	         small = slot(2, segment((uintptr_t)scratch[0], 0xfff, DATA_RW | DPL1, BIG));
	set_gate(RING1_CS & ~3, landing, INT32 | DPL3);
	BAD_STACK("null", 0, TS, 0);
	BAD_STACK("RPL is not the new CPL", RING1_DS & ~3, TS, RING1_DS & ~3);
	BAD_STACK("DPL is not the new CPL", KERNEL_DS | 1, TS, KERNEL_DS);
	BAD_STACK("read-only", read_only | 1, TS, read_only);
	BAD_STACK("beyond the GDT", 0x7ff8 | 1, TS, 0x7ff8);
	BAD_STACK("absent", absent | 1, SS, absent);
	main_tss.tss.esp1 = 16;
	BAD_STACK("room for four words of five", small | 1, SS, small);
}

ROUTINE(bad_ds, "movl $0x7ff8, %eax\n\tbad_ds_at: movl %eax, %ds");
extern routine bad_ds_at;

static void error_code_frame(void)
{
	uint16_t cs = slot(0, segment((uintptr_t)landing16, 0xff, CODE_RX, BIG));
	idt[GP] = gate(KERNEL_CS, (uintptr_t)landing, INT32, 0);
	RUN("32-bit gate", EXITS, bad_ds, 0, 0);
	EXPECT("error code pushed", 0x7ff8, last_trap.frame.eax);
	EXPECT("EIP pushed", (uintptr_t)bad_ds_at, last_trap.frame.ebx);
	EXPECT("ESP", last_trap.first_esp - 16, last_trap.frame.esp);
	idt[GP] = gate(cs, 0, INT16, 0);
	RUN("16-bit gate", EXITS, bad_ds, 0, 0);
	EXPECT("error code pushed", 0x7ff8, last_trap.frame.eax);
	EXPECT("IP pushed", (uintptr_t)bad_ds_at & 0xffff, last_trap.frame.ebx);
	EXPECT("CS pushed", KERNEL_CS, last_trap.frame.ecx);
	EXPECT("ESP", last_trap.first_esp - 8, last_trap.frame.esp);
}

ROUTINE(int3, "int3\n\t" EXIT);
ROUTINE(int3_long, ".byte 0xcd, 3\n\t" EXIT);
ROUTINE(icebp, ".byte 0xf1\n\t" EXIT);

static void breakpoint(void)
{
	RUN("INT3", TRAP(BP, 0, 0, (uintptr_t)int3 + 1), int3, 0, 0);
	RUN_USER("INT3 from ring 3, DPL 3", TRAP(BP, 0, 0, (uintptr_t)int3 + 1), int3, 0, 0);
	idt[BP] &= ~((uint64_t)DPL3 << 40);
	RUN_USER("INT3 from ring 3, DPL 0", GP_(IN_IDT(BP)), int3, 0, 0);
	RUN_USER("INT 3 from ring 3, DPL 0", GP_(IN_IDT(BP)), int3_long, 0, 0);
	/* Where EIP points is left open: behind it says the manual, at it says a Zen 5 under a hypervisor. */
	RUN_USER("INT1 from ring 3, DPL 0: no check", TRAP_ANYWHERE(DB, 0), icebp, 0, 0);
}

ROUTINE(into, "movb $0x7f, %al\n\taddb $1, %al\n\tinto_at: into\n\t" EXIT);
ROUTINE(into_not, "xorl %eax, %eax\n\tinto\n\tret");
extern routine into_at;

static void overflow(void)
{
	RUN("INTO, OF=1", TRAP(OF, 0, 0, (uintptr_t)into_at + 1), into, 0, 0);
	RUN("INTO, OF=0", RETURNS, into_not, 0, 0);
	RUN_USER("INTO from ring 3, DPL 3", TRAP(OF, 0, 0, (uintptr_t)into_at + 1), into, 0, 0);
	idt[OF] &= ~((uint64_t)DPL3 << 40);
	RUN_USER("INTO from ring 3, DPL 0", TRAP(GP, IN_IDT(OF), 0, (uintptr_t)into_at), into, 0, 0);
}

ROUTINE(bound, "bound %edx, (%eax)\n\tret");

static void bounds(void)
{
	static const int32_t limits[2] = { -5, 10 };
	RUN("inside", RETURNS, bound, limits, 10);
	RUN("at the lower end", RETURNS, bound, limits, -5);
	RUN("below", TRAP(BR, 0), bound, limits, -6);
	RUN("above", TRAP(BR, 0), bound, limits, 11);
}

ROUTINE(aam_0, "movl $0x1234, %eax\n\taam_0_at: .byte 0xd4, 0\n\tret");
ROUTINE(divide_overflow, "movl $5, %edx\n\tmovl $4, %ecx\n\tdivide_overflow_at: divl %ecx\n\tret");
extern routine aam_0_at, divide_overflow_at;

static void divide_error(void)
{
	RUN("AAM 0", TRAP(DE, 0, 0, (uintptr_t)aam_0_at), aam_0, 0, 0);
	EXPECT("EAX", 0x1234, last_trap.frame.eax);
	RUN("quotient beyond 32 bits", TRAP(DE, 0, 0, (uintptr_t)divide_overflow_at), divide_overflow, 0, 0);
	EXPECT("EDX", 5, last_trap.frame.edx);
}

/* A fault's EFLAGS have RF, so that a breakpoint at the instruction does not come again. */
static void resume_flag(void)
{
	RUN("#UD", UD_, undefined, 0, 0);
	EXPECT("RF pushed", RFLAGS_RF, last_trap.frame.eflags & RFLAGS_RF);
	RUN("INT n", TRAP_ANYWHERE(KERNEL_VECTOR, 0), int_kernel, 0, 0);
	EXPECT("RF pushed", 0, last_trap.frame.eflags & RFLAGS_RF);
}

/* #GP whose gate is bad: #DF, as a task, with the state at the first fault in the TSS of the task before. */
static void double_fault(void)
{
	idt[GP] = gate(KERNEL_DS, 0, INT32, 0);
	RUN("#GP in delivering #GP", TRAP_ANYWHERE(DF, 0), bad_ds, 0, 0);
	EXPECT("TR", FAULT_TSS, last_trap.tr);
	EXPECT("back link", MAIN_TSS, fault_tss.link);
	EXPECT("EIP of the task before", (uintptr_t)bad_ds_at, main_tss.tss.eip);
	EXPECT("CS of the task before", KERNEL_CS, main_tss.tss.cs);
}

static void contributory(void)
{
	idt[DE] = gate(KERNEL_DS, 0, INT32, 0);
	RUN("#GP in delivering #DE", TRAP_ANYWHERE(DF, 0), divide, 0, 0);
	EXPECT("EIP of the task before", (uintptr_t)divide_at, main_tss.tss.eip);
	idt[UD] = gate(KERNEL_DS, 0, INT32, 0);
	RUN("#GP in delivering #UD is a #GP", GP_(KERNEL_DS | EXTERNAL), undefined, 0, 0);
}

/* A stack that can not be pushed to, in ring 0; where limits are not checked, it is memory below 64 KB. */
ROUTINE(no_stack, "movl %eax, %ss\n\tmovl $0x7800, %esp\n\tno_stack_at: pushl %eax\n\t" EXIT);
extern routine no_stack_at;

static void stack_fault_twice(void)
{
	uint16_t small = slot(0, segment(0, 0x6fff, DATA_RW, BIG));
	RUN("#SS in delivering #SS", TRAP_ANYWHERE(DF, 0), no_stack, small, 0);
	EXPECT("EIP of the task before", (uintptr_t)no_stack_at, main_tss.tss.eip);
	EXPECT("ESP of the task before", 0x7800, main_tss.tss.esp);
	EXPECT("SS of the task before", small, main_tss.tss.ss);
}

static const struct check checks[] = {
	{ "interrupt-gate", "SDM 3, 6.12.1", interrupt_gate },
	{ "trap-gate", "SDM 3, 6.12.1.2", trap_gate },
	{ "gate-16-bit", "SDM 3, 21.5", gates_of_16_bits },
	{ "interrupt-inner-level", "SDM 3, 6.12.1", inner_level },
	{ "interrupt-to-ring-1", "SDM 3, 6.12.1.1", to_ring_1 },
	{ "interrupt-conforming", "SDM 3, 6.12.1.1", conforming_handler },
	{ "interrupt-privilege", "SDM 3, 6.12.1.1", gate_privilege },
	{ "exception-no-privilege", "SDM 3, 6.12.1.1", exceptions_need_no_privilege },
	{ "interrupt-gate-errors", "SDM 3, 6.13", gate_absent },
	{ "error-code-ext", "SDM 3, 6.13", external_bit },
	{ "interrupt-target", "SDM 2, INT", gate_target },
	{ "interrupt-bad-stack", "SDM 2, INT", bad_stack },
	{ "error-code-frame", "SDM 3, 6.12.1", error_code_frame },
	{ "int3-int1", "SDM 2, INT", breakpoint },
	{ "into", "SDM 2, INT", overflow },
	{ "bound", "SDM 2, BOUND", bounds },
	{ "divide-error", "SDM 3, 6.15", divide_error },
	{ "resume-flag-pushed", "SDM 3, 17.3.1.1", resume_flag },
	{ "double-fault-task", "SDM 3, 6.15", double_fault },
	{ "double-fault-classes", "SDM 3, 6.15", contributory },
	{ "double-fault-stack", "SDM 3, 6.15", stack_fault_twice },
};
CHECK_GROUP(interrupt_group, "interrupts and exceptions", checks);
