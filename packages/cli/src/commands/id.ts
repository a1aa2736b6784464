import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { openStore } from '@murmuration/store';
import type { Command } from 'commander';
import { withJson, withStore } from './options.ts';

export function addId(program: Command): void {
  withJson(withStore(program.command('id')))
    .description(
      "print this folder's peer id, making its key first if there is none (founders and guests need it)",
    )
    .action((options: { store: string; json: boolean }) => {
      const store = openStore({ directory: options.store, readOnly: existsSync(join(options.store, 'key')) });
      const { peer } = store.identity;
      store.close();
      console.log(options.json ? JSON.stringify({ peer }) : peer);
    });
}
