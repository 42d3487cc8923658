/*
 * Power off. The target takes the status at port 0x501 (so does QEMU's
 * isa-debug-exit there); QEMU without that device is switched off through its
 * ACPI PM1a control register, SLP_EN at 0x604.
 */
#include "power.h"

void power_off(uint8_t status)
{
	out8(0x501, status);
	out16(0x604, 0x2000);
	for (;;)
		asm volatile("cli; hlt");
}
