/** Help, made from the commands themselves. */
import type { OptionSpec } from './arguments.ts'
import { type Command, EXIT } from './command.ts'

const EXIT_CODES = `Exit codes: ${EXIT.done} done or equal, ${EXIT.failed} defect or failure, ${EXIT.usage} usage, ${EXIT.busy} another run holds the
lease, ${EXIT.setup} setting or data folder unusable, ${EXIT.passing} a store away or the like: try again, ${EXIT.interrupted} interrupted.
docs/cli.md says more.`

export function helpOfAll(commands: readonly Command[]): string {
  const width = Math.max(...commands.map(({ name }) => name.length))
  return [
    'npx backhaul <command> [options]',
    '',
    ...commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
    '',
    'Works on BACKHAUL_DATA_DIR, beside a running server or without one, or on the stores of services on',
    'their own: EVENT_LOG=kafka, PROCESSOR_SPEED_STORE=cassandra, OBJECT_STORE=gcs.',
    '--help after a command shows its options and examples; --json prints one JSON document.',
    EXIT_CODES,
  ].join('\n')
}

export function helpOf(
  { name, about, options, positionals, examples }: Command,
  common: Readonly<Record<string, OptionSpec>>,
): string {
  const rows = Object.entries({ ...options, ...common }).map(([option, { value, doc }]) => ({
    left: `--${option}${value === undefined ? '' : ` ${value}`}`,
    doc,
  }))
  const width = Math.max(...rows.map(({ left }) => left.length))
  return [
    ['npx backhaul', name, ...positionals.map((one) => `<${one}>`), '[options]'].join(' '),
    '',
    about,
    '',
    ...rows.map(({ left, doc }) => `  ${left.padEnd(width)}  ${doc}`),
    '',
    ...examples.map((example) => `  npx backhaul ${example}`),
  ].join('\n')
}
