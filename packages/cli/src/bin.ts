#!/usr/bin/env node
/// <reference types="node" />
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Io from "./internal/io.ts"
import * as Tinker from "./Tinker.ts"
import { hostname } from "node:os"

const signals = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const

// who reads the output went away; what is left to say goes nowhere
process.stdout.on("error", () => process.exit(1))
process.stderr.on("error", () => undefined)

const setting = (name: string) => Effect.orElseSucceed(Config.option(Config.nonEmptyString(name)), Option.none)

const IoLive = Layer.effect(
  Io.Io,
  Effect.gen(function* () {
    const terminal = Option.getOrElse(yield* setting("TERM"), () => "")
    const noColor = Option.isSome(yield* setting("NO_COLOR"))
    const given = Number(Option.getOrElse(yield* setting("COLUMNS"), () => ""))
    const secrets = (yield* Effect.all(
      ["TINKER_API_KEY", "HF_TOKEN", "CLOUDFLARE_ACCESS_CLIENT_SECRET"].map(setting)
    )).flatMap((secret) => Option.toArray(Option.map(secret, (text) => text.trim())))

    // whatever a server or a library puts into its messages
    const redact = (text: string): string =>
      secrets.reduce((rest, secret) => (secret.length < 6 ? rest : rest.replaceAll(secret, "<redacted>")), text)
    const write = (stream: NodeJS.WriteStream) => (text: string) =>
      Effect.async<void>((resume) => {
        stream.write(redact(text), () => resume(Effect.void))
      })
    const widthOf = (stream: NodeJS.WriteStream) =>
      given > 0 ? given : stream.isTTY ? stream.columns || 80 : undefined

    // one reader for all lines: what it has read ahead is not lost
    const lines = yield* Effect.cached(
      Effect.map(
        Effect.promise(() => import("node:readline")),
        ({ createInterface }) => createInterface({ input: process.stdin })[Symbol.asyncIterator]()
      )
    )

    // a terminal is put into the mode in which it echoes nothing, and what readline would echo goes nowhere
    const silently = Effect.promise(async () => {
      const [{ createInterface }, { Writable }] = await Promise.all([import("node:readline"), import("node:stream")])
      const output = new Writable({ write: (_chunk, _encoding, done) => done() })
      const reader = createInterface({ input: process.stdin, output, terminal: process.stdin.isTTY === true })
      reader.on("SIGINT", () => process.kill(process.pid, "SIGINT"))
      return [reader[Symbol.asyncIterator](), () => reader.close()] as const
    })

    return {
      out: write(process.stdout),
      err: write(process.stderr),
      outIsTerminal: process.stdout.isTTY === true,
      errIsTerminal: process.stderr.isTTY === true,
      inIsTerminal: process.stdin.isTTY === true,
      columns: widthOf(process.stdout),
      errColumns: widthOf(process.stderr) ?? 80,
      color: process.stdout.isTTY === true && !noColor && terminal !== "dumb",
      hide: (secret) =>
        Effect.sync(() => {
          secrets.push(secret)
        }),
      readSecret: Effect.flatMap(silently, ([iterator, close]) =>
        Effect.promise(() => iterator.next()).pipe(
          Effect.map(({ done, value }) => (done === true ? undefined : value)),
          Effect.ensuring(Effect.sync(close))
        )
      ),
      machine: hostname().split(".")[0] || "unknown",
      readLine: Effect.flatMap(lines, (iterator) =>
        Effect.map(
          Effect.promise(() => iterator.next()),
          ({ done, value }) => (done === true ? undefined : value)
        )
      )
    }
  })
)

const fiber = Effect.runFork(Effect.provide(Tinker.run(process.argv), [IoLive, NodeContext.layer]))

let signalled: number | undefined
for (const [signal, code] of Object.entries(signals)) {
  process.on(signal, () => {
    // who asks twice does not want to wait
    if (signalled !== undefined) process.exit(code)
    signalled = code
    fiber.unsafeInterruptAsFork(fiber.id())
  })
}

fiber.addObserver((exit) => process.exit(Exit.isSuccess(exit) ? exit.value : (signalled ?? 1)))
