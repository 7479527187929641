import type { RunningStandalone } from './start.ts'

/** What `npm start` prints: the addresses, and three things to try, ready to paste. */
export function welcomeText(running: RunningStandalone): string {
  const { gatewayUrl, servingUrl, dataDir } = running
  const event =
    `now=$(date +%s)000; curl -i ${gatewayUrl}/v1/events -H 'content-type: application/json' -d ` +
    `'{"v":1,"sentAt":'$now',"session":{"sessionId":"try-1","contentId":"movie-1","cdn":"a"},` +
    `"events":[{"seq":0,"type":"playbackRequest","at":'$now'}]}'`
  return [
    '',
    `Backhaul is running on the embedded stores in ${dataDir}`,
    '',
    `  Dashboard   ${servingUrl}/`,
    `  Events      ${gatewayUrl.replace('http', 'ws')}/v1/events (WebSocket playback.v1) · POST ${gatewayUrl}/v1/events`,
    `  CMCD v2     POST ${gatewayUrl}/cmcd`,
    '',
    'Try next',
    '  1. Send an event:',
    `     ${event}`,
    '  2. Read it back a second or two later, then a metric:',
    `     curl ${servingUrl}/v1/sessions/try-1`,
    `     curl '${servingUrl}/v1/qoe?by=cdn&step=1m'`,
    '  3. See it live: stop this with Ctrl-C, run npm run demo, and open the dashboard.',
    '',
  ].join('\n')
}
