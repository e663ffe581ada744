/** The version of the client, as it names itself to the service. */

/** @internal */
export const version = "0.1.0"

/** @internal */
export const userAgent = `effect-tinker/${version}`
