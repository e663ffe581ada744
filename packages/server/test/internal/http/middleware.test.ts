import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as Store from "@effect-tinker/server/Store"
import * as NodeServer from "@effect-tinker/server/NodeServer"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { rawRequest } from "../../utils/rawHttp.ts"

/** A store whose lists fail in a way that no code expects. */
const layerBroken = Layer.effect(
  CheckpointStore.CheckpointStore,
  Effect.map(CheckpointStore.makeMemory, (store) => ({
    ...store,
    list: Effect.sync(() => {
      throw new TypeError("secret path /var/lib")
    })
  }))
)

describe("an error that no handler expects", () => {
  it.scopedLive("is a 500 with the id under which it is logged, and the service continues", () =>
    Effect.gen(function* () {
      const logged: Array<string> = []
      const logger = Logger.replace(
        Logger.defaultLogger,
        Logger.make(({ cause, message }) => {
          logged.push(`${String(message)} ${String(cause)}`)
        })
      )
      const context = yield* Layer.build(
        NodeServer.layer().pipe(
          Layer.provide([TestEngine.layer(), layerBroken, Store.layerMemory]),
          Layer.provide(logger)
        )
      )
      const port = Number(new URL(yield* Effect.provide(NodeServer.baseUrl, context)).port)
      const get = (path: string) => rawRequest(port, "GET", `/api/v1${path}`, { host: "localhost" })
      const ids = new Set<string>()
      for (let attempt = 0; attempt < 3; attempt++) {
        const { body, headers, status } = yield* get("/checkpoints")
        assert.strictEqual(status, 500)
        const id = headers["x-request-id"]!
        assert.match(id, /^[\da-f-]{36}$/)
        assert.include(JSON.parse(body).detail, id)
        assert.notInclude(body, "secret")
        assert.isTrue(logged.some((line) => line.includes(id) && line.includes("secret path")))
        ids.add(id)
      }
      assert.strictEqual(ids.size, 3)
      assert.strictEqual((yield* get("/healthz")).status, 200)
    })
  )
})
