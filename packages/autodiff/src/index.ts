/**
 * Reverse-mode differentiation of ONNX graphs: `differentiate(model, { loss, parameters })` appends the backward
 * graph, by one table of gradient rules, and returns a model with outputs `loss` and `gradient:<parameter>`.
 */
export {};
