/** What a real peer does for each effect of its replica, done here. One entry per kind. */
import { decodeCbor } from '@murmuration/base';
import type { Block, BlockId, Effect } from '@murmuration/protocol';
import { keepSnapshot, keepState, sweepBlobs } from './disk.ts';
import { drawMs } from './distribution.ts';
import type { SimEffect } from './liars.ts';
import type { Life } from './life.ts';
import type { SimPeer } from './peer.ts';
import { readMessage } from './statements.ts';
import { cancelFetch, fetchBlob, installState, syncLedger } from './transfers.ts';

type Of<Kind extends SimEffect['kind']> = Extract<SimEffect, { kind: Kind }>;
type Performers = { readonly [Kind in SimEffect['kind']]?: (life: Life, effect: Of<Kind>) => void };

const performers: Performers = {
  verdict: () => undefined,
  'cancel-fetch': cancelFetch,
  fetch: fetchBlob,
  sync: syncLedger,
  install: installState,
  persist: ({ peer }, { record }) => {
    peer.disk.records.set(record.key, record);
  },
  forget,
  publish,
  send({ peer, setting }, { to, bytes }) {
    setting.network.send(peer, to, bytes);
  },
  serve: ({ peer, replica }, { blob, bytes }) => {
    peer.disk.blobs.set(blob, { bytes, height: replica.view.head.height });
  },
  timer: setTimer,
  execute,
  apply,
  undo({ trainer, peer, setting }, { block, height }) {
    trainer.undo(block);
    setting.trace?.note(peer.index, 'undo', height);
    save({ trainer, peer });
  },
  settle,
  fork({ trainer, peer }) {
    trainer.fork();
    save({ trainer, peer });
  },
  provision({ trainer, peer }, { block, applied }) {
    if (applied) trainer.settle(block.id);
    save({ trainer, peer });
  },
  rewind(life, { block, height, tensors, carry }) {
    if (life.peer.isHonest) parted(life, block);
    life.trainer.rewind({ block, height, tensors }, carry);
    life.peer.disk.checkpoint = life.trainer.checkpoint();
    life.later(1, () => life.handle({ kind: 'rewound', block }));
  },
  expire({ trainer, peer, setting }, { blob }) {
    trainer.expire(blob);
    if (peer.isHonest) setting.judge.work.expired(blob);
    save({ trainer, peer });
  },
  report,
};

export function perform(life: Life, effect: SimEffect): void {
  const { peer, setting } = life;
  const performer = performers[effect.kind] as ((life: Life, effect: SimEffect) => void) | undefined;
  if (performer) performer(life, effect);
  else setting.judge.complain(`peer ${peer.index}: nobody performs the effect ${effect.kind}`);
}

const parted = ({ peer, trainer, setting }: Life, fork: BlockId): void =>
  setting.judge.work.book.part(peer.id, fork, trainer.stand.block);

/** The checkpoint is written now and then, so that a restart finds one older than the ledger. */
function save({ peer, trainer }: Pick<Life, 'peer' | 'trainer'>): void {
  if (peer.random.below(2) === 0) peer.disk.checkpoint = trainer.checkpoint();
}

function publish({ peer, setting }: Life, { bytes }: Of<'publish'>): void {
  const { judge, network, trace } = setting;
  peer.published++;
  const statements = readMessage(bytes);
  if (peer.isHonest) judge.signatures.published(peer, statements, bytes.length);
  if (trace)
    for (const { kind, body } of statements) {
      if (kind === 'vote' && body.voter === peer.id)
        trace.note(peer.index, body.choice as 'skip', Number(body.view));
      if (kind === 'contribution' && body.author === peer.id)
        trace.note(peer.index, 'contribute', Number(body.sequence));
      if (kind === 'proposal' && body.proposer === peer.id)
        trace.note(peer.index, 'propose', Number(body.view));
    }
  network.publish(peer, bytes);
}

function setTimer(life: Life, { name, at }: Of<'timer'>): void {
  const { timers, peer } = life;
  if (at === undefined) {
    timers.delete(name);
    return;
  }
  timers.set(name, at);
  life.later(peer.clock.until(at), () => {
    if (timers.get(name) !== at) return;
    if (peer.clock.now < at) {
      setTimer(life, { kind: 'timer', name, at });
      return;
    }
    timers.delete(name);
    life.handle({ kind: 'timer', name });
  });
}

function execute(life: Life, { request, execution }: Of<'execute'>): void {
  const { peer, setting, trainer } = life;
  const tensors = trainer.execute(execution);
  const takes = drawMs(setting.scenario.execution, peer.random) * (peer.traits.executeFactor ?? 1);
  life.later(takes, () => life.handle({ kind: 'executed', request, tensors }));
}

/**
 * Work that a block takes must leave the local parameters, or it is counted again with the next delta. A peer that was
 * put back to a backup never did what it announced after that; one whose engine went back to an older state did it
 * already.
 */
function apply({ peer, trainer, setting }: Life, { block, own, carried }: Of<'apply'>): void {
  const { judge } = setting;
  const { forgotten } = judge.work.book;
  const taken = block.contributions.find(
    ({ author, blob }) => author === peer.id && !forgotten.has(blob),
  )?.cid;
  if (taken !== own && carried === undefined && peer.isHonest && peer.engine === 'sound')
    judge.complain(`G4: peer ${peer.index} applies ${block.height} with own ${own}, it carries ${taken}`);
  trainer.apply(block, own, carried);
  setting.trace?.note(peer.index, 'apply', block.height);
  save({ peer, trainer });
}

function settle({ peer, trainer, replica, setting }: Life, effect: Of<'settle'>): void {
  const { block, entry, applied } = effect;
  const { judge, run, trace } = setting;
  const { disk } = peer;
  if (applied) trainer.settle(block.id);
  if (entry.height > disk.ledger.length + 1 && peer.isHonest)
    judge.complain(`G8: peer ${peer.index} settles ${entry.height} after ${disk.ledger.length}`);
  disk.ledger[entry.height - 1] ??= entry;
  if (effect.state) keepState(disk, entry.height, effect.state);
  if (peer.isHonest) judge.settled(peer, block, replica.view.voters.length);
  if (peer.isHonest && applied) watchDeltas(setting, peer, block);
  trace?.note(peer.index, 'final', block.height);
  const { tensors, id, height } = block;
  const values = applied && height % run.snapshotEvery === 0 && trainer.thetaAfter(id);
  if (values) keepSnapshot(disk, tensors, { block: id, height, values });
  if (height % blobSweepEvery === 0) sweepBlobs(disk, height - blobsKept);
  if (peer.isHonest) judge.bounds.disk(disk);
  save({ peer, trainer });
}

/** What is certified must be what it was announced as. */
function watchDeltas({ reader, judge }: Life['setting'], { disk, index }: SimPeer, block: Block): void {
  for (const { blob, author, base, norm } of block.contributions) {
    const bytes = disk.blobs.get(blob)?.bytes;
    if (bytes && !reader.isValid(blob, bytes, { author, base, norm }))
      judge.complain(
        `G4: peer ${index} certifies ${blob} at ${block.height}, which is not what it was announced as`,
      );
  }
}

/** Blobs of so many heights are kept for those who replay; beyond them a snapshot is shorter. */
const blobsKept = 64;
const blobSweepEvery = 8;

/** A vote of a view after the newest stored block's may still be contradicted, so its record must stay. */
function forget({ peer, setting, replica }: Life, { below, prefix }: Of<'forget'>): void {
  const { judge, run } = setting;
  const last = peer.disk.ledger.at(-1);
  const decided = last ? decidedBy(last.bytes) : { epoch: 0, view: -1, endsEpoch: false };
  for (const [key, { height }] of peer.disk.records) {
    if (height >= below || key.startsWith('recovery/') !== (prefix !== undefined)) continue;
    peer.disk.records.delete(key);
    const [kind, epoch, view] = key.split('/');
    const isOpen =
      Number(epoch) === decided.epoch &&
      Number(view) > decided.view &&
      peer.disk.ledger.length < run.rounds &&
      replica.view.epoch === decided.epoch;
    if (kind === 'vote' && isOpen && peer.isHonest)
      judge.complain(`G8: peer ${peer.index} forgets ${key} after storing a block of view ${decided.view}`);
  }
}

/** The view up to which a stored entry decides. */
function decidedBy(entry: Uint8Array): { epoch: number; view: number } {
  const { header, certificate } = decodeCbor(entry) as {
    header: Uint8Array;
    certificate: { view: number } | null;
  };
  const { epoch, view } = decodeCbor(header) as { epoch: number; view: number };
  return { epoch, view: certificate?.view ?? view };
}

/** The key signs nothing any more: the driver makes a new one and starts again. */
function renewKey(life: Life): void {
  const { peer } = life;
  life.later(0, () => {
    peer.voteKeys++;
    peer.kill();
    peer.start();
  });
}

function report(life: Life, { report: said }: Extract<Effect, { kind: 'report' }>): void {
  const { peer, setting, replica } = life;
  const { judge, trace } = setting;
  if (said.kind === 'forgotten') renewKey(life);
  if (said.kind === 'ended') peer.hasEnded = true;
  if (said.kind === 'skipped') {
    trace?.note(peer.index, 'skipped', said.view);
    if (peer.isHonest) judge.skipped(`${replica.view.epoch}/${said.view}`);
  }
  if (said.kind === 'admitted') trace?.note(peer.index, 'admitted', said.epoch);
  if (said.kind === 'diverged' && peer.isHonest && (said.again || peer.engine !== 'faulty'))
    judge.complain(`G2: peer ${peer.index} diverged at height ${said.height}`);
  if (peer.isHonest) judge.reported(peer, said);
}
