import * as FakeHub from "@effect-tinker/testing/FakeHub"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as FileSystem from "@effect/platform/FileSystem"
import * as HttpServer from "@effect/platform/HttpServer"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { createServer } from "node:http"
import * as Hub from "../../src/Hub.ts"
import { files, makeHub, ref, tokenizerJson, withCache } from "../utils/hub.ts"

const serve = (hub: FakeHub.FakeHub) =>
  Effect.gen(function* () {
    const server = NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })
    const context = yield* Layer.build(Layer.provideMerge(HttpServer.serve(hub.app), server))
    const port = yield* Effect.provide(
      HttpServer.addressWith((address) => Effect.succeed(address._tag === "TcpAddress" ? address.port : 0)),
      context
    )
    return `http://127.0.0.1:${port}`
  })

describe("the hub over a socket", () => {
  for (const [name, client] of [
    ["fetch", FetchHttpClient.layer],
    ["undici", NodeHttpClient.layerUndici]
  ] as const) {
    it.scopedLive(`is reached with ${name}, keeps its token from the storage host, and outlives cut connections`, () =>
      withCache((cache) =>
        Effect.gen(function* () {
          const fs = yield* FileSystem.FileSystem
          const hub = yield* makeHub({ repositories: { "org/model": { files, access: "private" } } })
          const endpoint = yield* serve(hub)
          const load = Effect.flatMap(Hub.Hub, ({ tokenizerFiles }) => tokenizerFiles(ref)).pipe(
            Effect.provide(Hub.layer({ cache, endpoint, token: hub.token })),
            Effect.provide([client, NodeContext.layer])
          )
          yield* hub.setFault(({ count, kind }) => (count === 1 && kind !== "file" ? FakeHub.cutAfter(50) : undefined))
          const { directory } = yield* load
          assert.strictEqual(yield* fs.readFileString(`${directory}/tokenizer.json`), tokenizerJson)
          const toStorage = (yield* hub.requests).filter(({ kind }) => kind === "storage")
          assert.deepStrictEqual(
            toStorage.map(({ headers }) => headers["authorization"]),
            [undefined, undefined]
          )
          yield* hub.setFault(() => FakeHub.connectionLost)
          assert.strictEqual((yield* load).directory, directory)
        })
      )
    )
  }
})
