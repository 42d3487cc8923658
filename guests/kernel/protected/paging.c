#include "paging.h"
#include "check.h"

enum { PSE_ENTRIES = 1024, PAE_ENTRIES = 512 };
enum { RWU = PTE_P | PTE_W | PTE_U };

static uint32_t directory[PSE_ENTRIES] __attribute__((aligned(4096)));
static uint32_t table[PSE_ENTRIES] __attribute__((aligned(4096)));
static uint64_t pdpt[4] __attribute__((aligned(32)));
static uint64_t directories[4][PAE_ENTRIES] __attribute__((aligned(4096)));
static uint64_t pae_table[PAE_ENTRIES] __attribute__((aligned(4096)));
/* Aligned by hand: an aligned section would move the image in the file. */
static uint8_t large_room[8 << 20];

uint8_t *large_page(void)
{
	return (uint8_t *)(((uintptr_t)large_room + (4 << 20) - 1) & -(4u << 20));
}

uint32_t *pde_32(void) { return &directory[WINDOW >> 22]; }
uint32_t *pte_32(unsigned page) { return &table[page]; }
uint64_t *pdpte_pae(void) { return &pdpt[WINDOW >> 30]; }
uint64_t *pde_pae(void) { return &directories[WINDOW >> 30][WINDOW >> 21 & (PAE_ENTRIES - 1)]; }
uint64_t *pte_pae(unsigned page) { return &pae_table[page]; }

void paging_off(void)
{
	write_cr0(read_cr0() & ~(CR0_PG | CR0_WP));
}

void paging_on_32(uint32_t window_bits)
{
	paging_off();
	for (uint32_t i = 0; i < PSE_ENTRIES; i++)
		directory[i] = i << 22 | RWU | PTE_PS;
	memset(table, 0, sizeof table);
	for (unsigned i = 0; i < SCRATCH_PAGES; i++)
		table[i] = (uintptr_t)scratch[i] | window_bits;
	*pde_32() = (uintptr_t)table | RWU;
	write_cr4((read_cr4() & ~CR4_PAE) | CR4_PSE);
	write_cr3((uintptr_t)directory);
	write_cr0(read_cr0() | CR0_PG | CR0_WP);
}

void paging_on_pae(uint32_t window_bits)
{
	paging_off();
	for (uint64_t gb = 0; gb < 4; gb++) {
		pdpt[gb] = (uintptr_t)directories[gb] | PTE_P;
		for (uint64_t i = 0; i < PAE_ENTRIES; i++)
			directories[gb][i] = gb << 30 | i << 21 | RWU | PTE_PS;
	}
	memset(pae_table, 0, sizeof pae_table);
	for (unsigned i = 0; i < SCRATCH_PAGES; i++)
		pae_table[i] = (uintptr_t)scratch[i] | window_bits;
	*pde_pae() = (uintptr_t)pae_table | RWU;
	write_cr4(read_cr4() | CR4_PAE);
	write_cr3((uintptr_t)pdpt);
	write_cr0(read_cr0() | CR0_PG | CR0_WP);
}
