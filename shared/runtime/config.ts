/**
 * Configuration is one table per service; everything else is derived from it: the type, the name
 * of the environment variable, the range check, `docs/config.md` and `.env.example`. `process.env`
 * is read once, by a `main.ts`, and handed to `loadConfig`.
 */
import { BackhaulError, defineErrors } from './errors.ts'

export const configErrors = defineErrors({
  CONFIG_UNKNOWN: {
    rule: 'an environment variable with a prefix of ours must be a known setting',
    retryable: false,
    action: 'Correct or remove the variable; docs/config.md lists every setting.',
  },
  CONFIG_INVALID: {
    rule: 'a setting must have a value of its type and range',
    retryable: false,
    action: 'Correct the value; docs/config.md lists type, range and default.',
  },
  CONFIG_CONFLICT: {
    rule: 'settings must agree with one another',
    retryable: false,
    action: 'Change one of the two settings named in the message.',
  },
})

/** What a value must be like, for who checks it before the process is there, such as the chart's schema. */
export type SettingShape =
  | { readonly type: 'integer'; readonly min: number; readonly max: number }
  | { readonly type: 'text'; readonly pattern?: RegExp }
  | { readonly type: 'choice'; readonly choices: readonly string[] }
  | { readonly type: 'boolean' }
  | { readonly type: 'list' }

interface SettingBase<Value> {
  readonly default: Value
  readonly doc: string
  /** A secret is never printed; it may also be given as a file by `<NAME>_FILE`. */
  readonly secret?: boolean
  parse(text: string): Value
  /** Type and range in words, for the docs and the error. */
  readonly expected: string
  readonly shape: SettingShape
  readonly unit?: string
}
export type Setting<Value> = SettingBase<Value>

export const setting = {
  integer(options: {
    default: number
    min: number
    max: number
    unit: string
    doc: string
  }): Setting<number> {
    const expected = `an integer from ${options.min} to ${options.max} (${options.unit})`
    return {
      ...options,
      expected,
      shape: { type: 'integer', min: options.min, max: options.max },
      parse(text) {
        const value = Number(text)
        if (!/^-?\d+$/.test(text) || value < options.min || value > options.max)
          throw new Error(expected)
        return value
      },
    }
  },
  text(options: {
    default: string
    doc: string
    secret?: boolean
    pattern?: RegExp
    expected?: string
  }): Setting<string> {
    const expected = options.expected ?? 'text'
    return {
      ...options,
      expected,
      shape: { type: 'text', ...(options.pattern && { pattern: options.pattern }) },
      parse(text) {
        if (options.pattern && !options.pattern.test(text)) throw new Error(expected)
        return text
      },
    }
  },
  choice<const Choice extends string>(options: {
    default: Choice
    choices: readonly Choice[]
    doc: string
  }): Setting<Choice> {
    const expected = `one of ${options.choices.join(', ')}`
    return {
      default: options.default,
      doc: options.doc,
      expected,
      shape: { type: 'choice', choices: options.choices },
      parse(text) {
        const found = options.choices.find((choice) => choice === text)
        if (found === undefined) throw new Error(expected)
        return found
      },
    }
  },
  boolean(options: { default: boolean; doc: string }): Setting<boolean> {
    return {
      ...options,
      expected: 'true or false',
      shape: { type: 'boolean' },
      parse(text) {
        if (text !== 'true' && text !== 'false') throw new Error('true or false')
        return text === 'true'
      },
    }
  },
  /** Comma-separated values, blanks around them removed, empty ones refused. */
  list(options: {
    default: readonly string[]
    doc: string
    secret?: boolean
    expected?: string
  }): Setting<readonly string[]> {
    const expected = options.expected ?? 'comma-separated values'
    return {
      ...options,
      expected,
      shape: { type: 'list' },
      parse(text) {
        if (text === '') return []
        const values = text.split(',').map((value) => value.trim())
        if (values.some((value) => value === '')) throw new Error(expected)
        return values
      },
    }
  },
}

export type SettingTable = Readonly<Record<string, Setting<unknown>>>
export type ValuesOf<Table extends SettingTable> = {
  readonly [Field in keyof Table]: Table[Field] extends Setting<infer Value> ? Value : never
}

export interface ConfigSpec<Table extends SettingTable = SettingTable> {
  /** Environment prefix without the underscore, e.g. `GATEWAY`. */
  readonly prefix: string
  readonly table: Table
  /** Checks between fields; throw with `configErrors.create('CONFIG_CONFLICT', …)`. */
  check?(values: ValuesOf<Table>): void
}

export function defineConfig<Table extends SettingTable>(
  spec: ConfigSpec<Table>,
): ConfigSpec<Table> {
  return spec
}

/** `laneFlushMs` of `GATEWAY` → `GATEWAY_LANE_FLUSH_MS`. */
export function environmentName(prefix: string, field: string): string {
  return `${prefix}_${field.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`
}

type Environment = Readonly<Record<string, string | undefined>>

/**
 * Reads one service's settings. `readFile` serves `<NAME>_FILE` for secrets.
 * Throws `CONFIG_INVALID` or `CONFIG_CONFLICT`, naming the variable; never echoes a secret.
 */
export function readConfig<Table extends SettingTable>(
  spec: ConfigSpec<Table>,
  environment: Environment,
  readFile: (path: string) => string,
): ValuesOf<Table> {
  const values: Record<string, unknown> = {}
  for (const [field, definition] of Object.entries(spec.table)) {
    const name = environmentName(spec.prefix, field)
    values[field] = readSetting(name, definition, environment, readFile)
  }
  const typed = values as ValuesOf<Table>
  spec.check?.(typed)
  return typed
}

function readSetting(
  name: string,
  definition: Setting<unknown>,
  environment: Environment,
  readFile: (path: string) => string,
): unknown {
  const file = definition.secret === true ? environment[`${name}_FILE`] : undefined
  const direct = environment[name]
  if (file !== undefined && direct !== undefined)
    throw configErrors.create('CONFIG_CONFLICT', {
      expected: `one of ${name} and ${name}_FILE`,
      received: 'both',
    })
  if (file === undefined && direct === undefined) return definition.default
  let text = direct ?? ''
  if (file !== undefined) {
    try {
      text = readFile(file).trimEnd()
    } catch (cause) {
      throw configErrors.create('CONFIG_INVALID', {
        expected: `${name}_FILE to name a readable file`,
        received: file,
        cause,
      })
    }
  }
  try {
    return definition.parse(text)
  } catch (cause) {
    if (cause instanceof BackhaulError) throw cause
    throw configErrors.create('CONFIG_INVALID', {
      expected: `${name} to be ${definition.expected}`,
      received: definition.secret === true ? 'a value that is not shown' : JSON.stringify(text),
      cause,
    })
  }
}

/** Throws `CONFIG_UNKNOWN` for a variable that carries one of our prefixes but names no setting. */
export function refuseUnknownSettings(
  specs: readonly ConfigSpec[],
  environment: Environment,
): void {
  const known = new Set<string>()
  for (const spec of specs)
    for (const [field, definition] of Object.entries(spec.table)) {
      const name = environmentName(spec.prefix, field)
      known.add(name)
      if (definition.secret === true) known.add(`${name}_FILE`)
    }
  for (const name of Object.keys(environment)) {
    const ours = specs.some((spec) => name.startsWith(`${spec.prefix}_`))
    if (ours && !known.has(name))
      throw configErrors.create('CONFIG_UNKNOWN', {
        expected: `a setting of docs/config.md`,
        received: name,
      })
  }
}
