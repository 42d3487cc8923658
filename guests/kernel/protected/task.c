/*
 * Hardware task switches (SDM vol. 3, chapter 7): by JMP, CALL, task gates,
 * INT, exceptions and IRET, between 32-bit and 16-bit TSSs. The task switched
 * to runs `seen_here`, which exits at once, so last_trap has its registers and
 * the TSSs have what the switch saved.
 */
#include "check.h"
#include "../identity.h"

#define ALL 0xfffff
/* Slots of the descriptors. */
enum { TASK = 0, OTHER, NARROW, GATE };

static struct tss task, other;
static struct tss16 narrow;
static uint8_t task_stack[1024] __attribute__((aligned(16)));
#define STACK_TOP ((uintptr_t)task_stack + sizeof task_stack - 128)

/* Below 64 KB, where nobody needs anything after the command line was read. */
enum { NARROW_SP0 = 0x7000 };

static struct far_pointer pointer;

static struct far_pointer *selector_of(unsigned n, unsigned rpl)
{
	pointer = (struct far_pointer){ 0xdeadbeef, SLOT(n) | rpl };
	return &pointer;
}

ROUTINE(seen_here, EXIT);
ROUTINE(return_from_task, "1: movl $0x7e57, %ebx\n\tiret\n\t" EXIT "jmp 1b");

/* A segment at a routine, for the 16-bit task. */
static uint64_t narrow_code(const char *routine)
{
	return segment((uintptr_t)routine, 0xff, CODE_RX | DPL3, BIG);
}

static void make_tasks(void)
{
	task = (struct tss){
		.eip = (uintptr_t)seen_here, .eflags = RFLAGS_FIXED | RFLAGS_CF, .esp = STACK_TOP, .cs = KERNEL_CS, .ss = KERNEL_DS,
		.ds = KERNEL_DS, .es = KERNEL_DS, .eax = 0xa, .ecx = 0xc, .edx = 0xd, .ebx = 0xb, .ebp = 0xeb, .esi = 0xe5, .edi = 0xed,
		.io_map_base = sizeof(struct tss),
	};
	other = task;
	/* In ring 3, since what ESP[31:16] gets from it is not said: a trap then has another stack, at SP0. */
	narrow = (struct tss16){
		.ip = 0, .flags = RFLAGS_FIXED | RFLAGS_CF, .sp = 0xff0, .ax = 0xa, .cx = 0xc, .dx = 0xd, .bx = 0xb, .bp = 0xeb, .si = 0xe5,
		.di = 0xed, .cs = slot(8, narrow_code(seen_here)) | 3,
		.ss = slot(9, segment((uintptr_t)scratch[0], 0xfff, DATA_RW | DPL3, 0)) | 3, .ds = USER_DS, .es = USER_DS,
		.sp0 = NARROW_SP0, .ss0 = KERNEL_DS,
	};
	slot(TASK, segment((uintptr_t)&task, sizeof task - 1, TSS32, 0));
	slot(OTHER, segment((uintptr_t)&other, sizeof other - 1, TSS32, 0));
	slot(NARROW, segment((uintptr_t)&narrow, sizeof narrow - 1, TSS16, 0));
}

ROUTINE(jump_with_registers, "movl $0x11, %ecx\n\tmovl $0x22, %edx\n\tmovl $0x33, %ebx\n\tmovl $0x55, %ebp\n\tmovl $0x66, %esi\n\t"
	"movl $0x77, %edi\n\tstc\n\tljmpl *(%eax)\n\tjump_with_registers_next: ret");
extern routine jump_with_registers_next;

static void jump_loads(void)
{
	make_tasks();
	task.fs = KERNEL_DS;
	RUN("JMP", EXITS, jump_far, selector_of(TASK, 0), 0);
	const struct trap_frame *f = &last_trap.frame;
	EXPECT("TR", SLOT(TASK), last_trap.tr);
	EXPECT("EIP", (uintptr_t)seen_here + 2, f->eip);
	EXPECT("EFLAGS", RFLAGS_FIXED | RFLAGS_CF, f->eflags);
	EXPECT("EAX", 0xa, f->eax);
	EXPECT("ECX", 0xc, f->ecx);
	EXPECT("EDX", 0xd, f->edx);
	EXPECT("EBX", 0xb, f->ebx);
	EXPECT("EBP", 0xeb, f->ebp);
	EXPECT("ESI", 0xe5, f->esi);
	EXPECT("EDI", 0xed, f->edi);
	EXPECT("ESP", STACK_TOP, f->esp);
	EXPECT("FS", KERNEL_DS, f->fs);
	EXPECT("GS", 0, f->gs);
}

static void jump_saves(void)
{
	make_tasks();
	main_tss.tss.link = 0x5a5a;
	main_tss.tss.ss2 = 0x1234;
	RUN("JMP", EXITS, jump_with_registers, selector_of(TASK, 0), 0);
	const struct tss *t = &main_tss.tss;
	EXPECT("EIP, after the JMP", (uintptr_t)jump_with_registers_next, t->eip);
	EXPECT("EFLAGS", RFLAGS_CF, t->eflags & RFLAGS_STATUS);
	EXPECT("EAX", (uintptr_t)&pointer, t->eax);
	EXPECT("ECX", 0x11, t->ecx);
	EXPECT("EDX", 0x22, t->edx);
	EXPECT("EBX", 0x33, t->ebx);
	EXPECT("EBP", 0x55, t->ebp);
	EXPECT("ESI", 0x66, t->esi);
	EXPECT("EDI", 0x77, t->edi);
	EXPECT("ESP", last_trap.first_esp, t->esp);
	EXPECT("CS", KERNEL_CS, t->cs & 0xffff);
	EXPECT("SS", KERNEL_DS, t->ss & 0xffff);
	EXPECT("link, not touched", 0x5a5a, t->link);
	EXPECT("SS2, not touched", 0x1234, t->ss2);
}

/* The trap handler makes the main task current again, so its busy bit is seen from the task. */
ROUTINE(show_busy, "movzbl gdt + 0x28 + 5, %eax\n\tmovzbl gdt + 0x50 + 5, %ebx\n\tpushfl\n\tpopl %ecx\n\t" EXIT);

static void jump_busy(void)
{
	make_tasks();
	task.eip = (uintptr_t)show_busy;
	RUN("JMP", EXITS, jump_far, selector_of(TASK, 0), 0);
	EXPECT("old TSS: available", TSS32, last_trap.frame.eax);
	EXPECT("new TSS: busy", TSS32_BUSY, last_trap.frame.ebx);
	EXPECT("NT", 0, last_trap.frame.ecx & RFLAGS_NT);
}

static void call_links(void)
{
	make_tasks();
	task.eip = (uintptr_t)show_busy;
	RUN("CALL", EXITS, call_far, selector_of(TASK, 0), 0);
	EXPECT("old TSS: busy still", TSS32_BUSY, last_trap.frame.eax);
	EXPECT("new TSS: busy", TSS32_BUSY, last_trap.frame.ebx);
	EXPECT("NT", RFLAGS_NT, last_trap.frame.ecx & RFLAGS_NT);
	EXPECT("link", MAIN_TSS, task.link & 0xffff);
	EXPECT("EIP saved", (uintptr_t)call_far + 2, main_tss.tss.eip);
}

static void call_and_return(void)
{
	make_tasks();
	task.eip = (uintptr_t)return_from_task;
	for (unsigned turn = 0; turn < 2; turn++) {
		RUN("CALL and IRET", RETURNS, call_far, selector_of(TASK, 0), 0);
		EXPECT("TSS: available", TSS32, access_of(SLOT(TASK)));
		EXPECT("TSS: NT, as IRET leaves it", 0, task.eflags & RFLAGS_NT);
		EXPECT("TSS: EBX", 0x7e57, task.ebx);
		EXPECT("main TSS: busy", TSS32_BUSY, access_of(MAIN_TSS));
		uint16_t tr;
		asm("str %0" : "=r"(tr));
		EXPECT("TR", MAIN_TSS, tr);
		/* The second time it goes on behind the IRET. */
		task.eip = (uintptr_t)return_from_task;
	}
}

static void task_gate(void)
{
	make_tasks();
	slot(GATE, gate(SLOT(TASK), 0, TASK_GATE, 0));
	RUN("JMP", EXITS, jump_far, selector_of(GATE, 0), 0);
	EXPECT("TR", SLOT(TASK), last_trap.tr);
	make_tasks();
	slot(GATE, gate(SLOT(TASK), 0, TASK_GATE | DPL3, 0));
	RUN_USER("JMP from ring 3 through a gate of DPL 3", EXITS, jump_far, selector_of(GATE, 3), 0);
	EXPECT("TR", SLOT(TASK), last_trap.tr);
	EXPECT("CS saved", USER_CS, main_tss.tss.cs & 0xffff);
}

static void task_privilege(void)
{
	make_tasks();
	RUN_USER("TSS of DPL 0 from ring 3", GP_(SLOT(TASK)), jump_far, selector_of(TASK, 0), 0);
	RUN("TSS of DPL 0, RPL 3", GP_(SLOT(TASK)), jump_far, selector_of(TASK, 3), 0);
	slot(GATE, gate(SLOT(TASK), 0, TASK_GATE, 0));
	RUN_USER("gate of DPL 0 from ring 3", GP_(SLOT(GATE)), jump_far, selector_of(GATE, 0), 0);
	gdt[SLOT(TASK) / 8] |= (uint64_t)DPL3 << 40;
	RUN_USER("TSS of DPL 3 from ring 3", EXITS, jump_far, selector_of(TASK, 3), 0);
}

static void task_errors(void)
{
	make_tasks();
	RUN("busy TSS", GP_(MAIN_TSS), jump_far, &((struct far_pointer){ 0, MAIN_TSS }), 0);
	RUN("busy TSS, CALL", GP_(MAIN_TSS), call_far, &((struct far_pointer){ 0, MAIN_TSS }), 0);
	slot(TASK, segment((uintptr_t)&task, sizeof task - 1, TSS32 & ~PRESENT, 0));
	RUN("absent TSS", TRAP(NP, SLOT(TASK)), jump_far, selector_of(TASK, 0), 0);
	slot(TASK, segment((uintptr_t)&task, 0x66, TSS32, 0));
	RUN("limit below 67h", TRAP(TS, SLOT(TASK)), jump_far, selector_of(TASK, 0), 0);
	EXPECT("TSS: available still", TSS32, access_of(SLOT(TASK)));
	slot(TASK, segment((uintptr_t)&task, 0x67, TSS32, 0));
	RUN("limit 67h", EXITS, jump_far, selector_of(TASK, 0), 0);
	ldt[1] = segment((uintptr_t)&task, sizeof task - 1, TSS32, 0);
	asm volatile("lldt %w0" :: "r"(LDT));
	RUN("TSS in the LDT", GP_(0xc), jump_far, &((struct far_pointer){ 0, 0xc }), 0);
}

static void task_gate_errors(void)
{
	make_tasks();
	slot(GATE, gate(SLOT(TASK), 0, TASK_GATE & ~PRESENT, 0));
	RUN("absent gate", TRAP(NP, SLOT(GATE)), jump_far, selector_of(GATE, 0), 0);
	slot(GATE, gate(KERNEL_DS, 0, TASK_GATE, 0));
	RUN("gate to data", GP_(KERNEL_DS), jump_far, selector_of(GATE, 0), 0);
	slot(GATE, gate(0x7ff8, 0, TASK_GATE, 0));
	RUN("gate beyond the GDT", GP_(0x7ff8), jump_far, selector_of(GATE, 0), 0);
	slot(GATE, gate(MAIN_TSS, 0, TASK_GATE, 0));
	RUN("gate to a busy TSS", GP_(MAIN_TSS), jump_far, selector_of(GATE, 0), 0);
	slot(TASK, segment((uintptr_t)&task, sizeof task - 1, TSS32 & ~PRESENT, 0));
	slot(GATE, gate(SLOT(TASK), 0, TASK_GATE, 0));
	RUN("gate to an absent TSS", TRAP(NP, SLOT(TASK)), jump_far, selector_of(GATE, 0), 0);
}

ROUTINE(int_slot, "int $0x90\n\tint_slot_next: ret");
extern routine int_slot_next;

static void interrupt_task(void)
{
	make_tasks();
	idt[SLOT_VECTOR] = gate(SLOT(TASK), 0, TASK_GATE, 0);
	RUN("INT", EXITS, int_slot, 0, 0);
	EXPECT("TR", SLOT(TASK), last_trap.tr);
	EXPECT("NT", RFLAGS_NT, last_trap.frame.eflags & RFLAGS_NT);
	EXPECT("link", MAIN_TSS, task.link & 0xffff);
	EXPECT("EIP saved", (uintptr_t)int_slot_next, main_tss.tss.eip);
	EXPECT("ESP: nothing pushed", STACK_TOP, last_trap.frame.esp);
	make_tasks();
	task.eip = (uintptr_t)return_from_task;
	RUN("INT and IRET", RETURNS, int_slot, 0, 0);
}

ROUTINE(bad_ds, "movl $0x7ff8, %eax\n\tbad_ds_at: movl %eax, %ds");
extern routine bad_ds_at;
ROUTINE(show_error, "popl %eax\n\t" EXIT);

static void exception_task(void)
{
	make_tasks();
	task.eip = (uintptr_t)show_error;
	idt[GP] = gate(SLOT(TASK), 0, TASK_GATE, 0);
	RUN("#GP", EXITS, bad_ds, 0, 0);
	EXPECT("error code on the task's stack", 0x7ff8, last_trap.frame.eax);
	EXPECT("ESP behind it", STACK_TOP, last_trap.frame.esp);
	EXPECT("EIP saved", (uintptr_t)bad_ds_at, main_tss.tss.eip);
}

static void task_in_ring_3(void)
{
	make_tasks();
	task.cs = USER_CS, task.ss = USER_DS, task.ds = task.es = USER_DS;
	task.esp0 = STACK_TOP;
	task.ss0 = KERNEL_DS;
	task.esp = user_stack_top();
	RUN("JMP", EXITS, jump_far, selector_of(TASK, 0), 0);
	EXPECT("CS", USER_CS, last_trap.frame.cs);
	EXPECT("ESP", user_stack_top(), last_trap.frame.esp);
	EXPECT("stack of the trap: the task's ESP0", STACK_TOP, last_trap.stack);
}

static void loads_ldt(void)
{
	make_tasks();
	ldt[1] = segment(0, ALL, DATA_RW, FLAT);
	task.ldt = LDT;
	task.fs = 0xc;
	RUN("JMP", EXITS, jump_far, selector_of(TASK, 0), 0);
	EXPECT("LDTR", LDT, last_trap.ldtr);
	EXPECT("FS, from the LDT", 0xc, last_trap.frame.fs);
}

/*
 * What is wrong with the new task's segments is found in the new task, which may not have a stack then, so a third task
 * takes the fault.
 */
#define BAD_TASK(what, change, vector, error) \
	do { \
		make_tasks(); \
		change; \
		fault_task(vector); \
		RUN(what, TRAP_ANYWHERE(vector, error), jump_far, selector_of(TASK, 0), 0); \
		EXPECT("task that faulted", SLOT(TASK), fault_tss.link & 0xffff); \
		EXPECT("EIP there", (uintptr_t)seen_here, task.eip); \
	} while (0)

static void bad_segments(void)
{
	uint16_t absent_code = slot(10, segment(0, ALL, CODE_RX & ~PRESENT, FLAT)),
	         absent_data = slot(11, segment(0, ALL, DATA_RW & ~PRESENT, FLAT)),
	         read_only = slot(12, segment(0, ALL, DATA_R, FLAT));
	BAD_TASK("LDT is no LDT", task.ldt = KERNEL_DS, TS, KERNEL_DS);
	BAD_TASK("LDT in the LDT", task.ldt = 0xc, TS, 0xc);
	BAD_TASK("CS null", task.cs = 0, TS, 0);
	BAD_TASK("CS data", task.cs = KERNEL_DS, TS, KERNEL_DS);
	BAD_TASK("CS with an RPL that is not its DPL", (task.cs = KERNEL_CS | 3, task.ss = USER_DS, task.ds = task.es = 0), TS, KERNEL_CS);
	BAD_TASK("CS absent", task.cs = absent_code, NP, absent_code);
	BAD_TASK("SS null", task.ss = 0, TS, 0);
	BAD_TASK("SS read-only", task.ss = read_only, TS, read_only);
	BAD_TASK("SS of ring 3", task.ss = USER_DS, TS, USER_DS & ~3);
	BAD_TASK("SS absent", task.ss = absent_data, SS, absent_data);
	BAD_TASK("DS TSS", task.ds = MAIN_TSS, TS, MAIN_TSS);
	BAD_TASK("ES beyond the GDT", task.es = 0x7ff8, TS, 0x7ff8);
	BAD_TASK("FS absent", task.fs = absent_data, NP, absent_data);
}

static void task_switched(void)
{
	make_tasks();
	RUN("JMP", EXITS, jump_far, selector_of(TASK, 0), 0);
	EXPECT("CR0.TS", CR0_TS, last_trap.cr0 & CR0_TS);
}

ROUTINE(fpu_in_task, "fpu_in_task_at: fnop");

static void device_not_available(void)
{
	REQUIRE(has_fpu(), "CPUID has no FPU");
	make_tasks();
	task.eip = (uintptr_t)fpu_in_task;
	RUN("FNOP in the new task", TRAP(NM, 0, 0, (uintptr_t)fpu_in_task), jump_far, selector_of(TASK, 0), 0);
	EXPECT("TR", SLOT(TASK), last_trap.tr);
}

static void debug_trap(void)
{
	make_tasks();
	task.trap = 1;
	RUN("JMP", TRAP(DB, 0, 0, (uintptr_t)seen_here), jump_far, selector_of(TASK, 0), 0);
	EXPECT("DR6.BT", 1 << 15, last_trap.dr6 & 1 << 15);
	EXPECT("TR", SLOT(TASK), last_trap.tr);
}

ROUTINE(iret_nested, "pushl $0x4002\n\tpopfl\n\tiret_nested_at: iret\n\tret");
extern routine iret_nested_at;

static void return_errors(void)
{
	make_tasks();
	const struct expectation *available = TRAP(TS, SLOT(OTHER), 0, (uintptr_t)iret_nested_at);
	main_tss.tss.link = SLOT(OTHER);
	RUN("IRET to a TSS that is not busy", available, iret_nested, 0, 0);
	main_tss.tss.link = KERNEL_DS;
	RUN("IRET to data", TRAP(TS, KERNEL_DS, 0, (uintptr_t)iret_nested_at), iret_nested, 0, 0);
	main_tss.tss.link = 0x7ff8;
	RUN("IRET beyond the GDT", TRAP(TS, 0x7ff8, 0, (uintptr_t)iret_nested_at), iret_nested, 0, 0);
	slot(OTHER, segment((uintptr_t)&other, sizeof other - 1, TSS32_BUSY & ~PRESENT, 0));
	main_tss.tss.link = SLOT(OTHER);
	RUN("IRET to an absent TSS", TRAP(NP, SLOT(OTHER), 0, (uintptr_t)iret_nested_at), iret_nested, 0, 0);
	slot(OTHER, segment((uintptr_t)&other, sizeof other - 1, TSS32_BUSY, 0));
	RUN("IRET to a busy TSS", EXITS, iret_nested, 0, 0);
	EXPECT("TR", SLOT(OTHER), last_trap.tr);
	EXPECT("NT in the TSS that was left", 0, main_tss.tss.eflags & RFLAGS_NT);
}

static void narrow_loads(void)
{
	make_tasks();
	RUN("JMP", EXITS, jump_far, selector_of(NARROW, 0), 0);
	const struct trap_frame *f = &last_trap.frame;
	EXPECT("TR", SLOT(NARROW), last_trap.tr);
	EXPECT("IP", 2, f->eip);
	EXPECT("EFLAGS", RFLAGS_FIXED | RFLAGS_CF, f->eflags);
	EXPECT("AX", 0xa, f->eax & 0xffff);
	EXPECT("DI", 0xed, f->edi & 0xffff);
	EXPECT("SP", 0xff0, f->esp & 0xffff);
	EXPECT("CS", SLOT(8) | 3, f->cs);
	EXPECT("stack of the trap: SP0", NARROW_SP0, last_trap.stack);
	EXPECT("FS", 0, f->fs);
}

/* From a 16-bit TSS to another task: words are saved. */
ROUTINE(narrow_jumps_on, "movw $0x1111, %cx\n\tmovw $0x2222, %bp\n\tljmpl $0x58, $0");

static void narrow_saves(void)
{
	make_tasks();
	slot(8, narrow_code(narrow_jumps_on));
	gdt[SLOT(OTHER) / 8] |= (uint64_t)DPL3 << 40;
	narrow.link = 0x5a5a;
	RUN("JMP, and JMP on", EXITS, jump_far, selector_of(NARROW, 0), 0);
	EXPECT("TR", SLOT(OTHER), last_trap.tr);
	EXPECT("CX", 0x1111, narrow.cx);
	EXPECT("BP", 0x2222, narrow.bp);
	EXPECT("SP", 0xff0, narrow.sp);
	EXPECT("IP", 15, narrow.ip);
	EXPECT("CS", SLOT(8) | 3, narrow.cs);
	EXPECT("link, not touched", 0x5a5a, narrow.link);
	EXPECT("TSS: available", TSS16, access_of(SLOT(NARROW)));
}

static void narrow_call_and_return(void)
{
	make_tasks();
	slot(8, narrow_code(return_from_task));
	RUN("CALL and IRET", RETURNS, call_far, selector_of(NARROW, 0), 0);
	EXPECT("link", MAIN_TSS, narrow.link);
	EXPECT("BX", 0x7e57, narrow.bx);
	EXPECT("NT, as IRET leaves it", 0, narrow.flags & RFLAGS_NT);
	EXPECT("TSS: available", TSS16, access_of(SLOT(NARROW)));
}

static void narrow_errors(void)
{
	make_tasks();
	slot(NARROW, segment((uintptr_t)&narrow, 0x2a, TSS16, 0));
	RUN("limit below 2Bh", TRAP(TS, SLOT(NARROW)), jump_far, selector_of(NARROW, 0), 0);
	slot(NARROW, segment((uintptr_t)&narrow, 0x2b, TSS16, 0));
	RUN("limit 2Bh", EXITS, jump_far, selector_of(NARROW, 0), 0);
	slot(NARROW, segment((uintptr_t)&narrow, sizeof narrow - 1, TSS16_BUSY, 0));
	RUN("busy", GP_(SLOT(NARROW)), jump_far, selector_of(NARROW, 0), 0);
}

CODE16(v86_task_code, "movw $0x1234, %ax\n\tint $0x80");

static void task_in_virtual_8086_mode(void)
{
	make_tasks();
	memcpy((void *)(V86_CODE + V86_IP), v86_task_code, (size_t)(v86_task_code_end - v86_task_code));
	task.eflags = RFLAGS_VM | RFLAGS_IOPL | RFLAGS_FIXED;
	task.eip = V86_IP;
	task.cs = V86_CODE >> 4;
	task.ss = V86_STACK >> 4;
	task.ds = V86_DATA >> 4;
	task.es = 0x1111;
	task.esp0 = STACK_TOP;
	task.ss0 = KERNEL_DS;
	RUN("JMP", EXITS, jump_far, selector_of(TASK, 0), 0);
	EXPECT("AX", 0x1234, last_trap.frame.eax & 0xffff);
	EXPECT("VM", RFLAGS_VM, last_trap.frame.eflags & RFLAGS_VM);
	EXPECT("CS", V86_CODE >> 4, last_trap.frame.cs);
	EXPECT("DS", V86_DATA >> 4, last_trap.frame.v86_ds & 0xffff);
	EXPECT("ES", 0x1111, last_trap.frame.v86_es & 0xffff);
}

static const struct check checks[] = {
	{ "task-jump-loads", "SDM 3, 7.3", jump_loads },
	{ "task-jump-saves", "SDM 3, 7.3", jump_saves },
	{ "task-jump-busy", "SDM 3, 7.4.1", jump_busy },
	{ "task-call", "SDM 3, 7.4", call_links },
	{ "task-call-and-return", "SDM 3, 7.4", call_and_return },
	{ "task-gate", "SDM 3, 7.2.5", task_gate },
	{ "task-privilege", "SDM 3, 7.3", task_privilege },
	{ "task-errors", "SDM 3, 7.3", task_errors },
	{ "task-gate-errors", "SDM 2, JMP", task_gate_errors },
	{ "task-interrupt", "SDM 3, 6.12.2", interrupt_task },
	{ "task-exception", "SDM 3, 6.12.2", exception_task },
	{ "task-ring-3", "SDM 3, 7.3", task_in_ring_3 },
	{ "task-ldt", "SDM 3, 7.5", loads_ldt },
	{ "task-bad-segments", "SDM 3, 7.3", bad_segments },
	{ "task-sets-ts", "SDM 3, 7.3", task_switched },
	{ "task-device-not-available", "SDM 3, 2.5", device_not_available },
	{ "task-debug-trap", "SDM 3, 17.3.1.5", debug_trap },
	{ "task-return-errors", "SDM 2, IRET", return_errors },
	{ "task-16-bit-loads", "SDM 3, 7.6", narrow_loads },
	{ "task-16-bit-saves", "SDM 3, 7.6", narrow_saves },
	{ "task-16-bit-call", "SDM 3, 7.6", narrow_call_and_return },
	{ "task-16-bit-errors", "SDM 3, 7.3", narrow_errors },
	{ "task-virtual-8086", "SDM 3, 20.2.5", task_in_virtual_8086_mode },
};
CHECK_GROUP(task_group, "tasks", checks);
