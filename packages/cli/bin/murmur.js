#!/usr/bin/env node
// Old Nodes must be able to read this file: it says what to do before anything newer is loaded.
const needed = [22, 13];
const parts = process.versions.node.split('.').map(Number);

if (parts[0] < needed[0] || (parts[0] === needed[0] && parts[1] < needed[1])) {
  console.error(
    `murmur needs Node ${needed.join('.')} or newer; this is Node ${process.versions.node}.\n` +
      'Install a current Node from https://nodejs.org, or inside a clone of Murmuration run `npm install` and then\n' +
      '`npm run murmur -- …`: on Linux x64 that brings Node 24 along.',
  );
  process.exit(1);
}

// Node 22 calls its SQLite experimental at each start; that is no news to whoever trains a model.
const emitWarning = process.emitWarning;
process.emitWarning = (warning, ...rest) => {
  if (!/SQLite is an experimental feature/.test(String(warning))) emitWarning.call(process, warning, ...rest);
};

// npm runs scripts in the project's folder; paths on the command line are meant where the user stands.
if (process.env.npm_lifecycle_event === 'murmur' && process.env.INIT_CWD) process.chdir(process.env.INIT_CWD);

import('../dist/main.js')
  .then(({ main }) => main(process.argv.slice(2)))
  .then((exitCode) => {
    process.exitCode = exitCode;
    // Whatever still holds the process (a socket that lingers) may do so for a second.
    setTimeout(() => process.exit(exitCode), 1000).unref();
  })
  .catch((error) => {
    if (error.code === 'ERR_MODULE_NOT_FOUND' && /\/dist\/main\.js$/.test(error.url))
      console.error('murmur: not built yet; run `npm run build` in the folder of Murmuration first');
    else console.error(error);
    process.exit(1);
  });
