/*
 * The trap handler. A running probe ends with the trap and its registers in
 * last_trap, whatever task, ring or mode it came from; without one a trap is
 * the end: registers, power off with status 2.
 */
#include "traps.h"
#include "../power.h"
#include "../print.h"
#include "tables.h"

#define DR6_RESET 0xffff0ff0

struct trap last_trap;
bool (*trap_hook)(struct trap_frame *frame);
struct start start;

_Noreturn void trap_recover(void);

void trap_print(const struct trap *trap)
{
	const struct trap_frame *f = &trap->frame;
	print_colour(BAD);
	print("trap %s", trap_name(f->vector));
	print_colour(PLAIN);
	print(" (vector %u), error code %04x, tr %04x\n", f->vector, f->error, trap->tr);
	print("  eip %04x:%08x  eflags %08x  esp %04x:%08x\n", f->cs, f->eip, f->eflags, f->ss, f->esp);
	print("  eax %08x  ebx %08x  ecx %08x  edx %08x\n", f->eax, f->ebx, f->ecx, f->edx);
	print("  esi %08x  edi %08x  ebp %08x\n", f->esi, f->edi, f->ebp);
	print("  ds %04x  es %04x  fs %04x  gs %04x\n", f->ds, f->es, f->fs, f->gs);
	print("  cr0 %08x  cr2 %08x  cr3 %08x  dr6 %08x\n", trap->cr0, trap->cr2, trap->cr3, trap->dr6);
}

static void note(const struct trap_frame *frame)
{
	struct trap *t = &last_trap;
	const bool outer = frame->eflags & RFLAGS_VM || frame->cs & 3, v86 = frame->eflags & RFLAGS_VM;
	size_t bytes = v86 ? sizeof *frame : outer ? offsetof(struct trap_frame, v86_es) : offsetof(struct trap_frame, esp);
	memset(t, 0, sizeof *t);
	memcpy(&t->frame, frame, bytes);
	struct trap_frame *f = &t->frame;
	f->gs &= 0xffff, f->fs &= 0xffff, f->es &= 0xffff, f->ds &= 0xffff, f->cs &= 0xffff, f->ss &= 0xffff;
	t->stack = (uintptr_t)frame + bytes;
	if (!outer) {
		f->esp = t->stack;
		asm("movw %%ss, %w0" : "=r"(f->ss));
	}
	t->first_esp = probe_stack - 4;	/* the call's return address */
	t->cr0 = read_cr0();
	t->cr2 = read_cr2();
	t->cr3 = read_cr3();
	t->dr6 = read_dr6();
	asm("str %0\n\tsldt %1" : "=m"(t->tr), "=m"(t->ldtr));
	write_dr6(DR6_RESET);
}

/* Called by common_trap; what it leaves in the frame is what IRET returns to. */
void trap_arrived(struct trap_frame *frame)
{
	note(frame);
	if (trap_hook && trap_hook(frame))
		return;
	if (!probe_armed()) {
		print("\nunexpected ");
		trap_print(&last_trap);
		power_off(STATUS_TRAP);
	}
	probe_trapped(frame->vector, frame->error, last_trap.cr2, frame->eip);
	if (last_trap.tr != MAIN_TSS) {
		main_task_reload();
		asm volatile("lldt %w0" :: "r"(0));
	}
	asm volatile("clts");
	trap_recover();
}
