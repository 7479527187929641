export interface ServiceLimits {
  readonly title: string
  /** What the module exports. */
  readonly values: Readonly<Record<string, unknown>>
  /** Its source, for the comments above each limit. */
  readonly source: string
}

/** `docs/limits.md`: every bound that is not a setting, with its value and what it bounds. */
export function limitsPage(services: readonly ServiceLimits[]): string {
  const parts = [
    '# Limits',
    '',
    'Bounds that are not settings; those that are stand in [config.md](config.md) with their ranges. The',
    'unit is in the name. Relations between limits are asserted at start.',
  ]
  for (const { title, values, source } of services) {
    parts.push('', `## ${title}`, '', '| limit | value | what it bounds |', '|---|---|---|')
    for (const [name, value] of limitsOf(values))
      parts.push(`| \`${name}\` | ${value.toLocaleString('en')} | ${commentAbove(source, name)} |`)
  }
  return `${parts.join('\n')}\n`
}

/** Numbers exported by themselves, and those in exported objects of defaults. */
function limitsOf(values: Readonly<Record<string, unknown>>): [string, number][] {
  return Object.entries(values).flatMap(([name, value]): [string, number][] => {
    if (typeof value === 'number') return [[name, value]]
    if (typeof value !== 'object' || value === null) return []
    return Object.entries(value).filter(
      (entry): entry is [string, number] => typeof entry[1] === 'number',
    )
  })
}

/** The doc comment right above a limit's declaration, on one line. */
function commentAbove(source: string, name: string): string {
  const declaration = String.raw`(?:export const|readonly) ${name}\b`
  const match = new RegExp(String.raw`/\*\*((?:(?!\*/)[^])*)\*/\s*${declaration}`).exec(source)
  const text = (match?.[1] ?? '')
    .split('\n')
    .map((line) => line.replace(/^\s*\*?\s?/, '').trim())
    .join(' ')
    .trim()
  return text === '' ? '–' : text.replaceAll('|', '\\|')
}
