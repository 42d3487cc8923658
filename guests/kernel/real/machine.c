/* What surrounds a check of the real-mode kernel. */
#include "check.h"
#include "excursion.h"

const struct check_group *const check_groups[] = {
	&address_group, &interrupt_group, &excursion_group,
	NULL,
};

ROUTINE(go_far, ".global go_far\n\tpushw %dx\n\tpushw %ax\n\tlretw");

static uint32_t cr0, cr4;

void machine_save(void)
{
	excursions_reset();
	cr0 = read_cr0();
	cr4 = read_cr4();
}

void machine_restore(void)
{
	trap_hook = NULL;
	write_cr0(cr0);
	write_cr4(cr4);
	write_dr7(0x400);
	write_dr0(0);
	write_dr1(0);
	vectors_init();
	excursions_reset();
}
