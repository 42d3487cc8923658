/* Four-level page tables (SDM vol. 3, 4.5). */
#include "paging.h"

enum { POOL_PAGES = 32, ENTRIES = 512 };
#define ADDRESS_BITS 0x000ffffffffff000ul

static uint64_t pml4[ENTRIES] __attribute__((aligned(4096)));
static uint64_t low_pdpt[ENTRIES] __attribute__((aligned(4096)));
static uint64_t low_directories[4][ENTRIES] __attribute__((aligned(4096)));
static uint64_t pool[POOL_PAGES][ENTRIES] __attribute__((aligned(4096)));
static unsigned pool_used, pool_kept;
static uint64_t compatibility_table[ENTRIES] __attribute__((aligned(4096)));
static uint8_t user_stack[PAGE_BYTES] __attribute__((aligned(4096)));

uint8_t scratch[SCRATCH_PAGES][PAGE_BYTES] __attribute__((aligned(4096)));
uint8_t *scratch_large;
/* Aligned by hand: a 2 MB aligned section would move the image 1 MB into the file. */
static uint8_t scratch_large_room[4 << 20];
extern char user_begin[], user_end[];

static unsigned index_of(uint64_t address, enum level level)
{
	return address >> (3 + 9 * level) & (ENTRIES - 1);
}

static uint64_t *table_of(uint64_t entry)
{
	return (uint64_t *)(entry & ADDRESS_BITS);
}

uint64_t *entry(uint64_t address, enum level level)
{
	uint64_t *table = pml4;
	for (enum level l = PML4E; l > level; l--)
		table = table_of(table[index_of(address, l)]);
	return &table[index_of(address, level)];
}

void map(uint64_t address, uint64_t physical, uint64_t bits, enum level level)
{
	for (enum level l = PML4E; l > level; l--) {
		uint64_t *e = entry(address, l);
		if (!(*e & PTE_P))
			*e = (uint64_t)pool[pool_used++] | PTE_P | PTE_W | PTE_U;
	}
	*entry(address, level) = physical | bits | (level > PTE ? PTE_PS : 0);
	invlpg(address);
}

void window_clear(void)
{
	pml4[index_of(WINDOW, PML4E)] = 0;
	memset(pool[pool_kept], 0, (pool_used - pool_kept) * PAGE_BYTES);
	pool_used = pool_kept;
	/* Off and on again: entries with G=1 go too. */
	write_cr4(read_cr4() ^ CR4_PGE);
	write_cr4(read_cr4() ^ CR4_PGE);
	write_cr3((uint64_t)pml4);
}

bool paging_readable(uint64_t address)
{
	if ((int64_t)(address << 16) >> 16 != (int64_t)address)
		return false;
	uint64_t *table = pml4;
	for (enum level l = PML4E; l >= PTE; l--) {
		uint64_t e = table[index_of(address, l)];
		if (!(e & PTE_P))
			return false;
		if (l == PTE || (l < PML4E && e & PTE_PS))
			return true;
		table = table_of(e);
	}
	return false;
}

uint64_t user_address(const char *routine)
{
	return USER_BASE + (uint64_t)(routine - user_begin);
}

uint64_t compatibility_address(const char *routine)
{
	return COMPATIBILITY_BASE + (uint64_t)(routine - user_begin);
}

/* In the place of 2 MB of the low 4 GB. */
static void compatibility_init(void)
{
	const uint64_t bits = PTE_P | PTE_W | PTE_U;
	for (uint64_t at = 0; at < (uint64_t)(user_end - user_begin); at += PAGE_BYTES)
		compatibility_table[at / PAGE_BYTES] = ((uint64_t)user_begin + at) | bits;
	compatibility_table[ENTRIES - 1] = (uint64_t)user_stack | bits;
	pml4[0] |= PTE_U;
	low_pdpt[index_of(COMPATIBILITY_BASE, PDPTE)] |= PTE_U;
	*entry(COMPATIBILITY_BASE, PDE) = (uint64_t)compatibility_table | bits;
}

void paging_init(void)
{
	pml4[0] = (uint64_t)low_pdpt | PTE_P | PTE_W;
	for (uint64_t gb = 0; gb < 4; gb++) {
		low_pdpt[gb] = (uint64_t)low_directories[gb] | PTE_P | PTE_W;
		for (uint64_t i = 0; i < ENTRIES; i++)
			low_directories[gb][i] = gb << 30 | i << 21 | PTE_P | PTE_W | PTE_PS;
	}
	compatibility_init();
	write_cr3((uint64_t)pml4);
	for (uint64_t at = 0; at < (uint64_t)(user_end - user_begin); at += PAGE_BYTES)
		map(USER_BASE + at, (uint64_t)user_begin + at, PTE_P | PTE_W | PTE_U, PTE);
	map(USER_STACK_TOP - PAGE_BYTES, (uint64_t)user_stack, PTE_P | PTE_W | PTE_U, PTE);
	pool_kept = pool_used;
	scratch_large = (uint8_t *)(((uint64_t)scratch_large_room + (2 << 20) - 1) & -(2ul << 20));
}
