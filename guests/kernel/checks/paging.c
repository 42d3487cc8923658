/* Mapping and the A and D bits (SDM vol. 3, 4.5 and 4.8; APM vol. 2, 5.4). */
#include "check.h"
#include "../identity.h"

#define RW (PTE_P | PTE_W)

ROUTINE(return_77, "movl $77, %eax\n\tret");

/* A page of code that returns `value`: movl $value, %eax; ret. */
static void write_code(void *page, uint32_t value)
{
	uint8_t *code = page;
	code[0] = 0xb8;
	memcpy(code + 1, &value, 4);
	code[5] = 0xc3;
}

static void map_4k(void)
{
	map(WINDOW, (uint64_t)scratch[0], RW, PTE);
	*(volatile uint64_t *)scratch[0] = 0x1122334455667788;
	RUN("read", RETURNS, load64, WINDOW, 0);
	EXPECT("read through the mapping", 0x1122334455667788, probe_result);
	RUN("write", RETURNS, store64, WINDOW + 4088, 0xabcd);
	EXPECT("written through the mapping", 0xabcd, *(volatile uint64_t *)(scratch[0] + 4088));
	write_code(scratch[0], 42);
	RUN("execute", RETURNS, call_to, WINDOW, 0);
	EXPECT("value returned by mapped code", 42, probe_result);
}

static void map_2m(void)
{
	map(WINDOW + (2ul << 20), (uint64_t)scratch_large, RW, PDE);
	RUN("write the last word", RETURNS, store64, WINDOW + (4ul << 20) - 8, 0x5a5a);
	EXPECT("last word of the page", 0x5a5a, *(volatile uint64_t *)(scratch_large + (2 << 20) - 8));
	write_code(scratch_large + 0x12340, 43);
	RUN("execute", RETURNS, call_to, WINDOW + (2ul << 20) + 0x12340, 0);
	EXPECT("value returned by mapped code", 43, probe_result);
}

static void map_1g(void)
{
	REQUIRE(has_1gb_pages(), "CPUID has no 1 GB pages");
	map(WINDOW + (1ul << 30), 0, RW, PDPTE);
	uint64_t alias = WINDOW + (1ul << 30) + (uint64_t)scratch[1];
	RUN("write", RETURNS, store64, alias, 0x6b6b);
	EXPECT("word written through a 1 GB page", 0x6b6b, *(volatile uint64_t *)scratch[1]);
	RUN("execute", RETURNS, call_to, WINDOW + (1ul << 30) + (uint64_t)return_77, 0);
	EXPECT("value returned by mapped code", 77, probe_result);
}

static void accessed_by_read(void)
{
	map(WINDOW, (uint64_t)scratch[0], RW, PTE);
	map(WINDOW + PAGE_BYTES, (uint64_t)scratch[1], RW, PTE);
	RUN("read", RETURNS, load8, WINDOW, 0);
	EXPECT("A and D of the page read", PTE_A, *entry(WINDOW, PTE) & (PTE_A | PTE_D));
	EXPECT("A of its PDE", PTE_A, *entry(WINDOW, PDE) & PTE_A);
	EXPECT("A of its PDPTE", PTE_A, *entry(WINDOW, PDPTE) & PTE_A);
	EXPECT("A of its PML4E", PTE_A, *entry(WINDOW, PML4E) & PTE_A);
	EXPECT("D of entries that map no page", 0, *entry(WINDOW, PDE) & PTE_D);
	EXPECT("A and D of the page beside it", 0, *entry(WINDOW + PAGE_BYTES, PTE) & (PTE_A | PTE_D));
}

static void dirty_by_write(void)
{
	map(WINDOW, (uint64_t)scratch[0], RW, PTE);
	RUN("read", RETURNS, load8, WINDOW, 0);
	RUN("write after a read", RETURNS, store8, WINDOW, 1);
	EXPECT("A and D after the write", PTE_A | PTE_D, *entry(WINDOW, PTE) & (PTE_A | PTE_D));
	map(WINDOW + (2ul << 20), (uint64_t)scratch_large, RW, PDE);
	RUN("write a 2 MB page", RETURNS, store8, WINDOW + (2ul << 20), 1);
	EXPECT("A and D of the PDE", PTE_A | PTE_D, *entry(WINDOW + (2ul << 20), PDE) & (PTE_A | PTE_D));
}

static void accessed_by_fetch(void)
{
	write_code(scratch[0], 1);
	map(WINDOW, (uint64_t)scratch[0], RW, PTE);
	RUN("execute", RETURNS, call_to, WINDOW, 0);
	EXPECT("A and D after a fetch", PTE_A, *entry(WINDOW, PTE) & (PTE_A | PTE_D));
}

static void clear_and_set_again(void)
{
	map(WINDOW, (uint64_t)scratch[0], RW, PTE);
	RUN("write", RETURNS, store8, WINDOW, 1);
	*entry(WINDOW, PTE) &= ~(PTE_A | PTE_D);
	invlpg(WINDOW);
	RUN("read", RETURNS, load8, WINDOW, 0);
	EXPECT("A and D after clearing, INVLPG, a read", PTE_A, *entry(WINDOW, PTE) & (PTE_A | PTE_D));
	RUN("write", RETURNS, store8, WINDOW, 1);
	EXPECT("A and D after a write", PTE_A | PTE_D, *entry(WINDOW, PTE) & (PTE_A | PTE_D));
}

static void no_dirty_on_fault(void)
{
	map(WINDOW, (uint64_t)scratch[0], PTE_P, PTE);
	RUN("write to a read-only page", PF_(PFEC_P | PFEC_W, WINDOW), store8, WINDOW, 1);
	EXPECT("D after the fault", 0, *entry(WINDOW, PTE) & PTE_D);
}

/* CMPXCHG writes in any case, so a comparison that fails makes the page dirty too. */
ROUTINE(cmpxchg_fails, "movl $1, %eax\n\tlock cmpxchgl %esi, (%rdi)\n\tret");
static void dirty_by_cmpxchg(void)
{
	*(volatile uint32_t *)scratch[0] = 5;
	map(WINDOW, (uint64_t)scratch[0], RW, PTE);
	RUN("LOCK CMPXCHG", RETURNS, cmpxchg_fails, WINDOW, 9);
	EXPECT("D after a CMPXCHG that did not match", PTE_D, *entry(WINDOW, PTE) & PTE_D);
	EXPECT("memory", 5, *(volatile uint32_t *)scratch[0]);
}

static void invlpg_effect(void)
{
	scratch[0][0] = 10;
	scratch[1][0] = 11;
	map(WINDOW, (uint64_t)scratch[0], RW, PTE);
	RUN("read", RETURNS, load8, WINDOW, 0);
	*entry(WINDOW, PTE) = (uint64_t)scratch[1] | RW;
	invlpg(WINDOW);
	RUN("read after INVLPG", RETURNS, load8, WINDOW, 0);
	EXPECT("byte of the new page", 11, probe_result);
	*entry(WINDOW, PTE) = 0;
	invlpg(WINDOW);
	RUN("read after removal", PF_(0, WINDOW), load8, WINDOW, 0);
}

static void invlpg_large(void)
{
	map(WINDOW, (uint64_t)scratch_large, RW, PDE);
	RUN("read", RETURNS, load8, WINDOW + 0x100000, 0);
	RUN("read", RETURNS, load8, WINDOW + 0x1000, 0);
	*entry(WINDOW, PDE) = 0;
	invlpg(WINDOW + 0x5000);
	RUN("one end of the page", PF_(0, WINDOW + 0x100000), load8, WINDOW + 0x100000, 0);
	RUN("other end of the page", PF_(0, WINDOW + 0x1000), load8, WINDOW + 0x1000, 0);
}

static void cr3_flushes(void)
{
	scratch[1][0] = 21;
	map(WINDOW, (uint64_t)scratch[0], RW, PTE);
	RUN("read", RETURNS, load8, WINDOW, 0);
	*entry(WINDOW, PTE) = (uint64_t)scratch[1] | RW;
	write_cr3(read_cr3());
	RUN("read", RETURNS, load8, WINDOW, 0);
	EXPECT("byte of the new page", 21, probe_result);
}

static void pge_flushes_global(void)
{
	scratch[1][0] = 22;
	write_cr4(read_cr4() | CR4_PGE);
	map(WINDOW, (uint64_t)scratch[0], RW | PTE_G, PTE);
	RUN("read", RETURNS, load8, WINDOW, 0);
	*entry(WINDOW, PTE) = (uint64_t)scratch[1] | RW | PTE_G;
	write_cr4(read_cr4() & ~CR4_PGE);
	RUN("read", RETURNS, load8, WINDOW, 0);
	EXPECT("byte of the new page", 22, probe_result);
}

/* The same page twice: what is written through one shows through the other. */
static void two_mappings(void)
{
	map(WINDOW, (uint64_t)scratch[0], RW, PTE);
	map(WINDOW + 5 * PAGE_BYTES, (uint64_t)scratch[0], RW, PTE);
	for (uint64_t i = 0; i < 64; i++) {
		*(volatile uint64_t *)(WINDOW + i * 8) = i * i;
		EXPECT("word through the other mapping", i * i, *(volatile uint64_t *)(WINDOW + 5 * PAGE_BYTES + i * 8));
	}
}

static void pages_not_in_order(void)
{
	map(WINDOW, (uint64_t)scratch[3], RW, PTE);
	map(WINDOW + PAGE_BYTES, (uint64_t)scratch[1], RW, PTE);
	for (uint64_t at = PAGE_BYTES - 7; at < PAGE_BYTES; at++) {
		RUN("write across pages", RETURNS, store64, WINDOW + at, 0x0807060504030201);
		RUN("read across pages", RETURNS, load64, WINDOW + at, 0);
		EXPECT("word across pages", 0x0807060504030201, probe_result);
		EXPECT("last byte, on the second page", 8, scratch[1][at + 7 - PAGE_BYTES]);
		EXPECT("first byte, on the first page", 1, scratch[3][at]);
	}
}

static const struct check checks[] = {
	{ "page-4k", "SDM 3, 4.5", map_4k },
	{ "page-2m", "SDM 3, 4.5", map_2m },
	{ "page-1g", "SDM 3, 4.5", map_1g },
	{ "accessed-by-read", "SDM 3, 4.8", accessed_by_read },
	{ "accessed-by-fetch", "SDM 3, 4.8", accessed_by_fetch },
	{ "dirty-by-write", "SDM 3, 4.8", dirty_by_write },
	{ "dirty-by-cmpxchg", "SDM 2, CMPXCHG", dirty_by_cmpxchg },
	{ "dirty-cleared-and-set", "SDM 3, 4.8", clear_and_set_again },
	{ "dirty-not-on-fault", "SDM 3, 4.8", no_dirty_on_fault },
	{ "invlpg", "SDM 3, 4.10.4.1", invlpg_effect },
	{ "invlpg-2m", "SDM 3, 4.10.4.1", invlpg_large },
	{ "cr3-flushes", "SDM 3, 4.10.4.1", cr3_flushes },
	{ "pge-flushes-global", "SDM 3, 4.10.4.1", pge_flushes_global },
	{ "two-mappings", "SDM 3, 4.10", two_mappings },
	{ "access-across-pages", "SDM 3, 4.5", pages_not_in_order },
};
CHECK_GROUP(paging_group, "paging: mappings, accessed and dirty bits", checks);
