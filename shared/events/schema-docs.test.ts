import { describe, expect, it } from 'vitest'
import { eventVariants, sessionContextSchema } from './schema.ts'
import { eventJsonSchema, eventTables } from './schema-docs.ts'

const types = eventVariants.map((variant) => variant.shape.type.value)

interface Definition {
  readonly description?: string
  readonly properties: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  readonly required: readonly string[]
}

describe('the JSON Schema', () => {
  const schema = eventJsonSchema()
  const definitions = schema['$defs'] as Readonly<Record<string, Definition>>

  it('is of draft 2020-12 and defines both contexts and every event', () => {
    expect(schema['$schema']).toBe('https://json-schema.org/draft/2020-12/schema')
    expect(Object.keys(definitions)).toEqual(['sessionContext', 'loggedContext', ...types])
  })

  it('refers to nothing that it does not define', () => {
    const references = [...JSON.stringify(schema).matchAll(/"\$ref":"#\/\$defs\/(\w+)"/g)]
    expect(new Set(references.map(([, name]) => name))).toEqual(
      new Set(['sessionContext', ...types]),
    )
  })

  it('requires of a frame and of an event what the decoder does', () => {
    expect(schema['required']).toEqual(['v', 'sentAt', 'session', 'events'])
    expect(definitions['playbackFail']?.required.toSorted()).toEqual(['at', 'code', 'seq', 'type'])
  })

  it('gives bounds and meaning', () => {
    expect(definitions['heartbeat']?.description).toMatch(/^Still here/)
    expect(definitions['heartbeat']?.properties['droppedFrames']).toEqual({
      type: 'integer',
      minimum: 0,
      maximum: 1_000_000_000,
      description: 'Frames dropped since the session began.',
    })
    expect(definitions['sessionContext']?.properties['labels']).toMatchObject({ maxProperties: 8 })
  })

  it('has the viewer in the context as sent only, the pseudonym in the log only', () => {
    const fieldsOf = (name: string) => Object.keys(definitions[name]?.properties ?? {})
    expect(fieldsOf('sessionContext')).toContain('viewerId')
    expect(fieldsOf('sessionContext')).not.toContain('viewerPseudonym')
    expect(fieldsOf('loggedContext')).toContain('viewerPseudonym')
    expect(fieldsOf('loggedContext')).not.toContain('viewerId')
  })
})

describe('the tables', () => {
  const page = eventTables()

  it('have a section for every event and a row for every field', () => {
    for (const variant of eventVariants) {
      const type = variant.shape.type.value
      const section = page.split(`### \`${type}\`\n`)[1]?.split('\n###')[0] ?? ''
      expect(section).toContain(variant.description)
      const { seq: _seq, at: _at, type: _type, ...own } = variant.shape
      for (const field of Object.keys(own)) expect(section).toContain(`| \`${field}\``)
    }
    for (const field of Object.keys(sessionContextSchema.shape))
      expect(page).toMatch(new RegExp(`\\| \`${field}[\`.]`))
  })

  it('tell type, bounds and meaning, and mark what may be absent', () => {
    expect(page).toContain(
      '| `sessionId` | text | 1–64 characters | Identity of the playback session; a UUID is recommended. |',
    )
    expect(page).toContain('| `streamType`? | text | `vod`, `live`, `lowLatencyLive` | On demand,')
    expect(page).toContain('| `playbackRate` | number | 0.001–16 | 1 is normal speed. |')
    expect(page).toContain('| `device.type`? | text | 1–32 characters |')
  })
})
