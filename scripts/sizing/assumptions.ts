/** What no measurement of ours can say: how a deployment is used, and what a cloud asks for it. */

export interface Assumption {
  readonly value: number
  readonly unit: string
  readonly what: string
}

/** How the events come, and how long they are kept. */
export const USE = {
  utilisation: {
    value: 0.6,
    unit: 'of a core',
    what: 'how far a core is used, so that a zone may fail',
  },
  eventsPerPlayerSecond: { value: 0.2, unit: 'events/s', what: 'of a player that sends by itself' },
  connectionsPerPod: {
    value: 20_000,
    unit: 'connections',
    what: 'a pod of the gateway keeps (GATEWAY_CONNECTIONS_MAX)',
  },
  eventsPerSession: { value: 60, unit: 'events', what: 'of a session' },
  dashboards: { value: 200, unit: 'dashboards', what: 'open at a time, whatever the events' },
  liveRequests: { value: 20, unit: 'requests/s', what: 'of tools, about the last minutes' },
  historyRequests: { value: 5, unit: 'requests/s', what: 'of tools, about the history' },
  sessionRequests: { value: 2, unit: 'requests/s', what: 'about a single session' },
  requestBytes: { value: 200, unit: 'B', what: 'of an event on its way in' },
  logBytes: { value: 40, unit: 'B', what: 'of an event in the log, compressed' },
  logDays: { value: 7, unit: 'days', what: 'that the log keeps' },
  logReplicas: { value: 3, unit: 'replicas', what: 'of the log' },
  rowBytes: {
    value: 300,
    unit: 'B',
    what: 'of a session in Cassandra, compressed, its minutes included',
  },
  rowDays: { value: 90, unit: 'days', what: 'that rows are kept' },
  rowReplicas: { value: 3, unit: 'replicas', what: 'of rows' },
  objectBytes: { value: 60, unit: 'B', what: 'of an event in raw files and tables' },
  objectDays: {
    value: 30,
    unit: 'days',
    what: 'of raw files and tables that are counted here; they stay longer',
  },
  diskShare: { value: 0.7, unit: 'of a disk', what: 'that is used' },
} as const satisfies Record<string, Assumption>

/** A node, n2d-standard-8. */
export const NODE = { cores: 8, systemCores: 0.5 } as const

/**
 * US dollars: examples of the order of list prices of us-central1 without commitments, checked against no
 * price list. Give your own with --prices before a decision.
 */
export const PRICES = {
  nodeHour: { value: 0.338, unit: '$/h', what: 'a node (n2d-standard-8)' },
  ssdGbMonth: {
    value: 0.17,
    unit: '$/GB and month',
    what: 'disk of brokers and of Cassandra (pd-ssd)',
  },
  objectGbMonth: { value: 0.02, unit: '$/GB and month', what: 'Cloud Storage, standard' },
  ingressGb: { value: 0.008, unit: '$/GB', what: 'what a load balancer takes in' },
  clusterHour: { value: 0.1, unit: '$/h', what: 'a cluster' },
} as const satisfies Record<string, Assumption>

export type Prices = { readonly [Name in keyof typeof PRICES]: number }

export const EXAMPLE_PRICES: Prices = {
  nodeHour: PRICES.nodeHour.value,
  ssdGbMonth: PRICES.ssdGbMonth.value,
  objectGbMonth: PRICES.objectGbMonth.value,
  ingressGb: PRICES.ingressGb.value,
  clusterHour: PRICES.clusterHour.value,
}

export const HOURS_PER_MONTH = 730
