import { allNames, type Graph } from '@murmuration/onnx';

/** Gives names that a graph does not have yet, each once: the stem itself, or the stem with a number behind it. */
export function freshNames(graph: Graph): (stem: string) => string {
  const taken = new Set(allNames(graph));
  return (stem) => {
    let name = stem;
    for (let count = 1; taken.has(name); count++) name = `${stem}_${count}`;
    taken.add(name);
    return name;
  };
}
