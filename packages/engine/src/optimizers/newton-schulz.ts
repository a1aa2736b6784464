import { createGraphBuilder, float, int, type Model } from '@murmuration/onnx';
import { Tensor } from 'onnxruntime-node';
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
 * The iteration as a graph: `matrix` [rows, columns] → `orthogonal` of the same shape. A tall matrix is multiplied
 * from the right (A = XᵀX), so that A is the smaller square, which gives the same as transposing it twice.
 */
function newtonSchulz(iterations: number, tall: boolean): Model {
  const graph = createGraphBuilder('newton-schulz');
  const matrix = graph.input('matrix', 'float32', ['rows', 'columns']);
  const squares = graph.node('ReduceSumSquare', [matrix], { keepdims: int(0) });
  const norm = graph.node('Max', [graph.node('Sqrt', [squares]), graph.float32(normMin)]);
  let x = graph.node('Div', [matrix, norm]);
  for (let iteration = 0; iteration < iterations; iteration++) {
    const square = graph.node('Gemm', [x, x], tall ? { transA: int(1) } : { transB: int(1) });
    const update = graph.node('Gemm', [square, square, square], { alpha: float(c), beta: float(b) });
    const name = iteration === iterations - 1 ? 'orthogonal' : 'x';
    x = graph.node('Gemm', tall ? [x, update, x] : [update, x, x], { beta: float(a) }, name);
  }
  graph.output(x, 'float32', ['rows', 'columns']);
  return graph.model();
}

/** Holds one session for wide and one for tall matrices of any size. */
export async function createOrthogonalizer(iterations: number, threads: number): Promise<Orthogonalizer> {
  const wide = await createSession(newtonSchulz(iterations, false), threads);
  const tall = await createSession(newtonSchulz(iterations, true), threads);
  return {
    async run(input, output, rows, columns) {
      await runSession(
        rows > columns ? tall : wide,
        { matrix: new Tensor('float32', input, [rows, columns]) },
        { orthogonal: new Tensor('float32', output, [rows, columns]) },
      );
    },
  };
}
