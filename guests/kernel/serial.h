#ifndef SERIAL_H
#define SERIAL_H

#include "cpu.h"

void serial_init(void);
void serial_put(char c);
/* Waits for a character. */
char serial_get(void);
/* True when a character is there to be taken. */
bool serial_ready(void);

#endif
