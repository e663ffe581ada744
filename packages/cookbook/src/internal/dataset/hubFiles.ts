/** Which files of a repository are a split of a data set, by the names that are in use on the hub. */
import * as Either from "effect/Either"

/** The names of a split in the paths of files. */
const aliases: { readonly [split: string]: ReadonlyArray<string> } = {
  train: ["train", "training"],
  validation: ["validation", "valid", "val", "dev"],
  test: ["test", "testing", "eval", "evaluation"]
}

/** By preference: a repository may have the same data in several forms. */
const extensions = [
  /\.parquet$/i,
  /\.(?:jsonl|ndjson)(?:\.(?:gz|zst))?$/i,
  /\.json(?:\.(?:gz|zst))?$/i,
  /\.txt(?:\.(?:gz|zst))?$/i
]

/** What else ends in these ways, but is no data. */
const isOther = (path: string): boolean =>
  path.split("/").some((part) => part.startsWith(".")) ||
  /(?:^|\/)(?:dataset_infos?|config|state|package|requirements|license|readme)\.(?:json|txt)$/i.test(path)

const escape = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")

/** Whether a path has one of the names as a word. */
const names = (words: ReadonlyArray<string>): ((path: string) => boolean) => {
  const pattern = new RegExp(`(?:^|[/._-])(?:${words.map(escape).join("|")})(?:[/._-]|$)`, "i")
  return (path) => pattern.test(path)
}

const namesAnySplit = names(Object.values(aliases).flat())

/** The directory of a file, which is that of a configuration, or `data`. */
const directoryOf = (path: string): string => path.split("/").slice(0, -1).join("/")

const list = (items: ReadonlyArray<string>): string =>
  `${items.slice(0, 20).join(", ")}${items.length > 20 ? `, and ${items.length - 20} more` : ""}`

/** @internal */
export interface Choice {
  readonly split: string
  readonly config: string | undefined
}

/** The files of a split in their order, or why there are none. @internal */
export const choose = (
  paths: ReadonlyArray<string>,
  { config, split }: Choice
): Either.Either<ReadonlyArray<string>, string> => {
  const data = paths.filter((path) => extensions.some((extension) => extension.test(path)) && !isOther(path))
  if (data.length === 0) return Either.left(`has no Parquet, JSON Lines or text files, but ${list(paths)}`)
  const configured = config === undefined ? data : data.filter((path) => path.split("/").slice(0, -1).includes(config))
  if (configured.length === 0) {
    return Either.left(`has no configuration ${config}: there is ${list([...new Set(data.map(directoryOf))])}`)
  }
  const isSplit = names(aliases[split] ?? [split])
  const ofSplit = configured.filter(isSplit)
  // without any names of splits, all is for training
  const found = ofSplit.length > 0 || split !== "train" ? ofSplit : configured.filter((path) => !namesAnySplit(path))
  if (found.length === 0) return Either.left(`has no split ${split}: there is ${list(configured)}`)
  const extension = extensions.find((each) => found.some((path) => each.test(path)))!
  const files = found.filter((path) => extension.test(path))
  const directories = new Set(files.map(directoryOf))
  return directories.size > 1
    ? Either.left(`has several configurations: give one of ${list([...directories])} as config`)
    : Either.right(files)
}
