import type { Store } from '@murmuration/store';
import { fromString as bytesOf } from 'uint8arrays/from-string';
import { toString as textOf } from 'uint8arrays/to-string';
import type { PeerStatus } from './index.ts';

const setting = 'status';

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
