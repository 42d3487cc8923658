/* Compatibility mode: 32-bit and 16-bit code under long mode (SDM vol. 3, 2.2.1, 3.4.5, 5.3.1, 5.8.3.1 and 6.14). */
#include "check.h"
#include "../descriptors.h"
#include "../identity.h"

enum { CODE = 0xfa, CODE_RING_0 = 0x9a, DATA = 0xf2, DATA_READ_ONLY = 0xf0, DATA_DOWN = 0xf6 };
enum { LONG = 2, BIG = 4, PAGES = 8, FLAT = BIG | PAGES };
#define ALL 0xfffff
#define STACK (COMPATIBILITY_STACK_TOP - 64)

static uint64_t segment(uint64_t base, uint32_t limit, unsigned access, unsigned flags)
{
	return (base >> 24 & 0xff) << 56 | (uint64_t)flags << 52 | (uint64_t)(limit >> 16 & 15) << 48 | (uint64_t)access << 40 |
	       (base & 0xffffff) << 16 | (limit & 0xffff);
}

/* 32-bit and 16-bit code in section .user, for ring 3. */
#define USER_ROUTINE_32(name, code) USER_ROUTINE(name, ".code32\n\t" code "\n\t.code64")
#define USER_ROUTINE_16(name, code) USER_ROUTINE(name, ".code16\n\t" code "\n\t.code64")
#define ADDRESS(routine) compatibility_address(routine)

/* user_entry for 32-bit code: EDI = a, ESI = b, and DS and ES as ring 0 left them: null. */
static void prepare(const char *routine, uint64_t a, uint64_t b)
{
	user_entry = (struct user_entry){ ADDRESS(routine), STACK, RFLAGS_FIXED, a, b, USER_CS32, USER_SS };
}

static bool run_prepared(const struct expectation *expected)
{
	struct expectation e = *expected;
	if (e.rip == 0)
		e.rip = user_entry.rip;
	return probe(&e, enter_user_iretq, 0, 0, 0);
}

#define RUN_PREPARED(what, expectation) MEETS(what, run_prepared(expectation))
#define RUN_32(what, expectation, routine, a, b) \
	do { \
		prepare(routine, (uint64_t)(a), (uint64_t)(b)); \
		RUN_PREPARED(what, expectation); \
	} while (0)
#define AT(vector, place) TRAP(vector, 0, 0, ADDRESS(place))
#define SET_DS "movl $0x23, %eax\n\tmovl %eax, %ds\n\tmovl %eax, %es\n\t"

USER_ROUTINE_32(plain, "xorl %eax, %eax\n\t.byte 0x40\n\tmovl %esp, %edx\n\tpushl $0x12345678\n\tsubl %esp, %edx\n\tpopl %ebx\n\t"
	"movl %cs, %ecx\n\tplain_exit: " EXIT);
extern routine plain_exit;

static void code_32(void)
{
	RUN_32("32-bit code", EXITS, plain, 0, 0);
	const struct trap_frame *f = &last_trap.frame;
	EXPECT("EAX: 40h is INC", 1, f->rax);
	EXPECT("EBX, popped", 0x12345678, f->rbx);
	EXPECT("bytes of a PUSH", 4, f->rdx);
	EXPECT("CS seen", USER_CS32, f->rcx & 0xffff);
	EXPECT("CS saved", USER_CS32, f->cs);
	EXPECT("RIP saved", ADDRESS(plain_exit) + 2, f->rip);
	EXPECT("RSP saved", STACK, f->rsp);
	EXPECT("stack of the trap", rsp0_top(), last_trap.stack);
}

USER_ROUTINE_32(lost_opcodes, "movl %esp, %ebp\n\tpushal\n\tpopal\n\tmovl $0x0f, %eax\n\t.byte 0x37\n\tmovl %eax, %ebx\n\t"	/* AAA */
	"movl $0x63, %eax\n\t.byte 0xd4, 10\n\tmovl %eax, %ecx\n\t"	/* AAM */
	"pushl %cs\n\tpopl %edx\n\txorl %eax, %eax\n\t.byte 0xce\n\tsubl %esp, %ebp\n\t" EXIT);	/* INTO */

static void lost_instructions(void)
{
	RUN_32("PUSHA, POPA, AAA, AAM, PUSH CS, INTO", EXITS, lost_opcodes, 0, 0);
	EXPECT("AAA of 0Fh", 0x105, last_trap.frame.rbx);
	EXPECT("AAM of 99", 0x909, last_trap.frame.rcx);
	EXPECT("CS pushed", USER_CS32, last_trap.frame.rdx & 0xffff);
	EXPECT("ESP, the same", 0, last_trap.frame.rbp);
}

USER_ROUTINE_16(plain_16, "movl $0xffffffff, %eax\n\tmovw $0x1234, %ax\n\tpushw %ax\n\tpopw %cx\n\tmovw $0x10, %bx\n\tint $0x80");

static void code_16(void)
{
	prepare(plain_16, 0, 0);
	user_entry.cs = slot(0, segment(ADDRESS(plain_16), 0xff, CODE, 0)) | 3;
	user_entry.rip = 0;
	MEETS("16-bit code", probe(EXITS, enter_user_iretq, 0, 0, 0));
	EXPECT("EAX", 0xffff1234, last_trap.frame.rax);
	EXPECT("CX", 0x1234, last_trap.frame.rcx & 0xffff);
	EXPECT("CS saved", SLOT(0) | 3, last_trap.frame.cs);
	EXPECT("IP saved, relative to the base", 16, last_trap.frame.rip);
}

USER_ROUTINE_32(read_es, "movl %edi, %es\n\tread_es_at: movl %es:(%esi), %eax\n\t" EXIT);
USER_ROUTINE_32(write_es, "movl %edi, %es\n\twrite_es_at: movl %eax, %es:(%esi)\n\t" EXIT);
USER_ROUTINE(known_word, ".long 0x600dcafe, 0, 0, 0\n\t.skip 256");
extern routine read_es_at, write_es_at;

static void segment_bases(void)
{
	const uint64_t word = ADDRESS(known_word);
	RUN_32("ES with a base", EXITS, read_es, slot(0, segment(word - 0x100, 0xfff, DATA, BIG)) | 3, 0x100);
	EXPECT("word", 0x600dcafe, last_trap.frame.rax);
	RUN_32("base and offset modulo 4 GB", EXITS, read_es, slot(0, segment(0xfffff000, ALL, DATA, FLAT)) | 3, word + 0x1000);
	EXPECT("word", 0x600dcafe, last_trap.frame.rax);
	RUN_32("FS base of an MSR beyond 4 GB does not matter for ES", EXITS, read_es, USER_SS, word);
	EXPECT("word", 0x600dcafe, last_trap.frame.rax);
}

static void data_limits(void)
{
	const uint64_t word = ADDRESS(known_word);
	uint16_t small = slot(0, segment(word, 0xff, DATA, BIG)) | 3, down = slot(1, segment(word - 0x100, 0xff, DATA_DOWN, BIG)) | 3,
	         read_only = slot(2, segment(word, 0xff, DATA_READ_ONLY, BIG)) | 3;
	RUN_32("last doubleword", EXITS, read_es, small, 0xfc);
	RUN_32("beyond the limit", AT(GP, read_es_at), read_es, small, 0xfd);
	RUN_32("write beyond the limit", AT(GP, write_es_at), write_es, small, 0x100);
	RUN_32("expand-down: outside", EXITS, read_es, down, 0x100);
	RUN_32("expand-down: within the limit", AT(GP, read_es_at), read_es, down, 0xfc);
	RUN_32("write to read-only data", AT(GP, write_es_at), write_es, read_only, 0);
	RUN_32("null", AT(GP, read_es_at), read_es, 0, 0);
}

USER_ROUTINE_32(push_once, "pushl %edi\n\t" EXIT);

static void stack_limits(void)
{
	prepare(push_once, 0, 0);
	user_entry.ss = slot(0, segment(COMPATIBILITY_STACK_TOP - PAGE_BYTES, 0xfff, DATA, BIG)) | 3;
	user_entry.rsp = 0x1000;
	RUN_PREPARED("PUSH below the limit", EXITS);
	EXPECT("ESP", 0xffc, last_trap.frame.rsp);
	user_entry.rsp = 0x1004;
	RUN_PREPARED("PUSH above it", TRAP(SS, 0));
}

USER_ROUTINE_32(push_16, "movl $0x12340000, %esp\n\tpushl $0x77\n\tmovl %esp, %eax\n\t" EXIT);

/* B=0: SP alone is the stack pointer. */
static void stack_of_16_bits(void)
{
	prepare(push_16, 0, 0);
	user_entry.ss = slot(0, segment(COMPATIBILITY_STACK_TOP - 0x10000, 0xffff, DATA, 0)) | 3;
	RUN_PREPARED("PUSH with SP 0", EXITS);
	EXPECT("ESP", 0x1234fffc, last_trap.frame.rax);
}

USER_ROUTINE_32(runs_off, "nop\n\tnop\n\t" EXIT);

static void code_limit(void)
{
	prepare(runs_off, 0, 0);
	user_entry.cs = slot(0, segment(ADDRESS(runs_off), 1, CODE, BIG)) | 3;
	user_entry.rip = 0;
	MEETS("run off the end", probe(TRAP(GP, 0, 0, 2), enter_user_iretq, 0, 0, 0));
}

USER_ROUTINE_32(load_flat, SET_DS "load_flat_at: movl (%edi), %eax\n\t" EXIT);
extern routine load_flat_at;

static void page_faults(void)
{
	const uint64_t absent = COMPATIBILITY_BASE + 0x100000, kernel = (uint64_t)scratch[0];
	RUN_32("absent page", TRAP(PF, PFEC_U, absent, ADDRESS(load_flat_at)), load_flat, absent, 0);
	RUN_32("supervisor page", TRAP(PF, PFEC_P | PFEC_U, kernel, ADDRESS(load_flat_at)), load_flat, kernel, 0);
	EXPECT("CS saved", USER_CS32, last_trap.frame.cs);
}

/* Two far pointers that ring 3 reaches through CS; what they lead to, C fills in. */
USER_ROUTINE(far_pointers, ".skip 16");

static uint64_t lead_to(const char *first, uint16_t first_cs, const char *second, uint16_t second_cs)
{
	const uint64_t pointers[2] = { ADDRESS(first) | (uint64_t)first_cs << 32, ADDRESS(second) | (uint64_t)second_cs << 32 };
	memcpy((void *)far_pointers, pointers, sizeof pointers);
	return ADDRESS(far_pointers);
}

USER_ROUTINE_32(far_calls, "lcalll *%cs:(%edi)\n\tfar_calls_next: movl %esp, %ebx\n\t" EXIT
	"far_called: movl (%esp), %eax\n\tmovl 4(%esp), %ecx\n\tlretl");
extern routine far_calls_next, far_called;

static void far_transfers(void)
{
	RUN_32("far CALL and RET", EXITS, far_calls, lead_to(far_called, USER_CS32, far_called, 0), 0);
	EXPECT("EIP pushed", ADDRESS(far_calls_next), last_trap.frame.rax);
	EXPECT("CS pushed", USER_CS32, last_trap.frame.rcx & 0xffff);
	EXPECT("ESP afterwards", STACK, last_trap.frame.rbx);
}

USER_ROUTINE_32(to_64, "ljmpl *%cs:(%edi)\n\t.code64\n\tin_64: movabsq $0x123456789abcdef0, %rax\n\t"
	"movq %rax, %r8\n\taddq %r8, %rax\n\tshrq $32, %rax\n\tmovl %cs, %ebx\n\tljmpl *8(%rdi)\n\t"
	".code32\n\tin_32: movl %cs, %ecx\n\t" EXIT);
extern routine in_64, in_32;

static void to_64_bit_mode_and_back(void)
{
	RUN_32("JMP to 64-bit code and back", EXITS, to_64, lead_to(in_64, USER_CS, in_32, USER_CS32), 0);
	EXPECT("upper half of a sum of 64 bits", 0x2468acf1, last_trap.frame.rax);
	EXPECT("CS inside", USER_CS, last_trap.frame.rbx & 0xffff);
	EXPECT("CS afterwards", USER_CS32, last_trap.frame.rcx & 0xffff);
	EXPECT("CS saved", USER_CS32, last_trap.frame.cs);
}

static void slot_gate(unsigned n, uint16_t selector, uint64_t offset, unsigned access)
{
	slot(n, (offset & 0xffff) | (uint64_t)selector << 16 | (uint64_t)access << 40 | (offset >> 16 & 0xffff) << 48);
	slot(n + 1, offset >> 32);
}

USER_ROUTINE_32(through_gate, "lcalll $0x6b, $0\n\t" EXIT);	/* SLOT(0), RPL 3 */
ROUTINE(gate_landing, "movq (%rsp), %rax\n\tmovq 8(%rsp), %rbx\n\tmovq 16(%rsp), %rcx\n\tmovq 24(%rsp), %rdx\n\tlretq");

static void call_gate(void)
{
	slot_gate(0, KERNEL_CS, (uint64_t)gate_landing, 0xec);
	RUN_32("CALL and RET", EXITS, through_gate, 0, 0);
	EXPECT("RIP pushed", ADDRESS(through_gate) + 7, last_trap.frame.rax);
	EXPECT("CS pushed", USER_CS32, last_trap.frame.rbx);
	EXPECT("RSP pushed", STACK, last_trap.frame.rcx);
	EXPECT("SS pushed", USER_SS, last_trap.frame.rdx);
	EXPECT("CS afterwards", USER_CS32, last_trap.frame.cs);
	slot_gate(0, KERNEL_CS, (uint64_t)gate_landing, 0xe4);
	RUN_32("a 16-bit gate", GP_(SLOT(0)), through_gate, 0, 0);
	slot(0, segment((uint64_t)&tss, sizeof tss - 1, 0xe9, 0));
	RUN_32("a TSS", GP_(SLOT(0)), through_gate, 0, 0);
}

static void enable_syscall(void)
{
	write_msr(IA32_STAR, (uint64_t)USER_CS32 << 48 | (uint64_t)KERNEL_CS << 32);
	write_msr(IA32_LSTAR, (uint64_t)gate_landing);
	write_msr(IA32_FMASK, RFLAGS_CF);
}

USER_ROUTINE_32(do_syscall, "stc\n\tdo_syscall_at: syscall\n\t" EXIT);
extern routine do_syscall_at;
ROUTINE(exit_now, EXIT);

/* CSTAR is AMD's; Intel has SYSCALL in 64-bit mode only. */
static void syscall(void)
{
	enable_syscall();
	if (!is_amd()) {
		RUN_32("SYSCALL", AT(UD, do_syscall_at), do_syscall, 0, 0);
		return;
	}
	write_msr(IA32_CSTAR, (uint64_t)exit_now);
	RUN_32("SYSCALL", EXITS, do_syscall, 0, 0);
	EXPECT("CS", KERNEL_CS, last_trap.frame.cs);
	EXPECT("RIP", (uint64_t)exit_now + 2, last_trap.frame.rip);
	EXPECT("RCX: where it came from", ADDRESS(do_syscall_at) + 2, last_trap.frame.rcx);
	EXPECT("RSP, as it was", STACK, last_trap.frame.rsp);
	EXPECT("RFLAGS, masked", RFLAGS_FIXED, last_trap.frame.rflags & ~RFLAGS_RF);
}

ROUTINE(sysret_32, "movq %rdi, %rcx\n\tmovq %rsi, %rsp\n\tmovl $2, %r11d\n\tsysretl");

static void sysret(void)
{
	enable_syscall();
	RUN("SYSRET with a 32-bit operand", EXITS, sysret_32, ADDRESS(plain), STACK);
	EXPECT("CS", USER_CS32, last_trap.frame.cs);
	EXPECT("SS", USER_SS, last_trap.frame.ss);
	EXPECT("EAX: 40h is INC", 1, last_trap.frame.rax);
}

USER_ROUTINE_32(do_sysenter, "sysenter");

static void sysenter(void)
{
	static uint64_t stack[32];
	if (is_amd()) {
		RUN_32("SYSENTER", UD_, do_sysenter, 0, 0);
		return;
	}
	REQUIRE(cpuid(1, 0).edx >> 11 & 1, "CPUID has no SEP");
	write_msr(IA32_SYSENTER_CS, KERNEL_CS);
	write_msr(IA32_SYSENTER_ESP, (uint64_t)(stack + 32));
	write_msr(IA32_SYSENTER_EIP, (uint64_t)exit_now);
	RUN_32("SYSENTER", EXITS, do_sysenter, 0, 0);
	EXPECT("CS", KERNEL_CS, last_trap.frame.cs);
	EXPECT("RSP", (uint64_t)(stack + 32), last_trap.frame.rsp);
}

USER_ROUTINE_32(do_iret, "pushl $0x203\n\tpushl %cs\n\tpushl %edi\n\tiretl\n\tud2\n\tiret_here: pushfl\n\tpopl %eax\n\t"
	"movl %esp, %ebx\n\t" EXIT);
extern routine iret_here;

static void iret(void)
{
	RUN_32("IRET in ring 3", EXITS, do_iret, ADDRESS(iret_here), 0);
	EXPECT("EFLAGS: IF stays", RFLAGS_FIXED | RFLAGS_CF, last_trap.frame.rax);
	EXPECT("ESP, the same", STACK, last_trap.frame.rbx);
}

/* Ring 0: far return to 32-bit code of this kernel, and a far jump back. */
ROUTINE(ring_0_trip, "pushq %rdi\n\tleaq ring_0_32(%rip), %rax\n\tpushq %rax\n\tlretq\n\t.code32\n\tring_0_32: xorl %eax, %eax\n\t.byte 0x40\n\t"
	"movl %cs, %ecx\n\tpushl %eax\n\tpopl %edx\n\tljmpl $0x08, $ring_0_64\n\t.code64\n\tring_0_64: shlq $32, %rdx\n\torq %rdx, %rax\n\t"
	"shlq $16, %rcx\n\torq %rcx, %rax\n\tret");
ROUTINE(ring_0_fault, "pushq %rdi\n\tleaq ring_0_fault_at(%rip), %rax\n\tpushq %rax\n\tlretq\n\t.code32\n\tring_0_fault_at: ud2\n\t.code64");
extern routine ring_0_fault_at;

static void ring_0(void)
{
	uint16_t cs = slot(0, segment(0, ALL, CODE_RING_0, FLAT));
	RUN("to 32-bit code and back", RETURNS, ring_0_trip, cs, 0);
	EXPECT("what was pushed, CS, and EAX", 1ul << 32 | (uint64_t)cs << 16 | 1, probe_result);
	RUN("UD2 there", TRAP(UD, 0, 0, (uint64_t)ring_0_fault_at), ring_0_fault, cs, 0);
	EXPECT("CS saved", cs, last_trap.frame.cs);
	EXPECT("stack the CPU began to push on", 0, last_trap.stack & 15);
}

static unsigned steps;
static uint64_t step_rip;

static bool note_steps(struct trap_frame *frame)
{
	if (frame->vector != DB)
		return false;
	if (++steps == 2) {
		step_rip = frame->rip;
		frame->rflags &= ~RFLAGS_TF;
	}
	return true;
}

USER_ROUTINE_32(three_nops, "nop\n\tnop\n\tnop\n\t" EXIT);

static void single_step(void)
{
	steps = 0;
	trap_hook = note_steps;
	prepare(three_nops, 0, 0);
	user_entry.rflags |= RFLAGS_TF;
	RUN_PREPARED("TF", EXITS);
	EXPECT("number of #DB", 2, steps);
	EXPECT("second RIP", ADDRESS(three_nops) + 2, step_rip);
}

USER_ROUTINE_32(misaligned, SET_DS "misaligned_at: movl 1(%edi), %eax\n\t" EXIT);
extern routine misaligned_at;

static void alignment_check(void)
{
	write_cr0(read_cr0() | 1ul << 18);
	prepare(misaligned, ADDRESS(known_word), 0);
	user_entry.rflags |= RFLAGS_AC;
	RUN_PREPARED("doubleword at 1", AT(AC, misaligned_at));
}

USER_ROUTINE_32(show_ds, "movl %ds, %eax\n\tmovl %fs, %ebx\n\t" EXIT);
ROUTINE(load_ds_and_enter, "movl %edi, %ds\n\tmovl %esi, %fs\n\tjmp enter_user_iretq");

static void outer_return(void)
{
	prepare(show_ds, 0, 0);
	MEETS("IRETQ with DS of ring 0 and FS of ring 3", probe(EXITS, load_ds_and_enter, KERNEL_SS, USER_SS, 0));
	EXPECT("DS", 0, last_trap.frame.rax & 0xffff);
	EXPECT("FS", USER_SS, last_trap.frame.rbx & 0xffff);
}

USER_ROUTINE_32(do_in, "inb $0x80, %al\n\t" EXIT);

static void io_permission(void)
{
	RUN_32("bit set", GP_(0), do_in, 0, 0);
	tss.io_map[0x80 / 8] = 0xfe;
	RUN_32("bit clear", EXITS, do_in, 0, 0);
}

static const struct check checks[] = {
	{ "compatibility-32", "SDM 3, 2.2.1", code_32 },
	{ "compatibility-lost-opcodes", "SDM 2, AAA", lost_instructions },
	{ "compatibility-16", "SDM 3, 3.4.5", code_16 },
	{ "compatibility-bases", "SDM 3, 3.4.4", segment_bases },
	{ "compatibility-limits", "SDM 3, 5.3", data_limits },
	{ "compatibility-stack-limit", "SDM 3, 5.3", stack_limits },
	{ "compatibility-stack-16", "SDM 3, 3.4.5", stack_of_16_bits },
	{ "compatibility-code-limit", "SDM 3, 5.3", code_limit },
	{ "compatibility-page-fault", "SDM 3, 4.7", page_faults },
	{ "compatibility-far-call", "SDM 2, CALL", far_transfers },
	{ "compatibility-and-64-bit", "SDM 3, 5.8.1", to_64_bit_mode_and_back },
	{ "compatibility-call-gate", "SDM 3, 5.8.3.1", call_gate },
	{ "compatibility-syscall", "APM 3, SYSCALL", syscall },
	{ "compatibility-sysret", "SDM 2, SYSRET", sysret },
	{ "compatibility-sysenter", "SDM 2, SYSENTER", sysenter },
	{ "compatibility-iret", "SDM 2, IRET", iret },
	{ "compatibility-ring-0", "SDM 3, 6.14.2", ring_0 },
	{ "compatibility-single-step", "SDM 3, 17.3.1.4", single_step },
	{ "compatibility-alignment", "SDM 3, 6.15", alignment_check },
	{ "compatibility-outer-return", "SDM 3, 5.8.6", outer_return },
	{ "compatibility-io", "SDM 1, 19.5.2", io_permission },
};
CHECK_GROUP(compatibility_group, "compatibility mode", checks);
