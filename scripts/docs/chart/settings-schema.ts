/** Settings as the chart's schema knows them: what `helm lint` refuses before a process would. */
import {
  environmentName,
  type ConfigSpec,
  type Setting,
  type SettingShape,
} from '../../../shared/runtime/config.ts'
import type { Schema } from './schema.ts'

/**
 * A map of settings by the names of their variables, without secrets and without those that the
 * chart sets itself.
 */
export function settingsSchema(
  specs: readonly ConfigSpec[],
  setByChart: readonly string[],
): Schema {
  const properties = specs.flatMap(({ prefix, table }) =>
    Object.entries(table)
      .filter(([, { secret = false }]) => !secret)
      .map(([field, setting]) => [environmentName(prefix, field), settingSchema(setting)] as const)
      .filter(([name]) => !setByChart.includes(name)),
  )
  return {
    type: 'object',
    additionalProperties: false,
    properties: Object.fromEntries(properties),
  }
}

function settingSchema({ shape, doc }: Setting<unknown>): Schema {
  return { description: doc, ...shapeSchema(shape) }
}

function shapeSchema(shape: SettingShape): Schema {
  switch (shape.type) {
    case 'integer':
      return { type: 'integer', minimum: shape.min, maximum: shape.max }
    case 'text':
      return { type: 'string', ...(shape.pattern && { pattern: shape.pattern.source }) }
    case 'choice':
      return { enum: shape.choices }
    case 'boolean':
      return { type: 'boolean' }
    case 'list':
      return { type: ['string', 'array'], items: { type: 'string' } }
  }
}
