/** One command line, from its words to its exit code. */
import type { Clock } from '../../shared/runtime/clock.ts'
import { BackhaulError } from '../../shared/runtime/errors.ts'
import { failureText } from '../../shared/runtime/failure.ts'
import { isPassing } from '../passing.ts'
import { CommandArguments, type OptionSpec } from './arguments.ts'
import { type Command, type CommandResult, EXIT, type ExitCode } from './command.ts'
import { cliErrors } from './errors.ts'
import { helpOf, helpOfAll } from './help.ts'
import type { Progress } from './progress.ts'
import { Stores, type StoresOptions } from './stores.ts'

export interface CommandLineOptions extends StoresOptions {
  readonly commands: readonly Command[]
  readonly clock: Clock
  readonly progress: Progress
  readonly signal: AbortSignal
  output(text: string): void
  errors(text: string): void
}

/** Every command has them. */
export const COMMON_OPTIONS: Readonly<Record<string, OptionSpec>> = {
  json: { doc: 'Print one JSON document instead of text.' },
  help: { doc: 'Print this text.' },
}

export async function runCommandLine(
  args: readonly string[],
  options: CommandLineOptions,
): Promise<ExitCode> {
  try {
    return await run(args, options)
  } catch (error) {
    options.progress.end()
    if (options.signal.aborted) {
      options.errors('interrupted; the same command goes on where this one ended')
      return EXIT.interrupted
    }
    if (!(error instanceof BackhaulError)) throw error
    options.errors(oneLine(failureText(error)))
    return exitCodeOf(error)
  }
}

async function run(args: readonly string[], options: CommandLineOptions): Promise<ExitCode> {
  const { commands, output } = options
  const words = args.filter((word) => !word.startsWith('-'))
  if (words.length === 0 && args.every((word) => word === '--help' || word === '-h')) {
    output(helpOfAll(commands))
    return args.length > 0 ? EXIT.done : EXIT.usage
  }
  const command = find(commands, args)
  const rest = args.slice(command.name.split(' ').length)
  // Help needs no arguments.
  if (rest.includes('--help')) {
    output(helpOf(command, COMMON_OPTIONS))
    return EXIT.done
  }
  const { name, positionals } = command
  const wanted = { name, positionals, options: { ...command.options, ...COMMON_OPTIONS } }
  const given = CommandArguments.parse(rest, wanted)
  const result = await runIn(command, given, options)
  output(given.flag('json') ? JSON.stringify(result.json, asDecimal, 1) : result.text)
  return result.exitCode
}

/** The command's name stands first. */
function find(commands: readonly Command[], args: readonly string[]): Command {
  const found = commands.find(({ name }) => {
    const words = name.split(' ')
    return words.every((word, index) => args[index] === word)
  })
  if (found !== undefined) return found
  throw cliErrors.create('CLI_COMMAND_UNKNOWN', {
    expected: commands.map(({ name }) => name).join(', '),
    received: args.slice(0, 2).join(' '),
  })
}

async function runIn(
  command: Command,
  given: CommandArguments,
  options: CommandLineOptions,
): Promise<CommandResult> {
  const { clock, progress, signal } = options
  const stores = new Stores(options)
  try {
    return await command.run({ stores, clock, progress, signal }, given)
  } finally {
    progress.end()
    await stores.close()
  }
}

function exitCodeOf(error: BackhaulError): ExitCode {
  const { code } = error
  if (code.startsWith('CLI_COMMAND_') || code.startsWith('CLI_USAGE_')) return EXIT.usage
  if (code === 'LEASE_HELD') return EXIT.busy
  if (code.startsWith('CONFIG_') || code.startsWith('STANDALONE_DATA_')) return EXIT.setup
  return isPassing(error) ? EXIT.passing : EXIT.failed
}

/** Integers beyond 2^53 as decimal strings, as everywhere in JSON. */
function asDecimal(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value
}

function oneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, ' ')
}
