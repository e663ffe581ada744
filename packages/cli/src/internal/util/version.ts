/** The version of the command. */

/** @internal */
export const version = "0.1.0"
