/** The files of a tokenizer: from the cache where possible, else from the hub. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as cache from "./cache.ts"
import { type Context, downloadSnapshot } from "./download.ts"
import { type HubError, makeError, type Snapshot, type Target } from "./model.ts"

const maxAttempts = 5

// These become parts of paths and URLs.
const isRepo = (repo: string) => /^[\w-][\w.-]*(\/[\w-][\w.-]*)?$/.test(repo) && !repo.includes("..")
const isRevision = (revision: string) => /^[\w-][\w./-]*$/.test(revision) && !revision.includes("..")

const validate = (target: Target): Effect.Effect<void, HubError> => {
  if (!isRepo(target.repo)) {
    return makeError(target, "NotFound", "this is not the name of a repository, which reads organisation/model")
  }
  return isRevision(target.revision)
    ? Effect.void
    : makeError(target, "NotFound", "this is not the name of a branch, tag or commit")
}

/** One attempt is enough when the cache has a snapshot to fall back on. */
const refresh = (context: Context, target: Target, cached: Snapshot): Effect.Effect<Snapshot, HubError> =>
  Effect.catchIf(
    downloadSnapshot(context, target, 1),
    (error) => error.reason === "Unreachable",
    (error) => Effect.as(Effect.logWarning(`${error.message}. Using the cached commit ${cached.commit}`), cached)
  )

/** @internal */
export const tokenizerFiles = (context: Context, target: Target): Effect.Effect<Snapshot, HubError> =>
  Effect.gen(function* () {
    yield* validate(target)
    const cached = yield* cache.findSnapshot(context, target)
    // A commit never changes.
    if (Option.isSome(cached) && cached.value.commit === target.revision) return cached.value
    if (target.options.offline === true) {
      const detail = `the cache at ${target.options.cache} does not contain it: unset HF_HUB_OFFLINE to fetch it once`
      return Option.isSome(cached) ? cached.value : yield* makeError(target, "NotCached", detail)
    }
    return yield* Option.isSome(cached)
      ? refresh(context, target, cached.value)
      : downloadSnapshot(context, target, maxAttempts)
  }).pipe(Effect.withSpan("Hub.tokenizerFiles", { attributes: { repo: target.repo, revision: target.revision } }))
