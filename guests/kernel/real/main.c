/* The real-mode kernel's course: it checks the machine in real mode and on the way to other modes, and powers off. */
#include "../checking.h"
#include "../identity.h"
#include "../options.h"
#include "../power.h"
#include "../print.h"
#include "../serial.h"
#include "../units.h"
#include "traps.h"

extern const char command_line[];

void kernel_main(void)
{
	vectors_init();
	serial_init();
	options_parse(command_line);
	write_cr4(0);
	units_init();
	print_colour(TITLE);
	print("\nvmmjit guest16");
	print_colour(PLAIN);
	print(": checks of real mode, and of the ways to other modes and back\n\n");
	identity_print();
	bool ok = options.nocheck || checks_run(options.check);
	print("\npower off: %s\n", ok ? "all is well" : "something is wrong");
	power_off(ok ? STATUS_OK : STATUS_FAILED);
}
