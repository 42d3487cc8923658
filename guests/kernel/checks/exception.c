/* Exceptions other than page faults (SDM vol. 3, 6.15), their error codes and their delivery. */
#include "check.h"
#include "../descriptors.h"
#include "../identity.h"
#include "../print.h"

ROUTINE(load_and_divide, "movq %rdi, %rax\n\txorl %edx, %edx\n\tdivq %rsi\n\tret");
ROUTINE(divide_overflow, "movq %rdi, %rdx\n\tdivq %rsi\n\tret");
ROUTINE(divide_signed, "movq %rdi, %rax\n\tcqto\n\tidivq %rsi\n\tret");
ROUTINE(breakpoint, "int3\n\tret");
ROUTINE(breakpoint_int_n, ".byte 0xcd, 3\n\tret");
ROUTINE(undefined, "ud2");
ROUTINE(lock_register, ".byte 0xf0, 0x01, 0xc0\n\tret");	/* lock addl %eax, %eax */
ROUTINE(lock_move, ".byte 0xf0, 0x89, 0x07\n\tret");	/* lock movl %eax, (%rdi) */
ROUTINE(lea_register, ".byte 0x8d, 0xc0\n\tret");
ROUTINE(move_to_cs, ".byte 0x8e, 0xc8\n\tret");
ROUTINE(move_to_cr5, ".byte 0x0f, 0x22, 0xe8\n\tret");
ROUTINE(load_ds, "movl %edi, %ds\n\tret");
ROUTINE(load_ss, "movl %edi, %ss\n\tret");
ROUTINE(jump_far, "pushq %rdi\n\tleaq 1f(%rip), %rax\n\tpushq %rax\n\t1: lretq");
ROUTINE(int_absent, "int $0x81\n\tret");
ROUTINE(int_beyond, "int $0xf0\n\tret");
ROUTINE(int_kernel, "int $0x82\n\tret");
ROUTINE(move_to_cr0, "movq %rdi, %cr0\n\tret");
ROUTINE(move_to_cr4, "movq %rdi, %cr4\n\tret");
ROUTINE(absent_msr, "movl %edi, %ecx\n\trdmsr\n\tret");
ROUTINE(write_efer, "movl $0xc0000080, %ecx\n\tmovq %rdi, %rax\n\tmovq %rdi, %rdx\n\tshrq $32, %rdx\n\twrmsr\n\tret");
ROUTINE(sixteen_bytes, ".fill 15, 1, 0x66\n\tnop\n\tret");
ROUTINE(fifteen_bytes, ".fill 14, 1, 0x66\n\tnop\n\tret");
ROUTINE(push_no_stack, "movq %rdi, %rsp\n\tpushq %rax\n\tud2");
USER_ROUTINE(user_int3, "int3\n\t" EXIT);
USER_ROUTINE(user_int_exit, EXIT);
USER_ROUTINE(user_int_kernel, "int $0x82\n\t" EXIT);
USER_ROUTINE(user_int_absent, "int $0x81\n\t" EXIT);
USER_ROUTINE(user_load_ss, "movl %edi, %ss\n\t" EXIT);
USER_ROUTINE(user_misaligned, "movl 1(%rdi), %eax\n\t" EXIT);

static void divide_error(void)
{
	RUN("20 / 3", RETURNS, load_and_divide, 20, 3);
	EXPECT("20 / 3", 6, probe_result);
	RUN("1 / 0", TRAP(DE, 0, 0, (uint64_t)load_and_divide + 5), load_and_divide, 1, 0);
	RUN("quotient of 65 bits", TRAP(DE, 0, 0, (uint64_t)divide_overflow + 3), divide_overflow, 5, 5);
	RUN("INT64_MIN / -1", TRAP(DE, 0, 0, (uint64_t)divide_signed + 5), divide_signed, 1ul << 63, -1);
	RUN("INT64_MIN / 1", RETURNS, divide_signed, 1ul << 63, 1);
	EXPECT("INT64_MIN / 1", 1ul << 63, probe_result);
}

static void breakpoint_trap(void)
{
	RUN("INT3", TRAP(BP, 0, 0, (uint64_t)breakpoint + 1), breakpoint, 0, 0);
	RUN("INT 3", TRAP(BP, 0, 0, (uint64_t)breakpoint_int_n + 2), breakpoint_int_n, 0, 0);
	RUN_USER("INT3 from ring 3", TRAP(BP, 0, 0, user_address(user_int3) + 1), user_int3, 0, 0);
}

static void undefined_opcodes(void)
{
	RUN("UD2", UD_, undefined, 0, 0);
	RUN("LOCK on a register", UD_, lock_register, 0, 0);
	RUN("LEA of a register", UD_, lea_register, 0, 0);
	RUN("MOV to CS", UD_, move_to_cs, 0, 0);
	RUN("MOV to CR5", UD_, move_to_cr5, 0, 0);
}

/* LOCK goes with read-modify-write instructions only. */
static void lock_on_move(void)
{
	RUN("LOCK MOV to memory", UD_, lock_move, scratch[0], 0);
}

/* Opcodes that 64-bit mode took away: PUSH ES, DAA, AAA, PUSHA, INTO, AAM, SALC, far CALL and JMP. */
static void undefined_in_64_bit_mode(void)
{
	static const uint8_t opcodes[] = { 0x06, 0x0e, 0x16, 0x1e, 0x27, 0x2f, 0x37, 0x3f, 0x60, 0x61, 0x9a, 0xce, 0xd4, 0xd5, 0xd6, 0xea };
	for (size_t i = 0; i < sizeof opcodes; i++) {
		char what[16];
		memset(scratch[0], 0, 16);
		scratch[0][0] = opcodes[i];
		scratch[0][8] = 0xc3;
		format_text(what, sizeof what, "opcode %02x", opcodes[i]);
		RUN(what, TRAP(UD, 0, 0, (uint64_t)scratch[0]), call_to, scratch[0], 0);
	}
}

static void instruction_length(void)
{
	RUN("15 bytes", RETURNS, fifteen_bytes, 0, 0);
	RUN("16 bytes", GP_(0), sixteen_bytes, 0, 0);
}

static void selector_errors(void)
{
	RUN("DS beyond the GDT", GP_(0x1230), load_ds, 0x1233, 0);
	RUN("DS from the absent LDT", GP_(0x14), load_ds, 0x17, 0);
	RUN("DS from the TSS", GP_(TSS_SELECTOR), load_ds, TSS_SELECTOR, 0);
	RUN("null DS", RETURNS, load_ds, 0, 0);
	RUN("null DS, RPL 3", RETURNS, load_ds, 3, 0);
	RUN("SS with the wrong RPL", GP_(KERNEL_SS), load_ss, KERNEL_SS | 3, 0);
	RUN("SS with a code segment", GP_(KERNEL_CS), load_ss, KERNEL_CS, 0);
	RUN("CS beyond the GDT", TRAP(GP, 0x1230, 0, ANY_RIP), jump_far, 0x1230, 0);
	RUN("CS with a data segment", TRAP(GP, KERNEL_SS, 0, ANY_RIP), jump_far, KERNEL_SS, 0);
	RUN("null CS", TRAP(GP, 0, 0, ANY_RIP), jump_far, 0, 0);
	RUN_USER("null SS in ring 3", GP_(0), user_load_ss, 0, 0);
}

static void segment_not_present(void)
{
	RUN("DS", TRAP(NP, ABSENT_DATA), load_ds, ABSENT_DATA, 0);
	RUN("SS", TRAP(SS, ABSENT_DATA), load_ss, ABSENT_DATA, 0);
	RUN("CS", TRAP(NP, ABSENT_CODE, 0, ANY_RIP), jump_far, ABSENT_CODE, 0);
}

/* Error code of a bad gate: vector * 8, IDT bit; EXT is clear for INT n. */
static void gate_errors(void)
{
	RUN("gate with P=0", TRAP(NP, ABSENT_VECTOR * 8 + 2), int_absent, 0, 0);
	RUN_USER("DPL 0 from ring 3", GP_(KERNEL_VECTOR * 8 + 2), user_int_kernel, 0, 0);
	RUN_USER("P=0 and DPL 0 from ring 3", GP_(ABSENT_VECTOR * 8 + 2), user_int_absent, 0, 0);
	idt_load(0xe0);
	RUN("beyond the IDT", GP_(0xf0 * 8 + 2), int_beyond, 0, 0);
	idt_load(256);
}

static void int_n(void)
{
	RUN("DPL 0 from ring 0", TRAP(KERNEL_VECTOR, 0, 0, (uint64_t)int_kernel + 2), int_kernel, 0, 0);
	RUN_USER("DPL 3 from ring 3", EXITS, user_int_exit, 0, 0);
	EXPECT("RIP after INT n", user_address(user_int_exit) + 2, last_trap.frame.rip);
}

static void reserved_cr0_bits(void)
{
	RUN("NW=1, CD=0", GP_(0), move_to_cr0, (read_cr0() | 1ul << 29) & ~(1ul << 30), 0);
	RUN("bit 32 of CR0", GP_(0), move_to_cr0, read_cr0() | 1ul << 32, 0);
}

/* A CPU that takes these is in no state to say so afterwards. */
static void control_bits_of_no_return(void)
{
	REQUIRE(!is_qemu_tcg(), "QEMU's TCG never returns from these");
	RUN("bit 15 of CR4", GP_(0), move_to_cr4, read_cr4() | 1ul << 15, 0);
	RUN("bit 32 of CR4", GP_(0), move_to_cr4, read_cr4() | 1ul << 32, 0);
	RUN("PAE=0", GP_(0), move_to_cr4, read_cr4() & ~CR4_PAE, 0);
	RUN("PE=0, PG=1", GP_(0), move_to_cr0, read_cr0() & ~CR0_PE, 0);
}

static void msr_faults(void)
{
	RUN("unknown MSR", TRAP(GP, 0, 0, (uint64_t)absent_msr + 2), absent_msr, 0x12345678, 0);
	RUN("reserved bit of EFER", TRAP(GP, 0, 0, ANY_RIP), write_efer, read_msr(IA32_EFER) | 1ul << 63, 0);
}

static void stack_alignment(void)
{
	RUN("UD2", UD_, undefined, 0, 0);
	EXPECT("stack the CPU began to push on", 0, last_trap.stack & 15);
	EXPECT("saved CS", KERNEL_CS, last_trap.frame.cs);
	EXPECT("saved SS", KERNEL_SS, last_trap.frame.ss);
}

static void interrupt_stack_table(void)
{
	gate_set_ist(UD, 2);
	bool met = probe(UD_, undefined, 0, 0, 0);
	gate_set_ist(UD, 0);
	EXPECT("UD2 through IST 2", true, met);
	EXPECT("top of the stack used", ist_top(2), last_trap.stack);
	RUN("UD2 without IST", UD_, undefined, 0, 0);
	EXPECT("stack used is near the saved RSP", 1, last_trap.stack - last_trap.frame.rsp + 16 < 32);
}

/* PUSH to an absent page, and the #PF cannot be pushed either. */
static void double_fault(void)
{
	map(WINDOW, 0, 0, PTE);
	RUN("push without a stack", TRAP(DF, 0, 0, (uint64_t)push_no_stack + 3), push_no_stack, WINDOW + 256, 0);
	EXPECT("top of the stack used", ist_top(1), last_trap.stack);
	EXPECT("saved RSP", WINDOW + 256, last_trap.frame.rsp);
	EXPECT("CR2, of the exception frame", 1, last_trap.cr2 >= WINDOW && last_trap.cr2 < WINDOW + 256);
}

/* CR0.AM, RFLAGS.AC, and ring 3 only. */
static void alignment_check(void)
{
	map(WINDOW, (uint64_t)scratch[0], PTE_P | PTE_W | PTE_U, PTE);
	EXPECT("misaligned read, AM=0", true, run_user(EXITS, user_misaligned, WINDOW, 0, RFLAGS_FIXED | RFLAGS_AC));
	write_cr0(read_cr0() | 1ul << 18);
	EXPECT("misaligned read, AC=0", true, run_user(EXITS, user_misaligned, WINDOW, 0, RFLAGS_FIXED));
	if (!run_user(TRAP(AC, 0), user_misaligned, WINDOW, 0, RFLAGS_FIXED | RFLAGS_AC))
		check_probe_failed("misaligned read, AM=1, AC=1");
}

static const struct check checks[] = {
	{ "divide-error", "SDM 3, 6.15", divide_error },
	{ "breakpoint", "SDM 3, 6.15", breakpoint_trap },
	{ "undefined-opcodes", "SDM 3, 6.15", undefined_opcodes },
	{ "lock-on-mov", "SDM 2, LOCK", lock_on_move },
	{ "undefined-in-64-bit-mode", "SDM 3, 6.15", undefined_in_64_bit_mode },
	{ "instruction-length", "SDM 3, 6.15", instruction_length },
	{ "selector-errors", "SDM 3, 6.13", selector_errors },
	{ "segment-not-present", "SDM 3, 6.15", segment_not_present },
	{ "int-n", "SDM 3, 6.12.1", int_n },
	{ "gate-errors", "SDM 3, 6.13", gate_errors },
	{ "cr0-reserved-bits", "SDM 2, MOV CR", reserved_cr0_bits },
	{ "cr4-reserved-bits", "SDM 2, MOV CR", control_bits_of_no_return },
	{ "msr-faults", "SDM 2, RDMSR", msr_faults },
	{ "frame-alignment", "SDM 3, 6.14.2", stack_alignment },
	{ "interrupt-stack-table", "SDM 3, 6.14.5", interrupt_stack_table },
	{ "double-fault", "SDM 3, 6.15", double_fault },
	{ "alignment-check", "SDM 3, 6.15", alignment_check },
};
CHECK_GROUP(exception_group, "exceptions", checks);
