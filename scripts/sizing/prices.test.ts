import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { EXAMPLE_PRICES } from './assumptions.ts'
import { readPrices } from './prices.ts'

const folder = mkdtempSync(join(tmpdir(), 'backhaul-prices-'))
const path = join(folder, 'prices.json')
afterAll(() => rmSync(folder, { recursive: true }))

test('a price that the file does not name stays as in the examples', () => {
  writeFileSync(path, '{"nodeHour": 0.5, "clusterHour": 0}')
  expect(readPrices(path)).toEqual({ ...EXAMPLE_PRICES, nodeHour: 0.5, clusterHour: 0 })
})

test.each(['{"nodeHuor": 0.5}', '{"nodeHour": -1}', '{"nodeHour": "0.5"}'])(
  '%s is refused',
  (text) => {
    writeFileSync(path, text)
    expect(() => readPrices(path)).toThrow('nodeH')
  },
)
