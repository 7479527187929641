/** What the processes of a pool say to one another, over the channel between parent and child. */
import type { MetricObjectWithValues, MetricValue } from 'prom-client'

export type ParentMessage =
  | { readonly kind: 'tellMetrics'; readonly request: number }
  /** Turn new clients away; those who are here stay. */
  | { readonly kind: 'turnAway' }
  /** Drain, then end. */
  | { readonly kind: 'drain' }

export type ChildMessage =
  /** Sent when it changes; without a code the child is ready. */
  | { readonly kind: 'standing'; readonly unreadyCode?: string }
  /** The answer to `request`; without one, told by itself. */
  | { readonly kind: 'metrics'; readonly request?: number; readonly metrics: Metrics }

export type Metrics = readonly MetricObjectWithValues<MetricValue<string>>[]
