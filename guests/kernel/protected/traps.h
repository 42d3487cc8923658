/* Traps of the 32-bit kernel, and the ways into outer rings and virtual-8086 mode. */
#ifndef TRAPS_H
#define TRAPS_H

#include "../probe.h"

/* As trap_entry.S leaves it on the stack; what follows eflags is there after a change of rings only, the last four from virtual-8086 mode. */
struct trap_frame {
	uint32_t gs, fs, es, ds, edi, esi, ebp, esp_pushed, ebx, edx, ecx, eax;
	uint32_t vector, error, eip, cs, eflags, esp, ss, v86_es, v86_ds, v86_fs, v86_gs;
};

struct trap {
	struct trap_frame frame;	/* esp and ss: those of the trapped code in any case */
	uint32_t cr0, cr2, cr3, dr6;
	uint16_t tr, ldtr;
	/* ESP when the CPU began to push, and its stack segment. */
	uint32_t stack;
	/* ESP with which a routine in ring 0 began. */
	uint32_t first_esp;
};

/* The latest trap, whether a hook or a probe took it. */
extern struct trap last_trap;
/* When set, sees every trap first; true: handled, return to frame. */
extern bool (*trap_hook)(struct trap_frame *frame);

/* With these registers enter_start begins an outer ring or virtual-8086 mode, by IRET. */
struct start {
	uint32_t ds, es, fs, gs, edi, esi, ebp, unused, ebx, edx, ecx, eax;
	uint32_t eip, cs, eflags, esp, ss, v86_es, v86_ds, v86_fs, v86_gs;
};
extern struct start start;
extern routine enter_start;

void trap_print(const struct trap *trap);

#endif
