/** Runs a service and a program in processes of their own, both with export to a receiver in this one. */
import * as Command from "@effect/platform/Command"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { fileURLToPath } from "node:url"
import * as receiver from "./receiver.ts"

const node = ["--conditions=effect-tinker-source", "--import", "tsx"] as const
const repository = fileURLToPath(new URL("../../..", import.meta.url))
const programFile = fileURLToPath(new URL("program.ts", import.meta.url))
const commandFile = fileURLToPath(new URL("../../../packages/cli/src/bin.ts", import.meta.url))

/** Starts `tinker serve`, and returns its process and its URL once it listens. */
const serve = Effect.fnUntraced(function* (otlp: string) {
  const directory = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()
  const service = yield* Command.start(
    Command.make(
      process.execPath,
      ...node,
      commandFile,
      "serve",
      "--port",
      "0",
      "--checkpoints",
      directory,
      "--otlp",
      otlp
    ).pipe(Command.workingDirectory(repository), Command.stderr("inherit"))
  )
  const line = yield* service.stdout.pipe(
    Stream.decodeText(),
    Stream.splitLines,
    Stream.filter((text) => text.includes("TINKER_BASE_URL=")),
    Stream.runHead
  )
  const url = Option.getOrThrow(line).replace("export TINKER_BASE_URL=", "")
  return { service, url }
})

/** What the receiver has after both processes have ended. */
export const observe = Effect.gen(function* () {
  const received = yield* receiver.start
  const { service, url } = yield* serve(received.url)
  const code = yield* Command.exitCode(
    Command.make(process.execPath, ...node, programFile, received.url).pipe(
      Command.workingDirectory(repository),
      Command.env({ TINKER_BASE_URL: url, TINKER_API_KEY: "tml-local", TINKER_TELEMETRY: "0" }),
      Command.stdout("inherit"),
      Command.stderr("inherit")
    )
  )
  // it sends its last spans before it ends
  yield* service.kill("SIGTERM")
  return { code, spans: received.spans, metrics: received.metrics }
}).pipe(Effect.scoped)
