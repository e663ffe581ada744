import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { failed, json, tinker } from "../utils/command.ts"
import { stubServer } from "../utils/fixtures.ts"
import { makeHub } from "../utils/hub.ts"
import { makeProxy } from "../utils/proxy.ts"
import { checkpoint, push, pushed } from "../utils/push.ts"
import { layer as ServiceLive, Service } from "../utils/service.ts"

const withPassword = (url: string) => url.replace("http://", "http://me:secret-word@")
const authorization = `Basic ${Buffer.from("me:secret-word").toString("base64")}`

layer(ServiceLive, { excludeTestServices: true })("the proxy of the environment", (it) => {
  it.scoped("is used for the service, with its credentials", () =>
    Effect.gen(function* () {
      const { env } = yield* Service
      const proxy = yield* makeProxy(env.TINKER_BASE_URL)
      const result = yield* tinker(["-f", "json", "model", "list"], {
        env: { TINKER_BASE_URL: "http://service.test", http_proxy: withPassword(proxy.url) }
      })
      assert.isAbove(json(result).models.length, 0)
      assert.isTrue(proxy.received.every((request) => request.authorization === authorization))
      assert.include(
        proxy.received.map(({ target }) => target),
        "GET http://service.test/api/v1/get_server_capabilities"
      )
    })
  )

  it.scoped("is used for pushes to the hub", () =>
    Effect.gen(function* () {
      const path = yield* checkpoint
      const hub = yield* makeHub()
      const proxy = yield* makeProxy(hub.url)
      // the storage for large files would be this computer
      const args = [path, "--allow-pattern", "*.json"]
      pushed(yield* push({ url: "http://hub.test" }, args, { HTTP_PROXY: withPassword(proxy.url) }))
      assert.isTrue(proxy.received.some(({ target }) => target.startsWith("POST http://hub.test/api/")))
      assert.isTrue(proxy.received.every((request) => request.authorization === authorization))
    })
  )

  it.scoped("is named without its credentials when it refuses", () =>
    Effect.gen(function* () {
      const proxy = yield* stubServer((_, response) => void response.writeHead(407).end())
      const env = { HTTP_PROXY: withPassword(proxy) }
      const path = yield* checkpoint
      const listed = yield* tinker(["model", "list"], { env: { ...env, TINKER_BASE_URL: "http://service.test" } })
      const pushing = yield* push({ url: "http://hub.test" }, [path], env)
      for (const [result, title] of [
        [listed, "Proxy error: "],
        [pushing, "http://hub.test cannot be reached. "]
      ] as const) {
        failed(result, `the proxy ${proxy} (HTTP_PROXY) responded with 407: check the user name and the password`)
        assert.include(result.stderr, title)
        assert.notInclude(result.stderr, "secret-word")
      }
    })
  )
})
