/* SYSCALL, SYSRET, SYSENTER, SYSEXIT, SWAPGS, FS and GS bases (SDM vol. 3, 5.8.7, 5.8.8 and 3.4.4). */
#include "check.h"
#include "../descriptors.h"
#include "../identity.h"

#define USER_RSP (USER_STACK_TOP - 64)

/* Where SYSCALL and SYSENTER land: INT shows the registers as they are. */
ROUTINE(landing, EXIT);
USER_ROUTINE(user_exit_3, EXIT);
USER_ROUTINE(user_syscall, "syscall\n\t" EXIT);
USER_ROUTINE(user_sysenter, "sysenter\n\t" EXIT);
ROUTINE(sysexit_here, "rex.w sysexit");

static void enable_syscall(uint64_t mask)
{
	write_msr(IA32_STAR, (uint64_t)USER_CS32 << 48 | (uint64_t)KERNEL_CS << 32);
	write_msr(IA32_LSTAR, (uint64_t)landing);
	write_msr(IA32_FMASK, mask);
}

static void syscall_enters(void)
{
	enable_syscall(RFLAGS_DF | RFLAGS_CF);
	uint64_t rflags = RFLAGS_FIXED | RFLAGS_CF | RFLAGS_DF;
	if (!run_user(EXITS, user_syscall, 5, 6, rflags)) {
		check_probe_failed("SYSCALL");
		return;
	}
	const struct trap_frame *f = &last_trap.frame;
	EXPECT("RIP: INT in the landing", (uint64_t)landing + 2, f->rip);
	EXPECT("RCX: RIP after SYSCALL", user_address(user_syscall) + 2, f->rcx);
	EXPECT("R11: RFLAGS", rflags, f->r11 & ~RFLAGS_RF);
	EXPECT("RFLAGS, masked", RFLAGS_FIXED, f->rflags & ~RFLAGS_RF);
	EXPECT("CS", KERNEL_CS, f->cs);
	EXPECT("SS", KERNEL_SS, f->ss);
	EXPECT("RSP, as it was", USER_RSP, f->rsp);
	EXPECT("RDI", 5, f->rdi);
}

/* What IA32_FMASK does not name stays, status flags as well. */
static void syscall_keeps_flags(void)
{
	uint64_t rflags = RFLAGS_FIXED | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF;
	enable_syscall(RFLAGS_SF);
	EXPECT("SYSCALL landed", true, run_user(EXITS, user_syscall, 0, 0, rflags));
	EXPECT("RFLAGS", rflags & ~RFLAGS_SF, last_trap.frame.rflags & ~RFLAGS_RF);
}

static bool resume_debug(struct trap_frame *frame)
{
	return frame->vector == DB && frame->cs == USER_CS;
}

/* A #DB from the landing, in ring 0, is what must not come. */
static void syscall_masks_tf(void)
{
	enable_syscall(RFLAGS_TF);
	trap_hook = resume_debug;
	if (!run_user(EXITS, user_syscall, 0, 0, RFLAGS_FIXED | RFLAGS_TF)) {
		check_probe_failed("SYSCALL under TF");
		return;
	}
	EXPECT("R11: TF", RFLAGS_TF, last_trap.frame.r11 & RFLAGS_TF);
	EXPECT("TF in the landing", 0, last_trap.frame.rflags & RFLAGS_TF);
}

static void syscall_disabled(void)
{
	enable_syscall(0);
	write_msr(IA32_EFER, read_msr(IA32_EFER) & ~EFER_SCE);
	RUN_USER("SYSCALL, SCE=0", UD_, user_syscall, 0, 0);
}

static void sysret_leaves(void)
{
	enable_syscall(0);
	user_entry = (struct user_entry){ user_address(user_exit_3), USER_RSP, RFLAGS_FIXED | RFLAGS_CF | RFLAGS_OF, 7, 8 };
	RUN("SYSRET", EXITS, enter_user_sysretq, 0, 0);
	const struct trap_frame *f = &last_trap.frame;
	EXPECT("CS", USER_CS, f->cs);
	EXPECT("SS", USER_SS, f->ss);
	EXPECT("RSP", USER_RSP, f->rsp);
	EXPECT("RFLAGS, from R11", RFLAGS_FIXED | RFLAGS_CF | RFLAGS_OF, f->rflags & ~RFLAGS_RF);
	EXPECT("RDI", 7, f->rdi);
	EXPECT("stack of the trap", rsp0_top(), last_trap.stack);
}

static void syscall_and_back(void)
{
	enable_syscall(0);
	for (unsigned i = 0; i < 3; i++) {
		RUN_USER("SYSCALL", EXITS, user_syscall, i, 0);
		EXPECT("CS in the landing", KERNEL_CS, last_trap.frame.cs);
		user_entry = (struct user_entry){ last_trap.frame.rcx, last_trap.frame.rsp, last_trap.frame.r11, i, 0 };
		RUN("SYSRET", EXITS, enter_user_sysretq, 0, 0);
		EXPECT("CS back in ring 3", USER_CS, last_trap.frame.cs);
		EXPECT("RIP back in ring 3", user_address(user_syscall) + 4, last_trap.frame.rip);
	}
}

/* AMD: SYSENTER and SYSEXIT are not valid in long mode (APM vol. 2, 6.1.2). */
static void sysenter_sysexit(void)
{
	static uint64_t stack[32];
	if (is_amd()) {
		RUN_USER("SYSENTER", UD_, user_sysenter, 0, 0);
		RUN("SYSEXIT", UD_, sysexit_here, 0, 0);
		return;
	}
	REQUIRE(cpuid(1, 0).edx >> 11 & 1, "CPUID has no SEP");
	write_msr(IA32_SYSENTER_CS, 0);
	RUN_USER("SYSENTER, null CS", GP_(0), user_sysenter, 0, 0);
	RUN("SYSEXIT, null CS", GP_(0), sysexit_here, 0, 0);
	write_msr(IA32_SYSENTER_CS, KERNEL_CS);
	write_msr(IA32_SYSENTER_ESP, (uint64_t)(stack + 32));
	write_msr(IA32_SYSENTER_EIP, (uint64_t)landing);
	RUN_USER("SYSENTER", EXITS, user_sysenter, 0, 0);
	EXPECT("RIP: INT in the landing", (uint64_t)landing + 2, last_trap.frame.rip);
	EXPECT("RSP", (uint64_t)(stack + 32), last_trap.frame.rsp);
	EXPECT("CS", KERNEL_CS, last_trap.frame.cs);
	user_entry = (struct user_entry){ user_address(user_exit_3), USER_RSP, 0, 0, 0 };
	RUN("SYSEXIT", EXITS, enter_user_sysexit, 0, 0);
	EXPECT("CS", USER_CS, last_trap.frame.cs);
	EXPECT("SS", SYSEXIT_SS, last_trap.frame.ss);
	EXPECT("RSP", USER_RSP, last_trap.frame.rsp);
}

ROUTINE(swapgs_load, "swapgs\n\tmovq %gs:8, %rax\n\tswapgs\n\tret");
ROUTINE(load_fs, "movq %fs:(%rdi), %rax\n\tret");
ROUTINE(load_gs, "movq %gs:(%rdi), %rax\n\tret");
ROUTINE(write_base, "movl %edi, %ecx\n\tmovl %esi, %eax\n\tmovq %rsi, %rdx\n\tshrq $32, %rdx\n\twrmsr\n\tret");

static void swapgs(void)
{
	static uint64_t one[2] = { 1, 11 }, two[2] = { 2, 22 };
	write_msr(IA32_GS_BASE, (uint64_t)one);
	write_msr(IA32_KERNEL_GS_BASE, (uint64_t)two);
	RUN("SWAPGS and back", RETURNS, swapgs_load, 0, 0);
	EXPECT("word at GS:8 between", 22, probe_result);
	RUN("load", RETURNS, load_gs, 8, 0);
	EXPECT("word at GS:8 after", 11, probe_result);
	EXPECT("KERNEL_GS_BASE", (uint64_t)two, read_msr(IA32_KERNEL_GS_BASE));
}

static void segment_bases(void)
{
	static uint64_t words[4] = { 10, 20, 30, 40 };
	write_msr(IA32_FS_BASE, (uint64_t)&words[1]);
	RUN("FS:0", RETURNS, load_fs, 0, 0);
	EXPECT("FS:0", 20, probe_result);
	RUN("FS:-8", RETURNS, load_fs, -8, 0);
	EXPECT("FS:-8", 10, probe_result);
	RUN("address not canonical by its base", GP_(0), load_fs, NONCANONICAL - (uint64_t)&words[1], 0);
}

ROUTINE(rdfsbase, "rdfsbase %rax\n\tret");
ROUTINE(rdgsbase, "rdgsbase %rax\n\tret");
ROUTINE(wrfsbase, "wrfsbase %rdi\n\tret");
ROUTINE(wrgsbase, "wrgsbase %rdi\n\tret");
ROUTINE(wrgsbase_32, "wrgsbase %edi\n\tret");
USER_ROUTINE(user_fsbase, "wrfsbase %rdi\n\trdfsbase %rax\n\t" EXIT);

static void fsgsbase(void)
{
	RUN("RDFSBASE, FSGSBASE=0", UD_, rdfsbase, 0, 0);
	REQUIRE(has_fsgsbase(), "CPUID has no FSGSBASE");
	write_cr4(read_cr4() | CR4_FSGSBASE);
	RUN("WRFSBASE", RETURNS, wrfsbase, 0x123456789000, 0);
	EXPECT("FS base in its MSR", 0x123456789000, read_msr(IA32_FS_BASE));
	RUN("RDFSBASE", RETURNS, rdfsbase, 0, 0);
	EXPECT("RDFSBASE", 0x123456789000, probe_result);
	RUN("WRGSBASE of 32 bits", RETURNS, wrgsbase_32, 0xffffffff87654321, 0);
	RUN("RDGSBASE", RETURNS, rdgsbase, 0, 0);
	EXPECT("RDGSBASE", 0x87654321, probe_result);
	RUN_USER("from ring 3", EXITS, user_fsbase, 0x4567000, 0);
	EXPECT("RDFSBASE in ring 3", 0x4567000, last_trap.frame.rax);
}

static void non_canonical_bases(void)
{
	RUN("WRMSR to FS_BASE", TRAP(GP, 0, 0, ANY_RIP), write_base, IA32_FS_BASE, NONCANONICAL);
	RUN("WRMSR to KERNEL_GS_BASE", TRAP(GP, 0, 0, ANY_RIP), write_base, IA32_KERNEL_GS_BASE, NONCANONICAL);
	RUN("WRMSR to LSTAR", TRAP(GP, 0, 0, ANY_RIP), write_base, IA32_LSTAR, NONCANONICAL);
	if (!has_fsgsbase())
		return;
	write_cr4(read_cr4() | CR4_FSGSBASE);
	RUN("WRGSBASE", GP_(0), wrgsbase, NONCANONICAL, 0);
}

static const struct check checks[] = {
	{ "syscall", "SDM 3, 5.8.8", syscall_enters },
	{ "syscall-keeps-flags", "SDM 2, SYSCALL", syscall_keeps_flags },
	{ "syscall-masks-tf", "SDM 2, SYSCALL", syscall_masks_tf },
	{ "syscall-disabled", "SDM 2, SYSCALL", syscall_disabled },
	{ "sysret", "SDM 2, SYSRET", sysret_leaves },
	{ "syscall-and-back", "SDM 3, 5.8.8", syscall_and_back },
	{ "sysenter-sysexit", "SDM 3, 5.8.7", sysenter_sysexit },
	{ "swapgs", "SDM 2, SWAPGS", swapgs },
	{ "fs-gs-bases", "SDM 3, 3.4.4", segment_bases },
	{ "fsgsbase-instructions", "SDM 2, RDFSBASE", fsgsbase },
	{ "bases-not-canonical", "SDM 2, WRMSR", non_canonical_bases },
};
CHECK_GROUP(system_call_group, "system calls", checks);
