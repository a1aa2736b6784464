import type { Store } from '@murmuration/store';
import { fromString as bytesOf } from 'uint8arrays/from-string';
import { toString as textOf } from 'uint8arrays/to-string';
import type { PeerStatus } from './index.ts';

const setting = 'status';
const ownAddressesSetting = 'own-addresses';
const knownAddressesSetting = 'known-addresses';

/** A status as a running peer left it for others to read. */
export interface SavedStatus {
  readonly timeMs: number;
  readonly status: PeerStatus;
}

export function saveStatus(store: Pick<Store, 'putSetting'>, status: PeerStatus): void {
  const saved: SavedStatus = { timeMs: Date.now(), status };
  store.putSetting(setting, bytesOf(JSON.stringify(saved)));
}

/** The status that the folder's peer saved last, running or not. */
export function lastStatus(store: Pick<Store, 'getSetting'>): SavedStatus | undefined {
  const bytes = store.getSetting(setting);
  return bytes && (JSON.parse(textOf(bytes)) as SavedStatus);
}

const addressesIn = (store: Pick<Store, 'getSetting'>, name: string): readonly string[] => {
  const bytes = store.getSetting(name);
  return bytes ? (JSON.parse(textOf(bytes)) as string[]) : [];
};

/** Where this peer listens, for links that are printed while it does not run, and where others were found. */
export function saveAddresses(
  store: Pick<Store, 'putSetting'>,
  { own, known }: { readonly own: readonly string[]; readonly known: readonly string[] },
): void {
  if (own.length > 0) store.putSetting(ownAddressesSetting, bytesOf(JSON.stringify(own)));
  if (known.length > 0) store.putSetting(knownAddressesSetting, bytesOf(JSON.stringify(known)));
}

/** Addresses of other peers of the run. */
export const knownAddresses = (store: Pick<Store, 'getSetting'>): readonly string[] =>
  addressesIn(store, knownAddressesSetting);

/** Addresses that the folder's peer and others of its run had last, its own first. */
export const lastAddresses = (store: Pick<Store, 'getSetting'>): readonly string[] => [
  ...addressesIn(store, ownAddressesSetting),
  ...knownAddresses(store),
];
