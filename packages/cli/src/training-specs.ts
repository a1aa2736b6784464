/** `--loss` and `--train`: a kind, and settings behind a colon, as in `lora:r=8,targets=q_proj,v_proj`. */
import type { LossSettings, Trainable } from '@murmuration/autodiff';
import { CliError } from './errors.ts';

interface Spec {
  readonly kind: string;
  /** Values by key; what has no key belongs to the key before it, or to the empty one. */
  readonly settings: ReadonlyMap<string, readonly string[]>;
}

const badOption = (option: string, expected: string, got: string): CliError =>
  new CliError(`${option}: expected ${expected}, got ${JSON.stringify(got)}`, { code: 'bad-option' });

function parseSpec(text: string): Spec {
  const colon = text.indexOf(':');
  const kind = colon < 0 ? text : text.slice(0, colon);
  const settings = new Map<string, string[]>();
  let key = '';
  for (const part of colon < 0 ? [] : text.slice(colon + 1).split(',')) {
    const equals = part.indexOf('=');
    if (equals > 0) key = part.slice(0, equals);
    const value = equals > 0 ? part.slice(equals + 1) : part;
    settings.set(key, [...(settings.get(key) ?? []), value]);
  }
  return { kind, settings };
}

/** Reads the settings of one spec; a key that nobody reads, or a value that does not fit, is an error. */
class SettingsReader {
  readonly #option: string;
  readonly #text: string;
  readonly #rest: Map<string, readonly string[]>;

  constructor(option: string, text: string, { settings }: Spec) {
    this.#option = option;
    this.#text = text;
    this.#rest = new Map(settings);
  }

  list(key: string): readonly string[] | undefined {
    const values = this.#rest.get(key);
    this.#rest.delete(key);
    if (values?.includes('')) throw badOption(this.#option, `values behind ${key || ':'}`, this.#text);
    return values;
  }

  text(key: string): string | undefined {
    const values = this.list(key);
    if (values && values.length !== 1) throw badOption(this.#option, `one value of ${key}`, this.#text);
    return values?.[0];
  }

  number(key: string): number | undefined {
    const text = this.text(key);
    if (text === undefined) return undefined;
    const value = Number(text);
    if (text.trim() === '' || !Number.isFinite(value))
      throw badOption(this.#option, `a number for ${key}`, text);
    return value;
  }

  /** A word without a value, such as `mask`. */
  flag(word: string): boolean {
    const words = this.#rest.get('') ?? [];
    if (!words.includes(word)) return false;
    const others = words.filter((each) => each !== word);
    if (others.length > 0) this.#rest.set('', others);
    else this.#rest.delete('');
    return true;
  }

  end(known: string): void {
    const unknown = this.#rest.keys().next();
    if (!unknown.done) throw badOption(this.#option, known, this.#text);
  }
}

const given = <T extends object>(settings: T): { [K in keyof T]: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };

/**
 * `output`, `output:NAME`, `cross-entropy:smoothing=0.1,ignore=-100,axis=1,output=NAME,mask`, `mse:…`, `bce:…` (both
 * with `output=` and `mask`). Throws `CliError` `bad-option`.
 */
export function parseLoss(text: string): LossSettings {
  const option = '--loss';
  const spec = parseSpec(text);
  const reader = new SettingsReader(option, text, spec);
  const { kind } = spec;
  if (kind === 'output') {
    const output = reader.text('');
    reader.end('output or output:NAME');
    return given({ kind, output });
  }
  if (kind !== 'cross-entropy' && kind !== 'mse' && kind !== 'bce')
    throw badOption(option, 'output, cross-entropy, mse or bce', text);
  const common = { output: reader.text('output'), mask: reader.flag('mask') };
  const classes =
    kind === 'cross-entropy'
      ? {
          axis: reader.number('axis'),
          labelSmoothing: reader.number('smoothing'),
          ignoreIndex: reader.number('ignore'),
        }
      : {};
  reader.end(
    `${kind} with settings ${kind === 'cross-entropy' ? 'smoothing, ignore, axis, ' : ''}output, mask`,
  );
  return given({ kind, ...common, ...classes }) as LossSettings;
}

/** `all`, `names:PATTERN,…`, `lora:r=8,alpha=16,targets=PATTERN,…`. Throws `CliError` `bad-option`. */
export function parseTrainable(text: string): Trainable {
  const option = '--train';
  const spec = parseSpec(text);
  const reader = new SettingsReader(option, text, spec);
  switch (spec.kind) {
    case 'all':
      reader.end('all');
      return { kind: 'all' };
    case 'names': {
      const patterns = reader.list('');
      reader.end('names:PATTERN,…');
      if (!patterns) throw badOption(option, 'names:PATTERN,…', text);
      return { kind: 'pattern', patterns };
    }
    case 'lora': {
      const rank = reader.number('r');
      const alpha = reader.number('alpha');
      const targets = reader.list('targets');
      reader.end('lora with settings r, alpha, targets');
      if (rank === undefined || !targets) throw badOption(option, 'lora:r=RANK,targets=PATTERN,…', text);
      return given({ kind: 'lora', rank, alpha, targets }) as Trainable;
    }
    default:
      throw badOption(option, 'all, names:PATTERN,… or lora:r=RANK,targets=PATTERN,…', text);
  }
}
