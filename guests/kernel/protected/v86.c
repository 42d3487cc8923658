/* Virtual-8086 mode without VME (SDM vol. 3, 20.2 and 20.3), and I/O permission (vol. 1, 19.5). */
#include "check.h"

#define ALL 0xfffff
#define BYTE(segment, offset) (((volatile uint8_t *)(segment))[offset])
#define WORD(segment, offset) (*(volatile uint16_t *)((segment) + (offset)))

/* A trap whose EIP is so many bytes into the code. */
#define TRAP_AT(vector, error, offset) TRAP(vector, error, 0, V86_IP + (offset))
CODE16(v86_exit, "int $0x80");

static void enters(void)
{
	prepare_v86(v86_exit, v86_exit_end, 3);
	start.v86_es = 0x1111, start.v86_ds = 0x2222, start.v86_fs = 0x3333, start.v86_gs = 0x4444;
	start.eax = 0x12345678;
	RUN_START("IRET with VM=1", EXITS);
	const struct trap_frame *f = &last_trap.frame;
	EXPECT("VM pushed", RFLAGS_VM, f->eflags & RFLAGS_VM);
	EXPECT("CS", V86_CODE >> 4, f->cs);
	EXPECT("EIP", V86_IP + 2, f->eip);
	EXPECT("SS", V86_STACK >> 4, f->ss);
	EXPECT("ESP", 0x1000, f->esp);
	EXPECT("ES", 0x1111, f->v86_es);
	EXPECT("DS", 0x2222, f->v86_ds);
	EXPECT("FS", 0x3333, f->v86_fs);
	EXPECT("GS", 0x4444, f->v86_gs);
	EXPECT("EAX", 0x12345678, f->eax);
}

static void leaves(void)
{
	RUN_V86("INT", EXITS, v86_exit, 3);
	EXPECT("stack of the trap: ESP0", esp0_top(), last_trap.stack);
	EXPECT("DS in the handler", 0, last_trap.frame.ds);
	EXPECT("ES in the handler", 0, last_trap.frame.es);
	EXPECT("FS in the handler", 0, last_trap.frame.fs);
	EXPECT("GS in the handler", 0, last_trap.frame.gs);
}

CODE16(v86_store, "movw %cs, %ax\n\tmovw %ax, 0x10\n\tmovw %ss, %ax\n\tmovw %ax, %es:0x12\n\tpushw $0x7788\n\tint $0x80");

static void addresses(void)
{
	RUN_V86("stores", EXITS, v86_store, 3);
	EXPECT("DS:10", V86_CODE >> 4, WORD(V86_DATA, 0x10));
	EXPECT("ES:12", V86_STACK >> 4, WORD(V86_DATA, 0x12));
	EXPECT("SS:FFE", 0x7788, WORD(V86_STACK, 0xffe));
	EXPECT("SP", 0xffe, last_trap.frame.esp);
}

CODE16(v86_load_segments, "movw $0x4001, %ax\n\tmovw %ax, %es\n\tmovb $0x5a, %es:0\n\tpushw $0x4002\n\tpopw %fs\n\tmovb $0x5b, %fs:0\n\t"
	"ldsw pointer_here - v86_load_segments + 0x100, %bx\n\tmovb $0x5c, (%bx)\n\tint $0x80\n\tpointer_here: .word 8, 0x4003");

static void segment_loads(void)
{
	prepare_v86(v86_load_segments, v86_load_segments_end, 3);
	start.v86_ds = V86_CODE >> 4;
	RUN_START("MOV, POP, LDS", EXITS);
	EXPECT("ES = 4001", 0x5a, BYTE(V86_DATA, 0x10));
	EXPECT("FS = 4002", 0x5b, BYTE(V86_DATA, 0x20));
	EXPECT("DS = 4003", 0x5c, BYTE(V86_DATA, 0x38));
	EXPECT("DS saved", 0x4003, last_trap.frame.v86_ds);
}

CODE16(v86_far, "lcallw $0x2010, $far_there - v86_far\n\tmovw %cs, %cx\n\tljmpw $0x2008, $far_end - v86_far + 0x80\n\t"
	"far_there: movw %cs, %bx\n\tlretw\n\tfar_end: movw %cs, %dx\n\tint $0x80");

static void far_transfers(void)
{
	RUN_V86("far CALL, RET and JMP", EXITS, v86_far, 3);
	EXPECT("CS in the procedure", 0x2010, last_trap.frame.ebx & 0xffff);
	EXPECT("CS afterwards", 0x2000, last_trap.frame.ecx & 0xffff);
	EXPECT("CS at the end", 0x2008, last_trap.frame.edx & 0xffff);
}

CODE16(v86_word_at_ffff, "movw 0xffff, %ax\n\tint $0x80");
CODE16(v86_offset_32, "movl $0x10000, %ebx\n\tmovb (%ebx), %al\n\tint $0x80");
CODE16(v86_stack_word, "pushw %bx\n\tint $0x80");
CODE16(v86_stack_read, "movw $0xffff, %bp\n\tmovw (%bp), %ax\n\tint $0x80");

static void limits(void)
{
	RUN_V86("word at FFFF", TRAP_AT(GP, 0, 0), v86_word_at_ffff, 3);
	RUN_V86("byte at 10000", TRAP_AT(GP, 0, 6), v86_offset_32, 3);
	RUN_V86("word at FFFF of the stack", TRAP_AT(SS, 0, 3), v86_stack_read, 3);
	prepare_v86(v86_stack_word, v86_stack_word_end, 3);
	start.esp = 1;
	RUN_START("PUSH with SP 1", TRAP_AT(SS, 0, 0));
	start.esp = 0;
	RUN_START("PUSH with SP 0", EXITS);
	EXPECT("SP", 0xfffe, last_trap.frame.esp & 0xffff);
}

CODE16(v86_beyond_1m, "movb %es:0x10, %al\n\tint $0x80");

/* FFFF:0010 is 1 MB; there is no wrap as long as A20 is on. */
static void above_1m(void)
{
	prepare_v86(v86_beyond_1m, v86_beyond_1m_end, 3);
	start.v86_es = 0xffff;
	RUN_START("byte at FFFF:0010", EXITS);
	EXPECT("AL", *(volatile uint8_t *)0x100000, last_trap.frame.eax & 0xff);
}

CODE16(v86_cli, "cli\n\tint $0x80");
CODE16(v86_sti, "sti\n\tint $0x80");
CODE16(v86_pushf, "pushfw\n\tint $0x80");
CODE16(v86_popf, "popfw\n\tint $0x80");
CODE16(v86_iret, "iretw");
CODE16(v86_pushf_32, "pushfl\n\tint $0x80");

static void sensitive(void)
{
	for (unsigned iopl = 0; iopl < 3; iopl++) {
		RUN_V86("CLI", TRAP_AT(GP, 0, 0), v86_cli, iopl);
		RUN_V86("STI", TRAP_AT(GP, 0, 0), v86_sti, iopl);
		RUN_V86("PUSHF", TRAP_AT(GP, 0, 0), v86_pushf, iopl);
		RUN_V86("PUSHF of 32 bits", TRAP_AT(GP, 0, 0), v86_pushf_32, iopl);
		RUN_V86("POPF", TRAP_AT(GP, 0, 0), v86_popf, iopl);
		RUN_V86("IRET", TRAP_AT(GP, 0, 0), v86_iret, iopl);
		RUN_V86("INT n", TRAP_AT(GP, 0, 0), v86_exit, iopl);
	}
}

CODE16(v86_flags, "sti\n\tpushfw\n\tpopw %ax\n\tpushw $0x0001\n\tpopfw\n\tpushfw\n\tpopw %bx\n\tpushfl\n\tpopl %ecx\n\tint $0x80");

static void sensitive_at_iopl_3(void)
{
	RUN_V86("STI, PUSHF, POPF", EXITS, v86_flags, 3);
	EXPECT("after STI", RFLAGS_IF | RFLAGS_IOPL | RFLAGS_FIXED, last_trap.frame.eax & 0xffff);
	EXPECT("after POPF of 1: IOPL stays", RFLAGS_CF | RFLAGS_IOPL | RFLAGS_FIXED, last_trap.frame.ebx & 0xffff);
	EXPECT("PUSHF of 32 bits: no VM, no RF", RFLAGS_CF | RFLAGS_IOPL | RFLAGS_FIXED, last_trap.frame.ecx);
}

CODE16(v86_iret_works, "pushw $0x0003\n\tpushw $0x2010\n\tpushw $iret_there - v86_iret_works\n\tiretw\n\tiret_there: movw %cs, %bx\n\t"
	"pushfw\n\tpopw %ax\n\tint $0x80");

static void iret_at_iopl_3(void)
{
	RUN_V86("IRET", EXITS, v86_iret_works, 3);
	EXPECT("CS", 0x2010, last_trap.frame.ebx & 0xffff);
	EXPECT("FLAGS: IOPL stays", RFLAGS_CF | RFLAGS_IOPL | RFLAGS_FIXED, last_trap.frame.eax & 0xffff);
	EXPECT("VM", RFLAGS_VM, last_trap.frame.eflags & RFLAGS_VM);
}

CODE16(v86_int3, "int3\n\tint $0x80");
CODE16(v86_into, "movb $0x7f, %al\n\taddb $1, %al\n\tinto\n\tint $0x80");
CODE16(v86_bound, "movl $0x00010000, 0x20\n\tmovw $5, %ax\n\tbound %ax, 0x20\n\tint $0x80");

/* These are not IOPL-sensitive; the gate's DPL counts, which must be 3. */
static void not_sensitive(void)
{
	RUN_V86("INT3", TRAP_AT(BP, 0, 1), v86_int3, 0);
	EXPECT("VM", RFLAGS_VM, last_trap.frame.eflags & RFLAGS_VM);
	RUN_V86("INTO", TRAP_AT(OF, 0, 5), v86_into, 0);
	RUN_V86("BOUND", TRAP_AT(BR, 0, 12), v86_bound, 0);
	idt[BP] &= ~((uint64_t)DPL3 << 40);
	RUN_V86("INT3, DPL 0", TRAP_AT(GP, BP * 8 + 2, 0), v86_int3, 0);
}

CODE16(v86_int_82, "int $0x82");
CODE16(v86_int_90, "int $0x90\n\tint $0x80");

static void interrupt_gates(void)
{
	RUN_V86("INT n, DPL 0", TRAP_AT(GP, KERNEL_VECTOR * 8 + 2, 0), v86_int_82, 3);
	idt[SLOT_VECTOR] = gate(RING1_CS & ~3, (uintptr_t)exit_now, INT32 | DPL3, 0);
	RUN_V86("handler in ring 1", TRAP_AT(GP, RING1_CS & ~3, 0), v86_int_90, 3);
	idt[SLOT_VECTOR] = gate(slot(0, segment(0, ALL, CONFORMING_RX, FLAT)), (uintptr_t)exit_now, INT32 | DPL3, 0);
	RUN_V86("conforming handler", TRAP_AT(GP, SLOT(0), 0), v86_int_90, 3);
	idt[SLOT_VECTOR] = gate(KERNEL_CS, (uintptr_t)landing, TRAP32 | DPL3, 0);
	RUN_V86("trap gate", EXITS, v86_int_90, 3);
	EXPECT("EIP pushed", V86_IP + 2, last_trap.frame.eax);
	EXPECT("CS pushed", V86_CODE >> 4, last_trap.frame.ebx & 0xffff);
	EXPECT("VM pushed", RFLAGS_VM, last_trap.frame.ecx & RFLAGS_VM);
	EXPECT("VM in the handler", 0, last_trap.frame.eflags & RFLAGS_VM);
}

static void interrupt_gate_of_16_bits(void)
{
	uint16_t cs = slot(0, segment((uintptr_t)landing16, 0xff, CODE_RX, BIG));
	idt[SLOT_VECTOR] = gate(cs, 0, INT16 | DPL3, 0);
	RUN_V86("INT", EXITS, v86_int_90, 3);
	EXPECT("IP pushed", V86_IP + 2, last_trap.frame.eax);
	EXPECT("CS pushed", V86_CODE >> 4, last_trap.frame.ebx);
	EXPECT("SP pushed", 0x1000, last_trap.frame.edx);
	EXPECT("SS pushed", V86_STACK >> 4, last_trap.frame.esi);
	EXPECT("ES pushed", V86_DATA >> 4, last_trap.frame.edi);
	EXPECT("ESP", esp0_top() - 18, last_trap.frame.esp);
}

CODE16(v86_hlt, "hlt");
CODE16(v86_mov_cr0, "movl %cr0, %eax");
CODE16(v86_mov_to_cr3, "movl %eax, %cr3");
CODE16(v86_mov_dr7, "movl %dr7, %eax");
CODE16(v86_lgdt, "lgdtw 0x20");
CODE16(v86_lidt, "lidtw 0x20");
CODE16(v86_lmsw, "lmsw %ax");
CODE16(v86_clts, "clts");
CODE16(v86_rdmsr, "rdmsr");
CODE16(v86_wrmsr, "wrmsr");
CODE16(v86_invlpg, "invlpg 0x20");
CODE16(v86_invd, "invd");

static void privileged(void)
{
	RUN_V86("HLT", TRAP_AT(GP, 0, 0), v86_hlt, 3);
	RUN_V86("MOV from CR0", TRAP_AT(GP, 0, 0), v86_mov_cr0, 3);
	RUN_V86("MOV to CR3", TRAP_AT(GP, 0, 0), v86_mov_to_cr3, 3);
	RUN_V86("MOV from DR7", TRAP_AT(GP, 0, 0), v86_mov_dr7, 3);
	RUN_V86("LGDT", TRAP_AT(GP, 0, 0), v86_lgdt, 3);
	RUN_V86("LIDT", TRAP_AT(GP, 0, 0), v86_lidt, 3);
	RUN_V86("LMSW", TRAP_AT(GP, 0, 0), v86_lmsw, 3);
	RUN_V86("CLTS", TRAP_AT(GP, 0, 0), v86_clts, 3);
	RUN_V86("RDMSR", TRAP_AT(GP, 0, 0), v86_rdmsr, 3);
	RUN_V86("WRMSR", TRAP_AT(GP, 0, 0), v86_wrmsr, 3);
	RUN_V86("INVLPG", TRAP_AT(GP, 0, 0), v86_invlpg, 3);
	RUN_V86("INVD", TRAP_AT(GP, 0, 0), v86_invd, 3);
}

CODE16(v86_lldt, "lldt %ax");
CODE16(v86_ltr, "ltr %ax");
CODE16(v86_sldt, "sldt %ax");
CODE16(v86_str, "str %ax");
CODE16(v86_lar, "lar %ax, %bx");
CODE16(v86_lsl, "lsl %ax, %bx");
CODE16(v86_verr, "verr %ax");
CODE16(v86_verw, "verw %ax");
CODE16(v86_arpl, "arpl %ax, %bx");

static void not_recognized(void)
{
	RUN_V86("LLDT", TRAP_AT(UD, 0, 0), v86_lldt, 3);
	RUN_V86("LTR", TRAP_AT(UD, 0, 0), v86_ltr, 3);
	RUN_V86("SLDT", TRAP_AT(UD, 0, 0), v86_sldt, 3);
	RUN_V86("STR", TRAP_AT(UD, 0, 0), v86_str, 3);
	RUN_V86("LAR", TRAP_AT(UD, 0, 0), v86_lar, 3);
	RUN_V86("LSL", TRAP_AT(UD, 0, 0), v86_lsl, 3);
	RUN_V86("VERR", TRAP_AT(UD, 0, 0), v86_verr, 3);
	RUN_V86("VERW", TRAP_AT(UD, 0, 0), v86_verw, 3);
	RUN_V86("ARPL", TRAP_AT(UD, 0, 0), v86_arpl, 3);
}

CODE16(v86_smsw_sgdt, "smsww %ax\n\tsgdtw 0x30\n\tint $0x80");

static void allowed(void)
{
	RUN_V86("SMSW and SGDT", EXITS, v86_smsw_sgdt, 3);
	EXPECT("SMSW", read_cr0() & 0xffff, last_trap.frame.eax & 0xffff);
	EXPECT("limit of SGDT", sizeof gdt - 1, WORD(V86_DATA, 0x30));
}

CODE16(v86_in, "inb $0x80, %al\n\tint $0x80");
CODE16(v86_in_word, "inw $0x80, %ax\n\tint $0x80");
CODE16(v86_outs, "movw $0x80, %dx\n\toutsb\n\tint $0x80");

/* The bitmap decides, whatever IOPL is. */
static void io_in_virtual_8086_mode(void)
{
	RUN_V86("IN, bit set, IOPL 3", TRAP_AT(GP, 0, 0), v86_in, 3);
	main_tss.io_map[0x80 / 8] = 0xfe;
	RUN_V86("IN, bit clear", EXITS, v86_in, 3);
	RUN_V86("IN of a word, one bit set", TRAP_AT(GP, 0, 0), v86_in_word, 3);
	RUN_V86("OUTS, bit clear", EXITS, v86_outs, 3);
	main_tss.io_map[0x80 / 8] = 0xff;
	RUN_V86("OUTS, bit set", TRAP_AT(GP, 0, 3), v86_outs, 3);
}

ROUTINE(user_in, "movl %eax, %edx\n\tuser_in_at: inb %dx, %al\n\t" EXIT);
ROUTINE(user_in_16, "movl %eax, %edx\n\tuser_in_16_at: inw %dx, %ax\n\t" EXIT);
ROUTINE(user_in_32, "movl %eax, %edx\n\tuser_in_32_at: inl %dx, %eax\n\t" EXIT);
extern routine user_in_at, user_in_16_at, user_in_32_at;
#define DENIED(place) TRAP(GP, 0, 0, (uintptr_t)place)

static void io_privilege_level(void)
{
	for (unsigned iopl = 0; iopl < 4; iopl++) {
		prepare_ring(3, user_in, 0x80, 0);
		start.eflags |= iopl << 12;
		RUN_START("IN in ring 3", iopl == 3 ? EXITS : DENIED(user_in_at));
		prepare_ring(1, user_in, 0x80, 0);
		start.eflags |= iopl << 12;
		RUN_START("IN in ring 1", iopl >= 1 ? EXITS : DENIED(user_in_at));
	}
}

static void io_bitmap(void)
{
	main_tss.io_map[0x80 / 8] = 0xf0;
	RUN_USER("byte, bit clear", EXITS, user_in, 0x83, 0);
	RUN_USER("byte, bit set", DENIED(user_in_at), user_in, 0x84, 0);
	RUN_USER("word, both clear", EXITS, user_in_16, 0x82, 0);
	RUN_USER("word, one set", DENIED(user_in_16_at), user_in_16, 0x83, 0);
	RUN_USER("doubleword, all clear", EXITS, user_in_32, 0x80, 0);
	RUN_USER("doubleword, one set", DENIED(user_in_32_at), user_in_32, 0x81, 0);
	main_tss.io_map[0x80 / 8] = 0x7f;
	RUN_USER("word over two bytes of the map", DENIED(user_in_16_at), user_in_16, 0x87, 0);
	main_tss.io_map[0x88 / 8] = 0xfe;
	RUN_USER("the same, both clear", EXITS, user_in_16, 0x87, 0);
}

static void io_bitmap_end(void)
{
	memset(main_tss.io_map, 0, IO_MAP_BYTES);
	RUN_USER("last port of the map", EXITS, user_in, IO_MAP_BYTES * 8 - 1, 0);
	RUN_USER("word there: bits of the last byte are ones", DENIED(user_in_16_at), user_in_16, IO_MAP_BYTES * 8 - 1, 0);
	RUN_USER("port beyond the map", DENIED(user_in_at), user_in, IO_MAP_BYTES * 8 + 8, 0);
	main_tss.tss.io_map_base = MAIN_TSS_BYTES;
	RUN_USER("map beyond the TSS", DENIED(user_in_at), user_in, 0x80, 0);
}

static void io_with_16_bit_tss(void)
{
	static struct tss16 narrow;
	narrow = (struct tss16){ .sp0 = 0x7000, .ss0 = KERNEL_DS };
	uint16_t tss = slot(0, segment((uintptr_t)&narrow, MAIN_TSS_BYTES - 1, TSS16, 0));
	asm volatile("ltr %w0" :: "r"(tss));
	RUN_USER("IN", DENIED(user_in_at), user_in, 0x80, 0);
}

ROUTINE(user_cli, "cli\n\t" EXIT);
ROUTINE(user_sti, "sti\n\t" EXIT);
ROUTINE(user_popf, "pushl %eax\n\tpopfl\n\tpushfl\n\tpopl %eax\n\t" EXIT);

static void flags_and_iopl(void)
{
	RUN_USER("CLI, IOPL 0", GP_(0), user_cli, 0, 0);
	RUN_USER("STI, IOPL 0", GP_(0), user_sti, 0, 0);
	prepare_ring(3, user_sti, 0, 0);
	start.eflags |= RFLAGS_IOPL;
	RUN_START("STI, IOPL 3", EXITS);
	EXPECT("IF", RFLAGS_IF, last_trap.frame.eflags & RFLAGS_IF);
	RUN_USER("POPF, IOPL 0", EXITS, user_popf, RFLAGS_IOPL | RFLAGS_IF | RFLAGS_CF | RFLAGS_VM, 0);
	EXPECT("IOPL, IF and VM stay", RFLAGS_CF | RFLAGS_FIXED, last_trap.frame.eax);
	prepare_ring(1, user_popf, RFLAGS_IF, 0);
	start.eflags |= 1 << 12;
	RUN_START("POPF in ring 1, IOPL 1", EXITS);
	EXPECT("IF, and IOPL stays", RFLAGS_IF | RFLAGS_FIXED | 1 << 12, last_trap.frame.eax);
}

static const struct check checks[] = {
	{ "v86-enter", "SDM 3, 20.2.5", enters },
	{ "v86-leave", "SDM 3, 20.2.6", leaves },
	{ "v86-addresses", "SDM 3, 20.1.1", addresses },
	{ "v86-segment-loads", "SDM 3, 20.2.7", segment_loads },
	{ "v86-far-transfers", "SDM 3, 20.1.3", far_transfers },
	{ "v86-limits", "SDM 3, 20.2.1", limits },
	{ "v86-above-1m", "SDM 3, 20.1.1", above_1m },
	{ "v86-sensitive", "SDM 3, 20.2.7", sensitive },
	{ "v86-iopl-3", "SDM 3, 20.2.7", sensitive_at_iopl_3 },
	{ "v86-iret", "SDM 2, IRET", iret_at_iopl_3 },
	{ "v86-int3-into-bound", "SDM 3, 20.2.7", not_sensitive },
	{ "v86-interrupt-gates", "SDM 3, 20.3.1.1", interrupt_gates },
	{ "v86-interrupt-16-bit", "SDM 3, 20.3.1.1", interrupt_gate_of_16_bits },
	{ "v86-privileged", "SDM 3, 5.9", privileged },
	{ "v86-not-recognized", "SDM 3, 20.2.1", not_recognized },
	{ "v86-smsw-sgdt", "SDM 2, SMSW", allowed },
	{ "v86-io", "SDM 3, 20.2.8.1", io_in_virtual_8086_mode },
	{ "io-privilege-level", "SDM 1, 19.5.1", io_privilege_level },
	{ "io-bitmap", "SDM 1, 19.5.2", io_bitmap },
	{ "io-bitmap-end", "SDM 1, 19.5.2", io_bitmap_end },
	{ "io-16-bit-tss", "SDM 1, 19.5.2", io_with_16_bit_tss },
	{ "cli-sti-popf", "SDM 2, POPF", flags_and_iopl },
};
CHECK_GROUP(v86_group, "virtual-8086 mode and I/O", checks);
