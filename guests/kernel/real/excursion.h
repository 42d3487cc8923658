#ifndef EXCURSION_H
#define EXCURSION_H

/* The GDT for excursions as it is between checks, and the hidden parts of all data segment registers as real mode has them. */
void excursions_reset(void);

#endif
