/** Bounds of alert rules and of what is remembered of each. */
import { assert } from '../runtime/errors.ts'

/** Rules of one file. */
export const ALERT_RULES_MAX = 256
/** Characters of a file of rules. */
export const ALERT_RULES_FILE_MAX_CHARS = 1_048_576
/** Longest window of a rule, minutes. */
export const ALERT_WINDOW_MINUTES_MAX = 60
/** Keys that a rule remembers between minutes; further ones are counted and forgotten. */
export const ALERT_KEYS_PER_RULE_MAX = 1_000
/** Open alerts of one rule; further ones are counted and not raised until one is resolved. */
export const ALERT_OPEN_PER_RULE_MAX = 100
/** Resolved alerts of one rule that are still shown. */
export const ALERT_RESOLVED_PER_RULE_MAX = 16
/** Alerts of one rule not yet delivered everywhere; beyond, the webhook misses the oldest. */
export const ALERT_OUTBOX_PER_RULE_MAX = 400
/**
 * Alerts that one rule adds to its outbox with a minute at most: all open ones resolved, as many
 * raised, and these ended when the rule is then removed. A rule without room for them waits.
 */
export const ALERT_OUTGOING_PER_MINUTE_MAX = 3 * ALERT_OPEN_PER_RULE_MAX
/** A key that had no row for this long, and has no open alert, is forgotten, minutes. */
export const ALERT_UNSEEN_MINUTES_MAX = 1_440

assert(
  ALERT_OUTGOING_PER_MINUTE_MAX <= ALERT_OUTBOX_PER_RULE_MAX,
  'what one minute raises, resolves and ends fits the outbox',
)
assert(ALERT_OPEN_PER_RULE_MAX <= ALERT_KEYS_PER_RULE_MAX, 'open alerts are among the kept keys')
