import { environmentName, type ConfigSpec } from '../../shared/runtime/config.ts'

export interface ServiceConfig {
  readonly title: string
  readonly spec: ConfigSpec
}

/** `docs/config.md`: every setting with its type, default and meaning. */
export function configPage(services: readonly ServiceConfig[]): string {
  const parts = [
    '# Configuration',
    '',
    'Every setting is an environment variable: the service, then the field. A variable with one of',
    'these prefixes that is not listed here is refused at start, as is a value out of its range. A',
    'secret may also be given as a file, in `<NAME>_FILE`.',
  ]
  for (const { title, spec } of services) {
    parts.push(
      '',
      `## ${title}`,
      '',
      '| variable | value | default | meaning |',
      '|---|---|---|---|',
    )
    for (const [field, definition] of Object.entries(spec.table)) {
      const name = environmentName(spec.prefix, field)
      const secret = definition.secret === true ? ' (secret)' : ''
      const fallback = formatDefault(definition.default)
      parts.push(
        `| \`${name}\` | ${definition.expected}${secret} | ${fallback === '' ? '–' : `\`${fallback}\``} | ${definition.doc} |`,
      )
    }
  }
  return `${parts.join('\n')}\n`
}

/** `.env.example`: every setting, commented out, at its default. */
export function environmentExample(services: readonly ServiceConfig[]): string {
  const parts = ['# Every setting at its default; docs/config.md says what each means.']
  for (const { title, spec } of services) {
    parts.push('', `# ${title}`)
    for (const [field, definition] of Object.entries(spec.table))
      parts.push(`# ${environmentName(spec.prefix, field)}=${formatDefault(definition.default)}`)
  }
  return `${parts.join('\n')}\n`
}

function formatDefault(value: unknown): string {
  return Array.isArray(value) ? value.join(',') : String(value)
}
