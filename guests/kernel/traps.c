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
struct user_entry user_entry;

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
	if (!probe_armed()) {
		print("\nunexpected ");
		trap_print(&last_trap);
		power_off(STATUS_TRAP);
	}
	probe_trapped((unsigned)frame->vector, frame->error, last_trap.cr2, frame->rip);
	frame->rip = (uint64_t)probe_recover;
	frame->cs = KERNEL_CS;
	frame->rflags = RFLAGS_FIXED;
	frame->rsp = probe_stack;
	frame->ss = KERNEL_SS;
}
