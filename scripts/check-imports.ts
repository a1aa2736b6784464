/**
 * The import rules of the packages, which `tsc -b` alone cannot enforce because npm workspaces are hoisted:
 * import only from a smaller layer; only what package.json declares; each foreign runtime has one door; pure
 * packages use nothing of the platform.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

interface Rule {
  readonly layer: number;
  /** Packages (or prefixes ending in /) that open the outside world and are allowed here. */
  readonly doors: readonly string[];
}

const pure: readonly string[] = [];

/** Layers as in packages/README.md; `simulator` stands aside: it imports pure packages, and only `cli` imports it. */
const rules: Readonly<Record<string, Rule>> = {
  base: { layer: 0, doors: pure },
  onnx: { layer: 1, doors: pure },
  data: { layer: 1, doors: pure },
  delta: { layer: 1, doors: pure },
  protocol: { layer: 1, doors: pure },
  autodiff: { layer: 2, doors: pure },
  simulator: { layer: 2.5, doors: pure },
  engine: {
    layer: 3,
    doors: ['onnxruntime-node', 'node:child_process', 'node:fs', 'node:os', 'node:crypto'],
  },
  store: { layer: 3, doors: ['node:sqlite', 'node:fs', 'node:crypto'] },
  network: { layer: 3, doors: ['libp2p', '@libp2p/', '@chainsafe/', '@multiformats/', 'it-', 'node:crypto'] },
  peer: { layer: 4, doors: ['node:perf_hooks'] },
  cli: {
    layer: 5,
    doors: ['node:child_process', 'node:fs', 'node:os', 'node:readline'],
  },
};

/** Foreign code that has one door; everything else declared in package.json is an ordinary library. */
const guarded = ['node:', 'onnxruntime-node', 'libp2p', '@libp2p/', '@chainsafe/', '@multiformats/', 'it-'];
/** Parts of the platform that are only names and paths, no door. */
const harmless = ['node:path', 'node:url', 'node:events', 'node:util'];
const platformGlobals =
  /\b(Date\.now|new Date|Math\.random|setTimeout|setInterval|setImmediate|fetch\(|process\.|performance\.)/;
const importPattern =
  /(?:^|\n)\s*(?:import|export)\s[^'";]*?from\s*'([^']+)'|(?:^|\n)\s*import\s*'([^']+)'|\bimport\(\s*'([^']+)'\s*\)/g;

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const problems: string[] = [];

const sourceFiles = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name));

const packageOf = (specifier: string): string =>
  specifier.startsWith('node:')
    ? (specifier.split('/')[0] as string)
    : specifier
        .split('/')
        .slice(0, specifier.startsWith('@') ? 2 : 1)
        .join('/');

const matches = (specifier: string, doors: readonly string[]): boolean =>
  doors.some((door) => packageOf(specifier) === door || (/[/:-]$/.test(door) && specifier.startsWith(door)));

function checkImport(
  name: string,
  rule: Rule,
  declared: ReadonlySet<string>,
  specifier: string,
  where: string,
): void {
  if (specifier.startsWith('.')) return;
  const target = packageOf(specifier);
  if (target.startsWith('@murmuration/')) {
    const layer = rules[target.slice('@murmuration/'.length)]?.layer;
    if (layer === undefined) problems.push(`${where}: ${target} is not in the table of layers`);
    else if (layer >= rule.layer)
      problems.push(
        `${where}: ${name} (layer ${rule.layer}) imports ${target} (layer ${layer}); expected a smaller layer`,
      );
    if (target === '@murmuration/simulator' && name !== 'cli')
      problems.push(`${where}: only the command line imports the simulator`);
  } else if (matches(specifier, guarded) && !matches(specifier, harmless) && !matches(specifier, rule.doors))
    problems.push(
      `${where}: ${name} imports ${specifier}, which is not among its doors [${rule.doors.join(', ')}]`,
    );
  else if (matches(specifier, harmless) && rule.doors === pure)
    problems.push(`${where}: ${name} is pure and imports ${specifier}`);
  if (!specifier.startsWith('node:') && !declared.has(target))
    problems.push(`${where}: ${target} is not declared in ${name}'s package.json`);
}

for (const name of readdirSync(join(root, 'packages'))) {
  if (name.endsWith('.md')) continue;
  const rule = rules[name];
  if (!rule) {
    problems.push(`packages/${name}: not in the table of layers`);
    continue;
  }
  const folder = join(root, 'packages', name);
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    dependencies?: Record<string, string>;
  };
  const declared = new Set(Object.keys(manifest.dependencies ?? {}));
  const used = new Set<string>();
  for (const file of sourceFiles(join(folder, 'src'))) {
    const text = readFileSync(file, 'utf8');
    const where = relative(root, file);
    for (const match of text.matchAll(importPattern)) {
      const specifier = (match[1] ?? match[2] ?? match[3]) as string;
      used.add(packageOf(specifier));
      checkImport(name, rule, declared, specifier, where);
    }
    if (rule.doors === pure)
      text.split('\n').forEach((line, index) => {
        const isComment = /^\s*(\*|\/\/|\/\*)/.test(line);
        if (!isComment && platformGlobals.test(line))
          problems.push(`${where}:${index + 1}: ${name} is pure: ${line.trim()}`);
      });
  }
  for (const dependency of declared)
    if (!used.has(dependency) && dependency !== '@intlayer/docs')
      problems.push(`packages/${name}/package.json declares ${dependency}, which no source imports`);
}

if (problems.length > 0) {
  console.error(problems.join('\n'));
  console.error(`${problems.length} import rules broken`);
  process.exit(1);
}
console.log('import rules hold');
