import { assert, describe, it } from "@effect/vitest"
import * as visibility from "../../../src/internal/queries/visibility.ts"

const ada = { id: "ada" }

describe("a list", () => {
  it("shows what is the user's, and with the scope `accessible` what others published", () => {
    for (const [scope, owner, isPublic, expected] of [
      [undefined, "ada", false, true],
      ["owned", "ada", undefined, true],
      ["owned", "bob", true, false],
      [undefined, "bob", true, false],
      ["accessible", "bob", true, true],
      ["accessible", "bob", false, false],
      ["accessible", "bob", undefined, false],
      ["accessible", "ada", false, true],
      ["owned", undefined, undefined, true]
    ] as const) {
      const what = JSON.stringify([scope, owner, isPublic])
      assert.strictEqual(visibility.isListed(ada, scope, owner, isPublic), expected, what)
    }
  })
})

describe("a search", () => {
  it("of one's own shows no published ones of others, and one by owner only those of the owners that it names", () => {
    const [own, any] = [{ type: "own" }, { type: "accessible" }] as const
    const byUser = (...owner_urns: ReadonlyArray<string>) => ({ type: "user", owner_urns }) as const
    for (const [searched, owner, isPublic, expected] of [
      [own, "ada", false, true],
      [own, "bob", true, false],
      [any, "bob", true, true],
      [any, "bob", false, false],
      [any, "ada", false, true],
      [byUser("bob"), "bob", true, true],
      [byUser("bob"), "bob", false, false],
      [byUser("bob", "ada"), "ada", false, true],
      [byUser("bob"), "ada", true, false],
      [byUser(), "ada", true, false],
      [byUser("local"), undefined, false, true]
    ] as const) {
      const what = JSON.stringify([searched, owner, isPublic])
      assert.strictEqual(visibility.isSearched(ada, searched as never, owner, isPublic), expected, what)
    }
  })

  it("by metadata shows what has every key and value", () => {
    const metadata = { a: "1", b: "2" }
    for (const [filter, given, expected] of [
      [{}, undefined, true],
      [{}, metadata, true],
      [{ a: "1" }, metadata, true],
      [{ a: "1", b: "2" }, metadata, true],
      [{ a: "1", b: "3" }, metadata, false],
      [{ c: "1" }, metadata, false],
      [{ a: "1" }, undefined, false]
    ] as const) {
      assert.strictEqual(visibility.matchesMetadata(filter as never, given), expected, JSON.stringify([filter, given]))
    }
  })
})
