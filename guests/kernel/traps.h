/* Traps of the 64-bit kernel: exceptions and interrupts, as trap_entry.S leaves them on the stack, and the ways into ring 3. */
#ifndef TRAPS_H
#define TRAPS_H

#include "probe.h"

struct trap_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
	uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

struct trap {
	struct trap_frame frame;
	uint64_t cr2, dr6;
	uint64_t stack;		/* RSP when the CPU began to push */
};

/* The latest trap, whether a hook or a probe took it. */
extern struct trap last_trap;
/* When set, sees every trap first; true: handled, return to frame. */
extern bool (*trap_hook)(struct trap_frame *frame);

/* Registers with which enter_user_* start ring 3. */
struct user_entry {
	uint64_t rip, rsp, rflags, rdi, rsi, cs, ss;	/* cs and ss: by IRETQ */
};
extern struct user_entry user_entry;
extern routine enter_user_iretq, enter_user_sysretq, enter_user_sysexit, enter_user_lretq;

void trap_print(const struct trap *trap);

#endif
