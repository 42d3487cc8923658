/** The machines that `--vs` knows, by name. */
import type { MissingPeer, Peer } from './peer.ts'
import { openQemu } from './qemu.ts'

export const PEERS = ['qemu'] as const
export type PeerName = (typeof PEERS)[number]

/** @param image the guest, for those that take the same as we */
export function openPeer(name: PeerName, image: string): Peer | MissingPeer {
  switch (name) {
    case 'qemu':
      return openQemu(image)
  }
}
