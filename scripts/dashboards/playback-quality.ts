import { NAMESPACE as NS, type Dashboard, type Panel } from './grafana.ts'

const ALL = `cdn="all",${NS}`
const EACH = `cdn!="all",${NS}`

/** Every server observes the same; one that stands still is not to hide the others. */
const headline = (panel: Omit<Panel, 'kind' | 'width' | 'queries'>, metric: string): Panel => ({
  ...panel,
  kind: 'stat',
  width: 4,
  queries: [{ expr: `max(${metric}{${ALL}})`, legend: 'all' }],
})
const byCdn = (panel: Omit<Panel, 'queries' | 'width'>, metric: string): Panel => ({
  ...panel,
  width: 12,
  queries: [
    { expr: `max(${metric}{${ALL}})`, legend: 'all' },
    { expr: `max by (cdn) (${metric}{${EACH}})`, legend: '{{cdn}}' },
  ],
})

/** How playback is going, for those on call; the product's own dashboard has every dimension. */
export const playbackQuality: Dashboard = {
  uid: 'backhaul-playback-quality',
  title: 'Backhaul: playback quality',
  description:
    'The newest whole minute of all playback, and by CDN (docs/metrics-definitions.md). Other dimensions, and the past, are on the dashboard of the servers.',
  rows: [
    {
      title: 'Now',
      panels: [
        headline(
          { title: 'Concurrent plays', description: 'Most at once in the minute.', unit: 'short' },
          'serving_playback_concurrent_plays',
        ),
        headline(
          { title: 'Plays that began', description: 'In the minute.', unit: 'short' },
          'serving_playback_plays',
        ),
        headline(
          {
            title: 'Stalled time',
            description: 'Of the time watched. Below 1 % is good.',
            unit: 'percentunit',
            thresholds: [
              { from: 0.01, colour: 'orange' },
              { from: 0.03, colour: 'red' },
            ],
          },
          'serving_playback_stalled_time_ratio',
        ),
        headline(
          {
            title: 'Video start failures',
            description: 'Of the attempts. Below 1 % is good.',
            unit: 'percentunit',
            thresholds: [
              { from: 0.01, colour: 'orange' },
              { from: 0.05, colour: 'red' },
            ],
          },
          'serving_playback_vsf_ratio',
        ),
        headline(
          {
            title: 'Exits before start',
            description: 'Of the attempts: viewers who did not wait.',
            unit: 'percentunit',
            thresholds: [{ from: 0.1, colour: 'orange' }],
          },
          'serving_playback_ebvs_ratio',
        ),
        headline(
          { title: 'Average bitrate', description: 'Of the media played.', unit: 'Kbits' },
          'serving_playback_average_bitrate_kbps',
        ),
      ],
    },
    {
      title: 'By CDN',
      panels: [
        byCdn(
          {
            title: 'Concurrent plays',
            description: 'A fall of one CDN that another does not take up is an outage.',
            unit: 'short',
          },
          'serving_playback_concurrent_plays',
        ),
        byCdn(
          {
            title: 'Attempts',
            description: 'Attempts without plays are failures or exits.',
            unit: 'short',
          },
          'serving_playback_attempts',
        ),
        {
          title: 'Time to the first frame',
          description: 'Of plays that began in the minute, by quantile.',
          unit: 'ms',
          width: 12,
          queries: [
            {
              expr: `max by (quantile) (serving_playback_startup_ms{${ALL}})`,
              legend: 'all, quantile {{quantile}}',
            },
            {
              expr: `max by (cdn) (serving_playback_startup_ms{quantile="0.95",${EACH}})`,
              legend: '{{cdn}}, quantile 0.95',
            },
          ],
          thresholds: [{ from: 5_000, colour: 'orange' }],
        },
        byCdn(
          {
            title: 'Stalled time',
            description: 'Time stalled ÷ time watched.',
            unit: 'percentunit',
            thresholds: [{ from: 0.03, colour: 'red' }],
          },
          'serving_playback_stalled_time_ratio',
        ),
        byCdn(
          {
            title: 'Video start failures',
            description: 'Failures before the first frame ÷ attempts.',
            unit: 'percentunit',
            thresholds: [{ from: 0.05, colour: 'red' }],
          },
          'serving_playback_vsf_ratio',
        ),
        byCdn(
          {
            title: 'Failures in playback',
            description: 'Failures after the first frame ÷ plays that ended.',
            unit: 'percentunit',
            thresholds: [{ from: 0.05, colour: 'red' }],
          },
          'serving_playback_vpf_ratio',
        ),
        byCdn(
          {
            title: 'Exits before start',
            description: 'Viewers who did not wait ÷ attempts.',
            unit: 'percentunit',
          },
          'serving_playback_ebvs_ratio',
        ),
        byCdn(
          { title: 'Average bitrate', description: 'Of the media played.', unit: 'Kbits' },
          'serving_playback_average_bitrate_kbps',
        ),
      ],
    },
    {
      title: 'Alerts on playback (docs/alerts.md)',
      panels: [
        {
          title: 'Open',
          description: 'Alerts of all rules that are open.',
          unit: 'short',
          queries: [{ expr: `max(processor_alerts_open{${NS}})`, legend: 'open' }],
        },
        {
          title: 'Raised and resolved',
          description: 'By severity, in the last hour.',
          unit: 'short',
          queries: [
            {
              expr: `sum by (state, severity) (increase(processor_alerts_total{${NS}}[1h]))`,
              legend: '{{severity}} {{state}}',
            },
          ],
        },
        {
          title: 'Posts to the webhook',
          description: 'Refused, expired and full are given up.',
          unit: 'short',
          queries: [
            {
              expr: `sum by (outcome) (increase(processor_alerts_webhook_posts_total{${NS}}[1h]))`,
              legend: '{{outcome}}',
            },
          ],
          runbook: 'processor.md#backhaulalertsnotdelivered',
        },
      ],
    },
  ],
}
