/** Wasm for people. Loads Binaryen, so whoever wants it imports it when it is needed. */
import binaryen from 'binaryen'

/** A list is what stands in parentheses. */
type Expression = string | Expression[]

const LOCAL = /^ *\(local \$/
const TOKEN = /"(?:[^"\\]|\\.)*"|[()]|[^\s()]+/g

/** The text format of a binary module, an expression on one line as long as it fits the width. */
export function wasmText(binary: Uint8Array, width: number): string {
  const module = binaryen.readBinary(binary)
  try {
    return packLocals(layOut(parse(module.emitText()), '', width), width).join('\n')
  } finally {
    module.dispose()
  }
}

/** The one expression of a text, which Binaryen has written. */
function parse(text: string): Expression {
  const open: Expression[][] = [[]]
  for (const token of text.match(TOKEN) ?? []) {
    if (token === '(') open.push([])
    else {
      const done = token === ')' ? (open.pop() as Expression[]) : token
      open.at(-1)?.push(done)
    }
  }
  return open[0]?.[0] ?? ''
}

function layOut(expression: Expression, indent: string, width: number): string[] {
  const whole = `${indent}${onOneLine(expression)}`
  if (typeof expression === 'string' || whole.length <= width) return [whole]
  const words = expression.findIndex((part) => typeof part !== 'string')
  if (words < 0) return [whole]
  const head = expression.slice(0, words).join(' ')
  const rest = expression.slice(words).flatMap((part) => layOut(part, `${indent} `, width))
  return [`${indent}(${head}`, ...rest, `${indent})`]
}

/** Declarations of locals, as many on a line as fit. */
function packLocals(lines: readonly string[], width: number): string[] {
  const packed: string[] = []
  for (const line of lines) {
    const last = packed.at(-1) ?? ''
    const joined = `${last} ${line.trimStart()}`
    if (LOCAL.test(line) && LOCAL.test(last) && joined.length <= width) packed[packed.length - 1] = joined
    else packed.push(line)
  }
  return packed
}

function onOneLine(expression: Expression): string {
  return typeof expression === 'string' ? expression : `(${expression.map(onOneLine).join(' ')})`
}
