/**
 * What shows a third party one peer's share of the certified tokens, without the rest of the ledger. The run's settings
 * name the founders, who vote in epoch 0. For each epoch the block that ended it comes with the finalize certificate of
 * that epoch's voters; its state root, by a Merkle proof each, says who the members and voters of the next one are.
 * Where the founders opened an epoch anew, their opening comes instead, with the block that it goes on from. So the
 * reader arrives at the voters of the newest epoch, and trusts their certificate for the newest final block, whose
 * state says how many tokens are certified in all and how many of them are this peer's.
 *
 * The file is dag-cbor `{ epochs, kind, newest, peer, run, version }`; `run`, `newest` and each of `epochs` are byte
 * strings, dag-cbor again. So a reader sees how many steps there are, and how long each is, before it looks into one.
 */
import {
  type Cid,
  cidOfDigest,
  DigestError,
  decodeCbor,
  decodeRunConfig,
  type PeerId,
  provenRoot,
  type RunConfig,
  RunConfigError,
  runIdOf,
} from '@murmuration/base';
import { equals } from 'uint8arrays/equals';
import { type AuditComponents, auditRules } from './audit.ts';
import { genesisRecord, type Rules } from './block-record.ts';
import { checkFinality, type Electorate, readCertificate } from './certificate.ts';
import {
  guestsKept,
  membersMax,
  proofEpochsMax,
  proofLeafBytesMax,
  runBytesMax,
  shareProofBytesMax,
  votersMax,
} from './defaults.ts';
import { ProtocolError } from './errors.ts';
import { bytesField, bytesListField, type Fields, integerField, peerField, readFields } from './fields.ts';
import { decodeHeader, genesisBlockId, type Header, headerBytesMax } from './header.ts';
import type { BlockId } from './index.ts';
import {
  genesisState,
  type LedgerState,
  leafOf,
  openEpoch,
  type StatePart,
  stateLeafCount,
} from './ledger-state.ts';
import {
  forgedOpening,
  openingName,
  parseOpening,
  rekeyed,
  signaturesMissing,
  staleRekeyIn,
} from './opening.ts';
import { checkPart } from './state-bytes.ts';
import type { EpochId } from './vote.ts';

export const shareProofVersion = 1;
export const shareProofKind = 'murmuration/share';

/** What a share proof shows. */
export interface Share {
  readonly run: RunConfig;
  readonly runId: Cid;
  readonly peer: PeerId;
  readonly standing: 'member' | 'guest';
  /** Certified tokens of this peer, and of all. */
  readonly tokens: number;
  readonly tokensOfAll: number;
  /** Up to which block, in which epoch. */
  readonly height: number;
  readonly block: BlockId;
  readonly epoch: number;
  readonly stateRoot: Uint8Array;
}

const tooLong = (what: string, length: number, max: number): ProtocolError =>
  new ProtocolError(`${what}: expected at most ${max}, got ${length}`, { code: 'too-long', length, max });

/**
 * Checks a share proof; who asks compares `runId` with that of the run. Throws `ProtocolError` `bad-proof`, `too-long`,
 * `unknown-version`.
 */
export function checkShareProof(bytes: Uint8Array, components: AuditComponents): Share {
  if (bytes.length > shareProofBytesMax)
    throw tooLong('share proof: bytes', bytes.length, shareProofBytesMax);
  try {
    return readShareProof(bytes, components);
  } catch (cause) {
    const isTyped = cause instanceof DigestError || cause instanceof RunConfigError;
    if (!isTyped && !(cause instanceof ProtocolError && cause.code !== 'unknown-version')) throw cause;
    throw new ProtocolError(`share proof: ${cause.message}`, { code: 'bad-proof' }, { cause });
  }
}

const bad = (problem: string): never => {
  throw new ProtocolError(problem, { code: 'bad-proof' });
};

function readShareProof(bytes: Uint8Array, components: AuditComponents): Share {
  const outer = openProof(bytes);
  const run = decodeRunConfig(bytesField(outer, 'run', 1, runBytesMax));
  const runId = runIdOf(run);
  const rules = auditRules({ run, runId }, components);
  const opened = genesisBlockId(runId);
  let at: Standing = {
    epoch: { epoch: 0, opened },
    block: opened,
    height: 0,
    electorate: genesisRecord(rules).state,
  };
  for (const step of bytesListField(outer, 'epochs', proofEpochsMax)) at = passEpoch(rules, at, step);
  const { header, id, fields } = readStep(rules, at, bytesField(outer, 'newest', 1, stepBytesMax), [
    'tokens',
    'peers',
  ]);
  const peer = peerField(outer, 'peer');
  const { value: tokensOfAll } = readPart(rules, header, fields, 'tokens', ['tokens']);
  const { part, value } = readPart(rules, header, fields, 'peers', ['members', 'guests']);
  const own = listOf(value, part === 'members' ? membersMax : guestsKept).find(
    (entry) => entry.peer === peer,
  );
  const tokens = own?.tokens;
  if (!isCount(tokens) || !isCount(tokensOfAll) || tokens > tokensOfAll)
    return bad(`expected tokens of ${peer} among its ${part}`);
  return {
    run,
    runId,
    peer,
    standing: part === 'members' ? 'member' : 'guest',
    tokens,
    tokensOfAll,
    height: header.height,
    block: id,
    epoch: header.epoch,
    stateRoot: header.root,
  };
}

/**
 * Every step holds a header, two parts of a state, and a certificate: a signature and perhaps a renewed key per voter.
 */
const stepBytesMax: number = 2 * proofLeafBytesMax + headerBytesMax + 640 * votersMax + 2_000;
/** The map's keys and values, one byte string per epoch, and the lists themselves. */
const outerItemsMax: number = proofEpochsMax + 16;
const stepItemsMax = 256;
/** A member has seven fields with their names. */
const partItemsMax: number = 32 * membersMax;

function openProof(bytes: Uint8Array): Fields {
  const value = decodeCbor(bytes, outerItemsMax);
  const version = (value as { version?: unknown } | null)?.version;
  if (Number.isSafeInteger(version) && version !== shareProofVersion)
    throw new ProtocolError(
      `share proof: expected version ${shareProofVersion}, got ${String(version)}: another release of murmur wrote it`,
      { code: 'unknown-version', version },
    );
  const fields = readFields(value, 'proof', ['kind', 'version', 'run', 'peer', 'epochs', 'newest']);
  integerField(fields, 'version', shareProofVersion, shareProofVersion);
  if (fields.values.kind !== shareProofKind)
    bad(`expected ${shareProofKind}, got ${String(fields.values.kind).slice(0, 60)}`);
  return fields;
}

/** Whom the reader believes when it has come to this epoch. */
interface Standing {
  readonly epoch: EpochId;
  /** The block that it goes on from. */
  readonly block: BlockId;
  readonly height: number;
  readonly electorate: Electorate;
}

/** A block that the voters of this epoch made final. */
function readStep(
  rules: Rules,
  { epoch, height, electorate }: Standing,
  bytes: Uint8Array,
  shown: readonly string[],
) {
  if (bytes.length > stepBytesMax) throw tooLong('step: bytes', bytes.length, stepBytesMax);
  const fields = readFields(decodeCbor(bytes, stepItemsMax), 'step', ['header', 'certificate', ...shown]);
  const headerBytes = bytesField(fields, 'header', 1, headerBytesMax);
  const header = decodeHeader(headerBytes);
  const { run, certificate } = readCertificate(fields.values.certificate);
  const id = cidOfDigest(rules.hash(headerBytes), 'dag-cbor');
  if (!equals(header.run, rules.runDigest) || !equals(run, rules.runDigest)) bad('block of another run');
  if (header.epoch !== epoch.epoch) bad(`block of epoch ${header.epoch}, expected ${epoch.epoch}`);
  if (header.height <= height) bad(`block of height ${header.height} after that of height ${height}`);
  const problem = checkFinality(certificate, rules, { id, view: header.view }, epoch, electorate);
  if (problem) bad(`block ${header.height}: ${problem}`);
  return { header, id, fields };
}

/** From an epoch to the next one: over the block that ended it, or over an opening. */
function passEpoch(rules: Rules, at: Standing, bytes: Uint8Array): Standing {
  if (bytes.length > stepBytesMax) throw tooLong('step: bytes', bytes.length, stepBytesMax);
  const value = decodeCbor(bytes, stepItemsMax);
  if ((value as { opening?: unknown } | null)?.opening !== undefined)
    return passOpening(rules, at, readFields(value, 'step', ['opening', 'base']));
  const { header, id, fields } = readStep(rules, at, bytes, ['epoch', 'members', 'voters']);
  const members = membersIn(rules, header, fields);
  const { value: voters } = readPart(rules, header, fields, 'voters', ['voters']);
  const { value: epoch } = readPart(rules, header, fields, 'epoch', ['epoch']);
  const isVoters = Array.isArray(voters) && voters.length > 0 && voters.length <= votersMax;
  if (!isCount(epoch) || !isVoters || voters.some((voter) => !members.some(({ peer }) => peer === voter)))
    return bad(`block ${header.height}: expected an epoch and its voters among the members`);
  return {
    epoch: { epoch, opened: id },
    block: id,
    height: header.height,
    electorate: { members, voters: voters as PeerId[] },
  };
}

/** Into an epoch that the founders opened, from the last final block of the one before. */
function passOpening(rules: Rules, at: Standing, step: Fields): Standing {
  const opening = parseOpening(bytesField(step, 'opening', 1, stepBytesMax));
  let { block, height } = at;
  let { members } = at.electorate;
  if (step.values.base !== null) {
    const { header, id, fields } = readStep(rules, at, bytesField(step, 'base', 1, stepBytesMax), [
      'members',
    ]);
    members = membersIn(rules, header, fields);
    block = id;
    height = header.height;
  }
  const { epoch, listed } = opening;
  const follows = opening.fork === block && opening.height === height && opening.opened === at.epoch.opened;
  if (!follows || epoch !== at.epoch.epoch)
    bad(`opening at height ${opening.height} that goes on from nowhere`);
  const missing = opening.authority === 'founders' ? signaturesMissing(opening, rules.run) : Number.NaN;
  if (missing !== 0) bad('opening without the founders');
  const problem = forgedOpening(opening, rules) ?? staleRekeyIn(opening, { members });
  if (problem) bad(problem);
  const left = rekeyed(members, opening).filter(({ peer }) => listed.includes(peer));
  if (left.length < listed.length) bad('opening that lists somebody who is no member');
  const electorate = openEpoch(rules.run, { ...genesisState(rules.run), epoch: epoch + 1, members: left });
  return { epoch: { epoch: epoch + 1, opened: openingName(opening) }, block, height, electorate };
}

const membersIn = (rules: Rules, header: Header, step: Fields): LedgerState['members'] =>
  listOf(
    readPart(rules, header, step, 'members', ['members']).value,
    membersMax,
  ) as unknown as LedgerState['members'];

/** A part of the state after a block: its value, once the block's root has shown which one it is. */
function readPart(rules: Rules, header: Header, step: Fields, key: string, parts: readonly StatePart[]) {
  const fields = readFields(step.values[key], key, ['leaf', 'path']);
  const leaf = bytesField(fields, 'leaf', 1, proofLeafBytesMax);
  const path = bytesListField(fields, 'path', stateLeafCount);
  const part = parts.find((one) => {
    const root = provenRoot(leaf, { index: leafOf(one), count: stateLeafCount, path }, rules.hash);
    return root && equals(root, header.root);
  });
  const pair = part && decodeCbor(leaf, partItemsMax);
  if (!part || !Array.isArray(pair))
    return bad(`block ${header.height}: its state root does not show these ${parts.join(' or ')}`);
  const value: unknown = pair[1];
  checkPart(part, value);
  return { part, value };
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/** Peers with keys and tokens, as members and guests are written: a checked part of a state. */
function listOf(value: unknown, max: number): readonly { readonly peer: string; readonly tokens: unknown }[] {
  if (!Array.isArray(value) || value.length > max) return bad(`expected at most ${max} peers`);
  return value;
}
