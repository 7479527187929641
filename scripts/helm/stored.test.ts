/** What counts as stored as it was rendered, and when two objects say the same. */
import { expect, it } from 'vitest'
import type { KubernetesObject } from './kubernetes-client.ts'
import { contentOf, differences } from './stored.ts'

const service = { metadata: { name: 'a' }, spec: { ports: [{ port: 80 }], selector: {} } }

it('what a server fills in, and empty values that it leaves out, are no difference', () => {
  const stored = {
    metadata: { name: 'a', uid: '1' },
    spec: { ports: [{ port: 80, protocol: 'TCP' }], clusterIP: '10.0.0.1' },
  }
  expect(differences(service, stored)).toEqual([])
})

it.each([
  ['another value', { ports: [{ port: 81 }] }, ['.spec.ports[0].port: [80,81]']],
  ['another type', { ports: [{ port: '80' }] }, ['.spec.ports[0].port: [80,"80"]']],
  ['a field that is lost', { ports: [{}] }, ['.spec.ports[0].port: [80,null]']],
  ['an element that is lost', { ports: [] }, ['.spec.ports']],
  ['an element too many', { ports: [{ port: 80 }, { port: 81 }] }, ['.spec.ports']],
  ['a list that is none', { ports: 80 }, ['.spec.ports']],
])('%s is seen', (_what, spec, expected) => {
  expect(differences(service, { ...service, spec })).toEqual(expected)
})

it.each([
  ['10000', '10k', []],
  ['1024Mi', '1Gi', []],
  ['10000', '10M', ['.cpu: ["10000","10M"]']],
  ['1.5', '15', ['.cpu: ["1.5","15"]']],
])('the quantity %s, stored as %s', (rendered, stored, expected) => {
  expect(differences({ cpu: rendered }, { cpu: stored })).toEqual(expected)
})

it("an object's content is what users said of it, not what became of it", () => {
  const object: KubernetesObject = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'a' },
  }
  const later = { ...object, metadata: { name: 'a', resourceVersion: '7' }, status: { ready: 1 } }
  expect(contentOf(later)).toBe(contentOf(object))
  expect(contentOf({ ...object, kind: 'Pod' })).not.toBe(contentOf(object))
})
