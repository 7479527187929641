/**
 * What a command of `npx backhaul` is. `main.ts` finds it by its name, reads its arguments, hands it
 * the stores and prints what it found: one JSON document with `--json`, a text otherwise.
 *
 * A command opens what it needs from `stores` and closes nothing; it prints nothing itself, and it
 * throws a `BackhaulError` for what the operator can act on.
 */
import type { Clock } from '../../shared/runtime/clock.ts'
import type { CommandArguments, OptionSpec } from './arguments.ts'
import type { Progress } from './progress.ts'
import type { Stores } from './stores.ts'

export interface Command {
  /** One or two words: `verify`, `batch run`. */
  readonly name: string
  /** One line of the list of commands, without a full stop. */
  readonly summary: string
  /** Paragraphs of the command's help: what it reads and writes, and what its exit code says. */
  readonly about: string
  /** Whole command lines without `npx backhaul`; each is shown in the help. */
  readonly examples: readonly string[]
  readonly options: Readonly<Record<string, OptionSpec>>
  /** Names of the arguments beside the options; all of them are required. */
  readonly positionals: readonly string[]
  run(context: CommandContext, given: CommandArguments): Promise<CommandResult>
}

export interface CommandContext {
  readonly stores: Stores
  readonly clock: Clock
  readonly progress: Progress
  /** Aborted by Ctrl-C or SIGTERM; a command that can end early looks at it. */
  readonly signal: AbortSignal
}

export interface CommandResult {
  readonly exitCode: ExitCode
  /** For machines; its fields are documented in `docs/cli.md` and only added to. */
  readonly json: object
  /** For people, without the last line's end. */
  readonly text: string
}

export const EXIT = {
  /** Done; for a comparison: equal, or every difference explained. */
  done: 0,
  /** A defect was found, or the command failed. */
  failed: 1,
  /** The command line was not understood. */
  usage: 2,
  /** Another run holds the lease. */
  busy: 3,
  /** A setting or the data folder cannot be used. */
  setup: 4,
  /** A store was away, or something else that passes by itself: the same command may be given again. */
  passing: 75,
  /** Ended by Ctrl-C or SIGTERM. */
  interrupted: 130,
} as const
export type ExitCode = (typeof EXIT)[keyof typeof EXIT]
