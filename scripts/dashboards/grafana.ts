/**
 * A Grafana dashboard from what is particular to it: rows of panels, and of each its queries, unit,
 * thresholds and runbook. All else, the variables included, is the same for every one.
 */

export interface Query {
  /** PromQL; `NAMESPACE` and `PARTITION` are its selectors by the dashboard's variables. */
  readonly expr: string
  /** As Grafana's legends are written: `{{label}}`. */
  readonly legend: string
}

export interface Panel {
  readonly title: string
  /** What it shows, and what is normal. */
  readonly description: string
  readonly kind?: 'timeseries' | 'stat'
  readonly unit: Unit
  readonly queries: readonly Query[]
  /** From here on it is drawn in the colour, in the panel's unit, ascending. */
  readonly thresholds?: readonly Threshold[]
  /** Of 24. */
  readonly width?: 4 | 6 | 8 | 12 | 24
  /** A section of docs/runbooks, as `page.md#section`. */
  readonly runbook?: string
}

interface Threshold {
  readonly from: number
  readonly colour: 'green' | 'orange' | 'red'
}

/** Units by Grafana's own ids. */
type Unit =
  | 'short'
  | 'ops'
  | 'ms'
  | 's'
  | 'bytes'
  | 'Bps'
  | 'percentunit'
  | 'Kbits'
  | 'dateTimeAsIso'
  | 'bool_yes_no'

export interface Dashboard {
  readonly uid: string
  readonly title: string
  readonly description: string
  readonly rows: readonly { readonly title: string; readonly panels: readonly Panel[] }[]
}

/** Selectors by the variables, to be put between the braces of a query. */
export const NAMESPACE = 'namespace=~"$namespace"'
export const PARTITION = 'partition=~"$partition"'

const PANEL_WIDTH = 8
const PANEL_HEIGHT = { timeseries: 8, stat: 4 } as const
const GRID_WIDTH = 24
/** How the queries of a panel are told apart. */
const REFERENCES = 'ABCDEFGH'
const SOURCE = { type: 'prometheus', uid: '${datasource}' }

/** The text of the dashboard's file. */
export function dashboardJson(dashboard: Dashboard): string {
  const { uid, title, description } = dashboard
  const model = {
    uid,
    title,
    description,
    tags: ['backhaul'],
    schemaVersion: 39,
    version: 1,
    editable: true,
    graphTooltip: 1,
    refresh: '30s',
    time: { from: 'now-3h', to: 'now' },
    timezone: 'utc',
    links: [
      {
        type: 'dashboards',
        title: 'Backhaul',
        tags: ['backhaul'],
        asDropdown: true,
        keepTime: true,
      },
    ],
    templating: { list: variables() },
    annotations: { list: [] },
    panels: placed(dashboard),
  }
  return `${JSON.stringify(model, undefined, 2)}\n`
}

function variables(): object[] {
  const fromMetric = (name: string, label: string, metric: string) => ({
    name,
    label,
    type: 'query',
    datasource: SOURCE,
    query: { query: `label_values(${metric}, ${name})`, refId: name },
    refresh: 2,
    sort: 3,
    multi: true,
    includeAll: true,
    // Also what has no such label, as where there is no Kubernetes.
    allValue: '.*',
    current: { text: 'All', value: '$__all' },
  })
  return [
    { name: 'datasource', label: 'Prometheus', type: 'datasource', query: 'prometheus' },
    fromMetric('namespace', 'Namespace', 'serving_requests_in_flight'),
    fromMetric('partition', 'Partition', 'processor_partition_state'),
    {
      name: 'runbooks',
      label: 'Runbooks at',
      type: 'textbox',
      query: 'docs/runbooks',
      current: { text: 'docs/runbooks', value: 'docs/runbooks' },
    },
  ]
}

/** Panels from left to right, a row of them below the other. */
function placed({ rows }: Dashboard): object[] {
  const panels: object[] = []
  let y = 0
  for (const { title, panels: inRow } of rows) {
    const id = panels.length + 1
    panels.push({ id, type: 'row', title, collapsed: false, panels: [], gridPos: at(0, y, 24, 1) })
    y += 1
    let x = 0
    let height = 0
    for (const panel of inRow) {
      const width = panel.width ?? PANEL_WIDTH
      const own = PANEL_HEIGHT[panel.kind ?? 'timeseries']
      if (x + width > GRID_WIDTH) {
        y += height
        x = 0
        height = 0
      }
      panels.push(panelModel(panel, panels.length + 1, at(x, y, width, own)))
      x += width
      height = Math.max(height, own)
    }
    y += height
  }
  return panels
}

function at(x: number, y: number, w: number, h: number) {
  return { x, y, w, h }
}

function panelModel(panel: Panel, id: number, gridPos: ReturnType<typeof at>): object {
  const { title, description, kind = 'timeseries', unit, queries, thresholds = [], runbook } = panel
  const steps = [
    { color: 'green', value: null },
    ...thresholds.map(({ from, colour }) => ({ color: colour, value: from })),
  ]
  return {
    id,
    type: kind,
    title,
    description,
    gridPos,
    datasource: SOURCE,
    targets: queries.map(({ expr, legend }, index) => ({
      refId: REFERENCES.charAt(index),
      datasource: SOURCE,
      expr,
      legendFormat: legend,
      ...(kind === 'stat' ? { instant: true } : {}),
    })),
    fieldConfig: {
      defaults: {
        unit,
        thresholds: { mode: 'absolute', steps },
        ...(kind === 'stat'
          ? { color: { mode: 'thresholds' } }
          : {
              custom: {
                fillOpacity: 10,
                showPoints: 'never',
                thresholdsStyle: { mode: thresholds.length === 0 ? 'off' : 'line' },
              },
            }),
      },
      overrides: [],
    },
    options:
      kind === 'stat'
        ? { colorMode: 'value', graphMode: 'area', reduceOptions: { calcs: ['lastNotNull'] } }
        : {
            legend: { displayMode: 'list', placement: 'bottom', showLegend: true },
            tooltip: { mode: 'multi', sort: 'desc' },
          },
    links:
      runbook === undefined
        ? []
        : [{ title: 'Runbook', url: `\${runbooks}/${runbook}`, targetBlank: true }],
  }
}
