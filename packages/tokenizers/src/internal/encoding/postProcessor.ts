/** The special tokens that a text begins and ends with. */

type Config = { readonly [key: string]: unknown }

/** @internal */
export interface Frame {
  readonly before: ReadonlyArray<number>
  readonly after: ReadonlyArray<number>
}

const empty: Frame = { before: [], after: [] }

interface TemplateItem {
  readonly SpecialToken?: { readonly id: string }
  readonly Sequence?: { readonly id: string }
}

const ofTemplate = (config: Config): Frame => {
  const tokens = config["special_tokens"] as { readonly [id: string]: { readonly ids: ReadonlyArray<number> } }
  const items = config["single"] as ReadonlyArray<TemplateItem>
  const at = items.findIndex((item) => item.Sequence !== undefined)
  if (at === -1 || items.filter((item) => item.Sequence !== undefined).length > 1) {
    throw new Error("the post-processor does not use the text exactly once")
  }
  const idsOf = (part: ReadonlyArray<TemplateItem>) =>
    part.flatMap((item) => {
      const ids = tokens[item.SpecialToken?.id ?? ""]?.ids
      if (ids === undefined) throw new Error("the post-processor uses a special token that it does not have")
      return ids
    })
  return { before: idsOf(items.slice(0, at)), after: idsOf(items.slice(at + 1)) }
}

/** `[token, id]` */
const idOf = (pair: unknown): number => (pair as readonly [string, number])[1]

/** @throws when the post-processor is not known @internal */
export const makeFrame = (config: unknown): Frame => {
  if (config === null || config === undefined) return empty
  const given = config as Config
  switch (given["type"]) {
    case "ByteLevel":
      return empty
    case "TemplateProcessing":
      return ofTemplate(given)
    case "BertProcessing":
    case "RobertaProcessing":
      return { before: [idOf(given["cls"])], after: [idOf(given["sep"])] }
    case "Sequence":
      return (given["processors"] as ReadonlyArray<unknown>).map(makeFrame).reduce((inner, outer) => ({
        before: [...outer.before, ...inner.before],
        after: [...inner.after, ...outer.after]
      }))
    default:
      throw new Error(`the post-processor ${String(given["type"])} is not supported`)
  }
}
