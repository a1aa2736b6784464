/** Preloaded into an engine's process: ends it as a driver would that does not come back. */
process.once('message', (message: { readonly init?: { readonly device?: { readonly name?: string } } }) => {
  if (message.init?.device?.name === 'webgpu') process.abort();
});
