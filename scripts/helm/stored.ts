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
  return rendered === stored ? [] : [`${path}: ${JSON.stringify([rendered, stored])}`]
}

/** What users have said of an object, whatever its past: equal texts are equal objects. */
export function contentOf(object: KubernetesObject): string {
  const { metadata, ...rest } = object
  const said = Object.entries(metadata).filter(([key]) => !OF_THE_SERVER.has(key))
  return JSON.stringify({ ...rest, status: undefined, metadata: Object.fromEntries(said) })
}

function isEmpty(value: unknown): boolean {
  if (value === null) return true
  if (Array.isArray(value)) return value.length === 0
  return isObject(value) && Object.keys(value).length === 0
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
