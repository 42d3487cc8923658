/* What a probe expects, what it saw, and both in words. */
#include "probe.h"
#include "print.h"

unsigned long probe_result;
/* Stack pointer to recover with; 0 when no probe is armed. Set in trap_entry.S. */
unsigned long probe_stack;

static struct expectation armed, seen;

const char *trap_name(uint64_t vector)
{
	static const char *const names[] = {
		"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "vector 9", "#TS", "#NP", "#SS", "#GP", "#PF",
		"vector 15", "#MF", "#AC", "#MC", "#XM", "#VE", "#CP",
	};
	return vector < sizeof names / sizeof names[0] ? names[vector] : "INT";
}

bool probe_armed(void)
{
	return probe_stack != 0;
}

void probe_trapped(unsigned vector, uint64_t error, uint64_t cr2, uint64_t rip)
{
	seen = (struct expectation){ vector, error, cr2, rip };
}

bool probe(const struct expectation *expected, const char *routine, uintptr_t a, uintptr_t b, uintptr_t c)
{
	armed = *expected;
	if (armed.rip == 0)
		armed.rip = (uintptr_t)routine;
	seen.vector = NO_TRAP;
	unsigned long result = probe_enter(routine, a, b, c);
	if (seen.vector == NO_TRAP)
		probe_result = result;
	if (seen.vector != armed.vector || armed.vector == NO_TRAP)
		return seen.vector == armed.vector;
	return seen.error == armed.error && (armed.rip == ANY_RIP || seen.rip == armed.rip) &&
	       (armed.vector != PF || seen.cr2 == armed.cr2);
}

static void describe(char *text, size_t bytes, const struct expectation *e)
{
	char number[16] = "", address[32] = "", place[32] = "";
	if (e->vector == NO_TRAP) {
		format_text(text, bytes, "no trap");
		return;
	}
	if (e->vector >= 32)
		format_text(number, sizeof number, " %x", e->vector);
	if (e->vector == PF)
		format_text(address, sizeof address, " CR2=%lx", e->cr2);
	if (e->rip != ANY_RIP)
		format_text(place, sizeof place, " at %lx", e->rip);
	format_text(text, bytes, "%s%s(%lx)%s%s", trap_name(e->vector), number, e->error, address, place);
}

void probe_describe(char *text, size_t bytes)
{
	char expected[96], came[96];
	describe(expected, sizeof expected, &armed);
	describe(came, sizeof came, &seen);
	format_text(text, bytes, "expected %s, seen %s", expected, came);
}
