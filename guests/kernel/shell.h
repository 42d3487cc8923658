#ifndef SHELL_H
#define SHELL_H

/* Reads and runs commands from the console until `poweroff`. */
void shell_run(void);

#endif
