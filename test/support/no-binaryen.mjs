/** `node --import` this: loading Binaryen is an error from then on. */
import { register } from 'node:module'

const hook = `export async function resolve(specifier, context, next) {
  if (specifier === 'binaryen' || specifier.includes('/binaryen/')) throw new Error('Binaryen was loaded')
  return next(specifier, context)
}`
register(`data:text/javascript,${encodeURIComponent(hook)}`)
