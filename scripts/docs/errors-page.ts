import type { ErrorSpec } from '../../shared/runtime/errors.ts'

export interface ServiceErrors {
  readonly title: string
  readonly catalogue: Readonly<Record<string, ErrorSpec>>
}

/** `docs/errors.md`: every code, what rule it stands for, how it is answered, what to do. */
export function errorsPage(services: readonly ServiceErrors[]): string {
  const parts = [
    '# Errors',
    '',
    'A message is `CODE: rule; expected …, received …`. *Answer* is the HTTP status, or the close',
    'code of a WebSocket; a rejected event is answered with its code in the acknowledgement.',
  ]
  for (const { title, catalogue } of services) {
    parts.push(
      '',
      `## ${title}`,
      '',
      '| code | rule | answer | retry | what to do |',
      '|---|---|---|---|---|',
    )
    for (const [code, spec] of Object.entries(catalogue)) {
      const answers = [
        ...(spec.status === undefined ? [] : [`HTTP ${spec.status}`]),
        ...(spec.closeCode === undefined ? [] : [`close ${spec.closeCode}`]),
      ]
      parts.push(
        `| \`${code}\` | ${spec.rule} | ${answers.join(', ') || '–'} | ${spec.retryable ? 'yes' : 'no'} | ${spec.action} |`,
      )
    }
  }
  return `${parts.join('\n')}\n`
}
