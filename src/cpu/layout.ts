// Where everything lies in a VM's WebAssembly.Memory. This file is read by TypeScript and by AssemblyScript (the runtime),
// so it holds nothing but numeric constants and constant expressions.
//
//   0x0000    null page guard, CPU state          addresses below 64 KB fit the u16 fields of an instruction record
//   0x10000   soft TLB, one set per access context
//   TARGETS   linear address of code -> record, direct-mapped
//   CODE_HASH host address of code + mode -> record
//   RECORDS   decoded instructions
//   PAGES     16 bytes for each page of guest RAM: EPT rights, code tracking
//   ITLB      soft TLB for code, one set per access context
//   REGIONS   counters of translated regions, and the ring of indirect transfers
//   OPEN_BUS  one page of ones, mapped where a guest reads physical addresses that nothing backs
//   RAM       guest memory, ranges one after the other
//
// All offsets are absolute addresses: state is reached with constant-address loads and stores.

// General registers, in the processor's own numbering (RAX RCX RDX RBX RSP RBP RSI RDI R8-R15), 8 bytes each.
export const GPR = 0x100
export const RAX = 0x100
export const RCX = 0x108
export const RDX = 0x110
export const RBX = 0x118
export const RSP = 0x120
export const RBP = 0x128
export const RSI = 0x130
export const RDI = 0x138
export const R11 = 0x158

// Eight zero bytes: the "no register" operand of an address.
export const ZERO = 0x180
// Linear address of the page that the running record lies in; base of RIP-relative operands and relative branches.
export const RIP_PAGE = 0x188
// Architectural RIP (offset in CS); valid whenever the interpreter is not inside a trace.
export const RIP = 0x190
// RFLAGS without the six arithmetic flags, which are kept lazily below.
export const RFLAGS = 0x198
// Lazy arithmetic flags (essay in isa/flags.ts).
export const FLAG_RESULT = 0x1a0
export const FLAG_CARRY = 0x1a8
export const FLAG_OVERFLOW = 0x1ac
export const FLAG_AUX = 0x1b0
// Linear address computed by an address record for the instruction after it.
export const EA = 0x1b8
// Operand bytes of an access that can not be done in place (page crossing, watched page): up to 64 bytes.
export const BOUNCE = 0x1c0

// Segment registers: 32 bytes each in Sreg order ES CS SS DS FS GS, then LDTR, TR.
export const SEGMENTS = 0x200
export const SEGMENT_SIZE = 32
export const SEG_BASE = 0
export const SEG_LIMIT = 8
export const SEG_SELECTOR = 12
// Access rights as VMX has them: type 0-3, S 4, DPL 5-6, P 7, AVL 12, L 13, D/B 14, G 15, unusable 16.
export const SEG_AR = 16
export const ES = 0x200
export const CS = 0x220
export const SS = 0x240
export const DS = 0x260
export const FS = 0x280
export const GS = 0x2a0
export const LDTR = 0x2c0
export const TR = 0x2e0
// Descriptor-table registers: SEG_BASE and SEG_LIMIT only.
export const GDTR = 0x300
export const IDTR = 0x310

export const CR0 = 0x320
export const CR2 = 0x328
export const CR3 = 0x330
export const CR4 = 0x338
export const CR8 = 0x340
export const XCR0 = 0x348
export const PDPTE = 0x350
export const EFER = 0x370
export const STAR = 0x378
export const LSTAR = 0x380
export const CSTAR = 0x388
export const SFMASK = 0x390
export const KERNEL_GS_BASE = 0x398
export const SYSENTER_CS = 0x3a0
export const SYSENTER_ESP = 0x3a8
export const SYSENTER_EIP = 0x3b0
export const TSC_AUX = 0x3b8
export const MISC_ENABLE = 0x3c0
export const DR0 = 0x3d0
export const DR6 = 0x3f0
export const DR7 = 0x3f8

// Current privilege level.
export const CPL = 0x400
// Code mode of CS, one of the MODE_ constants.
export const MODE = 0x404
// First byte of the TLB set that data accesses use now (set of the access context).
export const TLB_BASE = 0x408
// First byte of the target table in use (supervisor or user).
export const TARGET_BASE = 0x40c
// Instructions left in this run; charged at branches and on leaving a trace.
export const BUDGET = 0x410
// Not zero: the budget must be met to the instruction.
export const EXACT = 0x414
// Conditions that the dispatcher looks at before it enters a trace: ATTENTION_ bits.
export const ATTENTION = 0x418
export const ATTENTION_STI_SHADOW = 1
export const ATTENTION_TRAP_FLAG = 2
export const ATTENTION_BREAKPOINTS = 4
export const ATTENTION_WINDOW = 8
export const ATTENTION_PENDING_DB = 16
// MOV SS and POP SS: holds off debug exceptions, too.
export const ATTENTION_SS_SHADOW = 32
// RFLAGS.RF: no instruction breakpoint at the next instruction.
export const ATTENTION_RESUME = 64
// The next instruction is to be interpreted even if a region begins with it.
export const ATTENTION_INTERPRET = 128
export const ATTENTION_SHADOW = 33
// #DB causes collected during an instruction, in DR6 bits.
export const PENDING_DB = 0x41c

// The event that an instruction raised: vector, or -1.
export const FAULT_VECTOR = 0x420
export const FAULT_ERROR = 0x424
// Not zero: FAULT_ERROR is pushed.
export const FAULT_HAS_ERROR = 0x428
// Exceptions that leave run() before delivery, one bit a vector.
export const EXCEPTION_BITMAP = 0x42c
export const FAULT_CR2 = 0x430
// RIP of the instruction after the running one, for handlers that leave the trace.
export const NEXT_RIP = 0x438

// Why run() returned: a VMX basic exit reason or one of the EXIT_ constants.
export const EXIT_REASON = 0x440
// Length of the instruction that exits.
export const EXIT_LENGTH = 0x444
// Exit qualification; its meaning depends on the reason.
export const EXIT_VALUE = 0x448
export const EXIT_PORT = 0x450
export const EXIT_SIZE = 0x454
export const EXIT_IO_FLAGS = 0x458
export const IO_IN = 1
export const IO_STRING = 2
export const IO_REP = 4
export const IO_IMMEDIATE = 8
// An IN that userland has yet to complete: 0 none, IO_TO_RAX, IO_TO_MEMORY (then linear address in IO_LINEAR).
export const IO_PENDING = 0x45c
export const IO_LINEAR = 0x460
export const IO_TO_RAX = 1
export const IO_TO_MEMORY = 2
export const EXIT_GPA = 0x468
// Control-register accesses: number, direction and general register of the exiting MOV.
export const CR_NUMBER = 0x470
export const CR_WRITE = 0x474
export const CR_GPR = 0x478

// Features the processor has, as far as instructions depend on them at run time.
export const CR4_ALLOWED = 0x480
export const EFER_ALLOWED = 0x488
export const PHYSICAL_BITS = 0x490
export const XCR0_ALLOWED = 0x498
// Not zero: SYSENTER and SYSEXIT work in long mode, as on Intel processors.
export const LONG_SYSENTER = 0x494
// Not zero: a page-directory-pointer entry may map 1 GB.
export const GIGABYTE_PAGES = 0x47c
// Not zero: XRSTOR takes the compacted format.
export const COMPACTED_STATE = 0x4a4

// Guest-physical memory ranges: count, then { gpa u64, size u64, host u32, pad } of 24 bytes.
export const RANGE_COUNT = 0x4a0
export const RANGES = 0x4a8
export const RANGE_SIZE = 24
export const RANGE_BYTES = 8
export const RANGE_HOST = 16

// Outside 64-bit mode the base of CS and 2^32 - 1, in it 0 and all ones: code lies at CODE_BASE + RIP, and
// RIP = (linear address - CODE_BASE) & RIP_MASK.
export const CODE_BASE = 0x628
export const RIP_MASK = 0x630
// An RIP below this one lies in a page that is within the limit of CS as a whole; behind it instructions run one by one, and
// each is compared with the limit. In 64-bit mode 2^64 - 1.
export const CODE_WHOLE = 0x638

export const RECORD_NEXT = 0x640
export const RECORD_END = 0x644
export const RAM_START = 0x648
export const PAGES_START = 0x64c
// Physical address of the exec page being decoded and its host page (filled by fetchPage).
export const FETCH_HOST = 0x650
export const RAM_END = 0x654

// What divideUnsigned and divideSigned leave.
export const QUOTIENT = 0x660
export const REMAINDER = 0x668
// The branch record that wants to be linked to its target.
export const LINK_FROM = 0x670
// Single step: budget set aside, and STEP_ bits.
export const HELD_BUDGET = 0x674
export const STEPPING = 0x678
export const STEP_ONE = 1
export const STEP_TRAP = 2
// Pages of guest RAM that were ever translated or written by the host.
export const RESIDENT_PAGES = 0x67c

// Not zero between EXIT_DECODE and the return to the dispatcher.
export const DECODING = 0x65c

// The entries of a page walk: { gpa u64, entry u64 } for each level.
export const WALK_TRAIL = 0x6c0
// Room for the runtime to build things: what is put together for a moment, ...
export const SCRATCH = 0x700
// ... what is to be pushed, from its end downwards, and the image of a TSS.
export const FRAME = 0xe40
export const FRAME_END = 0xf80

// Counters, i64.
export const COUNTERS = 0x680
export const COUNT_TLB_MISS = 0x680
export const COUNT_PAGE_WALK = 0x688
export const COUNT_CODE_WRITE = 0x690
export const COUNT_INVALIDATION = 0x698
export const COUNT_EVENT = 0x6a0
export const COUNT_OPEN_BUS = 0x6a8
export const COUNT_TLB_FLUSH = 0x6b0
export const COUNT_RECORD_FLUSH = 0x6b8

// Vector registers, 32 bytes each.
export const YMM = 0x800
export const YMM_SIZE = 32
// The eight x87 registers by physical number, 16 bytes each: significand u64, sign and exponent u16. MMn is the significand
// of register n.
export const X87 = 0xa00
export const X87_SIZE = 16
export const X87_EXPONENT = 8
// Control and status word (TOP in bits 11-13 of the latter), and FXSAVE's tag byte: bit n says that register n is not empty.
export const X87_CONTROL = 0xa80
export const X87_STATUS = 0xa84
export const X87_TAGS = 0xa88
// Linear addresses of the last instruction that could raise an x87 exception, and of its operand.
export const X87_IP = 0xa90
export const X87_DP = 0xa98
// Of the last one that left an exception pending: opcode (11 bits), selector and base of its code segment.
export const X87_OPCODE = 0xa8c
export const X87_CS = 0xaa0
export const X87_CODE_BASE = 0xaa4
// How a store to memory goes on: whether there is anything to be stored, and its bytes from the eighth on.
export const X87_STORES = 0xaa8
export const X87_HIGH = 0xaac
export const MXCSR = 0xb00
// Exception flags that the running instruction has raised, in the order of MXCSR's; they are settled at its end.
export const FLOAT_FLAGS = 0xb04
// Not zero: MXCSR rounds to nearest, masks all exceptions, has neither FTZ nor DAZ, and the precision flag is set already; so
// an operation on normal numbers with a normal result has no effect but the result. It is then twice the bits of infinity as
// f32, which twice the bits of a finite result are less than; FLOAT_FAST_64 is the same for f64.
export const FLOAT_FAST = 0xb08
export const FLOAT_FAST_64 = 0xb10
// The same, but the precision flag may be clear: no effect of an operation whose result is exact.
export const FLOAT_STANDARD = 0xb18
// For packed operations, 16 bytes each; see isa/float-elements.ts. The first two depend on MXCSR, the others are constants.
export const PACKED_LEAST_32 = 0xb20
export const PACKED_LEAST_64 = 0xb30
export const PACKED_CONSTANT_LEAST_32 = 0xb40
export const PACKED_CONSTANT_LEAST_64 = 0xb50
export const PACKED_OPERAND_32 = 0xb60
export const PACKED_OPERAND_64 = 0xb70
export const PACKED_RESULT_32 = 0xb80
export const PACKED_RESULT_64 = 0xb90
// MODE_AVX_CHECKED, MODE_SSE_CHECKED, MODE_FLOAT_CHECKED or 0, as CR0, CR4 and XCR0 have it now.
export const MODE_FLOAT = 0xb0c

// Images of the floating-point state on their way to or from guest memory (FNSAVE, FXSAVE, XSAVE); 1 KB.
export const STATE_IMAGE = 0x1400

// What walks have found on the page-directory level: WALKS entries of 32 bytes, by bits 21-24 of the linear address:
// u64 linear address >> 21 plus 1, u64 page table or large-page entry, u64 rights of the levels above, u32 large.
export const WALK_CACHE = 0xc00
export const WALKS = 16

// Translated code. Host address of the indirect jump, call or return by which a region is left, else 0.
export const EXIT_SITE = 0xe00
// Entries ever written to INDIRECT_RING.
export const INDIRECT_COUNT = 0xe04

// Instructions run by regions, i64.
export const COUNT_TRANSLATED = 0xe08
// Which instruction of the running region set the flags, and its operands as i64; FLAG_ is out of date unless it is 0.
export const LAZY = 0xe10
export const LAZY_FIRST = 0xe18
export const LAZY_SECOND = 0xe20
// The mode whose code each of the two target tables holds (supervisor, user).
export const TARGET_MODES = 0xe28
// Bit n: TLB set n was filled by 64-bit code. Sums of 32-bit addresses are looked up before they wrap around, and must not
// find what lies above 4 GB.
export const TLB_WIDE = 0xe30
// Pages that translated code has just used, by base register and by page of constant addresses: a tag for reading, a tag for
// writing, and the addend. They hold what the TLB holds.
export const PAGE_SLOTS = 0x1000
export const PAGE_SLOT_COUNT = 32
export const PAGE_SLOT_SIZE = 32
export const SLOT_READ = 0
export const SLOT_WRITE = 8
export const SLOT_ADDEND = 16
// A tag that compares equal with no address, since it has an offset in the page (jit/pages.ts).
export const NO_PAGE = 0x800

// The substitution table of AES and its inverse, 256 bytes each.
export const AES_BOXES = 0x3000

// Code modes; the key of a record together with its host address. MODE_32 is 32-bit code with flat CS, SS, DS and ES (base 0,
// limit 4 GB, stack of 32 bits); all other 32-bit code, and 16-bit code always, looks at each segment (MODE_32_SEGMENTED).
export const MODE_16 = 0
export const MODE_32 = 1
export const MODE_64 = 2
export const MODE_32_SEGMENTED = 3
export const MODE_SIZE_MASK = 3
// Traces of one instruction, for single-stepping.
export const MODE_STEP = 4
// Not all floating point can be used now (CR0.EM, CR0.TS, CR4.OSFXSR, CR4.OSXSAVE, XCR0), and each instruction that may be
// concerned is checked: those of AVX, those of SSE and AVX, or all.
export const MODE_AVX_CHECKED = 16
export const MODE_SSE_CHECKED = 8
export const MODE_FLOAT_CHECKED = 24

export const EXIT_NONE = 0x100
// The budget is used up.
export const EXIT_BUDGET = 0x101
// The code at FETCH_HOST must be decoded.
export const EXIT_DECODE = 0x102

// Soft TLB for data: TLB_ENTRIES entries of 32 bytes for each access context.
export const TLB = 0x10000
export const TLB_ENTRIES = 1024
export const TLB_ENTRY_SIZE = 32
export const TLB_SET_SIZE = 0x8000
export const TLB_READ = 0
export const TLB_WRITE = 8
export const TLB_ADDEND = 16
export const TLB_FLAGS = 20
export const TLB_GLOBAL = 1
// The entry is a piece of a 2 MB or 1 GB page.
export const TLB_LARGE = 2
// The same for code: { tag i64, addend u32, flags u32 }. What a fetch finds never takes the place of data, so that the data
// TLB holds the same whoever runs the code.
export const ITLB = 0xf2000
export const ITLB_ENTRIES = 256
export const ITLB_ENTRY_SIZE = 16
export const ITLB_SET_SIZE = 0x1000
export const ITLB_ADDEND = 8
export const ITLB_FLAGS = 12
// Access contexts: user, supervisor, supervisor that SMAP keeps from user pages, user with alignment checks.
export const CONTEXT_USER = 0
export const CONTEXT_SUPERVISOR = 1
export const CONTEXT_SUPERVISOR_SMAP = 2
export const CONTEXT_USER_ALIGNED = 3
export const CONTEXTS = 4

// Linear address of code (CODE_BASE + RIP) -> record: { linear i64, record u32, pad }; one table for user, one for supervisor
// code. Each holds code of one mode (TARGET_MODES); the base of CS makes no difference.
export const TARGETS = 0x30000
export const TARGET_ENTRIES = 4096
export const TARGET_ENTRY_SIZE = 16
export const TARGET_RECORD = 8
export const TARGET_SET_SIZE = 0x10000

// Host address and mode -> record: { host u32, record | mode u32 }.
export const CODE_HASH = 0x50000
export const CODE_HASH_ENTRIES = 65536
export const CODE_HASH_SIZE = 0x80000

export const RECORDS = 0x100000
// 16 MB: half a million decoded instructions, then everything is dropped and decoded anew.
export const RECORDS_SIZE = 0x1000000
export const OPEN_BUS = 0xd0000
export const SCRATCH_PAGE = 0xe0000
// The last indirect transfers that left a region: { rip i64, site u32, pad }.
export const INDIRECT_RING = 0xe1000
export const INDIRECT_ENTRIES = 256
export const INDIRECT_ENTRY_SIZE = 16
// What each region has done: { instructions i64, entries u32, instructions left to the interpreter u32 }.
export const REGION_STATS = 0xe2000
export const REGION_STATS_SIZE = 16
export const REGION_ENTRIES = 8
export const REGION_INTERPRETED = 12
// Regions that a VM can have at a time.
export const MAX_REGIONS = 4096
export const PAGES = 0x1100000
// A page's entry: u64 mask of the 64-byte lines that hold decoded code, u32 first trace, u32 PAGE_ flags.
export const PAGE_SIZE_LOG2 = 4
export const PAGE_LINES = 0
export const PAGE_TRACES = 8
export const PAGE_FLAGS = 12
// Rights that the EPT takes away; 0 is a page with all of them, so that fresh memory needs no initialisation.
export const PAGE_DENY_READ = 1
export const PAGE_DENY_WRITE = 2
export const PAGE_DENY_EXECUTE = 4
export const PAGE_DENY_ALL = 7
export const PAGE_HAS_CODE = 8
export const PAGE_TOUCHED = 16
