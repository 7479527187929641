/** The OpenAPI 3.1 description of the API, generated from `api-schemas.ts`. */
import { CONTENT_DIMENSIONS } from '../shared/content/content-dimensions.ts'
import { DIMENSIONS } from '../shared/qoe/cuts.ts'
import { z } from 'zod'
import { RULE_METRICS } from '../shared/alerts/rule-metrics.ts'
import {
  alertsResponseSchema,
  liveClientMessageSchema,
  liveServerMessageSchema,
  liveUpdateSchema,
  problemSchema,
  qoeBucketSchema,
  qoeMetricsSchema,
  qoeResponseSchema,
  sessionListResponseSchema,
  sessionResponseSchema,
  statusResponseSchema,
  TOP_ORDERS,
  topResponseSchema,
  viewerSessionsResponseSchema,
} from './api-schemas.ts'
import { DEFAULT_SERVING_LIMITS, type ServingLimits } from './limits.ts'

const componentsOf = (limits: ServingLimits) => ({
  QoeMetrics: qoeMetricsSchema,
  QoeBucket: qoeBucketSchema,
  QoeResponse: qoeResponseSchema,
  TopResponse: topResponseSchema,
  SessionResponse: sessionResponseSchema,
  SessionListResponse: sessionListResponseSchema,
  ViewerSessionsResponse: viewerSessionsResponseSchema,
  StatusResponse: statusResponseSchema,
  AlertsResponse: alertsResponseSchema,
  LiveUpdate: liveUpdateSchema,
  LiveClientMessage: liveClientMessageSchema(limits),
  LiveServerMessage: liveServerMessageSchema,
  Problem: problemSchema,
})

type Component = keyof ReturnType<typeof componentsOf>

interface Parameter {
  readonly name: string
  readonly doc: string
  readonly schema?: Readonly<Record<string, unknown>>
  readonly repeated?: boolean
}

const by: Parameter = {
  name: 'by',
  doc: `Dimensions to split by, joined by commas: ${[...DIMENSIONS, ...CONTENT_DIMENSIONS].join(', ')}. They and those of \`where\` must lie within one configured cut, in which those of content metadata (${CONTENT_DIMENSIONS.join(', ')}) count as content.`,
}
const where: Parameter = {
  name: 'where',
  doc: '`dimension:value`; the value is taken as it stands after the first colon. Conditions on one dimension are alternatives.',
  repeated: true,
}
const from: Parameter = {
  name: 'from',
  doc: 'Start of the range, RFC 3339 or epoch ms. Default: 30 minutes before `to`.',
}
const to: Parameter = {
  name: 'to',
  doc: 'End of the range, exclusive, RFC 3339 or epoch ms. Default: now.',
}
const RANGE_OF_STARTS =
  'Start of the range that sessions began in, RFC 3339 or epoch ms; at most 31 days long.'
const counted = (name: string, doc: string): Parameter => ({
  name,
  doc,
  schema: { type: 'integer', minimum: 1 },
})

const OPERATIONS: readonly {
  readonly path: string
  readonly summary: string
  readonly response: Component
  readonly parameters: readonly Parameter[]
}[] = [
  {
    path: '/v1/qoe',
    summary: 'Quality of experience over time, split by dimensions',
    response: 'QoeResponse',
    parameters: [
      by,
      where,
      from,
      to,
      {
        name: 'step',
        doc: 'Length of a bucket, a whole number of minutes: `1m`, `15m`, `1h`, `1d`.',
      },
      {
        name: 'window',
        doc: 'Makes the buckets slide: each covers this time up to the end of its step, at least the step, at most a day. Default: the step.',
      },
      counted('series', 'Keys with a series of their own; the others are summed into `other`.'),
    ],
  },
  {
    path: '/v1/top',
    summary: 'Keys ranked by a metric over a range',
    response: 'TopResponse',
    parameters: [
      {
        name: 'metric',
        doc: 'What to rank by. Default: plays.',
        schema: { type: 'string', enum: RULE_METRICS },
      },
      {
        name: 'order',
        doc: 'Which keys come first. Default: highest.',
        schema: { type: 'string', enum: TOP_ORDERS },
      },
      counted(
        'samples',
        'Keys with fewer samples of the metric are not ranked: minutes watched of a stalled time ratio, attempts of a failure ratio, and so on. Default: 25 for ratios, averages and percentiles; counts need none.',
      ),
      { ...by, doc: `${by.doc} Default: content.` },
      where,
      from,
      to,
      counted('limit', 'Items of the answer.'),
      {
        name: 'rest',
        doc: 'Whether all other keys are summed into `rest`. Default: false.',
        schema: { type: 'boolean' },
      },
    ],
  },
  {
    path: '/v1/sessions',
    summary: 'Sessions by start of arrival, newest first',
    response: 'SessionListResponse',
    parameters: [counted('recent', 'How many.')],
  },
  {
    path: '/v1/sessions/{id}',
    summary: 'One session: context, metrics, quality and timeline',
    response: 'SessionResponse',
    parameters: [
      {
        name: 'incarnation',
        doc: 'An earlier use of the id. Default: the newest.',
        schema: { type: 'integer', minimum: 0 },
      },
      counted('limit', 'Events of a page of the timeline.'),
      { name: 'cursor', doc: '`nextCursor` of the page before.' },
    ],
  },
  {
    path: '/v1/viewers/{pseudonym}/sessions',
    summary: 'Sessions of one viewer, newest first',
    response: 'ViewerSessionsResponse',
    parameters: [
      { ...from, doc: `${RANGE_OF_STARTS} Default: 31 days before \`to\`.` },
      to,
      counted('limit', 'Sessions of a page.'),
      { name: 'cursor', doc: '`nextCursor` of the page before, with the same range.' },
    ],
  },
  {
    path: '/v1/status',
    summary: 'How far the log is folded, how fresh each cut is, and how far the history goes',
    response: 'StatusResponse',
    parameters: [],
  },
  {
    path: '/v1/alerts',
    summary: 'Alerts that are open, and those resolved of late',
    response: 'AlertsResponse',
    parameters: [],
  },
]

/** The document served at `/openapi.json`. */
export function openApiDocument(
  limits: ServingLimits = DEFAULT_SERVING_LIMITS,
): Record<string, unknown> {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Backhaul serving API',
      version: '1',
      description:
        'Playback quality, live and past. Fields are added, never renamed; null means undefined, not zero. `/v1/live` is a WebSocket: see LiveClientMessage and LiveServerMessage.',
    },
    paths: Object.fromEntries(
      OPERATIONS.map((operation) => [operation.path, { get: describeOperation(operation) }]),
    ),
    components: {
      schemas: componentSchemas(limits),
      securitySchemes: {
        bearer: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'JWT',
          description: 'Scope `read`.',
        },
      },
    },
    security: [{}, { bearer: [] }],
  }
}

function describeOperation(operation: (typeof OPERATIONS)[number]) {
  const inPath = [...operation.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }))
  return {
    summary: operation.summary,
    parameters: [...inPath, ...operation.parameters.map(describeParameter)],
    responses: {
      200: {
        description: operation.summary,
        content: { 'application/json': { schema: reference(operation.response) } },
      },
      default: {
        description: 'A problem; its `code` says which',
        content: { 'application/problem+json': { schema: reference('Problem') } },
      },
    },
  }
}

function describeParameter(parameter: Parameter) {
  const schema = parameter.schema ?? { type: 'string' }
  return {
    name: parameter.name,
    in: 'query',
    required: false,
    description: parameter.doc,
    schema: parameter.repeated === true ? { type: 'array', items: schema } : schema,
    ...(parameter.repeated === true ? { explode: true } : {}),
  }
}

function componentSchemas(limits: ServingLimits): Record<string, unknown> {
  const registry = z.registry<{ id: string }>()
  for (const [id, schema] of Object.entries(componentsOf(limits))) registry.add(schema, { id })
  const { schemas } = z.toJSONSchema(registry, { uri: (id) => `#/components/schemas/${id}` })
  return Object.fromEntries(
    Object.entries(schemas).map(([id, schema]) => {
      const { $schema: _dialect, $id: _id, ...rest } = schema
      return [id, rest]
    }),
  )
}

function reference(id: Component) {
  return { $ref: `#/components/schemas/${id}` }
}
