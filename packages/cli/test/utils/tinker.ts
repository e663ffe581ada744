/** Starts the bundled command in a process. */
import type * as Scope from "effect/Scope"
import * as Effect from "effect/Effect"
import { type ChildProcess, spawn } from "node:child_process"
import { fileURLToPath } from "node:url"

const bin = fileURLToPath(new URL("../../build/bundle/tinker.js", import.meta.url))

export interface Options {
  readonly env?: { readonly [name: string]: string | undefined }
  readonly cwd?: string
  /** The whole of standard input. */
  readonly input?: string
}

export interface Result {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Running {
  readonly child: ChildProcess
  readonly result: Effect.Effect<Result>
  /** Waits until standard output or standard error holds a match. */
  readonly until: (pattern: RegExp) => Effect.Effect<RegExpExecArray, Error>
}

/** Starts the command. The process is killed when the scope closes. */
export const start = (args: ReadonlyArray<string>, options: Options = {}): Effect.Effect<Running, never, Scope.Scope> =>
  Effect.gen(function* () {
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(process.execPath, [bin, ...args], {
          cwd: options.cwd,
          env: { PATH: process.env["PATH"], HOME: "/nonexistent", TZ: "America/New_York", ...options.env },
          stdio: "pipe"
        })
      ),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    )
    let stdout = ""
    let stderr = ""
    const waiting = new Set<() => void>()
    const wake = () => waiting.forEach((check) => check())
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text
      wake()
    })
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text
      wake()
    })
    child.stdin.on("error", () => undefined)
    child.stdin.end(options.input ?? "")
    const closed = new Promise<Result>((resolve) =>
      child.on("close", (code) => {
        resolve({ code, stdout, stderr })
        wake()
      })
    )
    return {
      child,
      result: Effect.promise(() => closed),
      until: (pattern) =>
        Effect.async((resume) => {
          const check = () => {
            const found = pattern.exec(stdout) ?? pattern.exec(stderr)
            if (found !== null) resume(Effect.succeed(found))
            else if (child.exitCode !== null)
              resume(Effect.fail(new Error(`ended without ${pattern}: ${stdout}${stderr}`)))
            else return
            waiting.delete(check)
          }
          waiting.add(check)
          check()
        })
    }
  })

/** Runs the command to its end. */
export const run = (args: ReadonlyArray<string>, options?: Options): Effect.Effect<Result> =>
  Effect.scoped(Effect.flatMap(start(args, options), ({ result }) => result))
