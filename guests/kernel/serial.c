/* COM1, an 8250 or 16550 at 0x3F8, polled: 115200 baud, 8n1. */
#include "serial.h"

enum {
	COM1 = 0x3f8,
	THR = 0, RBR = 0, DLL = 0, DLM = 1, IER = 1, FCR = 2, LCR = 3, MCR = 4, LSR = 5,
	LCR_8N1 = 0x03, LCR_DLAB = 0x80, MCR_DTR_RTS = 0x03, FCR_ENABLE = 0x01,
	LSR_DATA_READY = 0x01, LSR_THR_EMPTY = 0x20,
};

void serial_init(void)
{
	out8(COM1 + IER, 0);
	out8(COM1 + LCR, LCR_DLAB);
	out8(COM1 + DLL, 1);
	out8(COM1 + DLM, 0);
	out8(COM1 + LCR, LCR_8N1);
	out8(COM1 + FCR, FCR_ENABLE);
	out8(COM1 + MCR, MCR_DTR_RTS);
}

void serial_put(char c)
{
	while (!(in8(COM1 + LSR) & LSR_THR_EMPTY))
		;
	out8(COM1 + THR, (uint8_t)c);
}

bool serial_ready(void)
{
	return in8(COM1 + LSR) & LSR_DATA_READY;
}

char serial_get(void)
{
	while (!serial_ready())
		asm volatile("pause");
	return (char)in8(COM1 + RBR);
}
