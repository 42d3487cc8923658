/*
 * Probes: pieces of machine code that provoke a trap on purpose, or must not,
 * and what is said about the one that came. What a trap looks like and how to
 * come back from it is each kernel's own business.
 */
#ifndef PROBE_H
#define PROBE_H

#include "cpu.h"

enum vector {
	DE = 0, DB = 1, BP = 3, OF = 4, BR = 5, UD = 6, NM = 7, DF = 8, TS = 10, NP = 11, SS = 12, GP = 13, PF = 14, MF = 16,
	AC = 17, XM = 19,
	NO_TRAP = 256,
};

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
bool probe(const struct expectation *expected, const char *routine, uintptr_t a, uintptr_t b, uintptr_t c);
extern unsigned long probe_result;
/* Says in words what the latest probe expected and what it saw. */
void probe_describe(char *text, size_t bytes);

/* For the kernel's trap handler: whether a probe is running, and the trap that ended it. */
bool probe_armed(void);
void probe_trapped(unsigned vector, uint64_t error, uint64_t cr2, uint64_t rip);
/* In each kernel's trap_entry.S: calls the routine; the handler comes back from a trap at probe_recover with this stack pointer. */
unsigned long probe_enter(const char *routine, uintptr_t a, uintptr_t b, uintptr_t c);
extern unsigned long probe_stack;
extern const char probe_recover[];

/* Vector's name as in the manuals, or "INT". */
const char *trap_name(uint64_t vector);

#endif
