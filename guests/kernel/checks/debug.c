/* Debug exceptions: single step, breakpoints in DR0-DR3, shadows (SDM vol. 3, 17.2 and 17.3). */
#include "check.h"
#include "../debug_registers.h"

enum { DR6_HITS = DR6_B0 | DR6_B1 | DR6_B2 | DR6_B3 | DR6_BS };

/* #DB traps as they came; after `limit` of them the hook clears TF and DR7. */
enum { MOST = 16 };
static struct {
	unsigned count, limit;
	uint64_t rip[MOST], dr6[MOST], rcx[MOST];
} seen;

static bool note_debug(struct trap_frame *frame)
{
	if (frame->vector != DB)
		return false;
	if (seen.count < MOST) {
		seen.rip[seen.count] = frame->rip;
		seen.dr6[seen.count] = last_trap.dr6 & DR6_HITS;
		seen.rcx[seen.count] = frame->rcx;
	}
	if (++seen.count >= seen.limit) {
		frame->rflags &= ~RFLAGS_TF;
		write_dr7(DR7_ALWAYS);
	}
	/* So that an instruction breakpoint lets its instruction pass. */
	frame->rflags |= RFLAGS_RF;
	return true;
}

static void watch(unsigned limit)
{
	memset(&seen, 0, sizeof seen);
	seen.limit = limit;
	write_dr6(0xffff0ff0);
	trap_hook = note_debug;
}

#define SET_TF "pushfq\n\torq $0x100, (%rsp)\n\tpopfq\n\t"

ROUTINE(step_nops, SET_TF "nop\n\tstep_nops_1: nop\n\tstep_nops_2: nop\n\tstep_nops_3: ret");
extern routine step_nops_1, step_nops_2, step_nops_3;

static void single_step(void)
{
	watch(3);
	RUN("three steps", RETURNS, step_nops, 0, 0);
	EXPECT("number of #DB", 3, seen.count);
	EXPECT("first RIP, one after the POPF's next", (uint64_t)step_nops_1, seen.rip[0]);
	EXPECT("second RIP", (uint64_t)step_nops_2, seen.rip[1]);
	EXPECT("third RIP", (uint64_t)step_nops_3, seen.rip[2]);
	EXPECT("DR6", DR6_BS, seen.dr6[0]);
}

ROUTINE(step_rep, "movl $3, %ecx\n\tmovq %rdi, %rsi\n\t" SET_TF "step_rep_at: rep movsb\n\tstep_rep_after: nop\n\tret");
extern routine step_rep_at, step_rep_after;

static void single_step_rep(void)
{
	watch(3);
	RUN("REP MOVSB of three", RETURNS, step_rep, scratch[0], 0);
	EXPECT("number of #DB", 3, seen.count);
	EXPECT("RIP after the first iteration", (uint64_t)step_rep_at, seen.rip[0]);
	EXPECT("RCX after the first iteration", 2, seen.rcx[0]);
	EXPECT("RIP after the second iteration", (uint64_t)step_rep_at, seen.rip[1]);
	EXPECT("RIP after the last iteration", (uint64_t)step_rep_after, seen.rip[2]);
	EXPECT("RCX after the last iteration", 0, seen.rcx[2]);
}

ROUTINE(step_branch, SET_TF "jmp step_branch_to\n\tud2\n\tstep_branch_to: nop\n\tstep_branch_end: ret");
extern routine step_branch_to, step_branch_end;

static void single_step_branch(void)
{
	watch(2);
	RUN("jump", RETURNS, step_branch, 0, 0);
	EXPECT("RIP after the jump", (uint64_t)step_branch_to, seen.rip[0]);
	EXPECT("RIP after the next", (uint64_t)step_branch_end, seen.rip[1]);
}

/* The trap is after an instruction that had TF at its start: the POPF that clears it has. */
ROUTINE(step_off, "pushfq\n\tpopq %rax\n\tpushq %rax\n\tpushq %rax\n\torq $0x100, (%rsp)\n\tpopfq\n\tpopfq\n\tstep_off_after: nop\n\tret");
extern routine step_off_after;

static void single_step_off(void)
{
	watch(8);
	RUN("POPF that clears TF", RETURNS, step_off, 0, 0);
	EXPECT("number of #DB", 1, seen.count);
	EXPECT("RIP", (uint64_t)step_off_after, seen.rip[0]);
}

USER_ROUTINE(user_step, "nop\n\tnop\n\t" EXIT);

static void single_step_user(void)
{
	watch(2);
	bool met = run_user(EXITS, user_step, 0, 0, RFLAGS_FIXED | RFLAGS_TF);
	EXPECT("ring 3 ended", true, met);
	EXPECT("number of #DB", 2, seen.count);
	EXPECT("first RIP: one instruction after IRETQ's target", user_address(user_step) + 1, seen.rip[0]);
}

/* INT n clears TF: the handler is not stepped. */
ROUTINE(step_int, SET_TF "nop\n\tint $0x82\n\tstep_int_after: ud2");
extern routine step_int_after;

static void single_step_int(void)
{
	watch(8);
	RUN("INT n under TF", TRAP(KERNEL_VECTOR, 0, 0, (uint64_t)step_int_after), step_int, 0, 0);
	EXPECT("number of #DB before", 1, seen.count);
	EXPECT("TF saved", RFLAGS_TF, last_trap.frame.rflags & RFLAGS_TF);
}

/* No #DB between MOV to SS and the instruction after it (SDM vol. 3, 6.8.3). */
ROUTINE(step_mov_ss, "movl %ss, %edx\n\t" SET_TF "movl %edx, %ss\n\tnop\n\tstep_mov_ss_1: nop\n\tret");
extern routine step_mov_ss_1;

static void mov_ss_shadow(void)
{
	watch(1);
	RUN("MOV SS under TF", RETURNS, step_mov_ss, 0, 0);
	EXPECT("first RIP", (uint64_t)step_mov_ss_1, seen.rip[0]);
}

/* STI holds back interrupts, but not #DB. */
ROUTINE(step_sti, SET_TF "sti\n\tstep_sti_1: nop\n\tstep_sti_2: cli\n\tret");
extern routine step_sti_1, step_sti_2;

static void sti_and_debug(void)
{
	watch(2);
	RUN("STI under TF", RETURNS, step_sti, 0, 0);
	EXPECT("first RIP", (uint64_t)step_sti_1, seen.rip[0]);
	EXPECT("second RIP", (uint64_t)step_sti_2, seen.rip[1]);
}

ROUTINE(execute_here, "movl $1, %eax\n\texecute_here_1: incl %eax\n\tret");
extern routine execute_here_1;

static void breakpoint_execute(void)
{
	watch(8);
	write_dr0((uint64_t)execute_here_1);
	write_dr7(dr7(0, ON_EXECUTE, BYTES_1));
	RUN("run over it", RETURNS, execute_here, 0, 0);
	EXPECT("number of #DB, RF set once", 1, seen.count);
	EXPECT("RIP, before the instruction", (uint64_t)execute_here_1, seen.rip[0]);
	EXPECT("DR6", DR6_B0, seen.dr6[0]);
	EXPECT("result", 2, probe_result);
	RUN("run over it again", RETURNS, execute_here, 0, 0);
	EXPECT("number of #DB", 2, seen.count);
}

ROUTINE(touch, "movl (%rdi), %eax\n\ttouch_1: movl %esi, (%rdi)\n\ttouch_2: nop\n\tret");
extern routine touch_1, touch_2;

static void breakpoint_write(void)
{
	watch(8);
	write_dr1((uint64_t)scratch[0]);
	write_dr7(dr7(1, ON_WRITE, BYTES_4));
	RUN("read, then write", RETURNS, touch, scratch[0], 5);
	EXPECT("number of #DB", 1, seen.count);
	EXPECT("RIP, after the write", (uint64_t)touch_2, seen.rip[0]);
	EXPECT("DR6", DR6_B1, seen.dr6[0]);
	RUN("write beside it", RETURNS, touch, scratch[0] + 4, 5);
	EXPECT("number of #DB", 1, seen.count);
	RUN("write that overlaps", RETURNS, touch, scratch[0] + 3, 5);
	EXPECT("number of #DB", 2, seen.count);
}

static void breakpoint_access(void)
{
	watch(8);
	write_dr3((uint64_t)scratch[0] + 8);
	write_dr7(dr7(3, ON_ACCESS, BYTES_8));
	RUN("read, then write", RETURNS, touch, scratch[0] + 8, 5);
	EXPECT("number of #DB", 2, seen.count);
	EXPECT("RIP, after the read", (uint64_t)touch_1, seen.rip[0]);
	EXPECT("RIP, after the write", (uint64_t)touch_2, seen.rip[1]);
	EXPECT("DR6", DR6_B3, seen.dr6[1]);
	write_dr7(DR7_ALWAYS);
	RUN("disabled", RETURNS, touch, scratch[0] + 8, 5);
	EXPECT("number of #DB", 2, seen.count);
}

ROUTINE(move_to_dr4, "movq %rdi, %dr4\n\tret");
ROUTINE(move_to_dr7, "movq %rdi, %dr7\n\tret");

static void debug_register_faults(void)
{
	write_cr4(read_cr4() | CR4_DE);
	RUN("DR4, DE=1", UD_, move_to_dr4, 0xffff0ff0, 0);
	write_cr4(read_cr4() & ~CR4_DE);
	RUN("DR4, DE=0", RETURNS, move_to_dr4, 0xffff0ff0, 0);
	RUN("bit 32 of DR7", GP_(0), move_to_dr7, 1ul << 32 | DR7_ALWAYS, 0);
}

static const struct check checks[] = {
	{ "single-step", "SDM 3, 17.3.1.4", single_step },
	{ "single-step-rep", "SDM 3, 17.3.1.4", single_step_rep },
	{ "single-step-branch", "SDM 3, 17.3.1.4", single_step_branch },
	{ "single-step-off", "SDM 3, 17.3.1.4", single_step_off },
	{ "single-step-ring-3", "SDM 3, 17.3.1.4", single_step_user },
	{ "single-step-int-n", "SDM 3, 17.3.1.4", single_step_int },
	{ "mov-ss-shadow", "SDM 3, 6.8.3", mov_ss_shadow },
	{ "sti-does-not-hold-debug", "SDM 3, 6.8.3", sti_and_debug },
	{ "breakpoint-execute", "SDM 3, 17.3.1.1", breakpoint_execute },
	{ "breakpoint-write", "SDM 3, 17.3.1.2", breakpoint_write },
	{ "breakpoint-access", "SDM 3, 17.3.1.2", breakpoint_access },
	{ "debug-register-faults", "SDM 3, 17.2", debug_register_faults },
};
CHECK_GROUP(debug_group, "debug exceptions", checks);
