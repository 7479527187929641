/** Bounds of a run. */

/** Bytes of one input: enough for what is deep and what is long. */
export const INPUT_MAX_BYTES = 16_384

/** Inputs that are changed further; beyond, a new one takes the place of any other. */
export const POOL_MAX_INPUTS = 2_000

/** Changes made to one input. */
export const CHANGES_MAX = 8

/** An input that is not judged after this time hangs, on whatever machine. */
export const HANG_MS = 20_000

/** Heap of the thread that judges. */
export const HEAP_MAX_MIB = 512

/** Memory of the whole process, the thread's buffers included. */
export const RESIDENT_MAX_BYTES = 3 * 2 ** 30
