/*
 * Page tables of the 32-bit kernel, for the checks of paging: 32-bit and PAE.
 * The low 4 GB are mapped one to one for ring 0 except at WINDOW.
 */
#ifndef PAGING_H
#define PAGING_H

#include "../cpu.h"

#define PTE_P (1u << 0)
#define PTE_W (1u << 1)
#define PTE_U (1u << 2)
#define PTE_A (1u << 5)
#define PTE_D (1u << 6)
#define PTE_PS (1u << 7)
#define PTE_G (1u << 8)
#define PTE_NX (1ull << 63)

/* Page-fault error code bits. */
enum { PFEC_P = 1, PFEC_W = 2, PFEC_U = 4, PFEC_RSVD = 8, PFEC_I = 16 };

/* 4 MB that a check maps as it likes: by a page table, with its first pages at scratch[0] and on, or as large pages. */
#define WINDOW 0x40000000u

/* Turn paging on, the window mapped by the table, for ring 0 or (user) for all rings; everything else is for all rings. */
void paging_on_32(uint32_t window_bits);
void paging_on_pae(uint32_t window_bits);
void paging_off(void);

/* Entries of the window; those of 32-bit paging have 32 bits. */
uint32_t *pde_32(void);
uint32_t *pte_32(unsigned page);
uint64_t *pdpte_pae(void);
uint64_t *pde_pae(void);
uint64_t *pte_pae(unsigned page);

/* Naturally aligned 4 MB of physical memory. */
uint8_t *large_page(void);

#endif
