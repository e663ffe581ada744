/** How long readers wait for a checkpoint that is being replaced: a save that replaces one takes less. */

/** Milliseconds between two attempts. @internal */
export const pause = 50

/** @internal */
export const attempts = 40
