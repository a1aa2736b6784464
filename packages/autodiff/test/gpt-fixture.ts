/**
 * The tiny transformer whose loss and gradients PyTorch gave to fixtures/gpt-gradients.json. Run with the argument
 * `request`, this prints what scripts/gpt-reference.py reads.
 */
import { createLayout, createRandom, tensorView } from '@murmuration/base';
import { type GptConfig, gpt, initializeParameters, parametersOf } from '@murmuration/onnx';

export const config: GptConfig = { vocabulary: 13, context: 8, width: 16, layers: 2, heads: 2 };
export const seed = 'gpt-gradients';
/** Shorter than the model's context, so that some positions get no gradient. */
const context = 7;
const batch = 3;

/** All parameters drawn wide, gains and biases too, so that no gradient is small by accident. */
export function fixtureParameters() {
  const declarations = parametersOf(gpt(config)).map((declaration) => ({
    ...declaration,
    initial: { kind: 'uniform', limit: declaration.shape.length > 1 ? 0.4 : 0.8 } as const,
  }));
  return { layout: createLayout(declarations), vector: initializeParameters(declarations, seed) };
}

/** Tokens that repeat, and the tokens that follow them. */
export function fixtureTokens() {
  const random = createRandom(seed).fork('tokens');
  const rows = Array.from({ length: batch }, () =>
    Array.from({ length: context + 1 }, () => random.below(config.vocabulary)),
  );
  return { tokens: rows.map((row) => row.slice(0, -1)), targets: rows.map((row) => row.slice(1)) };
}

if (process.argv[2] === 'request') {
  const { layout, vector } = fixtureParameters();
  const parameters = layout.slots.map((slot) => ({
    name: slot.name,
    shape: slot.shape,
    values: [...tensorView(vector, slot)],
  }));
  console.log(JSON.stringify({ config, seed, ...fixtureTokens(), parameters }));
}
