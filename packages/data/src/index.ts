/** Tokens, shards, the held-out split, and which sample comes next. Pure: bytes come in, nothing is read here. */
export {};
