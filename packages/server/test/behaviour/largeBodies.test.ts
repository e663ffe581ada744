import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Net from "node:net"
import { listen } from "../utils/nodeServer.ts"
import { rawRequest } from "../utils/rawHttp.ts"

const mebi = 1024 * 1024

const post = (port: number, path: string, body: string) =>
  rawRequest(port, "POST", `/api/v1${path}`, { host: "localhost", "content-type": "application/json" }, body)

/** Opens a connection, sends a part of a body, and leaves it. */
const sendPart = (port: number, size: number, announced: number) =>
  Effect.acquireRelease(
    Effect.async<Net.Socket>((resume) => {
      const socket = Net.connect(port, "127.0.0.1")
      socket.on("error", () => undefined)
      const head = `POST /api/v1/forward_backward HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n`
      socket.write(`${head}content-length: ${announced}\r\n\r\n${" ".repeat(size)}`, () =>
        resume(Effect.succeed(socket))
      )
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

const bodyBytes = (port: number) =>
  Effect.map(rawRequest(port, "GET", "/metrics", { host: "localhost" }), ({ body }) =>
    Number(/^tinker_server_body_bytes (\d+)$/m.exec(body)?.[1])
  )

const until = <E>(condition: Effect.Effect<boolean, E>): Effect.Effect<void, E> =>
  Effect.flatMap(condition, (holds) =>
    holds ? Effect.void : Effect.andThen(Effect.sleep("5 millis"), until(condition))
  )

describe("large bodies", () => {
  it.scopedLive("are parsed while other requests are served", () =>
    Effect.gen(function* () {
      const port = yield* listen()
      const numbers = `[${"1,".repeat(8 * mebi)}1]`
      const pass = `{"model_id":"none","forward_backward_input":{"loss_fn":"cross_entropy","data":${numbers}}}`
      const running = yield* Effect.fork(post(port, "/forward_backward", pass))
      // the body has arrived
      yield* until(Effect.map(bodyBytes(port), (held) => held > 16 * mebi))
      let turns = 0
      const turn = (): unknown => setImmediate(() => turns++ > 1e6 || turn())
      turn()
      const before = turns
      assert.strictEqual((yield* Fiber.join(running)).status, 422)
      // one turn, if the body were parsed at once
      assert.isAbove(turns - before, 30)
      turns = 1e6
    })
  )

  it.scopedLive("are rejected with 503 while those of others fill the memory, small ones are not", () =>
    Effect.gen(function* () {
      const port = yield* listen({ maxBodyMemory: 2 * mebi })
      yield* sendPart(port, 1.5 * mebi, 3 * mebi)
      yield* until(Effect.map(bodyBytes(port), (held) => held >= 1.5 * mebi))
      const large = yield* post(port, "/create_session", " ".repeat(mebi))
      assert.strictEqual(large.status, 503)
      assert.strictEqual(large.headers["retry-after"], "1")
      assert.include(JSON.parse(large.body).detail, "no memory")
      const session = `{"tags":[],"user_metadata":{},"sdk_version":"1"}`
      assert.strictEqual((yield* post(port, "/create_session", session)).status, 200)
    })
  )

  it.scopedLive("leave the memory when their request has ended", () =>
    Effect.gen(function* () {
      const port = yield* listen({ maxBodyMemory: 2 * mebi })
      for (let i = 0; i < 5; i++) {
        assert.strictEqual((yield* post(port, "/create_session", " ".repeat(1.5 * mebi))).status, 422)
      }
      yield* Effect.scoped(sendPart(port, 1.5 * mebi, 3 * mebi))
      yield* until(Effect.map(bodyBytes(port), (held) => held === 0))
    })
  )
})
