/** Compares what a chart renders with what a server has stored of it. */
import type { KubernetesObject } from './kubernetes-client.ts'

/** Fields of an object's metadata that are the server's own. */
const OF_THE_SERVER = new Set([
  'creationTimestamp',
  'generation',
  'managedFields',
  'resourceVersion',
  'uid',
])

/**
 * Where `stored` lacks what is `rendered` or says something else, as paths. What a server fills in
 * besides is no difference, nor is an empty value that it leaves out.
 */
export function differences(rendered: unknown, stored: unknown, path = ''): string[] {
  if (isEmpty(rendered) && (stored === undefined || isEmpty(stored))) return []
  if (Array.isArray(rendered))
    return Array.isArray(stored) && stored.length === rendered.length
      ? rendered.flatMap((value, at) => differences(value, stored[at], `${path}[${at}]`))
      : [path]
  if (isObject(rendered))
    return isObject(stored)
      ? Object.entries(rendered).flatMap(([key, value]) =>
          differences(value, stored[key], `${path}.${key}`),
        )
      : [path]
  const isSame = rendered === stored || isSameQuantity(rendered, stored)
  return isSame ? [] : [`${path}: ${JSON.stringify([rendered, stored])}`]
}

/** What users have said of an object, whatever its past: equal texts are equal objects. */
export function contentOf(object: KubernetesObject): string {
  const { metadata, ...rest } = object
  const said = Object.entries(metadata).filter(([key]) => !OF_THE_SERVER.has(key))
  return JSON.stringify({ ...rest, status: undefined, metadata: Object.fromEntries(said) })
}

/** Of a resource; a server writes 10000 as 10k. */
const QUANTITY = /^(\d+)(|k|M|G|T|Ki|Mi|Gi|Ti)$/
const FACTORS = new Map<string | undefined, number>([
  ['', 1],
  ['k', 1e3],
  ['M', 1e6],
  ['G', 1e9],
  ['T', 1e12],
  ['Ki', 2 ** 10],
  ['Mi', 2 ** 20],
  ['Gi', 2 ** 30],
  ['Ti', 2 ** 40],
])

function isSameQuantity(one: unknown, other: unknown): boolean {
  if (typeof one !== 'string' || typeof other !== 'string') return false
  const [a, b] = [quantityOf(one), quantityOf(other)]
  return a !== undefined && a === b
}

function quantityOf(text: string): number | undefined {
  const [, digits, suffix] = QUANTITY.exec(text) ?? []
  const factor = FACTORS.get(suffix)
  return factor === undefined ? undefined : Number(digits) * factor
}

function isEmpty(value: unknown): boolean {
  if (value === null) return true
  if (Array.isArray(value)) return value.length === 0
  return isObject(value) && Object.keys(value).length === 0
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
