/**
 * A Grafana dashboard from what is particular to it: rows of panels, and of each its queries, unit,
 * thresholds and runbook. All else, the variables included, is the same for every one. The model is
 * built by Grafana's own SDK: a field or a value that Grafana does not know is an error of types.
 */
import {
  BigValueColorMode,
  BigValueGraphMode,
  GraphThresholdsStyleConfigBuilder,
  GraphThresholdsStyleMode,
  LegendDisplayMode,
  LegendPlacement,
  ReduceDataOptionsBuilder,
  SortOrder,
  TooltipDisplayMode,
  VisibilityMode,
  VizLegendOptionsBuilder,
  VizTooltipOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common'
import {
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  FieldColorBuilder,
  FieldColorModeId,
  QueryVariableBuilder,
  RowBuilder,
  TextBoxVariableBuilder,
  ThresholdsConfigBuilder,
  ThresholdsMode,
  VariableRefresh,
  VariableSort,
  type GridPos,
} from '@grafana/grafana-foundation-sdk/dashboard'
import { DataqueryBuilder } from '@grafana/grafana-foundation-sdk/prometheus'
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat'
import { PanelBuilder as TimeSeriesBuilder } from '@grafana/grafana-foundation-sdk/timeseries'

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

/** Of which each value is a metric with a label of that name. */
export const VARIABLES = {
  namespace: 'serving_requests_in_flight',
  partition: 'processor_partition_state',
} as const

const PANEL_WIDTH = 8
const PANEL_HEIGHT = { timeseries: 8, stat: 4 } as const
const GRID_WIDTH = 24
/** How the queries of a panel are told apart. */
const REFERENCES = 'ABCDEFGH'
const SOURCE = { type: 'prometheus', uid: '${datasource}' }

/** The text of the dashboard's file. */
export function dashboardJson({ uid, title, description, rows }: Dashboard): string {
  const dashboard = new DashboardBuilder(title)
    .uid(uid)
    .description(description)
    .tags(['backhaul'])
    .version(1)
    .tooltip(DashboardCursorSync.Crosshair)
    .refresh('30s')
    .time({ from: 'now-3h', to: 'now' })
    .timezone('utc')
    .link(
      new DashboardLinkBuilder('Backhaul')
        .type(DashboardLinkType.Dashboards)
        .tags(['backhaul'])
        .asDropdown(true)
        .keepTime(true),
    )
    .variables(variables())
    .annotations([])
  addPanels(dashboard, rows)
  return `${JSON.stringify(dashboard.build(), undefined, 2)}\n`
}

function variables() {
  const fromMetric = (name: keyof typeof VARIABLES, label: string) =>
    new QueryVariableBuilder(name)
      .label(label)
      .datasource(SOURCE)
      .query({ query: `label_values(${VARIABLES[name]}, ${name})`, refId: name })
      .refresh(VariableRefresh.OnTimeRangeChanged)
      .sort(VariableSort.NumericalAsc)
      .multi(true)
      .includeAll(true)
      // Also what has no such label, as where there is no Kubernetes.
      .allValue('.*')
      .current({ text: 'All', value: '$__all' })
  return [
    new DatasourceVariableBuilder('datasource').label('Prometheus').type('prometheus'),
    fromMetric('namespace', 'Namespace'),
    fromMetric('partition', 'Partition'),
    new TextBoxVariableBuilder('runbooks')
      .label('Runbooks at')
      .defaultValue('docs/runbooks')
      .current({ text: 'docs/runbooks', value: 'docs/runbooks' }),
  ]
}

/** Panels from left to right, a row of them below the other. */
function addPanels(dashboard: DashboardBuilder, rows: Dashboard['rows']): void {
  let y = 0
  let id = 1
  for (const { title, panels } of rows) {
    dashboard.withRow(new RowBuilder(title).id(id).gridPos(at(0, y, GRID_WIDTH, 1)))
    y += 1
    let x = 0
    let height = 0
    for (const panel of panels) {
      const width = panel.width ?? PANEL_WIDTH
      const own = PANEL_HEIGHT[panel.kind ?? 'timeseries']
      if (x + width > GRID_WIDTH) {
        y += height
        x = 0
        height = 0
      }
      id += 1
      dashboard.withPanel(
        panelModel(panel)
          .id(id)
          .gridPos(at(x, y, width, own)),
      )
      x += width
      height = Math.max(height, own)
    }
    y += height
    id += 1
  }
}

function at(x: number, y: number, w: number, h: number): GridPos {
  return { x, y, w, h }
}

function panelModel(panel: Panel) {
  const { title, description, kind = 'timeseries', unit, queries, thresholds = [], runbook } = panel
  const steps = [
    { color: 'green', value: null },
    ...thresholds.map(({ from, colour }) => ({ color: colour, value: from })),
  ]
  const model = kind === 'stat' ? stat() : timeSeries(thresholds.length > 0)
  model
    .title(title)
    .description(description)
    .datasource(SOURCE)
    .unit(unit)
    .thresholds(new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps(steps))
  for (const [index, { expr, legend }] of queries.entries()) {
    const query = new DataqueryBuilder()
      .refId(REFERENCES.charAt(index))
      .datasource(SOURCE)
      .expr(expr)
      .legendFormat(legend)
    model.withTarget(kind === 'stat' ? query.instant() : query.range())
  }
  if (runbook !== undefined)
    model.links([
      new DashboardLinkBuilder('Runbook').url(`\${runbooks}/${runbook}`).targetBlank(true),
    ])
  return model
}

/** One number as it is now: of one moment there is nothing to draw. */
function stat(): StatBuilder {
  return new StatBuilder()
    .colorMode(BigValueColorMode.Value)
    .graphMode(BigValueGraphMode.None)
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']))
    .colorScheme(new FieldColorBuilder().mode(FieldColorModeId.Thresholds))
}

function timeSeries(hasThresholds: boolean): TimeSeriesBuilder {
  const { Line, Off } = GraphThresholdsStyleMode
  return new TimeSeriesBuilder()
    .fillOpacity(10)
    .showPoints(VisibilityMode.Never)
    .thresholdsStyle(new GraphThresholdsStyleConfigBuilder().mode(hasThresholds ? Line : Off))
    .legend(
      new VizLegendOptionsBuilder()
        .displayMode(LegendDisplayMode.List)
        .placement(LegendPlacement.Bottom)
        .showLegend(true),
    )
    .tooltip(
      new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending),
    )
}
