/*
 * The trap handler. An armed probe names the trap it expects and the address
 * to recover at; the handler compares and goes there. A trap that nobody
 * armed for is the end: register dump, power off with status 2.
 */
#include "traps.h"
#include "paging.h"
#include "power.h"
#include "print.h"
#include "selectors.h"

#define DR6_RESET 0xffff0ff0

struct trap last_trap;
bool (*trap_hook)(struct trap_frame *frame);
uint64_t probe_result;
struct user_entry user_entry;

/* RSP to recover with; 0 when no probe is armed. Set in trap_entry.S. */
uint64_t probe_stack;
extern char probe_recover[];
uint64_t probe_enter(const char *routine, uint64_t a, uint64_t b, uint64_t c);

static struct {
	struct expectation expected;
	const char *routine;
	bool trapped;
} armed;

const char *trap_name(uint64_t vector)
{
	static const char *const names[] = {
		"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "vector 9", "#TS", "#NP", "#SS", "#GP", "#PF",
		"vector 15", "#MF", "#AC", "#MC", "#XM", "#VE", "#CP",
	};
	return vector < sizeof names / sizeof names[0] ? names[vector] : "INT";
}

static void print_stack(uint64_t rsp)
{
	print("  stack");
	for (unsigned i = 0; i < 8; i++) {
		uint64_t at = rsp + i * 8;
		if (!paging_readable(at) || !paging_readable(at + 7)) {
			print(" (unreadable)");
			break;
		}
		print("%s%016lx", i == 4 ? "\n        " : " ", *(const uint64_t *)at);
	}
	print("\n");
}

void trap_print(const struct trap *trap)
{
	const struct trap_frame *f = &trap->frame;
	print_colour(BAD);
	print("trap %s", trap_name(f->vector));
	print_colour(PLAIN);
	print(" (vector %lu), error code %04lx, from ring %lu\n", f->vector, f->error, f->cs & 3);
	print("  rip %04lx:%016lx  rflags %016lx\n", f->cs, f->rip, f->rflags);
	print("  rsp %04lx:%016lx  cr2    %016lx\n", f->ss, f->rsp, trap->cr2);
	print("  rax %016lx  rbx %016lx  rcx %016lx  rdx %016lx\n", f->rax, f->rbx, f->rcx, f->rdx);
	print("  rsi %016lx  rdi %016lx  rbp %016lx  r8  %016lx\n", f->rsi, f->rdi, f->rbp, f->r8);
	print("  r9  %016lx  r10 %016lx  r11 %016lx  r12 %016lx\n", f->r9, f->r10, f->r11, f->r12);
	print("  r13 %016lx  r14 %016lx  r15 %016lx  dr6 %016lx\n", f->r13, f->r14, f->r15, trap->dr6);
	print_stack(f->rsp);
}

/* Called by common_trap; what it leaves in the frame is what IRETQ returns to. */
void trap_arrived(struct trap_frame *frame)
{
	last_trap = (struct trap){ *frame, read_cr2(), read_dr6(), (uint64_t)(frame + 1) };
	write_dr6(DR6_RESET);
	if (trap_hook && trap_hook(frame))
		return;
	if (!probe_stack) {
		print("\nunexpected ");
		trap_print(&last_trap);
		power_off(STATUS_TRAP);
	}
	armed.trapped = true;
	frame->rip = (uint64_t)probe_recover;
	frame->cs = KERNEL_CS;
	frame->rflags = RFLAGS_FIXED;
	frame->rsp = probe_stack;
	frame->ss = KERNEL_SS;
}

bool probe(const struct expectation *expected, const char *routine, uint64_t a, uint64_t b, uint64_t c)
{
	armed.expected = *expected;
	armed.routine = routine;
	armed.trapped = false;
	if (expected->rip == 0)
		armed.expected.rip = (uint64_t)routine;
	uint64_t result = probe_enter(routine, a, b, c);
	if (!armed.trapped) {
		probe_result = result;
		return expected->vector == NO_TRAP;
	}
	const struct expectation *e = &armed.expected;
	const struct trap_frame *f = &last_trap.frame;
	return f->vector == e->vector && f->error == e->error && (e->rip == ANY_RIP || f->rip == e->rip) &&
	       (e->vector != PF || last_trap.cr2 == e->cr2);
}

static void describe(char *text, size_t bytes, uint64_t vector, uint64_t error, uint64_t cr2, uint64_t rip)
{
	char number[16] = "", address[32] = "", place[32] = "";
	if (vector >= 32)
		format_text(number, sizeof number, " %lx", vector);
	if (vector == PF)
		format_text(address, sizeof address, " CR2=%lx", cr2);
	if (rip != ANY_RIP)
		format_text(place, sizeof place, " at %lx", rip);
	format_text(text, bytes, "%s%s(%lx)%s%s", trap_name(vector), number, error, address, place);
}

void probe_describe(char *text, size_t bytes)
{
	char expected[96] = "no trap", seen[96] = "no trap";
	const struct expectation *e = &armed.expected;
	const struct trap_frame *f = &last_trap.frame;
	if (e->vector != NO_TRAP)
		describe(expected, sizeof expected, e->vector, e->error, e->cr2, e->rip);
	if (armed.trapped)
		describe(seen, sizeof seen, f->vector, f->error, last_trap.cr2, f->rip);
	format_text(text, bytes, "expected %s, seen %s", expected, seen);
}
