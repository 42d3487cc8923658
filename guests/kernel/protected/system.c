/* System calls and system instructions in protected mode, and the way into long mode and back. */
#include "check.h"
#include "../identity.h"

#define STAR_SELECTORS ((uint64_t)(USER_CS & ~3) << 48 | (uint64_t)KERNEL_CS << 32)

ROUTINE(user_sysenter, "sysenter");
ROUTINE(sysexit_now, "sysexit");
ROUTINE(user_syscall, "syscall\n\tuser_syscall_next: " EXIT);
ROUTINE(sysret_now, "sysret");
extern routine user_syscall_next;

static uint8_t stack[512] __attribute__((aligned(16)));
#define STACK_TOP ((uintptr_t)stack + sizeof stack - 64)

#define REQUIRE_SEP REQUIRE(cpuid(1, 0).edx >> 11 & 1, "CPUID has no SEP")

static void enable_sysenter(uint16_t cs)
{
	write_msr(IA32_SYSENTER_CS, cs);
	write_msr(IA32_SYSENTER_ESP, STACK_TOP);
	write_msr(IA32_SYSENTER_EIP, (uintptr_t)exit_now);
}

static void sysenter(void)
{
	REQUIRE_SEP;
	enable_sysenter(0);
	RUN_USER("null CS", GP_(0), user_sysenter, 0, 0);
	enable_sysenter(KERNEL_CS);
	prepare_ring(3, user_sysenter, 0, 0);
	start.eflags |= RFLAGS_IF | RFLAGS_CF | RFLAGS_IOPL;
	RUN_START("SYSENTER", EXITS);
	EXPECT("CS", KERNEL_CS, last_trap.frame.cs);
	EXPECT("SS", KERNEL_DS, last_trap.frame.ss);
	EXPECT("ESP", STACK_TOP, last_trap.frame.esp);
	EXPECT("EIP", (uintptr_t)exit_now + 2, last_trap.frame.eip);
	EXPECT("EFLAGS: IF is clear", RFLAGS_FIXED | RFLAGS_CF | RFLAGS_IOPL, last_trap.frame.eflags);
}

static void sysexit(void)
{
	REQUIRE_SEP;
	enable_sysenter(KERNEL_CS);
	RUN3("SYSEXIT", EXITS, sysexit_now, 0, exit_now, user_stack_top());
	EXPECT("CS", USER_CS, last_trap.frame.cs);
	EXPECT("SS", USER_DS, last_trap.frame.ss);
	EXPECT("ESP", user_stack_top(), last_trap.frame.esp);
	RUN_USER("SYSEXIT in ring 3", GP_(0), sysexit_now, 0, 0);
	enable_sysenter(0);
	RUN3("null CS", GP_(0), sysexit_now, 0, exit_now, user_stack_top());
}

static void enable_syscall(void)
{
	write_msr(IA32_EFER, read_msr(IA32_EFER) | EFER_SCE);
	write_msr(IA32_STAR, STAR_SELECTORS | (uintptr_t)exit_now);
}

/* AMD's, and only there outside long mode. */
static void syscall(void)
{
	REQUIRE(is_amd() && cpuid(0x80000001, 0).edx >> 11 & 1, "no processor of AMD's with SYSCALL");
	RUN_USER("SCE=0", UD_, user_syscall, 0, 0);
	enable_syscall();
	prepare_ring(3, user_syscall, 0, 0);
	start.eflags |= RFLAGS_IF | RFLAGS_CF;
	RUN_START("SYSCALL", EXITS);
	EXPECT("CS", KERNEL_CS, last_trap.frame.cs);
	EXPECT("SS", KERNEL_DS, last_trap.frame.ss);
	EXPECT("ECX: where it came from", (uintptr_t)user_syscall_next, last_trap.frame.ecx);
	EXPECT("ESP, as it was", user_stack_top(), last_trap.frame.esp);
	EXPECT("EFLAGS: IF is clear", RFLAGS_FIXED | RFLAGS_CF, last_trap.frame.eflags);
}

static void sysret(void)
{
	REQUIRE(is_amd() && cpuid(0x80000001, 0).edx >> 11 & 1, "no processor of AMD's with SYSCALL");
	RUN3("SCE=0", UD_, sysret_now, 0, 0, exit_now);
	enable_syscall();
	RUN3("SYSRET", EXITS, sysret_now, 0, 0, exit_now);
	EXPECT("CS", USER_CS, last_trap.frame.cs);
	EXPECT("SS", USER_DS, last_trap.frame.ss);
	EXPECT("EFLAGS: IF is set", RFLAGS_IF, last_trap.frame.eflags & RFLAGS_IF);
	RUN_USER("SYSRET in ring 3", GP_(0), sysret_now, 0, 0);
}

ROUTINE(user_hlt, "hlt");
ROUTINE(user_read_cr0, "movl %cr0, %eax");
ROUTINE(user_read_cr4, "movl %cr4, %eax");
ROUTINE(user_write_cr3, "movl %eax, %cr3");
ROUTINE(user_lgdt, "lgdtl (%eax)");
ROUTINE(user_lidt, "lidtl (%eax)");
ROUTINE(user_lmsw, "lmsw %ax");
ROUTINE(user_rdmsr, "rdmsr");
ROUTINE(user_wrmsr, "wrmsr");
ROUTINE(user_invlpg, "invlpg (%eax)");
ROUTINE(user_invd, "invd");
ROUTINE(user_wbinvd, "wbinvd");

static void privileged(void)
{
	static const struct {
		const char *name, *code;
	} instructions[] = {
		{ "HLT", user_hlt }, { "MOV from CR0", user_read_cr0 }, { "MOV from CR4", user_read_cr4 }, { "MOV to CR3", user_write_cr3 },
		{ "LGDT", user_lgdt }, { "LIDT", user_lidt }, { "LMSW", user_lmsw }, { "RDMSR", user_rdmsr }, { "WRMSR", user_wrmsr },
		{ "INVLPG", user_invlpg }, { "INVD", user_invd }, { "WBINVD", user_wbinvd },
	};
	for (size_t i = 0; i < sizeof instructions / sizeof instructions[0]; i++) {
		RUN_USER(instructions[i].name, GP_(0), instructions[i].code, scratch, 0);
		RUN_RING(1, instructions[i].name, GP_(0), instructions[i].code, scratch, 0);
	}
}

ROUTINE(lmsw_now, "lmsw %ax\n\tsmswl %eax\n\tret");
ROUTINE(user_smsw, "smsww %ax\n\t" EXIT);

/* LMSW writes four bits, and never clears PE. */
static void machine_status_word(void)
{
	RUN("LMSW of 0", RETURNS, lmsw_now, 0, 0);
	EXPECT("PE, MP, EM, TS", CR0_PE, probe_result & 15);
	EXPECT("NE, as it was", CR0_NE, probe_result & CR0_NE);
	RUN("LMSW of FFFFh", RETURNS, lmsw_now, 0xffff, 0);
	EXPECT("PE, MP, EM, TS", CR0_PE | CR0_MP | CR0_EM | CR0_TS, probe_result & 15);
	RUN("LMSW of 2", RETURNS, lmsw_now, 2, 0);
	RUN_USER("SMSW in ring 3", EXITS, user_smsw, 0, 0);
	EXPECT("its result", read_cr0() & 0xffff, last_trap.frame.eax & 0xffff);
}

ROUTINE(user_rdtsc, "rdtsc\n\t" EXIT);
ROUTINE(user_rdpmc, "rdpmc\n\t" EXIT);
ROUTINE(rdtsc_now, "rdtsc\n\tret");

static void time_stamp(void)
{
	RUN_USER("RDTSC, TSD=0", EXITS, user_rdtsc, 0, 0);
	RUN_USER("RDPMC, PCE=0", GP_(0), user_rdpmc, 0, 0);
	write_cr4(read_cr4() | CR4_TSD);
	RUN_USER("RDTSC, TSD=1", GP_(0), user_rdtsc, 0, 0);
	RUN_RING(1, "RDTSC in ring 1, TSD=1", GP_(0), user_rdtsc, 0, 0);
	RUN("RDTSC in ring 0, TSD=1", RETURNS, rdtsc_now, 0, 0);
}

ROUTINE(ud2, "ud2");
ROUTINE(ud1, ".byte 0x0f, 0xb9, 0xc0");
ROUTINE(ff_7, ".byte 0xff, 0xf8");
ROUTINE(fe_2, ".byte 0xfe, 0xd0");
ROUTINE(lea_register, ".byte 0x8d, 0xc0");
ROUTINE(lock_nop, ".byte 0xf0, 0x90\n\tret");
ROUTINE(lock_mov, ".byte 0xf0, 0x89, 0x02\n\tret");
ROUTINE(lock_add_register, ".byte 0xf0, 0x01, 0xc0\n\tret");
ROUTINE(fifteen_bytes, ".fill 14, 1, 0x3e\n\tnop\n\tret");
ROUTINE(sixteen_bytes, ".fill 15, 1, 0x3e\n\tnop\n\tret");

static void undefined(void)
{
	RUN("UD2", UD_, ud2, 0, 0);
	RUN("UD1", UD_, ud1, 0, 0);
	RUN("FF /7", UD_, ff_7, 0, 0);
	RUN("FE /2", UD_, fe_2, 0, 0);
	RUN("LEA of a register", UD_, lea_register, 0, 0);
}

static void lock_prefix(void)
{
	RUN("LOCK NOP", UD_, lock_nop, 0, 0);
	RUN("LOCK MOV", UD_, lock_mov, 0, scratch);
	RUN("LOCK ADD of a register", UD_, lock_add_register, 0, 0);
}

static void instruction_length(void)
{
	RUN("15 bytes", RETURNS, fifteen_bytes, 0, 0);
	RUN("16 bytes", GP_(0), sixteen_bytes, 0, 0);
}

/* Long mode: four levels of tables that map 4 GB one to one. */
static uint64_t pml4[512] __attribute__((aligned(4096))), pdpt[512] __attribute__((aligned(4096)));
static uint64_t directories[4][512] __attribute__((aligned(4096)));

static void make_tables(void)
{
	pml4[0] = (uintptr_t)pdpt | 3;
	for (uint64_t gb = 0; gb < 4; gb++) {
		pdpt[gb] = (uintptr_t)directories[gb] | 3;
		for (uint64_t i = 0; i < 512; i++)
			directories[gb][i] = gb << 30 | i << 21 | 0x83;
	}
}

/* What long_trip saw on its way; its 64-bit part knows the places by name. */
static struct {
	uint32_t efer_before, efer_inside, efer_after, cr0_inside, cs_compatibility;
	uint64_t sum, r15;
} trip __asm__("long_trip_log") __attribute__((used));

#define READ_EFER "movl $0xc0000080, %ecx\n\trdmsr\n\t"
/* EAX = PML4. No trap may come while long mode is on: the IDT is of the other kind. */
ROUTINE(long_trip,
	"movl %eax, %cr3\n\tmovl %cr4, %eax\n\torl $0x20, %eax\n\tmovl %eax, %cr4\n\t"
	READ_EFER "orl $0x100, %eax\n\twrmsr\n\t" READ_EFER "movl %eax, long_trip_log\n\t"
	"movl %cr0, %eax\n\torl $0x80000000, %eax\n\tmovl %eax, %cr0\n\t"
	"movl %cs, %eax\n\tmovl %eax, long_trip_log + 16\n\t"
	READ_EFER "movl %eax, long_trip_log + 4\n\tmovl %cr0, %eax\n\tmovl %eax, long_trip_log + 12\n\t"
	"ljmpl $0x50, $long_trip_64\n\t"	/* SLOT(0) */
	".code64\n\tlong_trip_64:\n\t"
	"movabsq $0x123456789abcdef0, %rax\n\tmovq %rax, %r15\n\taddq %r15, %rax\n\tmovl $long_trip_log, %edi\n\t"
	"movq %rax, 20(%rdi)\n\tmovq %r15, 28(%rdi)\n\t"
	"ljmpl *long_trip_back(%rip)\n\t"
	".code32\n\tlong_trip_back: .long long_trip_32\n\t.word 0x08\n\t"
	"long_trip_32:\n\tmovl %cr0, %eax\n\tandl $0x7fffffff, %eax\n\tmovl %eax, %cr0\n\t"
	READ_EFER "andl $~0x100, %eax\n\twrmsr\n\t" READ_EFER "movl %eax, long_trip_log + 8\n\t"
	"movl %cr4, %eax\n\tandl $~0x20, %eax\n\tmovl %eax, %cr4\n\txorl %eax, %eax\n\tmovl %eax, %cr3\n\tret");

#define REQUIRE_LONG_MODE REQUIRE(has_long_mode(), "CPUID has no long mode")

static void long_mode_and_back(void)
{
	REQUIRE_LONG_MODE;
	make_tables();
	slot(0, segment(0, 0, CODE_RX, LONG));
	memset(&trip, 0, sizeof trip);
	RUN("to 64-bit mode and back", RETURNS, long_trip, pml4, 0);
	EXPECT("EFER before paging: LME without LMA", EFER_LME, trip.efer_before & (EFER_LME | EFER_LMA));
	EXPECT("EFER with paging: LMA", EFER_LME | EFER_LMA, trip.efer_inside & (EFER_LME | EFER_LMA));
	EXPECT("CS in compatibility mode", KERNEL_CS, trip.cs_compatibility & 0xffff);
	EXPECT("CR0.PG", CR0_PG, trip.cr0_inside & CR0_PG);
	EXPECT("sum of 64 bits", 0x2468acf13579bde0, trip.sum);
	EXPECT("R15", 0x123456789abcdef0, trip.r15);
	EXPECT("EFER afterwards", 0, trip.efer_after & (EFER_LME | EFER_LMA));
}

ROUTINE(load_cr0, "movl %eax, %cr0\n\tret");
ROUTINE(write_efer, "movl $0xc0000080, %ecx\n\twrite_efer_at: wrmsr\n\tret");
extern routine write_efer_at;

static void long_mode_faults(void)
{
	REQUIRE_LONG_MODE;
	make_tables();
	write_msr(IA32_EFER, EFER_LME);
	write_cr3((uintptr_t)pml4);
	RUN("PG=1 with LME=1 and PAE=0", GP_(0), load_cr0, read_cr0() | CR0_PG, 0);
	EXPECT("EFER.LMA", 0, read_msr(IA32_EFER) & EFER_LMA);
	RUN3("reserved bit of EFER", TRAP(GP, 0, 0, (uintptr_t)write_efer_at), write_efer, EFER_LME, 1u << 31, 0);
}

ROUTINE(efer_under_paging, "movl %eax, %cr3\n\tmovl %cr0, %eax\n\torl $0x80000000, %eax\n\tmovl %eax, %cr0\n\t"
	"movl $0x100, %eax\n\txorl %edx, %edx\n\tmovl $0xc0000080, %ecx\n\tefer_under_paging_at: wrmsr\n\tret");
extern routine efer_under_paging_at;

static void long_mode_enabled_under_paging(void)
{
	static uint32_t directory[1024] __attribute__((aligned(4096)));
	REQUIRE_LONG_MODE;
	for (uint32_t i = 0; i < 1024; i++)
		directory[i] = i << 22 | 0x83;
	write_cr4(read_cr4() | CR4_PSE);
	RUN("EFER.LME with PG=1", TRAP(GP, 0, 0, (uintptr_t)efer_under_paging_at), efer_under_paging, directory, 0);
}

static const struct check checks[] = {
	{ "sysenter", "SDM 3, 5.8.7", sysenter },
	{ "sysexit", "SDM 3, 5.8.7", sysexit },
	{ "syscall-legacy", "APM 3, SYSCALL", syscall },
	{ "sysret-legacy", "APM 3, SYSRET", sysret },
	{ "privileged-instructions", "SDM 3, 5.9", privileged },
	{ "lmsw-smsw", "SDM 2, LMSW", machine_status_word },
	{ "time-stamp-disable", "SDM 3, 2.5", time_stamp },
	{ "undefined-opcodes", "SDM 3, 6.15", undefined },
	{ "lock-prefix", "SDM 2, LOCK", lock_prefix },
	{ "instruction-length", "SDM 3, 6.15", instruction_length },
	{ "long-mode-and-back", "SDM 3, 9.8.5", long_mode_and_back },
	{ "long-mode-faults", "SDM 3, 9.8.5", long_mode_faults },
	{ "long-mode-under-paging", "SDM 3, 9.8.5", long_mode_enabled_under_paging },
};
CHECK_GROUP(system_group, "system instructions and long mode", checks);
