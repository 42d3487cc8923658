/** What the user asked for can not be done; the message says why, without "vmctl: " and the command's name. */
export class VmctlError extends Error {
  override readonly name = 'VmctlError'
}

/** For actions that fail when the user has named a wrong file, and whose errors say so. @throws VmctlError */
export async function refusing<Result>(action: () => Result | Promise<Result>): Promise<Result> {
  try {
    return await action()
  } catch (error) {
    throw new VmctlError(error instanceof Error ? error.message : String(error))
  }
}
