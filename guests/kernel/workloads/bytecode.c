/*
 * A stack machine interpreted by a switch: one indirect jump per operation.
 * Its program adds up the lengths of the Collatz sequences of 1 to LIMIT - 1.
 */
#include "workload.h"

enum operation { PUSH, LOAD, STORE, ADD, MULTIPLY, HALVE, IS_ODD, IS_ONE, IS_LESS, JUMP, JUMP_IF, STOP };
enum { N, STEPS, X, VARIABLES };
enum { LIMIT = 500 };

struct instruction {
	uint8_t operation;
	int32_t operand;
};

/* The comment is the instruction's index, which jumps name. */
static const struct instruction program[] = {
	/*  0 */ { PUSH, 1 }, { STORE, N },
	/*  2 */ { PUSH, 0 }, { STORE, STEPS },
	/*  4 */ { LOAD, N }, { STORE, X },
	/*  6 */ { LOAD, X }, { IS_ONE, 0 }, { JUMP_IF, 25 },
	/*  9 */ { LOAD, STEPS }, { PUSH, 1 }, { ADD, 0 }, { STORE, STEPS },
	/* 13 */ { LOAD, X }, { IS_ODD, 0 }, { JUMP_IF, 19 },
	/* 16 */ { LOAD, X }, { HALVE, 0 }, { JUMP, 23 },
	/* 19 */ { LOAD, X }, { PUSH, 3 }, { MULTIPLY, 0 }, { JUMP, 31 },
	/* 23 */ { STORE, X }, { JUMP, 6 },
	/* 25 */ { LOAD, N }, { PUSH, 1 }, { ADD, 0 }, { STORE, N },
	/* 29 */ { JUMP, 34 }, { STOP, 0 },
	/* 31 */ { PUSH, 1 }, { ADD, 0 }, { JUMP, 23 },
	/* 34 */ { LOAD, N }, { PUSH, LIMIT }, { IS_LESS, 0 }, { JUMP_IF, 4 },
	/* 38 */ { JUMP, 30 },
};

static uint64_t __attribute__((noinline)) INNERMOST interpret(const struct instruction *code)
{
	uint64_t stack[16], variables[VARIABLES] = { 0 };
	uint64_t *top = stack;	/* one past the topmost */
	for (const struct instruction *at = code;; at++) {
		switch ((enum operation)at->operation) {
		case PUSH: *top++ = (uint64_t)at->operand; break;
		case LOAD: *top++ = variables[at->operand]; break;
		case STORE: variables[at->operand] = *--top; break;
		case ADD: top--; top[-1] += top[0]; break;
		case MULTIPLY: top--; top[-1] *= top[0]; break;
		case HALVE: top[-1] >>= 1; break;
		case IS_ODD: top[-1] &= 1; break;
		case IS_ONE: top[-1] = top[-1] == 1; break;
		case IS_LESS: top--; top[-1] = top[-1] < top[0]; break;
		case JUMP: at = code + at->operand - 1; break;
		case JUMP_IF: if (*--top) at = code + at->operand - 1; break;
		case STOP: return variables[STEPS];
		}
	}
}

WORKLOAD(bytecode)
{
	return interpret(program);
}
