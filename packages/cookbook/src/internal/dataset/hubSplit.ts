/** Downloads a split of a data set on the hub. */
import * as Hub from "@effect-tinker/tokenizers/Hub"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { DatasetError } from "../bytes/datasetError.ts"
import * as hubFiles from "./hubFiles.ts"

/** The files of a split, downloaded. @internal */
export const hubFilesOf = Effect.fnUntraced(function* (
  repo: string,
  {
    config,
    revision,
    split = "train"
  }: {
    readonly config?: string | undefined
    readonly revision?: string | undefined
    readonly split?: string | undefined
  }
) {
  const hub = yield* Hub.Hub
  const choice = (paths: ReadonlyArray<string>) => hubFiles.choose(paths, { config, split })
  const chosen = yield* hub.datasetFiles({ repo, revision }, (paths) => Either.getOrElse(choice(paths), () => []))
  const problem = choice(chosen.paths)
  if (Either.isLeft(problem)) return yield* new DatasetError({ path: repo, reason: problem.left })
  return chosen.files
})
