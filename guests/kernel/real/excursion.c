/*
 * From real mode to protected mode, long mode and back (SDM vol. 3, 9.8.5 and
 * 9.9), and what stays of protected mode in the hidden parts of the segment
 * registers. No interrupt and no trap comes on the way but where a check
 * brings an IDT.
 */
#include "check.h"
#include "excursion.h"
#include "../identity.h"

static uint64_t gdt[GDT_BYTES / 8] __attribute__((aligned(8)));
static struct table_register pm_gdtr __asm__("pm_gdtr") __attribute__((used));

enum { CODE = 0x9b, DATA = 0x93, LONG = 2, BIG = 4, PAGES = 8, FLAT = BIG | PAGES };

static uint64_t segment(uint32_t base, uint32_t limit, unsigned access, unsigned flags)
{
	return (uint64_t)(base >> 24) << 56 | (uint64_t)flags << 52 | (uint64_t)(limit >> 16 & 15) << 48 | (uint64_t)access << 40 |
	       (uint64_t)(base & 0xffffff) << 16 | (limit & 0xffff);
}

/* Into protected mode, with CS as it is, and out of it; ECX is lost. */
#define PROTECTED "lgdtl pm_gdtr\n\tmovl %cr0, %ecx\n\torl $1, %ecx\n\tmovl %ecx, %cr0\n\t"
#define REAL "movl %cr0, %ecx\n\tandl $~1, %ecx\n\tmovl %ecx, %cr0\n\t"
/* ES (in EBX) as real mode has it. */
#define NORMAL_ES PROTECTED "movw $0x20, %bx\n\tmovw %bx, %es\n\t" REAL "movw %cs, %bx\n\tmovw %bx, %es\n\t"

ROUTINE(normal_segments, PROTECTED "movw $0x20, %bx\n\tmovw %bx, %ds\n\tmovw %bx, %es\n\tmovw %bx, %fs\n\tmovw %bx, %gs\n\tmovw %bx, %ss\n\t"
	REAL "ljmpw $0x1000, $1f\n\t1: movw %cs, %bx\n\tmovw %bx, %ds\n\tmovw %bx, %es\n\tmovw %bx, %fs\n\tmovw %bx, %gs\n\tmovw %bx, %ss\n\tret");

void excursions_reset(void)
{
	gdt[FLAT_CS32 / 8] = segment(0, 0xfffff, CODE, FLAT);
	gdt[FLAT_DS / 8] = segment(0, 0xfffff, DATA, FLAT);
	gdt[REAL_CS16 / 8] = segment(REAL_BASE, 0xffff, CODE, 0);
	gdt[REAL_DS16 / 8] = segment(REAL_BASE, 0xffff, DATA, 0);
	gdt[FLAT_CS64 / 8] = segment(0, 0, CODE, LONG);
	gdt[REAL_CS32 / 8] = segment(REAL_BASE, 0xffff, CODE, BIG);
	gdt[ODD_DS / 8] = segment(0, 0xffff, DATA, 0);
	pm_gdtr = (struct table_register){ sizeof gdt - 1, REAL_BASE + (uintptr_t)gdt };
	asm volatile("calll normal_segments" ::: "ebx", "ecx", "memory");
}

ROUTINE(set_pe, PROTECTED "smsww %ax\n\tmovw %cs, %dx\n\tpushw %dx\n\tpopw %si\n\tmovw probe_stack, %di\n\t" REAL "int $0x80");

/* Until a far jump, code goes on as it was. */
static void pe_alone(void)
{
	RUN("PE=1 without a jump", EXITS, set_pe, 0, 0);
	EXPECT("PE", CR0_PE, last_trap.frame.eax & CR0_PE);
	EXPECT("CS", REAL_SEGMENT, last_trap.frame.edx & 0xffff);
	EXPECT("stack", REAL_SEGMENT, last_trap.frame.esi & 0xffff);
}

ROUTINE(lmsw_pe, "lgdtl pm_gdtr\n\tmovw $1, %ax\n\tlmsw %ax\n\tsmsww %ax\n\txorw %dx, %dx\n\tlmsw %dx\n\tsmsww %dx\n\t" REAL "int $0x80");

/* LMSW sets PE, and does not clear it. */
static void lmsw(void)
{
	RUN("LMSW of 1, then of 0", EXITS, lmsw_pe, 0, 0);
	EXPECT("PE after LMSW of 1", CR0_PE, last_trap.frame.eax & CR0_PE);
	EXPECT("PE after LMSW of 0", CR0_PE, last_trap.frame.edx & CR0_PE);
}

ROUTINE(through_16, PROTECTED "ljmpw $0x18, $1f\n\t1: movw %cs, %ax\n\tmovw $0x20, %bx\n\tmovw %bx, %ds\n\tmovw %ds, %dx\n\t" REAL
	"ljmpw $0x1000, $2f\n\t2: movw %cs, %si\n\tint $0x80");

static void protected_16(void)
{
	RUN("16-bit code", EXITS, through_16, 0, 0);
	EXPECT("CS inside", REAL_CS16, last_trap.frame.eax & 0xffff);
	EXPECT("DS inside", REAL_DS16, last_trap.frame.edx & 0xffff);
	EXPECT("CS afterwards", REAL_SEGMENT, last_trap.frame.esi & 0xffff);
}

ROUTINE(through_32, PROTECTED "ljmpl $0x30, $1f\n\t.code32\n\t1: movl $0x12345678, %eax\n\tmovl %esp, %edx\n\tpushl %eax\n\t"
	"subl %esp, %edx\n\tpopl %edi\n\tmovl %cs, %esi\n\tljmpl $0x18, $2f\n\t.code16gcc\n\t2: " REAL "ljmpw $0x1000, $3f\n\t3: int $0x80");

static void protected_32(void)
{
	RUN("32-bit code", EXITS, through_32, 0, 0);
	EXPECT("EAX", 0x12345678, last_trap.frame.eax);
	EXPECT("bytes of a PUSH", 4, last_trap.frame.edx);
	EXPECT("word popped", 0x12345678, last_trap.frame.edi);
	EXPECT("CS inside", REAL_CS32, last_trap.frame.esi & 0xffff);
}

/* An IDT for one vector, with a 32-bit gate to code that counts in EAX. */
static struct table_register pm_idtr __asm__("pm_idtr") __attribute__((used));
static struct table_register rm_idtr __asm__("rm_idtr") __attribute__((used)) = { 0x3ff, 0 };
static uint64_t pm_idt[0x21];

ROUTINE(interrupted, "xorl %eax, %eax\n\tlidtl pm_idtr\n\t" PROTECTED "ljmpl $0x30, $1f\n\t.code32\n\t1: movl $0x20, %ebx\n\tmovl %ebx, %ss\n\t"
	"int $0x20\n\tint $0x20\n\tljmpl $0x18, $2f\n\tpm_handler: incl %eax\n\tmovl 4(%esp), %edx\n\tiretl\n\t.code16gcc\n\t"
	"2: " REAL "ljmpw $0x1000, $3f\n\t3: movw %cs, %bx\n\tmovw %bx, %ss\n\tlidtl rm_idtr\n\tint $0x80");
extern routine pm_handler;

static void protected_interrupt(void)
{
	pm_idt[0x20] = (uint64_t)0x8e << 40 | (uint64_t)REAL_CS32 << 16 | (uintptr_t)pm_handler;
	pm_idtr = (struct table_register){ sizeof pm_idt - 1, REAL_BASE + (uintptr_t)pm_idt };
	RUN("two interrupts in protected mode", EXITS, interrupted, 0, 0);
	EXPECT("count", 2, last_trap.frame.eax);
	EXPECT("CS pushed", REAL_CS32, last_trap.frame.edx & 0xffff);
}

ROUTINE(unreal, PROTECTED "movw $0x10, %bx\n\tmovw %bx, %es\n\t" REAL "movl %es:(%edx), %eax\n\tmovw %es, %si\n\t" NORMAL_ES "int $0x80");
ROUTINE(unreal_reloaded, PROTECTED "movw $0x10, %bx\n\tmovw %bx, %es\n\t" REAL "movw $0x2000, %bx\n\tmovw %bx, %es\n\t"
	"movl %es:(%edx), %eax\n\t" NORMAL_ES "int $0x80");
ROUTINE(unreal_written, PROTECTED "movw $0x10, %bx\n\tmovw %bx, %es\n\t" REAL "movl %edx, %es:(%eax)\n\tmovl %es:(%eax), %edi\n\t"
	NORMAL_ES "int $0x80");

/* The loader's stub at 1 MB begins with the multiboot header. */
#define MEGABYTE 0x100000
#define HEADER 0x1badb002

static void big_limit(void)
{
	RUN("read of 1 MB", EXITS, unreal, 0, MEGABYTE);
	EXPECT("word", HEADER, last_trap.frame.eax);
	EXPECT("ES", FLAT_DS, last_trap.frame.esi & 0xffff);
	RUN("write beyond 1 MB", EXITS, unreal_written, 3 * MEGABYTE, 0x51525354);
	EXPECT("word", 0x51525354, last_trap.frame.edi);
}

/* In real mode a load changes selector and base, and leaves the limit. */
static void big_limit_stays(void)
{
	RUN("read of 1 MB", EXITS, unreal_reloaded, 0, MEGABYTE - ((uint32_t)DATA_SEGMENT << 4));
	EXPECT("word", HEADER, last_trap.frame.eax);
}

ROUTINE(odd_gs, PROTECTED "movw $0x38, %bx\n\tmovw %bx, %gs\n\t" REAL "odd_gs_at: movw %gs:(%edx), %ax\n\tret");
extern routine odd_gs_at;

static void base_stays(void)
{
	far_write(OTHER_SEGMENT, 0x20, 0xbeef);
	gdt[ODD_DS / 8] = segment(((uint32_t)OTHER_SEGMENT << 4) + 8, 0xffff, DATA, 0);
	RUN("read through a base of protected mode", RETURNS, odd_gs, 0, 0x18);
	EXPECT("word", 0xbeef, probe_result & 0xffff);
}

static void small_limit_stays(void)
{
	gdt[ODD_DS / 8] = segment((uint32_t)OTHER_SEGMENT << 4, 0xff, DATA, 0);
	RUN("read inside", RETURNS, odd_gs, 0, 0xfe);
	RUN("read beyond a limit of protected mode", AT(GP, odd_gs_at), odd_gs, 0, 0x100);
}

/* Everything below 4 MB one to one, and again at 4 MB. */
ROUTINE(paged, "movl %cr4, %eax\n\torl $0x10, %eax\n\tmovl %eax, %cr4\n\tmovl $0x50000, %eax\n\tmovl %eax, %cr3\n\t"
	PROTECTED "ljmpl $0x30, $1f\n\t.code32\n\t1: movl $0x10, %eax\n\tmovl %eax, %es\n\tmovl %cr0, %eax\n\torl $0x80000000, %eax\n\t"
	"movl %eax, %cr0\n\tmovl %es:0x500000, %edx\n\tmovl %cr0, %eax\n\tandl $0x7fffffff, %eax\n\tmovl %eax, %cr0\n\t"
	"xorl %eax, %eax\n\tmovl %eax, %cr3\n\tljmpl $0x18, $2f\n\t.code16gcc\n\t2: " REAL "ljmpw $0x1000, $3f\n\t3: int $0x80");

static void paging(void)
{
	REQUIRE(cpuid(1, 0).edx >> 3 & 1, "CPUID has no PSE");
	for (uint16_t i = 0; i < 8; i += 4) {
		far_write(PAGE_TABLES >> 4, i, 0x83);
		far_write(PAGE_TABLES >> 4, (uint16_t)(i + 2), 0);
	}
	RUN("paging on and off", EXITS, paged, 0, 0);
	EXPECT("word at 5 MB, which is 1 MB", HEADER, last_trap.frame.edx);
}

/* PML4, PDPT and a directory of 2 MB pages, 1 GB one to one. */
static void make_long_tables(void)
{
	enum { PML4 = PAGE_TABLES >> 4, PDPT = PML4 + 0x100, DIRECTORY = PDPT + 0x100 };
	for (uint16_t offset = 0; offset < 0x1000; offset += 2) {
		far_write(PML4, offset, 0);
		far_write(PDPT, offset, 0);
		far_write(DIRECTORY, offset, 0);
	}
	far_write(PML4, 0, ((PAGE_TABLES + 0x1000) & 0xffff) | 3);
	far_write(PML4, 2, (PAGE_TABLES + 0x1000) >> 16);
	far_write(PDPT, 0, ((PAGE_TABLES + 0x2000) & 0xffff) | 3);
	far_write(PDPT, 2, (PAGE_TABLES + 0x2000) >> 16);
	for (uint16_t i = 0; i < 512; i++) {
		far_write(DIRECTORY, i * 8, 0x83);
		far_write(DIRECTORY, (uint16_t)(i * 8 + 2), (uint16_t)(i << 5));
	}
}

/* What a trip to long mode saw; 64-bit code knows the place by its linear address. */
static struct {
	uint32_t efer_compatibility, efer_real, cs_compatibility, cs_16;
	uint64_t sum;
	uint32_t pushed_compatibility;
} trip __asm__("trip_log") __attribute__((used));

#define READ_EFER "movl $0xc0000080, %ecx\n\trdmsr\n\t"
#define PREPARE_LONG "movl %cr4, %eax\n\torl $0x20, %eax\n\tmovl %eax, %cr4\n\tmovl $0x50000, %eax\n\tmovl %eax, %cr3\n\t" \
	READ_EFER "orl $0x100, %eax\n\twrmsr\n\t"
#define CODE_64 ".code64\n\tmovabsq $0x123456789abcdef0, %rax\n\tmovq %rax, %r9\n\taddq %r9, %rax\n\tmovl $trip_log + 0x10000, %edi\n\t" \
	"movq %rax, 16(%rdi)\n\t"
/* In 16-bit code in compatibility mode. */
#define LEAVE_LONG "movw %cs, trip_log + 12\n\tmovl %cr0, %eax\n\tandl $0x7fffffff, %eax\n\tmovl %eax, %cr0\n\t" \
	READ_EFER "andl $~0x100, %eax\n\twrmsr\n\t" READ_EFER "movl %eax, trip_log + 4\n\t" \
	"movl %cr4, %eax\n\tandl $~0x20, %eax\n\tmovl %eax, %cr4\n\t"

ROUTINE(long_trip, PREPARE_LONG PROTECTED "ljmpl $0x30, $1f\n\t.code32\n\t1: movl %cr0, %eax\n\torl $0x80000000, %eax\n\tmovl %eax, %cr0\n\t"
	READ_EFER "movl %eax, trip_log\n\tmovl %cs, %eax\n\tmovl %eax, trip_log + 8\n\tpushl $0x5a5a5a5a\n\tpopl trip_log + 24\n\t"
	"ljmpl $0x28, $2f + 0x10000\n\t2: " CODE_64 "ljmpl *long_trip_back(%rip)\n\tlong_trip_back: .long 3f\n\t.word 0x18\n\t.code16gcc\n\t"
	"3: " LEAVE_LONG REAL "ljmpw $0x1000, $4f\n\t4: int $0x80");

ROUTINE(long_directly, PREPARE_LONG "lgdtl pm_gdtr\n\tmovl %cr0, %eax\n\torl $0x80000001, %eax\n\tmovl %eax, %cr0\n\t"
	"ljmpl $0x28, $2f + 0x10000\n\t2: " CODE_64 "ljmpl *long_directly_back(%rip)\n\tlong_directly_back: .long 3f\n\t.word 0x18\n\t.code16gcc\n\t"
	"3: " LEAVE_LONG REAL "ljmpw $0x1000, $4f\n\t4: int $0x80");

#define REQUIRE_LONG_MODE REQUIRE(has_long_mode(), "CPUID has no long mode")

static void to_long_mode_and_back(void)
{
	REQUIRE_LONG_MODE;
	make_long_tables();
	memset(&trip, 0, sizeof trip);
	RUN("real, protected, compatibility, 64-bit, 16-bit compatibility, real", EXITS, long_trip, 0, 0);
	EXPECT("CS in compatibility mode", REAL_CS32, trip.cs_compatibility & 0xffff);
	EXPECT("EFER there: LMA", EFER_LME | EFER_LMA, trip.efer_compatibility & (EFER_LME | EFER_LMA));
	EXPECT("word through the stack there", 0x5a5a5a5a, trip.pushed_compatibility);
	EXPECT("sum of 64 bits", 0x2468acf13579bde0, trip.sum);
	EXPECT("CS of the 16-bit code", REAL_CS16, trip.cs_16 & 0xffff);
	EXPECT("EFER afterwards", 0, trip.efer_real & (EFER_LME | EFER_LMA));
	EXPECT("CS afterwards", REAL_SEGMENT, last_trap.frame.cs);
}

static void to_long_mode_at_once(void)
{
	REQUIRE_LONG_MODE;
	make_long_tables();
	memset(&trip, 0, sizeof trip);
	RUN("PE and PG in one MOV", EXITS, long_directly, 0, 0);
	EXPECT("sum of 64 bits", 0x2468acf13579bde0, trip.sum);
	EXPECT("CS of the 16-bit code", REAL_CS16, trip.cs_16 & 0xffff);
}

ROUTINE(pg_alone, "movl %cr0, %eax\n\torl $0x80000000, %eax\n\tpg_alone_at: movl %eax, %cr0\n\tret");
ROUTINE(load_cr4, "movl %eax, %cr4\n\tret");
extern routine pg_alone_at;

static void control_register_faults(void)
{
	REQUIRE(!is_qemu_tcg(), "QEMU's TCG never returns from these");
	RUN("PG=1 with PE=0", AT(GP, pg_alone_at), pg_alone, 0, 0);
	RUN("reserved bit of CR4", GP_(0), load_cr4, read_cr4() | 1u << 31, 0);
}

static const struct check checks[] = {
	{ "pe-without-jump", "SDM 3, 9.9.1", pe_alone },
	{ "pe-by-lmsw", "SDM 2, LMSW", lmsw },
	{ "to-protected-16", "SDM 3, 9.9", protected_16 },
	{ "to-protected-32", "SDM 3, 9.9", protected_32 },
	{ "to-protected-interrupt", "SDM 3, 9.9.1", protected_interrupt },
	{ "unreal-big-limit", "SDM 3, 9.9.2", big_limit },
	{ "unreal-limit-stays", "SDM 3, 20.1.1", big_limit_stays },
	{ "unreal-base-stays", "SDM 3, 9.9.2", base_stays },
	{ "unreal-small-limit", "SDM 3, 9.9.2", small_limit_stays },
	{ "to-paging", "SDM 3, 9.9.2", paging },
	{ "to-long-mode", "SDM 3, 9.8.5", to_long_mode_and_back },
	{ "to-long-mode-at-once", "SDM 3, 9.8.5", to_long_mode_at_once },
	{ "real-control-registers", "SDM 2, MOV CR", control_register_faults },
};
CHECK_GROUP(excursion_group, "to other modes and back", checks);
