/** The arguments of a command, read by its table of options; what is wrong is a `CLI_USAGE_…`. */
import { parseArgs } from 'node:util'
import { cliErrors } from './errors.ts'

export interface OptionSpec {
  /** What stands for the value in the help, such as `TIME`; a flag has none. */
  readonly value?: string
  /** One line of the help. */
  readonly doc: string
  /** Whether it may be given several times. */
  readonly isList?: boolean
}

interface Wanted {
  readonly name: string
  readonly options: Readonly<Record<string, OptionSpec>>
  readonly positionals: readonly string[]
}

type Values = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>

const DATE = /^\d{4}-\d{2}-\d{2}$/
const TIME = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?Z)?$/

export class CommandArguments {
  readonly #values: Values
  readonly #positionals: Readonly<Record<string, string>>

  private constructor(values: Values, positionals: Readonly<Record<string, string>>) {
    this.#values = values
    this.#positionals = positionals
  }

  /** Throws `CLI_USAGE_INVALID`. */
  static parse(args: readonly string[], { name, options, positionals }: Wanted): CommandArguments {
    let parsed: { readonly values: Values; readonly positionals: readonly string[] }
    try {
      parsed = parseArgs({
        args: [...args],
        allowPositionals: true,
        options: Object.fromEntries(
          Object.entries(options).map(([option, { value, isList = false }]) => [
            option,
            {
              type: value === undefined ? ('boolean' as const) : ('string' as const),
              multiple: isList,
            },
          ]),
        ),
      })
    } catch (cause) {
      if (!(cause instanceof TypeError)) throw cause
      throw usage(`the options of backhaul ${name}`, firstSentence(cause.message))
    }
    if (parsed.positionals.length !== positionals.length)
      throw usage(
        positionals.length === 0
          ? `no argument beside the options of backhaul ${name}`
          : `backhaul ${name} ${positionals.map((one) => `<${one}>`).join(' ')}`,
        parsed.positionals.length === 0 ? 'none' : parsed.positionals.join(' '),
      )
    const named = positionals.map((one, index) => [one, parsed.positionals[index] ?? ''] as const)
    return new CommandArguments(parsed.values, Object.fromEntries(named))
  }

  flag(name: string): boolean {
    return this.#values[name] === true
  }

  text(name: string): string | undefined {
    const value = this.#values[name]
    return typeof value === 'string' ? value : undefined
  }

  /** Throws `CLI_USAGE_INVALID` when it was not given. */
  required(name: string): string {
    const value = this.text(name)
    if (value === undefined) throw usage(`--${name}`, 'none')
    return value
  }

  list(name: string): readonly string[] {
    const value = this.#values[name]
    return Array.isArray(value) ? value.map(String) : []
  }

  positional(name: string): string {
    return this.#positionals[name] ?? ''
  }

  /** A moment in UTC, epoch ms: `2026-03-01` or `2026-03-01T12:30Z`. */
  timeMs(name: string): number | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    const ms = TIME.test(text) ? Date.parse(text) : Number.NaN
    if (Number.isNaN(ms))
      throw usage(`--${name} to be a time in UTC such as 2026-03-01 or 2026-03-01T12:30Z`, text)
    return ms
  }

  /** A UTC day, `YYYY-MM-DD`. */
  requiredDate(name: string): string {
    const text = this.required(name)
    const ms = DATE.test(text) ? Date.parse(text) : Number.NaN
    // 2026-02-30 is read as a day of March.
    if (Number.isNaN(ms) || new Date(ms).toISOString().slice(0, 10) !== text)
      throw usage(`--${name} to be a day such as 2026-03-01`, text)
    return text
  }

  count(name: string, range: { readonly max: number; readonly default: number }): number {
    const text = this.text(name)
    if (text === undefined) return range.default
    const count = Number(text)
    if (!/^\d+$/.test(text) || count < 1 || count > range.max)
      throw usage(`--${name} from 1 to ${range.max}`, text)
    return count
  }
}

export function usage(expected: string, received: string) {
  return cliErrors.create('CLI_USAGE_INVALID', { expected, received })
}

function firstSentence(text: string): string {
  return text.split('. ')[0] ?? text
}
