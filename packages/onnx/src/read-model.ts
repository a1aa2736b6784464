import { modelBytesMax } from './defaults.ts';
import { OnnxError } from './errors.ts';
import type { ReadExternal } from './external-data.ts';
import { decodeModel, type Message } from './message.ts';
import type { Model } from './model.ts';
import { createReading, domainOf, readGraph } from './read-graph.ts';
import { createTensorReading, integer, listOf, nameOf } from './read-tensor.ts';
import { allNodes } from './subgraphs.ts';

/** Settings of `readModel`. */
export interface ReadModelInit {
  /** Reads external data; without it, models that have some are refused. */
  readonly external?: ReadExternal;
}

type Opsets = Record<string, number>;

const opsetsOf = (message: Message): Opsets =>
  Object.fromEntries(
    listOf(message, 'opsetImport').map((opset): [string, number] => {
      const domain = domainOf(opset);
      return [domain, integer(opset.version, `opset ${domain}`)];
    }),
  );

/** The opsets of the model and of its functions. Throws `OnnxError` where they differ: one version would be wrong. */
function allOpsets(message: Message): Opsets {
  const opsets = opsetsOf(message);
  for (const each of listOf(message, 'functions'))
    for (const [domain, version] of Object.entries(opsetsOf(each))) {
      const known = Object.hasOwn(opsets, domain) ? opsets[domain] : undefined;
      if (known !== undefined && known !== version)
        throw new OnnxError(
          `function ${nameOf(each, 'name')}: expected opset ${known} of domain "${domain}" as in the model, ` +
            `got ${version}`,
          { code: 'unsupported', domain, version },
        );
      opsets[domain] = version;
    }
  return opsets;
}

/** Without the domains that only calls of functions had. */
function withoutFunctionDomains(model: Model, functions: readonly Message[]): Model {
  const called = new Set(functions.map(domainOf));
  const used = new Set(allNodes(model).map(({ domain }) => domain));
  const opsets = Object.entries(model.opsets).filter(([domain]) => used.has(domain) || !called.has(domain));
  return { ...model, opsets: Object.fromEntries(opsets) };
}

/**
 * Reads an ONNX model from protobuf bytes, which may come from anywhere: memory stays proportional to the input and to
 * the package's maxima. Local functions are put in the place of their calls; sparse tensors become dense; external data
 * comes through `external`. Throws `OnnxError`: `too-long`, `malformed`, `unsafe-location` (external data outside the
 * model's folder), or `unsupported` (sequences, strings, recursive functions). Says nothing about whether the graph
 * makes sense: that is `checkModel`.
 */
export function readModel(bytes: Uint8Array, { external }: ReadModelInit = {}): Model {
  if (bytes.length > modelBytesMax)
    throw new OnnxError(`ONNX model: expected at most ${modelBytesMax} bytes, got ${bytes.length}`, {
      code: 'too-long',
      length: bytes.length,
    });
  const message = decodeModel(bytes);
  const graph = message.graph as Message | undefined;
  if (!graph) throw new OnnxError('ONNX model: expected a graph, got none', { code: 'malformed' });
  const functions = listOf(message, 'functions');
  const metadata = listOf(message, 'metadataProps').map((entry): [string, string] => [
    nameOf(entry, 'key'),
    nameOf(entry, 'value'),
  ]);
  const model: Model = {
    irVersion: integer(message.irVersion, 'IR version'),
    producer: nameOf(message, 'producerName'),
    opsets: allOpsets(message),
    metadata: Object.fromEntries(metadata),
    graph: readGraph(graph, createReading(createTensorReading(external), functions)),
  };
  return functions.length > 0 ? withoutFunctionDomains(model, functions) : model;
}
