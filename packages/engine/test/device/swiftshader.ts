/** Where scripts/swiftshader.ts puts the driver that computes on the CPU. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(
  new URL('../../../../node_modules/.cache/murmuration/swiftshader', import.meta.url),
);

/** The variables with which a process finds the driver; undefined when it is not there. */
export const swiftshader: Readonly<Record<string, string>> | undefined = existsSync(
  `${folder}/vk_swiftshader_icd.json`,
)
  ? { VK_DRIVER_FILES: `${folder}/vk_swiftshader_icd.json`, LD_LIBRARY_PATH: folder }
  : undefined;
