/** What serving reports of content metadata: its metrics, and the named events that move them. */
import { BackhaulError } from '../shared/runtime/errors.ts'
import { createMetrics, defineMetrics, type TelemetryBase } from '../shared/runtime/telemetry.ts'

export const contentMetrics = defineMetrics({
  contents: {
    kind: 'gauge',
    name: 'serving_content_contents',
    help: 'Contents whose metadata is known (limit: CONTENTS_MAX).',
  },
  versions: {
    kind: 'gauge',
    name: 'serving_content_versions',
    help: 'Versions of their metadata (limit: CONTENT_VERSIONS_MAX a content).',
  },
  bytes: {
    kind: 'gauge',
    name: 'serving_content_bytes',
    help: 'All of it as JSON, bytes (limit: CATALOGUE_MAX_BYTES).',
  },
  asOfMs: {
    kind: 'gauge',
    name: 'serving_content_as_of_ms',
    help: 'When the source of content metadata was last read without a failure, epoch ms; alert when it stands still.',
    merge: 'min',
  },
  failures: {
    kind: 'counter',
    name: 'serving_content_failures_total',
    help: 'Times that the source of content metadata could not be read, by error code; the last good metadata counts on.',
    labels: ['code'],
  },
  refused: {
    kind: 'counter',
    name: 'serving_content_refused_total',
    help: 'Lines and records of content metadata that were left out, by error code.',
    labels: ['code'],
  },
})

export type ContentTelemetry = ReturnType<typeof createContentTelemetry>

export function createContentTelemetry({ registry, log }: TelemetryBase) {
  const metrics = createMetrics(contentMetrics, registry)
  return {
    refreshed(facts: {
      readonly asOfMs: number
      readonly contents: number
      /** Whether it says anything that was not said before. */
      readonly isNews: boolean
    }) {
      metrics.asOfMs.set(facts.asOfMs)
      if (facts.isNews) log.info({ contents: facts.contents }, 'content metadata is read')
    },
    /** Logged once a row of failures; the counter tells how long it lasts. */
    failed(facts: { readonly error: unknown; readonly isFirst: boolean }) {
      const code = facts.error instanceof BackhaulError ? facts.error.code : 'SERVING_INTERNAL'
      metrics.failures.inc({ code })
      if (facts.isFirst)
        log.error({ err: facts.error }, 'content metadata cannot be read: the last good counts on')
    },
    refused(facts: { readonly error: BackhaulError }) {
      metrics.refused.inc({ code: facts.error.code })
      log.warn({ err: facts.error }, 'content metadata was left out')
    },
    sizesChanged(sizes: {
      readonly contents: number
      readonly versions: number
      readonly bytes: number
    }) {
      metrics.contents.set(sizes.contents)
      metrics.versions.set(sizes.versions)
      metrics.bytes.set(sizes.bytes)
    },
  }
}
