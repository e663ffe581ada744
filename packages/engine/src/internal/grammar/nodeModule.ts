/** The module of the grammar engine, which imports modules of Node. */

/** @internal */
export const isAvailable = true

/** @internal */
export const importModule = (): Promise<object> => import("@mlc-ai/web-xgrammar")
