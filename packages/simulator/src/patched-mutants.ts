/**
 * Broken builds of the replica itself: a changed place or two in the production sources each, and the scenario that
 * notices it.
 */
import { mutantSeedOf } from './mutant-seeds.ts';
import type { MutantCase } from './mutants.ts';

/** File, what stands there once, and what stands there instead. */
type Change = readonly [file: string, find: string, replace: string];
type Row = readonly [breaks: string, name: string, plan: string, ...changes: readonly Change[]];

const rows: readonly Row[] = [
  [
    'G1',
    'half of the voters are a quorum',
    'halves',
    ['protocol/src/roster.ts', 'Math.floor(voters / 2) + 1', 'Math.ceil(voters / 2)'],
  ],
  [
    'G1',
    'certificates of ledger entries unchecked',
    'forked-ledger',
    [
      'protocol/src/sync.ts',
      'if (checkFinality(certificate, machine.rules, record.block, next, state)) return false;',
      'if (!next || !state || !checkFinality) return false;',
    ],
  ],
  [
    'G2',
    'contributions in any order',
    'earned',
    [
      'protocol/src/block-record.ts',
      "cid <= (contributions[index - 1]?.cid ?? '')",
      'cid === contributions[index - 1]?.cid',
    ],
    [
      'protocol/src/pool.ts',
      '.slice(0, aggregation.contributionsMax)\n    .sort(byCid);',
      '.slice(0, aggregation.contributionsMax);',
    ],
  ],
  [
    'G2',
    'notarized without comparing roots',
    'wrong-execution',
    ['protocol/src/agree.ts', "if (root !== 'equal' || !mayVote", 'if (!root || !mayVote'],
  ],
  [
    'G2',
    'the old values are rounded before an undo',
    'slow-network',
    ['delta/src/aggregate.ts', 'old[i] = before;', 'old[i] = Math.round(before * 2 ** 20) / 2 ** 20;'],
  ],
  [
    'G3',
    'what was notarized is forgotten with its proposer',
    'forgotten-proposal',
    [
      'protocol/src/agree.ts',
      "  keepProposal(machine, view);\n  cast(machine, 'notarize', view, record.block.id);",
      "  cast(machine, 'notarize', view, record.block.id);",
    ],
  ],
  [
    'G3',
    'only its proposer repeats a notarized block',
    'cut-from-the-dead',
    [
      'protocol/src/publish.ts',
      'statements.push(...notarizedProposals(machine))',
      'notarizedProposals(machine)',
    ],
  ],
  [
    'G3',
    'a view timer that never ends',
    'dead-proposer',
    [
      'protocol/src/agree.ts',
      'if (machine.now < machine.viewDeadline) return false;',
      'if (machine.now >= 0) return false;',
    ],
  ],
  [
    'G3',
    'dead proposers get their time',
    'third-dead-4',
    [
      'protocol/src/agree.ts',
      '!isActive(machine, proposer) || isSilent(machine, proposer) || machine',
      'machine',
    ],
  ],
  [
    'G3',
    'nothing is said again',
    'halves',
    [
      'protocol/src/publish.ts',
      '  rebroadcast(machine);\n  machine.rebroadcastDelay',
      '  machine.rebroadcastDelay',
    ],
  ],
  [
    'G4',
    'certified work may be certified again',
    'slow-network',
    [
      'protocol/src/block-record.ts',
      'names.has(contribution.cid) || names.has(contribution.blob)',
      'names.size < 0',
    ],
  ],
  [
    'G4',
    'own work stays in the parameters',
    'calm',
    ['protocol/src/follow.ts', 'own: own?.cid });', 'own: undefined });'],
  ],
  [
    'G4',
    'nobody carries what was given up',
    'survivors-alone',
    ['protocol/src/life.ts', 'listed[0] === regular.init.self', 'listed.length < 0 && !!regular'],
  ],
  [
    'G4',
    'everybody carries what was given up',
    'survivors-alone',
    ['protocol/src/life.ts', 'listed[0] === regular.init.self', 'listed.includes(regular.init.self)'],
  ],
  [
    'G5',
    'accusations with unchecked signatures',
    'forged-accusation',
    [
      'protocol/src/evidence.ts',
      "return holds ? undefined : 'evidence with a wrong signature';",
      "return holds || key ? undefined : 'evidence with a wrong signature';",
    ],
  ],
  [
    'G5',
    'votes of two epochs contradict each other',
    'cross-epoch-accusation',
    ['protocol/src/evidence.ts', 'a.peer === b.peer && isSameEpoch(a, b) &&', 'a.peer === b.peer &&'],
  ],
  [
    'G5',
    'a notarization and a skip contradict each other',
    'replayed-accusation',
    [
      'protocol/src/evidence.ts',
      "[a.act, b.act].sort().join() === 'finalize,skip'",
      "[a.act, b.act].includes('skip')",
    ],
  ],
  [
    'G5',
    'convicts nobody',
    'twins',
    [
      'protocol/src/pending-changes.ts',
      '    ...convictions(machine),',
      '    ...convictions(machine).filter(({ peer }) => peer === machine.init.self),',
    ],
  ],
  [
    'G5',
    'statements of the next epoch are rejected',
    'late-guest',
    ['protocol/src/receive.ts', 'return ignore(`epoch', 'return reject(`epoch'],
  ],
  [
    'G6',
    'no budget of signature checks',
    'identity-flood',
    [
      'protocol/src/budget.ts',
      'bucketOf(machine, kind, peer).bucket.left >= 1',
      '!bucketOf(machine, kind, peer).bucket.left || true',
    ],
    ['protocol/src/receive.ts', 'if (full) return ignore(full);', 'if (full === undefined) void 0;'],
  ],
  [
    'G6',
    'views that last no longer than the first',
    'slow-network',
    [
      'protocol/src/agree.ts',
      'viewTimeoutGrowth ** Math.min(64,',
      'Math.min(1, viewTimeoutGrowth) ** Math.min(64,',
    ],
  ],
  [
    'G6',
    'signatures kept for ever',
    'long-away',
    [
      'protocol/src/settle.ts',
      "machine.out.forget.splice(0, 1, { kind: 'forget', below: settled.block.height + 1 });",
      '',
    ],
  ],
  [
    'G7',
    'ledger entries are asked for and never taken',
    'minority',
    [
      'protocol/src/sync.ts',
      'for (const entry of entries) if (!connect(machine, entry)) break;',
      'for (const entry of entries) if (!machine.started || !entry) connect(machine, entry);',
    ],
  ],
  [
    'G8',
    'messages leave before records are written',
    'crash-storm',
    [
      'protocol/src/replica.ts',
      '    ...persist.splice(0),\n    ...serve.splice(0),\n    ...messagesOf(statements.splice(0)),',
      '    ...serve.splice(0),\n    ...messagesOf(statements.splice(0)),\n    ...persist.splice(0),',
    ],
  ],
  [
    'G8',
    'own votes not restored',
    'slow-crashes',
    ['protocol/src/restore.ts', 'machine.own.votes.set(`', 'new Map<string, Uint8Array>().set(`'],
  ],
  [
    'G8',
    'finalize signed after skip',
    'slow-network',
    [
      'protocol/src/agree.ts',
      "if (!notarized?.block || ownVote(machine, view, 'skip') || ownVote",
      'if (!notarized?.block || ownVote',
    ],
  ],
  [
    'G8',
    'announcements counted anew after a restart',
    'crashes',
    ['protocol/src/start.ts', '    machine.own.sequence = contribution.sequence;\n', ''],
  ],
  [
    'G8',
    'votes of open views forgotten with a block',
    'crash-storm',
    [
      'protocol/src/sign.ts',
      'view <= (finality?.view ?? block.view)',
      'view <= (finality?.view ?? block.view) + 3',
    ],
  ],
];

export const patchedMutants: readonly MutantCase[] = rows.map(([breaks, name, plan, ...changes]) => ({
  mutant: {
    name,
    breaks,
    patches: changes.map(([file, find, replace]) => ({ file, find, replace })),
  },
  plan,
  seed: mutantSeedOf[name] ?? 0,
}));
