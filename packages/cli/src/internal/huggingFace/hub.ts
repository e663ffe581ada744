/** A client of the Hugging Face hub. Its errors say what to do, and never contain the token. */
import * as NodeHttpClient from "@effect-tinker/client/NodeHttpClient"
import * as Hub from "@effect-tinker/tokenizers/Hub"
import type * as hub from "@huggingface/hub"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Undici from "undici"
import type { Environment } from "../definition/global.ts"
import { CliError } from "../errors/cliError.ts"
import * as Io from "../terminal/io.ts"
import * as failures from "./failures.ts"
import * as request from "./request.ts"

type Library = typeof hub

/** The parameters that every function of the library takes. @internal */
export interface Access {
  readonly accessToken: string
  readonly hubUrl: string
  readonly fetch: request.Fetch
}

/** A failed call of the library, for callers that handle some statuses. @internal */
export class CallFailure extends Data.TaggedError("CallFailure")<{
  /** The status of the response; undefined if there was none. */
  readonly status: number | undefined
  readonly error: CliError
}> {}

/** @internal */
export interface Client extends failures.Hub {
  readonly fetch: request.Fetch
}

/** Checks the URL of a hub. Succeeds with it, without the slashes at its end. */
const parseEndpoint = (text: string): Effect.Effect<string, CliError> => {
  const url = URL.canParse(text) ? new URL(text) : undefined
  return url !== undefined && /^https?:$/.test(url.protocol) && url.username === "" && url.search + url.hash === ""
    ? Effect.succeed(url.href.replace(/\/+$/, ""))
    : new CliError({
        title: "Configuration error",
        details: "HF_ENDPOINT must be the URL of a hub, such as https://huggingface.co"
      })
}

/** Users' tokens begin with hf_, those of organizations with api_org_, and other hubs have their own. */
const checkToken = (token: string): Effect.Effect<string, CliError> =>
  /^[\x21-\x7e]+$/.test(token)
    ? Effect.succeed(token)
    : new CliError({
        title: "HF_TOKEN is not a Hugging Face token: it has spaces, line breaks or characters that are not ASCII",
        details: failures.loginHint
      })

const notePause = (io: Io.Service, endpoint: string) => (seconds: number, status: number) =>
  io.err(`${endpoint} asks to wait ${seconds} seconds (status ${status})\n`)

/** A `fetch` that uses the proxies of the environment, as that of Node does not. */
const makeFetch: Effect.Effect<request.Fetch, never, Scope.Scope> = Effect.map(
  NodeHttpClient.makeDispatcher(),
  (dispatcher) => (input, init) =>
    Undici.fetch(input as URL, { ...(init as Undici.RequestInit), dispatcher }) as unknown as Promise<Response>
)

/** Loads the library, and the token from the environment. @internal */
export const make: Effect.Effect<Client, CliError, Environment | Scope.Scope> = Effect.gen(function* () {
  const options = yield* Effect.mapError(
    Hub.fromConfig(),
    (cause) => new CliError({ title: "Configuration error", details: String(cause), cause })
  )
  if (options.token === undefined) {
    return yield* new CliError({ title: "Not logged in to Hugging Face", details: failures.loginHint })
  }
  const io = yield* Io.Io
  const secret = Redacted.value(options.token)
  yield* io.redact(secret)
  const token = yield* checkToken(secret)
  const endpoint = yield* parseEndpoint(options.endpoint ?? "https://huggingface.co")
  const library = yield* Effect.promise(() => import("@huggingface/hub"))
  const send = yield* request.makeFetch({ endpoint, token, onPause: notePause(io, endpoint) }, yield* makeFetch)
  return { library, endpoint, token, fetch: send }
})

/** The requests end when the signal aborts, or when the library ends them. */
const accessOf = ({ endpoint, fetch }: Client, signal: AbortSignal): Access => ({
  accessToken: request.placeholder,
  hubUrl: endpoint,
  fetch: (input, init) =>
    fetch(input, { ...init, signal: init?.signal ? AbortSignal.any([signal, init.signal]) : signal })
})

const toCallFailure = (client: Client) => (cause: unknown) =>
  new CallFailure({ status: failures.statusOf(client, cause), error: failures.toCliError(client, cause) })

/** Calls the library. Interruption aborts the requests. Failures carry the status. @internal */
export const attempt = <A>(
  client: Client,
  f: (library: Library, access: Access) => Promise<A>
): Effect.Effect<A, CallFailure> =>
  Effect.tryPromise({
    try: (signal) => f(client.library, accessOf(client, signal)),
    catch: toCallFailure(client)
  })

/** Calls the library. Interruption aborts the requests. @internal */
export const call = <A>(
  client: Client,
  f: (library: Library, access: Access) => Promise<A>
): Effect.Effect<A, CliError> => Effect.mapError(attempt(client, f), ({ error }) => error)

/** Drives a generator of the library to its result, and reports each event. @internal */
export const drain = <Event, A, R>(
  client: Client,
  open: (library: Library, access: Access, signal: AbortSignal) => AsyncGenerator<Event, A>,
  onEvent: (event: Event) => Effect.Effect<void, never, R>
): Effect.Effect<A, CallFailure, R> =>
  Effect.scoped(
    Effect.gen(function* () {
      const signal = yield* scopedSignal
      const events = open(client.library, accessOf(client, signal), signal)
      for (;;) {
        const next = yield* Effect.tryPromise({
          try: () => events.next(),
          catch: toCallFailure(client)
        })
        if (next.done === true) return next.value
        yield* onEvent(next.value)
      }
    })
  )

/** A signal that aborts when the scope closes. */
const scopedSignal: Effect.Effect<AbortSignal, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => new AbortController()),
    (controller) => Effect.sync(() => controller.abort())
  ),
  ({ signal }) => signal
)
