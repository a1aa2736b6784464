import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Cid, createRandom } from '@murmuration/base';
import { decodeDelta, encodeDelta, valueBits } from '@murmuration/delta';
import fc from 'fast-check';
import { undoMax } from '../src/defaults.ts';
import {
  applyBlock,
  difference,
  type Head,
  installParameters,
  message,
  type Pending,
  rewindParameters,
  type SparseVector,
  settleBlock,
  undoBlock,
  withParametersAfter,
} from '../src/head.ts';
import { createHead, describeHead, restoreHead } from '../src/head-checkpoint.ts';
import { block, genesis } from './setting.ts';

const length = 50;
const feedback = 0.95;
const ownBlob = 'own' as Cid;

function randomHead(seed: string): Head {
  const random = createRandom(seed);
  const vector = (): Float32Array => Float32Array.from({ length }, () => random.unit() * 2 - 1);
  const head = createHead(vector(), new Float32Array(length), genesis);
  head.local.set(vector());
  head.residual.set(vector());
  return head;
}

function randomSparse(seed: string): SparseVector {
  const random = createRandom(seed);
  const indices = Uint32Array.from({ length }, (_, i) => i).filter(() => random.below(3) === 0);
  return { indices, values: Float32Array.from(indices, () => random.unit() * 2 - 1) };
}

function makePending(head: Head): Float32Array {
  const d = difference(head);
  const base = head.position.block;
  head.pending = {
    delta: {
      blob: ownBlob,
      bytes: new Uint8Array(),
      base,
      baseHeight: 0,
      norm: 1,
      tokens: 1,
      steps: 1,
      loss: 1,
    },
    difference: d,
  };
  return d;
}

const bits = (vector: Float32Array): string =>
  Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString('hex');
const close = (left: Float32Array, right: Float32Array, tolerance = 1e-5): void =>
  left.forEach((value, i) => {
    assert.ok(Math.abs(value - (right[i] as number)) < tolerance, `value ${i}: ${value}, ${right[i]}`);
  });
const at = (name: string, height: number) => ({ block: block(name), height });

test('undoBlock restores the bits of θ and the residual over any chain of blocks', () => {
  fc.assert(
    fc.property(fc.string(), fc.array(fc.boolean(), { minLength: 1, maxLength: 6 }), (seed, owns) => {
      const head = randomHead(seed);
      const states: { θ: string; e: string; pending: Pending | undefined; local: Float32Array }[] = [];
      owns.forEach((isOwn, index) => {
        if (isOwn && !head.pending) makePending(head);
        states.push({
          θ: bits(head.parameters),
          e: bits(head.residual),
          pending: head.pending && { ...head.pending, difference: head.pending.difference.slice() },
          local: head.local.slice(),
        });
        const own = { blob: ownBlob, clip: 0.5, decoded: randomSparse(`${seed} own ${index}`) };
        const after = randomSparse(`${seed} after ${index}`);
        const position = at(`${index}`, index + 1);
        applyBlock(head, { position, after, ...(isOwn && { own }) }, feedback);
        if (isOwn) assert.equal(head.pending, undefined);
      });
      for (const [index, state] of [...states.entries()].reverse()) {
        undoBlock(head, block(`${index}`), feedback);
        assert.equal(bits(head.parameters), state.θ);
        assert.equal(bits(head.residual), state.e);
        if (owns[index]) {
          assert.equal(head.pending?.delta, state.pending?.delta);
          close(head.pending?.difference as Float32Array, state.pending?.difference as Float32Array);
        }
        close(head.local, state.local);
      }
      assert.deepEqual(head.position, { block: genesis, height: 0 });
    }),
  );
});

test('applyBlock moves θ_local by θ_new − θ, plus D when the own delta is in', () => {
  const head = randomHead('rebase');
  const d = makePending(head).slice();
  const extra = Float32Array.from({ length }, (_, i) => i / 100);
  extra.forEach((value, i) => {
    head.local[i] = (head.local[i] as number) + value;
  });
  const [θ, local, e] = [head.parameters.slice(), head.local.slice(), head.residual.slice()];
  const decoded = randomSparse('decoded');
  const after = randomSparse('after');
  applyBlock(head, { position: at('1', 1), after, own: { blob: ownBlob, clip: 0.25, decoded } }, feedback);
  const expectedLocal = local.map(
    (value, i) => value + (head.parameters[i] as number) - (θ[i] as number) + (d[i] as number),
  );
  close(head.local, expectedLocal);
  close(
    head.local.map((value, i) => value - (head.parameters[i] as number)),
    extra,
  );
  const expectedResidual = e.map((value, i) => feedback * value + (d[i] as number));
  decoded.indices.forEach((index, j) => {
    expectedResidual[index] = (expectedResidual[index] as number) - 0.25 * (decoded.values[j] as number);
  });
  close(head.residual, expectedResidual);
});

test('applyBlock without the own delta leaves residual and pending, and θ_local − θ', () => {
  const head = randomHead('foreign');
  makePending(head);
  const { pending } = head;
  const before = difference(head);
  const e = bits(head.residual);
  applyBlock(head, { position: at('1', 1), after: randomSparse('after') }, feedback);
  assert.equal(head.pending, pending);
  assert.equal(bits(head.residual), e);
  close(difference(head), before);
});

test('applyBlock takes clip·Δ̂ out of θ_local when the own delta is no longer pending', () => {
  const head = randomHead('expired');
  const before = difference(head);
  const e = bits(head.residual);
  const decoded = randomSparse('decoded');
  applyBlock(
    head,
    { position: at('1', 1), after: randomSparse('after'), own: { blob: ownBlob, clip: 0.5, decoded } },
    feedback,
  );
  const expected = before.slice();
  decoded.indices.forEach((index, j) => {
    expected[index] = (expected[index] as number) - 0.5 * (decoded.values[j] as number);
  });
  close(difference(head), expected);
  assert.equal(bits(head.residual), e);
  undoBlock(head, block('1'), feedback);
  close(difference(head), before);
});

test('withParametersAfter lends θ of every block that can be undone, and refuses others', () => {
  const head = randomHead('history');
  const history = [head.parameters.slice()];
  const names: Cid[] = [genesis];
  for (let height = 1; height <= 4; height++) {
    applyBlock(head, { position: at(`${height}`, height), after: randomSparse(`${height}`) }, feedback);
    history.push(head.parameters.slice());
    names.push(block(`${height}`));
  }
  const now = bits(head.parameters);
  const after = (name: Cid): string => withParametersAfter(head, name, bits);
  names.forEach((name, height) => {
    assert.equal(after(name), bits(history[height] as Float32Array));
    assert.equal(bits(head.parameters), now);
  });
  assert.throws(() =>
    withParametersAfter(head, genesis, () => {
      throw new Error('in use');
    }),
  );
  assert.equal(bits(head.parameters), now);
  settleBlock(head, block('2'));
  assert.equal(head.applied.length, 2);
  assert.equal(after(block('2')), bits(history[2] as Float32Array));
  assert.throws(() => after(block('1')), { code: 'unknown-parent' });
});

test('undoBlock refuses all but the newest block; applyBlock refuses more than can be undone', () => {
  const head = randomHead('limits');
  assert.throws(() => undoBlock(head, genesis, feedback), { code: 'not-undoable' });
  for (let height = 1; height <= undoMax; height++)
    applyBlock(head, { position: at(`${height}`, height), after: randomSparse(`${height}`) }, feedback);
  assert.throws(() => undoBlock(head, block('1'), feedback), { code: 'not-undoable' });
  const next = { position: at('more', undoMax + 1), after: randomSparse('more') };
  assert.throws(() => applyBlock(head, next, feedback), { code: 'undo-limit' });
  settleBlock(head, block('1'));
  applyBlock(head, next, feedback);
});

test('applyBlock takes any number of empty blocks, which finality may leave behind in a stall', () => {
  const head = randomHead('stall');
  const before = bits(head.parameters);
  const empty = { indices: new Uint32Array(), values: new Float32Array() };
  for (let height = 1; height <= 4 * undoMax; height++)
    applyBlock(head, { position: at(`${height}`, height), after: empty }, feedback);
  for (let height = 4 * undoMax; height > 0; height--) undoBlock(head, block(`${height}`), feedback);
  assert.equal(bits(head.parameters), before);
});

test('installParameters keeps θ_local − θ and forgets what came before', () => {
  const head = randomHead('install');
  makePending(head);
  applyBlock(head, { position: at('1', 1), after: randomSparse('after') }, feedback);
  const before = difference(head);
  const values = randomHead('other').parameters;
  installParameters(head, values, at('64', 64), undefined, feedback);
  assert.equal(bits(head.parameters), bits(values));
  close(difference(head), before);
  assert.deepEqual([head.position, head.applied, head.pending], [at('64', 64), [], undefined]);
});

test('installParameters takes the own delta that the skipped blocks took out of θ_local, as applying them does', () => {
  const own = { blob: ownBlob, clip: 0.5, decoded: randomSparse('own') };
  const { parameters: values } = randomHead('other');
  const [applied, installed] = [randomHead('install'), randomHead('install')];
  makePending(applied);
  makePending(installed);
  const after = { indices: Uint32Array.from(values, (_, i) => i), values };
  applyBlock(applied, { position: at('64', 64), after, own }, feedback);
  installParameters(installed, values, at('64', 64), own, feedback);
  assert.equal(bits(installed.parameters), bits(applied.parameters));
  assert.equal(bits(installed.residual), bits(applied.residual));
  close(installed.local, applied.local);
  assert.equal(installed.pending, undefined);
});

test('restoreHead gives back what describeHead kept, and it can be undone the same way', () => {
  const head = randomHead('saved');
  makePending(head);
  const decoded = randomSparse('decoded');
  const own = { blob: ownBlob, clip: 1, decoded };
  applyBlock(head, { position: at('1', 1), after: randomSparse('1'), own }, feedback);
  applyBlock(head, { position: at('2', 2), after: randomSparse('2'), own }, feedback);
  makePending(head);
  const { state, arrays } = describeHead(head);
  const copies = arrays.map((array) => array.slice().buffer as ArrayBuffer).values();
  const again = createHead(new Float32Array(length), new Float32Array(length), genesis);
  restoreHead(again, structuredClone(state), () => copies.next().value as ArrayBuffer);
  assert.deepEqual(again, head);
  for (const name of ['2', '1']) {
    undoBlock(head, block(name), feedback);
    undoBlock(again, block(name), feedback);
  }
  assert.deepEqual(again, head);
});

test('rewindParameters gives θ of the fork back; θ_local − θ stays, or θ_local when the work is carried', () => {
  for (const carry of [false, true]) {
    const head = randomHead('rewind');
    const fork = head.parameters.slice();
    applyBlock(head, { position: at('65', 65), after: randomSparse('block') }, feedback);
    settleBlock(head, block('65'));
    const [local, ahead] = [head.local.slice(), head.local.map((v, i) => v - (head.parameters[i] as number))];
    rewindParameters(head, fork, at('64', 64), carry);
    assert.equal(bits(head.parameters), bits(fork));
    if (carry) assert.equal(bits(head.local), bits(local));
    else
      close(
        head.local.map((v, i) => v - (fork[i] as number)),
        ahead,
      );
    assert.deepEqual([head.position, head.applied, head.pending], [at('64', 64), [], undefined]);
  }
});

test('applyBlock leaves θ_local where the block was carried, and undoBlock, too', () => {
  const head = randomHead('carried');
  const [parameters, local] = [head.parameters.slice(), head.local.slice()];
  applyBlock(head, { position: at('65', 65), after: randomSparse('block'), carried: true }, feedback);
  assert.equal(bits(head.local), bits(local));
  assert.notEqual(bits(head.parameters), bits(parameters));
  undoBlock(head, head.position.block, feedback);
  assert.equal(bits(head.local), bits(local));
  assert.equal(bits(head.parameters), bits(parameters));
});

test('the residual is what was not said, to the bit, whatever k a peer takes from round to round', () => {
  const size = 9_000;
  const header = { runDigest: new Uint8Array(32), base: new Uint8Array(32), author: new Uint8Array(32) };
  const settings = fc.record({ k: fc.constantFrom(4, 16, 64, 1_024), bits: fc.constantFrom(...valueBits) });
  fc.assert(
    fc.property(fc.string(), fc.array(settings, { minLength: 2, maxLength: 5 }), (seed, rounds) => {
      const random = createRandom(seed);
      const head = createHead(new Float32Array(size), new Float32Array(size), genesis);
      rounds.forEach((chosen, round) => {
        for (let i = 0; i < size; i++) head.local[i] = (head.local[i] as number) + random.unit() - 0.5;
        const d = difference(head);
        const u = d.map((value, i) => feedback * (head.residual[i] as number) + value);
        const bytes = encodeDelta(message(head, d, feedback), header, chosen);
        const { delta: decoded } = decodeDelta(bytes, { parameters: size });
        const expected = u.slice();
        decoded.indices.forEach((index, j) => {
          expected[index] = (u[index] as number) - (decoded.values[j] as number);
        });
        makePending(head);
        const own = { blob: ownBlob, clip: 1, decoded };
        const after = { indices: new Uint32Array(), values: new Float32Array() };
        applyBlock(head, { position: at(`${round + 1}`, round + 1), after, own }, feedback);
        assert.equal(bits(head.residual), bits(expected));
        settleBlock(head, head.position.block);
      });
    }),
    { numRuns: 20 },
  );
});

test('message is 0 in the ranges that stay with a peer, in whatever chunks it is asked for', () => {
  const size = 10_000;
  const random = createRandom('kept');
  const vector = (): Float32Array => Float32Array.from({ length: size }, () => random.unit() - 0.5);
  const head = createHead(vector(), new Float32Array(size), genesis);
  head.local.set(vector());
  head.residual.set(vector());
  const kept = [
    { start: 0, end: 3 },
    { start: 4_000, end: 4_200 },
    { start: 8_000, end: 10_000 },
  ];
  const d = difference(head, kept);
  const source = message(head, d, feedback, kept);
  for (let start = 0; start < size; start += 4_096) {
    const end = Math.min(size, start + 4_096);
    source.chunk(start, end).forEach((value, i) => {
      const index = start + i;
      const stays = kept.some((range) => index >= range.start && index < range.end);
      const expected = stays
        ? 0
        : Math.fround(
            feedback * (head.residual[index] as number) +
              Math.fround((head.parameters[index] as number) - (head.local[index] as number)),
          );
      assert.equal(value, expected, `value ${index}`);
    });
  }
});

test('settleBlock leaves the settled residual as room for the next D, in which nothing of it shows', () => {
  const head = randomHead('spare');
  makePending(head);
  const { residual: settled } = head;
  const decoded = randomSparse('spare');
  const position = { block: block('1'), height: 1 };
  const after = randomSparse('spare/after');
  applyBlock(head, { position, after, own: { blob: ownBlob, clip: 1, decoded } }, feedback);
  const kept = head.residual.slice();
  settleBlock(head, position.block);
  const expected = Float32Array.from(head.parameters, (value, i) => value - (head.local[i] as number));
  const d = difference(head);
  assert.equal(d.buffer, settled.buffer);
  assert.deepEqual(d, expected);
  assert.deepEqual(head.residual, kept);
  assert.notEqual(difference(head).buffer, d.buffer);
});
