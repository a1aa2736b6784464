/** How a peer lies, as data. Each kind is made by one entry of the table in liars.ts; several may be combined. */
export type Lie =
  /** Two processes under one key, each with its own half of the network: they sign two of everything. */
  | { readonly kind: 'twin'; readonly side: readonly number[] }
  /** To half of the others another vote (or proposal) of the same view. */
  | { readonly kind: 'equivocate'; readonly what: 'proposal' | 'notarize' | 'finality' }
  /** Its own votes of these kinds are never sent. */
  | { readonly kind: 'withhold-votes'; readonly choices: readonly string[] }
  /** Announces deltas and serves them to nobody, to one peer, or after so long. */
  | { readonly kind: 'withhold-blobs'; readonly only?: number; readonly afterMs?: number }
  /**
   * Its proposals have a wrong root, wrong parameters, parameters that its engine got wrong (under a root that fits), a
   * list that nobody has, one out of order, no justification.
   */
  | {
      readonly kind: 'rubbish';
      readonly what: 'root' | 'tensors' | 'execution' | 'list' | 'unsorted' | 'unjustified';
    }
  /** Announces its deltas with another norm, or announces others' deltas as its own. */
  | { readonly kind: 'bad-delta'; readonly what: 'norm' | 'copied' }
  /** Never hears the contributions of these peers, so never proposes them. */
  | { readonly kind: 'censor'; readonly victims: readonly number[] }
  /** Sends so many needless statements a second: votes far ahead, presences, forged votes of others. */
  | { readonly kind: 'spam'; readonly perSecond: number }
  /** Free identities announce so many deltas a second, which are served to nobody, after `afterMs`, or to one peer. */
  | {
      readonly kind: 'phantoms';
      readonly perSecond: number;
      readonly identities: number;
      readonly serves?: { readonly afterMs?: number; readonly only?: number };
    }
  /**
   * Accuses honest peers so often: by a vote that they never signed, by one vote twice and by a notarization and a
   * skip, by votes of two epochs.
   */
  | {
      readonly kind: 'accuse';
      readonly what: 'forged' | 'replayed' | 'cross-epoch';
      readonly perSecond: number;
    }
  /** Sends what others sent long ago again; or only the newest presence of each of them, whether it lives or not. */
  | { readonly kind: 'replay'; readonly perSecond: number; readonly what?: 'presences' }
  /** Says that it holds every delta and notarizes every proposal unseen. */
  | { readonly kind: 'vote-unseen' }
  /** Serves ledger entries and states that are not those of the run. */
  | { readonly kind: 'fork-ledger' }
  /** Claims in its presences to be so many blocks further. */
  | { readonly kind: 'false-heights'; readonly by: number };
