/** A file of prices, in place of the examples; those that it does not name stay. */
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { EXAMPLE_PRICES, type Prices } from './assumptions.ts'

const price = z.number().nonnegative()
const pricesSchema = z
  .strictObject({
    nodeHour: price,
    ssdGbMonth: price,
    objectGbMonth: price,
    ingressGb: price,
    clusterHour: price,
  } satisfies Record<keyof Prices, typeof price>)
  .partial()

/** Throws on a price that is none, and on a name that there is not. */
export function readPrices(path: string): Prices {
  const given = pricesSchema.parse(JSON.parse(readFileSync(path, 'utf8')))
  const { nodeHour, ssdGbMonth, objectGbMonth, ingressGb, clusterHour } = given
  return {
    nodeHour: nodeHour ?? EXAMPLE_PRICES.nodeHour,
    ssdGbMonth: ssdGbMonth ?? EXAMPLE_PRICES.ssdGbMonth,
    objectGbMonth: objectGbMonth ?? EXAMPLE_PRICES.objectGbMonth,
    ingressGb: ingressGb ?? EXAMPLE_PRICES.ingressGb,
    clusterHour: clusterHour ?? EXAMPLE_PRICES.clusterHour,
  }
}
