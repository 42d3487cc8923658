/*
 * Descriptor tables of the 32-bit kernel (SDM vol. 3, 3.4.5, 6.11 and 7.2),
 * which checks change as they like: tables_init makes them anew.
 */
#ifndef TABLES_H
#define TABLES_H

#include "../cpu.h"
#include "layout.h"

/* Bits 47:40 of a descriptor: P, DPL, S and type. */
enum access {
	TSS16 = 0x81, LDT_TYPE = 0x82, TSS16_BUSY = 0x83, CALL16 = 0x84, TASK_GATE = 0x85, INT16 = 0x86, TRAP16 = 0x87,
	TSS32 = 0x89, TSS32_BUSY = 0x8b, CALL32 = 0x8c, INT32 = 0x8e, TRAP32 = 0x8f,
	DATA_R = 0x90, DATA_RW = 0x92, DATA_DOWN_R = 0x94, DATA_DOWN_RW = 0x96,
	CODE_X = 0x98, CODE_RX = 0x9a, CONFORMING_X = 0x9c, CONFORMING_RX = 0x9e,
	ACCESSED = 0x01, BUSY = 0x02, DPL1 = 0x20, DPL2 = 0x40, DPL3 = 0x60, PRESENT = 0x80,
};
/* Bits 55:52. */
enum flags { LONG = 2, BIG = 4, PAGES = 8, FLAT = BIG | PAGES };

extern uint64_t gdt[GDT_BYTES / 8], ldt[8], idt[256];

/* 32-bit TSS (SDM vol. 3, 7.2.1); the main one has an I/O permission bitmap. */
struct tss {
	uint32_t link, esp0, ss0, esp1, ss1, esp2, ss2, cr3, eip, eflags, eax, ecx, edx, ebx, esp, ebp, esi, edi;
	uint32_t es, cs, ss, ds, fs, gs, ldt;
	uint16_t trap, io_map_base;
};
enum { IO_MAP_BYTES = 128 };	/* ports below 0x400 */
extern struct main_tss {
	struct tss tss;
	uint8_t io_map[IO_MAP_BYTES];
	uint8_t io_map_end;
} main_tss;
/* Up to the last byte of the map; the structure may be longer. */
enum { MAIN_TSS_BYTES = offsetof(struct main_tss, io_map_end) + 1 };

/* 16-bit TSS (SDM vol. 3, 7.6). */
struct tss16 {
	uint16_t link, sp0, ss0, sp1, ss1, sp2, ss2, ip, flags, ax, cx, dx, bx, sp, bp, si, di, es, cs, ss, ds, ldt;
};

/* All tables as they are between checks, and loaded: GDTR, IDTR, LDTR, TR, segment registers. */
void tables_init(void);
/* TR of the main task again, from whatever task. */
void main_task_reload(void);

uint64_t segment(uint32_t base, uint32_t limit, unsigned access, unsigned flags);
uint64_t gate(uint16_t selector, uintptr_t offset, unsigned access, unsigned parameters);
/* Puts a descriptor into slot n; gives its selector, with RPL 0. */
uint16_t slot(unsigned n, uint64_t descriptor);
/* The access byte of a selector's descriptor. */
unsigned access_of(uint16_t selector);
/* IDTR with so many gates. */
void idt_load(unsigned gates);
uintptr_t esp0_top(void);
uintptr_t esp1_top(void);
/* The task that double faults have; fault_task gives it another exception as well, or instead of the last one. */
extern struct tss fault_tss;
void fault_task(unsigned vector);

#endif
