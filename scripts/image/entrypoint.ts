/** What the image runs: the role is the first argument, the rest is the role's own. */
const ROLES: ReadonlyMap<string, () => Promise<unknown>> = new Map([
  ['gateway', () => import('../../gateway/main.ts')],
  ['relay', () => import('../../gateway/relay/main.ts')],
  ['processor', () => import('../../processor/main.ts')],
  ['serving', () => import('../../serving/main.ts')],
  ['standalone', () => import('../../standalone/main.ts')],
  ['backhaul', () => import('../../batch/cli/main.ts')],
])
/** EX_USAGE of sysexits.h. */
const EXIT_USAGE = 64

const [role] = process.argv.splice(2, 1)
const start = ROLES.get(role ?? '')
if (start === undefined) {
  const received = role === undefined ? 'none' : JSON.stringify(role)
  const roles = [...ROLES.keys()].join(', ')
  console.error(`the first argument must be a role: expected one of ${roles}; received ${received}`)
  process.exit(EXIT_USAGE)
}
// The role finds its arguments where they are when it is started by itself.
await start()
