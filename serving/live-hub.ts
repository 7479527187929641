/**
 * The live feed: subscriptions of all connections, polled together. Equal subscriptions share one
 * channel, all channels of a cut share one query to the store. A member gets the whole window
 * first and then, every second, the buckets that changed.
 *
 * Everything is bounded: connections, subscriptions, channels, and the bytes that wait for a
 * client that does not read: it is skipped, given a whole window once it reads again, and closed
 * when it stays behind.
 */
import type { Alert } from '../shared/alerts/alert.ts'
import { MINUTE_MS } from '../shared/qoe/aggregates.ts'
import type { Cut } from '../shared/qoe/cuts.ts'
import type { Clock } from '../shared/runtime/clock.ts'
import { BackhaulError, type ErrorFactory } from '../shared/runtime/errors.ts'
import { LiveChannel } from './live-channel.ts'
import type { ContentView } from './content-feed.ts'
import { CutFeed } from './cut-feed.ts'
import {
  liveClientMessageSchema,
  type AlertsResponse,
  type LiveServerMessage,
} from './api-schemas.ts'
import { servingErrors } from './errors.ts'
import type { ServingLimits } from './limits.ts'
import { parseBy, selectCut } from './qoe-query.ts'
import { openMoment, type Moment, type ReadingContext } from './reading.ts'
import type { ServingTelemetry } from './telemetry.ts'

/** One live connection as the hub sees it. */
export interface LiveSink {
  send(text: string): void
  /** Bytes handed over and not yet taken by the network. */
  bufferedBytes(): number
  close(code: number, reason: string): void
}

/** What the feed needs of the view that is served. */
export interface LiveView extends ReadingContext {
  readonly view: string
  readonly cuts: readonly Cut[]
  /** Absent where there is no content metadata. */
  readonly content?: ContentView | undefined
}

export interface LiveHubOptions {
  readonly clock: Clock
  readonly limits: ServingLimits
  /** The view that is active now; a poll is made of one. */
  readonly served: () => LiveView
  /** Resolves once every later alert reaches the listener. */
  readonly beginAlerts: (onAlert: (alert: Alert) => void) => Promise<void>
  readonly readAlerts: () => Promise<AlertsResponse>
  readonly telemetry: Pick<
    ServingTelemetry,
    'livePolled' | 'livePollFailed' | 'livePollsRecovered' | 'liveSkipped' | 'liveAlertSent'
  >
}

interface Member {
  readonly client: LiveClient
  readonly id: string
  needsWhole: boolean
}

/** The subscriptions of one connection; `hub.connect` makes it. */
export class LiveClient {
  readonly sink: LiveSink
  readonly expiresAtMs: number | undefined
  readonly channels = new Map<string, LiveChannel<Member>>()
  messagesSincePoll = 0
  wantsAlerts = false
  /** Messages that came while what is open is read for the client, and go out after it. */
  waitingAlerts: string[] | undefined
  /** Monotonic time since when too much waits for the client. */
  behindSinceMs: number | undefined

  constructor(sink: LiveSink, expiresAtMs: number | undefined) {
    this.sink = sink
    this.expiresAtMs = expiresAtMs
  }
}

export class LiveHub {
  readonly #options: LiveHubOptions
  readonly #clock: Clock
  readonly #messageSchema: ReturnType<typeof liveClientMessageSchema>
  readonly #clients = new Set<LiveClient>()
  readonly #channels = new Map<string, LiveChannel<Member>>()
  readonly #feeds = new Map<string, CutFeed>()
  /** The view that channels and feeds are of. */
  #view: string
  readonly #stopPolling: () => void
  #polling: Promise<void> | undefined
  #pollAgain = false
  #isFailing = false
  #stopped = false

  constructor(options: LiveHubOptions) {
    this.#options = options
    this.#clock = options.clock
    this.#view = options.served().view
    this.#messageSchema = liveClientMessageSchema(options.limits)
    this.#stopPolling = options.clock.every(options.limits.livePollMs, () => {
      for (const client of this.#clients) client.messagesSincePoll = 0
      this.#pollSoon()
    })
  }

  get connections(): number {
    return this.#clients.size
  }

  get channels(): number {
    return this.#channels.size
  }

  hasRoom(): boolean {
    return !this.#stopped && this.#clients.size < this.#options.limits.liveConnectionsMax
  }

  connect(sink: LiveSink, expiresAtMs: number | undefined): LiveClient {
    const client = new LiveClient(sink, expiresAtMs)
    this.#clients.add(client)
    return client
  }

  disconnect(client: LiveClient): void {
    this.#clients.delete(client)
    for (const id of client.channels.keys()) this.#leave(client, id)
  }

  /** A message of the client; what is wrong with it is answered, never thrown. */
  receive(client: LiveClient, text: string): void {
    // Each subscription asks for a poll at once, so their number must have a bound too.
    if (++client.messagesSincePoll > this.#options.limits.liveMessagesPerPollMax)
      return closeWith(client, 'SERVING_LIVE_MESSAGES_TOO_FAST')
    let id: string | undefined
    try {
      const message = parseMessage(text, this.#messageSchema)
      if ('unsubscribe' in message) return this.#leave(client, message.unsubscribe.id)
      if ('alerts' in message) {
        client.wantsAlerts = message.alerts
        client.waitingAlerts = undefined
        if (message.alerts) void this.#sendAlerts(client)
        return
      }
      id = message.subscribe.id
      this.#join(client, message.subscribe)
      this.#pollSoon()
    } catch (error) {
      if (!(error instanceof BackhaulError)) throw error
      send(client, {
        error: { ...(id === undefined ? {} : { id }), code: error.code, detail: error.message },
      })
    }
  }

  /** Resolves when the poll under way, if any, has ended. */
  async settled(): Promise<void> {
    while (this.#polling !== undefined) await this.#polling
  }

  /** Closes every connection and stops polling. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#stopPolling()
    for (const client of this.#clients) client.sink.close(1001, 'the server stops')
    await this.settled()
  }

  /** What is open, then what came meanwhile; after which the client misses nothing. */
  async #sendAlerts(client: LiveClient): Promise<void> {
    const waiting: string[] = []
    client.waitingAlerts = waiting
    // Else it has gone, wants none any more, or has asked anew and gets the later answer.
    const isAwaited = () => this.#clients.has(client) && client.waitingAlerts === waiting
    try {
      await this.#options.beginAlerts((alert) => this.#announce(alert))
      const alerts = await this.#options.readAlerts()
      if (!isAwaited()) return
      client.waitingAlerts = undefined
      send(client, { alerts })
      for (const text of waiting) client.sink.send(text)
      this.#options.telemetry.liveAlertSent(waiting.length)
    } catch (error) {
      if (!isAwaited()) return
      client.wantsAlerts = false
      client.waitingAlerts = undefined
      const known =
        error instanceof BackhaulError ? error : servingErrors.create('SERVING_INTERNAL')
      send(client, { error: { code: known.code, detail: known.message } })
    }
  }

  /**
   * A client that has not read the updates before is closed, as is one for which too many wait: it
   * must not miss an alert unawares.
   */
  #announce(alert: Alert): void {
    const { limits } = this.#options
    const text = JSON.stringify({ alert } satisfies LiveServerMessage)
    let sent = 0
    for (const client of this.#clients) {
      if (!client.wantsAlerts) continue
      const waiting = client.waitingAlerts
      const isFull = waiting !== undefined && waiting.length >= limits.liveAlertsWaitingMax
      if (isFull || client.sink.bufferedBytes() > limits.liveBufferedMaxBytes) {
        closeWith(client, 'SERVING_LIVE_TOO_SLOW')
        continue
      }
      if (waiting !== undefined) {
        // What is open is read as of some moment before: told after this, it would contradict it.
        waiting.push(text)
        continue
      }
      client.sink.send(text)
      sent += 1
    }
    this.#options.telemetry.liveAlertSent(sent)
  }

  #join(
    client: LiveClient,
    asked: {
      id: string
      by: string[]
      where: string[]
      minutes: number
      series?: number | undefined
    },
  ): void {
    const { limits, served } = this.#options
    const { cuts, content } = served()
    if (asked.minutes > limits.liveMinutesMax)
      throw servingErrors.create('SERVING_LIVE_MESSAGE_INVALID', {
        expected: `minutes up to ${limits.liveMinutesMax}`,
        received: `${asked.minutes}`,
      })
    const question = { by: parseBy(asked.by.join(',')), where: asked.where }
    const selection = selectCut(question, { cuts, limits, content })
    const seriesMax = Math.min(asked.series ?? limits.seriesDefault, limits.seriesMax)
    const name = JSON.stringify([asked.by, asked.where.toSorted(), asked.minutes, seriesMax])
    this.#leave(client, asked.id)
    if (client.channels.size >= limits.liveSubscriptionsPerConnectionMax)
      throw subscriptionsFull(limits.liveSubscriptionsPerConnectionMax, 'of a connection')
    let channel = this.#channels.get(name)
    if (channel === undefined) {
      if (this.#channels.size >= limits.liveChannelsMax)
        throw subscriptionsFull(limits.liveChannelsMax, 'of all connections')
      const { minutes } = asked
      channel = new LiveChannel({ name, asked: question, selection, minutes, seriesMax })
      this.#channels.set(name, channel)
    }
    channel.members.add({ client, id: asked.id, needsWhole: true })
    client.channels.set(asked.id, channel)
  }

  #leave(client: LiveClient, id: string): void {
    const channel = client.channels.get(id)
    if (channel === undefined) return
    client.channels.delete(id)
    for (const member of channel.members)
      if (member.client === client && member.id === id) channel.members.delete(member)
    if (channel.members.size === 0) this.#channels.delete(channel.name)
  }

  #pollSoon(): void {
    if (this.#stopped) return
    this.#pollAgain = true
    this.#polling ??= this.#pollWhileAsked().finally(() => (this.#polling = undefined))
  }

  async #pollWhileAsked(): Promise<void> {
    while (this.#pollAgain && !this.#stopped) {
      this.#pollAgain = false
      const startedMs = this.#clock.monotonicMs()
      try {
        this.#closeExpired()
        if (this.#channels.size > 0) await this.#poll()
        this.#options.telemetry.livePolled({ durationMs: this.#clock.monotonicMs() - startedMs })
        if (this.#isFailing) this.#options.telemetry.livePollsRecovered()
        this.#isFailing = false
      } catch (error) {
        this.#options.telemetry.livePollFailed({ error, isFirst: !this.#isFailing })
        this.#isFailing = true
        const code = error instanceof BackhaulError ? error.code : 'SERVING_INTERNAL'
        const detail = error instanceof BackhaulError ? error.message : 'the poll failed'
        for (const client of this.#clients)
          if (!this.#isBehind(client)) send(client, { error: { code, detail } })
      }
    }
  }

  async #poll(): Promise<void> {
    const { limits } = this.#options
    const served = this.#options.served()
    if (served.view !== this.#view) this.#moveTo(served)
    if (this.#channels.size === 0) return
    const nowMs = this.#clock.nowMs()
    const toMs = (Math.floor(nowMs / MINUTE_MS) + 1) * MINUTE_MS
    const minutes = Math.max(...[...this.#channels.values()].map((channel) => channel.minutes))
    // All subscribers wait for this poll, so it waits little for the history.
    const moment = await openMoment(
      { fromMs: toMs - minutes * MINUTE_MS, toMs },
      { timeoutMs: limits.liveHistoryTimeoutMs, waitsForSnapshot: false },
      served,
    )
    try {
      await this.#pollFeeds(moment, { nowMs, toMs, served })
    } finally {
      moment.release()
    }
  }

  /**
   * Every subscription goes on in another view: with a whole window next, or with an error where
   * that view has no cut for it.
   */
  #moveTo({ view, cuts, content }: LiveView): void {
    const { limits } = this.#options
    this.#view = view
    this.#feeds.clear()
    for (const [name, channel] of this.#channels) {
      try {
        const moved = channel.movedTo(selectCut(channel.asked, { cuts, limits, content }))
        this.#channels.set(name, moved)
        for (const member of moved.members) {
          member.needsWhole = true
          member.client.channels.set(member.id, moved)
        }
      } catch (error) {
        if (!(error instanceof BackhaulError)) throw error
        for (const { client, id } of channel.members) {
          this.#leave(client, id)
          send(client, { error: { id, code: error.code, detail: error.message } })
        }
      }
    }
  }

  async #pollFeeds(
    moment: Moment,
    at: { readonly nowMs: number; readonly toMs: number; readonly served: LiveView },
  ): Promise<void> {
    const { toMs, served } = at
    const byCut = Map.groupBy(this.#channels.values(), (channel) => channel.selection.cut)
    for (const id of this.#feeds.keys())
      if (![...byCut.keys()].some((cut) => cut.id === id)) this.#feeds.delete(id)
    for (const [cut, channels] of byCut) {
      let feed = this.#feeds.get(cut.id)
      if (feed === undefined) this.#feeds.set(cut.id, (feed = new CutFeed(cut, served)))
      await feed.refresh({
        moment,
        toMs,
        minutes: Math.max(...channels.map((channel) => channel.minutes)),
        monotonicMs: this.#clock.monotonicMs(),
      })
      for (const channel of channels) this.#deliver(channel, feed, at)
    }
  }

  #deliver(
    channel: LiveChannel<Member>,
    feed: CutFeed,
    at: { readonly nowMs: number; readonly toMs: number; readonly served: LiveView },
  ): void {
    const { nowMs, toMs, served } = at
    const update = channel.update(feed, { ...served, nowMs, toMs })
    for (const member of channel.members) {
      if (this.#isBehind(member.client)) {
        member.needsWhole = true
        this.#options.telemetry.liveSkipped()
        continue
      }
      const body = member.needsWhole ? update.whole() : update.changed()
      member.needsWhole = false
      member.client.sink.send(`{"update":{"id":${JSON.stringify(member.id)},${body.slice(1)}}`)
    }
  }

  /** Whether the client must be skipped now; closes it when it has been behind for too long. */
  #isBehind(client: LiveClient): boolean {
    const { limits } = this.#options
    if (client.sink.bufferedBytes() <= limits.liveBufferedMaxBytes) {
      client.behindSinceMs = undefined
      return false
    }
    const nowMs = this.#clock.monotonicMs()
    client.behindSinceMs ??= nowMs
    if (nowMs - client.behindSinceMs >= limits.liveBehindMaxMs)
      closeWith(client, 'SERVING_LIVE_TOO_SLOW')
    return true
  }

  #closeExpired(): void {
    const nowMs = this.#clock.nowMs()
    for (const client of this.#clients)
      if (client.expiresAtMs !== undefined && client.expiresAtMs <= nowMs)
        closeWith(client, 'SERVING_LIVE_TOKEN_EXPIRED')
  }
}

type ServingErrorCode = typeof servingErrors extends ErrorFactory<infer Code> ? Code : never

function closeWith(client: LiveClient, code: ServingErrorCode): void {
  client.sink.close(servingErrors.catalogue[code].closeCode ?? 1011, code)
}

function send(client: LiveClient, message: LiveServerMessage): void {
  client.sink.send(JSON.stringify(message))
}

function subscriptionsFull(max: number, whose: string): BackhaulError {
  return servingErrors.create('SERVING_LIVE_SUBSCRIPTIONS_FULL', {
    expected: `at most ${max} subscriptions ${whose}`,
    received: 'one more',
  })
}

function parseMessage(text: string, schema: ReturnType<typeof liveClientMessageSchema>) {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw servingErrors.create('SERVING_LIVE_MESSAGE_INVALID', {
      expected: 'JSON',
      received: text.slice(0, 80),
      cause,
    })
  }
  const parsed = schema.safeParse(json)
  if (parsed.success) return parsed.data
  throw servingErrors.create('SERVING_LIVE_MESSAGE_INVALID', {
    expected:
      '{"subscribe":{"id","by","where","minutes","series"}} or {"unsubscribe":{"id"}} or {"alerts"}',
    received: text.slice(0, 80),
    cause: parsed.error,
  })
}
