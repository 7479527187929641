/** What a new installation shows: how to send the first event. */
import { h } from './dom.ts'

const COMMAND = `curl http://127.0.0.1:8080/v1/events -H 'content-type: application/json' -d '{
  "v": 1, "sentAt": '$(date +%s000)',
  "session": {"sessionId": "first-session", "contentId": "movie-1", "cdn": "cdn-a"},
  "events": [
    {"seq": 0, "type": "playbackRequest", "at": '$(date +%s000)'},
    {"seq": 1, "type": "playbackStart", "at": '$(date +%s500)'}]}'`

export function emptyState(): HTMLElement {
  const copied = h('span', { class: 'dim', role: 'status' })
  return h(
    'section',
    { class: 'empty' },
    h('h2', {}, 'No playback events yet'),
    h('p', {}, 'This page fills by itself as soon as players report. Three ways to make it live:'),
    h(
      'ol',
      {},
      h(
        'li',
        {},
        h('b', {}, 'Send an event by hand'),
        h('pre', { tabindex: 0 }, h('code', {}, COMMAND)),
        h(
          'button',
          {
            type: 'button',
            class: 'plain',
            onclick: () =>
              void navigator.clipboard.writeText(COMMAND).then(() => {
                copied.textContent = 'copied'
              }),
          },
          'Copy',
        ),
        ' ',
        copied,
      ),
      h(
        'li',
        {},
        h('b', {}, 'Point a player at it'),
        ': set hls.js, dash.js or Shaka to CMCD v2 event mode with the target ',
        h('code', {}, 'http://127.0.0.1:8080/cmcd'),
      ),
      h('li', {}, h('b', {}, 'Simulate an audience'), ': ', h('code', {}, 'npm run demo')),
    ),
  )
}
