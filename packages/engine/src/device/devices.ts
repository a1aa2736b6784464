/** Where inner steps can run, by the names that onnxruntime gives its backends. */

/** In the order in which `auto` tries them. */
export const acceleratorNames = ['cuda', 'dml', 'coreml', 'webgpu'] as const;

/** A graphics processor or the like, by the interface through which onnxruntime uses it. */
export type AcceleratorName = (typeof acceleratorNames)[number];

/** Where inner steps run. */
export type DeviceName = AcceleratorName | 'cpu';

/** What can be asked for: a device, or the best there is. */
export const deviceWishes = ['auto', 'cpu', ...acceleratorNames] as const;

/** A device, or `auto`. */
export type DeviceWish = (typeof deviceWishes)[number];

/** The device that an engine trains on, and why it is that one. */
export interface DeviceChoice {
  readonly wish: DeviceWish;
  readonly name: DeviceName;
  /** One line. */
  readonly reason: string;
}

/** Messages of drivers can be pages long. */
const reasonLengthMax = 300;

/** A message in one line; of a long one the beginning, up to a word's end. */
export function oneLine(text: string): string {
  const line = text.trim().replaceAll(/\s+/g, ' ');
  if (line.length <= reasonLengthMax) return line;
  const cut = line.slice(0, reasonLengthMax);
  return `${cut.slice(0, Math.max(cut.lastIndexOf(' '), reasonLengthMax / 2))} …`;
}

/** What a device did with the trial's products of matrices. */
export type TrialResult =
  /** How many times as fast as the CPU. */
  { readonly kind: 'ran'; readonly speed: number } | { readonly kind: 'failed'; readonly reason: string };
