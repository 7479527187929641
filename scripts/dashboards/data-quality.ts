import { NAMESPACE as NS, PARTITION as PART, type Dashboard } from './grafana.ts'

/** Is every event accounted for, and do live and history agree. */
export const dataQuality: Dashboard = {
  uid: 'backhaul-data-quality',
  title: 'Backhaul: data quality',
  description:
    'What became of every event, what could not be used, and whether live and history agree.',
  rows: [
    {
      title: 'Conservation (docs/slo.md)',
      panels: [
        {
          title: 'Differences of the equations',
          description: 'Are 0, always, in every process.',
          unit: 'short',
          width: 12,
          queries: [
            {
              expr: `max by (instance) (abs(backhaul:gateway_events:difference))`,
              legend: 'events of {{instance}}',
            },
            {
              expr: `max by (instance) (abs(backhaul:gateway_unreadable_frames:difference))`,
              legend: 'frames of {{instance}}',
            },
            {
              expr: `max by (partition) (abs(backhaul:processor_fold_events:difference))`,
              legend: 'partition {{partition}}',
            },
          ],
          thresholds: [{ from: 1, colour: 'red' }],
          runbook: 'conservation.md#backhaulgatewayeventsunaccounted',
        },
        {
          title: 'Accepted and read, in an hour',
          description: 'The same, but for what waits and what was sent again.',
          unit: 'short',
          width: 12,
          queries: [
            { expr: 'backhaul:accepted_events:increase1h', legend: 'accepted by gateways' },
            { expr: 'backhaul:read_events:increase1h', legend: 'read by processors' },
          ],
          runbook: 'conservation.md#backhaulacceptednotread',
        },
      ],
    },
    {
      title: 'Live and history',
      panels: [
        {
          title: 'Rows without a proof',
          description: 'Of the last comparison. Is 0.',
          kind: 'stat',
          unit: 'short',
          width: 6,
          queries: [
            {
              expr: `max(serving_reconcile_rows{outcome="defect",${NS}} or batch_reconcile_rows{outcome="defect",${NS}})`,
              legend: 'defects',
            },
          ],
          thresholds: [{ from: 1, colour: 'red' }],
          runbook: 'batch.md#backhaulreconciledefect',
        },
        {
          title: 'Compared',
          description: 'When live and history were last compared.',
          kind: 'stat',
          unit: 'dateTimeAsIso',
          width: 6,
          queries: [
            {
              expr: `max(serving_reconciled_at_ms{${NS}} > 0 or batch_reconciled_at_ms{${NS}} > 0)`,
              legend: 'compared',
            },
          ],
          runbook: 'slo.md#backhaulreconcileoverdue',
        },
        {
          title: 'Rows compared, by outcome',
          description:
            'Explained is proven by exceptions, erased by erasures; pending could not be compared yet.',
          unit: 'short',
          width: 12,
          queries: [
            {
              expr: `max by (outcome) (serving_reconcile_rows{${NS}} or batch_reconcile_rows{${NS}})`,
              legend: '{{outcome}}',
            },
          ],
          runbook: 'batch.md#backhaulreconciledefect',
        },
      ],
    },
    {
      title: 'What the live view set aside',
      panels: [
        {
          title: 'Share of the events, by why',
          description:
            'Late, amended, after a close or beyond a bound: the batch counts them. Duplicates are counted once.',
          unit: 'percentunit',
          width: 12,
          queries: [
            {
              expr: `sum by (outcome) (rate(processor_fold_events{outcome=~"duplicate|late|amended|afterClose|capped|poison",${PART},${NS}}[$__rate_interval])) / on () group_left () sum(rate(processor_fold_events{outcome="read",${PART},${NS}}[$__rate_interval]))`,
              legend: '{{outcome}}',
            },
          ],
          thresholds: [{ from: 0.05, colour: 'orange' }],
          runbook: 'processor.md#backhauleventssetaside',
        },
        {
          title: 'Keys beyond the bound of a minute',
          description: 'Count as other on live pages.',
          unit: 'short',
          width: 6,
          queries: [
            {
              expr: `sum by (partition) (increase(processor_keys_to_other{${PART},${NS}}[15m]))`,
              legend: '{{partition}}',
            },
          ],
          runbook: 'processor.md#backhaulkeystoother',
        },
        {
          title: 'Arrival times lowered',
          description:
            'Of records that arrived later than the log appended them, by their gateway’s clock.',
          unit: 'short',
          width: 6,
          queries: [
            {
              expr: `sum by (partition) (increase(processor_received_at_clamped_records{${PART},${NS}}[15m]))`,
              legend: '{{partition}}',
            },
          ],
          runbook: 'processor.md#backhaularrivaltimeslowered',
        },
      ],
    },
    {
      title: 'What could not be used',
      panels: [
        {
          title: 'Rejected, by code',
          description:
            'Events, lines and frames that break the schema; kept sealed in playback.rejects.',
          unit: 'ops',
          queries: [
            {
              expr: `sum by (code) (rate(gateway_rejections_total{${NS}}[$__rate_interval]))`,
              legend: '{{code}}',
            },
            {
              expr: `sum by (feed, code) (rate(relay_rejections_total{${NS}}[$__rate_interval]))`,
              legend: '{{feed}} {{code}}',
            },
          ],
          runbook: 'gateway.md#backhaulgatewayhostileclients',
        },
        {
          title: 'Poison',
          description: 'Records in the log that cannot be read.',
          unit: 'short',
          queries: [
            {
              expr: `sum by (partition) (increase(processor_poison_records_total{${PART},${NS}}[1h]))`,
              legend: '{{partition}}',
            },
          ],
          thresholds: [{ from: 1, colour: 'orange' }],
          runbook: 'processor.md#backhaulpoison',
        },
        {
          title: 'Events that never came',
          description:
            'Of sessions that closed in the newest minute, as players number their events.',
          unit: 'percentunit',
          queries: [
            {
              expr: `max by (cdn) (serving_playback_events_lost_ratio{${NS}})`,
              legend: '{{cdn}}',
            },
          ],
          thresholds: [{ from: 0.01, colour: 'orange' }],
          runbook: 'batch.md#backhaulqualityflagged',
        },
      ],
    },
    {
      title: 'Batch (where its process lasts)',
      panels: [
        {
          title: 'Flags of data quality',
          description: 'Rows of data_quality that the last run flagged.',
          unit: 'short',
          queries: [
            { expr: `max by (check) (batch_quality_flags{${NS}} > 0)`, legend: '{{check}}' },
          ],
          runbook: 'batch.md#backhaulqualityflagged',
        },
        {
          title: 'Runs by outcome',
          description: 'In a day.',
          unit: 'short',
          queries: [
            {
              expr: `sum by (outcome) (increase(batch_runs_total{${NS}}[1d]))`,
              legend: '{{outcome}}',
            },
          ],
          runbook: 'batch.md#backhaulbatchfailing',
        },
        {
          title: 'Records in files that could not be read',
          description: 'They stay in the file and become no row.',
          unit: 'short',
          queries: [
            {
              expr: `sum by (topic) (increase(batch_raw_poison_records_total{${NS}}[1d]))`,
              legend: '{{topic}}',
            },
          ],
          runbook: 'processor.md#backhaulpoison',
        },
        {
          title: 'Content metadata is as old as',
          description: 'Since its source was last read without a failure.',
          unit: 'ms',
          queries: [
            {
              expr: `time() * 1000 - min(serving_content_as_of_ms{${NS}} > 0)`,
              legend: 'age',
            },
          ],
          thresholds: [{ from: 1_800_000, colour: 'orange' }],
          runbook: 'serving.md#backhaulcontentstale',
        },
      ],
    },
  ],
}
