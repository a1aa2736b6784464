/**
 * Node's options for the child: the parent's, without a script on the command line and what goes with tests and
 * debuggers.
 */
export function childOptions(execArgv: readonly string[]): string[] {
  const isScript = (option: string | undefined): boolean => /^(-e|-p|-pe|--eval|--print)$/.test(option ?? '');
  return execArgv.filter(
    (option, index) =>
      !isScript(option) &&
      !isScript(execArgv[index - 1]) &&
      !/^--(input-type|eval|print|test|inspect|watch)/.test(option),
  );
}
