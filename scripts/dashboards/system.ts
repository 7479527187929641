import { NAMESPACE as NS, PARTITION as PART, type Dashboard } from './grafana.ts'

const rate = (metric: string, labels = '') =>
  `sum(rate(${metric}{${labels === '' ? '' : `${labels},`}${NS}}[$__rate_interval]))`
const p99 = (metric: string, by: string) =>
  `histogram_quantile(0.99, sum by (le${by}) (rate(${metric}_bucket{${NS}}[$__rate_interval])))`

/** Is it up, is it keeping its objectives, and if not, at which stage. */
export const system: Dashboard = {
  uid: 'backhaul-system',
  title: 'Backhaul: system',
  description:
    'From the arrival of an event to an answer: objectives, load, latency and what waits.',
  rows: [
    {
      title: 'Objectives (docs/slo.md)',
      panels: [
        {
          title: 'Accept: budget burnt, 1 h',
          description: 'How many times the error budget’s even pace. Above 14.4 somebody is woken.',
          kind: 'stat',
          unit: 'short',
          width: 4,
          queries: [{ expr: 'backhaul:accept_errors:ratio_rate1h / 0.001', legend: 'burn rate' }],
          thresholds: [
            { from: 1, colour: 'orange' },
            { from: 14.4, colour: 'red' },
          ],
          runbook: 'slo.md#backhaulacceptburnsfast',
        },
        {
          title: 'Freshness: budget burnt, 1 h',
          description: 'The same of live rows that are durable later than 10 s.',
          kind: 'stat',
          unit: 'short',
          width: 4,
          queries: [{ expr: 'backhaul:freshness_errors:ratio_rate1h / 0.01', legend: 'burn rate' }],
          thresholds: [
            { from: 1, colour: 'orange' },
            { from: 14.4, colour: 'red' },
          ],
          runbook: 'slo.md#backhaulfreshnessburnsfast',
        },
        {
          title: 'Records lost before they were processed',
          description: 'Is 0, always.',
          kind: 'stat',
          unit: 'short',
          width: 4,
          queries: [{ expr: `sum(processor_data_loss_records{${NS}})`, legend: 'records' }],
          thresholds: [{ from: 1, colour: 'red' }],
          runbook: 'processor.md#backhauldataloss',
        },
        {
          title: 'What is served live is as old as',
          description:
            'By the rows that servers read, when they were scraped: some seconds, and the time between scrapes.',
          kind: 'stat',
          unit: 'ms',
          width: 4,
          queries: [
            {
              expr: `time() * 1000 - max(serving_narrow_as_of_ms{${NS}} > 0)`,
              legend: 'age',
            },
          ],
          thresholds: [
            { from: 60_000, colour: 'orange' },
            { from: 120_000, colour: 'red' },
          ],
          runbook: 'serving.md#backhaulservingstale',
        },
        {
          title: 'The history ends',
          description: 'Ago: a run every 6 h, and the life of a pane.',
          kind: 'stat',
          unit: 'ms',
          width: 4,
          queries: [
            {
              expr: `time() * 1000 - max(serving_history_boundary_ms{${NS}} > 0)`,
              legend: 'age',
            },
          ],
          thresholds: [
            { from: 9 * 3_600_000, colour: 'orange' },
            { from: 24 * 3_600_000, colour: 'red' },
          ],
          runbook: 'slo.md#backhaulbatchlate',
        },
        {
          title: 'Gateways ready',
          description: 'Of those that are scraped.',
          kind: 'stat',
          unit: 'short',
          width: 4,
          queries: [{ expr: `sum(gateway_ready{${NS}})`, legend: 'ready' }],
          runbook: 'gateway.md#backhaulgatewayunready',
        },
      ],
    },
    {
      title: 'Accepting',
      panels: [
        {
          title: 'Events by outcome',
          description:
            'received = accepted + rejected + refused + in flight. What is refused is sent again.',
          unit: 'ops',
          queries: [
            {
              expr: `sum by (outcome) (rate(gateway_events{outcome!="inFlight",${NS}}[$__rate_interval]))`,
              legend: '{{outcome}}',
            },
          ],
          runbook: 'conservation.md#backhaulgatewayeventsunaccounted',
        },
        {
          title: 'Given back, by reason',
          description: 'Clients send it again. `rate` is their own doing, all else ours.',
          unit: 'ops',
          queries: [
            {
              expr: `sum by (reason) (rate(gateway_refused_events{${NS}}[$__rate_interval]))`,
              legend: '{{reason}}',
            },
          ],
          runbook: 'slo.md#backhaulacceptburnsfast',
        },
        {
          title: 'Time to the acknowledgement, p99',
          description: 'From the arrival of a frame, and of it the append and the broker.',
          unit: 'ms',
          queries: [
            { expr: p99('gateway_ack_latency_ms', ''), legend: 'acknowledged' },
            { expr: p99('gateway_append_ms', ', topic'), legend: 'appended to {{topic}}' },
            { expr: p99('log_kafka_produce_duration_ms', ''), legend: 'produce request' },
          ],
          thresholds: [{ from: 1_000, colour: 'red' }],
          runbook: 'slo.md#backhaulacceptburnsfast',
        },
        {
          title: 'Connections',
          description: 'WebSocket connections by gateway.',
          unit: 'short',
          queries: [
            {
              expr: `sum by (instance) (gateway_connections{${NS}})`,
              legend: '{{instance}}',
            },
          ],
          runbook: 'gateway.md#backhaulgatewayabsent',
        },
        {
          title: 'Appends that failed',
          description: 'Are repeated. A change of leader shows for seconds.',
          unit: 'ops',
          queries: [
            {
              expr: `sum by (topic, code) (rate(gateway_append_failures_total{${NS}}[$__rate_interval]))`,
              legend: '{{topic}} {{code}}',
            },
          ],
          runbook: 'gateway.md#backhaulgatewaynothingappended',
        },
        {
          title: 'Memory on its way into the log',
          description: 'Bounded by GATEWAY_IN_FLIGHT_MAX_BYTES for each process.',
          unit: 'bytes',
          queries: [
            {
              expr: `sum by (instance) (gateway_in_flight_bytes{${NS}})`,
              legend: '{{instance}}',
            },
          ],
          runbook: 'gateway.md#backhaulgatewayrestarts',
        },
      ],
    },
    {
      title: 'Relay',
      panels: [
        {
          title: 'Connections of feeds',
          description: 'Wanted, owned and open are the same when all is well.',
          unit: 'short',
          queries: [
            {
              expr: `max by (feed) (relay_connections_wanted{${NS}})`,
              legend: '{{feed}} wanted',
            },
            { expr: `sum by (feed) (relay_connections_owned{${NS}})`, legend: '{{feed}} owned' },
            { expr: `sum by (feed) (relay_connections_open{${NS}})`, legend: '{{feed}} open' },
          ],
          runbook: 'relay.md#backhaulrelayfeedunowned',
        },
        {
          title: 'Age of what waits',
          description: 'The oldest message of each feed that is not in the log.',
          unit: 'ms',
          queries: [{ expr: `max by (feed) (relay_lag_ms{${NS}})`, legend: '{{feed}}' }],
          thresholds: [{ from: 60_000, colour: 'red' }],
          runbook: 'relay.md#backhaulrelaylagging',
        },
        {
          title: 'Messages that are missing',
          description: 'By the feed’s own numbers; 0 but for gaps of the feed.',
          unit: 'ops',
          queries: [
            {
              expr: `sum by (feed) (rate(relay_missing_messages_total{${NS}}[$__rate_interval]))`,
              legend: '{{feed}}',
            },
          ],
          runbook: 'relay.md#backhaulrelaygap',
        },
      ],
    },
    {
      title: 'Live',
      panels: [
        {
          title: 'Lag',
          description: 'Age of the last record folded, while there are later ones.',
          unit: 'ms',
          queries: [
            {
              expr: `max by (partition) (processor_lag_ms{${PART},${NS}})`,
              legend: '{{partition}}',
            },
          ],
          thresholds: [{ from: 60_000, colour: 'red' }],
          runbook: 'processor.md#backhaulprocessorlagging',
        },
        {
          title: 'States of partitions',
          description: 'All are running. Starting and recovering pass within seconds.',
          unit: 'short',
          queries: [
            {
              expr: `sum by (state) (processor_partition_state{${PART},${NS}})`,
              legend: '{{state}}',
            },
          ],
          runbook: 'processor.md#backhaulpartitionunowned',
        },
        {
          title: 'Age of records and rows, p99',
          description:
            'Since the log appended them, after each step; of rows of narrow cuts, when they were durable.',
          unit: 'ms',
          queries: [
            { expr: p99('processor_record_age_ms', ', step'), legend: '{{step}}' },
            { expr: p99('processor_narrow_rows_age_ms', ''), legend: 'rows durable' },
          ],
          thresholds: [{ from: 10_000, colour: 'red' }],
          runbook: 'slo.md#backhaulfreshnessburnsfast',
        },
        {
          title: 'Time of a write, p99',
          description: 'Until rows are durable, repeats included, by queue.',
          unit: 'ms',
          queries: [{ expr: p99('processor_write_duration_ms', ', queue'), legend: '{{queue}}' }],
          runbook: 'processor.md#backhaulspeedstoreretries',
        },
        {
          title: 'Rows that wait',
          description: 'Bounded by PROCESSOR_DIRTY_ROWS_MAX; at the bound the partition pauses.',
          unit: 'short',
          queries: [
            {
              expr: `sum by (queue) (processor_dirty_rows{${PART},${NS}})`,
              legend: '{{queue}}',
            },
          ],
          runbook: 'processor.md#backhaulpartitionpaused',
        },
        {
          title: 'Sessions and panes held',
          description: 'What the state is made of; its memory follows.',
          unit: 'short',
          queries: [
            { expr: `sum(processor_state_open_sessions{${PART},${NS}})`, legend: 'open sessions' },
            { expr: `sum(processor_state_sessions{${PART},${NS}})`, legend: 'sessions' },
            { expr: `sum(processor_state_panes{${PART},${NS}})`, legend: 'panes' },
          ],
        },
        {
          title: 'Rebalances and fences',
          description: 'Each costs a recovery.',
          unit: 'short',
          queries: [
            {
              expr: `sum(increase(log_kafka_group_rebalances_total{${NS}}[10m]))`,
              legend: 'rebalances in 10 min',
            },
            {
              expr: `sum(increase(processor_fenced_total{${NS}}[10m]))`,
              legend: 'fenced in 10 min',
            },
          ],
          thresholds: [{ from: 20, colour: 'orange' }],
          runbook: 'processor.md#backhaulprocessorrebalancing',
        },
        {
          title: 'Retries by call',
          description: 'Of calls that failed for a while.',
          unit: 'ops',
          queries: [
            {
              expr: `sum by (call, code) (rate(processor_retries_total{${PART},${NS}}[$__rate_interval]))`,
              legend: '{{call}} {{code}}',
            },
          ],
          runbook: 'processor.md#backhaulspeedstoreretries',
        },
        {
          title: 'Time of a checkpoint, p99',
          description: 'From its cut until it is durable.',
          unit: 'ms',
          queries: [{ expr: p99('processor_checkpoint_duration_ms', ''), legend: 'checkpoint' }],
          runbook: 'processor.md#backhaulcheckpointsfailing',
        },
      ],
    },
    {
      title: 'Serving',
      panels: [
        {
          title: 'Queries by status',
          description: '5xx is a store that does not answer, or a defect.',
          unit: 'ops',
          queries: [
            {
              expr: `sum by (status) (rate(serving_requests_total{${NS}}[$__rate_interval]))`,
              legend: '{{status}}',
            },
          ],
          runbook: 'serving.md#backhaulservingerrors',
        },
        {
          title: 'Time of a query, p99',
          description: 'By route.',
          unit: 'ms',
          queries: [{ expr: p99('serving_request_duration_ms', ', route'), legend: '{{route}}' }],
          thresholds: [{ from: 5_000, colour: 'orange' }],
          runbook: 'serving.md#backhaulservingslow',
        },
        {
          title: 'Live pages',
          description: 'Connections, and polls that failed.',
          unit: 'short',
          queries: [
            { expr: `sum(serving_live_connections{${NS}})`, legend: 'connections' },
            { expr: rate('serving_live_poll_failures_total'), legend: 'failed polls a second' },
          ],
          runbook: 'serving.md#backhaullivepollsfailing',
        },
      ],
    },
  ],
}
