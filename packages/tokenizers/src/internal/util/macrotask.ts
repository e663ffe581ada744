/** Yields to timers and I/O. */
import * as Effect from "effect/Effect"

/**
 * Resumes in a new task of the event loop, after pending timers and I/O. `Effect.yieldNow` usually resumes in a
 * microtask, and `Effect.sleep` waits for the `Clock`, which stands still in tests. A message channel does neither.
 *
 * @internal
 */
export const yieldToEventLoop: Effect.Effect<void> = Effect.async<void>((resume) => {
  const channel = new MessageChannel()
  channel.port1.addEventListener("message", () => {
    channel.port1.close()
    resume(Effect.void)
  })
  channel.port1.start()
  channel.port2.postMessage(0)
  return Effect.sync(() => channel.port1.close())
})
