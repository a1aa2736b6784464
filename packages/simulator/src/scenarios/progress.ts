/** How soon rounds are certified, with all members there, and with a third minus one of them dead or lying. */
import type { Lie } from '../lies.ts';
import type { Plan } from '../plan.ts';
import { calm, type Scenario } from '../scenario.ts';

/**
 * Half of the rounds are certified so soon after their last contribution came. The mean of third-dead-4 is some 750 ms;
 * where dead proposers got their time it would be some 1,150 ms.
 */
const commitMsMax = { median: 2_000, mean: 2_000 };

const sizes = [
  { members: 4, rounds: 12, seeds: { sample: 4, nightly: 40 } },
  { members: 16, rounds: 8, seeds: { sample: 1, nightly: 10 } },
  { members: 64, rounds: 4, seeds: { sample: 0, nightly: 1 } },
] as const;

const lies: readonly Lie[] = [
  { kind: 'withhold-votes', choices: ['notarize', 'skip', 'finalize'] },
  { kind: 'rubbish', what: 'root' },
  { kind: 'withhold-blobs' },
  { kind: 'equivocate', what: 'notarize' },
];

const base = (members: number, rounds: number): Scenario => ({
  ...calm,
  members,
  rounds,
  quorum: 'byzantine',
  gossip: members < 16 ? 'full' : { degree: 8 },
  latency: [0, 200],
  limitMs: 300_000,
});

/** Every third peer, so that there are a third minus one of them. */
const faulty = (members: number): number[] =>
  Array.from({ length: Math.ceil(members / 3) - 1 }, (_, index) => 3 * index + 1);

/** What befalls the faulty ones. */
const fates: readonly (readonly [
  name: string,
  about: string,
  fate: (members: number) => Partial<Scenario>,
])[] = [
  ['all-there', 'messages take up to 200 ms', () => ({})],
  [
    'third-dead',
    'a third minus one dies in the first round',
    (members) => ({ faults: faulty(members).map((peer) => ({ kind: 'away', peer, fromMs: 400 })) }),
  ],
  [
    'third-lying',
    'a third minus one lies, each in its way',
    (members) => ({
      liars: faulty(members).map((peer, index) => ({ peer, lies: [lies[index % lies.length] as Lie] })),
    }),
  ],
];

export const progress: readonly Plan[] = sizes.flatMap(({ members, rounds, seeds }) =>
  fates.map(
    ([name, about, fate]): Plan => ({
      name: `${name}-${members}`,
      about: `${members} members, ${about}`,
      scenario: { ...base(members, rounds), ...fate(members) },
      seeds,
      exercises: ['apply'],
      commitMsMax: name === 'third-dead' && members === 4 ? { ...commitMsMax, mean: 1_000 } : commitMsMax,
    }),
  ),
);
