/**
 * Founders reopen a run that has lost its quorum. The first makes an opening at its newest certified round and says who
 * goes on; each further one signs it; the last signature completes it, and that founder's peer tells the others.
 */
import { decodeRunConfig, type PeerId, publicKeyOf, type RunConfig } from '@murmuration/base';
import {
  createOpening,
  createReplica,
  foundersNeeded,
  type Opening,
  openingName,
  parseOpening,
  type ReplicaView,
  readLedgerEntry,
  signaturesMissing,
  signOpening,
} from '@murmuration/protocol';
import { hashBytes, openStore, type Store, verifySignature } from '@murmuration/store';
import { fromString } from 'uint8arrays/from-string';
import { toString as toText } from 'uint8arrays/to-string';
import { CliError } from './errors.ts';

export interface RecoverOptions {
  /** Folder of a founder whose peer does not run. */
  readonly directory: string;
  /** What another founder has signed; absent: a new opening. */
  readonly opening?: string;
  /** Members who go on, for a new opening; absent: all. */
  readonly listed?: readonly string[];
  /** Asks before anything is signed. */
  confirm(plan: RecoveryPlan): Promise<boolean>;
}

/** What signing would do. */
export interface RecoveryPlan {
  readonly round: number;
  readonly listed: readonly PeerId[];
  /** Members who would be guests. */
  readonly dropped: readonly PeerId[];
  /** Founders who must sign, and who have. */
  readonly needed: number;
  readonly signed: readonly PeerId[];
  /** After which round this founder has signed an opening before, which the run overtook. */
  readonly overtaken: number | undefined;
}

export interface Recovery extends RecoveryPlan {
  readonly opening: string;
  readonly isComplete: boolean;
}

/** The key of a setting: what this founder has signed for an epoch, and the opening that its peer is to tell. */
const signedKey = (opening: Opening): string => `opening/${opening.opened}`;
const tellKey = 'opening';

/** Signs an opening with the key of a founder. Throws `CliError` `bad-option`, `other-run`, `not-confirmed`. */
export async function recover(options: RecoverOptions): Promise<Recovery> {
  const store = openStore({ directory: options.directory });
  try {
    const run = await settingsOf(store);
    const { peer } = store.identity;
    if (!run.founders.includes(peer))
      throw new CliError(`expected the folder of a founder, ${options.directory} is that of ${peer}`, {
        code: 'bad-option',
      });
    const view = viewOf(store, run);
    const unsigned = options.opening ? readOpening(options.opening) : newOpening(store, view, options.listed);
    const opening = parseOpening(unsigned);
    checkPlace(view, opening);
    const overtaken = checkOnce(store, opening);
    const plan = planOf(run, view, opening, overtaken);
    if (!(await options.confirm(plan))) throw new CliError('nothing was signed', { code: 'not-confirmed' });
    store.putSetting(signedKey(opening), unsigned);
    const signed = signOpening(unsigned, peer, (message) => store.identity.sign(message));
    const isComplete = signaturesMissing(parseOpening(signed), run) === 0;
    if (isComplete) store.putSetting(tellKey, signed);
    return {
      ...planOf(run, view, parseOpening(signed), overtaken),
      opening: toText(signed, 'base64url'),
      isComplete,
    };
  } finally {
    store.close();
  }
}

async function settingsOf(store: Store): Promise<RunConfig> {
  const settings = store.runId && (await store.getBlob(store.runId));
  if (!settings)
    throw new CliError(`${store.directory} belongs to no run`, { code: 'no-store', path: store.directory });
  return decodeRunConfig(settings);
}

/** The ledger's end, as a replica reads it. */
function viewOf(store: Store, run: RunConfig): ReplicaView {
  const runId = store.runId as NonNullable<typeof store.runId>;
  const ledger = allEntries(store);
  const last = ledger.at(-1);
  if (ledger[0] && ledger[0].height > 1)
    throw new CliError('expected a ledger from the first round on: this folder joined at a checkpoint', {
      code: 'bad-ledger',
    });
  const replica = createReplica(
    { run, runId, self: store.identity.peer, role: 'observer', wallMs: 0 },
    {
      hash: hashBytes,
      sign: (bytes) => store.identity.sign(bytes),
      verify: verifySignature,
      voteKey: store.voteKey,
    },
  );
  const applied = last && { block: readLedgerEntry(last.bytes, runId).id, height: last.height };
  const records = store.records().filter(({ key }) => key === 'reopened' || key.startsWith('rekey/'));
  replica.handle({ kind: 'start', records, ledger, applied }, 0);
  return replica.view;
}

function allEntries(store: Store): { readonly height: number; readonly bytes: Uint8Array }[] {
  const all = [];
  const pageLength = 256;
  for (let height = store.firstHeight() ?? 1; ; ) {
    const page = store.entries(height, pageLength);
    if (page.length === 0) return all;
    all.push(...page);
    height += page.length;
  }
}

function newOpening(
  store: Store,
  { final, opens, members, rekeys }: ReplicaView,
  listed?: readonly string[],
) {
  for (const peer of listed ?? []) publicKeyOf(peer);
  return createOpening({
    runId: store.runId as NonNullable<typeof store.runId>,
    ...opens,
    fork: final.block,
    height: final.height,
    attempt: 0,
    listed: (listed ?? members) as readonly PeerId[],
    rekeys,
    authority: 'founders',
  });
}

function readOpening(text: string): Uint8Array {
  try {
    const bytes = fromString(text, 'base64url');
    parseOpening(bytes);
    return bytes;
  } catch (cause) {
    throw new CliError(
      `expected an opening as another founder's \`murmur recover\` printed it: ${(cause as Error).message}`,
      { code: 'bad-option' },
      { cause },
    );
  }
}

const planOf = (
  run: RunConfig,
  view: ReplicaView,
  opening: Opening,
  overtaken: number | undefined,
): RecoveryPlan => ({
  round: opening.height,
  listed: opening.listed,
  dropped: view.members.filter((member) => !opening.listed.includes(member)),
  needed: foundersNeeded(run),
  signed: opening.signatures.map(({ peer }) => peer),
  overtaken,
});

/** A founder signs only what goes on from what it knows to be final. */
function checkPlace({ final, opens, members }: ReplicaView, opening: Opening): void {
  if (opening.authority !== 'founders')
    throw new CliError('expected an opening by founders, got one by survivors', { code: 'bad-option' });
  if (opening.fork !== final.block || opening.opened !== opens.opened)
    throw new CliError(
      `the opening goes on from round ${opening.height} (${opening.fork}), this peer's newest certified one is ${final.height} (${final.block}): ${
        opening.height > final.height
          ? 'let this peer catch up first'
          : 'the run has gone on since, make a new opening'
      }`,
      { code: 'other-run', expected: final.block, got: opening.fork },
    );
  const stranger = opening.listed.find((peer) => !members.includes(peer));
  if (stranger)
    throw new CliError(`expected members of the run, ${stranger} is none`, { code: 'bad-option', stranger });
}

/**
 * Two openings of one epoch could be two histories: nobody signs the second, unless the run has overtaken the first.
 * Where a block above the first one's fork is final, that block and the first opening are two histories already; the
 * second opening goes on from that block, so it contradicts nothing that the block does not. Returns the round after
 * which the first one was.
 */
function checkOnce(store: Store, opening: Opening): number | undefined {
  const bytes = store.getSetting(signedKey(opening));
  const earlier = bytes && parseOpening(bytes);
  if (!earlier || openingName(earlier) === openingName(opening)) return undefined;
  if (earlier.height < opening.height && isOnChain(store, earlier)) return earlier.height;
  throw new CliError(
    'this founder has signed another opening of this epoch already: complete that one, or nobody is sure which counts',
    { code: 'bad-option', signed: openingName(earlier) },
  );
}

/** Whether this founder's ledger has the block that an opening goes on from. */
function isOnChain(store: Store, { fork, height }: Opening): boolean {
  const runId = store.runId as NonNullable<typeof store.runId>;
  const [entry] = store.entries(height, 1);
  return height === 0 || (entry?.height === height && readLedgerEntry(entry.bytes, runId).id === fork);
}
