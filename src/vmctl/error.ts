/** What the user asked for can not be done; the message says why, without "vmctl: " and the command's name. */
export class VmctlError extends Error {
  override readonly name = 'VmctlError'
}
