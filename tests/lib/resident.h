/* tests/lib/resident.h - how much memory this process has. Any thread. */
#ifndef PGK_TESTS_RESIDENT_H
#define PGK_TESTS_RESIDENT_H

long resident_kib(void);
/* At its most, since the process began or since resident_reset_peak. */
long resident_peak_kib(void);
void resident_reset_peak(void);

#endif
