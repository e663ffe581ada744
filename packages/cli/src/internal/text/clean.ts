/** Cleans text that came from outside, so that it cannot control the terminal: the one function for it. */

// C0, DEL and C1, which begin escape sequences, and the separators that terminals may treat as line breaks
const controls = /[\p{Control}\u2028\u2029]+/gu
const controlsInLines = /(?:(?![\n\t])[\p{Control}\u2028\u2029])+/gu
// marks, embeddings, overrides and isolates, which show text in another order than it has
const bidi = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu

/** Replaces control characters by a space, and removes those that change the direction of text. @internal */
export const clean = (text: string, options: { readonly keepLines?: boolean } = {}): string =>
  text.replace(options.keepLines === true ? controlsInLines : controls, " ").replace(bidi, "")

/** Escapes the same characters in a JSON document, which then has the same value. @internal */
export const cleanJson = (json: string): string =>
  json.replace(
    /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`
  )
