/* The checks of the 64-bit kernel. */
#ifndef CHECK_H
#define CHECK_H

#include "../checking.h"
#include "../paging.h"
#include "../selectors.h"
#include "../traps.h"

extern const struct check_group paging_group, protection_group, exception_group, debug_group, ring_group, system_call_group,
	self_modifying_group, string_group, arithmetic_group, atomic_group, extension_group, descriptor_group,
	float_group, compatibility_group;

/* Machine code in section .user, for ring 3. */
#define USER_ROUTINE(name, code) \
	asm(".pushsection .user,\"awx\"\n.balign 16\n" #name ":\n\t" code "\n\t.popsection"); \
	extern routine name

/* Runs a routine in ring 3, entered through IRETQ with the usual stack. */
#define RUN_USER(what, expectation, routine, a, b) \
	MEETS(what, run_user(expectation, routine, (uint64_t)(a), (uint64_t)(b), RFLAGS_FIXED))
bool run_user(const struct expectation *expected, const char *routine, uint64_t a, uint64_t b, uint64_t rflags);

/* Routines that many checks use; each faults at its first instruction. */
extern routine load8, load64, store8, store64, call_to;

#endif
