/**
 * Which handlers lie in the big switch. Some 200 is the measured optimum: a call_indirect to a cold one costs about 2.5 ns
 * more, but a larger function is slower as a whole and starts badly. The list is what compilers emit most.
 */
const HOT: readonly RegExp[] = [
  /^(mov)\.(8|32|64)\.[rm]\.[rmi]$/,
  /^(add|sub|cmp|and|or|xor)\.(32|64)\.(r\.r|r\.m|m\.r|r\.i|m\.i)$/,
  /^(cmp)\.8\.(r\.r|r\.m|m\.r|r\.i|m\.i)$/,
  /^(add|and|or|xor|sub)\.8\.(r\.r|r\.i|r\.m)$/,
  /^test\.(8|32|64)\.(r\.r|r\.i|m\.i)$/,
  /^lea\.(32|64)\./,
  /^j[a-z]+\.(rel\.)?near\./,
  /^(jmp|call)\.(rel|ind)\.64\./,
  /^ret\.64$/,
  /^(push|pop)\.64\.r$/,
  /^(movzx|movsx|movsxd)\.(32|64)\.r\.[rm](8|16|32)?$/,
  /^(shl|shr|sar|rol|ror)\.(32|64)\.r\.(i|r8)$/,
  /^imul\.(2|3)\.(32|64)\./,
  /^(inc|dec|neg|not)\.(32|64)\.r$/,
  /^(inc|dec)\.(32|64)\.m$/,
  /^set(e|ne)\.8\.r$/,
  /^cmov(e|ne|b|ae|l|g|s)\.(32|64)\.r\.r$/,
  /^(bswap)\.(32|64)\.r$/,
  /^(adc|sbb)\.64\.r\.[ri]8?$/,
  /^nop/,
  /^mov(dqa|dqu|aps|ups)\.128\.(x\.m|m\.x)$/,
  /^(movdqa|pxor)\.128\.x\.x$/,
]

/** 1 for a handler of the switch, 0 for one of the table. */
export function hotness(name: string): number {
  return HOT.some((pattern) => pattern.test(name)) ? 1 : 0
}
