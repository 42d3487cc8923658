/*
 * Page tables. The low 4 GB are mapped one to one for ring 0. User code has
 * its own place (USER_BASE), and a window is free for the checks to map what
 * they like; window_clear takes all of that back.
 */
#ifndef PAGING_H
#define PAGING_H

#include "cpu.h"

#define PTE_P (1ul << 0)
#define PTE_W (1ul << 1)
#define PTE_U (1ul << 2)
#define PTE_A (1ul << 5)
#define PTE_D (1ul << 6)
#define PTE_PS (1ul << 7)
#define PTE_G (1ul << 8)
#define PTE_NX (1ul << 63)

/* Page-fault error code bits. */
#define PFEC_P 1
#define PFEC_W 2
#define PFEC_U 4
#define PFEC_RSVD 8
#define PFEC_I 16

#define WINDOW 0x0000008000000000ul	/* PML4 entry 1 */
#define USER_BASE 0x0000010000000000ul	/* PML4 entry 2 */
#define USER_STACK_TOP (USER_BASE + 0x200000)
/* The same pages below 4 GB, for compatibility mode: code, and at the end of 2 MB the stack. */
#define COMPATIBILITY_BASE 0xc0000000ul
#define COMPATIBILITY_STACK_TOP (COMPATIBILITY_BASE + 0x200000)
#define NONCANONICAL 0x0000800000000000ul

/* The level of a table entry, which also says how large a page it maps. */
enum level { PTE = 1, PDE, PDPTE, PML4E };

void paging_init(void);
/* Maps one page of the level's size; tables on the way allow everything. */
void map(uint64_t address, uint64_t physical, uint64_t bits, enum level level);
/* The entry of that level for the address, whose upper entries must be present. */
uint64_t *entry(uint64_t address, enum level level);
void window_clear(void);
/* True when ring 0 can read the byte, by the tables. */
bool paging_readable(uint64_t address);
/* Where ring 3 finds a routine of section .user. */
uint64_t user_address(const char *routine);
uint64_t compatibility_address(const char *routine);

/* Physical memory for checks: pages, and a naturally aligned 2 MB. */
enum { SCRATCH_PAGES = 16 };
extern uint8_t scratch[SCRATCH_PAGES][PAGE_BYTES];
extern uint8_t *scratch_large;

#endif
