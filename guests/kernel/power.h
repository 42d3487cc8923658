#ifndef POWER_H
#define POWER_H

#include "cpu.h"

enum { STATUS_OK = 0, STATUS_FAILED = 1, STATUS_TRAP = 2 };
_Noreturn void power_off(uint8_t status);

#endif
