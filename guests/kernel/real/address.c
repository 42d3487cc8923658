/* Segments, offsets, operand and address sizes in real mode (SDM vol. 3, 20.1). */
#include "check.h"

ROUTINE(read_es, "movw %ax, %es\n\tmovw %es:(%edx), %ax\n\tret");
ROUTINE(write_es, "movw %ax, %es\n\tmovw %cx, %es:(%edx)\n\tret");

static void translation(void)
{
	far_write(DATA_SEGMENT, 0x123, 0xabcd);
	RUN("read through another segment", RETURNS, read_es, DATA_SEGMENT + 0x12, 3);
	EXPECT("word", 0xabcd, probe_result & 0xffff);
	RUN3("write through a third", RETURNS, write_es, DATA_SEGMENT - 0x100, 0x1123, 0x5678);
	EXPECT("word", 0x5678, far_read(DATA_SEGMENT, 0x123));
}

ROUTINE(word_at, "movw %ax, %es\n\tmovw %dx, %bx\n\tword_at_place: movw %es:(%bx), %ax\n\tret");
ROUTINE(long_at, "movw %ax, %es\n\tmovw %dx, %bx\n\tlong_at_place: movl %es:(%bx), %eax\n\tret");
ROUTINE(store_at, "movw %ax, %es\n\tmovw %dx, %bx\n\tstore_at_place: movw %cx, %es:(%bx)\n\tret");
extern routine word_at_place, long_at_place, store_at_place;

/* No error code is pushed in real mode. */
static void limit(void)
{
	RUN("last word", RETURNS, word_at, DATA_SEGMENT, 0xfffe);
	RUN("word at FFFF", AT(GP, word_at_place), word_at, DATA_SEGMENT, 0xffff);
	EXPECT("ESP: six bytes pushed", last_trap.first_esp - 6, last_trap.frame.esp);
	RUN("last doubleword", RETURNS, long_at, DATA_SEGMENT, 0xfffc);
	RUN("doubleword at FFFD", AT(GP, long_at_place), long_at, DATA_SEGMENT, 0xfffd);
	RUN("write at FFFF", AT(GP, store_at_place), store_at, DATA_SEGMENT, 0xffff);
}

ROUTINE(stack_word_at, "movw %dx, %bp\n\tstack_word_at_place: movw (%bp), %ax\n\tret");
extern routine stack_word_at_place;

static void stack_limit(void)
{
	RUN("word at FFFF of the stack", AT(SS, stack_word_at_place), stack_word_at, 0, 0xffff);
	RUN("word at FFFE", RETURNS, stack_word_at, 0, 0xfffe);
}

ROUTINE(offset_32, "movw %ax, %es\n\toffset_32_at: movb %es:(%edx), %al\n\tret");
extern routine offset_32_at;

static void offsets_of_32_bits(void)
{
	far_write(DATA_SEGMENT, 0xfffe, 0x77aa);
	RUN("offset FFFF", RETURNS, offset_32, DATA_SEGMENT, 0xffff);
	EXPECT("byte", 0x77, probe_result & 0xff);
	RUN("offset 10000", AT(GP, offset_32_at), offset_32, DATA_SEGMENT, 0x10000);
	RUN("offset FFFFFFFF", AT(GP, offset_32_at), offset_32, DATA_SEGMENT, -1);
}

ROUTINE(sum_wraps, "movw %ax, %es\n\tmovw %dx, %bx\n\tmovw $0x20, %si\n\tmovw %es:(%bx,%si), %ax\n\tret");
ROUTINE(scaled, "movw %ax, %es\n\tmovw %es:8(%edx,%ecx,4), %ax\n\tret");
static void address_arithmetic(void)
{
	far_write(DATA_SEGMENT, 0x10, 0x1111);
	RUN("BX + SI modulo 64 KB", RETURNS, sum_wraps, DATA_SEGMENT, 0xfff0);
	EXPECT("word at 10", 0x1111, probe_result & 0xffff);
	RUN3("EDX + 4 ECX + 8", RETURNS, scaled, DATA_SEGMENT, 0x4, 1);
	EXPECT("word at 10", 0x1111, probe_result & 0xffff);
}

ROUTINE(lea_16, "movl %edx, %ebx\n\tmovw $0x20, %si\n\tmovl $-1, %eax\n\t.byte 0x8d, 0x40, 0x10\n\tret");	/* lea ax, [bx+si+10] */
ROUTINE(lea_32, "movl %edx, %ebx\n\tmovw $0x20, %si\n\tmovl $-1, %eax\n\t.byte 0x66, 0x8d, 0x40, 0x10\n\tret");	/* lea eax, ... */

static void load_effective_address(void)
{
	RUN("LEA of 16 bits", RETURNS, lea_16, 0, 0x1234fff0);
	EXPECT("EAX", 0xffff0020, probe_result);
	RUN("LEA of 32 bits from a 16-bit address", RETURNS, lea_32, 0, 0x1234fff0);
	EXPECT("EAX", 0x20, probe_result);
}

static void above_1m(void)
{
	RUN("FFFF:0010", RETURNS, read_es, 0xffff, 0x10);
	/* The loader's stub is there, and begins with the multiboot header. */
	EXPECT("word at 1 MB", 0xb002, probe_result & 0xffff);
}

ROUTINE(write_cs, "movw %dx, %cs:write_cs_word\n\tmovw write_cs_word, %ax\n\tret\n\twrite_cs_word: .word 0");

static void code_is_written(void)
{
	RUN("write through CS", RETURNS, write_cs, 0, 0x4567);
	EXPECT("word", 0x4567, probe_result & 0xffff);
}

ROUTINE(any_selector, "movw %ax, %ds\n\tmovw %ds, %cx\n\tmovw %dx, %gs\n\tmovw %gs, %ax\n\tshll $16, %eax\n\tmovw %cx, %ax\n\tret");
ROUTINE(move_cs, ".byte 0x8e, 0xc8\n\tret");

static void selectors(void)
{
	RUN("any value", RETURNS, any_selector, 0x0003, 0xfff7);
	EXPECT("GS and DS", 0xfff70003, probe_result);
	RUN("MOV to CS", UD_, move_cs, REAL_SEGMENT, 0);
}

ROUTINE(load_les, "lesw (%edx), %bx\n\tmovw %es, %ax\n\tshll $16, %eax\n\tmovw %bx, %ax\n\tret");
ROUTINE(load_lss, "movw %ss, 4(%edx)\n\tmovl %esp, (%edx)\n\tmovl %esp, %ecx\n\txorl %esp, %esp\n\tlssl (%edx), %esp\n\tsubl %esp, %ecx\n\t"
	"movl %ecx, %eax\n\tret");

static void far_pointers(void)
{
	static uint16_t pointer[3];
	pointer[0] = 0x1234, pointer[1] = 0xabcd;
	RUN("LES", RETURNS, load_les, 0, pointer);
	EXPECT("ES:BX", 0xabcd1234, probe_result);
	RUN("LSS of 48 bits", RETURNS, load_lss, 0, pointer);
	EXPECT("ESP, the same", 0, probe_result);
}

MOVED(runs_off, "nop\n\tnop");
MOVED(jumps_round, "jmp jumps_round + 0x10");
MOVED(exits, "movw %cs, %bx\n\tint $0x80");

static void code_end(void)
{
	MOVE(CODE_SEGMENT, 0xfffe, runs_off);
	MOVE(CODE_SEGMENT, 0, exits);
	RUN("run off the end", TRAP(GP, 0, 0, ANY_RIP), go_far, 0xfffe, CODE_SEGMENT);
	EXPECT("CS", CODE_SEGMENT, last_trap.frame.cs);
	MOVE(CODE_SEGMENT, 0xfff0, jumps_round);
	RUN("near jump from FFF0 to 0", EXITS, go_far, 0xfff0, CODE_SEGMENT);
	EXPECT("CS", CODE_SEGMENT, last_trap.frame.ebx & 0xffff);
}

ROUTINE(far_call_16, "movl %esp, %ecx\n\tlcallw $0x4000, $0\n\tfar_call_16_next: movl %esp, %eax\n\tsubl %ecx, %eax\n\tret");
MOVED(shows_words, "popw %si\n\tpopw %di\n\tpushw %di\n\tpushw %si\n\tlretw");
ROUTINE(far_call_32, "movl %esp, %ecx\n\tlcalll $0x4000, $0\n\tfar_call_32_next: movl %esp, %eax\n\tsubl %ecx, %eax\n\tint $0x80");
MOVED(shows_longs, "popl %esi\n\tpopl %edi\n\tpushl %edi\n\tpushl %esi\n\tlretl");
ROUTINE(far_call_exits, "lcallw $0x4000, $0\n\tfar_call_exits_next: int $0x80");
extern routine far_call_exits_next, far_call_32_next;

static void far_calls(void)
{
	MOVE(CODE_SEGMENT, 0, shows_words);
	RUN("CALL and RET of 16 bits", RETURNS, far_call_16, 0, 0);
	EXPECT("ESP, the same", 0, probe_result);
	RUN("CALL of 16 bits", EXITS, far_call_exits, 0, 0);
	EXPECT("IP pushed", (uintptr_t)far_call_exits_next, last_trap.frame.esi & 0xffff);
	EXPECT("CS pushed", REAL_SEGMENT, last_trap.frame.edi & 0xffff);
	MOVE(CODE_SEGMENT, 0, shows_longs);
	RUN("CALL and RET of 32 bits", EXITS, far_call_32, 0, 0);
	EXPECT("ESP, the same", 0, last_trap.frame.eax);
	EXPECT("EIP pushed", (uintptr_t)far_call_32_next, last_trap.frame.esi);
	EXPECT("CS pushed", REAL_SEGMENT, last_trap.frame.edi & 0xffff);
}

ROUTINE(far_return_8, "movl %esp, %ecx\n\tpushl $0\n\tpushl $0\n\tpushw %cs\n\tpushw $1f\n\tlretw $8\n\t1: movl %esp, %eax\n\t"
	"subl %ecx, %eax\n\tret");
ROUTINE(near_16, "movl %esp, %ecx\n\tcallw 1f\n\tmovl %esp, %eax\n\tsubl %ecx, %eax\n\tret\n\t1: retw");

static void returns(void)
{
	RUN("far RET 8", RETURNS, far_return_8, 0, 0);
	EXPECT("ESP, the same", 0, probe_result);
	RUN("near CALL and RET of 16 bits", RETURNS, near_16, 0, 0);
	EXPECT("ESP, the same", 0, probe_result);
}

/* SS = EAX, ESP = EDX, and back. */
#define ON_STACK(code) "movw %ss, %bx\n\tmovl %esp, %ecx\n\tmovw %ax, %ss\n\tmovl %edx, %esp\n\t" code "movl %esp, %eax\n\t" \
	"movw %bx, %ss\n\tmovl %ecx, %esp\n\tret"
ROUTINE(push_on, ON_STACK("pushw $0x1357\n\t"));
ROUTINE(push_32_on, ON_STACK("pushl $0x13572468\n\t"));
ROUTINE(pusha_on, ON_STACK("pushaw\n\t"));

static void stack_pointer(void)
{
	RUN("PUSH with SP 0", RETURNS, push_on, DATA_SEGMENT, 0x12340000);
	EXPECT("ESP", 0x1234fffe, probe_result);
	EXPECT("word", 0x1357, far_read(DATA_SEGMENT, 0xfffe));
	RUN("PUSH of 32 bits", RETURNS, push_32_on, DATA_SEGMENT, 0x100);
	EXPECT("ESP", 0xfc, probe_result);
	EXPECT("word", 0x1357, far_read(DATA_SEGMENT, 0xfe));
	RUN("PUSHA of 16 bits", RETURNS, pusha_on, DATA_SEGMENT, 0x100);
	EXPECT("ESP", 0xf0, probe_result);
	EXPECT("SP pushed", 0x100, far_read(DATA_SEGMENT, 0xf6));
}

ROUTINE(enter_leave, "movl %esp, %ecx\n\tpushl %ebp\n\tmovl $0xaaaa5555, %ebp\n\tenterw $16, $0\n\tmovl %ebp, %eax\n\tleavew\n\t"
	"movl %ebp, %edx\n\tpopl %ebp\n\tsubl %esp, %ecx\n\tint $0x80");

static void enter(void)
{
	RUN("ENTER and LEAVE of 16 bits", EXITS, enter_leave, 0, 0);
	EXPECT("BP: the frame", (last_trap.first_esp - 4 - 2) & 0xffff, last_trap.frame.eax & 0xffff);
	EXPECT("EBP[31:16] in the frame", 0xaaaa, last_trap.frame.eax >> 16);
	EXPECT("EBP afterwards", 0xaaaa5555, last_trap.frame.edx);
	EXPECT("ESP, the same", 0, last_trap.frame.ecx);
}

ROUTINE(copy_round, "movw %ax, %ds\n\tmovw %ax, %es\n\tmovl $0x5555fffe, %esi\n\tmovl $0x66660100, %edi\n\tmovl $0x77770004, %ecx\n\t"
	".byte 0xf3, 0xa4\n\tint $0x80");	/* rep movsb with 16-bit addresses */

/* SI, DI and CX wrap, and the upper halves stay. */
static void strings_wrap(void)
{
	far_write(DATA_SEGMENT, 0xfffe, 0x2211);
	far_write(DATA_SEGMENT, 0, 0x4433);
	RUN("REP MOVSB", EXITS, copy_round, DATA_SEGMENT, 0);
	EXPECT("first two", 0x2211, far_read(DATA_SEGMENT, 0x100));
	EXPECT("last two", 0x4433, far_read(DATA_SEGMENT, 0x102));
	EXPECT("ESI", 0x55550002, last_trap.frame.esi);
	EXPECT("EDI", 0x66660104, last_trap.frame.edi);
	EXPECT("ECX", 0x77770000, last_trap.frame.ecx);
}

ROUTINE(words_end, "movw %ax, %es\n\tmovl $0xfffb, %edi\n\tmovl $4, %ecx\n\tmovw $0x9999, %ax\n\twords_end_at: .byte 0xf3, 0xab\n\tret");
extern routine words_end_at;

static void strings_fault(void)
{
	RUN("REP STOSW to FFFF", AT(GP, words_end_at), words_end, DATA_SEGMENT, 0);
	EXPECT("DI", 0xffff, last_trap.frame.edi);
	EXPECT("CX", 2, last_trap.frame.ecx);
}

ROUTINE(address_32_strings, "movw %ax, %ds\n\tmovw %ax, %es\n\tmovl $0x200, %esi\n\tmovl $0xfffe, %edi\n\tmovl $3, %ecx\n\t"
	"address_32_strings_at: .byte 0x67, 0xf3, 0xa4\n\tret");
extern routine address_32_strings_at;

static void strings_32(void)
{
	RUN("REP MOVSB with 32-bit addresses", AT(GP, address_32_strings_at), address_32_strings, DATA_SEGMENT, 0);
	EXPECT("EDI", 0x10000, last_trap.frame.edi);
	EXPECT("ECX", 1, last_trap.frame.ecx);
}

ROUTINE(loops, "movl $0x00010001, %ecx\n\txorl %eax, %eax\n\t1: incl %eax\n\t.byte 0xe2, 0xfc\n\tmovl %ecx, %edx\n\t"	/* incl is 2 bytes */
	"movl $0x00010003, %ecx\n\txorl %ebx, %ebx\n\t2: incl %ebx\n\t.byte 0x67, 0xe2, 0xfb\n\tint $0x80");
ROUTINE(jcxz, "movl $0x10000, %ecx\n\txorl %eax, %eax\n\t.byte 0xe3, 0x02\n\tincl %eax\n\t.byte 0x67, 0xe3, 0x02\n\tincl %eax\n\tret");

static void counters(void)
{
	RUN("LOOP", EXITS, loops, 0, 0);
	EXPECT("turns by CX", 1, last_trap.frame.eax);
	EXPECT("ECX[31:16]", 0x10000, last_trap.frame.edx);
	EXPECT("turns by ECX", 0x10003, last_trap.frame.ebx);
	RUN("JCXZ and JECXZ with ECX = 10000", RETURNS, jcxz, 0, 0);
	EXPECT("only JCXZ jumps", 1, probe_result);
}

static const struct check checks[] = {
	{ "real-address", "SDM 3, 20.1.1", translation },
	{ "real-limit", "SDM 3, 20.1.1", limit },
	{ "real-stack-limit", "SDM 3, 20.1.1", stack_limit },
	{ "real-offset-32", "SDM 3, 20.1.1", offsets_of_32_bits },
	{ "real-address-wraps", "SDM 2, 2.1.5", address_arithmetic },
	{ "real-lea", "SDM 2, LEA", load_effective_address },
	{ "real-above-1m", "SDM 3, 20.1.1", above_1m },
	{ "real-write-code", "SDM 3, 20.1", code_is_written },
	{ "real-selectors", "SDM 3, 20.1.1", selectors },
	{ "real-les-lss", "SDM 2, LDS", far_pointers },
	{ "real-code-end", "SDM 3, 20.1.1", code_end },
	{ "real-far-call", "SDM 2, CALL", far_calls },
	{ "real-return", "SDM 2, RET", returns },
	{ "real-stack-pointer", "SDM 2, PUSH", stack_pointer },
	{ "real-enter-leave", "SDM 2, ENTER", enter },
	{ "real-strings-wrap", "SDM 2, MOVS", strings_wrap },
	{ "real-strings-fault", "SDM 2, REP", strings_fault },
	{ "real-strings-32", "SDM 2, REP", strings_32 },
	{ "real-loop-jcxz", "SDM 2, LOOP", counters },
};
CHECK_GROUP(address_group, "addresses, stacks and sizes in real mode", checks);
