import { createGraphBuilder, float, type GraphBuilder, int, type Model } from '@murmuration/onnx';
import { type InferenceSession, Tensor } from 'onnxruntime-node';
import { threadedMatrixMin } from '../defaults.ts';
import { createSession, runSession } from '../session.ts';

/** Coefficients of the quintic X ← aX + bAX + cA²X with A = XXᵀ (Jordan et al. 2024). */
const [a, b, c] = [3.4445, -4.775, 2.0315];
/** Keeps a zero matrix from being divided by its norm. */
const normMin = 1e-7;

/** Makes a matrix nearly orthogonal: its singular values end between about 0.7 and 1.2. */
export interface Orthogonalizer {
  /** Row by row. `output` does not overlap `input`. */
  run(input: Float32Array, output: Float32Array, rows: number, columns: number): Promise<void>;
}

/**
 * Adds the iteration to a graph: gives the orthogonal one of a matrix [rows, columns], named `orthogonal`. A tall
 * matrix is multiplied from the right (A = XᵀX), so that A is the smaller square, which gives the same as transposing
 * it twice.
 */
export function orthogonalize(
  graph: GraphBuilder,
  matrix: string,
  { iterations, tall }: { readonly iterations: number; readonly tall: boolean },
): string {
  const squares = graph.node('ReduceSumSquare', [matrix], { keepdims: int(0) });
  const norm = graph.node('Max', [graph.node('Sqrt', [squares]), graph.float32(normMin)]);
  let x = graph.node('Div', [matrix, norm]);
  for (let iteration = 0; iteration < iterations; iteration++) {
    const square = graph.node('Gemm', [x, x], tall ? { transA: int(1) } : { transB: int(1) });
    const update = graph.node('Gemm', [square, square, square], { alpha: float(c), beta: float(b) });
    const name = iteration === iterations - 1 ? 'orthogonal' : 'x';
    x = graph.node('Gemm', tall ? [x, update, x] : [update, x, x], { beta: float(a) }, name);
  }
  return x;
}

function newtonSchulz(iterations: number, tall: boolean): Model {
  const graph = createGraphBuilder('newton-schulz');
  const matrix = graph.input('matrix', 'float32', ['rows', 'columns']);
  graph.output(orthogonalize(graph, matrix, { iterations, tall }), 'float32', ['rows', 'columns']);
  return graph.model();
}

/**
 * Holds a session for wide and one for tall matrices, and both once more for small ones, which one thread does faster;
 * each is made when it is first needed, because the threads of a session spin for a while after each run.
 */
export function createOrthogonalizer(iterations: number, threads: number): Orthogonalizer {
  const sessions = new Map<string, Promise<InferenceSession>>();
  const sessionFor = (tall: boolean, among: number): Promise<InferenceSession> => {
    const key = `${tall} ${among}`;
    const made = sessions.get(key) ?? createSession(newtonSchulz(iterations, tall), among);
    sessions.set(key, made);
    return made;
  };
  return {
    async run(input, output, rows, columns) {
      const isLarge = rows * columns >= threadedMatrixMin;
      await runSession(
        await sessionFor(rows > columns, isLarge ? threads : 1),
        { matrix: new Tensor('float32', input, [rows, columns]) },
        { orthogonal: new Tensor('float32', output, [rows, columns]) },
      );
    },
  };
}
