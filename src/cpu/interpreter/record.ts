// Numeric constants only: the runtime (AssemblyScript) reads this file, too.

/**
 * The instruction record: what the decoder's work is kept as, 32 bytes. Nothing in it depends on the linear address of
 * its page (that is L.RIP_PAGE at run time), so records serve every mapping of a physical page.
 *
 *    0 u16 op          which handler
 *    2 u16 count       instructions of the trace since the budget was last charged, without this one
 *    4 u16 operand 0   register operands: address of the register in the CPU state (AH is RAX + 1); a plain number for
 *    6 u16 operand 1   segment, control and debug registers
 *    8 u16 base        address of the register; L.ZERO for none; L.RIP_PAGE for RIP-relative operands
 *   10 u16 index; without memory operand the number of the effective segment
 *   12 u8  scale       shift count
 *   13 u8  flags       FLAG_ bits
 *   14 u16 position    offset in the page << 4 | length
 *   16 i64 immediate; u16 operand 2 where that is a register; branches: target, relative to RIP_PAGE; vector instructions:
 *      u16 operand 2, u16 operand 3, u32 immediate
 *   24 i64 displacement
 *
 * A branch uses base and index (u32 at 8) for the record of its target, 0 as long as it is not linked, u8 scale to say that
 * the target lies in the same page and may be linked, and the displacement (u32 at 24) for the host address of that page.
 */
export const RECORD_SIZE = 32
export const R_OP = 0
export const R_COUNT = 2
export const R_OPERAND0 = 4
export const R_OPERAND1 = 6
export const R_BASE = 8
export const R_INDEX = 10
export const R_SCALE = 12
export const R_FLAGS = 13
export const R_POSITION = 14
export const R_IMMEDIATE = 16
export const R_OPERAND2 = 16
export const R_OPERAND3 = 18
export const R_VECTOR_IMMEDIATE = 20
export const R_DISPLACEMENT = 24
export const R_LINK = 8
export const R_LINKABLE = 12
export const R_HOST_PAGE = 24

/** The memory operand is in the stack segment: a bad address is #SS. */
export const FLAG_STACK = 1
/** REP or REPE in bit 1, REPNE in bit 2. */
export const FLAG_REPEAT_SHIFT = 1
/** One more than the number of the memory operand's segment in bits 3-5. */
export const FLAG_SEGMENT_SHIFT = 3

/** Ops that are not instructions; they come first in the numbering. */
export const OP_STALE = 0
export const OP_GOTO = 1
export const OP_ADDRESS = 2
export const OP_CROSS = 3
export const OP_UNDEFINED = 4
export const OP_TOO_LONG = 5
/** The head of a translated region; its trace's header knows the region and a copy of what stood here before. */
export const OP_REGION = 6
/** Goes on with the record at R_LINK: the way back from the copy of a region's head. */
export const OP_RESUME = 7
/** Looks whether x87, MMX, SSE or AVX (FLOAT_ in operand 0) may be used now. */
export const OP_CHECK_FLOAT = 8
/** The linear address of an operand that is compared with its segment's limit: segment in operand 0, bytes in operand 1,
 * mask of the address size at R_IMMEDIATE, SEGMENT_ flags behind it. */
export const OP_SEGMENT = 9
export const SPECIAL_OPS = 10

export const SEGMENT_WRITE = 1
/** A bit string (BT and kin): the register at R_BITS moves the operand by so many times its size. */
export const SEGMENT_BITS = 2
export const R_SEGMENT_FLAGS = 20
export const R_BITS = 22

export const FLOAT_NONE = 0
export const FLOAT_X87 = 1
/** WAIT looks at CR0.MP, too. */
export const FLOAT_WAIT = 2
export const FLOAT_MMX = 3
export const FLOAT_SSE = 4
export const FLOAT_AVX = 5
/** VEX without vectors (BMI): not in real and virtual-8086 mode. */
export const FLOAT_VEX = 6

/** The header before a trace's first record, see runtime/code.ts: distances from that record. */
export const HEADER_COPY = -12
export const HEADER_REGION = -8

/** What a region's function returns: RIP has its new value, ... */
export const REGION_GO = 0
/** ... an exception was raised at RIP, ... */
export const REGION_FAULT = 1
/** ... the instruction at RIP is left to the interpreter, ... */
export const REGION_INTERPRET = 2
/** ... the budget might not last to the next look at it, ... */
export const REGION_SHORT = 3
/** ... the same, and nothing was done yet, ... */
export const REGION_SHORT_AT_ONCE = 4
/** ... or nothing was done: the head is to be interpreted. */
export const REGION_DECLINED = 5

/**
 * Instructions in a trace at most. A run whose budget is smaller than this single-steps or ends, so that the budget need
 * be looked at only where control is transferred.
 */
export const MAX_TRACE = 64
/** The same for regions: instructions that one may run from one look at the budget to the next. */
export const MAX_PATH = 2048
