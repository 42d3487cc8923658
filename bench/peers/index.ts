/** The machines that `--vs` knows, by name. */

import { openNative } from './native.ts'
import type { MissingPeer, Peer } from './peer.ts'
import { openQemu } from './qemu.ts'
import { openV86 } from './v86.ts'

export const PEERS = ['qemu', 'v86', 'native'] as const
export type PeerName = (typeof PEERS)[number]

/** @param image the guest, for those that take the same as we */
export function openPeer(name: PeerName, image: string): Peer | MissingPeer {
  switch (name) {
    case 'qemu':
      return openQemu(image)
    case 'v86':
      return openV86()
    case 'native':
      return openNative()
  }
}
