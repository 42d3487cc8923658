/* Debug exceptions in protected and virtual-8086 mode (SDM vol. 3, 17.2 and 17.3), and alignment checks (6.15). */
#include "check.h"
#include "../identity.h"

enum {
	DR6_B0 = 1 << 0, DR6_B1 = 1 << 1, DR6_B2 = 1 << 2, DR6_B3 = 1 << 3, DR6_BD = 1 << 13, DR6_BS = 1 << 14,
	DR6_HITS = DR6_B0 | DR6_B1 | DR6_B2 | DR6_B3 | DR6_BD | DR6_BS,
	DR7_ALWAYS = 1 << 10, DR7_GD = 1 << 13,
	ON_EXECUTE = 0, ON_WRITE = 1, ON_IO = 2, ON_ACCESS = 3,
	BYTES_1 = 0, BYTES_2 = 1, BYTES_4 = 3,
};

static uint32_t dr7(unsigned index, unsigned condition, unsigned length)
{
	return DR7_ALWAYS | 1u << index * 2 | (condition | length << 2) << (16 + index * 4);
}

/* #DB traps as they came; after `limit` of them the hook clears TF and DR7. */
enum { MOST = 8 };
static struct {
	unsigned count, limit;
	uint32_t eip[MOST], dr6[MOST], ecx[MOST];
} seen;

static bool note_debug(struct trap_frame *frame)
{
	if (frame->vector != DB)
		return false;
	if (seen.count < MOST) {
		seen.eip[seen.count] = frame->eip;
		seen.dr6[seen.count] = last_trap.dr6 & DR6_HITS;
		seen.ecx[seen.count] = frame->ecx;
	}
	if (++seen.count >= seen.limit) {
		frame->eflags &= ~RFLAGS_TF;
		write_dr7(DR7_ALWAYS);
	}
	/* So that an instruction breakpoint lets its instruction pass. */
	frame->eflags |= RFLAGS_RF;
	return true;
}

static void watch(unsigned limit)
{
	memset(&seen, 0, sizeof seen);
	seen.limit = limit;
	write_dr6(0xffff0ff0);
	trap_hook = note_debug;
}

#define SET_TF "pushfl\n\torl $0x100, (%esp)\n\tpopfl\n\t"

ROUTINE(step_nops, SET_TF "nop\n\tstep_nops_1: nop\n\tnop\n\tstep_nops_3: ret");
extern routine step_nops_1, step_nops_3;

static void single_step(void)
{
	watch(3);
	RUN("three steps", RETURNS, step_nops, 0, 0);
	EXPECT("number of #DB", 3, seen.count);
	EXPECT("first EIP", (uintptr_t)step_nops_1, seen.eip[0]);
	EXPECT("third EIP", (uintptr_t)step_nops_3, seen.eip[2]);
	EXPECT("DR6", DR6_BS, seen.dr6[0]);
}

ROUTINE(step_rep, "movl $3, %ecx\n\tmovl %eax, %esi\n\tmovl %eax, %edi\n\t" SET_TF "step_rep_at: rep movsb\n\tstep_rep_after: nop\n\tret");
extern routine step_rep_at, step_rep_after;

static void single_step_rep(void)
{
	watch(3);
	RUN("REP MOVSB of three", RETURNS, step_rep, scratch[0], 0);
	EXPECT("EIP after the first iteration", (uintptr_t)step_rep_at, seen.eip[0]);
	EXPECT("ECX after the first iteration", 2, seen.ecx[0]);
	EXPECT("EIP after the last iteration", (uintptr_t)step_rep_after, seen.eip[2]);
}

ROUTINE(step_int, SET_TF "nop\n\tint $0x82\n\tstep_int_after: ud2");
extern routine step_int_after;

static void single_step_int(void)
{
	watch(8);
	RUN("INT n under TF", TRAP(KERNEL_VECTOR, 0, 0, (uintptr_t)step_int_after), step_int, 0, 0);
	EXPECT("number of #DB before", 1, seen.count);
	EXPECT("TF pushed", RFLAGS_TF, last_trap.frame.eflags & RFLAGS_TF);
}

ROUTINE(step_mov_ss, "movl %ss, %edx\n\t" SET_TF "movl %edx, %ss\n\tnop\n\tstep_mov_ss_1: nop\n\tret");
ROUTINE(step_pop_ss, "pushl %ss\n\t" SET_TF "popl %ss\n\tnop\n\tstep_pop_ss_1: nop\n\tret");
ROUTINE(step_lss, "movl %ss, %edx\n\tmovl %edx, 4(%eax)\n\tmovl %esp, (%eax)\n\tsubl $4, (%eax)\n\tpushl $0\n\t" SET_TF
	"lssl (%eax), %esp\n\tstep_lss_1: nop\n\taddl $4, %esp\n\tret");
extern routine step_mov_ss_1, step_pop_ss_1, step_lss_1;

static void stack_shadow(void)
{
	static uint32_t pointer[2];
	watch(1);
	RUN("MOV SS under TF", RETURNS, step_mov_ss, 0, 0);
	EXPECT("first EIP", (uintptr_t)step_mov_ss_1, seen.eip[0]);
	watch(1);
	RUN("POP SS under TF", RETURNS, step_pop_ss, 0, 0);
	EXPECT("first EIP", (uintptr_t)step_pop_ss_1, seen.eip[0]);
	watch(1);
	RUN("LSS under TF: no shadow", RETURNS, step_lss, pointer, 0);
	EXPECT("first EIP", (uintptr_t)step_lss_1, seen.eip[0]);
}

ROUTINE(user_steps, "nop\n\tuser_steps_1: nop\n\tuser_steps_2: " EXIT);
extern routine user_steps_1, user_steps_2;

static void single_step_ring_3(void)
{
	watch(2);
	prepare_ring(3, user_steps, 0, 0);
	start.eflags |= RFLAGS_TF;
	RUN_START("ring 3 under TF", EXITS);
	EXPECT("first EIP: one instruction after IRET's target", (uintptr_t)user_steps_1, seen.eip[0]);
	EXPECT("second EIP", (uintptr_t)user_steps_2, seen.eip[1]);
}

CODE16(v86_steps, "nop\n\tnop\n\tnop\n\tint $0x80");

static void single_step_v86(void)
{
	watch(2);
	prepare_v86(v86_steps, v86_steps_end, 3);
	start.eflags |= RFLAGS_TF;
	RUN_START("TF in virtual-8086 mode", EXITS);
	EXPECT("number of #DB", 2, seen.count);
	EXPECT("first EIP", V86_IP + 1, seen.eip[0]);
	EXPECT("DR6", DR6_BS, seen.dr6[0]);
}

ROUTINE(execute_here, "movl $1, %eax\n\texecute_here_1: incl %eax\n\tret");
extern routine execute_here_1;

static void breakpoint_execute(void)
{
	watch(8);
	write_dr0((uintptr_t)execute_here_1);
	write_dr7(dr7(0, ON_EXECUTE, BYTES_1));
	RUN("run over it", RETURNS, execute_here, 0, 0);
	EXPECT("number of #DB, RF set once", 1, seen.count);
	EXPECT("EIP, before the instruction", (uintptr_t)execute_here_1, seen.eip[0]);
	EXPECT("DR6", DR6_B0, seen.dr6[0]);
	EXPECT("result", 2, probe_result);
}

/* Breakpoints are on linear addresses. */
static void breakpoint_linear(void)
{
	struct far_pointer pointer = { 1, slot(0, segment((uintptr_t)execute_here_1 - 1, 0xff, CODE_RX, BIG)) };
	REQUIRE(!is_qemu_tcg(), "QEMU's TCG never returns from these");
	write_dr2((uintptr_t)execute_here_1);
	write_dr7(dr7(2, ON_EXECUTE, BYTES_1));
	RUN("code in a segment with a base", TRAP(DB, 0, 0, 1), jump_far, &pointer, 0);
	EXPECT("EIP, relative to the base", 1, last_trap.frame.eip);
	EXPECT("DR6", DR6_B2, last_trap.dr6 & DR6_HITS);
}

static void breakpoint_v86(void)
{
	REQUIRE(!is_qemu_tcg(), "QEMU's TCG never returns from these");
	write_dr1(V86_CODE + V86_IP + 2);
	write_dr7(dr7(1, ON_EXECUTE, BYTES_1));
	RUN_V86("code in virtual-8086 mode", TRAP(DB, 0, 0, V86_IP + 2), v86_steps, 3);
	EXPECT("DR6", DR6_B1, last_trap.dr6 & DR6_HITS);
}

ROUTINE(touch, "movl (%eax), %ecx\n\tmovl %edx, (%eax)\n\ttouch_2: nop\n\tret");
extern routine touch_2;

static void breakpoint_data(void)
{
	watch(8);
	write_dr1((uintptr_t)scratch[0]);
	write_dr7(dr7(1, ON_WRITE, BYTES_4));
	RUN("read, then write", RETURNS, touch, scratch[0], 5);
	EXPECT("number of #DB", 1, seen.count);
	EXPECT("EIP, after the write", (uintptr_t)touch_2, seen.eip[0]);
	EXPECT("DR6", DR6_B1, seen.dr6[0]);
	write_dr7(dr7(1, ON_ACCESS, BYTES_2));
	RUN("read, then write", RETURNS, touch, scratch[0], 5);
	EXPECT("number of #DB", 3, seen.count);
	RUN("beside it", RETURNS, touch, scratch[0] + 4, 5);
	EXPECT("number of #DB", 3, seen.count);
}

ROUTINE(push_here, "pushl %eax\n\tpush_here_1: popl %eax\n\tpush_here_2: ret");
extern routine push_here_1, push_here_2;

static void breakpoint_stack(void)
{
	watch(8);
	prepare_ring(3, push_here, 0, 0);
	write_dr3(start.esp - 4);
	write_dr7(dr7(3, ON_ACCESS, BYTES_4));
	seen.limit = 2;
	*(uint32_t *)start.esp = (uintptr_t)exit_now;
	RUN_START("PUSH and POP", EXITS);
	EXPECT("number of #DB", 2, seen.count);
	EXPECT("EIP after PUSH", (uintptr_t)push_here_1, seen.eip[0]);
	EXPECT("EIP after POP", (uintptr_t)push_here_2, seen.eip[1]);
}

ROUTINE(do_in, "inb $0x80, %al\n\tdo_in_1: nop\n\tinb $0x84, %al\n\tret");
extern routine do_in_1;

static void breakpoint_io(void)
{
	write_cr4(read_cr4() | CR4_DE);
	watch(8);
	write_dr0(0x80);
	write_dr7(dr7(0, ON_IO, BYTES_1));
	RUN("IN", RETURNS, do_in, 0, 0);
	EXPECT("number of #DB", 1, seen.count);
	EXPECT("EIP, after the IN", (uintptr_t)do_in_1, seen.eip[0]);
	EXPECT("DR6", DR6_B0, seen.dr6[0]);
}

ROUTINE(read_dr0_now, "movl %dr0, %eax\n\tret");

static void general_detect(void)
{
	write_dr7(DR7_ALWAYS | DR7_GD);
	RUN("MOV from DR0", TRAP(DB, 0), read_dr0_now, 0, 0);
	EXPECT("DR6", DR6_BD, last_trap.dr6 & DR6_HITS);
	EXPECT("DR7: the handler may use debug registers", 0, read_dr7() & DR7_GD);
}

ROUTINE(move_to_dr4, "movl %eax, %dr4\n\tret");
ROUTINE(user_read_dr0, "movl %dr0, %eax");

static void debug_register_faults(void)
{
	write_cr4(read_cr4() | CR4_DE);
	RUN("DR4, DE=1", UD_, move_to_dr4, 0xffff0ff0, 0);
	write_cr4(read_cr4() & ~CR4_DE);
	RUN("DR4, DE=0", RETURNS, move_to_dr4, 0xffff0ff0, 0);
	RUN_USER("MOV from DR0 in ring 3", GP_(0), user_read_dr0, 0, 0);
}

ROUTINE(user_misaligned, "movl 1(%eax), %ecx\n\t" EXIT);
ROUTINE(user_aligned, "movl (%eax), %ecx\n\tmovb 1(%eax), %cl\n\tmovw 2(%eax), %cx\n\t" EXIT);
ROUTINE(user_push_misaligned, "decl %esp\n\tuser_push_misaligned_at: pushl %eax\n\t" EXIT);
extern routine user_push_misaligned_at;
#define CR0_AM (1ul << 18)

static void prepare_alignment(unsigned ring, const char *routine)
{
	prepare_ring(ring, routine, (uintptr_t)scratch[0], 0);
	start.eflags |= RFLAGS_AC;
}

static void alignment_check(void)
{
	write_cr0(read_cr0() | CR0_AM);
	prepare_alignment(3, user_misaligned);
	RUN_START("doubleword at 1", TRAP(AC, 0));
	prepare_alignment(3, user_push_misaligned);
	RUN_START("PUSH", TRAP(AC, 0, 0, (uintptr_t)user_push_misaligned_at));
	prepare_alignment(3, user_aligned);
	RUN_START("aligned accesses", EXITS);
	prepare_alignment(1, user_misaligned);
	RUN_START("ring 1", EXITS);
	prepare_ring(3, user_misaligned, (uintptr_t)scratch[0], 0);
	RUN_START("AC=0", EXITS);
	write_cr0(read_cr0() & ~CR0_AM);
	prepare_alignment(3, user_misaligned);
	RUN_START("AM=0", EXITS);
}

CODE16(v86_misaligned, "movw 1, %ax\n\tint $0x80");

static void alignment_check_v86(void)
{
	write_cr0(read_cr0() | CR0_AM);
	prepare_v86(v86_misaligned, v86_misaligned_end, 3);
	start.eflags |= RFLAGS_AC;
	RUN_START("word at 1", TRAP(AC, 0));
	EXPECT("VM", RFLAGS_VM, last_trap.frame.eflags & RFLAGS_VM);
}

static const struct check checks[] = {
	{ "single-step", "SDM 3, 17.3.1.4", single_step },
	{ "single-step-rep", "SDM 3, 17.3.1.4", single_step_rep },
	{ "single-step-int-n", "SDM 3, 17.3.1.4", single_step_int },
	{ "stack-segment-shadow", "SDM 3, 6.8.3", stack_shadow },
	{ "single-step-ring-3", "SDM 3, 17.3.1.4", single_step_ring_3 },
	{ "single-step-v86", "SDM 3, 17.3.1.4", single_step_v86 },
	{ "breakpoint-execute", "SDM 3, 17.3.1.1", breakpoint_execute },
	{ "breakpoint-linear", "SDM 3, 17.2.1", breakpoint_linear },
	{ "breakpoint-v86", "SDM 3, 17.2.1", breakpoint_v86 },
	{ "breakpoint-data", "SDM 3, 17.3.1.2", breakpoint_data },
	{ "breakpoint-stack", "SDM 3, 17.3.1.2", breakpoint_stack },
	{ "breakpoint-io", "SDM 3, 17.3.1.2", breakpoint_io },
	{ "general-detect", "SDM 3, 17.3.1.3", general_detect },
	{ "debug-register-faults", "SDM 3, 17.2.2", debug_register_faults },
	{ "alignment-check", "SDM 3, 6.15", alignment_check },
	{ "alignment-check-v86", "SDM 3, 6.15", alignment_check_v86 },
};
CHECK_GROUP(debug_group, "debug exceptions and alignment checks", checks);
