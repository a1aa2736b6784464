const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 13)) {
  console.error(
    `Murmuration needs Node 22.13 or newer; this is Node ${process.versions.node}.\n` +
      'On Linux x64 `npm install` brings Node 24 along for the npm scripts; elsewhere install it from nodejs.org.',
  );
  process.exit(1);
}
