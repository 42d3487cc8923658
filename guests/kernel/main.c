/*
 * The kernel's course: tables, banner, self checks, workloads, power off or
 * the shell.
 */
#include "bench.h"
#include "checking.h"
#include "clock.h"
#include "descriptors.h"
#include "identity.h"
#include "multiboot.h"
#include "options.h"
#include "paging.h"
#include "power.h"
#include "print.h"
#include "serial.h"
#include "shell.h"
#include "units.h"

struct __attribute__((packed)) mmap_entry {
	uint32_t size;	/* of what follows */
	uint64_t base, length;
	uint32_t type;	/* 1: memory */
};

static uint64_t memory_bytes(const struct multiboot *info)
{
	uint64_t bytes = 0;
	if (info && info->flags & HAS_MMAP) {
		uint64_t at = info->mmap_addr, end = at + info->mmap_length;
		while (at < end) {
			const struct mmap_entry *e = (const struct mmap_entry *)at;
			if (e->type == 1)
				bytes += e->length;
			at += e->size + sizeof e->size;
		}
	} else if (info && info->flags & HAS_MEMORY) {
		bytes = ((uint64_t)info->mem_lower + info->mem_upper) * 1024;
	}
	return bytes;
}

/* The mode we rely on, whatever the loader left set beyond it. */
static void mode_init(void)
{
	write_cr0(CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE);
	write_cr4(CR4_PAE);
	write_msr(IA32_EFER, read_msr(IA32_EFER) | EFER_SCE | (has_nx() ? EFER_NXE : 0));
}

static void banner(const struct multiboot *info)
{
	static const char *const counters[] = { "instructions, from a compiled-in table", "instructions, by RDPMC", "TSC" };
	print_colour(TITLE);
	print("\nvmmjit guest64");
	print_colour(PLAIN);
	print(": a 64-bit kernel that checks and times the machine it runs on\n\n");
	identity_print();
	print("  memory      %lu MB\n", memory_bytes(info) >> 20);
	if (tsc_hz)
		print("  TSC         %lu.%03lu MHz (%s)\n", tsc_hz / 1000000, tsc_hz / 1000 % 1000, tsc_source);
	else
		print("  TSC         rate unknown\n");
	print("  counts      %s\n", counters[counter]);
}

void kernel_main(const struct multiboot *info)
{
	bool ok = true;
	serial_init();
	descriptors_init();
	mode_init();
	units_init();
	paging_init();
	if (info && info->flags & HAS_COMMAND_LINE)
		options_parse((const char *)(uint64_t)info->command_line);
	clock_init();
	banner(info);
	if (options.calibrate)
		bench_calibrate();
	if (!options.nocheck)
		ok &= checks_run(options.check);
	if (!options.nobench)
		ok &= bench_run(options.run, options.scale, options.rounds);
	if (options.shell)
		shell_run();
	print("\npower off: %s\n", ok ? "all is well" : "something is wrong");
	power_off(ok ? STATUS_OK : STATUS_FAILED);
}
