/** The order of an object's keys. JavaScript moves keys that are integers to the front; Python does not. */

/**
 * Holds the keys of an object in the order of the text, where JavaScript has another order. It is copied by spreading.
 *
 * @since 0.1.0
 * @category symbols
 */
export const order: unique symbol = Symbol.for("@effect-tinker/tokenizers/Json/order")

/** Whether JavaScript may move a key. @internal */
export const isIndex = (key: string): boolean => /^(?:0|[1-9]\d{0,9})$/.test(key)

/**
 * The keys of an object in the order in which Python has them: as they were written. Keys whose value is `undefined` are
 * left out.
 *
 * @since 0.1.0
 * @category getters
 */
export const keys = (object: object): ReadonlyArray<string> => {
  const own = object as { readonly [key: string]: unknown; readonly [order]?: ReadonlyArray<string> }
  const present = Object.keys(own).filter((key) => own[key] !== undefined)
  const known = own[order]
  if (known === undefined) return present
  const left = new Set(present)
  const ordered = known.filter((key) => left.delete(key))
  return [...ordered, ...left]
}
