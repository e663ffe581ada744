import * as Effect from "effect/Effect"

/**
 * Lets timers and I/O run before the fiber goes on. `Effect.yieldNow` mostly resumes in a microtask, and
 * `Effect.sleep` waits for the `Clock`, which stands still in tests: hence a message to oneself.
 *
 * @internal
 */
export const macrotask: Effect.Effect<void> = Effect.async<void>((resume) => {
  const channel = new MessageChannel()
  channel.port1.addEventListener("message", () => {
    channel.port1.close()
    resume(Effect.void)
  })
  channel.port1.start()
  channel.port2.postMessage(0)
  return Effect.sync(() => channel.port1.close())
})
