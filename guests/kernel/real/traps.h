/* Traps of the real-mode kernel. */
#ifndef TRAPS_H
#define TRAPS_H

#include "../probe.h"

/* As entry.S fills it. ESP is where the processor pushed IP, CS and FLAGS. */
struct trap_frame {
	uint32_t eax, ecx, edx, ebx, esp, ebp, esi, edi;
	uint16_t ds, es, fs, gs, ss, vector, ip, cs, flags;
};

struct trap {
	struct trap_frame frame;
	uint32_t dr6;
	/* ESP with which a routine began. */
	uint32_t first_esp;
};

/* The latest trap, whether a hook or a probe took it. */
extern struct trap last_trap;
/* When set, sees every trap first; true: handled, return to frame, with its FLAGS. */
extern bool (*trap_hook)(struct trap_frame *frame);

/* The interrupt vector table as it is between checks. */
void vectors_init(void);

#endif
