/** The page: one header, one live connection, and the page that the address names. */
import type {
  AlertsResponse,
  SessionListResponse,
  StatusResponse,
  TopResponse,
} from '../api-schemas.ts'
import { ApiProblem, getJson, keepToken, liveSubprotocols, readToken } from './api-client.ts'
import { browserClock } from './browser-clock.ts'
import { h } from './dom.ts'
import { Header, type Split } from './header.ts'
import { LiveClient, type Socket } from './live-client.ts'
import { Overview } from './overview.ts'
import { parseRoute } from './route.ts'
import { SessionPage } from './session-page.ts'
import { applyTheme, currentTheme } from './theme.ts'
import { WindowChoice } from './window-choice.ts'

const WINDOW_MINUTES = 30
const RECENT_MINUTES = 5
const SERIES = 8
const STATUS_EVERY_MS = 2_000
const SESSIONS_EVERY_MS = 3_000
const ALERTS_EVERY_MS = 3_000
const TOP_EVERY_MS = 10_000
const RECENT_SESSIONS = 40

const SPLITS: readonly Split[] = [
  { id: 'cdn', label: 'CDN', by: ['cdn'] },
  { id: 'content', label: 'Content', by: ['content'] },
  { id: 'series', label: 'Series', by: ['series'] },
  { id: 'type', label: 'Type', by: ['contentType'] },
  { id: 'player', label: 'Player', by: ['player'] },
  { id: 'device', label: 'Device', by: ['deviceType'] },
  { id: 'country', label: 'Country', by: ['country'] },
  { id: 'total', label: 'Total', by: [] },
]
const DEFAULT_SPLIT = SPLITS[0] as Split

applyTheme(currentTheme())

const overview = new Overview()
const windowChoice = new WindowChoice(() => showRoute())
const header = new Header(SPLITS, windowChoice.element, browserClock)
const stage = h('div', { class: 'stage' })
document.body.append(header.element, stage)
let sessionPage: SessionPage | undefined
let split = DEFAULT_SPLIT

const live = new LiveClient({
  open: () => {
    const url = new URL('/v1/live', location.href)
    url.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:'
    return new WebSocket(url, liveSubprotocols(readToken())) as Socket
  },
  clock: browserClock,
  chance: () => (crypto.getRandomValues(new Uint32Array(1))[0] ?? 0) / 2 ** 32,
  onWindow(id, window) {
    // Wide cuts are written less often; the header speaks of the narrow ones.
    if (id === 'total') {
      header.showFreshness(window.update)
      overview.drawTotal(window)
    } else if (id === 'recent') overview.drawRecent(window)
    else if (id === 'overall') overview.drawOverall(window)
    else overview.drawSplitWindow(window)
  },
  onConnection(state) {
    header.showConnection(state)
    document.body.classList.toggle('offline', state.kind !== 'open')
  },
  onError: (code, detail) => header.showError(code, detail),
})
live.subscribe('total', { by: [], minutes: WINDOW_MINUTES, series: 1 })
live.subscribe('recent', { by: [], minutes: RECENT_MINUTES, series: 1 })

function showRoute(): void {
  const route = parseRoute(location.hash)
  sessionPage?.close()
  sessionPage = undefined
  header.showRoute(route)
  if (route.page === 'session') {
    sessionPage = new SessionPage(route.sessionId, browserClock)
    stage.replaceChildren(sessionPage.element)
    live.unsubscribe('split')
    live.unsubscribe('overall')
    return
  }
  split = SPLITS.find(({ id }) => id === route.split) ?? DEFAULT_SPLIT
  header.showSplit(split)
  overview.chooseSplit(split.by.length === 0 ? 'Total' : `By ${split.label}`)
  stage.replaceChildren(overview.element)
  const { minutes } = windowChoice
  live.subscribe('split', { by: split.by, minutes, series: SERIES })
  if (windowChoice.isShortest) live.unsubscribe('overall')
  else live.subscribe('overall', { by: [], minutes, series: 1 })
  void refresh('sessions')
  void refresh('top')
  void refresh('alerts')
}

const REQUESTS = {
  status: async () => {
    const status = await getJson<StatusResponse>('/v1/status')
    header.showStatus(status)
    overview.drawBatch(status)
  },
  sessions: async () =>
    overview.drawSessions(
      await getJson<SessionListResponse>(`/v1/sessions?recent=${RECENT_SESSIONS}`),
    ),
  alerts: async () => overview.drawAlerts(await getJson<AlertsResponse>('/v1/alerts')),
  top: async () =>
    overview.drawTop(await getJson<TopResponse>('/v1/top?metric=plays&by=content&limit=8')),
} as const

const underWay = new Set<keyof typeof REQUESTS>()

/** One request of a kind at a time; a failure shows in the header and the next one tries again. */
async function refresh(name: keyof typeof REQUESTS): Promise<void> {
  if (underWay.has(name)) return
  underWay.add(name)
  try {
    await REQUESTS[name]()
    header.clearProblem(name)
  } catch (error) {
    if (error instanceof ApiProblem && (error.status === 401 || error.status === 403))
      header.askForToken(error.message, (token) => {
        keepToken(token)
        live.reconnect()
        for (const each of Object.keys(REQUESTS)) void refresh(each as keyof typeof REQUESTS)
      })
    else if (error instanceof ApiProblem) header.showProblem(name, error)
    else throw error
  } finally {
    underWay.delete(name)
  }
}

const onOverview = () => parseRoute(location.hash).page === 'overview' && !document.hidden
browserClock.every(STATUS_EVERY_MS, () => void refresh('status'))
browserClock.every(SESSIONS_EVERY_MS, () => onOverview() && void refresh('sessions'))
browserClock.every(ALERTS_EVERY_MS, () => onOverview() && void refresh('alerts'))
browserClock.every(TOP_EVERY_MS, () => onOverview() && void refresh('top'))
addEventListener('hashchange', showRoute)
void refresh('status')
showRoute()
