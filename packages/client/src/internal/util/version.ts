/** The version of the client, and the user agent that it sends. */

/** @internal */
export const version = "0.1.0"

/** @internal */
export const userAgent = `effect-tinker/${version}`
