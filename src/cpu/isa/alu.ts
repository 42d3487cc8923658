/** Integer addition, subtraction, logic and comparison (Intel SDM volume 2; one entry an instruction, all sizes). */
import { instruction } from './table.ts'

instruction('add', 'rw r', (x, a, b) => {
  const r = x.let(x.add(a, b))
  x.flags.add(a, b, r)
  return r
})

instruction('adc', 'rw r', (x, a, b) => {
  const carry = x.flags.cf()
  const r = x.let(x.add(x.add(a, b), x.fromBool(carry)))
  x.flags.adc(a, b, carry, r)
  return r
})

instruction('sub', 'rw r', (x, a, b) => {
  const r = x.let(x.sub(a, b))
  x.flags.sub(a, b, r)
  return r
})

instruction('sbb', 'rw r', (x, a, b) => {
  const carry = x.flags.cf()
  const r = x.let(x.sub(x.sub(a, b), x.fromBool(carry)))
  x.flags.sbb(a, b, carry, r)
  return r
})

instruction('cmp', 'r r', (x, a, b) => {
  x.flags.sub(a, b, x.let(x.sub(a, b)))
})

instruction('inc', 'rw', (x, a) => {
  const r = x.let(x.add(a, x.k(1)))
  x.flags.inc(a, r)
  return r
})

instruction('dec', 'rw', (x, a) => {
  const r = x.let(x.sub(a, x.k(1)))
  x.flags.dec(a, r)
  return r
})

instruction('neg', 'rw', (x, a) => {
  const r = x.let(x.sub(x.k(0), a))
  x.flags.sub(x.k(0), a, r)
  return r
})

instruction('not', 'rw', (x, a) => x.not(a))

instruction('and', 'rw r', (x, a, b) => {
  const r = x.let(x.and(a, b))
  x.flags.logic(r)
  return r
})

instruction('or', 'rw r', (x, a, b) => {
  const r = x.let(x.or(a, b))
  x.flags.logic(r)
  return r
})

instruction('xor', 'rw r', (x, a, b) => {
  const r = x.let(x.xor(a, b))
  x.flags.logic(r)
  return r
})

instruction('test', 'r r', (x, a, b) => {
  x.flags.logic(x.let(x.and(a, b)))
})

// ADX: unsigned addition through CF or OF alone.

instruction('adcx', 'rw r', (x, a, b) => {
  const carry = x.flags.cf()
  const r = x.let(x.add(x.add(a, b), x.fromBool(carry)))
  const wrapped = x.binary('and', carry, x.compare('eq', r, a))
  x.flags.carry(x.binary('or', x.compare('lt_u', r, a), wrapped))
  return r
})

instruction('adox', 'rw r', (x, a, b) => {
  const carry = x.let(x.flags.of())
  const r = x.let(x.add(x.add(a, b), x.fromBool(carry)))
  const wrapped = x.binary('and', carry, x.compare('eq', r, a))
  x.flags.overflow(x.binary('or', x.compare('lt_u', r, a), wrapped))
  return r
})

// BMI1 and BMI2 without the bit-field extractors (bit.ts): three operands, SF and ZF from the result.

instruction('andn', 'w r r', (x, _dst, a, b) => {
  const r = x.let(x.and(x.not(a), b))
  x.flags.logic(r)
  return r
})

instruction('blsi', 'w r', (x, _dst, a) => {
  const r = x.let(x.and(x.sub(x.k(0), a), a))
  x.flags.logic(r)
  x.flags.carry(x.bool32(a))
  return r
})

instruction('blsmsk', 'w r', (x, _dst, a) => {
  const r = x.let(x.xor(x.sub(a, x.k(1)), a))
  x.flags.logic(r)
  x.flags.carry(x.eqz(a))
  return r
})

instruction('blsr', 'w r', (x, _dst, a) => {
  const r = x.let(x.and(x.sub(a, x.k(1)), a))
  x.flags.logic(r)
  x.flags.carry(x.eqz(a))
  return r
})
