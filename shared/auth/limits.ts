/** Bounds of token verification. */

/** Characters of a token; longer ones are refused unread. */
export const TOKEN_MAX_CHARS = 8_192

/** How far the issuer's clock may be from ours at `exp` and `nbf`. */
export const TOKEN_CLOCK_TOLERANCE_MS = 30_000

/** After this a token is verified anew, so that a removed key ends what it signed. */
export const VERIFIED_TOKEN_MAX_AGE_MS = 10 * 60_000

/** Verified tokens that are remembered, so that a repeat costs a digest instead of a signature. */
export const VERIFIED_TOKENS_MAX = 10_000

/** One request for the key set. */
export const KEY_SET_TIMEOUT_MS = 5_000

/** Body of a key set. */
export const KEY_SET_MAX_BYTES = 262_144

/** Keys of a key set. */
export const KEY_SET_KEYS_MAX = 100

/** After this a key set is read anew beside the verification that noticed. */
export const KEY_SET_MAX_AGE_MS = 10 * 60_000

/** Least time between two reads once keys are known, whatever unknown key ids arrive. */
export const KEY_SET_COOLDOWN_MS = 30_000

/** Least time between two attempts while no keys are known. */
export const KEY_SET_RETRY_MS = 1_000
