/**
 * What is known while the nodes of one graph are rewritten in order. A value is one of: given by a kept node or as an
 * input; a *constant*, whose data we hold; or an *alias*, another name of a value that was met before. Scopes of nested
 * graphs see the constants of those around them. All graphs of a model share the names, the allowances and the
 * constants that may be merged.
 */
import { foldedTotalMax, mergedElementsMax, unrolledValuesMax } from '../defaults.ts';
import type { KnownValue } from '../infer-shapes.ts';
import type { Graph, Node, Tensor } from '../model.ts';
import type { Names } from '../names.ts';
import { rawBytes } from '../tensor-data.ts';

/** Where a constant comes from. */
export interface Constant {
  readonly tensor: Tensor;
  /** A float initializer of the file: perhaps a parameter, which must not vanish into another constant. */
  readonly weight: boolean;
}

/** What all graphs of one model share. */
export interface Session {
  readonly names: Names;
  /** What shape inference says of the main graph's values. */
  readonly known: ReadonlyMap<string, KnownValue>;
  /** Initializers that were constants of nodes, or computed: never taken for weights. */
  readonly computed: Set<string>;
  /** Names of nodes, which runtimes want to be unique. */
  readonly nodeNames: Names;
  /** What is left of the allowances for folding, unrolling and, in this round, the texts of expressions. */
  folded: number;
  unrolled: number;
  expressionCharacters: number;
}

/** Starts a session with full allowances. */
export const createSession = (
  names: Names,
): Omit<Session, 'known' | 'nodeNames' | 'expressionCharacters'> => ({
  names,
  computed: new Set(),
  folded: foldedTotalMax,
  unrolled: unrolledValuesMax,
});

const isFloat = ({ type }: Tensor): boolean => type.includes('float');

/** Equal texts for equal tensors. */
export const contentOf = (tensor: Tensor): string =>
  `${tensor.type}[${tensor.shape}]${Array.from(rawBytes(tensor.data), (byte) => String.fromCharCode(byte)).join('')}`;

/** The values of one graph. */
export class Scope {
  readonly session: Session;
  readonly nodes: Node[] = [];
  readonly #outer: Scope | undefined;
  readonly #aliases = new Map<string, string>();
  readonly #constants = new Map<string, Constant>();
  readonly #byContent = new Map<string, string>();
  readonly #expressions = new Map<string, readonly string[]>();

  constructor(session: Session, outer?: Scope) {
    this.session = session;
    this.#outer = outer;
  }

  /** Whether this is the model's own graph. */
  get isMain(): boolean {
    return this.#outer === undefined;
  }

  /** The first name of a value. */
  resolve = (name: string): string => this.#aliases.get(name) ?? this.#outer?.resolve(name) ?? name;

  /** Makes a name stand for another value. */
  alias(name: string, value: string): void {
    if (name !== '') this.#aliases.set(name, this.resolve(value));
  }

  /** The constant of that name, here or outside. */
  constantOf(name: string): Constant | undefined {
    return this.#constants.get(name) ?? this.#outer?.constantOf(name);
  }

  /** Adds the graph's initializers. */
  addInitializers({ initializers }: Graph): void {
    for (const tensor of initializers) {
      const computed = this.session.computed.has(tensor.name);
      this.add({ tensor, weight: isFloat(tensor) && !computed });
    }
  }

  /** Adds a constant under its name; small ones that cannot be weights become one with their equals. */
  add(constant: Constant): void {
    const { tensor, weight } = constant;
    const single = !isFloat(tensor) || tensor.data.length <= 1;
    if (!weight && single && tensor.data.length <= mergedElementsMax) {
      const content = contentOf(tensor);
      const equal = this.equalConstant(content);
      if (equal !== undefined && equal !== tensor.name) {
        this.alias(tensor.name, equal);
        return;
      }
      this.#byContent.set(content, tensor.name);
    }
    this.#constants.set(tensor.name, constant);
  }

  /** A constant with the same type, shape and data, here or outside. */
  equalConstant(content: string): string | undefined {
    return this.#byContent.get(content) ?? this.#outer?.equalConstant(content);
  }

  /** Adds a constant that was computed or was a node. */
  addComputed(name: string, tensor: Tensor): void {
    this.session.computed.add(name);
    this.add({ tensor: { ...tensor, name }, weight: false });
  }

  /** Outputs of an equal node that was kept before. */
  equalNode(key: string): readonly string[] | undefined {
    return this.#expressions.get(key);
  }

  /** Keeps a node; `key` names what it computes. */
  keep(node: Node, key?: string): void {
    const { nodeNames } = this.session;
    const unique = node.name === '' || nodeNames.take(node.name);
    this.nodes.push(unique ? node : { ...node, name: nodeNames.fresh(node.name) });
    if (key !== undefined) this.#expressions.set(key, node.outputs);
  }

  /** The constants that were added here, in order. */
  get constants(): ReadonlyMap<string, Constant> {
    return this.#constants;
  }
}
