/** `dlq list`: what was refused, by code. */
import { type Command, EXIT } from '../command.ts'
import { readRejects } from '../dlq/rejects.ts'
import { OUTCOMES_LISTED_MAX } from '../limits.ts'
import { REJECT_FILTER_OPTIONS, rejectFilterOf } from './reject-filter.ts'

export const dlqList: Command = {
  name: 'dlq list',
  summary: 'what was refused, by code, with the reasons',
  about: `Counts the rejects by code and lists the first ${OUTCOMES_LISTED_MAX}: those that the log still holds, and older
ones from the raw files. The refused bytes stay sealed. Nothing is changed.`,
  examples: ['dlq list', 'dlq list --since 2026-03-01 --code EVENT_FIELD_INVALID --json'],
  options: REJECT_FILTER_OPTIONS,
  positionals: [],
  async run({ stores, progress }, given) {
    const filter = rejectFilterOf(given)
    const sources = {
      log: await stores.log('reader'),
      objects: await stores.objects(),
      warehouse: await stores.warehouse(),
    }
    progress.show('reading rejects')
    const codes: Record<string, number> = {}
    const rejects: object[] = []
    const lines: string[] = []
    for await (const { partition, offset, reject } of readRejects(sources, filter)) {
      codes[reject.code] = (codes[reject.code] ?? 0) + 1
      if (rejects.length === OUTCOMES_LISTED_MAX) continue
      const { sealed: _, receivedAtMs, ...reason } = reject
      const receivedAt = new Date(receivedAtMs).toISOString()
      rejects.push({ partition, offset, receivedAt, ...reason })
      const of = reject.sessionId === undefined ? '' : ` ${reject.sessionId}/${reject.seq ?? '?'}`
      lines.push(
        `${receivedAt} ${partition}@${offset} ${reject.stage} ${reject.code}${of}: ${reject.detail}`,
      )
    }
    const counts = Object.entries(codes).map(([code, count]) => `${count} × ${code}`)
    return {
      exitCode: EXIT.done,
      json: { codes, rejects },
      text: [...lines, counts.length === 0 ? 'no rejects' : counts.join(', ')].join('\n'),
    }
  },
}
