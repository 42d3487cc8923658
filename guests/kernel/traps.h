/*
 * Traps: exceptions and interrupts, as trap_entry.S leaves them on the stack,
 * and probes, which provoke one on purpose and say whether it was the one.
 */
#ifndef TRAPS_H
#define TRAPS_H

#include "cpu.h"

enum vector {
	DE = 0, DB = 1, BP = 3, UD = 6, NM = 7, DF = 8, TS = 10, NP = 11, SS = 12, GP = 13, PF = 14, AC = 17,
	NO_TRAP = 256,
};

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

/*
 * What a probe must run into. rip 0 stands for the routine's first instruction
 * (that is where most routines fault), ANY_RIP for any; cr2 counts for #PF.
 */
struct expectation {
	unsigned vector;
	uint64_t error, cr2, rip;
};
#define ANY_RIP 1

/* Machine code in a check, called with up to three arguments. */
typedef const char routine[];

/*
 * Calls a routine in ring 0. True when it met the expectation: the trap, or
 * with NO_TRAP its normal return, with RAX then in probe_result.
 */
bool probe(const struct expectation *expected, const char *routine, uint64_t a, uint64_t b, uint64_t c);
extern uint64_t probe_result;
/* Says in words what the latest probe expected and what it saw. */
void probe_describe(char *text, size_t bytes);

/* Registers with which enter_user_* start ring 3. */
struct user_entry {
	uint64_t rip, rsp, rflags, rdi, rsi;
};
extern struct user_entry user_entry;
extern routine enter_user_iretq, enter_user_sysretq, enter_user_sysexit, enter_user_lretq;

/* Vector's name as in the manuals, or "INT". */
const char *trap_name(uint64_t vector);
void trap_print(const struct trap *trap);

#endif
