/**
 * Doubles of servers that others wrote: each is the service of a `TestServer` behind the routes, the bodies and the
 * omissions of one such server. A program that runs on all of them runs on more than the hosted service.
 *
 * ```ts
 * it.scoped.each([Dialect.skyrl, Dialect.tuft, Dialect.hatchery])("trains on %s", (dialect) =>
 *   program.pipe(Effect.provide(ServiceClient.layer(options).pipe(Layer.provide(dialect.layer()))))
 * )
 * ```
 *
 * What a double does not imitate: the numbers of a real model, the order in which the server runs operations, and its
 * bugs. `docs/servers.md` says which versions were seen, and how to start the servers themselves.
 *
 * @since 0.1.0
 */
import * as HttpClient from "@effect/platform/HttpClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { type Rule, withRules } from "./internal/dialect/exchange.ts"
import * as hatcheryRules from "./internal/dialect/hatchery.ts"
import * as skyrlRules from "./internal/dialect/skyrl.ts"
import * as tuftRules from "./internal/dialect/tuft.ts"
import * as TestServer from "./TestServer.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface Dialect {
  /** of the server and the version that was seen */
  readonly name: string
  /** A double that runs as long as the scope is open. */
  readonly make: (options?: TestServer.Options) => Effect.Effect<TestServer.TestServer, never, Scope.Scope>
  readonly layer: (options?: TestServer.Options) => Layer.Layer<HttpClient.HttpClient>
}

const dialect = (name: string, rules: () => ReadonlyArray<Rule>, defaults: TestServer.Options = {}): Dialect => {
  const make: Dialect["make"] = (options) =>
    Effect.map(TestServer.make({ ...defaults, ...options }), (server) => {
      const client = withRules(server.client, rules())
      return { ...server, client, layer: Layer.succeed(HttpClient.HttpClient, client) }
    })
  return {
    name,
    make,
    layer: (options) =>
      Layer.scoped(
        HttpClient.HttpClient,
        Effect.map(make(options), ({ client }) => client)
      )
  }
}

/**
 * SkyRL 0.4 with its `jax` back end. It reports losses per position and no metrics, requires `max_tokens` and lists of
 * stop strings, leaves the kind out of paths and routes, fails operations with status 400, loads weights only into a new
 * model, and cannot list all checkpoints or finish sessions.
 *
 * @since 0.1.0
 * @category dialects
 */
export const skyrl: Dialect = dialect("SkyRL 0.4 (jax)", skyrlRules.rules, { strictLoad: true })

/**
 * TuFT 0.2. It reads data for training as protobuf only, responds with 201 and 202, sends `null` for fields without a
 * value, fails operations with status 422, and keeps checkpoints in directories of its own machine, which it names
 * in place of a URL.
 *
 * @since 0.1.0
 * @category dialects
 */
export const tuft: Dialect = dialect("TuFT 0.2", tuftRules.rules)

/**
 * hatchery-core 0.3. It reads JSON only, and responds to protobuf with a 500; it creates samplers in the background,
 * calls training states `checkpoints`, does not know when they were saved, and has no lists of runs, sessions or all
 * checkpoints, and no downloads. Its `loss:sum` is not the sum of the losses.
 *
 * @since 0.1.0
 * @category dialects
 */
export const hatchery: Dialect = dialect("hatchery-core 0.3", hatcheryRules.rules)
