/** Bounds of processor views. Each is reached by an error that says what to do. */

/** Views that are remembered, those dropped included. */
export const VIEWS_MAX = 200

/** Views that were active before the previous one whose handovers are remembered. */
export const VIEWS_EARLIER_MAX = 8

/** How often processors and servers look which view is active, ms. */
export const VIEW_REFRESH_MS = 1_000

/** How often a processor that starts tries to become active against others. */
export const VIEW_CLAIM_ATTEMPTS_MAX = 5

/** How far a view may be behind the active one, by the log's time, to be switched to, ms. */
export const VIEW_SWITCH_LAG_MS_MAX = 10_000
