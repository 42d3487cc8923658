/** OpenBSD's error numbers, as far as the vmm and its monitor use them. EAGAIN is 35 here (11 on Linux). */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  EIO: 5,
  ENXIO: 6,
  ENOEXEC: 8,
  ENOMEM: 12,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  ENOTTY: 25,
  EAGAIN: 35,
  EALREADY: 37,
} as const

export type ErrnoName = keyof typeof ERRNO

/** A request that failed: ioctl(2) would return -1 and set errno. */
export class VmmError extends Error {
  override readonly name = 'VmmError'
  readonly code: ErrnoName
  readonly errno: number

  /** @param message what was wrong, in words, after the name of the request */
  constructor(code: ErrnoName, message: string) {
    super(message)
    this.code = code
    this.errno = ERRNO[code]
  }
}
