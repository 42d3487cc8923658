/** A boot image that can not be loaded; the message says what about it. */
export class LoaderError extends Error {
  override readonly name = 'LoaderError'
}

export function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`
}
