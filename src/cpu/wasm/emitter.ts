/**
 * The one typed module between us and Binaryen. It adds what Binaryen's JavaScript interface lacks: types on expressions,
 * values that can not be used twice by accident, structured statements, constant folding, and a cure for its known bugs.
 *
 * An expression of Binaryen is a node of one tree: used twice it corrupts the module. So a `Value` is either a constant or
 * a local (used as often as one likes) or a one-shot expression whose second use throws; `let` turns a one-shot expression
 * into a local. Loads and calls are put in a local at once, since what they give depends on when they run; everything else
 * is pure and may float to its use.
 */
import binaryen from 'binaryen'

export type Type = 'i32' | 'i64' | 'f32' | 'f64' | 'v128'
type IntegerType = 'i32' | 'i64'
export type Module = binaryen.Module

const BINARYEN_TYPE: Readonly<Record<Type, number>> = {
  i32: binaryen.i32,
  i64: binaryen.i64,
  f32: binaryen.f32,
  f64: binaryen.f64,
  v128: binaryen.v128,
}

/** Binaryen's accessors to load nodes, which its type declarations leave out. */
const LOAD = (binaryen as unknown as { Load: { setSigned(expression: number, signed: boolean): void } }).Load

export class Value {
  #expression: number
  readonly #local: number
  readonly #module: binaryen.Module

  readonly type: Type
  /** The value, as an unsigned number of its width, when it is known now; of a float its bits. */
  readonly constant: bigint | undefined

  private constructor(
    module: binaryen.Module,
    type: Type,
    expression: number,
    local: number,
    constant: bigint | undefined,
  ) {
    this.#module = module
    this.type = type
    this.#expression = expression
    this.#local = local
    this.constant = constant
  }

  /** A number of an integer type, or the 128 bits of a vector. */
  static constant(module: binaryen.Module, type: Type, value: bigint): Value {
    const bits = { i32: 32, i64: 64, f32: 32, f64: 64, v128: 128 }[type]
    return new Value(module, type, 0, -1, BigInt.asUintN(bits, value))
  }

  static local(module: binaryen.Module, type: Type, index: number): Value {
    return new Value(module, type, 0, index, undefined)
  }

  /** A pure expression that is emitted anew at every use. */
  static copyable(module: binaryen.Module, type: Type, expression: number): Value {
    return new Value(module, type, expression, -2, undefined)
  }

  static once(module: binaryen.Module, type: Type, expression: number): Value {
    return new Value(module, type, expression, -1, undefined)
  }

  /** Can be taken any number of times. */
  get reusable(): boolean {
    return this.constant !== undefined || this.#local !== -1
  }

  get localIndex(): number {
    return this.#local
  }

  /** The Binaryen expression; of a one-shot value only once. */
  take(): number {
    if (this.constant !== undefined) {
      return constantOf(this.#module, this.type, this.constant)
    }
    if (this.#local >= 0) return this.#module.local.get(this.#local, BINARYEN_TYPE[this.type])
    if (this.#local === -2) return this.#module.copyExpression(this.#expression)
    const expression = this.#expression
    if (expression === 0) throw new Error('a wasm expression was used twice: bind it with let()')
    this.#expression = 0
    return expression
  }
}

function constantOf(module: binaryen.Module, type: Type, value: bigint): number {
  switch (type) {
    case 'i32':
      return module.i32.const(Number(BigInt.asIntN(32, value)))
    case 'i64':
      return i64Const(module, value)
    case 'f32':
      return module.f32.reinterpret(constantOf(module, 'i32', value))
    case 'f64':
      return module.f64.reinterpret(constantOf(module, 'i64', value))
    case 'v128':
      return module.v128.const(Array.from({ length: 16 }, (_, n) => Number((value >> BigInt(8 * n)) & 0xffn)))
  }
}

/** Binaryen's i64.const takes either a bigint or two halves, by version; the declared types say bigint. */
function i64Const(module: binaryen.Module, value: bigint): number {
  return (module.i64.const as (value: bigint) => number)(BigInt.asIntN(64, value))
}

type BinaryName =
  | 'add'
  | 'sub'
  | 'mul'
  | 'div_s'
  | 'div_u'
  | 'rem_s'
  | 'rem_u'
  | 'and'
  | 'or'
  | 'xor'
  | 'shl'
  | 'shr_s'
  | 'shr_u'
  | 'rotl'
  | 'rotr'
type CompareName = 'eq' | 'ne' | 'lt_s' | 'lt_u' | 'le_s' | 'le_u' | 'gt_s' | 'gt_u' | 'ge_s' | 'ge_u'
type UnaryName = 'clz' | 'ctz' | 'popcnt'
/** How a vector is divided. */
export type Shape = 'i8x16' | 'i16x8' | 'i32x4' | 'i64x2' | 'f32x4' | 'f64x2'
const LANE_TYPE: Readonly<Record<Shape, Type>> = {
  i8x16: 'i32',
  i16x8: 'i32',
  i32x4: 'i32',
  i64x2: 'i64',
  f32x4: 'f32',
  f64x2: 'f64',
}
type Methods = Record<string, (...operands: (number | readonly number[])[]) => number>

/** Emits the body of one wasm function. */
export class Emitter {
  readonly module: binaryen.Module
  #statements: number[] = []
  readonly #localTypes: Type[] = []
  readonly #parameterCount: number
  /** Locals not in use, by type: handlers of one big function share them. */
  readonly #free: Record<Type, number[]> = { i32: [], i64: [], f32: [], f64: [], v128: [] }
  readonly #taken: { type: Type; index: number }[] = []
  #labels = 0

  constructor(module: binaryen.Module, parameters: readonly Type[] = []) {
    this.module = module
    this.#parameterCount = parameters.length
    this.#parameterTypes = parameters
  }

  readonly #parameterTypes: readonly Type[]

  // Values

  i32(value: number): Value {
    return Value.constant(this.module, 'i32', BigInt(value))
  }

  i64(value: bigint | number): Value {
    return Value.constant(this.module, 'i64', BigInt(value))
  }

  constant(type: Type, value: bigint | number): Value {
    return Value.constant(this.module, type, BigInt(value))
  }

  parameter(index: number): Value {
    return Value.local(this.module, this.#parameterTypes[index] as Type, index)
  }

  /** A local of its own, for a value that changes. */
  variable(type: Type): Value {
    const free = this.#free[type].pop()
    const index = free ?? this.#parameterCount + this.#localTypes.push(type) - 1
    this.#taken.push({ type, index })
    return Value.local(this.module, type, index)
  }

  /** The same, never given back. */
  lastingVariable(type: Type): Value {
    return Value.local(this.module, type, this.#parameterCount + this.#localTypes.push(type) - 1)
  }

  assign(variable: Value, value: Value): void {
    if (variable.localIndex < 0) throw new Error('only a variable can be assigned')
    this.statement(this.module.local.set(variable.localIndex, value.take()))
  }

  /** Binds a value to a local, so that it can be used more than once. */
  let(value: Value): Value {
    if (value.constant !== undefined || value.localIndex >= 0) return value
    const local = this.variable(value.type)
    this.assign(local, value)
    return local
  }

  /** Makes a pure expression usable any number of times without computing it now. */
  copyable(value: Value): Value {
    return value.reusable ? value : Value.copyable(this.module, value.type, value.take())
  }

  /** Locals made inside are free again behind it. */
  scope(body: () => void): void {
    const before = this.#taken.length
    body()
    for (const { type, index } of this.#taken.splice(before)) this.#free[type].push(index)
  }

  /** Gives the locals made since the last call back: the next handler may use them for something else. */
  releaseLocals(): void {
    for (const { type, index } of this.#taken) this.#free[type].push(index)
    this.#taken.length = 0
  }

  /** The locals made so far are never given back. */
  keepLocals(): void {
    this.#taken.length = 0
  }

  #once(type: Type, expression: number): Value {
    return Value.once(this.module, type, expression)
  }

  // Arithmetic

  binary(name: BinaryName, a: Value, b: Value): Value {
    sameType(name, a, b)
    const folded = fold(name, a, b)
    if (folded !== undefined) return typeof folded === 'bigint' ? this.constant(a.type, folded) : folded
    return this.#once(a.type, this.module[integer(a)][name](a.take(), b.take()))
  }

  compare(name: CompareName, a: Value, b: Value): Value {
    sameType(name, a, b)
    return this.#once('i32', this.module[integer(a)][name](a.take(), b.take()))
  }

  unary(name: UnaryName, a: Value): Value {
    return this.#once(a.type, this.module[integer(a)][name](a.take()))
  }

  eqz(a: Value): Value {
    return this.#once('i32', this.module[integer(a)].eqz(a.take()))
  }

  // Floats and vectors

  /**
   * A wasm instruction by its name ('f64.add', 'i16x8.add_sat_s', 'v128.any_true'; 'f64.convert_s.i32' as Binaryen has it),
   * which gives a value of the type.
   */
  apply(name: string, type: Type, ...operands: Value[]): Value {
    return this.#once(type, this.#emit(name, ...operands.map((operand) => operand.take())))
  }

  /** A wasm vector instruction that gives a vector. */
  simd(name: string, ...operands: Value[]): Value {
    return this.apply(name, 'v128', ...operands)
  }

  v128(bits: bigint): Value {
    return this.constant('v128', bits)
  }

  splat(shape: Shape, value: Value): Value {
    return this.apply(`${shape}.splat`, 'v128', value)
  }

  /** One lane; of the two narrow shapes zero-extended, or sign-extended. */
  lane(shape: Shape, vector: Value, lane: number, signed = false): Value {
    const extension = shape === 'i8x16' || shape === 'i16x8' ? (signed ? '_s' : '_u') : ''
    return this.#once(LANE_TYPE[shape], this.#emit(`${shape}.extract_lane${extension}`, vector.take(), lane))
  }

  withLane(shape: Shape, vector: Value, lane: number, value: Value): Value {
    return this.#once('v128', this.#emit(`${shape}.replace_lane`, vector.take(), lane, value.take()))
  }

  /** Bytes of a (0-15) and b (16-31) in the order of the list. */
  shuffle(a: Value, b: Value, bytes: readonly number[]): Value {
    return this.#once('v128', this.#emit('i8x16.shuffle', a.take(), b.take(), bytes))
  }

  #emit(name: string, ...operands: (number | readonly number[])[]): number {
    const [group = '', method = '', from] = name.split('.')
    const methods = (this.module as unknown as Record<string, Methods>)[group]
    // Binaryen spells out the saturation of additions and subtractions.
    const found = methods?.[method] ?? methods?.[method.replace('_sat_', '_saturate_')]
    const emit = from === undefined ? found : (found as unknown as Methods)[from]
    if (emit === undefined) throw new Error(`Binaryen has no ${name}`)
    return emit(...operands)
  }

  select(condition: Value, whenTrue: Value, whenFalse: Value): Value {
    sameType('select', whenTrue, whenFalse)
    if (condition.constant !== undefined) return condition.constant !== 0n ? whenTrue : whenFalse
    const expression = this.module.select(condition.take(), whenTrue.take(), whenFalse.take())
    return this.#once(whenTrue.type, expression)
  }

  wrap(a: Value): Value {
    if (a.constant !== undefined) return this.constant('i32', a.constant)
    return this.#once('i32', this.module.i32.wrap(a.take()))
  }

  extendUnsigned(a: Value): Value {
    if (a.constant !== undefined) return this.constant('i64', a.constant)
    return this.#once('i64', this.module.i64.extend_u(a.take()))
  }

  extendSigned(a: Value): Value {
    if (a.constant !== undefined) return this.constant('i64', BigInt.asIntN(32, a.constant))
    return this.#once('i64', this.module.i64.extend_s(a.take()))
  }

  /** Sign-extends the low 8, 16 or 32 bits within the type of the value. */
  extendLow(a: Value, bits: 8 | 16 | 32): Value {
    if (a.constant !== undefined) return this.constant(a.type, BigInt.asIntN(bits, a.constant))
    const m = this.module
    if (a.type === 'i32') return this.#once('i32', bits === 8 ? m.i32.extend8_s(a.take()) : m.i32.extend16_s(a.take()))
    const op = bits === 8 ? m.i64.extend8_s : bits === 16 ? m.i64.extend16_s : m.i64.extend32_s
    return this.#once('i64', op(a.take()))
  }

  // Memory

  /** Loads 1, 2, 4 or 8 bytes, zero-extended to the type; floats and vectors as wide as they are, or the latter's low 4 or 8. */
  load(type: Type, bytes: 1 | 2 | 4 | 8 | 16, address: Value, offset = 0): Value {
    const m = this.module
    const pointer = address.take()
    let expression: number
    if (type === 'f32' || type === 'f64') expression = m[type].load(offset, 1, pointer)
    else if (type === 'v128') {
      if (bytes === 16) expression = m.v128.load(offset, 1, pointer)
      else expression = bytes === 8 ? m.v128.load64_zero(offset, 1, pointer) : m.v128.load32_zero(offset, 1, pointer)
    } else if (type === 'i32') {
      if (bytes === 1) expression = m.i32.load8_u(offset, 1, pointer)
      else if (bytes === 2) expression = m.i32.load16_u(offset, 1, pointer)
      else {
        expression = m.i32.load(offset, 1, pointer)
        // Binaryen 132 marks i32.load as signed and then turns i64.extend_u(i32.load) into i64.load32_s.
        LOAD.setSigned(expression, false)
      }
    } else if (bytes === 1) expression = m.i64.load8_u(offset, 1, pointer)
    else if (bytes === 2) expression = m.i64.load16_u(offset, 1, pointer)
    else if (bytes === 4) expression = m.i64.load32_u(offset, 1, pointer)
    else expression = m.i64.load(offset, 1, pointer)
    return this.let(this.#once(type, expression))
  }

  /** Stores the low bytes of a number; floats and vectors whole. */
  store(bytes: 1 | 2 | 4 | 8 | 16, address: Value, value: Value, offset = 0): void {
    const m = this.module
    const pointer = address.take()
    const what = value.take()
    if (value.type === 'f32' || value.type === 'f64' || value.type === 'v128') {
      this.statement(m[value.type].store(offset, 1, pointer, what))
    } else if (value.type === 'i32') {
      const op = bytes === 1 ? m.i32.store8 : bytes === 2 ? m.i32.store16 : m.i32.store
      this.statement(op(offset, 1, pointer, what))
    } else {
      const op = bytes === 1 ? m.i64.store8 : bytes === 2 ? m.i64.store16 : bytes === 4 ? m.i64.store32 : m.i64.store
      this.statement(op(offset, 1, pointer, what))
    }
  }

  // Calls and control

  call(name: string, result: Type, ...operands: Value[]): Value {
    const expression = this.module.call(
      name,
      operands.map((value) => value.take()),
      BINARYEN_TYPE[result],
    )
    return this.let(this.#once(result, expression))
  }

  callVoid(name: string, ...operands: Value[]): void {
    this.statement(
      this.module.call(
        name,
        operands.map((value) => value.take()),
        binaryen.none,
      ),
    )
  }

  callIndirect(table: string, index: Value, parameters: readonly Type[], result: Type, ...operands: Value[]): Value {
    const target = index.take()
    const expression = this.module.call_indirect(
      table,
      target,
      operands.map((value) => value.take()),
      binaryen.createType(parameters.map((type) => BINARYEN_TYPE[type])),
      BINARYEN_TYPE[result],
    )
    return this.let(this.#once(result, expression))
  }

  statement(expression: number): void {
    this.#statements.push(expression)
  }

  label(hint: string): string {
    return `${hint}${this.#labels++}`
  }

  /** Collects what `body` emits into one expression. */
  collect(body: () => void, label?: string): number {
    const outer = this.#statements
    this.#statements = []
    body()
    const expression = this.module.block(label ?? null, this.#statements, binaryen.none)
    this.#statements = outer
    return expression
  }

  if(condition: Value, whenTrue: () => void, whenFalse?: () => void): void {
    if (condition.constant !== undefined) {
      if (condition.constant !== 0n) whenTrue()
      else whenFalse?.()
      return
    }
    const test = condition.take()
    const yes = this.collect(whenTrue)
    const no = whenFalse ? this.collect(whenFalse) : undefined
    this.statement(this.module.if(test, yes, no))
  }

  /** A block that `br(label)` leaves. */
  block(label: string, body: () => void): void {
    this.statement(this.collect(body, label))
  }

  /** A loop that `br(label)` repeats. */
  loop(label: string, body: () => void): void {
    this.statement(this.module.loop(label, this.collect(body)))
  }

  /** Runs the arm of an index, the last one for every other index. No arm may come to its end. */
  switch(index: Value, arms: readonly (() => void)[], otherwise: () => void): void {
    this.sparseSwitch(index, arms)
    otherwise()
  }

  /** Runs the arm of an index, or goes on behind the switch where there is none, and at an arm's end. */
  sparseSwitch(index: Value, arms: readonly ((() => void) | undefined)[]): void {
    const behind = this.label('behind')
    const labels = arms.map((arm) => (arm ? this.label('arm') : behind))
    const emit = (last: number): void => {
      if (last < 0) {
        this.statement(this.module.switch(labels, behind, index.take()))
        return
      }
      const arm = arms[last]
      if (arm === undefined) {
        emit(last - 1)
        return
      }
      this.block(labels[last] as string, () => emit(last - 1))
      arm()
      this.br(behind)
    }
    this.block(behind, () => emit(arms.length - 1))
  }

  br(label: string, condition?: Value): void {
    this.statement(this.module.br(label, condition?.take()))
  }

  return(value?: Value): void {
    this.statement(this.module.return(value?.take()))
  }

  /** A constant that is dropped: something to be found in the text. */
  mark(value: number): void {
    this.statement(this.module.drop(this.i32(value).take()))
  }

  unreachable(): void {
    this.statement(this.module.unreachable())
  }

  /** Makes the function of what was emitted. */
  finish(name: string, result: Type | undefined): void {
    const body = this.module.block(null, this.#statements, result ? BINARYEN_TYPE[result] : binaryen.none)
    this.module.addFunction(
      name,
      binaryen.createType(this.#parameterTypes.map((type) => BINARYEN_TYPE[type])),
      result ? BINARYEN_TYPE[result] : binaryen.none,
      this.#localTypes.map((type) => BINARYEN_TYPE[type]),
      body,
    )
  }
}

function integer({ type }: Value): IntegerType {
  if (type !== 'i32' && type !== 'i64') throw new Error(`integer arithmetic with an ${type}`)
  return type
}

function sameType(what: string, a: Value, b: Value): void {
  if (a.type !== b.type) throw new Error(`${what} of an ${a.type} and an ${b.type}`)
}

/** The result when both operands are known, or the other operand when one is neutral. */
function fold(name: BinaryName, a: Value, b: Value): bigint | Value | undefined {
  const x = a.constant
  const y = b.constant
  if (y === 0n && (name === 'add' || name === 'sub' || name === 'or' || name === 'xor')) return a
  if (y === 0n && (name === 'shl' || name === 'shr_u' || name === 'shr_s')) return a
  if (x === 0n && (name === 'add' || name === 'or' || name === 'xor')) return b
  if (x === undefined || y === undefined) return undefined
  const width = BigInt(a.type === 'i32' ? 32 : 64)
  switch (name) {
    case 'add':
      return x + y
    case 'sub':
      return x - y
    case 'mul':
      return x * y
    case 'and':
      return x & y
    case 'or':
      return x | y
    case 'xor':
      return x ^ y
    case 'shl':
      return x << (y % width)
    case 'shr_u':
      return x >> (y % width)
    default:
      return undefined
  }
}

/** A new module with the features that every supported engine has, named one by one (Features.All breaks Node 20). */
export function newModule(): binaryen.Module {
  const module = new binaryen.Module()
  const f = binaryen.Features
  module.setFeatures(
    f.MVP |
      f.SIMD128 |
      f.BulkMemory |
      f.SignExt |
      f.MutableGlobals |
      f.NontrappingFPToInt |
      f.ReferenceTypes |
      f.Multivalue,
  )
  return module
}

/** Declares a function that the module imports under its own name. */
export function importFunction(
  module: binaryen.Module,
  from: string,
  name: string,
  parameters: readonly Type[],
  result: Type | undefined,
): void {
  const type = binaryen.createType(parameters.map((parameter) => BINARYEN_TYPE[parameter]))
  module.addFunctionImport(name, from, name, type, result ? BINARYEN_TYPE[result] : binaryen.none)
}
