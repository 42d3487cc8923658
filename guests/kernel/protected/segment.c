/* Loading segment registers, and the instructions that look at descriptors (SDM vol. 3, chapters 3 and 5). */
#include "check.h"

ROUTINE(load_es_read, "movl %eax, %es\n\tmovl %es:(%edx), %eax\n\tret");
ROUTINE(load_es_write, "movl %eax, %es\n\tmovl %ecx, %es:(%edx)\n\tret");
ROUTINE(user_load_es, "movl %eax, %es\n\tmovl %es:(%edx), %eax\n\t" EXIT);
ROUTINE(user_load_ss, "movl %eax, %ss\n\t" EXIT);

/* Where load_es_read and load_es_write access memory. */
#define AFTER_MOV(routine) ((uintptr_t)(routine) + 2)
#define ALL 0xfffff

static void null_selectors(void)
{
	static const char *const loads[] = { load_ds, load_es, load_fs, load_gs };
	for (unsigned i = 0; i < 4; i++)
		for (unsigned rpl = 0; rpl < 4; rpl++)
			RUN("load", RETURNS, loads[i], rpl, 0);
	RUN("read", TRAP(GP, 0, 0, AFTER_MOV(load_es_read)), load_es_read, 0, scratch);
	RUN("read, RPL 3", TRAP(GP, 0, 0, AFTER_MOV(load_es_read)), load_es_read, 3, scratch);
	RUN("write", TRAP(GP, 0, 0, AFTER_MOV(load_es_write)), load_es_write, 0, scratch);
}

static void null_stack(void)
{
	RUN("SS in ring 0", GP_(0), load_ss, 0, 0);
	RUN_USER("SS in ring 3", GP_(0), user_load_ss, 0, 0);
	RUN_USER("SS in ring 3, RPL 3", GP_(0), user_load_ss, 3, 0);
}

static void beyond_the_table(void)
{
	RUN("GDT", GP_(GDT_BYTES), load_ds, GDT_BYTES, 0);
	RUN("GDT, RPL 3", GP_(GDT_BYTES), load_es, GDT_BYTES | 3, 0);
	RUN("SS", GP_(0xfff8), load_ss, 0xfff8, 0);
	RUN("LDT that is not there", GP_(0xc), load_ds, 0xc, 0);
	struct table_register gdtr = { SLOT(0) + 6, (uintptr_t)gdt };
	slot(0, segment(0, ALL, DATA_RW, FLAT));
	asm volatile("lgdt %0" :: "m"(gdtr));
	RUN("a descriptor of which the last byte is outside", GP_(SLOT(0)), load_ds, SLOT(0), 0);
	gdtr.limit++;
	asm volatile("lgdt %0" :: "m"(gdtr));
	RUN("the same inside", RETURNS, load_ds, SLOT(0), 0);
}

static void local_table(void)
{
	ldt[1] = segment((uintptr_t)scratch[0], PAGE_BYTES - 1, DATA_RW, BIG);
	*(uint32_t *)(scratch[0] + 8) = 0x1234;
	asm volatile("lldt %w0" :: "r"(LDT));
	RUN("load and read", RETURNS, load_es_read, 0xc, 8);
	EXPECT("word", 0x1234, probe_result);
	RUN("beyond its limit", GP_(sizeof ldt | 4), load_ds, sizeof ldt | 4, 0);
	RUN("entry 0 is no null selector", GP_(4), load_ds, 4, 0);
	asm volatile("lldt %w0" :: "r"(0));
	RUN("LDTR null again", GP_(0xc), load_ds, 0xc, 0);
}

static void wrong_types(void)
{
	RUN("TSS in DS", GP_(MAIN_TSS), load_ds, MAIN_TSS, 0);
	RUN("LDT in FS", GP_(LDT), load_fs, LDT, 0);
	RUN("call gate in GS", GP_(SLOT(0)), load_gs, slot(0, gate(KERNEL_CS, 0, CALL32, 0)), 0);
	RUN("code that can not be read in ES", GP_(SLOT(1)), load_es, slot(1, segment(0, ALL, CODE_X, FLAT)), 0);
	RUN("conforming code that can not be read in ES", GP_(SLOT(2)), load_es, slot(2, segment(0, ALL, CONFORMING_X, FLAT)), 0);
	RUN("zeros", GP_(SLOT(3)), load_es, slot(3, 0), 0);
	RUN("code that can be read", RETURNS, load_es_read, slot(4, segment(0, ALL, CODE_RX, FLAT)), scratch);
}

static void data_privilege(void)
{
	uint16_t dpl0 = slot(0, segment(0, ALL, DATA_RW, FLAT)), dpl1 = slot(1, segment(0, ALL, DATA_RW | DPL1, FLAT)),
	         dpl3 = slot(3, segment(0, ALL, DATA_RW | DPL3, FLAT));
	RUN("CPL 0, RPL 3, DPL 0", GP_(dpl0), load_ds, dpl0 | 3, 0);
	RUN("CPL 0, RPL 1, DPL 1", RETURNS, load_es, dpl1 | 1, 0);
	RUN("CPL 0, RPL 2, DPL 1", GP_(dpl1), load_es, dpl1 | 2, 0);
	RUN("CPL 0, RPL 3, DPL 3", RETURNS, load_es, dpl3 | 3, 0);
	RUN_USER("CPL 3, RPL 0, DPL 0", GP_(dpl0), user_load_es, dpl0, scratch);
	RUN_USER("CPL 3, RPL 0, DPL 1", GP_(dpl1), user_load_es, dpl1, scratch);
	RUN_USER("CPL 3, RPL 0, DPL 3", EXITS, user_load_es, dpl3, scratch);
	RUN_RING(1, "CPL 1, RPL 0, DPL 0", GP_(dpl0), user_load_es, dpl0, scratch);
	RUN_RING(1, "CPL 1, RPL 1, DPL 1", EXITS, user_load_es, dpl1 | 1, scratch);
	RUN_RING(1, "CPL 1, RPL 3, DPL 1", GP_(dpl1), user_load_es, dpl1 | 3, scratch);
}

static void code_as_data(void)
{
	uint16_t code = slot(0, segment(0, ALL, CODE_RX, FLAT)), conforming = slot(1, segment(0, ALL, CONFORMING_RX, FLAT));
	RUN_USER("DPL 0, not conforming", GP_(code), user_load_es, code, scratch);
	RUN_USER("DPL 0, conforming", EXITS, user_load_es, conforming, scratch);
	RUN("RPL 3, conforming", RETURNS, load_es, conforming | 3, 0);
}

static void stack_privilege(void)
{
	RUN("RPL 3 in ring 0", GP_(KERNEL_DS), load_ss, KERNEL_DS | 3, 0);
	RUN("DPL 3 in ring 0", GP_(USER_DS & ~3), load_ss, USER_DS & ~3, 0);
	RUN("DPL and RPL 3 in ring 0", GP_(USER_DS & ~3), load_ss, USER_DS, 0);
	RUN("read-only", GP_(SLOT(0)), load_ss, slot(0, segment(0, ALL, DATA_R, FLAT)), 0);
	RUN("code", GP_(KERNEL_CS), load_ss, KERNEL_CS, 0);
	RUN("TSS", GP_(MAIN_TSS), load_ss, MAIN_TSS, 0);
	RUN("as it should be", RETURNS, load_ss, slot(1, segment(0, ALL, DATA_RW, FLAT)), 0);
	RUN_USER("DPL 0 in ring 3", GP_(KERNEL_DS), user_load_ss, KERNEL_DS | 3, 0);
	RUN_USER("RPL 0 in ring 3", GP_(USER_DS & ~3), user_load_ss, USER_DS & ~3, 0);
	RUN_USER("DPL and RPL 3 in ring 3", EXITS, user_load_ss, USER_DS, 0);
}

static void not_present(void)
{
	uint16_t absent = slot(0, segment(0, ALL, DATA_RW & ~PRESENT, FLAT));
	RUN("DS", TRAP(NP, absent), load_ds, absent, 0);
	RUN("GS", TRAP(NP, absent), load_gs, absent, 0);
	RUN("SS", TRAP(SS, absent), load_ss, absent, 0);
	RUN_USER("privilege comes first", GP_(absent), user_load_es, absent, 0);
	RUN("type comes first", GP_(SLOT(1)), load_ds, slot(1, segment(0, ALL, CODE_X & ~PRESENT, FLAT)), 0);
}

static void accessed_bit(void)
{
	uint16_t data = slot(0, segment(0, ALL, DATA_RW, FLAT)), code = slot(1, segment(0, ALL, CODE_RX, FLAT)),
	         stack = slot(2, segment(0, ALL, DATA_RW, FLAT)), bad = slot(3, segment(0, ALL, CODE_X, FLAT));
	struct far_pointer pointer = { (uintptr_t)exit_now, code };
	RUN("DS", RETURNS, load_ds, data, 0);
	EXPECT("A of the data segment", DATA_RW | ACCESSED, access_of(data));
	RUN("SS", RETURNS, load_ss, stack, 0);
	EXPECT("A of the stack segment", DATA_RW | ACCESSED, access_of(stack));
	RUN("CS", EXITS, jump_far, &pointer, 0);
	EXPECT("A of the code segment", CODE_RX | ACCESSED, access_of(code));
	RUN("a load that faults", GP_(bad), load_ds, bad, 0);
	EXPECT("A of what was not loaded", CODE_X, access_of(bad));
}

ROUTINE(load_cs, ".byte 0x8e, 0xc8\n\tret");
ROUTINE(load_sreg_6, ".byte 0x8e, 0xf0\n\tret");

static void move_to_cs(void)
{
	RUN("MOV to CS", UD_, load_cs, KERNEL_CS, 0);
	RUN("MOV to segment register 6", UD_, load_sreg_6, KERNEL_DS, 0);
}

ROUTINE(load_lds, "pushl %ds\n\tldsl (%eax), %ecx\n\tmovl %ds, %eax\n\tpopl %ds\n\tshll $16, %ecx\n\torl %ecx, %eax\n\tret");
ROUTINE(load_lss, "movl %esp, (%eax)\n\tlssl (%eax), %esp\n\tmovl %ss, %eax\n\tret");
ROUTINE(load_lgs, "movl $0x5a5a, %esi\n\tload_lgs_at: lgsl (%eax), %esi\n\tmovl %esi, %eax\n\tret");
extern routine load_lgs_at;

static void far_pointers(void)
{
	struct far_pointer pointer = { 0x7788, slot(0, segment(0, ALL, DATA_RW, FLAT)) };
	RUN("LDS", RETURNS, load_lds, &pointer, 0);
	EXPECT("DS and the offset", 0x77880000 | SLOT(0), probe_result);
	RUN("LGS", RETURNS, load_lgs, &pointer, 0);
	EXPECT("offset", 0x7788, probe_result);
	RUN("LSS", RETURNS, load_lss, &pointer, 0);
	EXPECT("SS", SLOT(0), probe_result & 0xffff);
	pointer = (struct far_pointer){ 1, MAIN_TSS };
	RUN("LGS of a TSS", TRAP(GP, MAIN_TSS, 0, (uintptr_t)load_lgs_at), load_lgs, &pointer, 0);
	EXPECT("ESI after the fault", 0x5a5a, last_trap.frame.esi);
}

ROUTINE(pop_bad, "pushl %eax\n\tmovl %esp, %ecx\n\tpop_bad_at: popl %es\n\tret");
ROUTINE(pop_good, "movl %esp, %ecx\n\tpushl %eax\n\tpopl %es\n\tsubl %esp, %ecx\n\tmovl %es, %eax\n\torl %ecx, %eax\n\tret");
ROUTINE(push_pop_16, "movl %esp, %ecx\n\tpushw %ax\n\tpopw %fs\n\tsubl %esp, %ecx\n\tmovl %fs, %eax\n\torl %ecx, %eax\n\tret");
extern routine pop_bad_at;

static void pop_segment(void)
{
	RUN("POP ES", RETURNS, pop_good, KERNEL_DS, 0);
	EXPECT("ES and ESP", KERNEL_DS, probe_result);
	RUN("POP FS of 16 bits", RETURNS, push_pop_16, KERNEL_DS, 0);
	EXPECT("FS and ESP", KERNEL_DS, probe_result);
	RUN("POP ES of a TSS", TRAP(GP, MAIN_TSS, 0, (uintptr_t)pop_bad_at), pop_bad, MAIN_TSS, 0);
	EXPECT("ESP after the fault", last_trap.frame.ecx, last_trap.frame.esp);
}

ROUTINE(reread, "movl %eax, %es\n\tmovl (%ecx), %esi\n\tmovl %esi, 2(%edx)\n\tmovl %es:0, %eax\n\tret");

/* The processor keeps what it loaded, until the register is loaded again. */
static void hidden_part(void)
{
	uint32_t *first = (uint32_t *)scratch[0], *second = (uint32_t *)scratch[1];
	*first = 1, *second = 2;
	uint16_t data = slot(0, segment((uintptr_t)first, PAGE_BYTES - 1, DATA_RW, BIG));
	uint32_t base = (uint32_t)(segment((uintptr_t)second, PAGE_BYTES - 1, DATA_RW, BIG) >> 16);
	RUN3("base changed after the load", RETURNS, reread, data, &gdt[data / 8], &base);
	EXPECT("word at the old base", 1, probe_result);
	RUN("load again", RETURNS, load_es_read, data, 0);
	EXPECT("word at the new base", 2, probe_result);
}

static void base_wraps(void)
{
	uint32_t *word = (uint32_t *)scratch[0];
	*word = 0x600d;
	uint16_t data = slot(0, segment(0xfffff000, ALL, DATA_RW, FLAT));
	RUN("base near 4 GB", RETURNS, load_es_read, data, (uintptr_t)word + 0x1000);
	EXPECT("word below the base", 0x600d, probe_result);
}

/* What an outer ring may not use is gone when it runs. */
static void data_of_the_inner_ring(void)
{
	uint16_t conforming = slot(0, segment(0, ALL, CONFORMING_RX, FLAT)), shared = slot(1, segment(0, ALL, DATA_RW | DPL3, FLAT));
	prepare_ring(3, exit_now, 0, 0);
	start.ds = KERNEL_DS;
	start.es = slot(2, segment(0, ALL, CODE_RX, FLAT));
	start.fs = conforming;
	start.gs = shared;
	RUN_START("IRET to ring 3", EXITS);
	EXPECT("DS, data of ring 0", 0, last_trap.frame.ds);
	EXPECT("ES, code of ring 0", 0, last_trap.frame.es);
	EXPECT("FS, conforming code", conforming, last_trap.frame.fs);
	EXPECT("GS, data of ring 3", shared, last_trap.frame.gs);
}

ROUTINE(lar, "movl $0, %eax\n\tlarl %edx, %eax\n\tjz 1f\n\tmovl $-1, %eax\n\t1: ret");
ROUTINE(lsl, "movl $0, %eax\n\tlsll %edx, %eax\n\tjz 1f\n\tmovl $-2, %eax\n\t1: ret");
ROUTINE(verr, "xorl %eax, %eax\n\tverr %dx\n\tsetz %al\n\tret");
ROUTINE(verw, "xorl %eax, %eax\n\tverw %dx\n\tsetz %al\n\tret");
ROUTINE(user_lar, "movl $0, %eax\n\tlarl %edx, %eax\n\tjz 1f\n\tmovl $-1, %eax\n\t1: " EXIT);
ROUTINE(user_verr, "xorl %eax, %eax\n\tverr %dx\n\tsetz %al\n\t" EXIT);
ROUTINE(user_verw, "xorl %eax, %eax\n\tverw %dx\n\tsetz %al\n\t" EXIT);

/* What routine says of a selector in EDX, in ring 0 and in ring 3. */
static unsigned long ask(const char *routine, uint16_t selector)
{
	return probe(RETURNS, routine, 0, selector, 0) ? probe_result : 0xbad;
}

static unsigned long user_ask(const char *routine, uint16_t selector)
{
	prepare_ring(3, routine, 0, selector);
	return run_start(EXITS) ? last_trap.frame.eax : 0xbad;
}

enum { NOT_LOADED = 0xffffffff, NOT_LIMITED = 0xfffffffe };

static void load_access_rights(void)
{
	EXPECT("data", 0x00c09200 | ACCESSED << 8, ask(lar, KERNEL_DS) & 0xf0ff00);
	EXPECT("absent data", DATA_RW << 8 & 0x7f00, ask(lar, slot(0, segment(0, 0, DATA_RW & ~PRESENT, 0))));
	EXPECT("null", NOT_LOADED, ask(lar, 0));
	EXPECT("beyond the GDT", NOT_LOADED, ask(lar, 0xfff8));
	EXPECT("busy TSS", TSS32_BUSY << 8, ask(lar, MAIN_TSS) & 0xff00);
	EXPECT("LDT", LDT_TYPE << 8, ask(lar, LDT) & 0xff00);
	EXPECT("call gate", CALL32 << 8, ask(lar, slot(1, gate(KERNEL_CS, 0, CALL32, 0))) & 0xff00);
	EXPECT("16-bit call gate", CALL16 << 8, ask(lar, slot(1, gate(KERNEL_CS, 0, CALL16, 0))) & 0xff00);
	EXPECT("task gate", TASK_GATE << 8, ask(lar, slot(1, gate(MAIN_TSS, 0, TASK_GATE, 0))) & 0xff00);
	EXPECT("interrupt gate", NOT_LOADED, ask(lar, slot(1, gate(KERNEL_CS, 0, INT32, 0))));
	EXPECT("trap gate", NOT_LOADED, ask(lar, slot(1, gate(KERNEL_CS, 0, TRAP32, 0))));
	EXPECT("reserved type 0", NOT_LOADED, ask(lar, slot(1, gate(KERNEL_CS, 0, PRESENT, 0))));
	EXPECT("data of ring 0 from ring 3", NOT_LOADED, user_ask(user_lar, KERNEL_DS));
	EXPECT("conforming code of ring 0 from ring 3", CONFORMING_RX << 8,
	       user_ask(user_lar, slot(2, segment(0, 0, CONFORMING_RX, 0))) & 0xff00);
	EXPECT("data of ring 3, RPL 3, from ring 0", (DATA_RW | DPL3 | ACCESSED) << 8, ask(lar, USER_DS) & 0xff00);
	EXPECT("data of ring 0, RPL 3, from ring 0", NOT_LOADED, ask(lar, KERNEL_DS | 3));
}

static void load_limit(void)
{
	EXPECT("data, in pages", 0xffffffff, ask(lsl, KERNEL_DS));
	EXPECT("data, in bytes", 0x12345, ask(lsl, slot(0, segment(0, 0x12345, DATA_RW, BIG))));
	EXPECT("data, one page", 0xfff, ask(lsl, slot(0, segment(0, 0, DATA_RW, FLAT))));
	EXPECT("TSS", MAIN_TSS_BYTES - 1, ask(lsl, MAIN_TSS));
	EXPECT("LDT", sizeof ldt - 1, ask(lsl, LDT));
	EXPECT("call gate", NOT_LIMITED, ask(lsl, slot(1, gate(KERNEL_CS, 0, CALL32, 0))));
	EXPECT("task gate", NOT_LIMITED, ask(lsl, slot(1, gate(MAIN_TSS, 0, TASK_GATE, 0))));
	EXPECT("null", NOT_LIMITED, ask(lsl, 0));
}

static void verify(void)
{
	EXPECT("VERR of data", 1, ask(verr, KERNEL_DS));
	EXPECT("VERR of readable code", 1, ask(verr, KERNEL_CS));
	EXPECT("VERR of code that can not be read", 0, ask(verr, slot(0, segment(0, 0, CODE_X, 0))));
	EXPECT("VERR of a TSS", 0, ask(verr, MAIN_TSS));
	EXPECT("VERR of null", 0, ask(verr, 0));
	EXPECT("VERW of data", 1, ask(verw, KERNEL_DS));
	EXPECT("VERW of read-only data", 0, ask(verw, slot(0, segment(0, 0, DATA_R, 0))));
	EXPECT("VERW of code", 0, ask(verw, KERNEL_CS));
	EXPECT("VERR of ring 0's data from ring 3", 0, user_ask(user_verr, KERNEL_DS));
	EXPECT("VERR of conforming code from ring 3", 1, user_ask(user_verr, slot(0, segment(0, 0, CONFORMING_RX, 0))));
	EXPECT("VERW of ring 3's data from ring 3", 1, user_ask(user_verw, USER_DS));
	EXPECT("VERR of ring 3's data with RPL 0 from ring 3", 1, user_ask(user_verr, USER_DS & ~3));
}

ROUTINE(arpl, "arpl %dx, %ax\n\tsetz %dl\n\tmovzbl %dl, %edx\n\tshll $16, %edx\n\torl %edx, %eax\n\tret");

static void adjust_rpl(void)
{
	RUN("RPL 0, 3", RETURNS, arpl, 0x1230, 0x0003);
	EXPECT("raised, ZF=1", 0x11233, probe_result);
	RUN("RPL 2, 1", RETURNS, arpl, 0x1232, 0x0001);
	EXPECT("as it was, ZF=0", 0x01232, probe_result);
	RUN("RPL 1, 1", RETURNS, arpl, 0x1231, 0x0001);
	EXPECT("as it was, ZF=0", 0x01231, probe_result);
}

ROUTINE(lldt, "lldt %ax\n\tsldt %ax\n\tmovzwl %ax, %eax\n\tret");
ROUTINE(ltr, "ltr %ax\n\tstr %ax\n\tmovzwl %ax, %eax\n\tret");

static void load_ldtr(void)
{
	RUN("LDT", RETURNS, lldt, LDT, 0);
	EXPECT("SLDT", LDT, probe_result);
	RUN("data", GP_(KERNEL_DS), lldt, KERNEL_DS, 0);
	RUN("TSS", GP_(FAULT_TSS), lldt, FAULT_TSS, 0);
	RUN("selector in the LDT", GP_(0xc), lldt, 0xc, 0);
	RUN("beyond the GDT", GP_(0xfff8), lldt, 0xfff8, 0);
	uint16_t absent = slot(0, segment((uintptr_t)ldt, 63, LDT_TYPE & ~PRESENT, 0));
	RUN("absent", TRAP(NP, absent), lldt, absent, 0);
	RUN("null", RETURNS, lldt, 0, 0);
	EXPECT("SLDT", 0, probe_result);
}

static void load_tr(void)
{
	uint16_t fresh = slot(0, segment((uintptr_t)&main_tss, MAIN_TSS_BYTES - 1, TSS32, 0));
	RUN("null", GP_(0), ltr, 0, 0);
	RUN("busy", GP_(MAIN_TSS), ltr, MAIN_TSS, 0);
	RUN("data", GP_(KERNEL_DS), ltr, KERNEL_DS, 0);
	RUN("LDT", GP_(LDT), ltr, LDT, 0);
	RUN("selector in the LDT", GP_(0xc), ltr, 0xc, 0);
	uint16_t absent = slot(1, segment((uintptr_t)&main_tss, MAIN_TSS_BYTES - 1, TSS32 & ~PRESENT, 0));
	RUN("absent", TRAP(NP, absent), ltr, absent, 0);
	RUN("available", RETURNS, ltr, fresh, 0);
	EXPECT("STR", fresh, probe_result);
	EXPECT("busy now", TSS32_BUSY, access_of(fresh));
	EXPECT("the old one is busy still", TSS32_BUSY, access_of(MAIN_TSS));
}

ROUTINE(user_lldt, "lldt %ax");
ROUTINE(user_ltr, "ltr %ax");
ROUTINE(user_sldt_str, "sldt %eax\n\tstr %edx\n\t" EXIT);

static void table_registers_in_ring_3(void)
{
	RUN_USER("LLDT", GP_(0), user_lldt, LDT, 0);
	RUN_USER("LTR", GP_(0), user_ltr, FAULT_TSS, 0);
	RUN_USER("SLDT and STR", EXITS, user_sldt_str, 0, 0);
	EXPECT("STR", MAIN_TSS, last_trap.frame.edx & 0xffff);
	EXPECT("SLDT", 0, last_trap.frame.eax & 0xffff);
}

ROUTINE(lgdt_16, "lgdtw (%eax)\n\tsgdtl (%edx)\n\tlgdtl (%ecx)\n\tret");

/* With 16-bit operands, 24 bits of the base are loaded. */
static void gdtr(void)
{
	struct table_register before, seen, narrow;
	asm("sgdt %0" : "=m"(before));
	EXPECT("limit", sizeof gdt - 1, before.limit);
	EXPECT("base", (uintptr_t)gdt, before.base);
	narrow = (struct table_register){ before.limit, before.base | 0x5a000000 };
	RUN3("LGDT of 16 bits", RETURNS, lgdt_16, &narrow, &seen, &before);
	EXPECT("base, 24 bits", (uintptr_t)gdt, seen.base);
}

static const struct check checks[] = {
	{ "null-selector", "SDM 3, 5.4.1", null_selectors },
	{ "null-stack", "SDM 3, 5.4.1", null_stack },
	{ "selector-beyond-table", "SDM 3, 6.13", beyond_the_table },
	{ "local-descriptor-table", "SDM 3, 3.5.1", local_table },
	{ "segment-types", "SDM 3, 5.4", wrong_types },
	{ "data-privilege", "SDM 3, 5.6", data_privilege },
	{ "code-as-data", "SDM 3, 5.6.1", code_as_data },
	{ "stack-privilege", "SDM 3, 5.7", stack_privilege },
	{ "segment-absent", "SDM 3, 6.15", not_present },
	{ "segment-accessed", "SDM 3, 3.4.5.1", accessed_bit },
	{ "mov-to-cs", "SDM 2, MOV", move_to_cs },
	{ "lds-lss-lgs", "SDM 2, LDS", far_pointers },
	{ "pop-segment", "SDM 2, POP", pop_segment },
	{ "hidden-part", "SDM 3, 3.4.3", hidden_part },
	{ "segment-base-wraps", "SDM 3, 3.3", base_wraps },
	{ "outer-return-clears-data", "SDM 3, 5.8.6", data_of_the_inner_ring },
	{ "lar", "SDM 3, 5.10.1", load_access_rights },
	{ "lsl", "SDM 3, 5.10.3", load_limit },
	{ "verr-verw", "SDM 3, 5.10.2", verify },
	{ "arpl", "SDM 3, 5.10.4", adjust_rpl },
	{ "lldt", "SDM 2, LLDT", load_ldtr },
	{ "ltr", "SDM 3, 7.2.4", load_tr },
	{ "sldt-str-in-ring-3", "SDM 3, 5.9", table_registers_in_ring_3 },
	{ "lgdt-sgdt", "SDM 2, LGDT", gdtr },
};
CHECK_GROUP(segment_group, "segment registers and descriptors", checks);
