/** What an answer of `npm audit --json` says. */
import { z } from 'zod'

export interface AuditVerdict {
  readonly ok: boolean
  /** One line. */
  readonly text: string
}

/** From this severity on a finding is a failure. */
const FAILING = ['high', 'critical'] as const

const severity = z.enum(['info', 'low', 'moderate', 'high', 'critical'])
const reportSchema = z.object({
  vulnerabilities: z.record(z.string(), z.object({ severity, range: z.string() })),
  metadata: z.object({ dependencies: z.object({ prod: z.int() }) }),
})
const failureSchema = z.object({
  message: z.string().optional(),
  error: z.object({ summary: z.string().optional(), code: z.string().optional() }).optional(),
})
const REASON_MAX_CHARS = 160

export function auditVerdict(output: string, errors: string): AuditVerdict {
  const value = parsed(output)
  const report = reportSchema.safeParse(value)
  if (!report.success) {
    const reason = reasonOf(value) ?? errors.trim().split('\n')[0] ?? ''
    return { ok: true, text: `not run: ${(reason || 'no answer').slice(0, REASON_MAX_CHARS)}` }
  }
  const { vulnerabilities, metadata } = report.data
  const found = Object.entries(vulnerabilities).filter(([, one]) =>
    FAILING.some((failing) => failing === one.severity),
  )
  const audited = `${metadata.dependencies.prod} packages audited`
  if (found.length === 0) return { ok: true, text: `${audited}, none vulnerable of high severity` }
  const named = found.map(([name, one]) => `${name} ${one.range} (${one.severity})`)
  return { ok: false, text: `${audited}, vulnerable: ${named.join(', ')}` }
}

function parsed(output: string): unknown {
  try {
    return JSON.parse(output) as unknown
  } catch {
    return undefined
  }
}

function reasonOf(value: unknown): string | undefined {
  const failure = failureSchema.safeParse(value)
  if (!failure.success) return undefined
  const { message, error } = failure.data
  // A message names the address that was asked, which is nobody's business; a code does not.
  return [error?.summary, error?.code, message]
    .find((text) => text !== undefined && text !== '')
    ?.replaceAll(/https?:\/\/\S+/g, 'the registry')
}
