/* Paging without long mode: 32-bit with pages of 4 KB and 4 MB, and PAE (SDM vol. 3, chapter 4). */
#include "check.h"
#include "../identity.h"
#include "paging.h"

enum { RW = PTE_P | PTE_W, RWU = PTE_P | PTE_W | PTE_U };

ROUTINE(load, "movl (%eax), %eax\n\tret");
ROUTINE(store, "movl %edx, (%eax)\n\tret");
ROUTINE(call_to, "jmp *%eax");
ROUTINE(user_load, "movl (%eax), %eax\n\t" EXIT);
ROUTINE(user_store, "movl %edx, (%eax)\n\t" EXIT);
ROUTINE(user_jump, "jmp *%eax");

/* Whether error codes tell of fetches, which they do with NX (SDM vol. 3, 4.7). */
static uint64_t fetch_bit(void)
{
	return has_nx() && read_cr4() & CR4_PAE && read_msr(IA32_EFER) & EFER_NXE ? PFEC_I : 0;
}

static void enable_nx(void)
{
	write_msr(IA32_EFER, read_msr(IA32_EFER) | EFER_NXE);
}

static void page_4k(void)
{
	paging_on_32(RW);
	*(uint32_t *)scratch[1] = 0x1234;
	RUN("read", RETURNS, load, WINDOW + PAGE_BYTES, 0);
	EXPECT("word", 0x1234, probe_result);
	RUN("write", RETURNS, store, WINDOW + 8, 0x5678);
	EXPECT("word written", 0x5678, *(uint32_t *)(scratch[0] + 8));
	RUN("read, P=0", PF_(0, WINDOW + 0x4004), load, WINDOW + 0x4004, 0);
	RUN("write, P=0", PF_(PFEC_W, WINDOW + 0x4004), store, WINDOW + 0x4004, 0);
	RUN("fetch, P=0", TRAP(PF, 0, WINDOW + 0x4004, WINDOW + 0x4004), call_to, WINDOW + 0x4004, 0);
	*pde_32() = 0;
	write_cr3(read_cr3());
	RUN("read, P=0 in the PDE", PF_(0, WINDOW), load, WINDOW, 0);
}

static void page_4m(void)
{
	paging_on_32(RW);
	*(uint32_t *)(large_page() + 0x3ffffc) = 0x77;
	*pde_32() = (uintptr_t)large_page() | RW | PTE_PS;
	write_cr3(read_cr3());
	RUN("read the last word", RETURNS, load, WINDOW + 0x3ffffc, 0);
	EXPECT("word", 0x77, probe_result);
	RUN("write", RETURNS, store, WINDOW + 0x123450, 0x88);
	EXPECT("word written", 0x88, *(uint32_t *)(large_page() + 0x123450));
	EXPECT("A and D", PTE_A | PTE_D, *pde_32() & (PTE_A | PTE_D));
}

/* Without PSE, bit 7 of a PDE is ignored. */
static void no_pse(void)
{
	extern char image_end[];
	paging_on_32(RW);
	/* Everything below the end of the image by page tables, for without PSE nothing else is mapped. */
	static uint32_t tables[6][1024] __attribute__((aligned(4096)));
	REQUIRE((uintptr_t)image_end < sizeof tables * 1024, "the image is larger than the tables here");
	uint32_t *first = pde_32() - (WINDOW >> 22);
	for (uint32_t i = 0; i < 6; i++) {
		for (uint32_t j = 0; j < 1024; j++)
			tables[i][j] = i << 22 | j << 12 | RWU;
		first[i] = (uintptr_t)tables[i] | RWU;
	}
	*pde_32() |= PTE_PS;
	write_cr4(read_cr4() & ~CR4_PSE);
	*(uint32_t *)scratch[1] = 0x4321;
	bool met = probe(RETURNS, load, WINDOW + PAGE_BYTES, 0, 0);
	EXPECT("read through a PDE with bit 7", true, met);
	EXPECT("word of the 4 KB page", 0x4321, probe_result);
}

static void reserved_4m(void)
{
	paging_on_32(RW);
	*pde_32() = (uintptr_t)large_page() | RW | PTE_PS | 1 << 21;
	write_cr3(read_cr3());
	RUN("bit 21", PF_(PFEC_P | PFEC_RSVD, WINDOW), load, WINDOW, 0);
	RUN("bit 21, write", PF_(PFEC_P | PFEC_RSVD | PFEC_W, WINDOW), store, WINDOW, 0);
	RUN_USER("bit 21, from ring 3", PF_(PFEC_P | PFEC_RSVD | PFEC_U, WINDOW), user_load, WINDOW, 0);
}

static void page_size_36(void)
{
	REQUIRE(cpuid(1, 0).edx >> 17 & 1, "CPUID has no PSE-36");
	paging_on_32(RW);
	/* Bit 32 of the address, which no memory here has: it reads as nothing, not as the low 4 MB. */
	*(uint32_t *)large_page() = 0x600d;
	*pde_32() = (uintptr_t)large_page() | RW | PTE_PS | 1 << 13;
	write_cr3(read_cr3());
	RUN("read", RETURNS, load, WINDOW, 0);
	EXPECT("not the page 4 GB below", 0, probe_result == 0x600d);
}

static void protection_32(void)
{
	paging_on_32(PTE_P);
	RUN("write to a read-only page, WP=1", PF_(PFEC_P | PFEC_W, WINDOW), store, WINDOW, 0);
	RUN_USER("read from ring 3, U=0", PF_(PFEC_P | PFEC_U, WINDOW), user_load, WINDOW, 0);
	RUN_USER("fetch from ring 3, U=0", TRAP(PF, PFEC_P | PFEC_U, WINDOW, WINDOW), user_jump, WINDOW, 0);
	write_cr0(read_cr0() & ~CR0_WP);
	RUN("write to a read-only page, WP=0", RETURNS, store, WINDOW, 0);
	*pte_32(0) |= PTE_U;
	invlpg(WINDOW);
	RUN_USER("read from ring 3, U=1", EXITS, user_load, WINDOW, 0);
	RUN_USER("write from ring 3, W=0, WP=0", PF_(PFEC_P | PFEC_U | PFEC_W, WINDOW), user_store, WINDOW, 0);
	*pte_32(0) |= PTE_W;
	invlpg(WINDOW);
	RUN_USER("write from ring 3, W=1", EXITS, user_store, WINDOW, 0);
}

/* Rings 0, 1 and 2 are supervisor. */
static void ring_1_is_supervisor(void)
{
	paging_on_32(RW);
	RUN_RING(1, "read, U=0", EXITS, user_load, WINDOW, 0);
	RUN_RING(1, "P=0: no U in the error code", PF_(0, WINDOW + 0x8000), user_load, WINDOW + 0x8000, 0);
}

static void combined_32(void)
{
	paging_on_32(RWU);
	*pde_32() &= ~PTE_W;
	write_cr3(read_cr3());
	RUN("write, W=0 in the PDE", PF_(PFEC_P | PFEC_W, WINDOW), store, WINDOW, 0);
	RUN_USER("write from ring 3", PF_(PFEC_P | PFEC_W | PFEC_U, WINDOW), user_store, WINDOW, 0);
	*pde_32() |= PTE_W;
	*pde_32() &= ~PTE_U;
	write_cr3(read_cr3());
	RUN_USER("read from ring 3, U=0 in the PDE", PF_(PFEC_P | PFEC_U, WINDOW), user_load, WINDOW, 0);
	RUN("write in ring 0", RETURNS, store, WINDOW, 0);
}

static void accessed_dirty_32(void)
{
	paging_on_32(RW);
	RUN("read", RETURNS, load, WINDOW, 0);
	EXPECT("A and D of the page", PTE_A, *pte_32(0) & (PTE_A | PTE_D));
	EXPECT("A of its PDE", PTE_A, *pde_32() & PTE_A);
	EXPECT("A of the page beside it", 0, *pte_32(1) & PTE_A);
	RUN("write", RETURNS, store, WINDOW, 0);
	EXPECT("A and D after a write", PTE_A | PTE_D, *pte_32(0) & (PTE_A | PTE_D));
	*pte_32(1) &= ~PTE_W;
	RUN("write that faults", PF_(PFEC_P | PFEC_W, WINDOW + PAGE_BYTES), store, WINDOW + PAGE_BYTES, 0);
	EXPECT("D after it", 0, *pte_32(1) & PTE_D);
}

static void global_pages(void)
{
	REQUIRE(cpuid(1, 0).edx >> 13 & 1, "CPUID has no PGE");
	paging_on_32(RW);
	*(uint32_t *)scratch[0] = 1, *(uint32_t *)scratch[1] = 2;
	write_cr4(read_cr4() | CR4_PGE);
	*pte_32(0) |= PTE_G;
	RUN("read", RETURNS, load, WINDOW, 0);
	*pte_32(0) = (uintptr_t)scratch[1] | RW | PTE_G;
	write_cr4(read_cr4() & ~CR4_PGE);
	RUN("read after PGE went off", RETURNS, load, WINDOW, 0);
	EXPECT("word of the new page", 2, probe_result);
	write_cr4(read_cr4() | CR4_PGE);
	RUN("read", RETURNS, load, WINDOW, 0);
	*pte_32(0) = (uintptr_t)scratch[0] | RW | PTE_G;
	invlpg(WINDOW);
	RUN("read after INVLPG", RETURNS, load, WINDOW, 0);
	EXPECT("word of the first page", 1, probe_result);
}

/* A change of paging's mode forgets what was translated before. */
static void pse_and_pg_flush(void)
{
	paging_on_32(RW);
	*(uint32_t *)scratch[0] = 1, *(uint32_t *)scratch[1] = 2;
	RUN("read", RETURNS, load, WINDOW, 0);
	*pte_32(0) = (uintptr_t)scratch[1] | RW;
	write_cr0(read_cr0() & ~CR0_PG);
	write_cr0(read_cr0() | CR0_PG);
	RUN("read after PG went off and on", RETURNS, load, WINDOW, 0);
	EXPECT("word of the new page", 2, probe_result);
	*pte_32(0) = (uintptr_t)scratch[0] | RW;
	write_cr3(read_cr3());
	RUN("read after MOV to CR3", RETURNS, load, WINDOW, 0);
	EXPECT("word of the first page", 1, probe_result);
}

static void across_pages(void)
{
	paging_on_32(RW);
	*pte_32(1) = (uintptr_t)scratch[3] | RW;
	RUN("write across two pages that do not lie side by side", RETURNS, store, WINDOW + 0xffe, 0x11223344);
	EXPECT("end of the first", 0x3344, *(uint16_t *)(scratch[0] + 0xffe));
	EXPECT("begin of the second", 0x1122, *(uint16_t *)scratch[3]);
	*pte_32(1) = 0;
	invlpg(WINDOW + PAGE_BYTES);
	RUN("second absent: CR2 is there", PF_(PFEC_W, WINDOW + PAGE_BYTES), store, WINDOW + 0xffe, 0);
	EXPECT("end of the first, not written", 0x3344, *(uint16_t *)(scratch[0] + 0xffe));
}

/* Addresses add up modulo 4 GB, with paging as well. */
static void linear_wrap(void)
{
	paging_on_32(RW);
	uint16_t es = slot(0, segment(WINDOW + 0x1000, 0xfffff, DATA_RW, FLAT));
	*(uint32_t *)scratch[0] = 0x99;
	asm volatile("movl %0, %%es" :: "r"((uint32_t)es));
	uint32_t word;
	asm volatile("movl %%es:(%1), %0" : "=r"(word) : "r"(-0x1000));
	asm volatile("movl %0, %%es" :: "r"(KERNEL_DS));
	EXPECT("word at offset FFFFF000 of a base in the window", 0x99, word);
}

#define REQUIRE_PAE REQUIRE(cpuid(1, 0).edx >> 6 & 1, "CPUID has no PAE")

static void pae_4k(void)
{
	REQUIRE_PAE;
	paging_on_pae(RW);
	*(uint32_t *)scratch[1] = 0x1234;
	RUN("read", RETURNS, load, WINDOW + PAGE_BYTES, 0);
	EXPECT("word", 0x1234, probe_result);
	RUN("read, P=0", PF_(0, WINDOW + 0x4004), load, WINDOW + 0x4004, 0);
	EXPECT("A of the PDE", PTE_A, *pde_pae() & PTE_A);
	EXPECT("A and D of the page", PTE_A, *pte_pae(1) & (PTE_A | PTE_D));
	RUN("write", RETURNS, store, WINDOW, 5);
	EXPECT("D of the page", PTE_D, *pte_pae(0) & PTE_D);
}

static void pae_2m(void)
{
	REQUIRE_PAE;
	paging_on_pae(RW);
	*(uint32_t *)(large_page() + 0x1ffffc) = 0x77;
	*pde_pae() = (uintptr_t)large_page() | RW | PTE_PS;
	write_cr3(read_cr3());
	RUN("read the last word", RETURNS, load, WINDOW + 0x1ffffc, 0);
	EXPECT("word", 0x77, probe_result);
	/* The second PDE maps one to one, as everywhere: an address that no memory has. */
	*pde_pae() |= 1 << 13;
	write_cr3(read_cr3());
	RUN("bit 13", PF_(PFEC_P | PFEC_RSVD, WINDOW), load, WINDOW, 0);
}

static void pae_reserved(void)
{
	REQUIRE_PAE;
	unsigned bits = physical_address_bits();
	REQUIRE(bits < 52, "physical addresses have 52 bits");
	paging_on_pae(RW);
	*pte_pae(0) |= 1ull << bits;
	RUN("address bit beyond the processor's", PF_(PFEC_P | PFEC_RSVD, WINDOW), load, WINDOW, 0);
	*pte_pae(1) |= PTE_NX;
	RUN("bit 63, NXE=0", PF_(PFEC_P | PFEC_RSVD, WINDOW + PAGE_BYTES), load, WINDOW + PAGE_BYTES, 0);
}

static void pae_no_execute(void)
{
	REQUIRE_PAE;
	REQUIRE(has_nx(), "CPUID has no NX");
	paging_on_pae(RWU);
	enable_nx();
	scratch[0][0] = 0xc3;
	RUN("fetch", RETURNS, call_to, WINDOW, 0);
	*pte_pae(0) |= PTE_NX;
	invlpg(WINDOW);
	RUN("read, NX=1", RETURNS, load, WINDOW, 0);
	RUN("fetch, NX=1", TRAP(PF, PFEC_P | PFEC_I, WINDOW, WINDOW), call_to, WINDOW, 0);
	RUN_USER("fetch from ring 3, NX=1", TRAP(PF, PFEC_P | PFEC_I | PFEC_U, WINDOW, WINDOW), user_jump, WINDOW, 0);
	*pte_pae(0) &= ~PTE_NX;
	*pde_pae() |= PTE_NX;
	write_cr3(read_cr3());
	RUN("fetch, NX=1 in the PDE", TRAP(PF, PFEC_P | PFEC_I, WINDOW, WINDOW), call_to, WINDOW, 0);
	RUN("fetch, P=0", TRAP(PF, fetch_bit(), WINDOW + 0x5000, WINDOW + 0x5000), call_to, WINDOW + 0x5000, 0);
}

/* PDPTEs are loaded by MOV to CR3, and kept. */
static void pae_pointers(void)
{
	REQUIRE_PAE;
	paging_on_pae(RW);
	RUN("read", RETURNS, load, WINDOW, 0);
	uint64_t before = *pdpte_pae();
	*pdpte_pae() = 0;
	invlpg(WINDOW);
	RUN("PDPTE cleared in memory", RETURNS, load, WINDOW, 0);
	write_cr3(read_cr3());
	RUN("and loaded", PF_(0, WINDOW), load, WINDOW, 0);
	*pdpte_pae() = before;
	RUN("set in memory", PF_(0, WINDOW), load, WINDOW, 0);
	write_cr3(read_cr3());
	RUN("and loaded", RETURNS, load, WINDOW, 0);
}

ROUTINE(load_cr3, "movl %eax, %cr3\n\tret");
ROUTINE(load_cr4, "movl %eax, %cr4\n\tret");
ROUTINE(load_cr0, "movl %eax, %cr0\n\tret");

static void pae_pointers_reserved(void)
{
	REQUIRE_PAE;
	paging_on_pae(RW);
	uint64_t before = *pdpte_pae();
	*pdpte_pae() |= 1 << 1;
	RUN("MOV to CR3, bit 1 of a PDPTE", GP_(0), load_cr3, read_cr3(), 0);
	*pdpte_pae() = before | 1ull << 62;
	RUN("MOV to CR3, bit 62", GP_(0), load_cr3, read_cr3(), 0);
	*pdpte_pae() = (before | 1 << 1) & ~(uint64_t)PTE_P;
	RUN("MOV to CR3, bit 1 with P=0", RETURNS, load_cr3, read_cr3(), 0);
	*pdpte_pae() = before;
}

static void pae_protection(void)
{
	REQUIRE_PAE;
	paging_on_pae(PTE_P);
	RUN("write to a read-only page", PF_(PFEC_P | PFEC_W, WINDOW), store, WINDOW, 0);
	RUN_USER("read from ring 3, U=0", PF_(PFEC_P | PFEC_U, WINDOW), user_load, WINDOW, 0);
	*pte_pae(0) |= RWU;
	*pde_pae() &= ~(uint64_t)PTE_W;
	write_cr3(read_cr3());
	RUN_USER("write from ring 3, W=0 in the PDE", PF_(PFEC_P | PFEC_U | PFEC_W, WINDOW), user_store, WINDOW, 0);
	RUN_USER("read from ring 3", EXITS, user_load, WINDOW, 0);
}

/* From 32-bit paging to PAE and back, with paging on in between: each mode reads its own tables. */
static void pae_and_back(void)
{
	REQUIRE_PAE;
	*(uint32_t *)scratch[0] = 7;
	paging_on_32(RW);
	RUN("32-bit paging", RETURNS, load, WINDOW, 0);
	paging_on_pae(RW);
	RUN("PAE", RETURNS, load, WINDOW, 0);
	EXPECT("word", 7, probe_result);
	paging_on_32(RW);
	RUN("32-bit paging", RETURNS, load, WINDOW, 0);
	EXPECT("word", 7, probe_result);
}

static void control_register_faults(void)
{
	REQUIRE(!is_qemu_tcg(), "QEMU's TCG never returns from these");
	RUN("PG=1 with PE=0", GP_(0), load_cr0, (read_cr0() | CR0_PG) & ~CR0_PE, 0);
	RUN("NW=1 with CD=0", GP_(0), load_cr0, read_cr0() | 1 << 29, 0);
	RUN("reserved bit of CR4", GP_(0), load_cr4, read_cr4() | 1u << 31, 0);
}

/* A fault in the middle of pushing onto a page that is not there, with a task to take the double fault. */
ROUTINE(push_there, "movl %eax, %esp\n\tpush_there_at: pushl %eax\n\tret");
extern routine push_there_at;

static void double_page_fault(void)
{
	paging_on_32(RW);
	fault_task(DF);
	RUN("PUSH to an absent page", TRAP_ANYWHERE(DF, 0), push_there, WINDOW + 0x9000, 0);
	EXPECT("EIP of the task before", (uintptr_t)push_there_at, main_tss.tss.eip);
	EXPECT("ESP of the task before", WINDOW + 0x9000, main_tss.tss.esp);
}

ROUTINE(task_reads, "movl (0x40000000), %eax\n\t" EXIT);

/* A task has a CR3 of its own. */
static void task_switch_loads_cr3(void)
{
	static uint32_t other[1024] __attribute__((aligned(4096)));
	static struct tss task;
	static uint8_t stack[512];
	paging_on_32(RW);
	memcpy(other, (const void *)read_cr3(), sizeof other);
	other[WINDOW >> 22] = (uintptr_t)large_page() | RW | PTE_PS;
	*(uint32_t *)large_page() = 0x0ac3;
	*(uint32_t *)scratch[0] = 0;
	task = (struct tss){
		.eip = (uintptr_t)task_reads, .eflags = RFLAGS_FIXED, .esp = (uintptr_t)(stack + sizeof stack), .cs = KERNEL_CS, .ss = KERNEL_DS,
		.ds = KERNEL_DS, .es = KERNEL_DS, .cr3 = (uintptr_t)other, .io_map_base = sizeof task,
	};
	struct far_pointer pointer = { 0, slot(0, segment((uintptr_t)&task, sizeof task - 1, TSS32, 0)) };
	RUN("JMP", EXITS, jump_far, &pointer, 0);
	EXPECT("word at the window", 0x0ac3, last_trap.frame.eax);
	EXPECT("CR3", (uintptr_t)other, last_trap.cr3);
}

CODE16(v86_page, "movw %es:0, %ax\n\tint $0x80");

static void v86_pages(void)
{
	paging_on_32(RW);
	uint32_t *table = pte_32(0), *first = pde_32() - (WINDOW >> 22);
	/* The low 4 MB by the window's table, with one page that is ring 0's and one that is absent. */
	for (uint32_t i = 0; i < 1024; i++)
		table[i] = i << 12 | RWU;
	table[0x50] = 0x50000 | RW;
	table[0x51] = 0;
	*first = (uintptr_t)table | RWU;
	write_cr3(read_cr3());
	prepare_v86(v86_page, v86_page_end, 3);
	start.v86_es = 0x5000;
	RUN_START("supervisor page", TRAP(PF, PFEC_P | PFEC_U, 0x50000, V86_IP));
	EXPECT("VM", RFLAGS_VM, last_trap.frame.eflags & RFLAGS_VM);
	start.v86_es = 0x5100;
	RUN_START("absent page", TRAP(PF, PFEC_U, 0x51000, V86_IP));
	start.v86_es = 0x5200;
	RUN_START("user page", EXITS);
}

static const struct check checks[] = {
	{ "page-4k", "SDM 3, 4.3", page_4k },
	{ "page-4m", "SDM 3, 4.3", page_4m },
	{ "page-4m-without-pse", "SDM 3, 4.3", no_pse },
	{ "page-4m-reserved", "SDM 3, 4.3", reserved_4m },
	{ "page-pse-36", "SDM 3, 4.3", page_size_36 },
	{ "page-protection", "SDM 3, 4.6.1", protection_32 },
	{ "page-ring-1", "SDM 3, 5.11.3", ring_1_is_supervisor },
	{ "page-combined", "SDM 3, 5.11.4", combined_32 },
	{ "page-accessed-dirty", "SDM 3, 4.8", accessed_dirty_32 },
	{ "page-global", "SDM 3, 4.10.2.4", global_pages },
	{ "page-flush", "SDM 3, 4.10.4.1", pse_and_pg_flush },
	{ "page-across", "SDM 3, 4.7", across_pages },
	{ "page-linear-wrap", "SDM 3, 3.3", linear_wrap },
	{ "pae-4k", "SDM 3, 4.4.2", pae_4k },
	{ "pae-2m", "SDM 3, 4.4.2", pae_2m },
	{ "pae-reserved", "SDM 3, 4.7", pae_reserved },
	{ "pae-no-execute", "SDM 3, 5.13", pae_no_execute },
	{ "pae-pointers", "SDM 3, 4.4.1", pae_pointers },
	{ "pae-pointers-reserved", "SDM 3, 4.4.1", pae_pointers_reserved },
	{ "pae-protection", "SDM 3, 4.6.1", pae_protection },
	{ "pae-and-back", "SDM 3, 4.1.2", pae_and_back },
	{ "control-register-faults", "SDM 2, MOV CR", control_register_faults },
	{ "page-double-fault", "SDM 3, 6.15", double_page_fault },
	{ "page-task-cr3", "SDM 3, 7.5", task_switch_loads_cr3 },
	{ "page-v86", "SDM 3, 20.2.3", v86_pages },
};
CHECK_GROUP(page_group, "paging", checks);
