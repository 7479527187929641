import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { PAGE_REQUESTS, PAGE_SPLITS, pageSubscriptions } from './page-mix.ts'

const page = readFileSync(
  join(import.meta.dirname, '..', '..', 'serving', 'dashboard', 'app.ts'),
  'utf8',
)
const constant = (name: string) =>
  Number(new RegExp(`^const ${name} = ([\\d_]+)$`, 'm').exec(page)?.[1]?.replaceAll('_', ''))

test('the requests are those of the page, as often', () => {
  const recent = `recent=${constant('RECENT_SESSIONS')}`
  const asked = [...page.matchAll(/'?(\w+)'?: async[^]*?getJson<\w+>\(['`](\/v1\/[^'`]+)/g)].map(
    ([, name = '', path = '']) => ({
      path: path.replace('recent=${RECENT_SESSIONS}', recent),
      everyMs: constant(`${name.toUpperCase()}_EVERY_MS`),
    }),
  )
  expect(PAGE_REQUESTS).toEqual(asked)
})

test('the subscriptions are those of the page', () => {
  const subscribed = [...page.matchAll(/live\.subscribe\('(\w+)', \{ by: ([^,]+), [^}]+\}/g)]
  const ids = subscribed.map(([, id]) => id).filter((id) => id !== 'overall')
  expect(pageSubscriptions(0).map(({ id }) => id)).toEqual(ids)
  const lengths = pageSubscriptions(0).map(({ minutes, series }) => ({ minutes, series }))
  expect(lengths).toEqual([
    { minutes: constant('WINDOW_MINUTES'), series: 1 },
    { minutes: constant('RECENT_MINUTES'), series: 1 },
    { minutes: constant('WINDOW_MINUTES'), series: constant('SERIES') },
  ])
  for (const split of PAGE_SPLITS) expect(page).toContain(`by: ['${split}']`)
})
