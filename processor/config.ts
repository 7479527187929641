/** Settings of the processor. Those under "fold" change values: a change builds a new view. */
import { loadRules, type AlertRule } from '../shared/alerts/rules.ts'
import { adminSettings, checkAdminTls } from '../shared/http/admin-config.ts'
import type { Cut } from '../shared/qoe/cuts.ts'
import { DEFAULT_FOLD_LIMITS, type FoldLimits } from '../shared/qoe/fold.ts'
import {
  configErrors,
  defineConfig,
  environmentName,
  readConfig,
  setting,
  type ValuesOf,
} from '../shared/runtime/config.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
const NEW_VIEW = 'Changes values: another setting builds a new view beside the old.'

/** A duration of the fold, with its default of the metrics' definition. */
function foldDuration(field: keyof FoldLimits, bounds: { min: number; max: number }, doc: string) {
  return setting.integer({
    default: DEFAULT_FOLD_LIMITS[field],
    ...bounds,
    unit: 'ms',
    doc: `${doc} ${NEW_VIEW}`,
  })
}

function foldCount(
  field: keyof FoldLimits,
  bounds: { min: number; max: number; unit: string },
  doc: string,
) {
  return setting.integer({
    default: DEFAULT_FOLD_LIMITS[field],
    ...bounds,
    doc: `${doc} ${NEW_VIEW}`,
  })
}

const foldSettings = {
  sessionTimeoutMs: foldDuration(
    'sessionTimeoutMs',
    { min: 1_000, max: DAY_MS },
    'A session without events for this long has ended.',
  ),
  allowedLatenessMs: foldDuration(
    'allowedLatenessMs',
    { min: 1_000, max: 2 * DAY_MS },
    'How far behind the watermark an event may be and still restate its minute. At least PROCESSOR_SESSION_TIMEOUT_MS + PROCESSOR_REORDER_MS.',
  ),
  outOfOrdernessMs: foldDuration(
    'outOfOrdernessMs',
    { min: 0, max: MINUTE_MS },
    'How far the watermark stays behind the largest append time.',
  ),
  reorderMs: foldDuration(
    'reorderMs',
    { min: 0, max: 10 * MINUTE_MS },
    'How long an event waits for events with lower sequence numbers.',
  ),
  sessionKeepMs: foldDuration(
    'sessionKeepMs',
    { min: 0, max: 2 * DAY_MS },
    'How long a session is kept beyond its time-out, for repeated and late events.',
  ),
  clockStepMs: foldDuration(
    'clockStepMs',
    { min: 1_000, max: HOUR_MS },
    'A frame whose clock offset differs by more than this from its session’s uses its own.',
  ),
  maxAgeMs: foldDuration(
    'maxAgeMs',
    { min: 1_001, max: 30 * DAY_MS },
    'Events older than this at arrival are clamped to it. More than PROCESSOR_ALLOWED_LATENESS_MS.',
  ),
  seqAheadMax: foldCount(
    'seqAheadMax',
    { min: 32, max: 65_536, unit: 'events' },
    'How far a sequence number may be above the contiguous mark before the gap below is skipped.',
  ),
  skippedRangesMax: foldCount(
    'skippedRangesMax',
    { min: 1, max: 1_024, unit: 'ranges per session' },
    'Skipped ranges a session remembers.',
  ),
  stalledViewerMs: foldDuration(
    'stalledViewerMs',
    { min: 1_000, max: HOUR_MS },
    'A stalled viewer counts as a concurrent viewer for this long.',
  ),
  keysPerCutMinuteMax: foldCount(
    'keysPerCutMinuteMax',
    { min: 1, max: 1_000_000, unit: 'keys per cut and minute' },
    'Further keys of a cut’s minute go to the key `other`.',
  ),
  waitingEventsPerSessionMax: foldCount(
    'waitingEventsPerSessionMax',
    { min: 1, max: 65_536, unit: 'events per session' },
    'Events that wait for lower sequence numbers; beyond, the lowest gap is skipped at once.',
  ),
  partsPerSessionMax: foldCount(
    'partsPerSessionMax',
    { min: 1, max: 1_024, unit: 'parts per session' },
    'Parts of a session kept in full.',
  ),
} as const

const shellSettings = {
  view: setting.text({
    default: '',
    pattern: /^([A-Za-z0-9][A-Za-z0-9._-]{0,63})?$/,
    expected: '1 to 64 letters, digits, dots, underscores or hyphens, the first a letter or digit',
    doc: 'Name of a view that is built beside the active one, and becomes active by `npx backhaul view switch` (docs/runbooks/views.md). Empty: the view of the deployment, active as soon as it begins.',
  }),
  group: setting.text({
    default: 'backhaul-processor',
    pattern: /^[A-Za-z0-9._-]{1,128}$/,
    expected: '1 to 128 letters, digits, dots, underscores or hyphens',
    doc: 'Consumer group by which processors share the partitions.',
  }),
  ...adminSettings({
    port: 8_078,
    paths:
      'Port for operators of a processor on its own: /healthz, /readyz, /metrics, /debug/partitions and /debug/sessions/{id}.',
  }),
  topicEpoch: setting.integer({
    default: 0,
    min: 0,
    max: 1_000_000,
    unit: 'epoch',
    doc: 'Raise by one after playback.events was deleted and created again.',
  }),
  traceContext: setting.boolean({
    default: false,
    doc: 'Whether the trace context of records (GATEWAY_TRACE_CONTEXT) is shown at /debug/sessions/{id}, in playback.exceptions and playback.rejects, and in the log.',
  }),
  ticks: setting.boolean({
    default: true,
    doc: 'Whether idle partitions get ticks, by processors of the active view.',
  }),
  tickIdleMs: setting.integer({
    default: 5_000,
    min: 100,
    max: 10 * MINUTE_MS,
    unit: 'ms',
    doc: 'A partition that is idle for this long gets a tick, by which time passes in the log.',
  }),
  narrowFlushMs: setting.integer({
    default: 1_000,
    min: 250,
    max: MINUTE_MS,
    unit: 'ms',
    doc: 'How often minutes of narrow cuts are written. This interval and the next two are longer while a partition catches up (docs/decisions/0036-rows-wait-while-a-partition-catches-up.md).',
  }),
  wideFlushMs: setting.integer({
    default: 15_000,
    min: 250,
    max: 5 * MINUTE_MS,
    unit: 'ms',
    doc: 'Over which interval minutes of wide cuts are written, spread evenly.',
  }),
  sessionRowIntervalMs: setting.integer({
    default: 5_000,
    min: 500,
    max: 5 * MINUTE_MS,
    unit: 'ms',
    doc: 'Session rows between start and close are written at the latest this long after a change, and at most this often (to within half a second). A processor on its own: 30,000.',
  }),
  checkpointIntervalMs: setting.integer({
    default: 30_000,
    min: 250,
    max: HOUR_MS,
    unit: 'ms',
    doc: 'How often each partition’s state is saved; partitions are staggered over the interval.',
  }),
  rowRetentionMs: setting.integer({
    default: 90 * DAY_MS,
    min: HOUR_MS,
    max: 3_660 * DAY_MS,
    unit: 'ms',
    doc: 'How long rows stay in the speed store after their minute.',
  }),
  fetchRecordsMax: setting.integer({
    default: 1_000,
    min: 1,
    max: 100_000,
    unit: 'records',
    doc: 'Records of one fetch.',
  }),
  fetchBytesMax: setting.integer({
    default: 2 ** 20,
    min: 1_024,
    max: 2 ** 26,
    unit: 'bytes',
    doc: 'Bytes of one fetch; one record always fits.',
  }),
  fetchWaitMs: setting.integer({
    default: 500,
    min: 10,
    max: MINUTE_MS,
    unit: 'ms',
    doc: 'How long a fetch waits for the first record.',
  }),
  turnRecordsMax: setting.integer({
    default: 256,
    min: 1,
    max: 100_000,
    unit: 'records',
    doc: 'Records handled before other work of the process gets its turn.',
  }),
  turnMaxMs: setting.integer({
    default: 8,
    min: 1,
    max: 1_000,
    unit: 'ms',
    doc: 'Time after which other work of the process gets its turn.',
  }),
  snapshotSliceEntriesMax: setting.integer({
    default: 128,
    min: 1,
    max: 100_000,
    unit: 'sessions or minutes',
    doc: 'State serialised for a checkpoint before other work gets its turn.',
  }),
  rowsPerWriteMax: setting.integer({
    default: 100,
    min: 1,
    max: 10_000,
    unit: 'rows',
    doc: 'Rows of one write to the speed store.',
  }),
  writesInFlightMax: setting.integer({
    default: 4,
    min: 1,
    max: 64,
    unit: 'writes per queue and partition',
    doc: 'Writes of one queue that may be under way at once.',
  }),
  dirtyRowsMax: setting.integer({
    default: 200_000,
    min: 1,
    max: 10_000_000,
    unit: 'rows per partition',
    doc: 'Changed rows not yet written; beyond, the partition reads nothing until half are written.',
  }),
  writeStallMs: setting.integer({
    default: 10_000,
    min: 100,
    max: HOUR_MS,
    unit: 'ms',
    doc: 'A partition whose oldest write is under way for longer reads nothing until it succeeds.',
  }),
  outputsPendingMax: setting.integer({
    default: 50_000,
    min: 1,
    max: 10_000_000,
    unit: 'outputs per partition',
    doc: 'Closed sessions and exceptions not yet in their topics; beyond, the partition reads nothing until half are.',
  }),
  outputsPerAppendMax: setting.integer({
    default: 500,
    min: 1,
    max: 10_000,
    unit: 'outputs',
    doc: 'Closed sessions and exceptions of one append.',
  }),
  retryDelayMs: setting.integer({
    default: 100,
    min: 1,
    max: MINUTE_MS,
    unit: 'ms',
    doc: 'Longest delay before the first repeat of a failed call; doubles with each further one.',
  }),
  retryDelayMaxMs: setting.integer({
    default: 5_000,
    min: 1,
    max: 10 * MINUTE_MS,
    unit: 'ms',
    doc: 'Longest delay before any repeat. At least PROCESSOR_RETRY_DELAY_MS.',
  }),
  stopGraceMs: setting.integer({
    default: 10_000,
    min: 0,
    max: 10 * MINUTE_MS,
    unit: 'ms',
    doc: 'How long a stop or a revoked partition may take to write its rows and checkpoint.',
  }),
} as const

type ShellAndFold = ValuesOf<typeof shellSettings & typeof foldSettings>

function atLeast(
  values: ShellAndFold,
  field: keyof ShellAndFold,
  lower: { readonly bound: number; readonly name: string },
): void {
  const value = values[field]
  if (typeof value === 'number' && value >= lower.bound) return
  throw configErrors.create('CONFIG_CONFLICT', {
    expected: `${environmentName('PROCESSOR', field)} of at least ${lower.name} = ${lower.bound}`,
    received: `${value}`,
  })
}

export const processorConfig = defineConfig({
  prefix: 'PROCESSOR',
  table: { ...shellSettings, ...foldSettings },
  check(values) {
    atLeast(values, 'allowedLatenessMs', {
      bound: values.sessionTimeoutMs + values.reorderMs,
      name: 'PROCESSOR_SESSION_TIMEOUT_MS + PROCESSOR_REORDER_MS',
    })
    atLeast(values, 'maxAgeMs', {
      bound: values.allowedLatenessMs + 1,
      name: 'PROCESSOR_ALLOWED_LATENESS_MS + 1',
    })
    atLeast(values, 'retryDelayMaxMs', {
      bound: values.retryDelayMs,
      name: 'PROCESSOR_RETRY_DELAY_MS',
    })
    atLeast(values, 'wideFlushMs', {
      bound: values.narrowFlushMs,
      name: 'PROCESSOR_NARROW_FLUSH_MS',
    })
    atLeast(values, 'outputsPendingMax', {
      bound: values.outputsPerAppendMax,
      name: 'PROCESSOR_OUTPUTS_PER_APPEND_MAX',
    })
    checkAdminTls('PROCESSOR', values)
  },
})

export type ProcessorConfig = ValuesOf<typeof processorConfig.table>

/** Of a processor on its own: standalone has one store, and refuses the setting. */
export const speedStoreConfig = defineConfig({
  prefix: 'PROCESSOR',
  table: {
    speedStore: setting.choice({
      default: 'lmdb',
      choices: ['lmdb', 'cassandra'],
      doc: 'Where a processor on its own writes its rows: into BACKHAUL_DATA_DIR, which processors of one machine share, or into Cassandra, which those of a cluster need.',
    }),
  },
})

export const alertsConfig = defineConfig({
  prefix: 'PROCESSOR_ALERTS',
  table: {
    enabled: setting.boolean({
      default: true,
      doc: 'Whether alert rules are evaluated, by processors of the active view.',
    }),
    rulesPath: setting.text({
      default: '',
      doc: 'JSON file of alert rules (docs/alerts.md). Empty: the default rules.',
    }),
    webhookUrl: setting.text({
      default: '',
      secret: true,
      doc: 'http or https URL that every alert is posted to; a secret, because receivers know senders by it. Empty: none is.',
    }),
    webhookSecret: setting.text({
      default: '',
      secret: true,
      pattern: /^(.{16,})?$/,
      expected: 'at least 16 characters',
      doc: 'Key of the HMAC-SHA-256 that signs what is posted. Needed with a URL.',
    }),
    webhookTimeoutMs: setting.integer({
      default: 5_000,
      min: 100,
      max: MINUTE_MS,
      unit: 'ms',
      doc: 'How long one attempt may take.',
    }),
    webhookDeadlineMs: setting.integer({
      default: HOUR_MS,
      min: 1_000,
      max: 7 * DAY_MS,
      unit: 'ms',
      doc: 'How long after it was judged an alert is still tried; then the webhook misses it.',
    }),
  },
  check({ webhookUrl, webhookSecret }) {
    if (webhookUrl === '') return
    const url = URL.parse(webhookUrl)
    // A request is refused with credentials in its address, and the refusal would show them.
    if (url === null || !/^https?:$/.test(url.protocol) || url.username + url.password !== '')
      throw configErrors.create('CONFIG_INVALID', {
        expected: 'PROCESSOR_ALERTS_WEBHOOK_URL to be an http or https URL without credentials',
        received: 'a value that is not shown',
      })
    if (webhookSecret === '')
      throw configErrors.create('CONFIG_CONFLICT', {
        expected: 'PROCESSOR_ALERTS_WEBHOOK_SECRET with PROCESSOR_ALERTS_WEBHOOK_URL',
        received: 'none',
      })
  },
})

export type AlertsConfig = ValuesOf<typeof alertsConfig.table>

export interface AlertSettings {
  readonly config: AlertsConfig
  readonly rules: readonly AlertRule[]
}

/** `undefined` when no rules are to be evaluated. Throws what is wrong with the settings or rules. */
export function readAlertSettings(
  environment: Readonly<Record<string, string | undefined>>,
  cuts: readonly Cut[],
  readFile: (path: string) => string,
): AlertSettings | undefined {
  const config = readConfig(alertsConfig, environment, readFile)
  if (!config.enabled) return undefined
  return { config, rules: loadRules(config.rulesPath, cuts, readFile) }
}

/** The part of the settings that changes values; it goes into the view's hash. */
export function foldLimitsOf(config: ProcessorConfig): FoldLimits {
  return {
    sessionTimeoutMs: config.sessionTimeoutMs,
    allowedLatenessMs: config.allowedLatenessMs,
    outOfOrdernessMs: config.outOfOrdernessMs,
    reorderMs: config.reorderMs,
    sessionKeepMs: config.sessionKeepMs,
    clockStepMs: config.clockStepMs,
    maxAgeMs: config.maxAgeMs,
    seqAheadMax: config.seqAheadMax,
    skippedRangesMax: config.skippedRangesMax,
    stalledViewerMs: config.stalledViewerMs,
    keysPerCutMinuteMax: config.keysPerCutMinuteMax,
    waitingEventsPerSessionMax: config.waitingEventsPerSessionMax,
    partsPerSessionMax: config.partsPerSessionMax,
  }
}
