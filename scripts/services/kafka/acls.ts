/** The ACLs of docs/security/kafka-acls.sh, as the shell hands them to the tool, and put into brokers at once. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import {
  AclOperationTypes,
  AclPermissionTypes,
  AclResourceTypes,
  Kafka,
  logLevel,
  ResourcePatternTypes,
  type AclEntry,
} from 'kafkajs'

const ACLS_PATH = join(import.meta.dirname, '..', '..', '..', 'docs', 'security', 'kafka-acls.sh')
/** Prints its arguments, a blank between two and a line a call. */
const PRINTER = 'echo'

export interface AclRule {
  readonly role: string
  readonly operations: readonly string[]
  readonly topics: readonly string[]
  readonly groups: readonly string[]
  readonly isPrefix: boolean
}

/** Arguments of each call of the tool. */
export function aclCalls(environment: Readonly<Record<string, string>> = {}): string[][] {
  const { status, stdout, stderr } = spawnSync('sh', [ACLS_PATH], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], KAFKA_ACLS: PRINTER, PREFIX: '', ...environment },
  })
  if (status !== 0) throw new Error(`kafka-acls.sh exited with ${status}: ${stderr}`)
  return stdout
    .trim()
    .split('\n')
    .map((line) => line.split(' '))
}

export function aclRules(environment: Readonly<Record<string, string>> = {}): AclRule[] {
  return aclCalls(environment).map(ruleOf)
}

function ruleOf(args: readonly string[]): AclRule {
  const { values } = parseArgs({
    args: [...args],
    options: {
      add: { type: 'boolean' },
      force: { type: 'boolean' },
      'allow-principal': { type: 'string', default: '' },
      operation: { type: 'string', multiple: true, default: [] },
      topic: { type: 'string', multiple: true, default: [] },
      group: { type: 'string', multiple: true, default: [] },
      'resource-pattern-type': { type: 'string', default: 'literal' },
    },
  })
  return {
    role: values['allow-principal'].replace(/^User:/, ''),
    operations: values.operation,
    topics: values.topic,
    groups: values.group,
    isPrefix: values['resource-pattern-type'] === 'prefixed',
  }
}

/** Puts them in by one request; the tool would start a JVM for each call. */
export async function putAcls(broker: string, rules: readonly AclRule[]): Promise<void> {
  const admin = new Kafka({ brokers: [broker], logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  try {
    await admin.createAcls({ acl: rules.flatMap(entriesOf) })
  } finally {
    await admin.disconnect()
  }
}

const OPERATIONS: Readonly<Record<string, AclOperationTypes>> = {
  Create: AclOperationTypes.CREATE,
  Describe: AclOperationTypes.DESCRIBE,
  DescribeConfigs: AclOperationTypes.DESCRIBE_CONFIGS,
  Read: AclOperationTypes.READ,
  Write: AclOperationTypes.WRITE,
}

function entriesOf({ role, operations, topics, groups, isPrefix }: AclRule): AclEntry[] {
  const resources = [
    ...topics.map((name) => ({ resourceType: AclResourceTypes.TOPIC, resourceName: name })),
    ...groups.map((name) => ({ resourceType: AclResourceTypes.GROUP, resourceName: name })),
  ]
  return resources.flatMap((resource) =>
    operations.map((name) => ({
      ...resource,
      resourcePatternType: isPrefix ? ResourcePatternTypes.PREFIXED : ResourcePatternTypes.LITERAL,
      principal: `User:${role}`,
      host: '*',
      operation: OPERATIONS[name] ?? AclOperationTypes.UNKNOWN,
      permissionType: AclPermissionTypes.ALLOW,
    })),
  )
}
