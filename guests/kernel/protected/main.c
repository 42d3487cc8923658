/* The 32-bit kernel's course: it checks the machine in protected mode and virtual-8086 mode, and powers off. */
#include "../checking.h"
#include "../identity.h"
#include "../multiboot.h"
#include "../options.h"
#include "../power.h"
#include "../print.h"
#include "../serial.h"
#include "../units.h"
#include "tables.h"

void kernel_main(const struct multiboot *info)
{
	serial_init();
	if (info && info->flags & HAS_COMMAND_LINE)
		options_parse((const char *)info->command_line);
	write_cr0(CR0_NE | CR0_ET | CR0_MP | CR0_PE);
	write_cr4(0);
	tables_init();
	units_init();
	print_colour(TITLE);
	print("\nvmmjit guest32-check");
	print_colour(PLAIN);
	print(": checks of protected mode and virtual-8086 mode\n\n");
	identity_print();
	bool ok = options.nocheck || checks_run(options.check);
	print("\npower off: %s\n", ok ? "all is well" : "something is wrong");
	power_off(ok ? STATUS_OK : STATUS_FAILED);
}
