/*
 * Instructions per round of each workload, for where there is no counter to
 * read. The `calibrate` word prints these lines. These are from
 * `qemu -icount shift=0`, which counts a REP's iterations besides the
 * instruction itself: 45056 are taken off repmovs. They hold for the code that
 * the compiler of guest64.json makes.
 */
#define COUNT_SIEVE 1286639
#define COUNT_SHA256 4477255
#define COUNT_CRC32 1048596
#define COUNT_MATRIX 6406871
#define COUNT_QUICKSORT 5522041
#define COUNT_BYTECODE 4428288
#define COUNT_FIB 2100704
#define COUNT_CHASE 3670040
#define COUNT_MEMCPY 1474660
#define COUNT_CALLS 1113800
#define COUNT_STRIDE 3694100
#define COUNT_REPMOVS 2403
#define COUNT_SMC 10033
