/** The last duty of a member: the others must stop to count on it before its key is gone. */
import { second } from '@murmuration/base';
import { createPeer, type Peer, type PeerEvent } from '@murmuration/peer';
import { CliError } from './errors.ts';
import { createLiveView } from './live-view.ts';
import { stopOnSignals } from './signals.ts';

/** How the wait ended well; a member that nobody retires in time is an error. */
export type Farewell = 'retired' | 'no-member' | 'last-member' | 'run-ended' | 'interrupted';

/** How often the wait is shown and looked at. */
const lookEveryMs: number = 0.5 * second;
/**
 * So long the peer stays, connected to a member, after its last block is final: it repeats what the others need to go
 * on after 1, 2.5 and 4.75 s. Where no member is connected it waits for one, but not for ever.
 */
const stayMs: number = 5 * second;
const stayMaxMs: number = 60 * second;

/**
 * Runs the peer of a folder until the block that retires it is final. Throws `CliError` `not-retired` when that takes
 * longer than `waitMs`.
 */
export async function retire(directory: string, waitMs: number): Promise<Farewell> {
  const view = createLiveView({ output: process.stderr });
  const done = Promise.withResolvers<Farewell>();
  const onEvent = (event: PeerEvent): void => {
    if (event.kind === 'retired' && event.peer === peer?.id) done.resolve('retired');
    if (event.kind === 'ended') done.resolve('run-ended');
  };
  let peer: Peer | undefined;
  peer = await createPeer({ config: { directory } }, { onEvent });
  const { id } = peer;
  const interrupted = new AbortController();
  const signals = stopOnSignals(() => {
    interrupted.abort();
    done.resolve('interrupted');
  });
  const startedMs = performance.now();
  const timer = setInterval(() => {
    const spentMs = performance.now() - startedMs;
    const outcome = peer && outcomeOf(peer);
    if (outcome) done.resolve(outcome);
    else if (spentMs > waitMs) done.reject(lateError(peer as Peer, waitMs));
    else view.show([progressOf(peer as Peer, spentMs, waitMs)]);
  }, lookEveryMs);
  peer.finished.catch((error: unknown) => done.reject(error));
  try {
    peer.leave();
    const outcome = await done.promise;
    if (outcome === 'retired') {
      view.tell(`the others go on without ${id}`);
      await stayFor(peer, interrupted.signal);
    }
    return outcome;
  } finally {
    clearInterval(timer);
    await peer.stop();
    signals.dispose();
    view.close();
  }
}

async function stayFor(peer: Peer, interrupted: AbortSignal): Promise<void> {
  const untilMs = performance.now() + stayMaxMs;
  let toldMs = 0;
  while (toldMs < stayMs && performance.now() < untilMs && !interrupted.aborted) {
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
    if (peer.status().membersConnected > 0) toldMs += lookEveryMs;
  }
}

/** What a look at the peer tells, once it knows the newest blocks. */
function outcomeOf(peer: Peer): Farewell | undefined {
  const { phase, role, members } = peer.status();
  if (phase === 'ended') return 'run-ended';
  if (phase !== 'running') return undefined;
  if (role !== 'member') return 'no-member';
  return members === 1 ? 'last-member' : undefined;
}

const seconds = (ms: number): string => `${Math.round(ms / second)} s`;

function progressOf(peer: Peer, spentMs: number, waitMs: number): string {
  const { phase, round, members, membersConnected } = peer.status();
  const at = phase === 'running' ? `round ${round}` : phase;
  return `asked to leave · ${at} · ${membersConnected} of ${members} members connected · ${seconds(spentMs)} of ${seconds(waitMs)}`;
}

function lateError(peer: Peer, waitMs: number): CliError {
  const { members, membersConnected } = peer.status();
  return new CliError(
    `no block retired this peer within ${seconds(waitMs)} (${membersConnected} of ${members} members connected); nothing was deleted. ` +
      'Try again when more of them are there, or leave with --now: until they retire it for its silence they count on it',
    { code: 'not-retired', members, membersConnected },
  );
}
