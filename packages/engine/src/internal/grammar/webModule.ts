/** Stands in for the grammar engine where bundlers cannot have it. */

/** @internal */
export const isAvailable = false

/** @internal */
export const importModule = (): Promise<object> =>
  Promise.reject(new Error("samples that are kept to a JSON schema need Node: use a service that runs there"))
