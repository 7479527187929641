/**
 * Routes: which records of `playback.events` are copied to further topics. A route names an event
 * type or a content, and a topic; every record that holds such an event, or is of that content, is
 * copied whole, with its key and its bytes.
 */
import { eventVariants } from '../shared/events/schema.ts'
import { TOPICS } from '../shared/log/topics.ts'
import { ROUTES_MAX } from './limits.ts'

export interface Route {
  readonly by: 'type' | 'content'
  readonly value: string
  readonly topic: string
}

const ROUTE = /^(type|content):(.{1,128})=([A-Za-z0-9._-]{1,249})$/

/** Parses GATEWAY_ROUTES; throws a `TypeError` that says what is wrong. */
export function parseRoutes(texts: readonly string[]): Route[] {
  if (texts.length > ROUTES_MAX) throw new TypeError(`at most ${ROUTES_MAX} routes`)
  return texts.map((text) => {
    const [, by, value = '', topic = ''] = ROUTE.exec(text) ?? []
    if (by !== 'type' && by !== 'content')
      throw new TypeError(`routes such as type:playbackFail=failures, not ${text}`)
    if (by === 'type' && !eventVariants.some(({ shape }) => shape.type.value === value))
      throw new TypeError(`types of events, not ${value}`)
    if (Object.values(TOPICS).some((own) => own === topic))
      throw new TypeError(`topics other than our own, not ${topic}`)
    return { by, value, topic }
  })
}

/** The topics that routes lead to, each once. */
export function routedTopics(routes: readonly Route[]): string[] {
  return [...new Set(routes.map(({ topic }) => topic))]
}

interface RoutedRecord {
  readonly session: { readonly contentId?: string }
  readonly events: readonly { readonly type: string }[]
}

/** Finds the topics of a record. Most records are told apart by their bytes, without parsing. */
export class Router {
  readonly #routes: readonly (Route & { readonly needle: Buffer })[]

  constructor(routes: readonly Route[]) {
    this.#routes = routes.map((route) => ({
      ...route,
      needle: Buffer.from(route.by === 'type' ? `"${route.value}"` : '"contentId"'),
    }))
  }

  topicsOf(value: Uint8Array): string[] {
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    const possible = this.#routes.filter(({ needle }) => bytes.includes(needle))
    if (possible.length === 0) return []
    const { session, events } = JSON.parse(bytes.toString()) as RoutedRecord
    const taken = possible.filter((route) =>
      route.by === 'content'
        ? session.contentId === route.value
        : events.some(({ type }) => type === route.value),
    )
    return routedTopics(taken)
  }
}
