/**
 * Fetches SwiftShader, a Vulkan driver that computes on the CPU, for the tests of WebGPU on machines without a graphics
 * processor. It is a part of Debian's package chromium-common. Where that cannot be had it says why and the tests skip.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const cache = fileURLToPath(new URL('../node_modules/.cache/murmuration/', import.meta.url));
const folder = join(cache, 'swiftshader');
const files = ['libvk_swiftshader.so', 'libvulkan.so.1', 'vk_swiftshader_icd.json'];
const timeoutMs = 300_000;

const run = (command: string, parameters: readonly string[], cwd: string): void => {
  execFileSync(command, parameters, { cwd, stdio: ['ignore', 'ignore', 'pipe'], timeout: timeoutMs });
};

function download(into: string): void {
  try {
    run('apt-get', ['download', 'chromium-common'], into);
  } catch {
    run('apt-get', ['update'], into);
    run('apt-get', ['download', 'chromium-common'], into);
  }
}

function install(): void {
  mkdirSync(cache, { recursive: true });
  const scratch = mkdtempSync(join(cache, 'swiftshader-'));
  try {
    download(scratch);
    const [archive] = readdirSync(scratch);
    run('dpkg-deb', ['-x', archive ?? '', 'package'], scratch);
    const wanted = join(scratch, 'wanted');
    mkdirSync(wanted);
    for (const file of files)
      copyFileSync(join(scratch, 'package', 'usr', 'lib', 'chromium', file), join(wanted, file));
    renameSync(wanted, folder);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

const isThere = (): boolean => files.every((file) => existsSync(join(folder, file)));

if (!isThere())
  try {
    rmSync(folder, { recursive: true, force: true });
    install();
  } catch (error) {
    console.log(`no SwiftShader, tests of WebGPU will skip: ${(error as Error).message.split('\n')[0]}`);
  }
if (isThere()) console.log(`SwiftShader is in ${folder}`);
