/** Runs scripts of this directory in processes of their own, which can be killed. */
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { bundleProgram } from "../../../../scripts/bundle-program.mjs"

/** A running script. `kill` ends it with SIGKILL. */
export interface Script {
  /** its first line of output */
  readonly line: string
  readonly kill: Effect.Effect<void>
  /** waits for its end, and returns all of its output */
  readonly output: Effect.Effect<string, Error>
}

/** Starts a script, and returns when it has written a line. It is killed when the scope closes. */
export const start = (script: string, ...args: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.flatMap(
      Effect.promise(() => bundleProgram(fileURLToPath(new URL(script, import.meta.url)))),
      (program) => run(script, program, args)
    ),
    ({ kill }) => kill
  )

const run = (script: string, program: string, args: ReadonlyArray<string>) =>
  Effect.async<Script, Error>((resume) => {
    const child = spawn(process.execPath, [program, ...args], { stdio: ["ignore", "pipe", "inherit"] })
    let text = ""
    const ended = new Promise<number | null>((resolve) => child.once("close", resolve))
    const kill = Effect.promise(() => {
      child.kill("SIGKILL")
      return ended
    }).pipe(Effect.asVoid)
    const output = Effect.flatMap(
      Effect.promise(() => ended),
      (code) => (code === 0 ? Effect.succeed(text) : Effect.fail(new Error(`${script} ended with ${code}`)))
    )
    child.once("error", (error) => resume(Effect.fail(error)))
    child.once("close", (code) => resume(Effect.fail(new Error(`${script} ended with ${code}`))))
    child.stdout.on("data", (chunk) => {
      text += String(chunk)
      const end = text.indexOf("\n")
      if (end >= 0) resume(Effect.succeed({ line: text.slice(0, end), kill, output }))
    })
  })
