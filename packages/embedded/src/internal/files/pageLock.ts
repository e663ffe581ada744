/** Keeps a second page from a directory that one page has open. */
import * as Store from "@effect-tinker/server/Store"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** A page that is loaded again begins before the old one has ended. */
const patience = "5 seconds"

const inUse = (directory: string) =>
  new Store.StoreError({
    reason: `another page has ${directory} open: close that one, then load this one again, or use another directory`
  })

/** Waits for the lock, and returns what releases it. */
const acquire = (name: string, directory: string): Effect.Effect<() => void, Store.StoreError> =>
  Effect.async((resume) => {
    const controller = new AbortController()
    let release = () => {}
    const held = () =>
      new Promise<void>((resolve) => {
        release = resolve
        resume(Effect.succeed(resolve))
      })
    navigator.locks.request(name, { signal: controller.signal }, held).catch((cause: unknown) => {
      const reason = `the browser gives no lock on ${directory}: ${cause instanceof Error ? cause.message : String(cause)}`
      resume(Effect.fail(new Store.StoreError({ reason, cause })))
    })
    return Effect.sync(() => {
      controller.abort()
      release()
    })
  })

/** Holds a directory until the scope closes; fails if another page does. @internal */
export const hold = (directory: string): Effect.Effect<void, Store.StoreError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.interruptible(acquire(`effect-tinker ${directory}`, directory)).pipe(
      Effect.timeoutFail({ duration: patience, onTimeout: () => inUse(directory) })
    ),
    (release) => Effect.sync(release)
  )
