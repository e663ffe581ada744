/// <reference types="node" />
/** `Io` over the standard streams of this Node process. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { hostname } from "node:os"
import * as settings from "../util/settings.ts"
import type { Interrupts } from "./interrupts.ts"
import * as Io from "./io.ts"

/** Environment variables whose values must not appear in any output. */
const secretSettings = ["TINKER_API_KEY", "HF_TOKEN", "CLOUDFLARE_ACCESS_CLIENT_SECRET"]

/** Those whose URLs may have a password. */
const proxySettings = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"]

const passwordsIn = (text: string): ReadonlyArray<string> => (URL.canParse(text) ? [new URL(text).password] : [])

/** Replaces secrets, which the messages of servers and libraries may contain. */
const redact = (secrets: ReadonlyArray<string>, text: string): string =>
  secrets.reduce((rest, secret) => (secret.length < 6 ? rest : rest.replaceAll(secret, "<redacted>")), text)

/** Writes to a stream, and waits until the stream has taken the text. */
const writeTo = (stream: NodeJS.WriteStream, secrets: ReadonlyArray<string>) => (text: string) =>
  Effect.async<void>((resume) => {
    stream.write(redact(secrets, text), () => resume(Effect.void))
  })

const nextLine = (iterator: AsyncIterator<string, unknown>): Effect.Effect<string | undefined> =>
  Effect.map(
    Effect.promise(() => iterator.next()),
    ({ done, value }) => (done === true ? undefined : (value as string))
  )

/** The lines of standard input. One reader serves all of them, because it reads ahead. */
const makeLines = Effect.cached(
  Effect.map(
    Effect.promise(() => import("node:readline")),
    ({ createInterface }) => createInterface({ input: process.stdin })[Symbol.asyncIterator]()
  )
)

/** A reader that does not echo: the terminal is in raw mode, and what readline would print is discarded. */
const openSilently = Effect.promise(async () => {
  const [{ createInterface }, { Writable }] = await Promise.all([import("node:readline"), import("node:stream")])
  const output = new Writable({ write: (_chunk, _encoding, done) => done() })
  const reader = createInterface({ input: process.stdin, output, terminal: process.stdin.isTTY === true })
  // raw mode turns Ctrl-C into a key
  reader.on("SIGINT", () => process.kill(process.pid, "SIGINT"))
  return [reader[Symbol.asyncIterator](), () => reader.close()] as const
})

const readSecret = Effect.flatMap(openSilently, ([iterator, close]) =>
  Effect.ensuring(nextLine(iterator), Effect.sync(close))
)

type Prompt = (prompt: string) => Effect.Effect<string | undefined>

/** A reader with a history, which edits lines on the terminal. */
const openEditor = Effect.map(
  Effect.acquireRelease(
    Effect.promise(async () => {
      const { createInterface } = await import("node:readline")
      const reader = createInterface({ input: process.stdin, output: process.stderr, terminal: true })
      // raw mode turns Ctrl-C into a key
      reader.on("SIGINT", () => process.kill(process.pid, "SIGINT"))
      return { reader, lines: reader[Symbol.asyncIterator]() }
    }),
    ({ reader }) => Effect.sync(() => reader.close())
  ),
  ({ lines, reader }): Prompt =>
    (prompt) =>
      Effect.suspend(() => {
        reader.setPrompt(prompt)
        reader.prompt()
        return nextLine(lines)
      })
)

const make = (interrupts: Interrupts): Effect.Effect<Io.Service> =>
  Effect.gen(function* () {
    const terminal = Option.getOrElse(yield* settings.optional("TERM"), () => "")
    const noColor = Option.isSome(yield* settings.optional("NO_COLOR"))
    const columns = Number(Option.getOrElse(yield* settings.optional("COLUMNS"), () => ""))
    const secrets = (yield* Effect.all(secretSettings.map(settings.optional))).flatMap((secret) =>
      Option.toArray(Option.map(secret, (text) => text.trim()))
    )
    const proxies = yield* Effect.all(proxySettings.map(settings.optional))
    secrets.push(...proxies.flatMap(Option.toArray).flatMap(passwordsIn))
    const lines = yield* makeLines
    const widthOf = (stream: NodeJS.WriteStream) =>
      columns > 0 ? columns : stream.isTTY ? stream.columns || 80 : undefined
    const err = writeTo(process.stderr, secrets)
    const readLine = Effect.flatMap(lines, nextLine)
    const plainPrompt: Prompt = (prompt) => Effect.andThen(process.stdin.isTTY ? err(prompt) : Effect.void, readLine)
    return {
      out: writeTo(process.stdout, secrets),
      err,
      outIsTerminal: process.stdout.isTTY === true,
      errIsTerminal: process.stderr.isTTY === true,
      inIsTerminal: process.stdin.isTTY === true,
      columns: widthOf(process.stdout),
      errColumns: widthOf(process.stderr) ?? 80,
      color: process.stdout.isTTY === true && !noColor && terminal !== "dumb",
      redact: (secret) =>
        Effect.sync(() => {
          secrets.push(secret)
        }),
      readLine,
      openPrompt: process.stdin.isTTY && process.stderr.isTTY ? openEditor : Effect.succeed(plainPrompt),
      readSecret,
      onInterrupt: interrupts.take,
      hostname: hostname().split(".")[0] || "unknown"
    }
  })

/** @internal */
export const layer = (interrupts: Interrupts): Layer.Layer<Io.Io> => Layer.effect(Io.Io, make(interrupts))
