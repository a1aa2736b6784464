import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeNode } from '@murmuration/onnx';

test('describeNode says the name, or what an unnamed node makes', () => {
  const node = { name: '', operator: 'Add', outputs: ['', 'x'] };
  assert.equal(describeNode({ ...node, name: '/fc/Add' }), 'node "/fc/Add" (Add)');
  assert.equal(describeNode(node), 'an unnamed Add that makes "x"');
  assert.equal(describeNode({ ...node, outputs: [] }), 'an unnamed Add');
});
