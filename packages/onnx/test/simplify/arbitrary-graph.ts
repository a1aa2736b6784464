import fc from 'fast-check';
import {
  type Attribute,
  type Attributes,
  type ElementType,
  graphAttribute,
  int,
  ints,
  type Model,
  type Node,
  type Tensor,
  tensorAttribute,
} from '../../src/index.ts';
import { noise, tensor } from '../run-model.ts';

/** One step of a random program: an operator on earlier values, chosen by number. */
interface Step {
  readonly kind: keyof typeof steps;
  readonly picks: readonly number[];
  readonly setting: number;
}

/** A value of the program. */
interface Value {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly number[];
}

/** The program while it is written. */
interface Program {
  readonly nodes: Node[];
  readonly constants: Tensor[];
  readonly values: Value[];
}

function emit(
  program: Program,
  operator: string,
  inputs: readonly string[],
  type: ElementType,
  shape: readonly number[],
  attributes: Attributes = {},
): void {
  const name = `v${program.values.length}`;
  program.nodes.push({
    name: `n${program.nodes.length}`,
    operator,
    domain: '',
    inputs,
    outputs: [name],
    attributes,
  });
  program.values.push({ name, type, shape });
}

/** Constants come as initializers or as nodes. */
function constant(program: Program, data: Tensor, asNode: boolean): string {
  const name = `c${program.nodes.length}_${program.constants.length}`;
  if (asNode)
    program.nodes.push({
      name: `n${name}`,
      operator: 'Constant',
      domain: '',
      inputs: [],
      outputs: [name],
      attributes: { value: { kind: 'tensor', value: data } },
    });
  else program.constants.push({ ...data, name });
  return name;
}

const sameShape = (a: Value, b: Value): boolean => a.shape.join() === b.shape.join() && a.type === b.type;

const plain = (operator: string, inputs: readonly string[], output: string): Node => ({
  name: '',
  operator,
  domain: '',
  inputs,
  outputs: [output],
  attributes: {},
});

/** A branch that gives a value from outside, changed or not, or a constant of its own. */
function branch(from: Value, operator: string, setting: number): Attribute {
  const own = { ...noise(from.shape, `${setting}`, from.type), name: '' };
  const asConstant = { ...plain('Constant', [], 'inside'), attributes: { value: tensorAttribute(own) } };
  return graphAttribute({
    name: 'branch',
    nodes: [setting % 4 === 3 ? asConstant : plain(operator, [from.name], 'inside')],
    inputs: [],
    outputs: [{ name: 'inside', type: from.type }],
    initializers: [],
  });
}

/** What a step adds to the program; steps that do not fit the values they picked add nothing. */
const steps = {
  constant(program: Program, [a]: readonly Value[], setting: number): void {
    const shape = a?.shape ?? [2];
    const values = Array.from(
      { length: shape.reduce((x, y) => x * y, 1) },
      (_, index) => ((index * 7 + setting) % 5) - 1,
    );
    const type = (['int64', 'float32', 'int32'] as const)[setting % 3] ?? 'int64';
    program.values.push({
      name: constant(program, tensor(shape, values, type), setting % 2 === 0),
      type,
      shape,
    });
  },
  binary(program: Program, [a, b]: readonly Value[], setting: number): void {
    if (!a || !b || !sameShape(a, b)) return;
    const operator = ['Add', 'Sub', 'Mul', 'Min', 'Max'][setting % 5] ?? 'Add';
    emit(program, operator, [a.name, b.name], a.type, a.shape);
  },
  compare(program: Program, [a, b]: readonly Value[], setting: number): void {
    if (!a || !b || !sameShape(a, b)) return;
    const operator = ['Less', 'Greater', 'Equal'][setting % 3] ?? 'Less';
    const truth = `t${program.nodes.length}`;
    program.nodes.push({
      name: truth,
      operator,
      domain: '',
      inputs: [a.name, b.name],
      outputs: [truth],
      attributes: {},
    });
    emit(program, 'Where', [truth, a.name, b.name], a.type, a.shape);
  },
  unary(program: Program, [a]: readonly Value[], setting: number): void {
    if (a) emit(program, ['Neg', 'Abs', 'Identity', 'Sign'][setting % 4] ?? 'Neg', [a.name], a.type, a.shape);
  },
  cast(program: Program, [a]: readonly Value[], setting: number): void {
    const [type, code] = (
      [
        ['int64', 7],
        ['float32', 1],
        ['int32', 6],
      ] as const
    )[setting % 3] ?? ['int64', 7];
    if (a) emit(program, 'Cast', [a.name], type, a.shape, { to: int(code) });
  },
  shape(program: Program, [a]: readonly Value[]): void {
    if (a) emit(program, 'Shape', [a.name], 'int64', [a.shape.length]);
  },
  reshape(program: Program, [a]: readonly Value[], setting: number): void {
    if (!a) return;
    const target = constant(program, tensor([1], [-1], 'int64'), setting % 2 === 0);
    emit(program, 'Reshape', [a.name, target], a.type, [a.shape.reduce((x, y) => x * y, 1)]);
  },
  transpose(program: Program, [a]: readonly Value[]): void {
    if (a && a.shape.length > 1)
      emit(program, 'Transpose', [a.name], a.type, a.shape.toReversed(), {
        perm: ints(a.shape.map((_, axis) => a.shape.length - 1 - axis)),
      });
  },
  concat(program: Program, [a, b]: readonly Value[]): void {
    if (!a || !b || !sameShape(a, b) || a.shape.length === 0 || (a.shape[0] ?? 0) > 8) return;
    emit(program, 'Concat', [a.name, b.name], a.type, [2 * (a.shape[0] as number), ...a.shape.slice(1)], {
      axis: int(0),
    });
  },
  choice(program: Program, [a, b]: readonly Value[], setting: number): void {
    if (!a || !b || !sameShape(a, b)) return;
    const truth =
      setting > 5 ? 'flag' : constant(program, tensor([], [setting % 2], 'bool'), setting % 3 === 0);
    emit(program, 'If', [truth], a.type, a.shape, {
      then_branch: branch(a, setting % 2 === 0 ? 'Neg' : 'Identity', setting),
      else_branch: branch(b, 'Identity', setting),
    });
  },
  loop(program: Program, [a, b]: readonly Value[], setting: number): void {
    if (!a || !b || !sameShape(a, b)) return;
    const count =
      setting > 7 ? 'count' : constant(program, tensor([], [setting % 4], 'int64'), setting % 2 === 0);
    const stacked = setting % 4 !== 0 && count !== 'count';
    const outputs = [
      { name: 'goesOn', type: 'bool' as const, shape: [] },
      { name: 'next', type: a.type, shape: a.shape },
      ...(stacked ? [{ name: 'row', type: a.type, shape: a.shape }] : []),
    ];
    const body = graphAttribute({
      name: 'body',
      nodes: [
        plain('Identity', ['goes'], 'goesOn'),
        plain('Sub', ['state', b.name], 'next'),
        plain('Identity', [setting % 3 === 0 ? b.name : 'state'], 'row'),
      ],
      inputs: [
        { name: 'round', type: 'int64', shape: [] },
        { name: 'goes', type: 'bool', shape: [] },
        { name: 'state', type: a.type, shape: a.shape },
      ],
      outputs,
      initializers: [],
    });
    emit(program, 'Loop', [count, '', a.name], a.type, a.shape, { body });
    if (!stacked) return;
    const loop = program.nodes.at(-1) as Node;
    const rows = `${loop.outputs[0]}rows`;
    program.nodes[program.nodes.length - 1] = { ...loop, outputs: [...loop.outputs, rows] };
    program.values.push({ name: rows, type: a.type, shape: [setting % 4, ...a.shape] });
  },
};

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom(...(Object.keys(steps) as (keyof typeof steps)[])),
  picks: fc.array(fc.nat(), { minLength: 2, maxLength: 2 }),
  setting: fc.nat(11),
});

/**
 * Models with the inputs `x` (float32 [2, 3]), `flag` and `count` (bool and int64 scalars) that compute with it, its
 * shape and constants.
 */
export const arbitraryGraph: fc.Arbitrary<Model> = fc
  .array(step, { minLength: 1, maxLength: 25 })
  .map((list) => {
    const program: Program = {
      nodes: [],
      constants: [],
      values: [{ name: 'x', type: 'float32', shape: [2, 3] }],
    };
    for (const { kind, picks, setting } of list) {
      const chosen = picks.map(
        (at) => program.values[program.values.length - 1 - (at % program.values.length)] as Value,
      );
      steps[kind](program, chosen, setting);
    }
    const given = new Set(program.nodes.flatMap(({ outputs }) => outputs));
    const outputs = program.values.filter(({ name }) => given.has(name)).slice(-4);
    return {
      irVersion: 11,
      producer: 'test',
      opsets: { '': 23 },
      metadata: {},
      graph: {
        name: 'program',
        nodes: program.nodes,
        inputs: [
          { name: 'x', type: 'float32' as const, shape: [2, 3] },
          { name: 'flag', type: 'bool' as const, shape: [] },
          { name: 'count', type: 'int64' as const, shape: [] },
        ],
        outputs,
        initializers: program.constants,
      },
    };
  })
  .filter(({ graph }) => graph.outputs.length > 0);
