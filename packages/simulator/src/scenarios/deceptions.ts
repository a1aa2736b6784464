/** Members and strangers that lie. Byzantine quorums of four bear one liar, of seven two. */
import type { Lie } from '../lies.ts';
import type { Plan } from '../plan.ts';
import { calm, type Scenario } from '../scenario.ts';

const four: Scenario = { ...calm, quorum: 'byzantine', loss: 0.02, limitMs: 900_000 };
const seven: Scenario = { ...four, members: 7, rounds: 4 };
/** Neighbours pass on what they hear, so that two statements of a liar meet somewhere. */
const passedOn: Partial<Scenario> = { gossip: { degree: 8 } };
const slow: Partial<Scenario> = { latency: [50, 600] };

type Row = readonly [
  name: string,
  about: string,
  lie: Lie,
  changes?: Partial<Scenario>,
  checks?: Partial<Plan>,
];

/** Who contradicts itself is convicted by all; there is time for it. */
const convicted: Partial<Plan> = { convicts: [1], exercises: ['report convicted'] };
const longer: Partial<Scenario> = { ...passedOn, rounds: 10 };
const nobody = (what: string): Partial<Plan> => ({ convicts: [], exercises: ['apply', `accuse ${what}`] });

/** One of a few members lies. */
const byOne: readonly Row[] = [
  [
    'twins',
    'one of four runs twice under one key, each half seeing half of the network',
    { kind: 'twin', side: [0, 2] },
    { ...passedOn, ...slow, rounds: 12 },
    { exercises: ['apply', 'report convicted'] },
  ],
  [
    'twins-across-a-cut',
    'one of five runs twice, once on each side of a partition without a quorum',
    { kind: 'twin', side: [0, 2] },
    { members: 5, faults: [{ kind: 'partition', side: [0, 2], fromMs: 1_000, untilMs: 30_000 }] },
  ],
  [
    'two-proposals',
    'half of the others get another proposal',
    { kind: 'equivocate', what: 'proposal' },
    longer,
    convicted,
  ],
  [
    'two-notarizations',
    'half of the others get a vote for another block',
    { kind: 'equivocate', what: 'notarize' },
    longer,
    convicted,
  ],
  [
    'skip-and-finalize',
    'half of the others get skip where the rest gets finalize',
    { kind: 'equivocate', what: 'finality' },
    longer,
    convicted,
  ],
  [
    'mute-voter',
    'one of four trains and never votes',
    { kind: 'withhold-votes', choices: ['notarize', 'skip', 'finalize'] },
  ],
  [
    'no-finality',
    'one of four never signs finalize, in a slow network',
    { kind: 'withhold-votes', choices: ['finalize'] },
    slow,
  ],
  ['withheld-delta', 'a member announces deltas and serves them to nobody', { kind: 'withhold-blobs' }],
  ['delta-for-one', 'a member serves its deltas to one peer only', { kind: 'withhold-blobs', only: 2 }],
  ['delta-drip', 'a member serves its deltas after four seconds', { kind: 'withhold-blobs', afterMs: 4_000 }],
  ['wrong-root', 'a proposer names a wrong root', { kind: 'rubbish', what: 'root' }],
  [
    'wrong-parameters',
    'a proposer names parameters that do not follow',
    { kind: 'rubbish', what: 'tensors' },
  ],
  [
    'wrong-execution',
    'a lying engine: wrong parameters under a root that fits',
    { kind: 'rubbish', what: 'execution' },
    { snapshotEvery: 4 },
  ],
  ['no-list', 'a proposer names a list that nobody has', { kind: 'rubbish', what: 'list' }],
  ['unsorted-list', 'a proposer proposes its list out of order', { kind: 'rubbish', what: 'unsorted' }],
  [
    'no-justification',
    'a proposer names the wrong parent view and hides the certificates',
    { kind: 'rubbish', what: 'unjustified' },
    slow,
  ],
  ['wrong-norm', 'a member announces its deltas at half their norm', { kind: 'bad-delta', what: 'norm' }],
  [
    'copied-delta',
    'a member announces the deltas of others as its own',
    { kind: 'bad-delta', what: 'copied' },
  ],
  ['censor', 'a proposer never includes one of the others', { kind: 'censor', victims: [2] }],
  ['spam', 'a member sends forty needless statements a second', { kind: 'spam', perSecond: 40 }],
  [
    'phantoms',
    'free identities announce twenty deltas a second that nobody serves',
    { kind: 'phantoms', perSecond: 20, identities: 40 },
  ],
  [
    'phantoms-drip',
    'free identities announce twenty deltas a second and serve them slowly',
    { kind: 'phantoms', perSecond: 20, identities: 40, serves: { afterMs: 4_000 } },
  ],
  [
    'phantoms-for-one',
    'free identities announce twenty deltas a second and serve one proposer',
    { kind: 'phantoms', perSecond: 20, identities: 40, serves: { only: 2 } },
  ],
  [
    'identity-flood',
    'free identities announce two hundred deltas a second that nobody serves',
    { kind: 'phantoms', perSecond: 200, identities: 1_000 },
  ],
  [
    'forged-accusation',
    'a member accuses others by votes that they never signed',
    { kind: 'accuse', what: 'forged', perSecond: 10 },
    {},
    nobody('forged'),
  ],
  [
    'replayed-accusation',
    'a member accuses others by one vote twice, and by a notarization and a skip',
    { kind: 'accuse', what: 'replayed', perSecond: 10 },
    slow,
    nobody('replayed'),
  ],
  [
    'cross-epoch-accusation',
    'a member accuses others by votes of two epochs',
    { kind: 'accuse', what: 'cross-epoch', perSecond: 10 },
    { rounds: 10, guests: [{ atMs: 800 }, { atMs: 2_500 }] },
    nobody('cross-epoch'),
  ],
  ['replay', 'a member repeats what it heard long ago', { kind: 'replay', perSecond: 20 }],
  ['blind-votes', 'a member votes for everything and claims to hold everything', { kind: 'vote-unseen' }],
  ['false-heights', 'a member claims to be further than anybody', { kind: 'false-heights', by: 3 }],
];

const planOfRow = ([name, about, lie, changes, checks]: Row): Plan => ({
  name,
  about,
  scenario: { ...four, liars: [{ peer: 1, lies: [lie] }], ...changes },
  seeds: { sample: 10, nightly: 200 },
  exercises: ['apply'],
  ...checks,
});

export const deceptions: readonly Plan[] = [
  ...byOne.map(planOfRow),
  {
    name: 'forked-ledger',
    about: 'a guest joins while a member serves a false ledger and false states',
    scenario: {
      ...four,
      rounds: 32,
      snapshotEvery: 5,
      guests: [{ atMs: 22_000 }],
      liars: [{ peer: 1, lies: [{ kind: 'fork-ledger' }, { kind: 'false-heights', by: 1 }] }],
    },
    seeds: { sample: 6, nightly: 150 },
    exercises: ['apply', 'install'],
  },
  {
    name: 'two-liars-of-seven',
    about: 'twins and a mute voter in a byzantine quorum of seven',
    scenario: {
      ...seven,
      ...passedOn,
      liars: [
        { peer: 1, lies: [{ kind: 'twin', side: [0, 2, 3] }] },
        { peer: 4, lies: [{ kind: 'withhold-votes', choices: ['notarize', 'finalize'] }] },
      ],
    },
    seeds: { sample: 4, nightly: 150 },
    exercises: ['apply'],
  },
  {
    name: 'liars-in-a-storm',
    about: 'an equivocator and a flooder of seven, loss, long tails and a partition',
    scenario: {
      ...seven,
      loss: 0.05,
      latency: { medianMs: 80, sigma: 1 },
      faults: [{ kind: 'partition', side: [0, 2, 3], fromMs: 1_500, untilMs: 6_000 }],
      liars: [
        {
          peer: 1,
          lies: [
            { kind: 'equivocate', what: 'notarize' },
            { kind: 'equivocate', what: 'finality' },
          ],
        },
        {
          peer: 5,
          lies: [
            { kind: 'spam', perSecond: 10 },
            { kind: 'replay', perSecond: 10 },
          ],
        },
      ],
    },
    seeds: { sample: 4, nightly: 150 },
    exercises: ['apply'],
  },
];
