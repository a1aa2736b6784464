/** What the command's exit code tells a script. */
export const exitCodes = {
  success: 0,
  /** What was asked for did not come about; the message says why. */
  failure: 1,
  /** The command line was not understood. */
  usage: 2,
  /** A mistake of murmur itself. */
  internal: 70,
  /** Stopped by Ctrl-C, by a closed terminal, by a service manager: 128 + the signal's number. */
  interrupted: 130,
  hungUp: 129,
  terminated: 143,
} as const;
