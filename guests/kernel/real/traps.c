/* The trap handler, and the interrupt vector table (SDM vol. 3, 20.1.4). */
#include "traps.h"
#include "../power.h"
#include "../print.h"
#include "far.h"
#include "layout.h"

#define DR6_RESET 0xffff0ff0
enum { TRAP_STUB_BYTES = 8 };
enum { PIC1_MASK = 0x21, PIC2_MASK = 0xa1 };

extern const char trap_stubs[];
_Noreturn void trap_recover(void);

struct trap_frame trap_frame;
struct trap last_trap;
bool (*trap_hook)(struct trap_frame *frame);

void vectors_init(void)
{
	struct __attribute__((packed)) {
		uint16_t limit;
		uint32_t base;
	} idtr = { 0x3ff, 0 };
	for (unsigned vector = 0; vector < 256; vector++)
		vector_set(vector, REAL_SEGMENT, (uint16_t)((uintptr_t)trap_stubs + vector * TRAP_STUB_BYTES));
	asm volatile("lidtl %0" :: "m"(idtr));
	out8(PIC1_MASK, 0xff);
	out8(PIC2_MASK, 0xff);
}

static void trap_print(void)
{
	const struct trap_frame *f = &trap_frame;
	print("trap %s (vector %u)\n", trap_name(f->vector), f->vector);
	print("  ip %04x:%04x  flags %04x  esp %04x:%08x\n", f->cs, f->ip, f->flags, f->ss, f->esp);
	print("  eax %08x  ebx %08x  ecx %08x  edx %08x\n", f->eax, f->ebx, f->ecx, f->edx);
	print("  esi %08x  edi %08x  ebp %08x  ds %04x  es %04x\n", f->esi, f->edi, f->ebp, f->ds, f->es);
}

/* Called by common_trap; returns to go on where the trap came from. */
void trap_arrived(void)
{
	last_trap = (struct trap){ trap_frame, read_dr6(), probe_stack - 4 };
	write_dr6(DR6_RESET);
	if (trap_hook && trap_hook(&trap_frame))
		return;
	if (!probe_armed()) {
		print("\nunexpected ");
		trap_print();
		power_off(STATUS_TRAP);
	}
	probe_trapped(trap_frame.vector, 0, 0, trap_frame.ip);
	trap_recover();
}
