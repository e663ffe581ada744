/** The files of a tokenizer: from the cache where possible, else from the hub. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as cache from "./cache.ts"
import { type Context, downloadSnapshot, type Plan } from "./download.ts"
import { type HubError, makeError, type Snapshot, type Target } from "./model.ts"
import * as settings from "./settings.ts"

const withoutFallback: Plan = {
  info: { attempts: 5, idleMillis: 10_000, duration: 60_000 },
  files: { attempts: 5, idleMillis: 30_000 }
}

/** With a snapshot to fall back on, the timeouts are short. */
const beforeFallback: Plan = {
  info: { attempts: 1, idleMillis: 5000, duration: 5000 },
  files: { attempts: 2, idleMillis: 10_000 }
}

/** The settings are wrong, or the hub knows the repository but not the revision. The cache does not hide that. */
const isFinal = ({ code, reason }: HubError): boolean => reason === "Invalid" || code === "RevisionNotFound"

/** Says which files may be missing. */
const caveat = (cached: cache.Cached): string => {
  const unknown = cache.unknownFiles(cached)
  return unknown.length === 0 ? "" : `. It may lack ${unknown.join(", ")}, which were never fetched`
}

const refresh = (context: Context, target: Target, cached: cache.Cached): Effect.Effect<Snapshot, HubError> =>
  Effect.flatMap(settings.checkRemote(target), (remote) => downloadSnapshot(context, remote, beforeFallback)).pipe(
    Effect.catchIf(
      (error) => !isFinal(error),
      (error) => {
        const using = `Using the cached commit ${cached.snapshot.commit}${caveat(cached)}`
        return Effect.as(Effect.logWarning(`${error.message}. ${using}`), cached.snapshot)
      }
    )
  )

/** The snapshot in the cache, without the hub. */
const offline = (target: Target, found: Option.Option<cache.Cached>): Effect.Effect<Snapshot, HubError> => {
  const { cache: directory } = target.options
  if (Option.isNone(found)) {
    const detail = `the cache at ${directory} does not contain it: unset HF_HUB_OFFLINE to fetch it once`
    return makeError(target, "NotCached", detail)
  }
  const cached = found.value
  if (!cache.isUsable(cached)) {
    const files = cache.unknownFiles(cached).join(", ")
    const detail = `the cache at ${directory} lacks ${files} of it: unset HF_HUB_OFFLINE to fetch it once`
    return makeError(target, "NotCached", detail)
  }
  const doubt = caveat(cached)
  return doubt === ""
    ? Effect.succeed(cached.snapshot)
    : Effect.as(Effect.logWarning(`${target.repo} at ${target.revision}: offline${doubt}`), cached.snapshot)
}

/** @internal */
export const tokenizerFiles = (context: Context, target: Target): Effect.Effect<Snapshot, HubError> =>
  Effect.gen(function* () {
    yield* settings.checkNames(target)
    const found = yield* cache.find(context, target)
    if (target.options.offline === true) return yield* offline(target, found)
    const usable = Option.filter(found, cache.isUsable)
    if (Option.isNone(usable)) {
      return yield* downloadSnapshot(context, yield* settings.checkRemote(target), withoutFallback)
    }
    const { snapshot } = usable.value
    // A commit never changes.
    const isFinished = snapshot.commit === target.revision && cache.unknownFiles(usable.value).length === 0
    return isFinished ? snapshot : yield* refresh(context, target, usable.value)
  }).pipe(Effect.withSpan("Hub.tokenizerFiles", { attributes: { repo: target.repo, revision: target.revision } }))
