/* The 32-bit kernel's course: it times the workloads, and has no checks and no shell. */
#include "../bench.h"
#include "../clock.h"
#include "../multiboot.h"
#include "../options.h"
#include "../power.h"
#include "../print.h"
#include "../serial.h"
#include "../units.h"

void kernel_main(const struct multiboot *info)
{
	bool ok = true;
	serial_init();
	units_init();
	if (info && info->flags & HAS_COMMAND_LINE)
		options_parse((const char *)info->command_line);
	clock_init();
	print("\nvmmjit guest32: the workloads of guest64 as 32-bit code\n\n");
	print("  TSC         %lu.%03lu MHz (%s)\n", tsc_hz / 1000000, tsc_hz / 1000 % 1000, tsc_source);
	if (options.calibrate)
		bench_calibrate();
	if (!options.nobench)
		ok = bench_run(options.run, options.scale, options.rounds);
	print("\npower off: %s\n", ok ? "all is well" : "something is wrong");
	power_off(ok ? STATUS_OK : STATUS_FAILED);
}
