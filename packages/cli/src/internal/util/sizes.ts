/** Sizes in bytes, as options give them. */

const units: { readonly [unit: string]: number } = {
  "": 1,
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KIB: 2 ** 10,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
  TIB: 2 ** 40
}

/** The bytes of a text such as `500MB` or `1.5 GiB`; `undefined` if it is no size above 0. @internal */
export const parse = (text: string): number | undefined => {
  const found = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(text)
  const unit = units[found?.[2]?.toUpperCase() ?? "none"]
  if (found === null || unit === undefined) return undefined
  const bytes = Math.floor(Number(found[1]) * unit)
  return bytes > 0 && Number.isSafeInteger(bytes) ? bytes : undefined
}
