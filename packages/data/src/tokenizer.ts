import type { Tokenizer } from './index.ts';

const begin = 256;
const end = 257;
const padding = 258;
const byteCount = 256;

/** Every byte is a token. 260 tokens: the bytes, `begin`, `end`, `padding`, and one that nothing uses yet. */
export const byteTokenizer: Tokenizer = {
  vocabulary: 260,
  begin,
  end,
  padding,
  encode: (text) => Uint16Array.from(new TextEncoder().encode(text)),
  decode: (tokens) =>
    new TextDecoder().decode(
      Uint8Array.from(tokens, Number).filter((_, at) => Number(tokens[at]) < byteCount),
    ),
  isText: (token) => token < byteCount,
};
