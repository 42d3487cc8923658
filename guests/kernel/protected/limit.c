/* Limits and types at the access (SDM vol. 3, 5.3 and 5.4), and addresses within a segment. */
#include "check.h"

ROUTINE(read_1, "movl %eax, %es\n\tread_1_at: movb %es:(%edx), %al\n\tret");
ROUTINE(read_2, "movl %eax, %es\n\tread_2_at: movw %es:(%edx), %ax\n\tret");
ROUTINE(read_4, "movl %eax, %es\n\tread_4_at: movl %es:(%edx), %eax\n\tret");
ROUTINE(read_8, "movl %eax, %es\n\tread_8_at: fildll %es:(%edx)\n\tfstp %st(0)\n\tret");
ROUTINE(write_1, "movl %eax, %es\n\twrite_1_at: movb %cl, %es:(%edx)\n\tret");
ROUTINE(write_2, "movl %eax, %es\n\twrite_2_at: movw %cx, %es:(%edx)\n\tret");
ROUTINE(write_4, "movl %eax, %es\n\twrite_4_at: movl %ecx, %es:(%edx)\n\tret");
ROUTINE(add_4, "movl %eax, %es\n\tadd_4_at: addl %ecx, %es:(%edx)\n\tret");
extern routine read_1_at, read_2_at, read_4_at, read_8_at, write_1_at, write_2_at, write_4_at, add_4_at;

#define AT(place) TRAP(GP, 0, 0, (uintptr_t)place)
#define ALL 0xfffff

static uint16_t data(unsigned n, uint32_t limit, unsigned access, unsigned flags)
{
	return slot(n, segment((uintptr_t)scratch[0], limit, access, flags));
}

static void bytes(void)
{
	uint16_t es = data(0, 0xff, DATA_RW, BIG);
	RUN("last byte", RETURNS, read_1, es, 0xff);
	RUN("byte after it", AT(read_1_at), read_1, es, 0x100);
	RUN("last word", RETURNS, read_2, es, 0xfe);
	RUN("word half outside", AT(read_2_at), read_2, es, 0xff);
	RUN("last doubleword", RETURNS, read_4, es, 0xfc);
	RUN("doubleword with one byte outside", AT(read_4_at), read_4, es, 0xfd);
	RUN("write of it", AT(write_4_at), write_4, es, 0xfd);
	RUN("byte at FFFFFFFF", AT(read_1_at), read_1, es, -1);
	EXPECT("nothing written", 0, *(uint32_t *)(scratch[0] + 0xfd));
}

static void quadwords(void)
{
	uint16_t es = data(0, 0xff, DATA_RW, BIG);
	RUN("last quadword", RETURNS, read_8, es, 0xf8);
	RUN("quadword with one byte outside", AT(read_8_at), read_8, es, 0xf9);
}

static void pages(void)
{
	uint16_t one = data(0, 0, DATA_RW, FLAT), two = data(1, 1, DATA_RW, FLAT);
	RUN("limit 0 in pages: last doubleword", RETURNS, read_4, one, 0xffc);
	RUN("limit 0 in pages: beyond", AT(read_4_at), read_4, one, 0xffd);
	RUN("limit 1 in pages: last byte", RETURNS, read_1, two, 0x1fff);
	RUN("limit 1 in pages: beyond", AT(read_1_at), read_1, two, 0x2000);
}

static void zero_limit(void)
{
	uint16_t es = data(0, 0, DATA_RW, BIG);
	RUN("byte 0", RETURNS, read_1, es, 0);
	RUN("byte 1", AT(read_1_at), read_1, es, 1);
	RUN("word 0", AT(write_2_at), write_2, es, 0);
}

static void expand_down(void)
{
	/* From 1000h to the end of the address space, at whose end the base adds up to scratch[0] + 4096. */
	uint16_t es = data(0, 0xfff, DATA_DOWN_RW, BIG);
	RUN("first byte", RETURNS, read_1, es, 0x1000);
	RUN("last byte of the limit", AT(read_1_at), read_1, es, 0xfff);
	RUN("offset 0", AT(write_1_at), write_1, es, 0);
	RUN("word across the limit", AT(read_2_at), read_2, es, 0xfff);
	RUN("last byte of 4 GB", RETURNS, read_1, es, -1);
	uint16_t in_pages = data(1, 1, DATA_DOWN_RW, FLAT);
	RUN("limit 1 in pages: first byte", RETURNS, read_1, in_pages, 0x2000);
	RUN("limit 1 in pages: within it", AT(read_1_at), read_1, in_pages, 0x1fff);
}

static void expand_down_64k(void)
{
	uint16_t es = data(0, 0xfff, DATA_DOWN_RW, 0);
	RUN("first byte", RETURNS, read_1, es, 0x1000);
	RUN("last byte of the limit", AT(read_1_at), read_1, es, 0xfff);
	RUN("last byte of 64 KB", RETURNS, read_1, es, 0xffff);
	RUN("byte after it", AT(read_1_at), read_1, es, 0x10000);
	RUN("word across it", AT(read_2_at), read_2, es, 0xffff);
}

static void read_only(void)
{
	uint16_t es = data(0, ALL, DATA_R, FLAT);
	RUN("read", RETURNS, read_4, es, 0);
	RUN("write", AT(write_4_at), write_4, es, 0);
	RUN("read, modify, write", AT(add_4_at), add_4, es, 0);
}

static void code_is_not_written(void)
{
	uint16_t es = data(0, ALL, CODE_RX, FLAT);
	RUN("read", RETURNS, read_4, es, 0);
	RUN("write", AT(write_4_at), write_4, es, 0);
}

ROUTINE(write_cs, "movl %ecx, %cs:(%edx)\n\tret");
ROUTINE(exit_after_cs_read, "movl %cs:(%edx), %ecx\n\t" EXIT);

static void code_segment_override(void)
{
	struct far_pointer pointer = { (uintptr_t)exit_after_cs_read, slot(0, segment(0, ALL, CODE_X, FLAT)) };
	RUN("write through CS", GP_(0), write_cs, 0, scratch);
	RUN("read through CS that can not be read", AT(exit_after_cs_read), jump_far, &pointer, scratch);
	gdt[SLOT(0) / 8] = segment(0, ALL, CODE_RX, FLAT);
	RUN("read through CS that can", EXITS, jump_far, &pointer, scratch);
}

ROUTINE(user_push, "user_push_at: pushl %edx\n\t" EXIT);
ROUTINE(user_read_ebp, "movl %edx, %ebp\n\tuser_read_ebp_at: movl (%ebp), %eax\n\t" EXIT);
ROUTINE(user_read_esp, "movl %edx, %esp\n\tuser_read_esp_at: movl 4(%esp), %eax\n\t" EXIT);
ROUTINE(user_pop, "user_pop_at: popl %eax\n\t" EXIT);
ROUTINE(user_pusha, "pushal\n\t" EXIT);
ROUTINE(user_popa, "popal\n\t" EXIT);
ROUTINE(user_enter, "movl %esp, %ebp\n\tuser_enter_at: enter $16, $3\n\t" EXIT);
ROUTINE(user_call, "call exit_now");
extern routine user_read_ebp_at, user_read_esp_at, user_enter_at;

/* Ring 3 with this stack segment. */
static void prepare_stack(const char *routine, uint16_t ss, uint32_t esp, uintptr_t b)
{
	prepare_ring(3, routine, 0, b);
	start.ss = ss | 3;
	start.esp = esp;
}

static void stack_limit(void)
{
	uint16_t ss = data(0, 0xfff, DATA_RW | DPL3, BIG);
	prepare_stack(user_push, ss, 0x1000, 0);
	RUN_START("PUSH below the limit", EXITS);
	EXPECT("ESP", 0xffc, last_trap.frame.esp);
	prepare_stack(user_push, ss, 0x1004, 0);
	RUN_START("PUSH above it", TRAP(SS, 0));
	EXPECT("ESP", 0x1004, last_trap.frame.esp);
	prepare_stack(user_push, ss, 0x1001, 0);
	RUN_START("PUSH across it", TRAP(SS, 0));
	prepare_stack(user_push, ss, 2, 0);
	RUN_START("PUSH from ESP 2", TRAP(SS, 0));
	prepare_stack(user_pop, ss, 0xffd, 0);
	RUN_START("POP across it", TRAP(SS, 0));
	prepare_stack(user_call, ss, 0x1004, 0);
	RUN_START("CALL", TRAP(SS, 0));
	prepare_stack(user_read_ebp, ss, 0x800, 0x1000);
	RUN_START("read through EBP", TRAP(SS, 0, 0, (uintptr_t)user_read_ebp_at));
	prepare_stack(user_read_esp, ss, 0x800, 0xffc);
	RUN_START("read through ESP", TRAP(SS, 0, 0, (uintptr_t)user_read_esp_at));
}

static void expand_down_stack(void)
{
	uint16_t ss = data(0, 0x7ff, DATA_DOWN_RW | DPL3, BIG);
	prepare_stack(user_push, ss, 0x804, 0);
	RUN_START("PUSH down to the limit", EXITS);
	prepare_stack(user_push, ss, 0x800, 0);
	RUN_START("PUSH below it", TRAP(SS, 0));
	prepare_stack(user_pop, ss, 0x7fc, 0);
	RUN_START("POP below it", TRAP(SS, 0));
}

/* Several words go, or none. */
static void many_words(void)
{
	uint16_t ss = data(0, 0xfff, DATA_RW | DPL3, BIG);
	prepare_stack(user_pusha, ss, 0x18, 0);
	memset(scratch[0], 0x55, 32);
	RUN_START("PUSHA with room for six", TRAP(SS, 0));
	EXPECT("ESP", 0x18, last_trap.frame.esp);
	prepare_stack(user_popa, ss, 0xff0, 0);
	start.ebx = 0x1234;
	RUN_START("POPA of four", TRAP(SS, 0));
	EXPECT("ESP", 0xff0, last_trap.frame.esp);
	EXPECT("EBX", 0x1234, last_trap.frame.ebx);
	prepare_stack(user_enter, ss, 0x10, 0);
	RUN_START("ENTER", TRAP(SS, 0, 0, (uintptr_t)user_enter_at));
	EXPECT("ESP", 0x10, last_trap.frame.esp);
	EXPECT("EBP", 0x10, last_trap.frame.ebp);
}

ROUTINE(user_push_from, "movl %eax, %esp\n\tuser_push_from_at: pushl %edx\n\t" EXIT);
extern routine user_push_from_at;

/* With B=0 the stack pointer is SP, whatever ESP[31:16] has. (IRET would load SP only.) */
static void stack_of_16_bits(void)
{
	prepare_stack(user_push_from, data(0, 0xffff, DATA_RW | DPL3, 0), 0, 0x7788);
	start.eax = 0x12340100;
	RUN_START("PUSH", EXITS);
	EXPECT("ESP", 0x123400fc, last_trap.frame.esp);
	EXPECT("word", 0x7788, *(uint32_t *)(scratch[0] + 0xfc));
	start.eax = 0x12340002;
	RUN_START("PUSH across SP 0", TRAP(SS, 0, 0, (uintptr_t)user_push_from_at));
	EXPECT("ESP", 0x12340002, last_trap.frame.esp);
	start.eax = 0x12340000;
	gdt[SLOT(0) / 8] = segment((uintptr_t)scratch[0] - 0xf000, 0xffff, DATA_RW | DPL3, 0);
	RUN_START("PUSH from SP 0", EXITS);
	EXPECT("ESP", 0x1234fffc, last_trap.frame.esp);
	EXPECT("word", 0x7788, *(uint32_t *)(scratch[0] + 0xffc));
}

ROUTINE(user_leave, "user_leave_at: leave\n\t" EXIT);

static void leave_limit(void)
{
	uint16_t ss = data(0, 0xfff, DATA_RW | DPL3, BIG);
	prepare_stack(user_leave, ss, 0x800, 0);
	start.ebp = 0x1000;
	RUN_START("LEAVE with EBP beyond", TRAP(SS, 0));
	EXPECT("ESP", 0x800, last_trap.frame.esp);
	start.ebp = 0xffc;
	RUN_START("LEAVE", EXITS);
	EXPECT("ESP", 0x1000, last_trap.frame.esp);
}

/* Code of its own in scratch memory, in a segment that ends early; behind its end the code exits. */
static void code_limit(void)
{
	static const uint8_t jump[] = { 0xe9, 0x0b, 0, 0, 0 };	/* to 10h */
	static const uint8_t long_move[] = { 0xb8, 1, 2, 3, 4, 0xcd, USER_EXIT_VECTOR };
	static const uint8_t exit[] = { 0xcd, USER_EXIT_VECTOR };
	uint16_t code = slot(0, segment((uintptr_t)scratch[0], 0xf, CODE_RX, BIG));
	struct far_pointer pointer = { 0xe, code };
	memset(scratch[0], 0x90, 16);
	memcpy(scratch[0] + 16, exit, sizeof exit);
	RUN("run off the end", AT(0x10), jump_far, &pointer, 0);
	memcpy(scratch[0], jump, sizeof jump);
	pointer.offset = 0;
	RUN("jump beyond: at the jump", TRAP_ANYWHERE(GP, 0), jump_far, &pointer, 0);
	EXPECT("EIP", 0, last_trap.frame.eip);
	memcpy(scratch[0] + 12, long_move, sizeof long_move);
	pointer.offset = 12;
	RUN("instruction across the limit", AT(12), jump_far, &pointer, 0);
	pointer.offset = 0x10;
	RUN("far jump beyond: at the jump", AT(jump_far), jump_far, &pointer, 0);
}

ROUTINE(move_string, "pushl %es\n\tmovl %eax, %es\n\tmovl %edx, %edi\n\tmovl $scratch + 0x1000, %esi\n\tmovl $8, %ecx\n\t"
	"move_string_at: rep movsb\n\tpopl %es\n\tret");
ROUTINE(move_string_down, "movl %eax, %es\n\tmovl %edx, %edi\n\tmovl $scratch + 0x1007, %esi\n\tmovl $8, %ecx\n\tstd\n\t"
	"move_string_down_at: rep movsb\n\tcld\n\tret");
ROUTINE(fill_string, "movl %eax, %es\n\tmovl %edx, %edi\n\tmovl $4, %ecx\n\tfill_string_at: rep stosl\n\tret");
extern routine move_string_at, move_string_down_at, fill_string_at;

/* What comes before the limit is done, and the registers say how much. */
static void string_limit(void)
{
	uint16_t es = data(0, 0xff, DATA_RW, BIG);
	RUN("REP MOVSB, three inside", AT(move_string_at), move_string, es, 0xfd);
	EXPECT("EDI", 0x100, last_trap.frame.edi);
	EXPECT("ESI", (uintptr_t)scratch[1] + 3, last_trap.frame.esi);
	EXPECT("ECX", 5, last_trap.frame.ecx);
	RUN("REP STOSL, one inside", AT(fill_string_at), fill_string, es, 0xfa);
	EXPECT("EDI", 0xfe, last_trap.frame.edi);
	EXPECT("ECX", 3, last_trap.frame.ecx);
	RUN("REP MOVSB downwards, two inside", AT(move_string_down_at), move_string_down, data(0, 0xff, DATA_DOWN_RW, BIG), 0x101);
	EXPECT("EDI", 0xff, last_trap.frame.edi);
	EXPECT("ECX", 6, last_trap.frame.ecx);
}

ROUTINE(override_es, "movl %eax, %es\n\tmovl %eax, %fs\n\tmovl %edx, %edi\n\tmovl $scratch, %esi\n\t"
	"override_es_at: movsb %ds:(%esi), %es:(%edi)\n\tret");
ROUTINE(source_fs, "movl %eax, %fs\n\tmovl %edx, %esi\n\tmovl $scratch + 0x1000, %edi\n\t"
	"source_fs_at: movsb %fs:(%esi), %es:(%edi)\n\tret");
extern routine override_es_at, source_fs_at;

static void string_segments(void)
{
	uint16_t small = data(0, 0xff, DATA_RW, BIG);
	RUN("destination beyond the limit of ES", AT(override_es_at), override_es, small, 0x100);
	RUN("source beyond the limit of FS", AT(source_fs_at), source_fs, small, 0x100);
	RUN("source inside", RETURNS, source_fs, small, 0xff);
}

ROUTINE(address_16, "movl %eax, %es\n\tmovl %edx, %ebx\n\tmovl $0x10, %esi\n\taddr16 movl %es:(%bx, %si), %eax\n\tret");
ROUTINE(word_at_ffff, "movl %eax, %es\n\tmovl $0xffff, %ebx\n\tword_at_ffff_at: addr16 movw %es:(%bx), %ax\n\tret");
extern routine word_at_ffff_at;

static void address_of_16_bits(void)
{
	uint16_t es = data(0, 0xffff, DATA_RW, 0);
	*(uint32_t *)scratch[0] = 0xabcdef;
	RUN("BX + SI modulo 64 KB", RETURNS, address_16, es, 0x1234fff0);
	EXPECT("word at 0", 0xabcdef, probe_result);
	RUN("word at FFFF does not wrap", AT(word_at_ffff_at), word_at_ffff, es, 0);
}

static void far_pointer_limit(void)
{
	struct far_pointer *pointer = (struct far_pointer *)(scratch[0] + 0xfa);
	*pointer = (struct far_pointer){ (uintptr_t)exit_now, KERNEL_CS };
	prepare_ring(3, jump_far, 0xfa, 0);
	pointer->selector = USER_CS;
	start.ds = data(0, 0xff, DATA_RW | DPL3, BIG) | 3;
	RUN_START("pointer inside", EXITS);
	start.ds = data(0, 0xfe, DATA_RW | DPL3, BIG) | 3;
	RUN_START("last byte of the pointer outside", GP_(0));
}

static const struct check checks[] = {
	{ "limit-bytes", "SDM 3, 5.3", bytes },
	{ "limit-quadword", "SDM 3, 5.3", quadwords },
	{ "limit-pages", "SDM 3, 5.3", pages },
	{ "limit-zero", "SDM 3, 5.3", zero_limit },
	{ "limit-expand-down", "SDM 3, 5.3", expand_down },
	{ "limit-expand-down-64k", "SDM 3, 5.3", expand_down_64k },
	{ "read-only-data", "SDM 3, 5.4", read_only },
	{ "code-not-writable", "SDM 3, 5.4", code_is_not_written },
	{ "code-segment-override", "SDM 3, 5.4", code_segment_override },
	{ "stack-limit", "SDM 3, 6.15", stack_limit },
	{ "stack-expand-down", "SDM 3, 3.4.5.1", expand_down_stack },
	{ "stack-many-words", "SDM 2, PUSHA", many_words },
	{ "stack-16-bit", "SDM 3, 3.4.5", stack_of_16_bits },
	{ "leave-limit", "SDM 2, LEAVE", leave_limit },
	{ "code-limit", "SDM 3, 5.3", code_limit },
	{ "string-limit", "SDM 2, REP", string_limit },
	{ "string-segments", "SDM 2, MOVS", string_segments },
	{ "address-16-bit", "SDM 2, 2.1.5", address_of_16_bits },
	{ "far-pointer-limit", "SDM 3, 5.3", far_pointer_limit },
};
CHECK_GROUP(limit_group, "limits and types of segments", checks);
