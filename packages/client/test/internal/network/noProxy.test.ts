import { assert, describe, it } from "@effect/vitest"
import { entriesOf, hostOf, isExcluded, isLoopback } from "../../../src/internal/network/noProxy.ts"

describe("NO_PROXY", () => {
  for (const [url, noProxy, isDirect] of [
    ["https://example.com", "", false],
    ["https://example.com", "*", true],
    ["https://example.com", "a.test, *", true],
    ["https://example.com", "example.com", true],
    ["https://api.EXAMPLE.com", "Example.com", true],
    ["https://notexample.com", "example.com", false],
    ["https://api.example.com", ".example.com", true],
    ["https://api.example.com", "*.example.com", true],
    ["https://example.org", ".example.com other.test", false],
    ["https://example.com:8443", "example.com:8443", true],
    ["https://example.com", "example.com:443", true],
    ["http://example.com", "example.com:443", false],
    ["http://10.1.2.3", "10.0.0.0/8", true],
    ["http://11.1.2.3", "10.0.0.0/8", false],
    ["http://10.1.2.3:8080", "10.1.2.3", true],
    ["http://[fe80::1]:8080", "fe80::1", true],
    ["http://[fe80::1]:8080", "[fe80::1]:8080", true],
    ["http://[fe80::1]:8080", "[fe80::1]:80", false],
    ["https://example.com", ".", false]
  ] as const) {
    it(`"${noProxy}" ${isDirect ? "excludes" : "does not exclude"} ${url}`, () => {
      assert.strictEqual(isExcluded(entriesOf(noProxy), hostOf(new URL(url))), isDirect)
    })
  }

  it("does not decide about this computer, which is reached directly", () => {
    for (const name of [
      "localhost",
      "a.localhost",
      "127.0.0.1",
      "127.8.9.1",
      "[::1]",
      "[::ffff:127.0.0.1]",
      "0.0.0.0"
    ]) {
      assert.isTrue(isLoopback(hostOf(new URL(`http://${name}`)).name), name)
    }
    for (const name of ["localhost.test", "128.0.0.1", "[::2]", "10.0.0.1"]) {
      assert.isFalse(isLoopback(hostOf(new URL(`http://${name}`)).name), name)
    }
  })
})
