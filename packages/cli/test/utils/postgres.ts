/** A PostgreSQL server in a process of its own. */
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"

const script = fileURLToPath(new URL("../../../embedded/test/utils/postgresServer.ts", import.meta.url))

/** The URL of an empty database, or the reason why there is none. It ends with the scope. */
export const make = Effect.acquireRelease(
  Effect.sync(() =>
    spawn(process.execPath, ["--conditions=effect-tinker-source", "--import", "tsx", script], {
      stdio: ["ignore", "pipe", "inherit"]
    })
  ),
  (child) =>
    Effect.async<void>((resume) => {
      if (child.exitCode !== null) return resume(Effect.void)
      child.once("close", () => resume(Effect.void))
      child.kill("SIGTERM")
    })
).pipe(
  Effect.flatMap((child) =>
    Effect.async<string>((resume) => {
      let text = ""
      child.stdout.on("data", (chunk) => {
        text += String(chunk)
        if (text.includes("\n")) resume(Effect.succeed(text.trim()))
      })
      child.once("close", () => resume(Effect.succeed(text.trim())))
    })
  )
)
