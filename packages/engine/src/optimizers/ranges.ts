import type { ParameterLayout, TensorSlot } from '@murmuration/base';
import type { ParameterDeclaration } from '@murmuration/onnx';

/** Neighbouring coordinates that a step treats alike. */
export interface TrainedRange {
  readonly start: number;
  readonly end: number;
  /** Whether weight decay applies. */
  readonly decays: boolean;
}

/** A running statistic: not the optimizer's. */
export interface AverageRange {
  readonly start: number;
  readonly end: number;
  readonly momentum: number;
}

/** A parameter as rows and columns. */
export interface MatrixRange extends TrainedRange {
  readonly rows: number;
  readonly columns: number;
}

/** A flat vector's coordinates by what moves them. */
export interface ParameterRanges {
  readonly trained: readonly TrainedRange[];
  readonly averages: readonly AverageRange[];
}

type Placed = readonly [TensorSlot, ParameterDeclaration];

const place = (declarations: readonly ParameterDeclaration[], layout: ParameterLayout): Placed[] =>
  layout.slots.map((slot, index): Placed => [slot, declarations[index] as ParameterDeclaration]);

/** Neighbours that agree on weight decay become one range. */
function join(ranges: readonly TrainedRange[]): TrainedRange[] {
  const joined: TrainedRange[] = [];
  for (const { start, end, decays } of ranges) {
    const last = joined.at(-1);
    if (last && last.decays === decays && last.end === start) joined[joined.length - 1] = { ...last, end };
    else joined.push({ start, end, decays });
  }
  return joined;
}

const rangeOf = ([{ offset, length }, { decays }]: Placed): TrainedRange => ({
  start: offset,
  end: offset + length,
  decays,
});

/** Which coordinates the optimizer moves, and which are running statistics. */
export function parameterRanges(
  declarations: readonly ParameterDeclaration[],
  layout: ParameterLayout,
): ParameterRanges {
  const placed = place(declarations, layout);
  return {
    trained: join(placed.filter(([, { update }]) => !update).map(rangeOf)),
    averages: placed.flatMap(([{ offset, length }, { update }]) =>
      update ? [{ start: offset, end: offset + length, momentum: update.momentum }] : [],
    ),
  };
}

/** Whether a trained parameter is a matrix inside the network, or a kernel. */
export const isMatrix = ({ shape }: TensorSlot, { hidden }: ParameterDeclaration): boolean =>
  shape.length > 1 && hidden !== false;

/**
 * The trained parameters apart: matrices inside the network, and all else. A convolution's kernel [out, …] is a matrix
 * of `out` rows.
 */
export function splitMatrices(
  declarations: readonly ParameterDeclaration[],
  layout: ParameterLayout,
): { readonly matrices: readonly MatrixRange[]; readonly others: readonly TrainedRange[] } {
  const trained = place(declarations, layout).filter(([, { update }]) => !update);
  return {
    matrices: trained
      .filter((placed) => isMatrix(...placed))
      .map((placed) => {
        const [{ shape, length }] = placed;
        const rows = shape[0] as number;
        return { ...rangeOf(placed), rows, columns: length / rows };
      }),
    others: join(trained.filter((placed) => !isMatrix(...placed)).map(rangeOf)),
  };
}
