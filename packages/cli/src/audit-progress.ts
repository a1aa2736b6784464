import { createLiveView } from './live-view.ts';

/** One line on the error output that says how far a ledger was read. */
export interface AuditView {
  show(height: number): void;
  close(): void;
}

/** `until`: the newest height, where it is known before the ledger is read; `quiet` shows nothing. */
export function createAuditView(until: number | undefined, quiet: boolean): AuditView {
  if (quiet) return { show: () => undefined, close: () => undefined };
  const view = createLiveView({ output: process.stderr });
  let shown = 0;
  const line = (): string[] => [`read block ${shown}${until === undefined ? '' : ` of ${until}`}`];
  return {
    show(height) {
      shown = height;
      view.show(line());
    },
    close() {
      view.show([]);
      view.close();
    },
  };
}
